"""The sanity check of Adebayo et al. 2018: does a map change when the network's weights are replaced by random ones?

Cascading: all layers from the scores down to a given one are random. Independent: that one alone. The likeness of two
maps is Spearman's rank correlation of their absolute values, and their structural similarity.
"""

import copy

import numpy as np
import torch
from scipy import stats
from skimage.metrics import structural_similarity
from torch import Tensor

from lib.base import identity
from lib.methods.backward import saliency_maps
from lib.networks import catalogue, interface

HOW = ("cascading", "independent")


def stages(net: interface.Network) -> list[list[str]]:
    """The layers that have weights, from the scores to the input: for each the paths of its modules.

    A layer starts at a convolution or a dense layer; normalisations and scales that follow it belong to it. The order
    is that of definition, which in the networks here is the order of use, branch by branch. ValueError for a network
    without weights.
    """
    found: list[list[str]] = []
    blocks = []  # modules with a weight of their own round other layers: it belongs to the last layer inside
    for path, part in net.model.named_modules():
        weight = getattr(part, "weight", None)
        if isinstance(weight, Tensor) and weight.dim() >= 2:
            found.append([path])
        elif list(part.parameters(recurse=False)) and list(part.children()):
            blocks.append(path)
        elif found and list(part.parameters(recurse=False)):
            found[-1].append(path)
    if not found:
        raise ValueError(f"{net.name} has no layer with weights; nothing can be made random")
    for block in blocks:
        inside = [layer for layer in found if layer[0].startswith(f"{block}." if block else "")]
        (inside or found)[-1].append(block)
    return found[::-1]


def replaced(net: interface.Network, fresh: interface.Network, layers: list[list[str]]) -> interface.Network:
    """A copy of `net` whose `layers` (a part of `stages(net)`) have the weights, and the running statistics, of
    `fresh`, an untrained network of the same architecture."""
    model, paths = copy.deepcopy(net.model), {path for layer in layers for path in layer}
    others = dict(fresh.model.named_modules())
    for path, part in model.named_modules():
        if path in paths:
            for kind in ("_parameters", "_buffers"):
                for name, value in getattr(part, kind).items():
                    if value is not None:
                        value.data.copy_(getattr(others[path], kind)[name].data)
    return net._replace(model=model.eval(), digest=identity.state_digest(model))


def depths(count: int, steps: int) -> list[int]:
    """How many of `count` layers are random at each of `steps` even steps: from the first one or few to all. ValueError
    unless 1 <= steps <= count."""
    if not 1 <= steps <= count:
        raise ValueError(f"steps: got {steps}, expected 1 to {count}, the number of layers with weights")
    return [max(1, round(count * step / steps)) for step in range(1, steps + 1)]


def likeness(net, fresh, images: Tensor, labels, steps: int, how: str = "cascading", rules=None) -> dict:
    """How like the trained network's maps those of networks with random layers are.

    net, fresh: a trained and an untrained Network of one architecture; images (N, 3, S, S) in [0, 1]; labels (N,):
    whose scores; steps: number of depths; how: 'cascading' or 'independent'; rules: names of
    lib.methods.backward.three_rules.RULES (those that the network allows). Returns {rule: {'spearman': (steps, N),
    'ssim': (steps, N)}}. ValueError for bad arguments.
    """
    if how not in HOW:
        raise ValueError(f"how: got {how!r}, expected one of {', '.join(HOW)}")
    layers, rules = stages(net), rules or saliency_maps.rules(net)[0]
    ends = depths(len(layers), steps)
    trained = {rule: saliency_maps.saliency(saliency_maps.signals(net, images, labels, rule)) for rule in rules}
    found = {rule: {"spearman": [], "ssim": []} for rule in rules}
    for end in ends:
        changed = replaced(net, fresh, layers[:end] if how == "cascading" else layers[end - 1 : end])
        for rule in rules:
            now = saliency_maps.saliency(saliency_maps.signals(changed, images, labels, rule))
            found[rule]["spearman"].append(spearman(trained[rule], now))
            found[rule]["ssim"].append(ssim(trained[rule], now))
    return {rule: {key: np.stack(values) for key, values in each.items()} for rule, each in found.items()}


def unlike(net, images: Tensor, labels, rules=None) -> dict:
    """The null of `likeness`: the same two measures between the trained network's map of each image and that of the
    next, {rule: {'spearman': (N,), 'ssim': (N,)}}."""
    found = {}
    for rule in rules or saliency_maps.rules(net)[0]:
        maps = saliency_maps.saliency(saliency_maps.signals(net, images, labels, rule))
        other = np.roll(maps, -1, 0)
        found[rule] = {"spearman": spearman(maps, other), "ssim": ssim(maps, other)}
    return found


def spearman(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of two maps (N, S, S) each, pixel by pixel: (N,). A constant map is like none: 0."""
    ranked = [stats.rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (one, two)]
    a, b = (each - each.mean(1, keepdims=True) for each in ranked)
    size = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.divide((a * b).sum(1), size, out=np.zeros(len(a)), where=size > 0)


def ssim(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Structural similarity (scikit-image, 7 x 7 windows) of two maps (N, S, S) each, scaled to a largest value of 1:
    (N,)."""
    a, b = (maps / np.maximum(maps.max((1, 2), keepdims=True), 1e-30) for maps in (one, two))
    return np.array([structural_similarity(x, y, data_range=1.0) for x, y in zip(a, b, strict=True)])


def untrained(name: str, seed: int, device="cpu") -> interface.Network:
    """An untrained network of the architecture that `name` stands for, another one for each `seed`."""
    with torch.random.fork_rng(devices=[]):
        return catalogue.load(name, seed=seed, weights=False, device=device)
