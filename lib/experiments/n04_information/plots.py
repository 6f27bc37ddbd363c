"""The figures of notebook 04, apart from computing: each takes plain arrays or rows and returns a matplotlib figure."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

from lib.drawing import dots
from lib.drawing.style import COLOURS, WIDTH

KINDS = {"intra": COLOURS[0], "inter": COLOURS[5]}
MARKS = "osD^vPX*"


def pairs(groups: list[dict], width: float = WIDTH) -> Figure:
    """Figure 8 of Palacio et al. with real pictures. Each group: title, pictures (2, H, W, 3), made (2, H, W, 3), intra
    (two numbers) and inter (one number)."""
    grid = {"width_ratios": [1, 0.6, 1, 0.3] * len(groups), "height_ratios": [1, 0.35, 1]}
    side = width / (2.9 * len(groups))
    figure, axes = plt.subplots(3, 4 * len(groups), figsize=(width, 2.35 * side + 0.5), gridspec_kw=grid)
    for axis in axes.flat:
        axis.set_axis_off()
    for g, group in enumerate(groups):
        block = axes[:, 4 * g : 4 * g + 3]
        for row, name in ((0, "a"), (2, "b")):
            title = f"{subscript(group['title'])}$(x_{name})$"
            panels = ((group["pictures"][row // 2], f"$x_{name}$"), (group["made"][row // 2], title))
            for axis, (picture, title) in zip(block[row, ::2], panels, strict=True):
                axis.imshow(picture)
                axis.set_title(title, loc="center")
            _arrow(block[row, 0], block[row, 2], (1.04, 0.5), (-0.04, 0.5), "intra")
            block[row, 1].text(0.5, 0.55, "intra", ha="center", va="bottom", color=KINDS["intra"])
            block[row, 1].text(
                0.5, 0.45, f"{group['intra'][row // 2]:.2f}", ha="center", va="top", color=KINDS["intra"]
            )
        _arrow(block[0, 2], block[2, 2], (0.7, -0.04), (0.7, 1.24), "inter")
        block[1, 2].text(0.62, 0.5, f"inter {group['inter']:.2f}", ha="right", va="center", color=KINDS["inter"])
    return figure


def _arrow(one, two, start: tuple, end: tuple, kind: str) -> None:
    style = {"arrowstyle": "<->", "color": KINDS[kind], "lw": 1.5, "mutation_scale": 12}
    arrow = ConnectionPatch(start, end, "axes fraction", "axes fraction", axesA=one, axesB=two, **style)
    arrow.set_in_layout(False)
    one.figure.add_artist(arrow)


def partners(shown: list[dict], width: float = WIDTH) -> Figure:
    """Above: partners of one picture, (H, W, 3); below: joint histograms (bins, bins) of the green channels, the first
    picture's levels to the right. Each of `shown` has name, picture, joint, value (nMI)."""
    figure, axes = plt.subplots(2, len(shown), figsize=(width, 2 * width / len(shown) + 0.55))
    for one, (above, below) in zip(shown, axes.T, strict=True):
        above.imshow(one["picture"])
        above.set_title(f"{one['name']}\nnMI {one['value']:.2f}", loc="center", fontsize=8)
        below.imshow(np.log1p(one["joint"]).T, origin="lower", cmap="Greys", vmin=0)
        for axis in (above, below):
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(True)
    axes[1, 0].set_xlabel("green of the picture →", fontsize=8)
    axes[1, 0].set_ylabel("green of its partner →", fontsize=8)
    return figure


def curves(rows: list[dict], ylabels: dict[str, str], width: float = WIDTH) -> Figure:
    """A measure against the number of bins: a panel for each `group`, a line with a band of one sd for each `name`.

    rows: dicts with name, group, bins, value, sd."""
    figure, axes = plt.subplots(1, len(ylabels), figsize=(width, 3.0), sharey=True)
    for axis, (group, ylabel) in zip(axes, ylabels.items(), strict=True):
        for k, name in enumerate(dict.fromkeys(row["name"] for row in rows)):
            mine = [row for row in rows if row["name"] == name and row["group"] == group]
            x, value, sd = (np.array([row[key] for row in mine]) for key in ("bins", "value", "sd"))
            line = {"marker": MARKS[k], "label": name if axis is axes[0] else None}
            dots.curve(axis, x, value, value - sd, value + sd, colour=COLOURS[k], **line)
        axis.set_xscale("log", base=2)
        axis.set(xticks=x, xticklabels=x, xlabel="bins", ylabel=ylabel, ylim=(-0.05, 1.05))
        axis.minorticks_off()
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def levels(rows: list[dict], paper: dict[str, tuple], width: float = WIDTH) -> Figure:
    """Figure 9: mean and sd of intra and inter nMI, here (every seed) and in the paper, side by side.

    rows: name, group, seed, value, sd; paper: {name: (intra or None, inter)}, whose names that are ours too stand in
    our order. Dotted: inter nMI of the originals.
    """
    figure, (here, there) = plt.subplots(1, 2, figsize=(width, 3.4), width_ratios=(2.2, 1))
    look = {"intra": (KINDS["intra"], "o"), "inter": (KINDS["inter"], "s")}
    ours = [row | {"low": row["value"] - row["sd"], "high": row["value"] + row["sd"]} for row in rows]
    dots.mark(here, ours, look, upright=True, spread=0.6, step=0.08)
    theirs = [
        {"name": name, "group": kind, "value": value, "low": value, "high": value}
        for name in dict.fromkeys([*(name for name in dots.unique(rows, "name") if name in paper), *paper])
        for kind, value in zip(KINDS, paper[name], strict=False)
        if value is not None
    ]
    dots.mark(there, theirs, look, upright=True, spread=0.4)
    originals = [row["value"] for row in rows if (row["name"], row["group"]) == ("none", "inter")]
    for value in originals:
        here.axhline(value, color="0.6", lw=0.8, ls=":", zorder=0)
    for kind, (colour, shape) in look.items():
        here.plot([], [], shape, color=colour, ms=4, label=kind)
    for axis, shown, text in ((here, rows, "here: mean ± sd"), (there, theirs, "the paper, read off Fig 9")):
        axis.set(xticklabels=[subscript(name) for name in dots.unique(shown, "name")], title=text, ylabel="nMI")
        axis.set_ylim(0, None)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def subscript(name: str) -> str:
    """A_V as mathematical text."""
    return f"${name.replace('_', '_{')}}}$".replace("_{", "_\\mathrm{") if "_" in name else name


