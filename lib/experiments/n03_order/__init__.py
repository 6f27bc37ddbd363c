"""What notebook 03 measures, claims and draws."""
