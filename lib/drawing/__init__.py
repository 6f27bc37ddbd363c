"""The style, dots with intervals and grids of pictures: what several notebooks draw."""
