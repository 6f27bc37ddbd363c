"""Figures of notebook 10, apart from computing: each takes rows (dicts of plain values) or pictures."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing import grids
from lib.drawing import style as drawing_style

LOOK = {  # colour, marker and line of each rule or reference, the same in every figure
    "gradient": (drawing_style.COLOURS[0], "o", "-"),
    "deconvnet": (drawing_style.COLOURS[1], "s", "--"),
    "guided": (drawing_style.COLOURS[2], "^", "-."),
    "random order": ("0.35", "D", ":"),
    "random direction": ("0.35", "D", ":"),
}
HEIGHT = 0.8  # of a family's row that its dots may take


def _unique(rows: list[dict], key: str) -> list:
    return list(dict.fromkeys(row[key] for row in rows))


def signals(rows: list[list[np.ndarray | None]], row_titles, column_titles, gaps=()) -> Figure:
    """Pictures (H, W, 3) and signed signals of the same shape: the first of each row is a picture, the rest are
    signals, grey where they are zero, each with its own scale (in 17 levels a colour, so that the file stays small).
    None leaves a place empty; gaps: columns after which one is left."""
    figure, axes = _grid(len(rows), len(column_titles), row_titles, column_titles, gaps)
    for row, line in zip(rows, axes, strict=True):
        for c, (axis, values) in enumerate(zip(line, row, strict=True)):
            if values is not None:
                axis.imshow(values if c == 0 else np.round(grids.signed(values) * 16) / 16)
    return figure


def maps(columns: list[list[dict]], part: int) -> Figure:
    """Photographs, a row each, and their saliency maps, three columns a network. columns: for each network, for each
    photograph, what lib.experiments.n10_saliency.measures.photograph gives. Of the maps only the middle `part` x `part`
    pixels are shown, framed in the photograph, black where they are largest (above the map's 99.5th percentile)."""
    rows, rules = list(zip(*columns, strict=True)), list(columns[0][0]["maps"])
    titles = ["photograph"] + [
        f"{'' if k else one[0]['network']}\n{rule}" for one in columns for k, rule in enumerate(rules)
    ]
    gaps = range(0, len(rules) * len(columns), len(rules))
    figure, axes = _grid(len(rows), len(titles), [row[0]["photo"] for row in rows], titles, gaps, 1.3)
    for row, line in zip(rows, axes, strict=True):
        picture = row[0]["picture"]
        line[0].imshow(picture)
        corner = (len(picture) - part) // 2 - 0.5
        line[0].add_patch(plt.Rectangle((corner, corner), part, part, fill=False, color="white", lw=1))
        every = [(one, rule) for one in row for rule in rules]
        for axis, (one, rule) in zip(line[1:], every, strict=True):
            if (values := one["maps"][rule]) is not None:
                first = (len(values) - part) // 2
                shown = np.clip(values / (np.quantile(values, 0.995) or 1), 0, 1)[first:, first:][:part, :part]
                axis.imshow(np.round(shown * 4) / 4, cmap="gray_r", vmin=0, vmax=1)
                name = one["class"] if rule == rules[0] else ""
                axis.set_xlabel(f"grid {one['grids'][rule]:.2f}\n{name}", fontsize=8)
    return figure


def _grid(down: int, across: int, row_titles, column_titles, gaps, tall: float = 1.04):
    widths = [1.0 + (0.25 if c in gaps else 0) for c in range(across)]
    side = drawing_style.WIDTH / (sum(widths) + 0.45)
    figure, axes = plt.subplots(
        down, across, figsize=(drawing_style.WIDTH, side * down * tall + 0.45), squeeze=False,
        gridspec_kw={"width_ratios": widths},
    )  # fmt: skip
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[], anchor="W")
        axis.spines[:].set_visible(False)
    for axis, title in zip(axes[:, 0], row_titles, strict=True):
        axis.set_ylabel(title, fontsize=8)
    for axis, title in zip(axes[0], column_titles, strict=True):
        axis.set_title(title, fontsize=8.5)
    return figure, axes


