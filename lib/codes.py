"""Codes: what a layer says about each picture, as one row of numbers, and what can be asked of such rows.

Distances between codes are Euclidean and codes are left as they are (neither centred nor scaled);
only the linear probes standardise them. Purity asks an image's nearest neighbours, a probe a hyperplane.
"""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from torch.nn import functional

from lib import cutouts, networks, stats, zoo

NEIGHBOURS = 10
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)  # inverse strengths of L2 (scikit-learn's C), tried in this order
PIXELS, AFTER, BEFORE = "pixels", "fc7", "fc7_pre"


def read(net: networks.Network, images: torch.Tensor, layers: list[str], most: int | None = None) -> dict:
    """Codes {layer: (N, features) float32} of images (N, 3, size, size) in [0, 1]; a map is flattened.

    most: average each map over a square grid first, the finest with at most this many features, or over the whole map
    where a channel each is more already. ValueError for an unknown layer (with those that exist) or a most below 1.
    """
    if most is not None and most < 1:
        raise ValueError(f"most is {most}, expected the largest number of features, at least 1")
    for layer in layers:
        networks.module(net, layer)
    if len(images) == 0:
        raise ValueError("images: found none, expected at least one picture")
    parts, batch = [], 32 if net.size <= 96 else 8
    for some in images.split(128):  # the maps of all pictures would be large
        maps = networks.features(net, some, layers, batch)
        parts.append({layer: _row(maps[layer], most) for layer in layers})
    return {layer: torch.cat([part[layer] for part in parts]).numpy() for layer in layers}


def _row(maps: torch.Tensor, most: int | None) -> torch.Tensor:
    if maps.ndim == 4 and most is not None:
        side = max(1, min(int((most / maps.shape[1]) ** 0.5), *maps.shape[2:]))
        maps = functional.adaptive_avg_pool2d(maps, side)
    return maps.flatten(1).float().cpu()


def pixels(images: torch.Tensor) -> np.ndarray:
    """The pictures themselves (N, 3, H, W) as codes (N, 3 H W)."""
    return images.flatten(1).cpu().numpy()


def spaces(net: networks.Network) -> list[str]:
    """The layers whose codes a notebook shows, the lowest first: pool5, fc7 before its ReLU and after; in a network
    without fc7 those that can serve in its place (networks.hidden)."""
    wanted = [layer for layer in ("pool5", BEFORE, AFTER) if layer in net.layers]
    return wanted if {BEFORE, AFTER} <= {*wanted} else networks.hidden(net)[::-1]


def having(nets: dict[tuple, networks.Network], *layers: str) -> dict[tuple, networks.Network]:
    """Those of the networks that have all of these layers; if none has, the error of the first says what could serve
    instead."""
    found = {key: net for key, net in nets.items() if {*layers} <= {*net.layers}}
    if not found:
        net = next(iter(nets.values()))
        networks.module(net, next(layer for layer in layers if layer not in net.layers))
    return found


# ----------------------------------------------------------------------------------------- neighbours


