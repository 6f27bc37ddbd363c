"""Dots with intervals: `mark` draws them all; around it panels, reference lines, curves with bands, and stacked bars.

Rows are dicts with name, group, value, low, high and, where there are, seed and hollow: a line of the plot for each
`name`, a colour and a mark for each `group`, dots for each `seed` beside each other.
"""

import itertools

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing import style

MARKS = "os^DvP"
DASHES = ("--", ":", "-.", "-")


def unique(rows: list[dict], key: str) -> list:
    """The values of `key` in the order in which they come; [None] where no row has it."""
    return list(dict.fromkeys(row.get(key) for row in rows))


def looks(groups) -> dict:
    """{group: (colour, mark)}, as far as there are colours."""
    return dict(zip(groups, zip(style.COLOURS, itertools.cycle(MARKS), strict=False), strict=False))


def mark(
    axis, rows: list[dict], look: dict, *, names=None, upright=False, spread=0.42, step=0.06, ms=4.0, joined=False
) -> None:
    """Each row's value as a mark and its interval as a line, at the place of its name.

    look: {group: (colour, mark)}; names: the places, by default those of the rows. upright: values go up, names stand
    side by side. Groups share the part `spread` of a place, the seeds of a group stand `step` apart. ms: size of the
    marks, points; joined: a line through the dots of each group. Rows with a true `hollow` are drawn hollow.
    """
    names = names or unique(rows, "name")
    groups, placed = [group for group in look if group in unique(rows, "group")], {}
    for row in rows:
        g, mine = groups.index(row["group"]), [one for one in rows if one["name"] == row["name"]]
        seeds = unique([one for one in mine if one["group"] == row["group"]], "seed")
        place = names.index(row["name"]) + spread * (g - (len(groups) - 1) / 2) / len(groups)
        place += step * (seeds.index(row.get("seed")) - (len(seeds) - 1) / 2)
        placed.setdefault(row["group"], []).append((place, row))
    for group, mine in placed.items():
        (colour, shape), places = look[group], [place for place, _ in mine]
        (axis.vlines if upright else axis.hlines)(
            places, *([row[key] for _, row in mine] for key in ("low", "high")), color=colour, lw=1.2
        )
        for hollow in dict.fromkeys(bool(row.get("hollow")) for _, row in mine):
            here = [(place, row["value"]) for place, row in mine if bool(row.get("hollow")) == hollow]
            x, y = zip(*(one if upright else one[::-1] for one in here), strict=True)
            line = {"ls": "-" if joined else "", "lw": 1, "mfc": "white" if hollow else colour}
            axis.plot(x, y, marker=shape, color=colour, ms=ms, **line)
    if upright:
        axis.set(xticks=range(len(names)), xticklabels=names)
    else:
        axis.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))


def panels(
    rows: list[dict],
    panel: str | None = None,
    *,
    size: tuple[float, float],
    look: dict | None = None,
    labels: dict | None = None,
    ratios=None,
    figure=None,
    upright: bool = False,
    **options,
) -> tuple[Figure, dict]:
    """Dots in a panel for each value of the column `panel` (one without it), side by side: the figure and {value:
    axis}.

    size: inches; look: {group: (colour, mark)}; labels: what the legend calls groups, {} for none of them; ratios: of
    the panels' widths; figure: a part of one to draw into; options: of `mark`.
    """
    shown, look = unique(rows, panel) if panel else [None], look or looks(unique(rows, "group"))
    figure = figure or plt.figure(figsize=size)
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False, width_ratios=ratios)[0]
    for value, axis in zip(shown, axes, strict=True):
        mine = [row for row in rows if not panel or row[panel] == value]
        mark(axis, mine, look, names=unique(rows, "name"), upright=upright, **options)
    for group, label in ({group: group for group in look} if labels is None else labels).items():
        colour, shape = look[group]
        axes[0].plot([], [], shape, color=colour, ms=options.get("ms", 4.0), label=label)
    return figure, dict(zip(shown, axes, strict=True))


def refer(axis, lines: dict[str, float], upright: bool = False, **look) -> None:
    """Lines across an axis for the legend, {label: value}, grey, each dashed in its own way."""
    draw = axis.axhline if upright else axis.axvline
    for k, (label, value) in enumerate(lines.items()):
        draw(value, **({"color": "0.35", "lw": 1, "ls": DASHES[k % 4], "label": label} | look))


def dots(rows: list[dict], xlabel: str, lines: dict | None = None, limits=None, width: float = style.WIDTH) -> Figure:
    """Dots with intervals, a line of the plot for each `name`, a colour for each `group`, a dot for each `seed`.

    rows: dicts with name, group, seed, value, low, high. lines: label -> value drawn across the plot.
    """
    figure, axes = panels(rows, size=(width, 0.5 * len(unique(rows, "name")) + 1.2))
    refer(axes[None], lines or {})
    axes[None].set(xlabel=xlabel, xlim=limits)
    figure.legend(loc="outside upper center", ncols=5)
    return figure


def spread(rows: list[dict], ylabel: str, width: float = style.WIDTH) -> Figure:
    """Values with intervals beside each other: a place on the x axis for each `name`, a colour for each `group`.

    rows: dicts with name, group, value, low, high.
    """
    figure, axes = panels(rows, size=(width, 3.0), upright=True, spread=0.3)
    axes[None].set_ylabel(ylabel)
    figure.legend(loc="outside upper center", ncols=5)
    return figure


def curve(axis, x, value, low=None, high=None, *, colour, band: float = 0.15, **line) -> None:
    """A line through values (n,) at x (n,), and a band from low to high (n,) where they are given."""
    axis.plot(x, value, color=colour, **line)
    if low is not None:
        axis.fill_between(x, low, high, color=colour, alpha=band, lw=0)


def shares(rows: list[dict], xlabel: str, width: float = style.WIDTH) -> Figure:
    """Stacked bars of shares, one a `name`, a colour for each `group`: means over seeds. Ticks: where the parts end
    for each seed.

    rows: dicts with name, group, seed, value.
    """
    names, groups = unique(rows, "name"), unique(rows, "group")
    figure, axis = plt.subplots(figsize=(width, 0.5 * len(names) + 1.2))
    for y, name in enumerate(names):
        ends = np.zeros(len(unique(rows, "seed")))
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
