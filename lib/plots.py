"""Drawing, apart from computing: every function takes plain arrays and returns a matplotlib figure.

Pictures are never interpolated; heat maps of one figure share their scale; colours come from lib/companion.mplstyle.
"""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

WIDTH = 8.0  # inches, the width of a figure in a notebook
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")  # Okabe and Ito


def pictures(rows, row_titles=(), column_titles=(), outlines=None, width: float = 0.9 * WIDTH) -> Figure:
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


def dots(rows: list[dict], xlabel: str, lines: dict | None = None, limits=None, width: float = WIDTH) -> Figure:
    """Dots with intervals, a line of the plot for each `name`, a colour for each `group`, a dot for each `seed`.

    rows: dicts with name, group, seed, value, low, high. lines: label -> value drawn across the plot.
    """
    names, groups, seeds = (list(dict.fromkeys(row[key] for row in rows)) for key in ("name", "group", "seed"))
    figure, axis = plt.subplots(figsize=(width, 0.5 * len(names) + 1.2))
    for row in rows:
        g, s = groups.index(row["group"]), seeds.index(row["seed"])
        y = (
            names.index(row["name"])
            + 0.42 * (g - (len(groups) - 1) / 2) / len(groups)
            + 0.06 * (s - (len(seeds) - 1) / 2)
        )
        axis.plot([row["low"], row["high"]], [y, y], color=COLOURS[g], lw=1.2)
        axis.plot(row["value"], y, "os^Dv"[g], color=COLOURS[g], ms=4)
    for g, group in enumerate(groups):
        axis.plot([], [], "os^Dv"[g], color=COLOURS[g], ms=4, label=group)
    for k, (label, value) in enumerate((lines or {}).items()):
        axis.axvline(value, color="0.35", lw=1, ls=("--", ":", "-.", "-")[k % 4], label=label)
    axis.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5), xlabel=xlabel)
    if limits:
        axis.set_xlim(*limits)
    figure.legend(loc="outside upper center", ncols=5)
    return figure


def shares(rows: list[dict], xlabel: str, width: float = WIDTH) -> Figure:
    """Stacked bars of shares, one a `name`, a colour for each `group`: means over seeds. Ticks: where the parts end
    for each seed.

    rows: dicts with name, group, seed, value.
    """
    names, groups = (list(dict.fromkeys(row[key] for row in rows)) for key in ("name", "group"))
    figure, axis = plt.subplots(figsize=(width, 0.5 * len(names) + 1.2))
    for y, name in enumerate(names):
        ends = np.zeros(len({row["seed"] for row in rows}))
        for g, group in enumerate(groups):
            values = np.array([row["value"] for row in rows if row["name"] == name and row["group"] == group])
            label, colour = group if y == 0 else None, (*COLOURS[:3], "0.8")[min(g, 3)]
            axis.barh(y, values.mean(), left=ends.mean(), color=colour, height=0.6, label=label)
            ends = ends + values
            if g < len(groups) - 1:
                axis.plot(ends, y + np.linspace(-0.15, 0.15, len(ends)), "|", color="black", ms=6)
    axis.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5), xlabel=xlabel, xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=5)
    return figure


def spread(rows: list[dict], ylabel: str, width: float = WIDTH) -> Figure:
    """Values with intervals beside each other: a place on the x axis for each `name`, a colour for each `group`.

    rows: dicts with name, group, value, low, high.
    """
    names, groups = (list(dict.fromkeys(row[key] for row in rows)) for key in ("name", "group"))
    figure, axis = plt.subplots(figsize=(width, 3.0))
    for row in rows:
        g = groups.index(row["group"])
        x = names.index(row["name"]) + 0.3 * (g - (len(groups) - 1) / 2) / len(groups)
        axis.vlines(x, row["low"], row["high"], color=COLOURS[g], lw=1.4)
        axis.plot(x, row["value"], "os^Dv"[g], color=COLOURS[g], ms=5)
    for g, group in enumerate(groups):
        axis.plot([], [], "os^Dv"[g], color=COLOURS[g], ms=5, label=group)
    axis.set(xticks=range(len(names)), xticklabels=names, ylabel=ylabel)
    figure.legend(loc="outside upper center", ncols=5)
    return figure


def occlusion(rows, width: float = WIDTH + 1.5) -> Figure:
    """Zeiler & Fergus Fig 7, one row a picture. Each row is a dict: image (H, W, 3), activation (h, w), projection
    (H, W, 3), probability (h, w), label (h, w) integers, names {integer: name}, title, box (side of the square in
    pixels, for
    scale)."""
    panels = ("picture", "activity of the\nstrongest map", "deconvnet projection\nof that map")
    panels += ("probability of\nthe class", "most probable\nclass")
    figure, axes = plt.subplots(len(rows), 5, figsize=(width, width / 5 * 1.12 * len(rows) + 0.3), squeeze=False)
    for row, line in zip(rows, axes, strict=True):
        height, across = row["image"].shape[:2]
        extent = (-0.5, across - 0.5, height - 0.5, -0.5)
        line[0].imshow(row["image"])
        line[0].add_patch(plt.Rectangle((0, 0), row["box"], row["box"], color="0.5"))
        heat = line[1].imshow(row["activation"], extent=extent, cmap="viridis")
        figure.colorbar(heat, ax=line[1], shrink=0.7)
        line[2].imshow(signed(row["projection"]))
        heat = line[3].imshow(row["probability"], extent=extent, cmap="magma", vmin=0, vmax=1)
        figure.colorbar(heat, ax=line[3], shrink=0.7)
        _label_map(line[4], row, extent)
        line[0].set_ylabel(row["title"])
        for axis in line:
            axis.set(xticks=[], yticks=[])
    for axis, title in zip(axes[0], panels, strict=True):
        axis.set_title(title)
    return figure


def _label_map(axis, row: dict, extent: tuple) -> None:
    """The map of most probable classes, its commonest six classes coloured and named below."""
    values, counts = np.unique(row["label"], return_counts=True)
    common = values[np.argsort(-counts, kind="stable")][:6]
    index = np.full(row["label"].shape, len(common))
    for k, value in enumerate(common):
        index[row["label"] == value] = k
    colours = [*COLOURS[: len(common)], "0.85"]
    axis.imshow(
        index, extent=extent, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5, interpolation="nearest"
    )
    names = [str(row["names"][int(value)]).split(",")[0] for value in common] + ["other"] * (len(values) > len(common))
    handles = [plt.Rectangle((0, 0), 1, 1, color=colours[k]) for k in range(len(names))]
    axis.legend(
        handles,
        names,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=2,
        fontsize=8,
        frameon=False,
        handlelength=0.8,
    )


def signed(values: np.ndarray) -> np.ndarray:
    """A signed (H, W, 3) signal as a picture: zero is grey, the 99.5th percentile of its size full contrast."""
    top = np.quantile(np.abs(values), 0.995) or np.abs(values).max()
    return np.clip(0.5 + values / (2 * top), 0, 1) if top > 0 else np.full_like(values, 0.5)


def table(rows, position: str) -> list[dict]:
    """The numbers behind `occlusion`: one entry a picture and square, named by its `position` in the grid."""
    return [
        {
            "title": row["title"].replace("\n", " "),
            position: k,
            "activity": a,
            "probability": p,
            "label": row["names"][int(c)],
        }
        for row in rows
        for k, (a, p, c) in enumerate(
            zip(row["activation"].flat, row["probability"].flat, row["label"].flat, strict=True)
        )
    ]
