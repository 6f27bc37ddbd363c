"""Drawing the total order (notebook 03): tables of accuracies, sorted RRCs (Fig 6 of Palacio et al. 2018), what goes
with the order. Every function takes plain values and returns a figure or the rows behind it.
"""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import sem

from lib.drawing import dots
from lib.drawing.style import COLOURS, WIDTH
from lib.methods.signals import total_order
from lib.networks import readers


def signal_names(families) -> list[str]:
    """A_L, A_A, ... as mathematical text."""
    return [f"$A_{{{readers.letter(family)}}}$" for family in families]


def letters(families) -> list[str]:
    return [readers.letter(family) for family in families]


# ------------------------------------------------------------------------------------------------------- tables


def half_widths(values) -> np.ndarray:
    """Half the 95 % interval of means over n pictures, by the normal approximation: (..., n) -> (...)."""
    return 1.96 * sem(np.asarray(values, dtype=np.float64), axis=-1)


def heat(axis, values, texts, families) -> None:
    """A table (k, k) as colours with a text in every cell: signals A_i down, classifiers j across."""
    picture = axis.imshow(values, aspect="auto")
    for (i, j), text in np.ndenumerate(texts):
        dark = np.dot(picture.cmap(picture.norm(values[i, j]))[:3], (0.3, 0.59, 0.11)) < 0.5
        axis.text(j, i, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    axis.set(xticks=range(len(families)), xticklabels=letters(families), xlabel="classifier j")
    axis.set(yticks=range(len(families)), yticklabels=signal_names(families), ylabel="signal")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)


def table(tables, families) -> Figure:
    """Table 2: accuracies averaged over seeds, in percent; the colour says what share of its own reading a classifier
    keeps. tables (S, k, k, n) bool."""
    figure, axis = plt.subplots(figsize=(0.8 * WIDTH, 0.42 * len(families) + 0.9))
    values = tables.mean((0, -1))
    heat(axis, values / np.diagonal(values), [[f"{100 * v:.1f}" for v in row] for row in values], families)
    figure.colorbar(axis.images[0], ax=axis, label="share of the own reading")
    return figure


def table_rows(tables, families, seeds) -> list[dict]:
    """The numbers behind `table`, each seed alone as well."""
    parts = [("mean", tables.mean(0)), *zip(seeds, tables, strict=True)]
    return [
        {"seed": seed, "signal": signal, "classifier": reader, "accuracy": value, "half_width": half}
        for seed, part in parts
        for signal, values, halves in zip(letters(families), part.mean(-1), half_widths(part), strict=True)
        for reader, value, half in zip(letters(families), values, halves, strict=True)
    ]


def again(rows, moved: list[dict], families) -> Figure:
    """Rows of Table 2 of decoders that were tuned again, and by how much they moved: a line of panels for each network.

    rows: repeated.rows; moved: repeated.moved, fractions, drawn in points of accuracy."""
    mine = list(dict.fromkeys(row.family for row in rows))
    look = dots.looks(dict.fromkeys(row.title for row in rows))
    which = {"own": (COLOURS[5], "s"), "others": (COLOURS[0], "o")}
    figure, axes = plt.subplots(len(mine), 2, figsize=(WIDTH, 2.4 * len(mine) + 0.8), squeeze=False, sharex="col")
    lowest, highest = (100 * limit([row.hits.mean(-1) for row in rows]) for limit in (np.min, np.max))
    for (left, right), family in zip(axes, mine, strict=True):
        for row in (row for row in rows if row.family == family):
            colour, shape = look[row.title]
            left.plot(100 * row.hits.mean(-1), shape, color=colour, ms=5, mfc="none", label=row.title)
        left.set(title=f"the signal {signal_names([family])[0]}", ylabel="accuracy, %", xlabel="reader")
        left.set_xticks(range(len(families)), letters(families))
        left.set_ylim(lowest - 3, highest + 3)
        there = [
            row | {key: 100 * row[key] for key in ("value", "low", "high")} for row in moved if row["family"] == family
        ]
        dots.mark(right, there, which)
        dots.refer(right, {"": 0})
        right.set(title="differs from its row in Table 2 by", xlabel="points of accuracy")
    handles = dict(zip(*axes[0, 0].get_legend_handles_labels()[::-1], strict=True))
    for who, (colour, shape) in which.items():
        label = {"own": "right: its owner", "others": "right: the others, mean"}[who]
        handles[label] = axes[0, 1].plot([], [], shape, color=colour, ms=4)[0]
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=4)
    return figure


