"""Figures of notebook 09."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from lib.drawing import grids, style


def occlusion(rows, width: float = style.WIDTH + 1.5) -> Figure:
    """Zeiler & Fergus Fig 7, one row a picture. Each row is a dict: image (H, W, 3), activation (h, w), projection
    (H, W, 3), probability (h, w), label (h, w) integers, names {integer: name}, title, box (side of the square in
    pixels, for scale); where there is no activation or projection, a string says why."""
    panels = ("picture", "activity of the\nstrongest map", "deconvnet projection\nof that map")
    panels += ("probability of\nthe class", "most probable\nclass")
    figure, axes = plt.subplots(len(rows), 5, figsize=(width, width / 5 * 1.12 * len(rows) + 0.3), squeeze=False)
    for row, line in zip(rows, axes, strict=True):
        height, across = row["image"].shape[:2]
        extent = (-0.5, across - 0.5, height - 0.5, -0.5)
        line[0].imshow(row["image"])
        line[0].add_patch(plt.Rectangle((0, 0), row["box"], row["box"], color="0.5"))
        if isinstance(row["activation"], str):
            _empty(line[1], row["activation"], across, height)
        else:
            heat = line[1].imshow(row["activation"], extent=extent, cmap="viridis")
            figure.colorbar(heat, ax=line[1], shrink=0.7)
        if isinstance(row["projection"], str):
            _empty(line[2], row["projection"], across, height)
        else:
            line[2].imshow(grids.signed(row["projection"]))
        heat = line[3].imshow(row["probability"], extent=extent, cmap="magma", vmin=0, vmax=1)
        figure.colorbar(heat, ax=line[3], shrink=0.7)
        _label_map(line[4], row, extent)
        line[0].set_ylabel(row["title"])
        for axis in line:
            axis.set(xticks=[], yticks=[])
    for axis, title in zip(axes[0], panels, strict=True):
        axis.set_title(title)
    return figure


def _empty(axis, why: str, across: int, height: int) -> None:
    """A panel as large as the picture with the sentence that says why nothing is drawn in it."""
    axis.imshow(np.ones((height, across, 3)))
    axis.text(across / 2, height / 2, grids.wrapped(why, 1.2, 6), ha="center", va="center", fontsize=6, color="0.35")


def _label_map(axis, row: dict, extent: tuple) -> None:
    """The map of most probable classes, its commonest six classes coloured and named below."""
    values, counts = np.unique(row["label"], return_counts=True)
    common = values[np.argsort(-counts, kind="stable")][:6]
    index = np.full(row["label"].shape, len(common))
    for k, value in enumerate(common):
        index[row["label"] == value] = k
    colours = [*style.COLOURS[: len(common)], "0.85"]
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


def table(rows, position: str) -> list[dict]:
    """The numbers behind `occlusion`: one entry a picture and square, named by its `position` in the grid; the activity
    is empty where there is none."""
    found = []
    for row in rows:
        none = np.full(row["probability"].shape, np.nan)
        activity = none if isinstance(row["activation"], str) else row["activation"]
        cells = zip(activity.flat, row["probability"].flat, row["label"].flat, strict=True)
        for k, (a, p, c) in enumerate(cells):
            line = {"title": row["title"].replace("\n", " "), position: k, "activity": a, "probability": p}
            found.append(line | {"label": row["names"][int(c)]})
    return found
