"""Grids of pictures, every picture of one size in inches and placed by hand, so that none is resampled unevenly."""

import textwrap

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from lib.drawing import style

LINE = 0.16  # inches of a line of a title
WORDS = 7  # points of what stands in an empty place
WHOLE = 150  # pixels an inch at which large pictures are drawn one dot a pixel, the resolution of figures
LARGE = 200  # pixels: from this side on


def grid(
    rows,
    row_titles=(),
    column_titles=(),
    *,
    side: float | None = None,
    width: float | None = None,
    gap: float = 0.06,
    wider=(),
    below: int = 0,
    turned: bool = False,
    font: float = 9,
) -> tuple[Figure, dict]:
    """Pictures in rows: the figure, and {(row, column): axis}.

    rows: lists of (H, W, 3) arrays of one shape, or of (H, W) grey ones, black where they are 0 and white at 1; None
    leaves a place empty, and a string says in it why it is. Pictures are `side` inches wide, or what makes the figure
    `width` inches. gap: inches between them; wider: columns after which a quarter of a picture is left; below: lines of
    text to leave room for under every row; turned: row titles run upwards; font: of all titles, in points.
    """
    across = max(map(len, rows))
    column_titles = column_titles[:across]
    shape = next(one for row in rows for one in row if isinstance(one, np.ndarray)).shape
    label = _room(row_titles, turned, font) if any(row_titles) else 0.05
    heads = 0.1 + LINE * max(title.count("\n") + 1 for title in column_titles) if any(column_titles) else 0.03
    if side is None:
        side = (width - label - across * gap) / (across + 0.25 * len(wider))
    high, foot = side * shape[0] / shape[1], LINE * below
    wide = label + across * (side + gap) + 0.25 * side * len(wider)
    tall = heads + len(rows) * (high + gap + foot)
    figure, axes = plt.figure(figsize=(wide, tall)), {}
    figure.set_layout_engine("none")
    for r, row in enumerate(rows):
        bottom = tall - heads - r * (high + gap + foot) - high
        if r < len(row_titles):
            at = {"ha": "center", "rotation": 90} if turned else {"ha": "right"}
            x = label / 2 if turned else label - 0.1
            figure.text(x / wide, (bottom + high / 2) / tall, row_titles[r], va="center", fontsize=font, **at)
        for c, picture in enumerate(row):
            left = label + c * (side + gap) + 0.25 * side * sum(one < c for one in wider)
            if r == 0 and c < len(column_titles):
                x, y = (left + side / 2) / wide, (bottom + high + 0.04) / tall
                figure.text(x, y, column_titles[c], ha="center", va="bottom", fontsize=font)
            if isinstance(picture, str):
                x, y = (left + side / 2) / wide, (bottom + high / 2) / tall
                text = wrapped(picture, side, WORDS)
                figure.text(x, y, text, ha="center", va="center", fontsize=WORDS, color="0.35")
            elif picture is not None:
                place = (left / wide, bottom / tall, side / wide, high / tall)
                axes[r, c] = figure.add_axes(place, xticks=[], yticks=[])
                axes[r, c].spines[:].set_visible(False)
                axes[r, c].imshow(picture, cmap="gray", vmin=0, vmax=1)
    return figure, axes


def wrapped(text: str, inches: float, font: float) -> str:
    """A text in lines of at most so many inches, at `font` points."""
    return "\n".join(textwrap.wrap(text, max(8, int(inches * 72 / (0.55 * font)))))


def size(picture: np.ndarray, width: float) -> dict[str, float]:
    """How large to draw pictures like this one (H, W ...) in `grid`: one dot a pixel if they are large, since a pattern
    of single pixels would not outlive another size, else whatever fills `width` inches."""
    return {"side": picture.shape[1] / WHOLE} if picture.shape[1] >= LARGE else {"width": width}


def _room(titles, turned: bool, font: float) -> float:
    """Inches that titles need left of the pictures."""
    if turned:
        return 0.1 + LINE * max(title.count("\n") + 1 for title in titles)
    lines = [line for title in titles for line in title.split("\n") if line.strip()]
    return 0.2 + max((TextPath((0, 0), line, size=font).get_extents().x1 for line in lines), default=0) / 72


def pictures(rows, row_titles=(), column_titles=(), outlines=None, width: float = 0.9 * style.WIDTH) -> Figure:
    """A grid of pictures: `rows` is a list of lists of (H, W, 3) arrays; `outlines` masks of the same layout, or
    None."""
    columns = [str(title) for title in column_titles]
    figure, axes = grid(rows, row_titles, columns, **size(rows[0][0], width))
    for (r, c), axis in axes.items():
        if outlines is not None and outlines[r][c] is not None:
            axis.contour(outlines[r][c], levels=[0.5], colors="white", linewidths=1)
    return figure


def signed(values: np.ndarray) -> np.ndarray:
    """A signed (H, W, 3) signal as a picture: zero is grey, the 99.5th percentile of its size full contrast."""
    top = np.quantile(np.abs(values), 0.995) or np.abs(values).max()
    return np.clip(0.5 + values / (2 * top), 0, 1) if top > 0 else np.full_like(values, 0.5)
