"""Line diagrams of concept lattices (Fig 7 of Palacio et al. 2018), and levels and chains at every threshold."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing.style import COLOURS, WIDTH
from lib.experiments.n03_order.plots import letters, signal_names
from lib.methods.signals import total_order


def places(lattice: list[total_order.Concept], reach: int = 3, sweeps: int = 6) -> np.ndarray:
    """Where the concepts stand in a line diagram: (concepts, 2), x centred, y the longest way from the bottom.

    x moves on a grid of half units, one concept after the other, to where concepts keep their distance, no line runs
    through another concept, few lines cross, and lines are short.
    """
    lines, y = total_order.covers(lattice), np.zeros(len(lattice))
    for low, high in sorted(lines, key=lambda line: len(lattice[line[0]].extent)):
        y[high] = max(y[high], y[low] + 1)
    x = np.zeros(len(lattice))
    for level in np.unique(y):
        here = np.flatnonzero(y == level)
        x[here] = 1.5 * (np.arange(len(here)) - (len(here) - 1) / 2)
    if total_order.is_chain(lattice):
        return np.c_[x, y]
    ends = np.array(lines)
    same = (y[:, None] == y) & ~np.eye(len(y), dtype=bool)
    apart = [(a, b) for k, a in enumerate(lines) for b in lines[:k] if not set(a) & set(b)]
    pairs = np.array(apart) if apart else np.zeros((0, 2, 2), dtype=int)

    def cost(x):
        close = np.maximum(0, 1.5 - np.abs(x[:, None] - x))[same].sum()
        low, high = ends.T
        with np.errstate(invalid="ignore", divide="ignore"):
            at = (y[:, None] - y[low]) / (y[high] - y[low])  # how far up each line every concept stands
        beside = np.abs(x[low] + at * (x[high] - x[low]) - x[:, None])
        through = np.maximum(0, 0.5 - beside)[(at > 0) & (at < 1)].sum()
        bottom, top = np.maximum(*y[pairs[:, :, 0]].T), np.minimum(*y[pairs[:, :, 1]].T)

        def left(height):  # which of two lines is left of the other at a height
            one, two = (
                x[pair[:, 0]] + (height - y[pair[:, 0]]) / (y[pair[:, 1]] - y[pair[:, 0]]) * np.diff(x[pair])[:, 0]
                for pair in (pairs[:, 0], pairs[:, 1])
            )
            return one - two

        cross = ((bottom < top) & (left(bottom) * left(top) < 0)).sum()
        return 40 * close + 40 * through + 4 * cross + ((x[low] - x[high]) ** 2).sum() + 0.1 * (x**2).sum()

    widest = np.unique(y, return_counts=True)[1].max()
    reach = max(reach, int(np.ceil(0.75 * (widest - 1))))  # room for all of a level
    grid = np.arange(-reach, reach + 0.5, 0.5)
    for _ in range(sweeps):
        for node in range(len(x)):
            tried = np.tile(x, (len(grid), 1))
            tried[:, node] = grid
            x = tried[np.argmin([cost(one) for one in tried])]
    return np.c_[x, y]


def diagram(axis, lattice: list[total_order.Concept], families) -> None:
    """The line diagram of a lattice. Left of a concept stand the signals that it is the highest to have (all concepts
    below it are of those who read them), right of it the classifiers that it is the lowest to hold."""
    where, names, readers = places(lattice), signal_names(families), letters(families)
    for low, high in total_order.covers(lattice):
        axis.plot(*where[[low, high]].T, color="0.5", lw=1, zorder=1)
    axis.plot(*where.T, "o", color=COLOURS[0] if total_order.is_chain(lattice) else COLOURS[5], ms=7, zorder=3)
    highest = [max((c for c in lattice if i in c.intent), key=lambda c: len(c.extent)) for i in range(len(names))]
    lowest = [max((c for c in lattice if j in c.extent), key=lambda c: len(c.intent)) for j in range(len(readers))]
    for concept, place in zip(lattice, where, strict=True):
        for texts, home, side, align in ((names, highest, -6, "right"), (readers, lowest, 6, "left")):
            mine = [text for text, its in zip(texts, home, strict=True) if its == concept]
            text = "\n".join(" ".join(mine[k : k + 3]) for k in range(0, len(mine), 3))
            white = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
            if text:
                options = {"textcoords": "offset points", "ha": align, "va": "center", "fontsize": 8, "bbox": white}
                axis.annotate(text, place, (side, 0), zorder=2, **options)
    spread = max(1.0, np.abs(where[:, 0]).max() + 0.6)
    axis.set(xticks=[], yticks=[], xlim=(-spread, spread), ylim=(-0.4, where[:, 1].max() + 0.4))
    axis.spines[:].set_visible(False)


def spread(rrc, shares=(0.1, 0.25, 0.5, 0.75)) -> list[float]:
    """Thresholds below which these shares of the RRCs of others' signals lie: where the relation is neither empty nor
    full."""
    return np.quantile(np.asarray(rrc)[~np.eye(len(rrc), dtype=bool)], shares).tolist()


def lattices(rrc, thresholds, families, across: int = 3) -> Figure:
    """Fig 7: the lattice at each threshold, `across` of them side by side, the lowest first."""
    thresholds = sorted(thresholds)
    found = [total_order.concepts(total_order.context(rrc, threshold)) for threshold in thresholds]
    levels, down = max(places(lattice)[:, 1].max() for lattice in found), -(-len(thresholds) // across)
    size = (WIDTH, down * (1.2 + 0.32 * levels))
    figure, axes = plt.subplots(down, min(across, len(thresholds)), figsize=size, squeeze=False)
    for axis, threshold in zip(axes.flat, thresholds, strict=False):
        _lattice(axis, rrc, threshold, families)
    for axis in axes.flat[len(thresholds) :]:
        axis.set_visible(False)
    return figure


def _lattice(axis, rrc, threshold, families) -> None:
    lattice = total_order.concepts(total_order.context(rrc, threshold))
    diagram(axis, lattice, families)
    word = f"{len(lattice)} concepts, " + ("a chain" if total_order.is_chain(lattice) else "no chain")
    word = "one concept" if len(lattice) == 1 else word
    axis.set_title(f"t = {threshold:.3g}\n{word}", loc="center")


def lattice_rows(rrc, thresholds, families) -> list[dict]:
    """The concepts behind `lattices`."""
    rows, names = [], np.array(letters(families))
    for threshold in thresholds:
        for concept in total_order.concepts(total_order.context(rrc, threshold)):
            sides = {"classifiers": concept.extent, "signals": concept.intent}
            rows.append({"threshold": threshold} | {k: " ".join(names[sorted(v)]) for k, v in sides.items()})
    return rows


# ---------------------------------------------------------------------------------------------- every threshold


def thresholds(axis, scans: dict[str, list[total_order.Step]], least: int, top: int) -> None:
    """Distinct extents, up to `top`, at every threshold, a colour for each scan; thick where the lattice is a chain,
    dotted where not; bars below mark chains of at least `least` extents."""
    for k, (name, steps) in enumerate(scans.items()):
        colour, shift = COLOURS[k], 0.09 * (k - (len(scans) - 1) / 2)
        for step in steps:
            style = {"lw": 2.5, "ls": "-"} if step.chain else {"lw": 1.3, "ls": ":"}
            axis.plot([step.low, step.high], [step.extents + shift] * 2, color=colour, solid_capstyle="butt", **style)
            if step.chain and step.extents >= least:
                bar = {"color": colour, "lw": 4, "solid_capstyle": "butt"}
                axis.plot([step.low, step.high], [-0.2 - 0.055 * top * (k + 1)] * 2, **bar)
        axis.plot([], [], color=colour, lw=2.5, label=name)
    axis.axhline(0, color="0.7", lw=0.8)
    axis.set(xlim=(0, 1), ylim=(-0.6 - 0.055 * top * len(scans), top + 0.7), xlabel="threshold t")
    every = 1 if top < 6 else 2 if top < 13 else 5
    axis.set(ylabel="distinct extents", yticks=range(every, top + 1, every))


def _scans(rrcs: dict[str, np.ndarray]) -> tuple[dict[str, list[total_order.Step]], int, int]:
    """Scans, the fewest extents that count, and the most there are."""
    scans = {name: total_order.scan(rrc) for name, rrc in rrcs.items()}
    least = len(next(iter(rrcs.values()))) - 1
    return scans, least, max(step.extents for steps in scans.values() for step in steps)


def paper(rrcs: dict[str, np.ndarray], families) -> Figure:
    """The paper's finding: the four lattices of Fig 7 by the first of `rrcs`, and below every threshold between."""
    figure = plt.figure(figsize=(WIDTH, 5.6))
    grid = figure.add_gridspec(2, len(total_order.PAPER_THRESHOLDS), height_ratios=(1.25, 1))
    for k, threshold in enumerate(total_order.PAPER_THRESHOLDS):
        _lattice(figure.add_subplot(grid[0, k]), next(iter(rrcs.values())), threshold, families)
    axis = figure.add_subplot(grid[1, :])
    thresholds(axis, *_scans(rrcs))
    for threshold in total_order.PAPER_THRESHOLDS:
        axis.axvline(threshold, color="0.6", lw=0.8, ls="--", zorder=0)
    axis.legend(loc="upper left", bbox_to_anchor=(0.2, 1.0))
    return figure


def all_thresholds(rrcs: dict[str, np.ndarray]) -> Figure:
    """`thresholds` for several tables of RRCs {name: (k, k)}, a row each, with one scale; on the right, magnified, the
    thresholds from the smallest RRC on, below which all read all."""
    size = (WIDTH, 1.35 * len(rrcs) + 0.4)
    figure, axes = plt.subplots(
        len(rrcs), 2, figsize=size, sharex="col", sharey=True, width_ratios=(1, 2), squeeze=False
    )
    scans, least, top = _scans(rrcs)
    start = min(steps[0].high for steps in scans.values())
    for row, (name, steps) in zip(axes, scans.items(), strict=True):
        for axis in row:
            thresholds(axis, {name: steps}, least, top)
            axis.set(xlabel="threshold t" if name == list(rrcs)[-1] else "")
        row[0].set_title(name)
        row[1].set(xlim=(max(0, start - 0.05 * (1 - start)), 1), ylabel="")
    return figure


def scan_rows(rrcs: dict[str, np.ndarray]) -> list[dict]:
    """The numbers behind the plots of thresholds."""
    return [{"of": name} | step._asdict() for name, rrc in rrcs.items() for step in total_order.scan(rrc)]
