"""What notebook 06 measures, claims and draws."""
