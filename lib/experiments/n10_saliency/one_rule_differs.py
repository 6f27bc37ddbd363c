"""Claim E7 in numbers: the deconvnet is the gradient with another rule for ReLUs, and where all signs are positive the
three rules are one. In float64, so that what is left is rounding."""

import copy

import numpy as np
import torch
from torch import Tensor

from lib.experiments.n10_saliency import deconvnet_by_layers
from lib.methods.backward import three_rules
from lib.networks import interface, zoo


def differences(families, seeds, images: Tensor, labels) -> dict:
    """Largest relative difference, in float64, between what should be the same: the explicit deconvnet and the gradient
    with another ReLU rule, on trained networks; all three rules, in a network whose weights and inputs are positive.
    named: how far the rules differ on the trained networks (median, smallest, largest). Claim E7."""
    same, apart = [], {"deconvnet": [], "guided": []}
    images = images.double()
    for family, seed in ((family, seed) for family in families for seed in seeds):
        net = _double(zoo.network(family, seed))
        for layer in [None, interface.last_conv(net), *(["fc7"] if "fc7" in net.layers else [])]:
            chosen = torch.as_tensor(labels) if layer is None else _strongest(net, images, layer)
            with torch.no_grad():
                explicit = deconvnet_by_layers.project(net, images, layer, chosen)
            signal = {
                rule: three_rules.project(net, images, layer, chosen, unit="max", rule=rule)
                for rule in three_rules.RULES
            }
            same.append(apartness(explicit, signal["deconvnet"]))
            for rule, values in apart.items():
                values.append(turned(signal["gradient"], signal[rule]))
        every = [
            three_rules.project(positive(net), images, None, torch.as_tensor(labels), rule=rule)
            for rule in three_rules.RULES
        ]
        same += [apartness(every[0], other) for other in every[1:]]
    same = np.concatenate(same)
    named = {f"cosine distance of {rule} from gradient": np.concatenate(values) for rule, values in apart.items()}
    named = {name: (float(np.median(v)), float(v.min()), float(v.max())) for name, v in named.items()}
    return {
        "value": float(same.max()),
        "interval": (float(same.min()), float(same.max())),
        "n": len(same),
        "named": named,
    }


def apartness(one: Tensor, two: Tensor) -> np.ndarray:
    """Largest difference of two signals (N, 3, S, S) relative to the first one's largest value, (N,); 0 where both are
    silent."""
    size = one.abs().flatten(1).amax(1)
    largest = (one - two).abs().flatten(1).amax(1)
    return torch.where(largest > 0, largest / size.clamp(min=1e-300), largest).numpy()


def turned(one: Tensor, two: Tensor) -> np.ndarray:
    """Cosine distance of two signals (N, 3, S, S), (N,): 0 is the same up to a factor, 1 unrelated; 1 if one is
    silent."""
    return (1 - torch.cosine_similarity(one.flatten(1), two.flatten(1), dim=1)).numpy()


def positive(net: interface.Network) -> interface.Network:
    """The same network with all weights positive, read without preprocessing: every value and signal is positive."""
    model = copy.deepcopy(net.model)
    for value in model.parameters():
        value.data.abs_()
    for name, value in model.named_buffers():
        if name.endswith("running_mean"):
            value.data.abs_().neg_()
    return net._replace(model=model, preprocess=lambda x: x)


def _double(net: interface.Network) -> interface.Network:
    return net._replace(model=copy.deepcopy(net.model).double())


def _strongest(net: interface.Network, images: Tensor, layer: str) -> Tensor:
    """The channel that holds the layer's largest activation, one an image."""
    values = interface.features(net, images, [layer])[layer]
    return values.reshape(*values.shape[:2], -1).amax(2).argmax(1)
