"""Drawing, apart from computing: every function takes plain arrays and returns a matplotlib figure.

Pictures are never interpolated; heat maps of one figure share their scale; colours come from
lib/drawing/companion.mplstyle.
"""

WIDTH = 8.0  # inches, the width of a figure in a notebook
COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#8C6D31",
    "#000000",
)  # Okabe and Ito, but brown
