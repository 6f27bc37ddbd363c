"""Occlusion: slide a grey square over an image and watch what a network makes of it.

Zeiler & Fergus 2014, section 4.2 and Fig. 7. They give neither the size nor the stride of the square; both are
arguments.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy import special
from torch import Tensor

from lib.methods.backward import three_rules
from lib.methods.occlusion import changed_patches, whole_images
from lib.methods.receptive.layer_graph import NotTraceable
from lib.networks import interface

BYTES = 2**28  # default byte budget
PRECISIONS, METHODS = ("float32", "bfloat16", "fast"), ("auto", "plain", "incremental")
WORTH = 0.7  # recompute incrementally if that takes less than this share of the plain loop's multiplications


class Sweep(NamedTuple):
    """What a network answered, for N images, its K classes and the P squares of a grid."""

    boxes: np.ndarray  # (P, 4) top, left, bottom, right (exclusive) of each square, pixels
    grid: tuple[int, int]  # rows and columns of squares, P in all
    clean: np.ndarray  # (N, K) scores of the images as they are
    logits: np.ndarray  # (N, P, K) scores with one square covered
    channel: np.ndarray | None  # (N,) the map read: the layer's strongest on the clean image
    clean_activity: np.ndarray | None  # (N,) its activations, summed over the map
    activity: np.ndarray | None  # (N, P) the same with one square covered
    method: str  # plain or incremental


def squares(size: int, window: int, stride: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The squares (P, 4) of side `window` at steps of `stride` (pixels) on an image of `size`, row by row, and how many
    rows and columns they form. As captum does it, the last ones are cut off at the border rather than moved. ValueError
    unless 1 <= window <= size and stride >= 1."""
    if not 1 <= window <= size:
        raise ValueError(f"window: got {window} pixels, expected 1 to {size}, the side of the image")
    if stride < 1:
        raise ValueError(f"stride: got {stride} pixels, expected at least 1")
    first = np.arange(-(-(size - window) // stride) + 1) * stride
    first = first[first < size]
    corners = np.stack(np.meshgrid(first, first, indexing="ij"), -1).reshape(-1, 2)
    return np.concatenate([corners, np.minimum(corners + window, size)], 1), (len(first), len(first))


def sweep(
    net: interface.Network, images: Tensor, window: int, stride: int, *, baseline=0.5, layer: str | None = None,
    byte_budget: int = BYTES, precision: str = "float32", method: str = "auto",
) -> Sweep:  # fmt: skip
    """Cover every square in turn; read the class scores and, of `layer`, the map that is strongest without a square.

    images: float RGB (N, 3, S, S) in [0, 1]. window, stride: pixels. baseline: the square's grey, one number or three
    (RGB). byte_budget: what the activations may take, as far as at least one image fits. precision: 'float32' (the
    network's own), 'bfloat16', or 'fast', which is bfloat16 where the processor has AMX. method: 'plain' runs whole
    images, 'incremental' recomputes only what the square can reach (lib.methods.occlusion.changed_patches), 'auto'
    chooses. Raises ValueError for bad arguments.
    """
    check(net, images)
    boxes, grid = squares(net.size, window, stride)
    for name, value, known in (("precision", precision, PRECISIONS), ("method", method, METHODS)):
        if value not in known:
            raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(known)}")
    low = precision == "bfloat16" or (precision == "fast" and torch.cpu._is_amx_tile_supported())
    grey = torch.as_tensor(baseline, dtype=images.dtype, device=images.device).reshape(-1, 1, 1)
    grey, found = grey.expand(1, 3, net.size, net.size), []
    with torch.no_grad(), torch.autocast(images.device.type, torch.bfloat16, enabled=low):
        covered, used = _covered(net, images[:1], grey, boxes, layer, byte_budget, method)
        for image in images.split(1):
            scores, channel, total = whole_images.clean(net, image, layer)  # the strongest map of the clean image
            logits, activity = covered(image, channel)  # the same, square by square
            found.append((scores, logits[None], channel, total, activity))
    scores, logits, channel, total, activity = zip(*found, strict=True)
    maps = (None,) * 3 if layer is None else (np.array(channel), np.array(total), _array(torch.stack(activity)))
    return Sweep(boxes, grid, _array(torch.cat(scores)), _array(torch.cat(logits)), *maps, used)


def check(net: interface.Network, images: Tensor) -> None:
    """ValueError, in one sentence, for images that `net` cannot read."""
    interface.check(net, images)
    if not len(images):
        raise ValueError(f"images for {net.name}: found none, expected at least one")


def probability(logits: np.ndarray, labels) -> np.ndarray:
    """The probability of each image's true class, (N, P), from scores (N, P, K) and class indices (N,). ValueError for
    an index that is none of the K."""
    labels, classes = np.asarray(labels), logits.shape[-1]
    if labels.shape != logits.shape[:1] or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels: got {labels.tolist()}, expected {len(logits)} class indices from 0 to {classes - 1}")
    return special.softmax(logits, -1)[np.arange(len(labels)), ..., labels]


def pixel_map(values: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
    """The mean of `values` (..., P) over the squares that cover each pixel, (..., size, size); NaN where none does."""
    total, covered = np.zeros((*values.shape[:-1], size, size)), np.zeros((size, size))
    for number, (top, left, bottom, right) in enumerate(boxes):
        total[..., top:bottom, left:right] += values[..., number, None, None]
        covered[top:bottom, left:right] += 1
    return np.divide(total, covered, out=np.full_like(total, np.nan), where=np.broadcast_to(covered > 0, total.shape))


def panels(net: interface.Network, image: Tensor, label: int, window: int, stride: int, layer=None, **options) -> dict:
    """Fig. 7 of the paper for one image (3, S, S) of class `label`, by the name of each panel: the input, the activity
    of the layer's strongest map, its deconvnet projection, the class's probability, the most probable class. layer: a
    layer's name; None takes the last convolution. options: those of `sweep`.

    A panel that the network has nothing for, a map or a projection, is the sentence that says why, a string.
    """
    why = ""
    if layer is None:
        try:
            layer = interface.last_conv(net)
        except ValueError as error:
            why = str(error)
    found = sweep(net, image[None], window, stride, layer=layer, **options)
    likeliest = found.logits[0].argmax(-1)
    return {
        "image": _array(image.permute(1, 2, 0)), "activation": why or found.activity[0].reshape(found.grid),
        "projection": why or _projected(net, image, layer, int(found.channel[0])),
        "label": likeliest.reshape(found.grid),
        "probability": probability(found.logits, [label])[0].reshape(found.grid),
        "names": {int(k): net.classes[k] for k in np.unique(likeliest)}, "title": net.classes[label], "box": window,
    }  # fmt: skip


def _projected(net: interface.Network, image: Tensor, layer: str, channel: int) -> np.ndarray | str:
    """The deconvnet projection (S, S, 3) of a channel, or why the network has none."""
    try:
        shown = three_rules.project(net, image[None], layer, channel, start="activation")
    except ValueError as error:
        return str(error)
    return _array(shown[0].permute(1, 2, 0))


def _array(values: Tensor) -> np.ndarray:
    values = values.float() if values.dtype == torch.bfloat16 else values
    return values.cpu().numpy()


def _covered(net, example, grey, boxes, layer, byte_budget, method) -> tuple[Callable, str]:
    """(image (1, 3, S, S), channel) -> (scores (P, K), the channel's sums (P,) or None) with every square in turn, and
    the method by which it is found: 'plain' or 'incremental'."""
    pixelwise = whole_images.pixelwise(net, example, grey)
    plan = None if method == "plain" else _plan(net, example, pixelwise, boxes, layer, byte_budget, method)
    batch = whole_images.batch_size(net, example, byte_budget) if plan is None else plan.batch
    ready, prepare = net, lambda image: image
    if pixelwise:  # preprocess once, not once a square
        ready, prepare = net._replace(preprocess=lambda seen: seen), net.preprocess

    def covered(image: Tensor, channel: int | None) -> tuple[Tensor, Tensor | None]:
        seen, blank = prepare(image), prepare(grey)
        if plan is not None:
            return changed_patches.sweep(plan, seen, blank, channel)
        return whole_images.sweep(ready, seen, blank, boxes, layer, channel, batch)

    return covered, "plain" if plan is None else "incremental"


def _plan(net, image, pixelwise, boxes, layer, byte_budget, method) -> changed_patches.Plan | None:
    """A plan for the incremental sweep; None (if the choice is free) where it does not apply or is not worth while."""
    path, seen = None if layer is None else net.layers.get(layer, layer), net.preprocess(image)
    try:
        if path in (net.channels or {}):
            raise NotTraceable(f"the maps of {layer} have their channels last")
        if not pixelwise:
            raise NotTraceable("the preprocessing does not treat each pixel by itself")
        plan = changed_patches.plan(net.model, seen, boxes, path, byte_budget)
        if plan.cost > WORTH and method == "auto":
            return None
        with torch.autocast(image.device.type, enabled=False):
            again = changed_patches.clean(plan.network, seen, {plan.network.result})[0][plan.network.result]
            same = torch.allclose(again, net.model(seen), rtol=1e-3, atol=1e-3)
        if not same:
            raise NotTraceable("the traced layers do not give the network's own scores")
    except NotTraceable as reason:
        if method == "incremental":
            raise ValueError(f"method: 'incremental' does not fit {net.name}: {reason}; use 'plain'") from reason
        return None
    return plan
