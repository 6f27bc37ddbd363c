"""What notebook 08 measures, claims and draws."""
