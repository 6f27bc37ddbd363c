"""Figures of notebook 08, apart from computing: plain arrays in, a matplotlib figure out."""

import colorsys

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from lib.drawing import dots
from lib.drawing.style import COLOURS, WIDTH
from lib.experiments.n08_codes import mosaic

CLASSES = (*COLOURS, "#8C8C8C", "#8B4513")  # ten colours; neighbours in the list differ in their marker as well
MARKERS = "os^DvP*X<>"


def wheel(degrees) -> tuple[str, ...]:
    """A colour of each hue in degrees, strong and a little dark."""
    return tuple(to_hex(colorsys.hsv_to_rgb(degree / 360, 0.9, 0.9)) for degree in degrees)


def bytes_of(colours) -> np.ndarray:
    """Colours (names or #rrggbb) as (n, 3) uint8."""
    return np.round(255 * np.array([to_rgb(colour) for colour in colours])).astype(np.uint8)


def mosaics(panels: list[dict], key: dict[str, str], width: float = WIDTH) -> Figure:
    """Mosaics side by side, pixel for pixel at 150 dots per inch when their widths add up to 150 * width.

    panels: dicts with canvas (H, W, 3) uint8 and title; key: name -> colour of the frames.
    """
    height = max(panel["canvas"].shape[0] / panel["canvas"].shape[1] for panel in panels) * width / len(panels)
    above, titled = 0.3, 0.22 * any(panel["title"] for panel in panels)
    total = height + above + titled
    figure = plt.figure(figsize=(width, total))
    figure.set_layout_engine("none")  # axes are placed by hand, so that a pixel of the canvas is a pixel of the figure
    for k, panel in enumerate(panels):
        share = 1 / len(panels)
        axis = figure.add_axes((k * share, 0, share * 0.995 if len(panels) > 1 else 1, height / total))
        axis.imshow(panel["canvas"], aspect="auto", interpolation="nearest")
        axis.set_axis_off()
        figure.text(k * share + 0.005, (height + 0.05) / total, panel["title"], fontsize=9)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in key.values()]
    figure.legend(handles, list(key), loc="upper center", ncols=len(key), handlelength=0.9, columnspacing=1.0)
    return figure


def panel(images, values, points, title: str, key: dict[str, str], grid=(15, 12), side: int = 40) -> dict:
    """A panel for `mosaics`: pictures (N, H, W, 3) uint8 at their points (N, 2), framed by the colour of their value
    (N,), a place in `key`."""
    kept, cells = mosaic.snap(points, *grid)
    frames = bytes_of(key.values())[values[kept]]
    return {
        "canvas": mosaic.mosaic(images[kept], cells, grid, frames, side),
        "title": title,
        "shown": len(kept),
        "kept": kept.tolist(),
    }


def scatters(rows: list[list[dict]], keys: list[dict[str, str]], width: float = WIDTH) -> Figure:
    """Embeddings as points, a row of panels for each way to colour them.

    rows: lists of panels, dicts with points (N, 2), values (N,) integers and title; keys: for each row, the name of
    each value -> its colour, the row's legend. Axes have no ticks: an embedding has no units.
    """
    across = max(len(row) for row in rows)
    lines = max(panel["title"].count("\n") for row in rows for panel in row)
    figure = plt.figure(figsize=(width, (width / across + 0.6 + 0.16 * lines) * len(rows)))
    parts = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
    for part, row, key in zip(parts, rows, keys, strict=True):
        line = part.subplots(1, across, squeeze=False)[0]
        part.suptitle("\n" * max(lines - 1, 0) + " ", fontsize=4)  # room for titles, which subfigures do not reserve
        for axis, panel in zip(line, row, strict=False):
            for value, colour in enumerate(key.values()):
                chosen = panel["points"][panel["values"] == value]
                axis.scatter(*chosen.T, s=4, marker=MARKERS[value % 10], color=colour, linewidths=0)
            axis.set_title(panel["title"], fontsize=7.5)
            axis.set(xticks=[], yticks=[], box_aspect=1)
            axis.set_aspect("equal", adjustable="datalim")
            axis.spines[:].set_visible(True)
            axis.spines[:].set_color("0.8")
        for axis in line[len(row) :]:
            axis.set_axis_off()
        marks = [plt.Line2D([], [], color=c, marker=MARKERS[k % 10], ls="", ms=4) for k, c in enumerate(key.values())]
        part.legend(marks, list(key), loc="outside lower center", ncols=10, handletextpad=0.1, columnspacing=0.7)
    return figure


def depths(rows: list[dict], ylabel: str, width: float = WIDTH) -> Figure:
    """Accuracy against depth, a panel for each `name`, a line for each `seed`.

    rows: dicts with name, seed, depth (0, 1, ...), layer, value, low, high.
    """
    names, seeds = dots.unique(rows, "name"), dots.unique(rows, "seed")
    across = min(3, len(names))
    down = -(-len(names) // across)
    figure, axes = plt.subplots(down, across, figsize=(width, 1.8 * down + 0.3), sharey=True, squeeze=False)
    for axis in axes.ravel()[len(names) :]:
        axis.set_axis_off()
    look = dots.looks(seeds)
    for axis, name in zip(axes.ravel(), names, strict=False):
        mine = [row | {"group": row["seed"], "name": row["layer"]} for row in rows if row["name"] == name]
        mine.sort(key=lambda row: row["depth"])
        dots.mark(axis, mine, look, upright=True, spread=0.1 * len(seeds), ms=3.5, joined=True)
        axis.set_title(name)
        plt.setp(axis.get_xticklabels(), rotation=40, ha="right", rotation_mode="anchor")
    for axis in axes[:, 0]:
        axis.set_ylabel(ylabel)
    handles = [plt.Line2D([], [], color=colour, marker=shape, ms=4) for colour, shape in look.values()]
    figure.legend(handles, [f"seed {seed}" for seed in seeds], loc="outside upper center", ncols=5)
    return figure
