"""Palacio et al. 2018: who reads whose signal (order), what a signal keeps (information), its checkerboard."""
