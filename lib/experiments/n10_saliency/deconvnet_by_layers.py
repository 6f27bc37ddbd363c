"""The deconvnet as Zeiler & Fergus describe it, layer by layer: unpool with switches, rectify, transposed filters.

lib.methods.backward.three_rules gets the same signal from one backward pass with another rule for ReLUs. This module
shares no step with it (no autograd, no hook), so that claim E7, that the two are one, can be tested. It knows the
layers of the zoo's five families with ReLUs and refuses others.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.networks import blocks, interface

Down = Callable[[Tensor], Tensor]  # the signal above a layer -> the signal below it
_BLOCKS = {blocks.Residual: "relu", blocks.Branches: "out"}  # blocks that end in this part: its output is the block's


def project(net: interface.Network, images: Tensor, layer: str | None, channel) -> Tensor:
    """The deconvnet's signal at the input, (N, 3, S, S), of a channel's strongest unit, or of a class score.

    images: (N, 3, S, S) in [0, 1]; layer: a layer's name, or None for the class scores; channel: its index, one for all
    images or one an image. All other activations of the layer are zero, the chosen one starts with 1. Zeiler & Fergus
    2014, section 2.1. ValueError for a layer that is not in the chain, and for modules without a transposed form here.
    """
    place = None if layer is None else net.layers.get(layer, layer)
    flat = list(_chain(net.model))
    if place is not None and place not in [_end(path, part) for path, part in flat]:
        known = ", ".join(_end(path, part) for path, part in flat)
        raise ValueError(f"layer: got {layer!r}, expected a part of the chain of {net.name}: {known}")
    values, tape = net.preprocess(images), []
    for path, part in flat:
        values, down = _step(part, values)
        tape.append(down)
        if place == _end(path, part):
            break
    signal = torch.zeros_like(values)
    rows, index = torch.arange(len(values)), torch.as_tensor(channel).expand(len(values))
    strongest = values[rows, index].flatten(1).argmax(1) if values.dim() > 2 else torch.zeros(len(values), dtype=int)
    signal.view(*values.shape[:2], -1)[rows, index, strongest] = 1
    for down in reversed(tape):
        signal = down(signal)
    return signal * (net.preprocess(torch.ones_like(images)) - net.preprocess(torch.zeros_like(images)))


def _chain(model: nn.Module, path: str = ""):
    """The network's modules one after the other, (path, module), with every nn.Sequential opened."""
    if not isinstance(model, nn.Sequential):
        yield path, model
        return
    for name, part in model.named_children():
        yield from _chain(part, f"{path}.{name}" if path else name)


def _end(path: str, part: nn.Module) -> str:
    return f"{path}.{_BLOCKS[type(part)]}" if type(part) in _BLOCKS else path


def _step(part: nn.Module, x: Tensor) -> tuple[Tensor, Down]:
    """What a module answers to x, and how the deconvnet takes a signal back through it."""
    if isinstance(part, nn.Sequential):
        downs = []
        for _, each in _chain(part):
            x, down = _step(each, x)
            downs.append(down)
        return x, lambda signal: _through(reversed(downs), signal)
    if isinstance(part, blocks.Residual):
        inner, one = _step(nn.Sequential(part.first, part.conv, part.norm), x)
        around, two = _step(part.shortcut, x)
        return F.relu(inner + around), lambda signal: one(F.relu(signal)) + two(F.relu(signal))
    if isinstance(part, blocks.Branches):
        maps, downs = zip(*(_step(branch, x) for branch in (part.b1, part.b3, part.b5, part.pool)), strict=True)
        widths = [branch.shape[1] for branch in maps]
        return torch.cat(maps, 1), lambda s: sum(down(p) for down, p in zip(downs, s.split(widths, 1), strict=True))
    if isinstance(part, nn.ReLU):
        return F.relu(x), F.relu  # the signal itself is rectified, whatever x was
    if isinstance(part, nn.Conv2d):
        y, size = part(x), x.shape[2:]
        return y, lambda signal: _transposed(part, signal, size)
    if isinstance(part, nn.MaxPool2d):
        y, switches = F.max_pool2d(x, part.kernel_size, part.stride, part.padding, return_indices=True)
        return y, lambda signal: _unpool(signal, switches, x)
    if isinstance(part, nn.BatchNorm2d):
        scale = (part.weight / (part.running_var + part.eps).sqrt()).view(1, -1, 1, 1)
        return part(x), lambda signal: signal * scale
    if isinstance(part, nn.Linear):
        return part(x), lambda signal: signal @ part.weight
    if isinstance(part, nn.Flatten | nn.Identity | nn.Dropout):
        return part(x), lambda signal: signal.reshape(x.shape)
    if isinstance(part, nn.AdaptiveAvgPool2d):
        y = part(x)
        return y, lambda signal: (signal * y[0, 0].numel() / x[0, 0].numel()).expand_as(x)
    raise ValueError(
        f"{type(part).__name__}: no deconvnet is defined for this kind of layer; use lib.methods.backward.three_rules"
    )


def _through(downs, signal: Tensor) -> Tensor:
    for down in downs:
        signal = down(signal)
    return signal


def _transposed(part: nn.Conv2d, signal: Tensor, size) -> Tensor:
    """The same filters, transposed; rows and columns that the stride never reached get zero."""
    reached = [(s - 1) * d - 2 * p + k for s, d, p, k in zip(
        signal.shape[2:], part.stride, part.padding, part.kernel_size, strict=True)]  # fmt: skip
    left = [whole - here for whole, here in zip(size, reached, strict=True)]
    return F.conv_transpose2d(signal, part.weight, None, part.stride, part.padding, left, part.groups)


def _unpool(signal: Tensor, switches: Tensor, x: Tensor) -> Tensor:
    """Every value goes to the place that its maximum came from; where windows overlap, what meets there is added."""
    down = torch.zeros_like(x).flatten(2)
    return down.scatter_add(2, switches.flatten(2), signal.flatten(2)).view_as(x)
