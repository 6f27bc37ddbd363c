"""Facets of a set of images: groups in the space of a layer's pooled features, and what The Mind's Eye aims at.

Reconstructed from the released code (vis.py) of Stergiou 2021, since the paper's text was not at hand: features
averaged over places, PCA, k-means, and for every facet a weighted mean of some of its images, in features and in
pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import optimize, special
from sklearn import cluster, decomposition, metrics
from torch import Tensor

from lib.methods.ascent import objectives
from lib.methods.layers import plane
from lib.networks import interface

KINDS = ("kmeans", "tsne")
PICKS = ("nearest", "others", "farthest", "farthest of the set")


class Facets(NamedTuple):
    """k facets of a set of m images."""

    labels: np.ndarray  # (m,) which facet, 0 ... k - 1, the largest first
    distances: np.ndarray  # (m, k) to every facet's centre, where the images were grouped
    points: np.ndarray  # (m, p) the images where they were grouped: principal components, or a t-SNE plane


class Aim(NamedTuple):
    """What is aimed at for n facets, a row each."""

    targets: Tensor  # (n, C) weighted mean of pooled features
    starts: Tensor  # (n, 3, S, S) weighted mean of the same images
    picked: list  # n rows of numbers of images


def pooled(net: interface.Network, images: Tensor, layer: str, batch: int = 32) -> np.ndarray:
    """A layer's maps averaged over places, (m, C) float32, of images (m, 3, S, S). ValueError for a layer that does not
    exist, runs twice in a pass, or has no places."""
    interface.check(net, images)
    width, _ = extent(net, layer)
    device = next((p.device for p in net.model.parameters()), images.device)
    rows = [np.empty((0, width), np.float32)]
    with torch.no_grad():
        for part in interface.split(images, batch):
            rows.append(interface.forward_to(net, part.to(device), [layer])[layer].mean((2, 3)).cpu().numpy())
    return np.concatenate(rows)


def extent(net: interface.Network, layer: str) -> tuple[int, tuple[int, int]]:
    """Channels of a layer and the sides of its maps; ValueError with a sentence for a layer without places."""
    width, sides = objectives.shape(net, layer)
    if not sides:
        named = [name for name in net.layers if name.startswith(("conv", "pool"))]
        serve = ", ".join(named or interface.convolutions(net)) or "a convolution's path"
        found = f"{width} numbers an image and no places to average over"
        raise ValueError(f"layer is {layer!r}: in {net.name} it has {found}, expected maps (n, C, H, W), as of {serve}")
    return width, sides


def find(rows: np.ndarray, k: int, *, kind: str = "kmeans", dims: int = 50, perplexity: float = 30.0, seed: int = 0):
    """k facets of images by their features (m, C): PCA to `dims`, then k-means; with kind "tsne" k-means in the plane
    of a t-SNE, as released. Returns Facets. ValueError if there are fewer images, or different ones, than facets."""
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}")
    if k < 1 or len(rows) < k:
        raise ValueError(
            f"facets: the set has {len(rows)} images, expected at least as many as facets, {k} (and k >= 1)"
        )
    rows = np.asarray(rows, dtype=np.float64)
    if not np.isfinite(rows).all():
        raise ValueError("facets: features hold NaN or infinity, expected finite numbers")
    spread = np.abs(rows).max() or 1.0
    if (different := len(np.unique(np.round(rows / spread, 6), axis=0))) < k:
        raise ValueError(
            f"facets: {different} of the {len(rows)} images differ in their features, which k-means cannot part "
            f"into {k} facets; expected at least as many different images as facets"
        )
    points = decomposition.PCA(min(dims, *rows.shape), svd_solver="full").fit_transform(rows)
    if kind == "tsne":
        points = plane.tsne(points, perplexity, seed).astype(np.float64)
    found = cluster.KMeans(k, n_init=10, random_state=seed).fit(points)
    order = np.argsort(-np.bincount(found.labels_, minlength=k), kind="stable")
    distances = np.linalg.norm(points[:, None] - found.cluster_centers_[order][None], axis=2)
    return Facets(np.argsort(order)[found.labels_], distances, points)


def pick(facets: Facets, facet: int, count: int = 10, which: str = "nearest", seed: int = 0) -> np.ndarray:
    """Numbers of the `count` images of a facet that are nearest to its centre, or farthest; "farthest of the set" takes
    them from all images, which the released code does; "others" draws them, by a generator of its own seeded with
    `seed`, from those of the facet that are not among the nearest. A facet of fewer images gives all it has. ValueError
    for a count below 1 or an unknown `which`."""
    if which not in PICKS or count < 1:
        raise ValueError(f"pick: found {count} {which!r}, expected at least 1 and one of {', '.join(PICKS)}")
    own = np.arange(len(facets.labels)) if which == "farthest of the set" else np.flatnonzero(facets.labels == facet)
    sign = -1 if which.startswith("farthest") else 1
    order = own[np.argsort(sign * facets.distances[own, facet], kind="stable")]
    if which == "others" and len(own) > count:
        return np.random.default_rng([seed, facet, len(own)]).permutation(order[count:])[:count]
    return order[:count]


def weights(distances: np.ndarray) -> np.ndarray:
    """softmax(1 / d) of distances (n,) >= 0 in units of their mean: the nearer, the heavier; sums to 1.

    The released code takes distances as they are, so that its weights change with the scale of the features and
    overflow at 0; here 1 / d is at most 100.
    """
    distances = np.asarray(distances, dtype=np.float64)
    ratio = 1 / np.maximum(distances / (distances.mean() or 1.0), 0.01)
    return special.softmax(ratio)


def aim(rows: np.ndarray, images: Tensor, facets: Facets, count: int = 10, which: str = "nearest") -> Aim:
    """Target vector and start image of every facet: means of `count` images' features (m, C) and pixels (m, 3, S, S),
    weighted by `weights` of their distances to the centre."""
    picked = [pick(facets, facet, count, which) for facet in range(facets.distances.shape[1])]
    shares = [weights(facets.distances[own, facet]) for facet, own in enumerate(picked)]
    targets = np.stack([share @ rows[own] for share, own in zip(shares, picked, strict=True)])
    starts = [
        torch.einsum("n,nchw->chw", torch.from_numpy(share).to(images.dtype), images[own])
        for share, own in zip(shares, picked, strict=True)
    ]
    return Aim(torch.from_numpy(targets).float(), torch.stack(starts), picked)


def informative(targets: np.ndarray | Tensor, k: int) -> np.ndarray:
    """Which k channels of every row (n, C) are the largest: (n, C) bool. Ties: the lower number first. ValueError
    unless 1 <= k <= C."""
    values = np.asarray(targets)
    if not 1 <= k <= values.shape[1]:
        raise ValueError(f"k is {k}, expected 1 to {values.shape[1]}, the number of channels")
    chosen = np.zeros(values.shape, bool)
    np.put_along_axis(chosen, np.argsort(-values, axis=1, kind="stable")[:, :k], True, axis=1)
    return chosen


def aligned(labels: np.ndarray, other: np.ndarray) -> np.ndarray:
    """`other` (m,), facets of the same images as `labels` (m,), renumbered so that both agree as often as they can."""
    k = max(labels.max(), other.max()) + 1
    table = metrics.confusion_matrix(other, labels, labels=range(k))
    return optimize.linear_sum_assignment(-table)[1][other]


def centres(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean features (k, C) of every facet, in whatever network's features (m, C) they are wanted."""
    return np.stack([rows[labels == facet].mean(0) for facet in np.unique(labels)])


def majority(cues: np.ndarray, labels: np.ndarray, share: float = 0.5) -> np.ndarray:
    """The value of each cue (m, c) that at least `share` of a facet's images have: (k, c), -1 where none does."""
    found = np.full((labels.max() + 1, cues.shape[1]), -1)
    for facet in np.unique(labels):
        for cue, values in enumerate(cues[labels == facet].T):
            counts = np.bincount(values)
            if counts.max() >= share * len(values):
                found[facet, cue] = counts.argmax()
    return found


def joined(aims: Sequence[Aim]) -> Aim:
    """The facets of several sets as rows of one batch."""
    return Aim(
        torch.cat([a.targets for a in aims]), torch.cat([a.starts for a in aims]), sum((a.picked for a in aims), [])
    )
