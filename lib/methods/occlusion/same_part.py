"""Does covering the same part in different objects change a layer in the same way?

Zeiler & Fergus 2014, section 4.3 and Table 1: eps = features of the clean image minus features of the covered one, and
Delta sums the Hamming distances of their signs over all pairs of images. Delta is divided by pairs and units here, so
that layers compare.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lib.methods.occlusion.sweeps import check
from lib.methods.occlusion.whole_images import cover
from lib.networks import interface


def squares_at(points: np.ndarray, window: int, size: int) -> np.ndarray:
    """Squares (N, 4) of side `window` centred on points (N, 2), x then y in pixels, moved inwards to lie in the image
    of `size` pixels. ValueError for points that are NaN or a window that is larger than the image."""
    if not np.isfinite(points).all():
        raise ValueError("points: got NaN, expected pixel positions (shapes without landmarks must be left out)")
    if not 1 <= window <= size:
        raise ValueError(f"window: got {window} pixels, expected 1 to {size}, the side of the image")
    corner = np.clip(np.floor(points[:, ::-1] - (window - 1) / 2 + 0.5).astype(int), 0, size - window)
    return np.concatenate([corner, corner + window], 1)


def elsewhere(masks: np.ndarray, points: np.ndarray, window: int, generator: np.random.Generator) -> np.ndarray:
    """For each object (masks (N, S, S)) a random pixel on it, (N, 2) x then y, at least half a window from all of the
    object's own `points` (N, L, 2) on one axis; if the object is too small for that, its farthest pixel. ValueError for
    an empty mask."""
    places = np.empty((len(masks), 2))
    for number, (mask, marks) in enumerate(zip(masks, points, strict=True)):
        pixels = np.argwhere(mask)[:, ::-1].astype(float)
        if not len(pixels):
            raise ValueError(f"masks: mask {number} is empty, expected an object")
        distance = np.abs(pixels[:, None] - marks[None]).max(-1).min(1)
        far = np.flatnonzero(distance >= min(window / 2, distance.max()))
        places[number] = pixels[generator.choice(far)]
    return places


def alike(masks: np.ndarray, points: np.ndarray, window: int, generator: np.random.Generator) -> np.ndarray:
    """For each object (masks (N, S, S)) a random place, (N, 2) x then y, whose square covers as much of the object as
    the squares at its own `points` (N, L, 2) do on average, to a twentieth of the square, and which is at least half a
    window from all of them on one axis; the likest share where there is none. ValueError as for `squares_at`."""
    size, places = masks.shape[1], np.empty((len(masks), 2))
    inside = np.pad(masks.astype(np.int64), ((0, 0), (1, 0), (1, 0))).cumsum(1).cumsum(2)
    corner = np.arange(size - window + 1)
    centres = np.stack(np.meshgrid(corner, corner), -1).reshape(-1, 2) + (window - 1) / 2  # x then y
    for number, (table, marks) in enumerate(zip(inside, points, strict=True)):
        covered = (
            table[window:, window:] - table[:-window, window:] - table[window:, :-window] + table[:-window, :-window]
        )
        top, left = squares_at(marks, window, size)[:, :2].T
        gap = np.abs(covered - covered[top, left].mean()).ravel() / window**2
        gap[np.abs(centres[:, None] - marks[None]).max(-1).min(1) < window / 2] = np.inf
        places[number] = centres[generator.choice(np.flatnonzero(gap <= max(0.05, gap.min())))]
    return places


def covered(masks: np.ndarray, points: np.ndarray, window: int) -> np.ndarray:
    """Share of the square at points (N, 2) that lies on the object of masks (N, S, S): (N,)."""
    boxes = squares_at(points, window, masks.shape[1])
    return np.array([mask[a:c, b:d].mean() for mask, (a, b, c, d) in zip(masks, boxes, strict=True)])


def differences(
    net: interface.Network, images: Tensor, points: np.ndarray, window: int, layers: Sequence[str], *, grey=0.5,
    batch: int = 64,
) -> dict[str, np.ndarray]:  # fmt: skip
    """eps for each layer, (N, units): clean minus covered features of images (N, 3, S, S), covered at points (N, 2),
    x then y.

    Choose layers before their ReLU ('conv5_pre'): after it a silent unit cannot change its sign.
    """
    check(net, images)
    boxes = squares_at(points, window, net.size)
    found = {layer: [] for layer in layers}
    with torch.no_grad(), interface.record(net, list(layers)) as maps:
        for first in range(0, len(images), batch):
            part = images[first : first + batch].contiguous(memory_format=torch.channels_last)
            net.model(net.preprocess(part))
            clean = {layer: maps[layer].flatten(1) for layer in layers}
            net.model(net.preprocess(cover(part, boxes[first : first + batch], grey)))
            for layer in layers:
                found[layer].append((clean[layer] - maps[layer].flatten(1)).float().cpu())
    return {layer: torch.cat(parts).numpy() for layer, parts in found.items()}


def delta(eps: np.ndarray, moved: bool = False) -> float:
    """Delta of one group's eps (n, units): the share of (pair of images, unit) whose signs are opposite, 0 to 1.

    A unit that a square does not reach has eps 0 and agrees with any sign. moved: count only (pair, unit) that both
    move.
    """
    positive, negative = (eps > 0).astype(np.float64), (eps < 0).astype(np.float64)
    either = positive + negative
    opposite = np.triu(positive @ negative.T + negative @ positive.T, 1).sum()
    pairs = len(eps) * (len(eps) - 1) / 2
    counted = np.triu(either @ either.T, 1).sum() if moved else pairs * eps.shape[1]
    return float(opposite / counted) if counted else float("nan")


def groups(kinds: np.ndarray, usable: np.ndarray, size: int = 5) -> np.ndarray:
    """Groups (G, size) of indices of usable images of one kind, in the order in which they come; what is left over is
    dropped."""
    found = [np.flatnonzero((kinds == kind) & usable) for kind in np.unique(kinds)]
    whole = [index[: len(index) // size * size].reshape(-1, size) for index in found]
    return np.concatenate(whole) if whole else np.empty((0, size), int)
