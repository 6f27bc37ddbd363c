"""Grids of pictures."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing import style


def pictures(rows, row_titles=(), column_titles=(), outlines=None, width: float = 0.9 * style.WIDTH) -> Figure:
    """A grid of pictures: `rows` is a list of lists of (H, W, 3) arrays; `outlines` masks of the same layout, or
    None."""
    across = max(len(row) for row in rows)
    side = width / (across + 0.6 * bool(len(row_titles)))
    figure, axes = plt.subplots(
        len(rows), across, figsize=(width, side * len(rows) + 0.25 * bool(len(column_titles))), squeeze=False
    )
    for r, row in enumerate(rows):
        for c, axis in enumerate(axes[r]):
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if c < len(row):
                axis.imshow(row[c])
                if outlines is not None and outlines[r][c] is not None:
                    axis.contour(outlines[r][c], levels=[0.5], colors="white", linewidths=1)
        if r < len(row_titles):
            axes[r, 0].set_ylabel(row_titles[r], rotation=0, ha="right", va="center")
    for axis, title in zip(axes[0], column_titles, strict=False):
        axis.set_title(title)
    return figure


def signed(values: np.ndarray) -> np.ndarray:
    """A signed (H, W, 3) signal as a picture: zero is grey, the 99.5th percentile of its size full contrast."""
    top = np.quantile(np.abs(values), 0.995) or np.abs(values).max()
    return np.clip(0.5 + values / (2 * top), 0, 1) if top > 0 else np.full_like(values, 0.5)
