"""Claims D1, D2, D3 and D5 on what lib.experiments.n14_minds_eye.image_sets made (notebook 14); D4 is counted in
lib.experiments.n14_minds_eye.operations.
"""

import numpy as np
from sklearn import metrics

from lib.experiments.n14_minds_eye.image_sets import (
    ACTIVATION,
    BOTH,
    DISTANCE,
    EQUAL,
    FARTHEST,
    OTHERS,
    RELEASED,
    RESTART,
    START,
    WAYS,
    Sets,
    Tried,
    apart,
    by_class,
    distances,
    own,
    reference,
)
from lib.experiments.shared.recognised import high_frequencies, read
from lib.methods.minds_eye import facets
from lib.networks import interface
from lib.record.seeds import by_student, estimate
from lib.record.tables import Table
from lib.worlds import cutouts


def shown(pictures: np.ndarray, cues: np.ndarray) -> np.ndarray:
    """Share of a facet's most frequent cues (n, 3), on cutouts mostly those of its class, that the
    single-cue readers find in its picture, (n,); NaN for a facet without."""
    hits = np.where(cues < 0, np.nan, cues == read(pictures).argmax(2).T)
    return np.nansum(hits, 1) / np.where((cues >= 0).any(1), (cues >= 0).sum(1), np.nan)


