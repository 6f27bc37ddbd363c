"""Claims D1, D2, D3 and D5 on what lib.minds_eye_sets made (notebook 14); D4 is counted in lib.minds_eye_cost."""

import numpy as np
from sklearn import metrics

from lib import cutouts, facets, networks, predictions, stats
from lib.maximise_claims import high_frequencies
from lib.minds_eye_sets import (
    ACTIVATION,
    BOTH,
    DISTANCE,
    FARTHEST,
    RELEASED,
    RESTART,
    WAYS,
    Sets,
    Tried,
    distances,
    own,
)
from lib.tables import Table


def apart(table: np.ndarray, groups: np.ndarray, dealt: np.ndarray | None = None) -> np.ndarray:
    """(Mean distance to the other facets of the class - distance to the own) / the former, (n,); dealt (..., n): which
    facet counts as an image's own, then (..., n)."""
    dealt = np.arange(len(table)) if dealt is None else dealt
    same = groups[:, None] == groups[None]
    mine = table[np.arange(len(table)), dealt]
    others = ((table * same).sum(1) - mine) / (same.sum(1) - 1)
    return (others - mine) / np.maximum(others, 1e-12)


def shown(pictures: np.ndarray, cues: np.ndarray) -> np.ndarray:
    """Share of a facet's cues (n, 3) that the single-cue readers find in its picture, (n,); NaN for a facet without."""
    images = networks.to_tensor(pictures)
    said = np.stack([networks.scores(predictions.reader(c), images).argmax(1).numpy() for c in cutouts.CUES], 1)
    hits = np.where(cues < 0, np.nan, said == cues)
    return np.nansum(hits, 1) / np.where((cues >= 0).any(1), (cues >= 0).sum(1), np.nan)


