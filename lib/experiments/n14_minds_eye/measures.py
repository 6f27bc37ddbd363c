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
from lib.record.seeds import average, estimate, estimates, span
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


def gain(tried: dict[int, Tried], generator: np.random.Generator) -> dict:
    """Claim D1, for claims.record: share of images nearest to their own facet among those of their class, both terms
    minus the single term that does better over all seeds; named: among all facets, by angle, the share of the class's
    cues shown, equal weights against activation alone, and the shares themselves, those of the starts too."""
    measures = {"own": _near, "among all facets": _near_all, "by angle": _near_angle}
    measures["share showing the class's cues"], ways = _cues, (*WAYS, START)
    values = {
        key: {name: {s: of(one, name) for s, one in tried.items()} for name in ways} for key, of in measures.items()
    }
    best, named = {}, {}
    for key, found in values.items():
        best[key] = max((ACTIVATION, DISTANCE), key=lambda name: np.mean(list(found[name].values())))
    differences = {key: {s: v[BOTH][s] - v[best[key]][s] for s in tried} for key, v in values.items()}
    for key in list(values)[1:]:
        named[key] = estimate(average(differences[key]), generator)[:3]
    mean = {key: {name: average(v[name]) for name in ways} for key, v in values.items()}
    more = mean["own"][EQUAL] - mean["own"][ACTIVATION]
    named["equal weights minus activation alone"] = estimate(more, generator)[:3]
    for key, title in (("own", "the share itself"), ("by angle", "the share itself by angle")):
        named |= {f"{title}, {name}": estimate(mean[key][name], generator)[:3] for name in ways}
    note = f"The better single term: {best['own']}; by cues: {best[list(values)[-1]]}."
    return estimates(differences["own"], generator) | {"named": named, "note": note}


def overlap(tried: dict[int, Tried], nets: dict, layer: str, share: float, generator, draws: int = 2000) -> dict:
    """Claim D2, for claims.record: Jaccard overlap of the k strongest channels of an image and of its facet's images;
    null: facets dealt to the images at random; named: the same without the k channels strongest in all sets."""
    plain, rest, nulls, rest_nulls = {}, {}, {}, {}
    for seed, one in tried.items():
        made = facets.pooled(nets[seed], interface.to_tensor(one.seen[BOTH].pictures), layer)
        real = np.concatenate([facets.centres(one.sets.rows[m], one.sets.facets[c].labels) for c, m in members(one)])
        k, width = max(1, int(share * made.shape[1])), made.shape[1]
        left = ~facets.informative(real.mean(0, keepdims=True), k)[0]
        for keep, into, null in ((np.ones(width, bool), plain, nulls), (left, rest, rest_nulls)):
            count = min(k, int(keep.sum()))
            table = jaccard(*(facets.informative(rows[:, keep], count) for rows in (made, real)))
            into[seed] = by_class(np.diagonal(table), one.sets.groups)
            null[seed] = _dealt(table, generator, draws)
    named = {"without the common channels": estimate(average(rest), generator)[:3]}
    named["without them, dealt at random"] = span(average(rest_nulls))
    named |= {"k/C": (k / width,) * 3, "Jaccard of two random sets of k": (k / (2 * width - k),) * 3}
    return estimates(plain, generator, nulls=nulls) | {"named": named, "note": f"k = {k} of {width} channels."}


def separation(tried: dict[int, Tried], generator: np.random.Generator, draws: int = 2000) -> dict:
    """Claim D3, for claims.record: `apart` of the images by both terms; null: the facets of a class dealt to its images
    at random; named: the start images, and the sets' own."""
    values, nulls, real, starts = {}, {}, [], []
    for seed, one in tried.items():
        table, groups = distances(one.read[BOTH], one.sets.centres), one.sets.groups
        values[seed] = by_class(apart(table, groups), groups)
        order = np.argsort(groups, kind="stable")
        dealt = np.empty((draws, len(groups)), int)
        dealt[:, order] = np.argsort(groups + generator.random((draws, len(groups))), axis=1)  # within each class
        nulls[seed] = apart(table, groups, dealt).mean(1)
        real.append(reference(one.sets)["apart"])
        starts.append(by_class(apart(distances(one.read[START], one.sets.centres), groups), groups))
    named = {"the start images": estimate(np.mean(starts, 0), generator)[:3]}
    named["the sets' own images"] = estimate(np.mean(real, 0), generator)[:3]
    return estimates(values, generator, nulls=nulls) | {"named": named}


def selection(tried: dict[int, Tried], generator: np.random.Generator) -> dict:
    """Claim D5, for claims.record: distance between images from the nearest and the farthest of a facet over that
    between two starts of the nearest, minus 1, by class; named: the same for ten random others of the
    facet, the difference by class, and for the farthest of the whole set, as released."""
    found = {name: {s: _moved(one, name) for s, one in tried.items()} for name in (FARTHEST, OTHERS, RELEASED)}
    mean = {name: average(part) for name, part in found.items()}
    named = {"random others": estimate(mean[OTHERS], generator)[:3]}
    named["farthest minus random others"] = estimate(mean[FARTHEST] - mean[OTHERS], generator)[:3]
    named[RELEASED] = estimate(mean[RELEASED], generator)[:3]
    for name in (BOTH, OTHERS, FARTHEST, RELEASED):
        near = np.mean([_near(one, name) for one in tried.values()], 0)
        title = "nearest" if name == BOTH else name
        named[f"nearest to the own facet, from {title}"] = estimate(near, generator)[:3]
    return estimates(found[FARTHEST], generator) | {"named": named}


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


def _dealt(table: np.ndarray, generator, draws: int) -> np.ndarray:
    """Means of table (n, n) with its columns dealt to its rows, (draws,)."""
    rows = np.arange(len(table))
    return table[rows, generator.random((draws, len(rows))).argsort(1)].mean(1)