def jaccard(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Overlap / union of every row of `one` (n, C) bool with every row of `other`: (n, n)."""
    both = one.astype(float) @ other.T.astype(float)
    return both / np.maximum(one.sum(1)[:, None] + other.sum(1)[None] - both, 1)


def recovered(tried: dict[str, dict[int, Sets]], pictures: cutouts.Batch, generator) -> list[dict]:
    """Adjusted mutual information (0 chance, 1 the same parts) between facets and each cue within a class, by layer and
    seed, rows for a figure with intervals over classes."""
    rows = []
    for layer, seeds in tried.items():
        for seed, found in seeds.items():
            for cue, name in enumerate(cutouts.CUES):
                values = [
                    metrics.adjusted_mutual_info_score(pictures.cues[own, cue], found.facets[label].labels)
                    for label, own in found.members.items()
                ]
                rows.append({"name": name, "group": layer, "seed": seed} | estimate(values, generator)._asdict())
    return rows


def judged_rows(tried: dict[int, Tried], generator) -> list[dict]:
    """What the uninvolved network and the single-cue readers say, means over seeds, as rows for a figure: the four
    ways of making an image, the start images, and (first two only) the sets' own images."""
    rows = []
    titles = {"nearest facet of its class": _near, "nearest of all facets": _near_all, "shows the class's cues": _cues}
    for title, of in titles.items():
        for name in (*WAYS, START):
            value = estimate(np.mean([of(one, name) for one in tried.values()], 0), generator)
            rows.append({"name": title, "group": name, "seed": "all"} | value._asdict())
    real = [reference(one.sets) for one in tried.values()]
    for title, key in (("nearest facet of its class", "own class"), ("nearest of all facets", "all")):
        value = estimate(np.mean([one[key] for one in real], 0), generator)
        rows.append({"name": title, "group": "the sets' own images", "seed": "all"} | value._asdict())
    return rows


def compared(tried: dict[str, dict[int, Tried]], generator) -> Table:
    """Images by both terms at several layers: nearest facet, cues shown, energy of high frequencies; means over seeds
    with intervals over classes."""
    rows = []
    for layer, seeds in tried.items():
        cells = []
        for of in (_near, _near_all, _cues, _high):
            found = estimate(np.mean([of(one, BOTH) for one in seeds.values()], 0), generator)
            cells.append(f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]")
        rows.append((layer, *cells))
    return Table(("layer", "nearest of its class", "nearest of all", "cues shown", "high frequencies"), rows)


# ----------------------------------------------------------------------------------------------------------- claims


def gain(tried: dict[int, Tried]) -> dict:
    """Claim D1, for claims.record: share of images nearest to their own facet among those of their class, both terms
    minus the single term that does better over all seeds; named: among all facets, by angle, the share of the class's
    cues shown, equal weights against activation alone, and the shares themselves, those of the starts too."""
    measures = {"own": _near, "among all facets": _near_all, "by angle": _near_angle}
    measures["share showing the class's cues"], ways = _cues, (*WAYS, START)
    values = {
        key: {name: {s: of(one, name) for s, one in tried.items()} for name in ways} for key, of in measures.items()
    }
    best = {
        key: max((ACTIVATION, DISTANCE), key=lambda name: np.mean(list(found[name].values())))
        for key, found in values.items()
    }
    differences = {key: {s: v[BOTH][s] - v[best[key]][s] for s in tried} for key, v in values.items()}
    named = {key: differences[key] for key in list(values)[1:]}
    named["equal weights minus activation alone"] = {
        s: values["own"][EQUAL][s] - values["own"][ACTIVATION][s] for s in tried
    }
    for key, title in (("own", "the share itself"), ("by angle", "the share itself by angle")):
        named |= {f"{title}, {name}": values[key][name] for name in ways}
    note = f"The better single term: {best['own']}; by cues: {best[list(values)[-1]]}."
    return by_student(differences["own"], named) | {"note": note}


def overlap(tried: dict[int, Tried], nets: dict, layer: str, share: float) -> dict:
    """Claim D2, for claims.record: Jaccard overlap of the k strongest channels of an image and of its facet's images,
    minus its mean overlap with the other facets of its class; named: both overlaps, the same without the k channels
    that are strongest in all sets, and what two random sets share."""
    parts = {title: {} for title in ("difference", "own", "others of its class", "without the common channels")}
    for seed, one in tried.items():
        made = facets.pooled(nets[seed], interface.to_tensor(one.seen[BOTH].pictures), layer)
        real = np.concatenate([facets.centres(one.sets.rows[m], one.sets.facets[c].labels) for c, m in members(one)])
        k, width = max(1, int(share * made.shape[1])), made.shape[1]
        left = ~facets.informative(real.mean(0, keepdims=True), k)[0]
        for keep, title in ((np.ones(width, bool), "difference"), (left, "without the common channels")):
            count = min(k, int(keep.sum()))
            table = jaccard(*(facets.informative(rows[:, keep], count) for rows in (made, real)))
            own, others = within(table, one.sets.groups)
            parts[title][seed] = by_class(own - others, one.sets.groups)
            if title == "difference":
                parts["own"][seed], parts["others of its class"][seed] = (
                    by_class(values, one.sets.groups) for values in (own, others)
                )
    found = by_student(parts.pop("difference"), parts)
    found["named"] |= {"k/C": (k / width,) * 3, "Jaccard of two random sets of k": (k / (2 * width - k),) * 3}
    return found | {"note": f"k = {k} of {width} channels."}


def within(table: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a table (n, n), image i with facet j: an image with its own facet, and its mean over the others of its class,
    (n,) each."""
    same, own = groups[:, None] == groups[None], np.diagonal(table)
    return own, ((table * same).sum(1) - own) / (same.sum(1) - 1)


def separation(tried: dict[int, Tried], generator: np.random.Generator, draws: int = 2000) -> dict:
    """Claim D3, for claims.record: `apart` of the images by both terms; null: the facets of a class dealt to its images
    at random; named: the start images, and the sets' own."""
    values, nulls, real, starts = {}, {}, {}, {}
    for seed, one in tried.items():
        table, groups = distances(one.read[BOTH], one.sets.centres), one.sets.groups
        values[seed] = by_class(apart(table, groups), groups)
        order = np.argsort(groups, kind="stable")
        dealt = np.empty((draws, len(groups)), int)
        dealt[:, order] = np.argsort(groups + generator.random((draws, len(groups))), axis=1)  # within each class
        nulls[seed] = apart(table, groups, dealt).mean(1)
        real[seed] = reference(one.sets)["apart"]
        starts[seed] = by_class(apart(distances(one.read[START], one.sets.centres), groups), groups)
    return by_student(values, {"the start images": starts, "the sets' own images": real}, nulls)


def selection(tried: dict[int, Tried]) -> dict:
    """Claim D5, for claims.record: distance between images from the nearest and the farthest of a facet over that
    between two starts of the nearest, minus the same for ten random others of the facet, by class; named: both ratios
    minus 1, that of the farthest of the whole set, as released, and the shares nearest to their own facet."""
    found = {name: {s: _moved(one, name) for s, one in tried.items()} for name in (FARTHEST, OTHERS, RELEASED)}
    named = {FARTHEST: found[FARTHEST], "random others": found[OTHERS], RELEASED: found[RELEASED]}
    for name in (BOTH, OTHERS, FARTHEST, RELEASED):
        title = "nearest" if name == BOTH else name
        named[f"nearest to the own facet, from {title}"] = {s: _near(one, name) for s, one in tried.items()}
    return by_student({s: found[FARTHEST][s] - found[OTHERS][s] for s in tried}, named)


def members(one: Tried):
    return one.sets.members.items()


def _near(one: Tried, name: str) -> np.ndarray:
    table = distances(one.read[name], one.sets.centres)
    return by_class(own(table, one.sets.groups), one.sets.groups)


def _near_angle(one: Tried, name: str) -> np.ndarray:
    table = distances(one.read[name], one.sets.centres, angle=True)
    return by_class(own(table, one.sets.groups), one.sets.groups)


def _near_all(one: Tried, name: str) -> np.ndarray:
    return by_class(own(distances(one.read[name], one.sets.centres)), one.sets.groups)


def _cues(one: Tried, name: str) -> np.ndarray:
    return by_class(shown(one.seen[name].pictures, one.sets.cues), one.sets.groups)


def _high(one: Tried, name: str) -> np.ndarray:
    return by_class(high_frequencies(one.seen[name].pictures), one.sets.groups)


def _moved(one: Tried, name: str) -> np.ndarray:
    far, again = (np.linalg.norm(one.read[BOTH] - one.read[other], axis=1) for other in (name, RESTART))
    return by_class(far, one.sets.groups) / np.maximum(by_class(again, one.sets.groups), 1e-12) - 1
