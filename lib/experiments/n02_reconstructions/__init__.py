"""What notebook 02 measures, claims and draws."""
