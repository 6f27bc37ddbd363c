"""What notebook 05 measures, claims and draws."""
