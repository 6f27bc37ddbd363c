"""Benchmarks: `python -m bench` (or `make bench`) runs all of them and prints ratios, never absolute times."""
