"""What an iteration of The Mind's Eye costs, in multiply-adds counted by PyTorch (claim D4)."""

import numpy as np
import torch
from torch.utils import flop_counter

from lib.methods.minds_eye import facets, synthesis
from lib.networks import catalogue, generator_network, interface
from lib.record.tables import Table


def counted(forward, start: torch.Tensor) -> int:
    """Multiply-adds of forward(start) and of the backward pass from the sum of its answer to `start`."""
    with flop_counter.FlopCounterMode(display=False) as counter:
        start = start.requires_grad_(True)
        torch.autograd.grad(forward(start * 1.0).sum(), start)  # times 1: its hooks want no leaf as input
    return counter.get_total_flops() // 2


def iteration(net: interface.Network, layer: str, penalised: str | None = None) -> int:
    """One step for one image: the objective with both terms and the penalty, forward and backward."""
    width, _ = facets.extent(net, layer)
    targets = torch.ones(1, width, device=_grey(net).device)
    terms, _, _ = synthesis.objective(net, layer, penalised, targets, targets.bool(), (1.0, 1.0), synthesis.Recipe())
    return counted(terms, _grey(net))


def whole(net: interface.Network) -> int:
    """Forward through the whole network and backward to the image."""
    return counted(lambda images: net.model(net.preprocess(images)), _grey(net))


def prior(net: interface.Network, layer: str = "fc6") -> int:
    """A step of the generator prior (notebook 12): code, generator, the whole network, and back to the code."""
    width = interface.features(net, _grey(net), [layer])[layer].shape[1]
    made = generator_network.build((width,)).to(_grey(net).device).eval().requires_grad_(False)
    return counted(lambda code: net.model(net.preprocess(made(code))), torch.zeros(1, width, device=_grey(net).device))


def cost(nets: list, code: tuple, names=("squeezenet1_1", "efficientnet_lite0")) -> tuple[dict, Table]:
    """Claim D4, for claims.record: iteration over whole network, at the last convolution of each of `nets` and of the
    ImageNet networks `names`, and the table of multiply-adds; named: a step of the generator prior for `code` (network,
    layer) over that network's own."""
    rows, ratios = [], []
    for net in [*nets, *map(catalogue.load, names)]:
        layer = interface.last_conv(net)
        step, full = iteration(net, layer, synthesis.below(net, layer)), whole(net)
        ratios.append(step / full)
        rows.append((net.name, layer, f"{step / 1e6:.1f}", f"{full / 1e6:.1f}", f"{step / full:.3f}"))
    net, full = code[0], whole(code[0])
    step = prior(*code)
    rows.append(
        (f"{net.name}, generator prior", code[1], f"{step / 1e6:.1f}", f"{full / 1e6:.1f}", f"{step / full:.3f}")
    )
    named = {"a step of the generator prior": (step / full,) * 3}
    found = {"value": float(np.mean(ratios)), "interval": (min(ratios), max(ratios)), "n": len(ratios), "named": named}
    head = ("network", "layer", "an iteration, million", "the whole network, million", "ratio")
    return found, Table(head, rows)


def _grey(net: interface.Network) -> torch.Tensor:
    return torch.full((1, 3, net.size, net.size), 0.5, device=next(net.model.parameters()).device)