def curves(rows: list[dict], ylabel: str) -> Figure:
    """A panel for each `name`, a line for each `order`: the mean over seeds, and a band from the lowest to the highest
    seed. rows: dicts with name, seed, order, share, probability."""
    names, orders, seeds = (_unique(rows, key) for key in ("name", "order", "seed"))
    down = -(-len(names) // 3)
    figure, axes = plt.subplots(
        down, 3, figsize=(0.8 * drawing_style.WIDTH, 1.4 * down + 0.5), sharex=True, sharey=True, squeeze=False
    )
    for axis, name in zip(axes.flat, names, strict=False):
        for order in orders:
            here = [[row["probability"] for row in rows if (row["name"], row["order"], row["seed"]) == (name, order, s)]
                    for s in seeds]  # fmt: skip
            if not here[0]:
                continue
            colour, _, line = LOOK[order]
            x = np.linspace(0, 1, len(here[0]))
            axis.fill_between(x, np.min(here, 0), np.max(here, 0), color=colour, alpha=0.2, lw=0)
            axis.plot(x, np.mean(here, 0), color=colour, ls=line)
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
    names, groups, measures = (_unique(rows, key) for key in ("name", "group", "measure"))
    figure, axes = plt.subplots(
        1, len(measures), figsize=(drawing_style.WIDTH, 0.62 * len(names) + 1.2), sharey=True, squeeze=False
    )
    for axis, measure in zip(axes[0], measures, strict=True):
        for row in (row for row in rows if row["measure"] == measure):
            place = groups.index(row["group"]) - (len(groups) - 1) / 2
            y = names.index(row["name"]) + HEIGHT * (place + 0.25 * (row["seed"] - 1)) / len(groups)
            colour, marker, _ = LOOK[row["group"]]
            axis.plot([row["low"], row["high"]], [y, y], color=colour, lw=1)
            axis.plot(row["value"], y, marker, color=colour, ms=3)
            axis.plot(row["others"], y, "|", color="0.45", ms=4)
        axis.axvline(reference[measure], color="black", lw=1, ls="--")
        axis.set(xlabel=measure, xlim=(0, 1), ylim=(len(names) - 0.5, -0.5))
        axis.set_yticks(range(len(names)), names)
    for group in groups:
        axes[0, 0].plot([], [], LOOK[group][1], color=LOOK[group][0], ms=4, label=group)
    axes[0, 0].plot([], [], "|", color="0.45", label="other images' masks")
    axes[0, 0].plot([], [], "--", color="black", lw=1, label="centred Gaussian")
    figure.legend(loc="outside upper center", ncols=5)
    return figure


def randomised(rows: list[dict]) -> Figure:
    """A column of panels for each `name`; in the rows, likeness (`measure`) for each `how`. A line for each rule with
    its interval, and a thin line at the likeness of maps of different images."""
    names = _unique(rows, "name")
    titles = {("spearman", "cascading"): "rank correlation\n(from the top)"}
    titles |= {("spearman", "independent"): "rank correlation\n(one layer)"}
    titles |= {("ssim", "cascading"): "SSIM\n(from the top)"}
    figure, axes = plt.subplots(
        3, len(names), figsize=(0.9 * drawing_style.WIDTH, 3.7), sharex=True, sharey=True, squeeze=False
    )
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name)
    for line, (measure, how) in zip(axes, titles, strict=True):
        for axis, name in zip(line, names, strict=True):
            chosen = [row for row in rows if (row["name"], row["measure"], row["how"]) == (name, measure, how)]
            for rule in _unique(chosen, "group"):
                here, (colour, marker, style) = [row for row in chosen if row["group"] == rule], LOOK[rule]
                x = [row["share"] for row in here]
                axis.fill_between(
                    x, [row["low"] for row in here], [row["high"] for row in here], color=colour, alpha=0.2, lw=0
                )
                axis.plot(x, [row["value"] for row in here], color=colour, ls=style, marker=marker, ms=3, lw=1.2)
                axis.axhline(here[0]["null"], color=colour, lw=0.7, ls=style)
        line[0].set_ylabel(titles[measure, how], fontsize=8)
    axes[0, 0].set(ylim=(min(0, *(row["low"] for row in rows)), 1.02), xlim=(0, 1.05))
    axes[0, 0].set_xticks([0, 0.5, 1], ["0", "½", "1"])
    for rule in _unique(rows, "group"):
        axes[0, 0].plot([], [], color=LOOK[rule][0], ls=LOOK[rule][2], marker=LOOK[rule][1], ms=3, label=rule)
    axes[0, 0].plot([], [], color="0.35", lw=0.7, label="maps of different images (thin)")
    figure.supxlabel("how far down, as a share of the layers with weights (0: scores, 1: input)", fontsize=9)
    figure.legend(loc="outside upper center", ncols=4)
    return figure
