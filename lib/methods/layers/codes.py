"""Codes: what a layer says about each picture, as one row of numbers, and what can be asked of such rows (CS231n 2016,
lecture 9, list 4; the measures are ours).

Distances between codes are Euclidean and codes are left as they are (neither centred nor scaled);
only the linear probes standardise them. Purity asks an image's nearest neighbours, a probe a hyperplane.
"""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from torch.nn import functional

from lib.networks import interface

NEIGHBOURS = 10
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)  # inverse strengths of L2 (scikit-learn's C), tried in this order
PIXELS, AFTER, BEFORE = "pixels", "fc7", "fc7_pre"


def read(net: interface.Network, images: torch.Tensor, layers: list[str], most: int | None = None) -> dict:
    """Codes {layer: (N, features) float32} of images (N, 3, size, size) in [0, 1]; a map is flattened.

    most: average each map over a square grid first, the finest with at most this many features, or over the whole map
    where a channel each is more already. ValueError for an unknown layer (with those that exist) or a most below 1.
    """
    if most is not None and most < 1:
        raise ValueError(f"most is {most}, expected the largest number of features, at least 1")
    interface.check(net, images)
    for layer in layers:
        interface.module(net, layer)
    if len(images) == 0:
        raise ValueError("images: found none, expected at least one picture")
    parts, batch = [], 32
    for some in images.split(128):  # the maps of all pictures would be large
        maps = interface.features(net, some, layers, batch)
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


# ----------------------------------------------------------------------------------------- neighbours


def nearest(codes: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Numbers (N, k) of each row's k nearest other rows of codes (N, features), the nearest first; a row is never its
    own neighbour. ValueError unless 1 <= k < N."""
    if not 1 <= k < len(codes):
        raise ValueError(f"k is {k}, expected a number of neighbours from 1 to {len(codes) - 1}, the other images")
    return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(codes).kneighbors(return_distance=False)


def purity(codes: np.ndarray, values: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """Share of each image's k nearest neighbours by codes (N, features) that have its value (its class, its hue; values
    (N,)): (N,) in [0, 1]. ValueError unless 1 <= k < N."""
    return shared(nearest(codes, k), np.asarray(values))


def shared(near: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`purity` for neighbours that are known already: near (N, k) numbers, values (N,) -> (N,) in [0, 1]."""
    return (values[near] == values[:, None]).mean(1)


# -------------------------------------------------------------------------------------- linear probes


def depth(net: interface.Network) -> list[str]:
    """The named hidden layers after their non-linearity, in the order in which the network runs them; of a network that
    names none, what stands in for conv1 ... conv5 and for the last codes (interface.named, interface.hidden)."""
    names = [layer for layer in net.layers if layer != "fc8" and not layer.endswith("_pre")]
    if not names:
        maps = [interface.named(net, f"conv{k}") for k in range(1, 6)] if interface.convolutions(net) else []
        names = list(dict.fromkeys([*maps, *interface.hidden(net)]))
    with torch.no_grad():
        return list(interface.forward_to(net, torch.zeros_like(interface.grey(net)), names))


def probe(train, labels, test, answers, strengths=STRENGTHS) -> np.ndarray:
    """Does a linear classifier name the class of each test code? Boolean (M,).

    train (N, features) with labels (N,), test (M, features) with answers (M,). Multinomial logistic regression on codes
    standardised by the training set; its L2 strength is the best of `strengths` on the last quarter of the training set
    (they are tried in turn until one names fewer right than the one before), and all of it is used to fit again.
    ValueError for fewer than 14 training codes, or one class only.
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


def probes(net: interface.Network, train: tuple, test: tuple) -> dict[str, np.ndarray]:
    """Hits (M,) of a linear probe on every hidden layer, the lowest first; train and test: (images, labels).

    Every map is averaged over a grid until it has at most as many features as the last hidden layer (networks.hidden).
    A layer whose code is then the next layer's (the maps under a global average pool) is left out.
    """
    last = interface.hidden(net)[0]
    layers = depth(net)
    size = read(net, test[0][:1], [last], most=1)[last].shape[1]
    fitted, tested = (read(net, images, layers, most=size) for images, _ in (train, test))

    def repeats(layer, after):
        same = tested[layer].shape == tested[after].shape
        return same and np.allclose(tested[layer], tested[after], rtol=1e-4, atol=1e-5)

    kept = [one for one, after in zip(layers, layers[1:], strict=False) if not repeats(one, after)] + layers[-1:]
    return {layer: probe(fitted[layer], train[1], tested[layer], test[1]) for layer in kept}


def tau(values: np.ndarray) -> float:
    """Kendall's tau-b between the places 0, 1, 2, ... and the values (n,), -1 to 1; 0 where all values are equal.

    It is scipy.stats.kendalltau's statistic (a test compares them, ties included), which takes ten times as long
    because it also computes a p, and a bootstrap asks for it tens of thousands of times.
    """
    i, j = np.triu_indices(len(values), 1)
    signs = np.sign(values[j] - values[i])
    return float(signs.sum() / np.sqrt(len(signs) * max(np.abs(signs).sum(), 1)))
