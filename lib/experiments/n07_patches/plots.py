"""Drawing for notebook 07: patches side by side, fields by depth, and what the patches of units share."""

import numpy as np
from matplotlib import patheffects
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing import style
from lib.experiments.n07_patches.measures import ASPECTS
from lib.methods.receptive import strongest_patches

GAP = 0.06  # between patches, in patch widths


def cells(
    found: list[list[strongest_patches.Patch]], pictures: np.ndarray, most: int = 36, fill: float = 0.5
) -> list[list]:
    """Each patch cut from pictures (N, H, W, 3) in [0, 1], averaged down to at most `most` pixels a side."""
    return [
        [_smaller(strongest_patches.cut(pictures[one.image], one.window, fill), most) for one in row] for row in found
    ]


def _smaller(picture: np.ndarray, most: int) -> np.ndarray:
    """Means of blocks of pixels, in eleven steps of each colour so that files stay small; rows and columns that fill
    no block are cropped, half on either side."""
    step = -(-max(picture.shape[:2]) // most)
    (top, rows), (left, columns) = ((n % step // 2, n // step) for n in picture.shape[:2])
    picture = picture[top : top + rows * step, left : left + columns * step]
    return np.round(picture.reshape(rows, step, columns, step, 3).mean((1, 3)) * 10) / 10


def rows(
    found: list[list[strongest_patches.Patch]],
    pictures: np.ndarray,
    titles: list[str],
    width: float = style.WIDTH - 0.4,
) -> Figure:
    """Girshick et al. 2014, Figure 4: a row a unit, its patches from the strongest on, the answer printed in white."""
    across = max(len(row) for row in found)
    inch = (width - 0.8) / (across * (1 + GAP))
    figure, axis = plt.subplots(figsize=(width, inch * (1 + GAP) * len(found) + 0.1))
    for r, (row, drawn) in enumerate(zip(found, cells(found, pictures), strict=True)):
        _row(axis, drawn, r, [one.value for one in row])
    _frame(axis, across, len(found))
    axis.set_yticks([r * (1 + GAP) + 0.5 for r in range(len(found))], titles)
    return figure


def _row(axis, row: list, r: int, answers=()) -> None:
    for c, picture in enumerate(row):
        x, y = c * (1 + GAP), r * (1 + GAP)
        axis.imshow(picture, extent=(x, x + 1, y + 1, y))
        if len(answers):
            answer = f"{answers[c]:.3g}" if abs(answers[c]) < 100 else f"{answers[c]:.0f}"
            text = axis.text(x + 0.04, y + 0.96, answer, color="white", fontsize=6.2, va="bottom")
            text.set_path_effects([patheffects.withStroke(linewidth=1.4, foreground="black")])


def _frame(axis, across: float, down: int) -> None:
    axis.set(xlim=(-GAP, across * (1 + GAP)), ylim=(down * (1 + GAP), -GAP), xticks=[], aspect="equal")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)


def tuned(groups: dict[str, list[dict]], pictures: np.ndarray, across: int = 2, width: float = style.WIDTH) -> Figure:
    """Lists of units side by side: {title: units} as `maximal_claims.tuned` gives them; pictures (N, H, W, 3)."""
    figure, axes = plt.subplots(1, len(groups), figsize=(width, 0.395 * len(next(iter(groups.values()))) + 0.5))
    for axis, (title, units) in zip(np.atleast_1d(axes), groups.items(), strict=True):
        for r, unit in enumerate(units):
            _row(axis, [_smaller(pictures[one], 22) for one in unit["pictures"][:across]], r)
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
    panels = list(dict.fromkeys(row["panel"] for row in rows))
    figure, axes = plt.subplots(1, len(panels), figsize=(width, 2.9), sharey=True, squeeze=False)
    names = list(dict.fromkeys(row["name"] for row in rows))
    for axis, title in zip(axes[0], panels, strict=True):
        for row in (row for row in rows if row["panel"] == title):
            g = ASPECTS.index(row["group"])
            x = names.index(row["name"]) + 0.17 * (g - 1.5)
            axis.vlines(x, row["low"], row["high"], color=style.COLOURS[g], lw=1.4)
            axis.plot(x, row["value"], "os^D"[g], color=style.COLOURS[g], ms=4.5)
        axis.axhline(row["chance"], color="0.35", lw=1, ls="--", label="sixteen pictures drawn at random")
        axis.set(title=title, xticks=range(len(names)), ylim=(0, 1))
        axis.set_xticklabels(names, rotation=20)
    for g, group in enumerate(ASPECTS):
        axes[0, 0].plot([], [], "os^D"[g], color=style.COLOURS[g], ms=4.5, label=group)
    axes[0, 0].set_ylabel("largest share that agrees")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
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
