"""Drawing, apart from computing: every function takes plain arrays and returns a matplotlib figure.

Pictures are never interpolated; heat maps of one figure share their scale; colours come from lib/companion.mplstyle.
"""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

WIDTH = 8.0  # inches, the width of a figure in a notebook
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")  # Okabe and Ito


def pictures(rows, row_titles=(), column_titles=(), outlines=None, width: float = WIDTH) -> Figure:
    """A grid of pictures: `rows` is a list of lists of (H, W, 3) arrays; `outlines` masks of the same layout, or None."""
    across = max(len(row) for row in rows)
    side = width / (across + 0.6 * bool(len(row_titles)))
    figure, axes = plt.subplots(len(rows), across, figsize=(width, side * len(rows) + 0.25 * bool(len(column_titles))), squeeze=False)
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


def dots(names, groups: dict, xlabel: str, lines: dict | None = None, width: float = WIDTH, limits=None) -> Figure:
    """Dots with intervals, one row a name: `groups` maps a label to a list (one entry a name) of lists of (value, low, high),
    usually one per seed; `lines` maps a label to a value drawn across the plot."""
    figure, axis = plt.subplots(figsize=(width, 0.55 * len(names) + 1.2))
    offsets = np.linspace(-0.24, 0.24, len(groups)) if len(groups) > 1 else [0.0]
    for g, (label, entries) in enumerate(groups.items()):
        for row, values in enumerate(entries):
            for s, (value, low, high) in enumerate(values):
                y = row + offsets[g] + 0.07 * (s - (len(values) - 1) / 2)
                axis.plot([low, high], [y, y], color=COLOURS[g], lw=1.2)
                axis.plot(value, y, "os^Dv"[g], color=COLOURS[g], ms=4, label=label if row == s == 0 else None)
    for k, (label, value) in enumerate((lines or {}).items()):
        axis.axvline(value, color="0.35", lw=1, ls=("--", ":", "-.", "-")[k % 4], label=label)
    axis.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5), xlabel=xlabel)
    if limits:
        axis.set_xlim(*limits)
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def shares(names, parts: dict, seeds: dict, xlabel: str, chance: float | None = None, width: float = WIDTH) -> Figure:
    """Stacked bars, one a name: `parts` maps a label to a mean share a name; `seeds` maps it to (n names, n seeds) shares."""
    figure, axis = plt.subplots(figsize=(width, 0.5 * len(names) + 1.2))
    left = np.zeros(len(names))
    for k, (label, values) in enumerate(parts.items()):
        colour = COLOURS[k] if k < 3 else "0.8"
        axis.barh(range(len(names)), values, left=left, color=colour, height=0.6, label=label)
        for row in range(len(names)):
            each = left[row] + np.asarray(seeds[label][row])
            axis.plot(each, np.full(len(each), row) + np.linspace(-0.15, 0.15, len(each)), "|", color="black", ms=6)
        left = left + values
    if chance is not None:
        axis.axvline(chance, color="0.35", lw=1, ls="--", label="chance for one cue")
    axis.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5), xlabel=xlabel, xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=5)
    return figure


def spread(labels, groups: dict, ylabel: str, null=None, width: float = WIDTH) -> Figure:
    """Values with intervals beside each other: `groups` maps a label to a list (one entry a label of the x axis) of
    (value, low, high); `null` is a (low, high) band drawn in grey."""
    figure, axis = plt.subplots(figsize=(width, 3.0))
    offsets = np.linspace(-0.2, 0.2, len(groups)) if len(groups) > 1 else [0.0]
    for g, (label, entries) in enumerate(groups.items()):
        x = np.arange(len(labels)) + offsets[g]
        value, low, high = np.array(entries, float).T
        axis.vlines(x, low, high, color=COLOURS[g], lw=1.4)
        axis.plot(x, value, "os^Dv"[g], color=COLOURS[g], ms=5, label=label)
    if null is not None:
        axis.axhspan(*null, color="0.88", zorder=0, label="null, 95 %")
    axis.set(xticks=range(len(labels)), xticklabels=labels, ylabel=ylabel)
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def occlusion(rows, titles, width: float = WIDTH + 1.5) -> Figure:
    """Zeiler & Fergus Fig 7, one row a picture. Each row is a dict: image (H, W, 3), activation (h, w), projection (H, W, 3),
    probability (h, w), label (h, w) integers, names {integer: name}, title, box (side of the square in pixels, for scale)."""
    panels = ("picture", "activity of the strongest\nmap, per square", "what that map responds to\n(deconvnet)")
    panels += ("probability of the\ntrue class", "most probable class")
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
    for axis, title in zip(axes[0], titles or panels, strict=False):
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
    axis.imshow(index, extent=extent, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5, interpolation="nearest")
    names = [str(row["names"][int(value)]).split(",")[0] for value in common] + ["other"] * (len(values) > len(common))
    handles = [plt.Rectangle((0, 0), 1, 1, color=colours[k]) for k in range(len(names))]
    axis.legend(handles, names, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, fontsize=6, frameon=False, handlelength=0.8)


def signed(values: np.ndarray) -> np.ndarray:
    """A signed (H, W, 3) signal as a picture: zero is grey, the largest magnitude full contrast."""
    top = np.abs(values).max()
    return np.clip(0.5 + values / (2 * top), 0, 1) if top > 0 else np.full_like(values, 0.5)


def heatmaps(images, maps, masks, titles, colour_label: str, width: float = WIDTH) -> Figure:
    """Pictures above their maps, on one colour scale; `masks` (H, W) outline the object on both."""
    figure, axes = plt.subplots(2, len(images), figsize=(width, width / len(images) * 2 + 0.5), squeeze=False)
    low, high = min(np.min(m) for m in maps), max(np.max(m) for m in maps)
    for axis, image, mask, title in zip(axes[0], images, masks, titles, strict=True):
        axis.imshow(image)
        axis.contour(mask, levels=[0.5], colors="white", linewidths=1)
        axis.set_title(title)
    for axis, values, mask in zip(axes[1], maps, masks, strict=True):
        heat = axis.imshow(values, cmap="magma", vmin=low, vmax=high)
        axis.contour(mask, levels=[0.5], colors="white", linewidths=1)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.colorbar(heat, ax=axes[1].tolist(), label=colour_label, shrink=0.9)
    return figure
