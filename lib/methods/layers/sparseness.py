"""How sparse and how local a network's answers are: measures of activations (CS231n 2016, lecture 9, list 1).

All measures take activations after a ReLU, so none is negative. Lists are of images: every function keeps the first
axis, one value an image. The Gini coefficient is Hurley & Rickard's 2009; the other measures are ours.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from lib.networks import interface

STRONGEST = 0.25  # share of a map's places that `concentration` counts as its strongest


def zero_share(activations: Tensor) -> Tensor:
    """Share of each image's activations (N, ...) that are exactly zero: (N,), 0 to 1."""
    return (_flat(activations) == 0).double().mean(1)


def gini(activations: Tensor) -> Tensor:
    """Gini coefficient of each image's activations (N, ...): (N,), 0 to 1.

    0 if all are equal, 1 - 1/n if one of n holds everything. By the order statistics: sum of (2i - n - 1) x_(i) over n
    times the sum of x, for x_(1) <= ... <= x_(n). An image to which all activations are zero has no distribution to
    speak of; its coefficient is set to 1, the value towards which ever fewer active units lead.
    """
    values = _flat(activations).sort(1).values.double()
    n = values.shape[1]
    weights = 2 * torch.arange(1, n + 1, dtype=torch.float64, device=values.device) - n - 1
    total = values.sum(1)
    return torch.where(total > 0, (values @ weights) / (n * total).clamp_min(1e-300), torch.ones_like(total))


def concentration(maps: Tensor, share: float = STRONGEST) -> Tensor:
    """Share of a map's sum that lies in its strongest `share` of places: (N,), mean over the maps that are not silent.

    `share` itself if a map is flat, 1 if all of it lies there; NaN for an image in which every map is silent.
    """
    values = _places(maps)
    count = max(1, round(share * values.shape[2]))
    held = values.topk(count, 2).values.sum(2) / values.sum(2)  # a silent map gives 0 / 0, which nanmean leaves out
    return held.double().nanmean(1)


def entropy(maps: Tensor) -> Tensor:
    """Spatial entropy: of a map's activity over its P places, over log P; (N,), mean over the maps not silent.

    0 if all activity is at one place, 1 if it is spread evenly; NaN for an image in which every map is silent.
    ValueError for maps of one place.
    """
    values = _places(maps)
    if values.shape[2] < 2:
        raise ValueError(f"maps: found shape {tuple(maps.shape)}, expected at least two places a map")
    p = values / values.sum(2, keepdim=True)
    return torch.special.entr(p).sum(2).double().nanmean(1) / math.log(values.shape[2])


def gini_of_active(gini: Tensor, zeros: Tensor) -> Tensor:
    """Gini coefficient among the activations that are not zero, from that of all and the share of zeros.

    gini = zeros + (1 - zeros) gini_of_active, exactly: what a rise owes to zeros, and what to the rest. 1 where all
    are zero.
    """
    return torch.where(zeros < 1, (gini - zeros) / (1 - zeros).clamp_min(1e-300), torch.ones_like(zeros))


def measures(maps: Tensor) -> dict[str, Tensor]:
    """All measures of each image's maps (N, C, H, W) in one layer, {measure: (N,)}."""
    g, zeros = gini(maps), zero_share(maps)
    found = {"Gini": g, "zeros": zeros, "Gini of the active": gini_of_active(g, zeros)}
    return found | {"strongest quarter": concentration(maps), "spatial entropy": entropy(maps)}


def sparsity(net: interface.Network, images: Tensor, batch: int = 16) -> dict[str, np.ndarray]:
    """Every measure of each image (N, 3, size, size), mean over the ReLUs that follow a convolution:
    {measure: (N,)}. Layers in which a local measure has no value (all maps silent) are left out of its mean."""
    interface.check(net, images)
    layers, parts = rectified(net), []
    with torch.no_grad():
        for part in images.split(batch):
            maps = interface.forward_to(net, part, layers)
            each = [measures(maps[layer]) for layer in layers]
            parts.append({name: torch.stack([one[name] for one in each]).nanmean(0) for name in each[0]})
    return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}


def rectified(net: interface.Network) -> list[str]:
    """Paths of the ReLUs that follow a convolution, in the order of use: where a network's sparse maps can be recorded.
    One that runs more than once in a pass has no map of its own and is left out.

    ValueError for a network without one (ConvNeXt has GELUs, whose answers are never exactly zero).
    """
    order, kinds = [], (nn.Conv2d, nn.ReLU, nn.ReLU6)
    parts = {path: part for path, part in net.model.named_modules() if isinstance(part, kinds)}
    handles = [part.register_forward_hook(lambda *_, path=path: order.append(path)) for path, part in parts.items()]
    try:
        with torch.no_grad():
            net.model(net.preprocess(interface.grey(net)))
    finally:
        for handle in handles:
            handle.remove()
    found, waiting = [], False
    for path in order:
        if isinstance(parts[path], nn.Conv2d):
            waiting = True
        elif waiting:
            found += [path] if order.count(path) == 1 else []
            waiting = False
    if not found:
        raise ValueError(
            f"{net.name} has no ReLU behind a convolution, as a module that runs once: none of its activations is ever "
            "exactly zero, or none can be recorded"
        )
    return found


def peaks(net: interface.Network, images: Tensor, layers: list[str], batch: int = 250) -> dict[str, Tensor]:
    """The largest activation of every map (unit) in every image, {layer: (N, C)}; 0 where the map is all zero.

    Larger than any pass with all maps kept: only the maxima stay. A map with a NaN has the peak NaN, which is not 0.
    """
    interface.check(net, images)
    parts = [interface.forward_to(net, part, layers) for part in images.split(batch)]
    return {layer: torch.cat([_places(part[layer]).amax(2).detach() for part in parts]) for layer in layers}


def _flat(activations: Tensor) -> Tensor:
    if activations.ndim < 2 or not activations.is_floating_point() or (activations < 0).any():
        low = activations.min().item() if activations.numel() else float("nan")
        raise ValueError(
            f"activations: found {activations.dtype} of shape {tuple(activations.shape)} and a smallest value of "
            f"{low:g}, expected floats (N, ...), none negative: record the layer after its ReLU"
        )
    return activations.flatten(1)


def _places(maps: Tensor) -> Tensor:
    """(N, C, ...) as (N, C, places); units of a dense layer are maps of one place."""
    return maps.flatten(2) if maps.ndim > 2 else maps[..., None]
