"""Curves over noise levels, patch sides and layers: plain rows in, a matplotlib figure out."""

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing import dots
from lib.drawing.style import COLOURS, WIDTH

STYLES = ("-", "--", ":")
LINES = (("0.25", "--"), (COLOURS[0], "-"), (COLOURS[5], "-"))


def lines(rows: list[dict], xlabel: str, ylabel: str, *, height: float = 3.4, base: float | None = None) -> Figure:
    """Curves with a panel for each `panel`, a colour for each `name` and a dash for each `group`.

    rows: dicts with panel, name, x, value and, where there are, group, seed, low, high. Thick: the mean over seeds;
    thin: each seed; a band from low to high. x is a number, or a word: words stand side by side as they come.
    A dotted line at `base`. Curves follow the order of the rows; all panels share their vertical axis.
    """
    panels, names = (list(dict.fromkeys(row[key] for row in rows)) for key in ("panel", "name"))
    groups = list(dict.fromkeys(row.get("group") for row in rows))
    down = -(-len(panels) // 2)
    figure, axes = plt.subplots(down, 2, figsize=(0.75 * WIDTH, 0.8 * height * down + 0.5), sharey=True, squeeze=False)
    for panel, axis in zip(panels, axes.flat, strict=False):
        words = list(dict.fromkeys(r["x"] for r in rows if r["panel"] == panel and isinstance(r["x"], str)))
        for row_name in names:
            for group in groups:
                mine = [r for r in rows if (r["panel"], r["name"], r.get("group")) == (panel, row_name, group)]
                if mine:
                    place = {word: k for k, word in enumerate(words)}
                    _curve(axis, mine, place, COLOURS[names.index(row_name)], STYLES[groups.index(group)])
        axis.set_title(panel)
        if base is not None:
            axis.axhline(base, color="0.35", lw=0.8, ls=(0, (1, 2)))
        if words:
            axis.set_xticks(range(len(words)), words, fontsize=min(8, 54 / len(words)))  # eight fit side by side
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel(ylabel)
    figure.supxlabel(xlabel, fontsize="medium")
    if len(names) > 1 and names != panels:
        for name, colour in zip(names, COLOURS, strict=False):
            axes[0, 0].plot([], [], color=colour, label=name)
    for group, style in zip(groups, STYLES, strict=False):
        if group is not None and len(groups) > 1:
            axes[0, 0].plot([], [], color="0.2", ls=style, label=group)
    if axes[0, 0].get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper center", ncols=6 if len(names) == 6 and len(groups) == 1 else 4)
    return figure


def multiples(rows: list[dict], xlabel: str, ylabel: str, *, across: int = 4, base: float | None = None) -> Figure:
    """Small multiples: a panel for each `panel`, a line for each `name`, the mean over seeds in a band from the lowest
    to the highest of them. rows: dicts with panel, name, seed, x, value. A dotted line at `base`."""
    panels, names = (list(dict.fromkeys(row[key] for row in rows)) for key in ("panel", "name"))
    down = -(-len(panels) // across)
    options = {"figsize": (WIDTH, 1.75 * down + 0.6), "sharex": True, "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(down, min(across, len(panels)), **options)
    for panel, axis in zip(panels, axes.flat, strict=False):
        for k, name in enumerate(names):
            mine = [row for row in rows if (row["panel"], row["name"]) == (panel, name)]
            xs = list(dict.fromkeys(row["x"] for row in mine))
            each = [[row["value"] for row in mine if row["x"] == x] for x in xs]
            limits = [min(some) for some in each], [max(some) for some in each]
            means = [sum(some) / len(some) for some in each]
            label = name if axis is axes[0, 0] else None
            dots.curve(axis, xs, means, *limits, colour=LINES[k][0], ls=LINES[k][1], lw=1.6, label=label)
        axis.set_title(panel)
        if base is not None:
            axis.axhline(base, color="0.35", lw=0.8, ls=(0, (1, 2)))
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    figure.supxlabel(xlabel, fontsize="medium")
    figure.supylabel(ylabel, fontsize="medium")
    figure.legend(loc="outside upper center", ncols=len(names))
    return figure


def _curve(axis, rows: list[dict], place: dict, colour: str, style: str) -> None:
    xs = list(dict.fromkeys(row["x"] for row in rows))
    at = [place.get(x, x) for x in xs]
    seeds = list(dict.fromkeys(row.get("seed") for row in rows))
    values = [[row["value"] for row in rows if row["x"] == x] for x in xs]
    means, limits = [sum(some) / len(some) for some in values], ()
    if "low" in rows[0]:
        limits = [row["low"] for row in rows], [row["high"] for row in rows]
    dots.curve(axis, at, means, *limits, colour=colour, ls=style, lw=1.8, marker="o", ms=2.5)
    for seed in seeds if len(seeds) > 1 else ():
        of_seed = [row["value"] for row in rows if row.get("seed") == seed]
        axis.plot(at, of_seed, color=colour, ls=style, lw=0.3, alpha=0.4, antialiased=False)
