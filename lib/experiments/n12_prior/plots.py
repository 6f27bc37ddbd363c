"""Drawing of notebook 12: images through a generator, how it was trained, and who recognises what."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing import dots, style
from lib.experiments.n11_ascent import plots
from lib.experiments.n12_prior.generators_seen import Frames, Inverted, Units, unit_rows
from lib.experiments.n12_prior.judges import certainty
from lib.experiments.n12_prior.measures import activation_rows
from lib.experiments.shared.recognised import Judged


def grid(rows: dict[str, np.ndarray | Judged], titles, side: float = 0.95) -> tuple[Figure, list[dict]]:
    """A row of pictures for each entry, the first image of each class where an entry is Judged; and for these, what the
    network excited and the primary judge say of them."""
    data = []
    for name, one in rows.items():
        if isinstance(one, Judged):
            first = np.unique(one.targets, return_index=True)[1][: len(titles)]
            columns = zip(titles, one.activation[first].tolist(), certainty(one)[first].tolist(), strict=True)
            data += [{"row": name.replace("\n", " "), "class": t, "score": a, "probability": p} for t, a, p in columns]
    return plots.images(rows, titles, side)[0], data


def inverted(pictures: np.ndarray, found: dict[str, Inverted], names, shown: int = 6) -> Figure:
    """Pictures (n, 64, 64, 3), and below what the generators `names` make of their codes."""
    rows = {"test pictures": pictures} | {name: found[name].pictures for name in names}
    return plots.images(rows, [""] * shown, 0.95)[0]


def training(rows: list[dict]) -> Figure:
    """Image, feature and code loss by epoch, a panel each, a line for each `name`."""
    panels = {"image": "image loss", "feature": "feature loss", "code": "code loss"}
    figure, axes = plt.subplots(1, 3, figsize=(style.WIDTH, 2.4))
    for axis, (key, title) in zip(axes, panels.items(), strict=True):
        for k, name in enumerate(dict.fromkeys(row["name"] for row in rows)):
            own = [(row["epoch"], row[key]) for row in rows if row["name"] == name]
            axis.plot(*zip(*own, strict=True), "os^D"[k] + "-", color=style.COLOURS[k], ms=3, label=name)
        axis.set(title=title, xlabel="epoch", xticks=range(0, len(own) + 1, 5), ylim=(0, None))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def strip(found: dict[str, Frames]) -> tuple[Figure, list[dict]]:
    """Searches as rows of images on the way."""
    first = next(iter(found.values()))
    figure, _ = grid({name: one.pictures for name, one in found.items()}, [f"step {k}" for k in first.steps])
    data = [
        {"search": name.replace("\n", " "), "step": step, "score": float(value)}
        for name, one in found.items()
        for step, value in zip(one.steps, one.values, strict=True)
    ]
    return figure, data


def judged(rows: list[dict], chance: float = 0.1) -> Figure:
    """Two panels with a line for each `name`: shares of judges on the left, the last of the groups on the right.

    rows: dicts with name, group, value, low, high.
    """
    groups, names = dots.unique(rows, "group"), dots.unique(rows, "name")
    rows = [row | {"panel": row["group"] == groups[-1]} for row in rows]
    layout = {"size": (style.WIDTH, 0.4 * len(names) + 1.2), "ratios": (2, 1), "spread": 0.72}
    figure, axes = dots.panels(rows, "panel", ms=5, labels={group: group for group in groups[:-1]}, **layout)
    left, right = axes[False], axes[True]
    dots.refer(left, {"chance of naming the class": chance}, ls=":")
    dots.refer(right, {"": 1})
    left.set(xlim=(-0.02, 1.02), xlabel="share of images")
    right.set(xlabel=f"{groups[-1]},\ntest pictures = 1", xlim=(0, None))
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def natural_paths(rows: list[dict], layers) -> Figure:
    """A line for each `name` over the layers; 0: as pictures of different classes, 1: as pictures of one class."""
    figure, axis = plt.subplots(figsize=(style.WIDTH, 3.0))
    for k, (name, (colour, shape)) in enumerate(dots.looks(dots.unique(rows, "name")).items()):
        own = {row["layer"]: row for row in rows if row["name"] == name}
        x = np.arange(len(layers)) + 0.05 * k
        value, low, high = (np.array([own[layer][key] for layer in layers]) for key in ("value", "low", "high"))
        axis.errorbar(x, value, [value - low, high - value], fmt=shape + "-", color=colour, ms=4, lw=1, label=name)
    for level in (0, 1):
        axis.axhline(level, color="0.6", lw=0.8, ls=":")
    axis.set(xticks=range(len(layers)), xticklabels=layers, ylabel="likeness to pictures of the class")
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def activation(found: dict[int, dict[str, list[Judged]]], taus: dict[int, float]) -> tuple[Figure, list[dict]]:
    """Final activation, as rank within its class, against the probability that the primary judge gives to the class; a
    panel for each training seed, a colour for each group of images."""
    figure, axes = plt.subplots(1, len(found), figsize=(style.WIDTH, 2.9), sharex=True, sharey=True, squeeze=False)
    rows = activation_rows(found)
    for axis, (seed, groups) in zip(axes[0], found.items(), strict=True):
        for name, (colour, shape) in dots.looks(groups).items():
            own = [row for row in rows if (row["seed"], row["setting"]) == (seed, name)]
            x, y = ([row[key] for row in own] for key in ("rank", "probability"))
            axis.plot(x, y, shape, color=colour, ms=2.5, alpha=0.6, label=name)
        axis.set(title=f"seed {seed}: mean tau-b {taus[seed]:.2f}", xlabel="final activation,\nrank within its class")
    axes[0, 0].set(ylabel="probability of the class,\nprimary judge", ylim=(-0.02, 1.02))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, markerscale=2)
    return figure, [{key: value for key, value in row.items() if key != "rank"} for row in rows]


def units(found: Units, channels) -> tuple[Figure, list[dict]]:
    """Hidden units: what they like most and least through the prior, and the two test pictures they answer to most."""
    rows = {"most": found.most, "least": found.least, "test picture,\nstrongest": found.top[0], "second": found.top[1]}
    figure = plots.images(rows, [f"channel {k}" for k in channels], 0.95)[0]
    return figure, unit_rows(found, channels)
