"""Saliency maps (Simonyan et al. 2014) and what tells a good one: object masks, a small step along the signal, pixels
greyed out in its order (ours).

Maps are arrays (N, S, S); a table (N, N) has image i's map in row i and image k's mask in column k, so that its
diagonal is the score and the rest its null.
"""

import numpy as np
import torch
from scipy import ndimage, stats
from torch import Tensor

from lib.methods.backward import three_rules
from lib.networks import interface

SHARES = tuple(np.arange(2, 42, 2) / 100)  # of the pixels: the thresholds among which `best_overlap` chooses


def rules(net: interface.Network) -> tuple[tuple[str, ...], str]:
    """The rules of lib.methods.backward.three_rules that `net` allows for its class scores, and why it refuses the
    others ('' if it does not)."""
    device = next((p.device for p in net.model.parameters()), "cpu")
    grey = torch.full((1, 3, net.size, net.size), 0.5, device=device)
    three_rules.project(net, grey, None, 0, rule="gradient")
    try:
        three_rules.project(net, grey, None, 0, rule="deconvnet")
    except ValueError as reason:
        return ("gradient",), str(reason)
    return tuple(three_rules.RULES), ""


def signals(net: interface.Network, images: Tensor, labels, rule: str = "gradient", batch: int = 32) -> Tensor:
    """The signal of each image's class score at its pixels, (N, 3, S, S), before any softmax. images (N, 3, S, S) in
    [0, 1]; labels (N,) class numbers. ValueError as for `three_rules.project`."""
    interface.check(net, images)
    labels = torch.as_tensor(labels, device=images.device).expand(len(images))
    images = images.contiguous(memory_format=torch.channels_last)
    found, first = [], 0
    for part in interface.split(images, batch):
        found.append(three_rules.project(net, part, None, labels[first : first + len(part)], rule=rule))
        first += len(part)
    return torch.cat(found)


def saliency(signal: Tensor) -> np.ndarray:
    """M_ij = max over channels of |w_ij| (Simonyan et al. 2014): (N, 3, S, S) -> (N, S, S), not negative."""
    return signal.abs().amax(1).cpu().numpy()


def blurred(maps: np.ndarray, sigma: float) -> np.ndarray:
    """Each map (N, S, S) smoothed by a Gaussian of `sigma` pixels; 0 leaves it as it is."""
    return ndimage.gaussian_filter(maps, (0, sigma, sigma)) if sigma else maps


def gaussian(size: int) -> np.ndarray:
    """A centred Gaussian (size, size), the 'map' of someone who never looks at the image."""
    place = np.arange(size) - (size - 1) / 2
    return np.exp(-(place[:, None] ** 2 + place**2) / (2 * (size / 4) ** 2))


# ------------------------------------------------------------------------------------------------ object masks