def again_rows(rows, moved: list[dict], families) -> list[dict]:
    """The numbers behind `again`."""
    names = letters(families)
    read = [
        {"signal": names[families.index(row.family)], "tuned": row.title, "reader": reader, "accuracy": value}
        for row in rows
        for reader, value in zip(names, row.hits.mean(-1), strict=True)
    ]
    differs = [
        {"signal": names[families.index(one["family"])], "tuned": one["name"], "reader": one["group"]}
        | {key: one[key] for key in ("value", "low", "high")}
        for one in moved
    ]
    keys = list(dict.fromkeys(key for row in read + differs for key in row))
    return [dict.fromkeys(keys, "") | row for row in read + differs]


def families_apart(across, apart, families) -> tuple[Figure, list[dict]]:
    """Left: accuracies across seeds, across (S, S - 1, k, k, n); right: distances of reconstructions by decoders of
    different seeds, apart (S, k, S, k, n). Returns the figure and its rows."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 0.45 * len(families) + 1.1))
    seeds = np.arange(len(apart))
    other = (seeds[:, None] != seeds)[:, None, :, None, None]
    far = (apart * other).sum((0, 2)) / other.sum()  # mean over ordered pairs of different seeds
    panels = (across.mean((0, 1, -1)), far.mean(-1))
    titles = ("accuracy of j of one seed on $A_i$ of another", "distance between reconstructions, two seeds")
    for axis, values, title in zip(axes, panels, titles, strict=True):
        heat(axis, values, [[f"{v:.3f}" for v in row] for row in values], families)
        axis.set_title(title)
    axes[1].set(xlabel="signal, other seed", xticklabels=signal_names(families))
    names = letters(families)
    rows = [
        {"signal": names[i], "other": names[j], "accuracy": panels[0][i, j], "distance": panels[1][i, j]}
        for i in range(len(names))
        for j in range(len(names))
    ]
    return figure, rows


# -------------------------------------------------------------------------------------------------------- Fig 6


def sorted_rrc(panels: dict[str, np.ndarray], families) -> Figure:
    """Fig 6: all RRCs (k, k) sorted, one panel for each title; shaded: the two widest gaps up to 1."""
    figure, axes = plt.subplots(len(panels), 1, figsize=(WIDTH, 2.5 * len(panels) + 0.2), squeeze=False)
    for axis, (title, rrc) in zip(axes[:, 0], panels.items(), strict=True):
        ranked = np.argsort(rrc, axis=None, kind="stable")
        rows, columns = np.unravel_index(ranked, rrc.shape)
        own, ranks, values = rows == columns, np.arange(len(ranked)), rrc.ravel()[ranked]
        gaps = total_order.gaps(rrc)
        for low, high in gaps:
            axis.axhspan(low, high, color="0.85", lw=0)
        axis.plot(ranks[~own], values[~own], "o", color=COLOURS[0], ms=4, label="another's signal")
        axis.plot(ranks[own], values[own], "s", color=COLOURS[1], ms=4, label="its own signal")
        names, readers = signal_names(families), letters(families)
        axis.set_xticks(ranks, [f"{names[i]}∘{readers[j]}" for i, j in zip(rows, columns, strict=True)], rotation=90)
        axis.set(ylabel="RRC", title=f"{title}; gaps " + " and ".join(f"{low:.3f} to {high:.3f}" for low, high in gaps))
        margin = 0.08 * np.ptp(values)
        axis.set(xlim=(-1, len(ranked)), ylim=(0 if values[0] < 0.5 else values[0] - margin, values[-1] + margin))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def rrc_rows(panels: dict[str, np.ndarray], families) -> list[dict]:
    """The numbers behind `sorted_rrc`."""
    names = letters(families)
    return [
        {"accuracies": title, "signal": names[i], "classifier": names[j], "rrc": value}
        for title, rrc in panels.items()
        for (i, j), value in np.ndenumerate(rrc)
    ]


# ----------------------------------------------------------------------------------------- what goes with the order


def separation(rows: list[dict]) -> Figure:
    """What each way of tuning does, a line a setting: the share of A_S's reading that the owner has (squares) and that
    the other readers have on average (dots), joined by a bar. rows: as from separation.readings."""
    families = list(dict.fromkeys(row["family"] for row in rows))
    settings = list(dict.fromkeys((row["group"], row["setting"]) for row in rows))
    places, at = {}, 0.0
    for k, key in enumerate(settings):
        at += 1.0 if k == 0 or settings[k - 1][0] == key[0] else 1.6
        places[key] = at
    figure, axes = plt.subplots(1, len(families), figsize=(WIDTH, 0.22 * at + 0.9), sharey=True, squeeze=False)
    for axis, family in zip(axes[0], families, strict=True):
        for row in (row for row in rows if row["family"] == family):
            y, own = places[row["group"], row["setting"]], row["own"] / row["base"]
            axis.plot([row["kept"], own], [y, y], color="0.85", lw=4, zorder=0)
            axis.plot([row["low"], row["high"]], [y, y], color=COLOURS[0], lw=1.2)
            axis.plot(row["kept"], y, "o", color=COLOURS[0], ms=5, label="other readers, mean")
            axis.plot(row["least"], y, "|", color=COLOURS[0], ms=8, label="the reader who loses most")
            axis.plot(own, y, "s", color=COLOURS[1], ms=5, label="its own classifier")
        axis.axvline(1, color="0.6", lw=0.8, ls=":")
        axis.set(title=family, xlabel="accuracy, share of that on A_S")
    axes[0, 0].set_yticks(list(places.values()), [name for _, name in settings])
    axes[0, 0].invert_yaxis()
    handles = dict(zip(*axes[0, 0].get_legend_handles_labels()[::-1], strict=True))
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=3)
    return figure


def against(readings: dict[str, np.ndarray], readable, families) -> Figure:
    """Readability of every signal (S, k) against readings of the classifiers {name: (S, k) or (k,)}: a small mark for
    each seed, a large one for the mean."""
    figure, axes = plt.subplots(1, len(readings), figsize=(WIDTH, 2.9), sharey=True, squeeze=False)
    for axis, (name, values) in zip(axes[0], readings.items(), strict=True):
        values = np.broadcast_to(values, readable.shape)
        for k, signal in enumerate(signal_names(families)):
            style = {"marker": "os^DvP"[k % 6], "color": COLOURS[k], "ls": "none"}
            axis.plot(values[:, k], readable[:, k], ms=3, alpha=0.6, **style)
            axis.plot(values[:, k].mean(), readable[:, k].mean(), ms=8, markeredgecolor="white", label=signal, **style)
        axis.set_xlabel(name)
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.margins(0.15)
    axes[0, 0].set_ylabel("readability for the others")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(families))
    return figure


def against_rows(readings: dict[str, np.ndarray], readable, families, seeds) -> list[dict]:
    """The numbers behind `against`."""
    return [
        {"seed": seed, "signal": letter, "readability": readable[s, k]}
        | {name: np.broadcast_to(values, readable.shape)[s, k] for name, values in readings.items()}
        for s, seed in enumerate(seeds)
        for k, letter in enumerate(letters(families))
    ]
