"""Paths, files, locks, weights files, seeds and threads, what a piece of code depends on and the cache built on it."""
