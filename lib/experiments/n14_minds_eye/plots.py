"""Drawing of notebook 14: facets with their images, strips, curves of both terms."""

from collections import Counter

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing import dots, grids, style
from lib.experiments.n14_minds_eye.from_noise import Set
from lib.experiments.n14_minds_eye.image_sets import ACTIVATION, BOTH, DISTANCE, WAYS
from lib.methods.minds_eye import facets
from lib.methods.minds_eye.synthesis import Curves, Seen
from lib.networks import interface
from lib.networks.interface import to_pictures
from lib.worlds import cutouts, photos

MOST = 4  # photographs, or classes of them, that a facet is described by


def planes(panels: dict[str, tuple[np.ndarray, np.ndarray]], width: float = style.WIDTH) -> tuple[Figure, list[dict]]:
    """Points (m, 2) coloured by facet (m,), a panel for each entry; and the numbers behind it."""
    figure, axes = plt.subplots(1, len(panels), figsize=(width, 0.5 * width), squeeze=False)
    rows = []
    for axis, (title, (points, labels)) in zip(axes[0], panels.items(), strict=True):
        for facet in np.unique(labels):
            x, y = points[labels == facet].T
            colour = style.COLOURS[facet % len(style.COLOURS)]
            axis.plot(x, y, "os^Dv"[facet % 5], color=colour, ms=4, ls="", label=f"facet {facet + 1}")
        axis.set(title=title, xticks=[], yticks=[])
        rows += [{"panel": title, "x": x, "y": y, "facet": f + 1} for (x, y), f in zip(points, labels, strict=True)]
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=8)
    return figure, rows


def curves(found: dict[str, list[Curves]], width: float = style.WIDTH) -> tuple[Figure, list[dict]]:
    """Both terms before every step, medians over all facets, and the mean of these over networks; a line for each
    condition, a thin one for each network."""
    figure, axes = plt.subplots(1, 2, figsize=(width, 3.0))
    rows = []
    for c, (name, parts) in enumerate(found.items()):
        for axis, term in zip(axes, ("activation", "distance"), strict=True):
            lines = np.array([np.median(getattr(part, term), axis=1) for part in parts])
            for line in lines:
                axis.plot(line, color=style.COLOURS[c], lw=0.6, alpha=0.6)
            axis.plot(lines.mean(0), color=style.COLOURS[c], ls=("-", "-.", "--", ":")[c % 4], lw=2, label=name)
            rows += [{"condition": name, "term": term, "step": k, "value": v} for k, v in enumerate(lines.mean(0))]
    axes[0].axhline(1, color="0.5", lw=0.8)
    axes[0].set(title="activation term (1: as at the target)", xlabel="step", yscale="log")
    axes[1].set(title="distance to the target (rms, in units of the features)", xlabel="step", yscale="log")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure, rows


def judged(rows: list[dict], chance: float, width: float = style.WIDTH) -> Figure:
    """Shares with intervals, a line of the plot for each `name`, a colour for each `group`; `chance` is marked beside
    the first name, the only one that it holds for. rows: dicts with name, group, value, low, high."""
    names = dots.unique(rows, "name")
    figure, axes = dots.panels(rows, size=(width, 0.7 * len(names) + 1.2), spread=0.7)
    axes[None].vlines(chance, -0.5, 0.5, color="0.35", lw=1, ls="--", label="chance, of its class")
    axes[None].set(xlim=(0, 1), xlabel="share of images")
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def facet_rows(tried, label: int, nearest: int = 4) -> tuple[Figure, list[dict]]:
    """A row a facet of one class of lib.experiments.n14_minds_eye.image_sets.Tried: nearest images, their weighted
    mean, and the images made in every way."""
    sets, names = tried.sets, WAYS
    members, found, first = sets.members[label], sets.facets[label], int(np.flatnonzero(sets.groups == label)[0])
    rows, numbers, titles = [], [], []
    for facet in range(found.distances.shape[1]):
        picked, place = members[facets.pick(found, facet, nearest)], first + facet
        real = list(sets.pictures[picked])
        mean = to_pictures(
            facets.aim(sets.rows[members], interface.to_tensor(sets.pictures[members]), found).starts[[facet]]
        )[0]
        rows.append([*real, *[None] * (nearest - len(real)), mean, *(tried.seen[n].pictures[place] for n in names)])
        titles.append(f"facet {facet + 1}\n{(found.labels == facet).sum()} images")
        last = {name: float(tried.seen[name].curves.distance[-1, place]) for name in names}
        numbers.append({"facet": facet + 1, "images": int((found.labels == facet).sum())} | last)
    heads = ["nearest", *[""] * (nearest - 1), "mean", *(name.replace(" ", "\n") for name in names)]
    return grid(rows, titles, heads), numbers


