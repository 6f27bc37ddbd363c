"""What notebook 11 measures, claims and draws."""
