"""What notebook 13 measures, claims and draws."""
