"""What notebook 14 measures, claims and draws."""
