"""Drawing for notebook 07: patches side by side, fields by depth, and what the patches of units share."""

import numpy as np
from matplotlib import patheffects
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing import dots, grids, style
from lib.experiments.n07_patches.measures import ASPECTS
from lib.methods.receptive import strongest_patches

GAP = 0.06  # between patches, in patch widths


def cells(
    found: list[list[strongest_patches.Patch]], pictures: np.ndarray, most: int = 36, fill: float = 0.5, steps: int = 10
) -> list[list]:
    """Each patch cut from pictures (N, H, W, 3) in [0, 1], averaged down to at most `most` pixels a side, in so many
    steps of each colour."""
    return [
        [_smaller(strongest_patches.cut(pictures[one.image], one.window, fill), most, steps) for one in row]
        for row in found
    ]


def _smaller(picture: np.ndarray, most: int, steps: int = 10) -> np.ndarray:
    """Means of blocks of pixels, in few steps of each colour so that files stay small; rows and columns that fill
    no block are cropped, half on either side."""
    step = -(-max(picture.shape[:2]) // most)
    (top, rows), (left, columns) = ((n % step // 2, n // step) for n in picture.shape[:2])
    picture = picture[top : top + rows * step, left : left + columns * step]
    return np.round(picture.reshape(rows, step, columns, step, 3).mean((1, 3)) * steps) / steps


def rows(
    found: list[list[strongest_patches.Patch]],
    pictures: np.ndarray,
    titles: list[str],
    width: float = style.WIDTH - 0.4,
    most: int = 36,
    steps: int = 10,
) -> Figure:
    """Girshick et al. 2014, Figure 4: a row a unit, its patches from the strongest on, the answer printed in white.
    most: pixels of a patch's side; steps: of each colour."""
    figure, axes = grids.grid(cells(found, pictures, most, steps=steps), titles, width=width, gap=0.025, font=8)
    for (r, c), axis in axes.items():
        answer = found[r][c].value
        shown = f"{answer:.3g}" if abs(answer) < 100 else f"{answer:.0f}"
        text = axis.text(0.04, 0.04, shown, color="white", fontsize=6.2, va="bottom", transform=axis.transAxes)
        text.set_path_effects([patheffects.withStroke(linewidth=1.4, foreground="black")])
    return figure


def _frame(axis, across: float, down: int) -> None:
    axis.set(xlim=(-GAP, across * (1 + GAP)), ylim=(down * (1 + GAP), -GAP), xticks=[], aspect="equal")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)


def tuned(groups: dict[str, list[dict]], pictures: np.ndarray, across: int = 2, width: float = style.WIDTH) -> Figure:
    """Lists of units side by side: {title: units} as `measures.tuned` gives them; pictures (N, H, W, 3)."""
    figure, axes = plt.subplots(1, len(groups), figsize=(width, 0.395 * len(next(iter(groups.values()))) + 0.5))
    for axis, (title, units) in zip(np.atleast_1d(axes), groups.items(), strict=True):
        for r, unit in enumerate(units):
            for c, one in enumerate(unit["pictures"][:across]):
                x, y = c * (1 + GAP), r * (1 + GAP)
                axis.imshow(_smaller(pictures[one], 22), extent=(x, x + 1, y + 1, y))
            for c, (share, name) in enumerate(zip(unit["shares"], unit["names"], strict=True)):
                x, y = (across + c * 1.35) * (1 + GAP), r * (1 + GAP)
                axis.add_patch(plt.Rectangle((x, y), 1.36, 1, color=plt.cm.Blues(0.75 * share), lw=0))
                axis.text(x + 0.68, y + 0.5, f"{share:.2f}\n{name}", ha="center", va="center", fontsize=6.3)
        _frame(axis, across + 1.35 * 4, len(units))
        axis.set_yticks([r * (1 + GAP) + 0.5 for r in range(len(units))], [unit["unit"] for unit in units])
        for c, aspect in enumerate(ASPECTS):
            axis.text((across + c * 1.35) * (1 + GAP) + 0.68, -0.12, aspect, ha="center", fontsize=7)
        axis.set_title(title, pad=12)
    return figure


def fields(rows: list[dict], last: dict[str, tuple], width: float = style.WIDTH) -> Figure:
    """Sizes of receptive fields by depth, a column a network, and below it the gradient energy of the last convolution
    (its square root, in blocks of 2x2 pixels).

    rows: dicts with name, state, layer, inside, effective; last: {name: (energy (H, W), rectangle that can be seen)}.
    """
    names = list(last)
    figure, axes = plt.subplots(2, len(names), figsize=(width, 3.9), height_ratios=(1.4, 1), squeeze=False)
    for name, above, below in zip(names, *axes, strict=True):
        for k, state in enumerate(dict.fromkeys(row["state"] for row in rows)):
            own = [row for row in rows if row["name"] == name and row["state"] == state]
            x = [int(row["layer"].removeprefix("conv")) for row in own]
            if k == 0:
                above.plot(x, [row["inside"] for row in own], "k--", lw=1, label="theoretical, inside the picture")
            above.plot(x, [row["effective"] for row in own], "os"[k] + "-", color=style.COLOURS[k], ms=3.5, label=state)
        above.set(title=name, ylim=(0, 1.05 * max(row["inside"] for row in rows)), xlim=(0.7, 5.3), xticks=range(1, 6))
        above.tick_params(labelleft=above is axes[0, 0])
        energy, (top, left, bottom, right) = last[name]
        blocks = energy[: len(energy) // 2 * 2, : energy.shape[1] // 2 * 2]
        blocks = np.sqrt(blocks.reshape(len(blocks) // 2, 2, -1, 2).mean((1, 3)))
        extent = (-0.5, 2 * blocks.shape[1] - 0.5, 2 * len(blocks) - 0.5, -0.5)
        below.imshow(np.round(blocks / max(blocks.max(), 1e-30) * 31) / 31, extent=extent, cmap="magma", vmin=0, vmax=1)
        low, tall = (left - 0.5, top - 0.5), (right - left, bottom - top)
        below.add_patch(plt.Rectangle(low, *tall, fill=False, ec="white", lw=1.2, ls="--"))
        below.set(xticks=[], yticks=[])
    axes[0, 0].set_ylabel("side of the field, pixels")
    axes[0, 0].set_xlabel("convolution")
    axes[1, 0].set_ylabel("energy, last\nconvolution")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def aspects(rows: list[dict], width: float = style.WIDTH) -> Figure:
    """Mean shares with intervals; rows: dicts with panel, name, group, value, low, high, chance."""
    figure, axes = dots.panels(
        rows, "panel", size=(width, 2.9), look=dots.looks(ASPECTS), upright=True, spread=0.68, ms=4.5
    )
    for k, (title, axis) in enumerate(axes.items()):
        chance = next(row["chance"] for row in rows if row["panel"] == title)
        dots.refer(axis, {"sixteen pictures drawn at random" if k == 0 else "": chance}, upright=True)
        axis.set(title=title, ylim=(0, 1))
        axis.tick_params(axis="x", rotation=20)
    axes[rows[0]["panel"]].set_ylabel("largest share that agrees")
    figure.legend(loc="outside upper center", ncols=5)
    return figure


def table(layer: str, units: list[int], found: list[list[strongest_patches.Patch]]) -> list[dict]:
    """The numbers behind a figure of patches, a row a patch."""
    columns = ("top", "left", "bottom", "right")
    return [
        {"layer": layer, "unit": unit, "rank": rank, "image": one.image, "position": one.position, "value": one.value}
        | dict(zip(columns, one.window, strict=True))
        for unit, row in zip(units, found, strict=True)
        for rank, one in enumerate(row, 1)
    ]
