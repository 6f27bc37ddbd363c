"""What notebook 09 measures, claims and draws."""
