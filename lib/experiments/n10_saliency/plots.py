"""Figures of notebook 10, apart from computing: each takes rows (dicts of plain values) or pictures."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing import dots, grids, style

LOOK = {  # colour, marker and line of each rule or reference, the same in every figure
    "gradient": (style.COLOURS[0], "o", "-"),
    "deconvnet": (style.COLOURS[1], "s", "--"),
    "guided": (style.COLOURS[2], "^", "-."),
    "random order": ("0.35", "D", ":"),
    "random direction": ("0.35", "D", ":"),
}
LAYOUT = {"width": style.WIDTH, "gap": 0.08, "turned": True, "font": 8}  # of a grid of pictures


def signals(rows: list[list[np.ndarray | None]], row_titles, column_titles, gaps=()) -> Figure:
    """Pictures (H, W, 3) and signed signals of the same shape: the first of each row is a picture, the rest are
    signals, grey where they are zero, each with its own scale. None leaves a place empty; gaps: columns after which one
    is left."""
    shown = [[one if one is None or c == 0 else grids.signed(one) for c, one in enumerate(row)] for row in rows]
    return grids.grid(shown, row_titles, column_titles, wider=gaps, **LAYOUT)[0]


def maps(panels: list[list[dict]]) -> Figure:
    """Photographs and the signals of three rules, whole: for each photograph a row for each network. panels: for each
    network, for each photograph, what lib.experiments.n10_saliency.measures.photograph gives. A signal is signed: grey
    where it is zero, brighter or darker in a colour where more or less of that colour would raise the score; each has
    its own scale, full contrast at the 99.5th percentile of its size."""
    rows = [one for photo in zip(*panels, strict=True) for one in photo]
    rules = list(rows[0]["signals"])
    shown = [[one["picture"], *(_signed(each, one["why"]) for each in one["signals"].values())] for one in rows]
    titles = [f"{one['network']}\n{one['class']}" for one in rows]
    size = grids.size(rows[0]["picture"], style.WIDTH)
    figure, axes = grids.grid(shown, titles, ["photograph", *rules], below=1, turned=True, font=8, gap=0.08, **size)
    for (r, c), axis in axes.items():
        if c and rows[r]["grids"][rules[c - 1]] is not None:
            axis.set_xlabel(f"grid {rows[r]['grids'][rules[c - 1]]:.2f}", fontsize=8, labelpad=2)
    return figure


def _signed(signal: np.ndarray | None, why: str) -> np.ndarray | str:
    return why if signal is None else grids.signed(signal)


def curves(rows: list[dict], ylabel: str) -> Figure:
    """A panel for each `name`, a line for each `order`: the mean over seeds, and a band from the lowest to the highest
    seed. rows: dicts with name, seed, order, share, probability."""
    names, orders, seeds = (dots.unique(rows, key) for key in ("name", "order", "seed"))
    down = -(-len(names) // 3)
    figure, axes = plt.subplots(
        down, 3, figsize=(0.8 * style.WIDTH, 1.4 * down + 0.5), sharex=True, sharey=True, squeeze=False
    )
    for axis, name in zip(axes.flat, names, strict=False):
        for order in orders:
            here = [[row["probability"] for row in rows if (row["name"], row["order"], row["seed"]) == (name, order, s)]
                    for s in seeds]  # fmt: skip
            if not here[0]:
                continue
            colour, _, line = LOOK[order]
            x = np.linspace(0, 1, len(here[0]))
            dots.curve(axis, x, np.mean(here, 0), np.min(here, 0), np.max(here, 0), colour=colour, band=0.2, ls=line)
        axis.set_title(name)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    for order in orders:
        axes[0, 0].plot([], [], color=LOOK[order][0], ls=LOOK[order][2], label=order)
    axes[0, 0].set(xlim=(0, 1), ylim=(0, 1))
    figure.supxlabel("share of pixels greyed out", fontsize=9)
    figure.supylabel(ylabel, fontsize=9)
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def masks(rows: list[dict], reference: dict[str, float]) -> Figure:
    """A panel for each `measure`: dots with intervals for every network and rule; a grey tick where the same maps score
    with other images' masks; a dashed line for the `reference`, a map that never looks at the image."""
    groups, names = dots.unique(rows, "group"), dots.unique(rows, "name")
    look = {group: LOOK[group][:2] for group in groups}
    layout = {"size": (style.WIDTH, 0.62 * len(names) + 1.2), "spread": 0.8, "step": 0.2 / len(groups)}
    figure, axes = dots.panels(rows, "measure", look=look, ms=3, **layout)
    first = next(iter(axes.values()))
    for measure, axis in axes.items():
        others = [
            row | dict.fromkeys(("value", "low", "high"), row["others"]) for row in rows if row["measure"] == measure
        ]
        grey = dict.fromkeys(groups, ("0.45", "|"))
        dots.mark(axis, others, grey, names=names, spread=layout["spread"], step=layout["step"])
        axis.axvline(reference[measure], color="black", lw=1, ls="--")
        axis.set(xlabel=measure, xlim=(0, 1))
    first.plot([], [], "|", color="0.45", label="other images' masks")
    first.plot([], [], "--", color="black", lw=1, label="centred Gaussian")
    figure.legend(loc="outside upper center", ncols=5)
    return figure


def randomised(rows: list[dict]) -> Figure:
    """A column of panels for each `name`; in the rows, likeness (`measure`) for each `how`. A line for each rule with
    its interval, and a thin line at the likeness of maps of different images."""
    names = dots.unique(rows, "name")
    titles = {("spearman", "cascading"): "rank correlation\n(from the top)"}
    titles |= {("spearman", "independent"): "rank correlation\n(one layer)"}
    titles |= {("ssim", "cascading"): "SSIM\n(from the top)"}
    figure, axes = plt.subplots(
        3, len(names), figsize=(0.9 * style.WIDTH, 3.7), sharex=True, sharey=True, squeeze=False
    )
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name)
    for line, (measure, how) in zip(axes, titles, strict=True):
        for axis, name in zip(line, names, strict=True):
            chosen = [row for row in rows if (row["name"], row["measure"], row["how"]) == (name, measure, how)]
            for rule in dots.unique(chosen, "group"):
                here, (colour, marker, dash) = [row for row in chosen if row["group"] == rule], LOOK[rule]
                columns = ([row[key] for row in here] for key in ("share", "value", "low", "high"))
                dots.curve(axis, *columns, colour=colour, band=0.2, ls=dash, marker=marker, ms=3, lw=1.2)
                axis.axhline(here[0]["null"], color=colour, lw=0.7, ls=dash)
        line[0].set_ylabel(titles[measure, how], fontsize=8)
    axes[0, 0].set(ylim=(min(0, *(row["low"] for row in rows)), 1.02), xlim=(0, 1.05))
    axes[0, 0].set_xticks([0, 0.5, 1], ["0", "½", "1"])
    for rule in dots.unique(rows, "group"):
        axes[0, 0].plot([], [], color=LOOK[rule][0], ls=LOOK[rule][2], marker=LOOK[rule][1], ms=3, label=rule)
    axes[0, 0].plot([], [], color="0.35", lw=0.7, label="maps of different images (thin)")
    figure.supxlabel("how far down, as a share of the layers with weights (0: scores, 1: input)", fontsize=9)
    figure.legend(loc="outside upper center", ncols=4)
    return figure