def agreement(rows: list[dict], panels: list[dict], width: float = WIDTH) -> Figure:
    """Two readings of the classifiers against each other. Small marks: seeds; letters: all seeds together; boxes and
    squares: networks whose first layer steps over pixels.

    rows: letter, seed (a number or "all"), coarse, and the columns that `panels` (dicts of x, y, xlabel, ylabel, title)
    name.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(width, 3.4), squeeze=False)
    letters = list(dict.fromkeys(row["letter"] for row in rows))
    for axis, panel in zip(axes[0], panels, strict=True):
        for row in rows:
            x, y, colour = row[panel["x"]], row[panel["y"]], COLOURS[letters.index(row["letter"]) % len(COLOURS)]
            axis.plot(x, y, "s" if row["coarse"] else "o", color=colour, ms=4, mew=0, alpha=0.8)
            if row["seed"] == "all":
                box = {"boxstyle": f"{'square' if row['coarse'] else 'circle'},pad=0.2", "fc": "white", "ec": colour}
                axis.text(x, y, row["letter"], ha="center", va="center", bbox=box, fontsize=9)
        axis.margins(0.12)
        axis.set(**{key: panel[key] for key in ("xlabel", "ylabel", "title")})
    return figure


def growth(rows: list[dict], families: dict[str, str], width: float = WIDTH) -> Figure:
    """nMI against steps of tuning, a panel for intra and one for inter, a line for every family.

    rows: family, steps, intra, inter. families: {family: title}.
    """
    figure, axes = plt.subplots(1, 2, figsize=(width, 3.2))
    ticks = sorted({row["steps"] for row in rows})
    for axis, kind in zip(axes, KINDS, strict=True):
        for k, (family, title) in enumerate(families.items()):
            mine = [row for row in rows if row["family"] == family]
            x, y = [ticks.index(row["steps"]) for row in mine], [row[kind] for row in mine]
            axis.plot(x, y, marker=MARKS[k], color=COLOURS[k], ms=4, lw=1.2, label=title if axis is axes[0] else None)
        labels = [f"{tick:,}" for tick in ticks]
        axis.set(xticks=range(len(ticks)), xticklabels=labels, xlabel="steps of tuning", ylabel=f"mean {kind} nMI")
        axis.set_ylim(0, 1.08 * max(row[kind] for row in rows))
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def stamp(rows: list[dict], grids: list[dict], base: float, width: float = WIDTH) -> Figure:
    """Inter nMI against the strength of a checkerboard: a line for one that was added, marks for those of every A_i.

    rows: amplitude, value, sd (the line and its band); grids: letter, amplitude, value;
    base: inter nMI of the originals, dotted."""
    figure, axis = plt.subplots(figsize=(width, 3.2))
    x, value, sd = (np.array([row[key] for row in rows]) for key in ("amplitude", "value", "sd"))
    dots.curve(axis, x, value, value - sd, value + sd, colour="0.3", band=0.12, label="added to A_S")
    letters = list(dict.fromkeys(row["letter"] for row in grids))
    for row in grids:
        axis.plot(
            row["amplitude"], row["value"], "o", ms=5, color=COLOURS[letters.index(row["letter"]) % len(COLOURS)], mew=0
        )
    for k, letter in enumerate(letters):
        axis.plot([], [], "o", color=COLOURS[k % len(COLOURS)], ms=4, label=subscript(f"A_{letter}"))
    axis.axhline(base, color="0.6", lw=0.8, ls=":", label="originals")
    axis.set_xscale("symlog", linthresh=1)
    axis.set(xlabel="amplitude of the checkerboard, 8-bit steps", ylabel="mean inter nMI")
    ticks = [tick for tick in (0, 0.5, 1, 2, 4, 8, 16, 32, 64) if tick <= x.max()]
    axis.set(xticks=ticks, xticklabels=ticks, ylim=(0, None), xlim=(-0.1, 1.1 * max(ticks)))
    axis.minorticks_off()
    figure.legend(loc="outside upper center", ncols=5)
    return figure
