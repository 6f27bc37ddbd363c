"""Drawing of notebook 11: images of units side by side, and who recognises them."""

import numpy as np
from matplotlib.figure import Figure

from lib.drawing import dots, grids, style
from lib.experiments.shared.recognised import Judged
from lib.methods.ascent.maximise import Maximised
from lib.networks.interface import to_pictures


def images(
    rows: dict[str, Maximised | Judged | np.ndarray], titles, side: float = 128 / 150
) -> tuple[Figure, list[dict]]:
    """A row of pictures for each entry, `side` inches each or, if they are large, one dot a pixel; and the objective at
    the start and in the end.

    rows: what `maximise` gave (its first len(titles) images), judged images (the first start of each class), or
    pictures (n, H, W, 3) uint8; only what was made by exciting a network has numbers.
    """
    read = {name: _row(row) for name, row in rows.items()}
    shown = [list(pictures[: len(titles)]) for pictures, *_ in read.values()]
    size = grids.size(shown[0][0], 0)
    figure, _ = grids.grid(shown, list(read), titles, side=size.get("side", side))
    numbers = [
        {"row": name.replace("\n", " "), "unit": title, "first": float(a), "last": float(b)}
        for name, (_, first, last) in read.items()
        for title, a, b in zip(titles, first, last, strict=False)
    ]
    return figure, numbers


def _row(row) -> tuple:
    """Pictures, and the objective before the first and before the last step (judged images: after it)."""
    if isinstance(row, Maximised):
        return to_pictures(row.images), row.values[0].cpu().numpy(), row.values[-1].cpu().numpy()
    if isinstance(row, Judged):
        k = np.unique(row.targets, return_index=True)[1]
        if row.before is None:
            return row.pictures[k], (), ()
        return row.pictures[k], row.before[k, row.targets[k]], row.activation[k]
    return row, (), ()


def judged(rows: list[dict], lines: dict[str, float], chance: float = 0.1, width: float = style.WIDTH) -> Figure:
    """Two panels with a line for each `name`: shares of judges on the left, the last of the groups on the right.

    rows: dicts with name, group, value, low, high. lines: group -> the value of real pictures, drawn dashed.
    """
    groups, names = dots.unique(rows, "group"), dots.unique(rows, "name")
    rows = [row | {"panel": row["group"] == groups[-1]} for row in rows]
    layout = {"size": (width, 0.32 * len(names) + 1.3), "ratios": (2, 1), "spread": 0.3 * (1 - 1 / len(groups))}
    figure, axes = dots.panels(rows, "panel", ms=5, **layout)
    left, right = axes[False], axes[True]
    for group, (colour, _) in dots.looks(groups).items():
        dots.refer(right if group == groups[-1] else left, {"": lines[group]}, color=colour)
    left.plot([], [], color="0.35", lw=1, ls="--", label="test pictures")
    dots.refer(left, {"chance": chance}, ls=":")
    left.set(xlim=(0, 1), xlabel="share of images assigned to the target class")
    right.set(xlabel=f"{groups[-1]}, share", xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=3)
    return figure