def pointing(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Does the largest value of a map (N, S, S) lie on the object, masks (M, S, S) bool? Table (N, M) of 0 and 1; a
    share where several are largest."""
    flat = maps.reshape(len(maps), -1)
    largest = (flat == flat.max(1, keepdims=True)).astype(np.float64)
    return largest @ masks.reshape(len(masks), -1).T.astype(np.float64) / largest.sum(1, keepdims=True)


def overlaps(places: np.ndarray, masks: np.ndarray, share: float) -> np.ndarray:
    """Intersection over union of the `share` (0 to 1) of pixels with the largest values and the masks, table (N, M).

    places: `ranks` of maps (N, S * S); masks: (M, S, S) bool.
    """
    objects, count = masks.reshape(len(masks), -1).astype(np.float32), max(1, round(share * places.shape[1]))
    both = ((places < count).astype(np.float32) @ objects.T).astype(np.float64)
    return both / (count + objects.sum(1) - both)


def best_overlap(maps: np.ndarray, masks: np.ndarray, shares=SHARES) -> tuple[np.ndarray, tuple[float, float]]:
    """`overlaps` of maps (N, S, S) with masks (N, S, S) bool at the best of `shares`, table (N, N), and the two shares.

    The threshold of images with even numbers is the best one for those with odd numbers, and the other way round: no
    image chooses its own. ValueError for fewer than two images.
    """
    if len(maps) < 2:
        raise ValueError(f"maps: found {len(maps)} images, expected at least 2: each half chooses for the other")
    places = ranks(maps.reshape(len(maps), -1))
    result, chosen = np.empty((len(maps), len(masks))), []
    for half in (0, 1):
        others, seen = places[1 - half :: 2], masks[1 - half :: 2]
        best = max(shares, key=lambda share: np.diagonal(overlaps(others, seen, share)).mean())  # noqa: B023
        result[half::2] = overlaps(places[half::2], masks, best)
        chosen.append(float(best))
    return result, tuple(chosen)


# ------------------------------------------------------------------------------------- a step, and greying out


def raised(net: interface.Network, images: Tensor, labels, directions: Tensor, size: float = 0.001) -> np.ndarray:
    """Does a step along `directions` (N, 3, S, S) raise the class's score? Boolean (N,).

    size: the step's length as a share of the image's norm (values in [0, 1], not clipped afterwards). A direction of
    zeros raises nothing.
    """
    norms = directions.flatten(1).norm(dim=1).clamp(min=1e-30)
    step = directions * (size * images.flatten(1).norm(dim=1) / norms).view(-1, 1, 1, 1)
    rows, labels = torch.arange(len(images)), torch.as_tensor(labels)
    before, after = (interface.scores(net, each, 32).cpu()[rows, labels] for each in (images, images + step))
    return (after > before).numpy()


def ranks(values: np.ndarray) -> np.ndarray:
    """The place of each value (N, P) when its row is sorted, the largest first (0); equal ones in their order."""
    return stats.rankdata(-values, method="ordinal", axis=1) - 1


def deletion(net: interface.Network, images: Tensor, labels, maps: np.ndarray, steps: int, grey: float = 0.5):
    """The class's probability as pixels are greyed out, the largest of `maps` (N, S, S) first: (N, steps + 1).

    Each step greys the same number of pixels, all three colours of each; the last entry is the wholly grey image.
    ValueError unless steps is from 1 to the number of pixels.
    """
    pixels = maps[0].size
    if not 1 <= steps <= pixels:
        raise ValueError(f"steps: got {steps}, expected 1 to {pixels}, the number of pixels")
    place = torch.from_numpy(ranks(maps.reshape(len(maps), -1)).reshape(maps.shape)).to(images.device)[:, None]
    rows, labels, curve = torch.arange(len(images)), torch.as_tensor(labels), []
    images = images.contiguous(memory_format=torch.channels_last)
    for step in range(steps):
        covered = images.masked_fill(place < round(step * pixels / steps), grey)
        curve.append(interface.scores(net, covered, 32).cpu().softmax(1)[rows, labels])
    blank = interface.scores(net, torch.full_like(images[:1], grey)).cpu().softmax(1)[0, labels]  # the same for all
    return torch.stack([*curve, blank], 1).numpy()


def area(curves: np.ndarray) -> np.ndarray:
    """Area under each curve (N, steps + 1) over the share of pixels greyed, 0 to 1, by the trapezium rule: (N,)."""
    return np.trapezoid(curves, dx=1 / (curves.shape[1] - 1), axis=1)


def grid(maps: np.ndarray, period: int) -> np.ndarray:
    """How much of a map is a grid: the share of its variance that a pixel's place in a tile of `period` explains.

    maps: (N, S, S), rows and columns beyond whole tiles of `period` pixels left out; (N,). Adjusted for the number of
    places, so that a map without a grid has 0 on average (a little below or above); 1 if every tile is the same.
    ValueError unless the map holds two tiles a side.
    """
    n, side = len(maps), maps.shape[1] // period * period
    if side < 2 * period:
        raise ValueError(f"period: got {period}, expected at most half of the map's {maps.shape[1]} pixels")
    tiles = maps[:, :side, :side].reshape(n, side // period, period, side // period, period).astype(np.float64)
    within = tiles.var((1, 3)).mean((1, 2)) * (tiles.shape[1] ** 2) / (tiles.shape[1] ** 2 - 1)
    total = tiles.reshape(n, -1).var(1, ddof=1)
    return 1 - np.divide(within, total, out=np.ones(n), where=total > 0)


def panel(net: interface.Network, image: Tensor, label: int, layer: str | None = None) -> dict[str, np.ndarray | None]:
    """One image (3, S, S) and its signals under every rule, (S, S, 3) each, by column title: from the score of class
    `label` and, with a `layer`, from the strongest unit of its strongest map. None where the network refuses a rule."""
    allowed, _ = rules(net)
    pictures = {"picture": image}
    for rule in three_rules.RULES:
        known = rule in allowed
        pictures[f"score:\n{rule}"] = (
            three_rules.project(net, image[None], None, label, rule=rule)[0] if known else None
        )
    if layer is not None:
        values = interface.features(net, image[None], [layer])[layer]
        strongest = int(values.reshape(*values.shape[:2], -1).amax(2).argmax())
        for rule in three_rules.RULES:
            found = (
                three_rules.project(net, image[None], layer, strongest, unit="max", rule=rule)[0]
                if rule in allowed
                else None
            )
            pictures[f"{layer} unit:\n{rule}"] = found
    return {name: None if each is None else each.permute(1, 2, 0).cpu().numpy() for name, each in pictures.items()}
