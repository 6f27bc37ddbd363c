"""Drawing of notebook 11: images of units side by side, and who recognises them."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing import style
from lib.experiments.shared.recognised import Judged
from lib.methods.ascent.maximise import Maximised
from lib.networks.interface import to_pictures

LEVELS = 6  # levels of a picture's colours: noise of 256 would make files of a megabyte


def images(
    rows: dict[str, Maximised | Judged | np.ndarray], titles, side: float = 128 / 150, levels: int = LEVELS
) -> tuple[Figure, list[dict]]:
    """A row of pictures, `side` inches each, for each entry; and the objective at the start and in the end.

    rows: what `maximise` gave (its first len(titles) images), judged images (the first start of each class), or
    pictures (n, H, W, 3) uint8, which have no numbers. Each picture is drawn with `levels` levels a colour.
    """
    longest = max(len(line) for name in rows for line in name.split("\n"))
    label, gap, top = 0.25 + 0.078 * longest, 0.06, 0.26
    width, height = label + len(titles) * (side + gap), top + len(rows) * (side + gap)
    figure, numbers = plt.figure(figsize=(width, height)), []
    figure.set_layout_engine("none")
    for r, (name, row) in enumerate(rows.items()):
        pictures, first, last = _row(row)
        bottom = height - top - (r + 1) * (side + gap)
        figure.text((label - 0.1) / width, (bottom + side / 2) / height, name, ha="right", va="center")
        for c in range(len(titles)):
            place = ((label + c * (side + gap)) / width, bottom / height, side / width, side / height)
            axis = figure.add_axes(place, xticks=[], yticks=[], frame_on=False)
            axis.imshow(_coarse(pictures[c], levels))
            if r == 0:
                axis.set_title(titles[c], loc="center", pad=3)
        numbers += [
            {"row": name.replace("\n", " "), "unit": title, "first": float(a), "last": float(b)}
            for title, a, b in zip(titles, first, last, strict=False)
        ]
    return figure, numbers


def _coarse(picture: np.ndarray, levels: int) -> np.ndarray:
    """A picture (H, W, 3) uint8 in so many levels between its smallest and its largest value."""
    low = int(picture.min())
    step = max(1.0, (int(picture.max()) - low) / (levels - 1))
    return np.round(low + np.round((picture - low) / step) * step).clip(0, 255).astype(np.uint8)


def _row(row) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures, and the objective before the first and before the last step (judged images: after it)."""
    if isinstance(row, Maximised):
        return to_pictures(row.images), row.values[0].cpu().numpy(), row.values[-1].cpu().numpy()
    if isinstance(row, Judged):
        k = np.unique(row.targets, return_index=True)[1]
        return row.pictures[k], row.before[k, row.targets[k]], row.after[k, row.targets[k]]
    return row, np.array([]), np.array([])


def judged(rows: list[dict], lines: dict[str, float], chance: float = 0.1, width: float = style.WIDTH) -> Figure:
    """Two panels with a line for each `name`: shares of judges on the left, the last of the groups on the right.

    rows: dicts with name, group, value, low, high. lines: group -> the value of real pictures, drawn dashed.
    """
    names, groups = (list(dict.fromkeys(row[key] for row in rows)) for key in ("name", "group"))
    figure, axes = plt.subplots(
        1, 2, sharey=True, figsize=(width, 0.32 * len(names) + 1.3), gridspec_kw={"width_ratios": (2, 1)}
    )
    for row in rows:
        g, right = groups.index(row["group"]), row["group"] == groups[-1]
        y = names.index(row["name"]) + (0 if right else 0.3 * (g - (len(groups) - 2) / 2) / len(groups))
        axes[int(right)].plot([row["low"], row["high"]], [y, y], color=style.COLOURS[g], lw=1.4)
        axes[int(right)].plot(row["value"], y, "os^D"[g], color=style.COLOURS[g], ms=5)
    for g, group in enumerate(groups):
        axes[0].plot([], [], "os^D"[g], color=style.COLOURS[g], ms=5, label=group)
        axes[int(g == len(groups) - 1)].axvline(lines[group], color=style.COLOURS[g], lw=1, ls="--")
    axes[0].plot([], [], color="0.35", lw=1, ls="--", label="test pictures")
    axes[0].axvline(chance, color="0.35", lw=1, ls=":", label="chance")
    axes[0].set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5), xlim=(0, 1))
    axes[0].set_xlabel("share of images assigned to the target class")
    axes[1].set(xlabel=f"{groups[-1]}, share", xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=3)
    return figure
