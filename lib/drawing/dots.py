"""Dots with intervals."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing import style


def dots(rows: list[dict], xlabel: str, lines: dict | None = None, limits=None, width: float = style.WIDTH) -> Figure:
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
        axis.plot([row["low"], row["high"]], [y, y], color=style.COLOURS[g], lw=1.2)
        axis.plot(row["value"], y, "os^Dv"[g], color=style.COLOURS[g], ms=4)
    for g, group in enumerate(groups):
        axis.plot([], [], "os^Dv"[g], color=style.COLOURS[g], ms=4, label=group)
    for k, (label, value) in enumerate((lines or {}).items()):
        axis.axvline(value, color="0.35", lw=1, ls=("--", ":", "-.", "-")[k % 4], label=label)
    axis.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5), xlabel=xlabel)
    if limits:
        axis.set_xlim(*limits)
    figure.legend(loc="outside upper center", ncols=5)
    return figure


def shares(rows: list[dict], xlabel: str, width: float = style.WIDTH) -> Figure:
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
            label, colour = group if y == 0 else None, (*style.COLOURS[:3], "0.8")[min(g, 3)]
            axis.barh(y, values.mean(), left=ends.mean(), color=colour, height=0.6, label=label)
            ends = ends + values
            if g < len(groups) - 1:
                axis.plot(ends, y + np.linspace(-0.15, 0.15, len(ends)), "|", color="black", ms=6)
    axis.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5), xlabel=xlabel, xlim=(0, 1))
    figure.legend(loc="outside upper center", ncols=5)
    return figure


def spread(rows: list[dict], ylabel: str, width: float = style.WIDTH) -> Figure:
    """Values with intervals beside each other: a place on the x axis for each `name`, a colour for each `group`.

    rows: dicts with name, group, value, low, high.
    """
    names, groups = (list(dict.fromkeys(row[key] for row in rows)) for key in ("name", "group"))
    figure, axis = plt.subplots(figsize=(width, 3.0))
    for row in rows:
        g = groups.index(row["group"])
        x = names.index(row["name"]) + 0.3 * (g - (len(groups) - 1) / 2) / len(groups)
        axis.vlines(x, row["low"], row["high"], color=style.COLOURS[g], lw=1.4)
        axis.plot(x, row["value"], "os^Dv"[g], color=style.COLOURS[g], ms=5)
    for g, group in enumerate(groups):
        axis.plot([], [], "os^Dv"[g], color=style.COLOURS[g], ms=5, label=group)
    axis.set(xticks=range(len(names)), xticklabels=names, ylabel=ylabel)
    figure.legend(loc="outside upper center", ncols=5)
    return figure
