"""Stergiou 2021: the image that shows what a layer takes from a set of images."""
