"""What notebook 04 measures, claims and draws."""
