"""What notebook 12 measures, claims and draws."""