def jaccard(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Overlap / union of every row of `one` (n, C) bool with every row of `other`: (n, n)."""
    both = one.astype(float) @ other.T.astype(float)
    return both / np.maximum(one.sum(1)[:, None] + other.sum(1)[None] - both, 1)


def by_class(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Means of values (n,) over the facets of every class, NaN left out."""
    return np.array([np.nanmean(values[groups == label]) for label in np.unique(groups)])


def reference(found: Sets) -> dict[str, float]:
    """What the images of the sets themselves get by the same judges: nearest to the own facet among those of the class
    and among all, and how far apart; each image is left out of its own facet's centre."""
    near, everywhere, gaps = [], [], []
    first = {int(label): int(np.flatnonzero(found.groups == label)[0]) for label in found.members}
    for label, members in found.members.items():
        labels = found.facets[label].labels
        for place, number in enumerate(members):
            rows, mine = found.centres.astype(np.float64), first[label] + labels[place]
            rows = rows.copy()
            if (size := (labels == labels[place]).sum()) > 1:
                rows[mine] = (size * rows[mine] - found.judged[number]) / (size - 1)
            away = np.linalg.norm(rows - found.judged[number], axis=1)
            same = np.flatnonzero(found.groups == label)
            near.append(same[away[same].argmin()] == mine)
            everywhere.append(away.argmin() == mine)
            others = away[same[same != mine]].mean()
            gaps.append((others - away[mine]) / others)
    return {"own class": float(np.mean(near)), "all": float(np.mean(everywhere)), "apart": float(np.mean(gaps))}


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
                rows.append({"name": name, "group": layer, "seed": seed} | _mean(values, generator)._asdict())
    return rows


def judged_rows(tried: dict[int, Tried], generator) -> list[dict]:
    """What the uninvolved network and the single-cue readers say, means over seeds, as rows for a figure: the four
    ways of making an image, the start images, and (first two only) the sets' own images."""
    rows = []
    titles = {"nearest facet of its class": _near, "nearest of all facets": _near_all, "shows the facet's cues": _cues}
    for title, of in titles.items():
        for name in WAYS:
            value = _mean(np.mean([of(one, name) for one in tried.values()], 0), generator)
            rows.append({"name": title, "group": name, "seed": "all"} | value._asdict())
    real = [reference(one.sets) for one in tried.values()]
    for title, key in (("nearest facet of its class", "own class"), ("nearest of all facets", "all")):
        values = [one[key] for one in real]
        spread = {"value": float(np.mean(values)), "low": min(values), "high": max(values), "n": len(values)}
        rows.append({"name": title, "group": "the sets' own images", "seed": "all"} | spread)
    return rows


def compared(tried: dict[str, dict[int, Tried]], generator) -> Table:
    """Images by both terms at several layers: nearest facet, cues shown, energy of high frequencies; means over seeds
    with intervals over classes."""
    rows = []
    for layer, seeds in tried.items():
        cells = []
        for of in (_near, _near_all, _cues, _high):
            found = _mean(np.mean([of(one, BOTH) for one in seeds.values()], 0), generator)
            cells.append(f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]")
        rows.append((layer, *cells))
    return Table(("layer", "nearest of its class", "nearest of all", "cues shown", "high frequencies"), rows)


# ----------------------------------------------------------------------------------------------------------- claims


def gain(tried: dict[int, Tried], generator: np.random.Generator) -> dict:
    """Claim D1, for claims.record: share of images nearest to their own facet among those of their class, both terms
    minus the single term that does better over all seeds; named: among all facets, and the share of cues shown."""
    measures = {"own": _near, "among all facets": _near_all, "share showing the facet's cues": _cues}
    values = {
        key: {name: {s: of(one, name) for s, one in tried.items()} for name in WAYS} for key, of in measures.items()
    }
    best, named = {}, {}
    for key, found in values.items():
        best[key] = max((ACTIVATION, DISTANCE), key=lambda name: np.mean(list(found[name].values())))
    differences = {key: {s: v[BOTH][s] - v[best[key]][s] for s in tried} for key, v in values.items()}
    for key in list(values)[1:]:
        named[key] = _mean(np.mean(list(differences[key].values()), 0), generator)[:3]
    for name in WAYS:
        named[f"the share itself, {name}"] = _mean(np.mean(list(values["own"][name].values()), 0), generator)[:3]
    note = f"The better single term: {best['own']}; by cues: {best[list(values)[2]]}."
    return _result(differences["own"], generator) | {"named": named, "note": note}


def overlap(tried: dict[int, Tried], nets: dict, layer: str, share: float, generator, draws: int = 2000) -> dict:
    """Claim D2, for claims.record: Jaccard overlap of the k strongest channels of an image and of its facet's images;
    null: facets dealt to the images at random; named: the same without the k channels strongest in all sets."""
    plain, rest, nulls, rest_nulls = {}, {}, {}, {}
    for seed, one in tried.items():
        made = facets.pooled(nets[seed], networks.to_tensor(one.seen[BOTH].pictures), layer)
        real = np.concatenate([facets.centres(one.sets.rows[m], one.sets.facets[c].labels) for c, m in members(one)])
        k, width = max(1, int(share * made.shape[1])), made.shape[1]
        left = ~facets.informative(real.mean(0, keepdims=True), k)[0]
        for keep, into, null in ((np.ones(width, bool), plain, nulls), (left, rest, rest_nulls)):
            count = min(k, int(keep.sum()))
            table = jaccard(*(facets.informative(rows[:, keep], count) for rows in (made, real)))
            into[seed] = by_class(np.diagonal(table), one.sets.groups)
            null[seed] = _dealt(table, generator, draws)
    named = {"without the common channels": _mean(np.mean(list(rest.values()), 0), generator)[:3]}
    named["without them, dealt at random"] = _span(np.mean(list(rest_nulls.values()), 0))
    named |= {"k/C": (k / width,) * 3, "Jaccard of two random sets of k": (k / (2 * width - k),) * 3}
    return _result(plain, generator, nulls) | {"named": named, "note": f"k = {k} of {width} channels."}


def separation(tried: dict[int, Tried], generator: np.random.Generator, draws: int = 2000) -> dict:
    """Claim D3, for claims.record: `apart` of the images by both terms; null: the facets of a class dealt to its images
    at random."""
    values, nulls, real = {}, {}, []
    for seed, one in tried.items():
        table, groups = distances(one.read[BOTH], one.sets.centres), one.sets.groups
        values[seed] = by_class(apart(table, groups), groups)
        order = np.argsort(groups, kind="stable")
        dealt = np.empty((draws, len(groups)), int)
        dealt[:, order] = np.argsort(groups + generator.random((draws, len(groups))), axis=1)  # within each class
        nulls[seed] = apart(table, groups, dealt).mean(1)
        real.append(reference(one.sets)["apart"])
    named = {"the sets' own images": (float(np.mean(real)), float(min(real)), float(max(real)))}
    return _result(values, generator, nulls) | {"named": named}


def selection(tried: dict[int, Tried], generator: np.random.Generator) -> dict:
    """Claim D5, for claims.record: distance between images from the nearest and the farthest of a facet over that
    between two starts of the nearest, minus 1, by class; named: the farthest of the whole set, as released."""
    found = {name: {s: _moved(one, name) for s, one in tried.items()} for name in (FARTHEST, RELEASED)}
    named = {RELEASED: _mean(np.mean(list(found[RELEASED].values()), 0), generator)[:3]}
    for name in (BOTH, FARTHEST, RELEASED):
        near = np.mean([_near(one, name) for one in tried.values()], 0)
        title = "nearest" if name == BOTH else name
        named[f"nearest to the own facet, from {title}"] = _mean(near, generator)[:3]
    return _result(found[FARTHEST], generator) | {"named": named}


def members(one: Tried):
    return one.sets.members.items()


def _near(one: Tried, name: str) -> np.ndarray:
    table = distances(one.read[name], one.sets.centres)
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


def _span(null: np.ndarray) -> tuple[float, float, float]:
    low, high = np.quantile(null, [0.025, 0.975])
    return float(np.mean(null)), float(low), float(high)


def _mean(values, generator: np.random.Generator) -> stats.Estimate:
    found = stats.bootstrap_mean(values, generator=generator)
    return stats.Estimate(*(round(number, 9) + 0.0 for number in found[:3]), found.n)


def _result(values: dict[int, np.ndarray], generator, nulls: dict[int, np.ndarray] | None = None) -> dict:
    """Mean over training seeds of values by class, and each seed's own, with nulls (seeds, draws) where there are."""

    def result(part: np.ndarray, null: np.ndarray | None) -> dict:
        found = _mean(part, generator)
        row = {"value": found.value, "interval": found.interval, "n": found.n}
        return row if null is None else row | {"null": _span(null)[1:]}

    whole = result(np.mean(list(values.values()), 0), None if nulls is None else np.mean(list(nulls.values()), 0))
    return whole | {"seeds": [{"seed": s} | result(v, nulls and nulls[s]) for s, v in values.items()]}
