"""Zeiler & Fergus 2014: a grey square slides over the picture; the same part in different objects."""
