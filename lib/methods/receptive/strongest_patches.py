"""What a single unit answers to most strongly: its top patches over many pictures, and how much they have in common.

A unit is one channel of a layer at any position, or one entry of a dense layer (Girshick et al. 2014, section 3.1).
"""

from typing import NamedTuple

import numpy as np
import torch

from lib.methods.receptive import fields
from lib.networks import interface

TOP = 16  # patches a unit, as in Girshick et al. 2014, Figure 4


class Peaks(NamedTuple):
    """The strongest answer of every unit of a layer to every picture."""

    values: np.ndarray  # (N, C) float32
    places: np.ndarray  # (N, C) position of the answer, a number in reading order; 0 in a dense layer


class Patch(NamedTuple):
    """One of a unit's strongest patches; what of `window` lies outside the picture was padding to the network."""

    image: int
    position: int  # in the layer's map, in reading order
    value: float  # the unit's answer there
    window: tuple[int, int, int, int]  # top, left, bottom, right of its receptive field, pixels


# ---------------------------------------------------------------------------------------- the strongest patches


def peaks(net: interface.Network, layer: str, images: torch.Tensor, batch: int = 32) -> Peaks:
    """One pass over images (N, 3, size, size) in [0, 1] that keeps each unit's largest answer and where it was.
    ValueError for a layer that does not exist, runs twice, or gives neither units nor maps."""
    shape = tuple(interface.features(net, images[:1], [layer])[layer].shape)  # refuses a layer that runs twice
    if len(shape) not in (2, 4):
        raise ValueError(f"layer {layer!r} of {net.name} gives shape {shape}, expected (N, C) or (N, C, rows, columns)")
    device, found = interface.grey(net).device, []
    with torch.no_grad():
        for part in interface.split(images, batch):
            maps = interface.forward_to(net, part.to(device), [layer])[layer]
            found.append(maps.reshape(*maps.shape[:2], -1).max(2))
    values, places = (torch.cat([one[k] for one in found]).cpu().numpy() for k in (0, 1))
    return Peaks(values, places)


def strongest(values: np.ndarray, k: int = TOP) -> np.ndarray:
    """The k pictures that each unit answers to most, strongest first: values (N, C) -> (C, k); of equal ones the first
    in order. ValueError unless 1 <= k <= N."""
    if not 1 <= k <= len(values):
        raise ValueError(f"k is {k}, expected 1 to the number of pictures, {len(values)}")
    return np.argsort(-values, axis=0, kind="stable")[:k].T


def patches(
    net: interface.Network,
    layer: str,
    units: list[int],
    images: torch.Tensor,
    k: int = TOP,
    overlap: float | None = 0.3,
) -> list[list[Patch]]:
    """The k strongest patches of each of `units` over images (N, 3, size, size), strongest first; fewer if there are no
    more. `overlap`: see `suppressed`. ValueError for a unit that the layer does not have, or values out of range."""
    if k < 1 or (overlap is not None and not 0 <= overlap <= 1):
        raise ValueError(f"found k {k} and overlap {overlap}, expected k of at least 1 and overlap 0 to 1 or None")
    interface.check(net, images)
    field, maps = fields.field(net, layer), []
    for part in [images[:1], *images.split(64)]:  # keeps the units asked for; the first only tells how many there are
        answers = interface.features(net, part, [layer])[layer]
        if wrong := [unit for unit in units if not 0 <= unit < answers.shape[1]]:
            last = answers.shape[1] - 1
            raise ValueError(f"unit is {wrong[0]}, expected 0 to {last} in layer {layer!r} of {net.name}")
        maps.append(answers[:, units].reshape(len(part), len(units), -1).cpu().numpy())
    return [suppressed(values, field, k, overlap) for values in np.concatenate(maps[1:]).transpose(1, 0, 2)]


def suppressed(values: np.ndarray, field: fields.Field, k: int, overlap: float | None) -> list[Patch]:
    """The k strongest answers of a unit, values (N, positions), after greedy non-maximum suppression in each picture.

    A patch is left out if it shares more than `overlap` (0 to 1, intersection over union of the parts inside the
    picture) with a stronger one of its picture. overlap=None: at most one patch a picture. The unit's least answer
    excites nothing and is never kept: after a ReLU that is silence.
    """
    kept, limit, least = [], -1 if overlap is None else overlap, values.min()
    for number in np.argsort(-values, axis=None, kind="stable"):
        image, position = divmod(int(number), values.shape[1])
        if values[image, position] == least:
            break
        rivals = [field.seen(one.position) for one in kept if one.image == image]
        if all(shared(field.seen(position), rival) <= limit for rival in rivals):
            kept.append(Patch(image, position, float(values[image, position]), field.window(position)))
        if len(kept) == k:
            break
    return kept


def shared(one: tuple, other: tuple) -> float:
    """Intersection over union of two rectangles (top, left, bottom, right); 0 if both are empty."""
    area = [max(0, b - t) * max(0, r - left) for t, left, b, r in (one, other)]
    top, left, bottom, right = (f(a, b) for f, a, b in zip((max, max, min, min), one, other, strict=True))
    both = max(0, bottom - top) * max(0, right - left)
    return both / max(1, area[0] + area[1] - both)


def cut(image: np.ndarray, window: tuple[int, int, int, int], fill: float = 0.5) -> np.ndarray:
    """The window (top, left, bottom, right) of a picture (H, W, 3) in [0, 1], what lies outside in the grey `fill`
    (0 to 1); the whole picture if the window is at least as large as it."""
    top, left, bottom, right = window
    height, width = image.shape[:2]
    if bottom - top >= height and right - left >= width:
        return image
    patch = np.full((bottom - top, right - left, 3), fill, image.dtype)
    inside = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    y, x = max(-top, 0), max(-left, 0)
    patch[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return patch


# ------------------------------------------------------------------------------- what a unit uses of its field


def effective(net: interface.Network, layer: str, images: torch.Tensor, generator: torch.Generator) -> np.ndarray:
    """Where the layer's middle position takes its answer from: gradient energy (H, W), which sums to one.

    Squared derivative of the answer by each pixel, summed over colours and channels, mean over images (N, 3, H, W): the
    derivative of a sum of the channels with random signs has this energy on average (after Luo et al. 2016). ValueError
    for a layer without a map, and for a network that lets no gradient through.
    """
    interface.check(net, images)
    interface.check_gradient(net)
    images = images.detach().clone().requires_grad_(True)
    maps = interface.forward_to(net, images, [layer])[layer]
    if maps.ndim != 4:
        known = ", ".join(list(net.layers) or interface.convolutions(net))
        raise ValueError(f"layer {layer!r} of {net.name} has no map; choose a convolution: {known}")
    middle = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]
    signs = torch.randint(0, 2, middle.shape, generator=generator).to(middle) * 2 - 1
    (slope,) = torch.autograd.grad((signs * middle).sum(), images)
    energy = slope.double().square().sum((0, 1)).cpu().numpy()
    return energy / energy.sum() if energy.sum() > 0 else energy


def side(energy: np.ndarray, share: float = 0.95) -> float:
    """Side, in pixels, of a square with as many pixels as hold `share` of the energy (the strongest are taken)."""
    total = np.cumsum(np.sort(energy, axis=None)[::-1])
    return float(np.sqrt(np.searchsorted(total, share * total[-1] - 1e-12) + 1)) if total[-1] > 0 else 0.0