def nearest(codes: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Numbers (N, k) of each row's k nearest other rows, the nearest first; a row is never its own neighbour."""
    if not 1 <= k < len(codes):
        raise ValueError(f"k is {k}, expected a number of neighbours from 1 to {len(codes) - 1}, the other images")
    return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(codes).kneighbors(return_distance=False)


def purity(codes: np.ndarray, values: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Share of each image's k nearest neighbours that have its value (its class, its hue): (N,) in [0, 1]."""
    return shared(nearest(codes, k), np.asarray(values))


def shared(near: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The same for neighbours that are known already: near (N, k) numbers, values (N,)."""
    return (values[near] == values[:, None]).mean(1)


def by_class_alone(purities: np.ndarray, labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The purity by `values` (N,) to expect of neighbours that are chosen by class and otherwise at random, given the
    share `purities` (N,) of them that have the image's class."""
    same, equal = labels[:, None] == labels, values[:, None] == values
    others = ~np.eye(len(labels), dtype=bool)
    inside, outside = ((equal & part).sum(1) / np.maximum(part.sum(1), 1) for part in (same & others, ~same))
    return purities * inside + (1 - purities) * outside


class Spaces(NamedTuple):
    """What one network's spaces hold for the same N pictures, by space."""

    codes: dict[str, np.ndarray]  # (N, features)
    near: dict[str, np.ndarray]  # nearest(codes), (N, 10)
    points: dict[str, np.ndarray]  # (N, 2), embeddings of some of the spaces
    near_points: dict[str, np.ndarray]  # nearest(points), (N, 10)


def gather(codes: dict[str, np.ndarray], points: dict[str, np.ndarray]) -> Spaces:
    """Codes and embeddings with their neighbours, which are needed many times."""
    near, near_points = ({space: nearest(rows) for space, rows in part.items()} for part in (codes, points))
    return Spaces(codes, near, points, near_points)


def purer(found: list[Spaces], labels: np.ndarray, one: str, other: str, generator) -> dict:
    """Class purity in space `one` minus that in `other`, networks pooled; readings of an image are one cluster.

    Claims E4a and E4b. named: the same in the embeddings, where both are there.
    """

    def difference(tables):
        return pooled([shared(near[one], labels) - shared(near[other], labels) for near in tables], generator)

    named = {}
    if all({one, other} <= {*space.points} for space in found):
        named = {"embedded": difference([space.near_points for space in found])[:3]}
    estimate = difference([space.near for space in found])
    return {"value": estimate.value, "interval": estimate.interval, "n": estimate.n, "named": named}


def pooled(values: list[np.ndarray], generator) -> stats.Estimate:
    """Mean over several readings (N,) of the same N images, with an interval over images."""
    images = np.tile(np.arange(len(values[0])), len(values))
    return stats.bootstrap_mean(np.concatenate(values), clusters=images, generator=generator)


def purity_rows(found: dict[tuple, Spaces], batch: cutouts.Batch, titles: dict[str, str], generator) -> list[dict]:
    """Purity by class, by hue, and by hue if class alone chose the neighbours, for each network and space, as rows for
    a figure, named by family and space (`titles`: space -> what it is called, where that differs)."""
    rows, hue = {}, batch.cues[:, cutouts.CUES.index("hue")]
    for (family, seed), one in found.items():
        for space, near in one.near.items():
            if space == PIXELS and rows:
                continue  # pixels are the same for every network
            line = space if space == PIXELS else f"{zoo.TITLES[family]}, {titles.get(space, space)}"
            own = shared(near, batch.labels)
            groups = {"class": own, "hue": shared(near, hue), "hue, if class alone chose": None}
            groups["hue, if class alone chose"] = by_class_alone(own, batch.labels, hue)
            for group, values in groups.items():
                value, low, high, n = pooled([values], generator)
                row = {"name": line, "seed": seed, "group": group, "value": value, "low": low, "high": high, "n": n}
                rows.setdefault((line, seed), []).append(row)
    return [row for group in rows.values() for row in group]


# -------------------------------------------------------------------------------------- linear probes


def depth(net: networks.Network) -> list[str]:
    """The named hidden layers after their non-linearity, in the order in which the network runs them."""
    names = [layer for layer in net.layers if layer != "fc8" and not layer.endswith("_pre")]
    device = next((p.device for p in net.model.parameters()), "cpu")
    with torch.inference_mode():
        return list(networks.forward_to(net, torch.zeros(1, 3, net.size, net.size, device=device), names))


def probe(train, labels, test, answers, strengths=STRENGTHS) -> np.ndarray:
    """Does a linear classifier name the class of each test code? Boolean (M,).

    train (N, features) with labels (N,), test (M, features) with answers (M,). Multinomial logistic regression on codes
    standardised by the training set; its L2 strength is the best of `strengths` on the last quarter of the training
    set (they are tried in turn until one names fewer right than the one before), and all of it is used to fit again.
    """
    cut = len(train) * 3 // 4
    if cut < 10 or len({*labels[:cut]}) < 2:
        found = f"{len(train)} codes of {len({*labels})} classes"
        raise ValueError(f"train: found {found}, expected at least 14 codes of at least two classes")
    scale = StandardScaler().fit(train)
    train, test = scale.transform(train), scale.transform(test)

    def fit(n, strength):
        return LogisticRegression(C=strength, solver="lbfgs", max_iter=2000).fit(train[:n], labels[:n])

    scores = []
    for strength in strengths:
        scores.append(fit(cut, strength).score(train[cut:], labels[cut:]))
        if len(scores) > 1 and scores[-1] < scores[-2]:
            break
    return fit(len(train), strengths[int(np.argmax(scores))]).predict(test) == answers


def probes(net: networks.Network, train: tuple, test: tuple) -> dict[str, np.ndarray]:
    """Hits (M,) of a linear probe on every hidden layer, the lowest first; train and test: (images, labels).

    Every map is averaged over a grid until it has at most as many features as the last hidden layer (networks.hidden).
    A layer whose code is then the next layer's (the maps under a global average pool) is left out.
    """
    last = networks.hidden(net)[0]
    layers = depth(net)
    size = read(net, test[0][:1], [last], most=1)[last].shape[1]
    fitted, tested = (read(net, images, layers, most=size) for images, _ in (train, test))

    def repeats(layer, after):
        same = tested[layer].shape == tested[after].shape
        return same and np.allclose(tested[layer], tested[after], rtol=1e-4, atol=1e-5)

    kept = [one for one, after in zip(layers, layers[1:], strict=False) if not repeats(one, after)] + layers[-1:]
    return {layer: probe(fitted[layer], train[1], tested[layer], test[1]) for layer in kept}


def tau(values: np.ndarray) -> float:
    """Kendall's tau-b between the places 0, 1, 2, ... and the values (n,); 0 where all values are equal."""
    i, j = np.triu_indices(len(values), 1)
    signs = np.sign(values[j] - values[i])
    return float(signs.sum() / np.sqrt(len(signs) * max(np.abs(signs).sum(), 1)))


def gain(found: list[dict[str, np.ndarray]], generator) -> dict:
    """Accuracy of the probe on the last hidden layer minus that on the first, mean over networks; interval over images.

    Claim E11. named: tau-b between depth and accuracy over all layers, mean over networks.
    """
    tables = [np.array(list(one.values()), dtype=float) for one in found]
    ends = np.cumsum([len(table) for table in tables])[:-1]

    def order(means):
        return np.mean([tau(part) for part in np.split(means, ends)])

    estimate = pooled([table[-1] - table[0] for table in tables], generator)
    named = {"tau": stats.bootstrap_shares(np.concatenate(tables), order, generator=generator)[:3]}
    return {"value": estimate.value, "interval": estimate.interval, "n": estimate.n, "named": named}


def probe_rows(found: dict[tuple, dict[str, np.ndarray]]) -> list[dict]:
    """Accuracy of every probe with its Wilson interval over images, as rows for a figure."""
    rows = []
    for (family, seed), hits in found.items():
        for place, (layer, hit) in enumerate(hits.items()):
            value, low, high, n = stats.wilson(int(hit.sum()), len(hit))
            row = {"name": zoo.TITLES[family], "seed": seed, "depth": place, "layer": layer}
            rows.append(row | {"value": value, "low": low, "high": high, "n": n})
    return rows
