"""What notebook 01 measures, claims and draws."""
