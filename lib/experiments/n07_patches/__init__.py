"""What notebook 07 measures, claims and draws."""
