"""Objectives for `lib.methods.ascent.maximise`: images (n, 3, S, S) -> n numbers to raise, row k for a unit of its own.

A class score is what Simonyan et al. 2014 maximise, a unit or channel of any layer what Yosinski et al. 2015 do.

Everything is checked when an objective is made, before any computing: the layer's name, that it runs once in a pass,
the units' range. An objective of the reader's own is any such function.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lib.base import nearest
from lib.networks import interface

Objective = Callable[[Tensor], Tensor]


def unit(
    net: interface.Network,
    layer: str,
    channels: int | Sequence[int],
    position: str | tuple[int, int] = "all",
    direction: int = 1,
    reduce: str = "mean",
) -> Objective:
    """The activation of row k's channel channels[k] (one number: the same for all rows) in a layer; the forward pass
    stops there.

    layer: a paper's name or a module's path. position, for maps (n, C, H, W): "all" reduces the map by mean, sum or
    max; "centre" or (row, column) takes one unit. direction -1 asks for the input that the unit likes least. ValueError
    with the valid names or range.
    """
    interface.check_gradient(net)
    width, extent = shape(net, layer)
    chosen = _indices(channels, width, f"channel of layer {layer!r} of {net.name}")
    if direction not in (1, -1):
        raise ValueError(f"direction is {direction}, expected 1 (what the unit likes most) or -1 (least)")
    if reduce not in ("mean", "sum", "max"):
        raise ValueError(f"reduce is {reduce!r}, expected mean, sum or max")
    place = _place(position, extent, layer, net.name)

    def objective(images: Tensor) -> Tensor:
        maps = _own(interface.forward_to(net, images, [layer])[layer], chosen)
        if maps.ndim == 3:
            maps = maps[:, place[0], place[1]] if place else _reduced(maps.flatten(1), reduce)
        return direction * maps

    return objective


def numbers(net: interface.Network, names: Sequence[str]) -> list[int]:
    """The numbers of classes by their names; ValueError with the nearest names for one that the network lacks."""
    for name in names:
        if name not in net.classes:
            near = nearest.ranked(name, net.classes)
            raise ValueError(f"{net.name} has no class {name!r}; nearest: {near}")
    return [net.classes.index(name) for name in names]


def score(net: interface.Network, classes: int | Sequence[int], direction: int = 1) -> Objective:
    """The unnormalised score S_c (before the softmax) of row k's class, which Simonyan et al. 2014 maximise. direction
    -1 lowers it. ValueError for a class that `net` does not have."""
    interface.check_gradient(net)
    chosen = _indices(classes, len(net.classes), f"class of {net.name}")
    return lambda images: direction * _own(net.model(net.preprocess(images)), chosen)


def probability(net: interface.Network, classes: int | Sequence[int], log: bool = False) -> Objective:
    """The softmax probability P_c of row k's class, which can rise because others fall (Simonyan et al. 2014 prefer the
    score); with `log` its logarithm, whose gradient does not vanish near 0. ValueError as for `score`."""
    interface.check_gradient(net)
    chosen = _indices(classes, len(net.classes), f"class of {net.name}")

    def objective(images: Tensor) -> Tensor:
        scores = net.model(net.preprocess(images))
        return _own(scores.log_softmax(1) if log else scores.softmax(1), chosen)

    return objective


def weighted(*terms: tuple[float, Objective]) -> Objective:
    """The sum of weight * objective over (weight, objective) pairs; a negative weight asks for less of it. ValueError
    without any pair."""
    if not terms:
        raise ValueError("weighted: no terms, expected at least one (weight, objective)")
    return lambda images: sum(weight * objective(images) for weight, objective in terms)


def shape(net: interface.Network, layer: str) -> tuple[int, tuple[int, ...]]:
    """Channels of a layer and the extent of its maps (() for a row of units), from one whole pass of a grey image.
    ValueError for a layer that does not exist, is not used or runs twice, or gives neither units nor maps."""
    with torch.no_grad(), interface.record(net, [layer]) as maps:
        net.model(net.preprocess(interface.grey(net)))
    if layer not in maps:
        raise ValueError(f"layer {layer!r} of {net.name} is not used when it reads an image")
    shape = tuple(maps[layer].shape)
    if len(shape) not in (2, 4):
        raise ValueError(f"layer {layer!r} of {net.name} gives {shape}, expected (n, units) or maps (n, C, H, W)")
    return shape[1], shape[2:]


def _indices(chosen: int | Sequence[int], width: int, what: str) -> int | Tensor:
    if isinstance(chosen, str) or (isinstance(chosen, Sequence) and any(isinstance(one, str) for one in chosen)):
        raise ValueError(f"{what} is {chosen!r}, expected whole numbers; `numbers` gives those of classes by name")
    numbers = torch.as_tensor(chosen)
    wrong = [k for k in numbers.flatten().tolist() if k != int(k) or not 0 <= k < width]
    if wrong or numbers.ndim > 1 or not numbers.numel():
        found = wrong[0] if wrong else f"of shape {tuple(numbers.shape)}"
        raise ValueError(f"{what} is {found}, expected whole numbers from 0 to {width - 1}, one or one a row")
    return numbers.long() if numbers.ndim else int(numbers)


def _place(position, extent: tuple[int, ...], layer: str, name: str) -> tuple[int, int] | None:
    if position == "all" or not extent:
        if position not in ("all", "centre"):
            raise ValueError(f"position is {position!r}, but layer {layer!r} of {name} has no places, expected 'all'")
        return None
    if position == "centre":
        return extent[0] // 2, extent[1] // 2
    wrong = not isinstance(position, tuple | list) or len(position) != 2
    if wrong or not all(0 <= p < side for p, side in zip(position, extent, strict=True)):
        ranges = f"rows 0 to {extent[0] - 1} and columns 0 to {extent[1] - 1}"
        raise ValueError(f"position is {position!r}, expected 'all', 'centre' or (row, column) within {ranges}")
    return tuple(position)


def _own(answers: Tensor, chosen: int | Tensor) -> Tensor:
    """answers (n, C, ...), one channel a row -> (n, ...)."""
    if isinstance(chosen, int):
        return answers[:, chosen]
    if len(chosen) != len(answers):
        raise ValueError(f"objective: {len(chosen)} units for a batch of {len(answers)} images, expected as many")
    return answers[torch.arange(len(chosen), device=answers.device), chosen.to(answers.device)]


def _reduced(values: Tensor, reduce: str) -> Tensor:
    return values.amax(1) if reduce == "max" else getattr(values, reduce)(1)
