"""Drawing of notebook 13: images side by side, and who recognises what; computing is elsewhere."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing import dots, style
from lib.experiments.n11_ascent import plots
from lib.experiments.n12_prior.of_photographs import enlarged
from lib.experiments.n13_controls.modified_classes import Shown, Units
from lib.experiments.n13_controls.varied_classes import Posed, Seen
from lib.experiments.shared.class_images import Made
from lib.experiments.shared.recognised import Judged
from lib.networks import zoo
from lib.worlds import cutouts


def firsts(values: np.ndarray, targets: np.ndarray, classes, keep=None) -> np.ndarray:
    """The first of values (n, ...) of each of `classes`; `keep` (n,) bool leaves some out."""
    allowed = np.ones(len(targets), bool) if keep is None else keep
    return values[[np.flatnonzero(allowed & (targets == k))[0] for k in classes]]


def examples() -> np.ndarray:
    """One test picture of each class, all cues right: (10, 64, 64, 3) uint8."""
    batch = cutouts.batch(cutouts.World(), "test", 500)
    return firsts(batch.images, batch.labels, range(cutouts.CLASSES), (batch.cues == batch.labels[:, None]).all(1))


def architectures(found: dict[tuple, Judged], classes, titles, side: float = 0.9) -> tuple[Figure, list[dict]]:
    """A row for each encoder and class, a column for each family of targets (seed 0), with the scores of the target."""
    families = list(dict.fromkeys(family for _, family, seed in found if seed == 0))
    rows, data = {}, []
    for encoder in dict.fromkeys(key[0] for key in found):
        for k, title in zip(classes, titles, strict=True):
            of = [found[encoder, family, 0] for family in families]
            own = [np.flatnonzero(one.targets == k)[0] for one in of]
            rows[f"prior of {zoo.TITLES[encoder]}:\n{title}"] = np.array(
                [one.pictures[i] for one, i in zip(of, own, strict=True)]
            )
            parts = zip(families, of, own, strict=True)
            data += [{"prior": encoder, "class": k, "target": f, "score": float(o.after[i, k])} for f, o, i in parts]
    figure, _ = plots.images(rows, [zoo.TITLES[family] for family in families], side)
    return figure, data


def modified(found: dict[str, Units], real: dict[str, Shown], classes, side: float = 0.7) -> tuple[Figure, list[dict]]:
    """Columns: the classes of each modification; rows: images of original and of modified units, the latter without a
    prior as well, a modified picture, and what the generator makes of its code; and what the detectors say of all."""
    late = [10 + k for k in classes]
    rows = {
        "original unit": [(one.prior, classes, None) for one in found.values()],
        "modified unit": [(one.prior, late, None) for one in found.values()],
        "modified unit,\nno prior": [(one.bare, late, None) for one in found.values()],
        "modified\npicture": [(real[name].pictures, late, real[name].clear) for name in found],
        "made from\nits code": [(real[name].codes, late, real[name].clear) for name in found],
    }
    shown = {
        row: np.concatenate([firsts(one.pictures, one.targets, *which) for one, *which in parts])
        for row, parts in rows.items()
    }
    titles = [name if k == len(classes) // 2 else "" for name in found for k in range(len(classes))]
    figure, _ = plots.images(shown, titles, side)
    data = [
        {"row": row.replace("\n", " "), "modification": name, "class": k % 10, "fires": bool(fires)}
        for row, parts in rows.items()
        for name, (one, which, keep) in zip(found, parts, strict=True)
        for k, fires in zip(which, firsts(one.fires, one.targets, which, keep), strict=True)
    ]
    return figure, data


def poses(found: dict[str, Posed], seen: dict[str, Seen], titles, side: float = 0.9) -> tuple[Figure, list[dict]]:
    """For each world a row of real pictures, all cues right, and a row of images; one column a class."""
    rows, data, classes = {}, [], range(len(titles))
    for world, one in found.items():
        title, real = world.replace("_", " "), seen[world]
        rows[f"{title}:\npictures"] = firsts(real.pictures, real.labels, classes, real.clear)
        rows[f"{title}:\nimages"] = firsts(one.made.pictures, one.made.targets, classes)
        own = [np.flatnonzero(one.made.targets == k)[0] for k in classes]
        data += [
            {"world": world, "class": k, "score": float(one.made.after[i, k]), "distance": float(one.distances[i])}
            for k, i in zip(classes, own, strict=True)
        ]
    return plots.images(rows, titles, side)[0], data


def rates(rows: list[dict], xlabel: str, width: float = style.WIDTH) -> Figure:
    """A panel for each `panel`, a line for each `name`, a mark for each `group`: dicts with value, low, high."""
    groups, names = dots.unique(rows, "group"), dots.unique(rows, "name")
    labels = {group: f"{group} classes" for group in groups}
    layout = {"size": (width, 0.42 * len(names) + 1.3), "spread": 0.56}
    figure, axes = dots.panels(rows, "panel", ms=5, labels=labels, **layout)
    for panel, axis in axes.items():
        axis.set(title=panel, xlim=(-0.03, 1.03), xticks=[0, 0.5, 1])
    figure.supxlabel(xlabel, fontsize="medium")
    figure.legend(loc="outside upper center", ncols=len(groups))
    return figure


def canonical(rows: list[dict], width: float = style.WIDTH) -> Figure:
    """Left: shares of the judges by world, images filled and real pictures hollow; right: distances to the nearest
    mode. rows: dicts with name, group (the last: distance), what, value, low, high."""
    groups, whats = dots.unique(rows, "group"), dots.unique(rows, "what")
    rows = [row | {"seed": row["what"], "hollow": row["what"] != whats[0]} for row in rows]
    rows = [row | {"panel": row["group"] == groups[-1]} for row in rows]
    size, look = (width, 0.95 * len(dots.unique(rows, "name")) + 1.4), dots.looks(groups) | {groups[-1]: ("black", "o")}
    layout = {"size": size, "ratios": (3, 2), "look": look, "labels": {group: group for group in groups[:-1]}}
    figure, axes = dots.panels(rows, "panel", ms=5, spread=0.76, step=0.09, **layout)
    left, right = axes[False], axes[True]
    left.plot([], [], "o", color="0.35", mfc="white", ms=5, label="hollow: real pictures")
    left.set(xlim=(-0.03, 1.03), xlabel="share assigned to the class")
    right.set(xlabel="distance to the nearest mode", xlim=(0, None))
    dots.refer(right, {"": 1}, ls=":")
    figure.legend(loc="outside upper center", ncols=5)
    return figure


def several(found: dict[str, Made]) -> dict[str, np.ndarray]:
    """Rows of pictures by generator and start, a column for each class, all as large as the largest."""
    rows, side = {}, max(made.pictures.shape[1] for made in found.values())
    for name, made in found.items():
        for k in range((made.targets == made.targets[0]).sum()):
            first = np.sort(np.unique(made.targets, return_index=True)[1])
            rows[f"{name},\nstart {k + 1}"] = np.stack([enlarged(one, side) for one in made.pictures[first + k]])
    return rows


def read_by_others(rows: list[dict], width: float = style.WIDTH) -> Figure:
    """Readability of each family's signal against the share of other families that recognise its images; a panel for
    each `way`."""
    ways = dots.unique(rows, "way")
    figure, axes = plt.subplots(1, len(ways), figsize=(width, 2.9), sharex=True, sharey=True, squeeze=False)
    for axis, way in zip(axes[0], ways, strict=True):
        for row in (row for row in rows if row["way"] == way):
            bars = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
            axis.errorbar(row["readability"], row["value"], bars, fmt="o", color=style.COLOURS[0], ms=4, lw=1)
            place = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": "small"}
            axis.annotate(row["family"], (row["readability"], row["value"]), **place)
        axis.set(title=way, xlabel="readability of its signal (notebook 03)", ylim=(0, 1))
    axes[0, 0].set_ylabel("other families that\nrecognise its images")
    return figure