def strips(tried, chosen) -> tuple[Figure, list[dict]]:
    """The steps kept, a row for each of the facets `chosen` and each of the three objectives."""
    rows, titles, numbers = [], [], []
    for place in chosen:
        for name in (BOTH, ACTIVATION, DISTANCE):
            seen = tried.seen[name]
            rows.append([seen.strip[step][place] for step in seen.strip])
            titles.append(f"{_title(tried.sets.groups[place])}, {name}")
            for step in seen.strip:
                at = min(step, len(seen.curves.distance) - 1)
                terms = {term: float(getattr(seen.curves, term)[at, place]) for term in ("activation", "distance")}
                numbers.append({"facet": int(place), "objective": name, "step": step} | terms)
    return grid(rows, titles, [f"step {step}" for step in seen.strip], side=0.75), numbers


def rows(pictures: dict[str, np.ndarray], classes) -> tuple[Figure, list[dict]]:
    """A row of pictures (n, S, S, 3) for each entry, a column for each of n classes; numbers: mean and sd of pixels."""
    numbers = [
        {"row": name, "class": _title(c), "mean": float(one.mean()), "sd": float(one.std())}
        for name, part in pictures.items()
        for c, one in zip(classes, part, strict=True)
    ]
    return grid(list(pictures.values()), list(pictures), [_title(c) for c in classes]), numbers


def photographs(shown: list[photos.Photo], part: Set, made: dict[str, Seen], only) -> tuple[Figure, list[dict]]:
    """A row for each of the facets `only`: its two nearest photographs, and the image made in every way. shown: the
    set's photographs; made: {way: images of all facets, or of these}. The rows behind it say how both terms ended and
    what the facet's photographs show."""
    rows, titles, numbers, k = [], [], [], len(part.aim.targets)
    nearest = [facets.pick(part.found, facet, 2) for facet in only]
    across = max(map(len, nearest))
    for row, facet in enumerate(only):
        real = list(to_pictures(part.images[nearest[row]]))
        at = {way: facet if len(one.pictures) == k else row for way, one in made.items()}
        rows.append([*real, *[None] * (across - len(real)), *(one.pictures[at[way]] for way, one in made.items())])
        members = np.flatnonzero(part.found.labels == facet)
        named = Counter(photos.titled(shown[member]) for member in members)
        many = len(members) > 1
        titles.append("\n".join(f"{count} {name}" if many else name for name, count in named.most_common(MOST)))
        for way, one in made.items():
            terms = {term: float(getattr(one.curves, term)[-1, at[way]]) for term in ("activation", "distance")}
            numbers.append({"facet": facet + 1, "photographs": len(members), "way": way.replace("\n", " ")} | terms)
    side = grids.size(rows[0][0], len(rows[0])).get("side", 1.0)
    heads = ["nearest", *[""] * (across - 1), *made]
    return grid(rows, titles, heads, side), numbers


def used(part: Set, only) -> list[int]:
    """Numbers of the photographs that `photographs` shows, or of which a start is made."""
    return sorted({int(k) for facet in only for k in [*facets.pick(part.found, facet, 2), *part.aim.picked[facet]]})


def layers(pictures: np.ndarray, made: dict[str, np.ndarray], shown: list[photos.Photo]) -> tuple[Figure, list[dict]]:
    """A row for each photograph, pictures (n, S, S, 3), a column for each entry of `made`: what that layer painted,
    (n, S', S', 3) uint8."""
    titles = [photos.titled(one) for one in shown]
    rows = [[photograph, *(one[k] for one in made.values())] for k, photograph in enumerate(pictures)]
    numbers = [
        {"photograph": title, "layer": name.replace("\n", " "), "mean": float(one[k].mean()), "sd": float(one[k].std())}
        for name, one in made.items()
        for k, title in enumerate(titles)
    ]
    side = grids.size(pictures[0], len(rows[0])).get("side", 1.0)
    return grid(rows, titles, ["photograph", *made], side), numbers


def grid(rows: list, titles: list[str], heads: list[str], side: float = 0.72) -> Figure:
    """Pictures in rows of one size, `side` inches; None leaves a place empty."""
    return grids.grid(rows, titles, heads, side=side, gap=0.05)[0]


def _title(label: int) -> str:
    return cutouts.SHAPES[int(label)]
