"""What notebook 10 measures, claims and draws."""
