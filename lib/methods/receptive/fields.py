"""Receptive fields: which pixels of the picture a unit can see at all, computed from the network's graph. Girshick et
al. 2014 (section 3.1) give that of a pool5 unit, 195 of 227 pixels; the computation for any network is ours.

A window of `kernel` positions that moves by `stride` over a map whose own windows are r pixels wide and j pixels apart
sees r + (kernel - 1) * j pixels and moves by stride * j; branches see what any of them sees. Padding lies outside the
picture: windows reach beyond the border there, and `low` and `high` say which pixels are really read.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

from lib.methods.receptive import layer_graph
from lib.networks import interface


class Field(NamedTuple):
    """The receptive fields of all positions of a layer. Pairs are (rows, columns), in pixels."""

    shape: tuple[int, int]  # positions; (1, 1) for a layer without a map
    image: tuple[int, int]  # size of the picture
    size: tuple[int, int]  # of a window that no border cuts
    stride: tuple[int, int]  # from one position's window to the next
    start: tuple[int, int]  # first pixel of position 0's window, below zero if it begins in the padding
    low: tuple[np.ndarray, np.ndarray]  # first pixel that each position really reads, along rows and along columns
    high: tuple[np.ndarray, np.ndarray]  # one more than the last
    whole: str  # why every position sees the whole picture; empty if it does not

    def window(self, position: int) -> tuple[int, int, int, int]:
        """Top, left, bottom, right of a position (number in reading order); below 0 or above the size: padding."""
        place = divmod(position, self.shape[1])
        first = [self.start[a] + self.stride[a] * place[a] for a in (0, 1)]
        return (*first, *(first[a] + self.size[a] for a in (0, 1)))

    def seen(self, position: int) -> tuple[int, int, int, int]:
        """Top, left, bottom, right of the pixels that a position really reads (the smallest rectangle round them)."""
        place = divmod(position, self.shape[1])
        return (*(int(self.low[a][place[a]]) for a in (0, 1)), *(int(self.high[a][place[a]]) for a in (0, 1)))


class _Span(NamedTuple):
    size: tuple[int, int]
    stride: tuple[int, int]
    start: tuple[int, int]
    low: tuple[np.ndarray, np.ndarray]
    high: tuple[np.ndarray, np.ndarray]
    axes: tuple[int, ...]  # which axes of the tensor are rows and columns; () if it has none
    whole: str


def field(net: interface.Network, layer: str) -> Field:
    """The receptive fields of `layer` (a paper's name or a module's path), computed from the network's graph.

    A network that torch.fx cannot follow is probed instead (`probe`). ValueError for a layer that does not exist or
    is not used; after a layer that mixes all positions (dense, global pooling, attention) every unit sees everything.
    """
    interface.module(net, layer)
    picture = _grey(net)
    image = tuple(picture.shape[-2:])
    try:
        layers = layer_graph.trace(net.model)
    except layer_graph.NotTraceable:
        return probe(net, layer)
    node = layers.given.get(net.layers.get(layer, layer))
    if node is None or node not in layers.reached:
        raise ValueError(f"layer {layer!r} of {net.name} is not used when it reads a picture, or gives no single map")
    span = _spans(layers, picture, node)
    shape = tuple(len(low) for low in span.low)
    return Field(shape, image, span.size, span.stride, span.start, span.low, span.high, span.whole)


def _grey(net: interface.Network) -> torch.Tensor:
    first = next(net.model.parameters())
    picture = net.preprocess(torch.full((1, 3, net.size, net.size), 0.5, dtype=first.dtype, device=first.device))
    if tuple(picture.shape[-2:]) != (net.size, net.size):
        found = tuple(picture.shape[-2:])
        raise ValueError(f"preprocess of {net.name} resizes {net.size} pixels to {found}: its pixels are not ours")
    return picture


class _Sizes(fx.Interpreter):
    """Runs the graph once and keeps shapes, and the values that no picture reaches."""

    def __init__(self, layers: layer_graph.Layers):
        super().__init__(layers.modules[""], graph=layers.graph)
        self.reached, self.shapes, self.constants = layers.reached, {}, {}

    def run_node(self, n):
        value = super().run_node(n)
        if n not in self.reached:
            self.constants[n] = value
        elif isinstance(value, torch.Tensor):
            self.shapes[n] = tuple(value.shape)
        return value


def _spans(layers: layer_graph.Layers, picture: torch.Tensor, target: fx.Node) -> _Span:
    """Node by node, what each position of its output sees; the walk stops at `target`."""
    sizes = _Sizes(layers)
    with torch.no_grad():
        sizes.run(picture)
    image = picture.shape[-2:]
    pixels = tuple(np.arange(length) for length in image)
    spans = {layers.source: _Span((1, 1), (1, 1), (0, 0), pixels, tuple(p + 1 for p in pixels), (2, 3), "")}
    for node in layers.graph.nodes:
        if node in layers.reached and node not in spans and node in sizes.shapes:
            inputs = [spans[one] for one in node.all_input_nodes if one in spans]
            spans[node] = _step(node, layers, inputs, sizes, image)
        if node is target:
            return spans[node]
    raise AssertionError("the target is a node of the graph")


def _step(node: fx.Node, layers: layer_graph.Layers, inputs: list[_Span], sizes: _Sizes, image) -> _Span:
    shape, first = sizes.shapes[node], inputs[0]
    if why := next((one.whole for one in inputs if one.whole), ""):
        return _everything(inputs, shape, image, why)
    if node.target in ("permute", torch.permute):
        order = node.args[1:] if isinstance(node.args[1], int) else node.args[1]
        return first._replace(axes=tuple([axis % len(shape) for axis in order].index(a) for a in first.axes))
    lengths = tuple(shape[axis] for axis in first.axes) if len(shape) == 4 else ()
    same = all(one.axes == first.axes and one.stride == first.stride for one in inputs)
    same &= all(tuple(map(len, one.low)) == lengths for one in inputs)
    if same and (layer_graph.is_local(node, layers) or _across_channels(node, layers, first.axes, len(shape))):
        return _union(inputs)
    window = _window(node, layers, sizes, tuple(map(len, first.low)))
    if window is not None and first.axes == (2, 3):
        return _slide(first, window, _dilation(node, layers), lengths, image)
    kind = type(layers.modules[node.target]).__name__ if node.op == "call_module" else str(node.target)
    name = node.target if node.op == "call_module" else node.name
    return _everything(inputs, shape, image, f"{name} ({getattr(node.target, '__name__', kind)}) mixes all positions")


def _across_channels(node: fx.Node, layers: layer_graph.Layers, axes: tuple, ndim: int) -> bool:
    """Whether the node works on the channels of each position alone, though `reach` does not know it."""
    module = layers.modules[node.target] if node.op == "call_module" else None
    if isinstance(module, nn.LocalResponseNorm) or node.target in (F.local_response_norm, F.dropout):
        return True
    if isinstance(module, nn.LayerNorm) or node.target is F.layer_norm:
        over = module.normalized_shape if module is not None else (*node.args, *node.kwargs.values())[1]
        return len(over) == 1 and ndim - 1 not in axes
    if isinstance(module, nn.Linear) or node.target is F.linear:
        return ndim - 1 not in axes
    return False


def _pair(value) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _dilation(node: fx.Node, layers: layer_graph.Layers) -> tuple[int, int]:
    module = layers.modules[node.target] if node.op == "call_module" else node
    return _pair(getattr(module, "dilation", None) or node.kwargs.get("dilation", 1))


def _window(node: fx.Node, layers: layer_graph.Layers, sizes: _Sizes, lengths) -> layer_graph.Window | None:
    """The node's window on its input; also of pools whose border windows divide by fewer positions."""
    module = layers.modules[node.target] if node.op == "call_module" else None
    if isinstance(module, nn.AvgPool2d):
        return layer_graph.Window(None, *(_pair(v) for v in (module.kernel_size, module.stride, module.padding)))
    if isinstance(module, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d) or node.target is F.adaptive_avg_pool2d:
        wanted = _pair(module.output_size if module is not None else (*node.args, *node.kwargs.values())[1])
        if wanted != (1, 1) and None not in wanted and all(n % w == 0 for n, w in zip(lengths, wanted, strict=True)):
            kernel = tuple(n // w for n, w in zip(lengths, wanted, strict=True))
            return layer_graph.Window(None, kernel, kernel, (0, 0))
        return None
    return layer_graph.window(node, layers, sizes.constants)


def _slide(span: _Span, window: layer_graph.Window, dilation: tuple[int, int], lengths, image) -> _Span:
    """What a window that moves over `span` sees; it reads every `dilation`-th position."""
    size = tuple(span.size[a] + (window.kernel[a] - 1) * span.stride[a] for a in (0, 1))
    start = tuple(span.start[a] - window.pad[a] * span.stride[a] for a in (0, 1))
    low, high = [], []
    for a in (0, 1):
        taps = np.arange(lengths[a])[:, None] * window.stride[a] - window.pad[a]
        taps = taps + np.arange(0, window.kernel[a], dilation[a])
        inside = (taps >= 0) & (taps < len(span.low[a]))
        taps = taps.clip(0, len(span.low[a]) - 1)
        low.append(np.where(inside, span.low[a][taps], image[a]).min(1))  # nothing but padding: low above high
        high.append(np.where(inside, span.high[a][taps], 0).max(1))
    stride = tuple(span.stride[a] * window.stride[a] for a in (0, 1))
    return _Span(size, stride, start, tuple(low), tuple(high), span.axes, "")


def _union(inputs: list[_Span]) -> _Span:
    """What branches of one stride see together."""
    start = tuple(min(one.start[a] for one in inputs) for a in (0, 1))
    end = tuple(max(one.start[a] + one.size[a] for one in inputs) for a in (0, 1))
    low = tuple(np.min([one.low[a] for one in inputs], 0) for a in (0, 1))
    high = tuple(np.max([one.high[a] for one in inputs], 0) for a in (0, 1))
    size = tuple(end[a] - start[a] for a in (0, 1))
    return inputs[0]._replace(size=size, start=start, low=low, high=high)


def _everything(inputs: list[_Span], shape: tuple, image, why: str) -> _Span:
    """All that any position of any input sees, for every position."""
    across = tuple(shape[2:]) if len(shape) == 4 else (1, 1)
    low = tuple(np.full(across[a], min(one.low[a].min() for one in inputs)) for a in (0, 1))
    high = tuple(np.full(across[a], max(one.high[a].max() for one in inputs)) for a in (0, 1))
    return _Span(tuple(image), (0, 0), (0, 0), low, high, (2, 3) if len(shape) == 4 else (), why)


def probe(net: interface.Network, layer: str, lines: list[tuple[int, int]] | None = None, batch: int = 16) -> Field:
    """The receptive fields of `layer` by experiment: rows and columns of the picture are made NaN, one at a time, and
    whatever turns NaN sees them. Needs one pass a row and a column, but no graph."""
    grey, across = _grey(net), [[], []]
    for axis in (0, 1):
        for part in torch.arange(net.size).split(batch):
            pictures = grey.repeat(len(part), 1, 1, 1)
            for k, line in enumerate(part):
                pictures.select(2 + axis, line)[k] = torch.nan
            across[axis].append(_lost(net, layer, pictures, axis))
    tables = [torch.cat(parts).numpy() for parts in across]  # (pixels, positions) of each axis
    low = tuple(np.where(t.any(0), t.argmax(0), net.size) for t in tables)
    high = tuple(np.where(t.any(0), net.size - t[::-1].argmax(0), 0) for t in tables)
    shape, size = tuple(map(len, low)), tuple(int((high[a] - low[a]).max()) for a in (0, 1))
    stride = tuple(int(np.median(np.diff(low[a]))) if shape[a] > 1 else 0 for a in (0, 1))
    middle = [int((high[a] - low[a]).argmax()) for a in (0, 1)]
    start = tuple(int(low[a][middle[a]] - stride[a] * middle[a]) for a in (0, 1))
    everything = all((low[a] == 0).all() and (high[a] == net.size).all() for a in (0, 1))
    why = "every position turned NaN with every line" if everything else ""
    return Field(shape, (net.size, net.size), size, stride, start, low, high, why)


def _lost(net: interface.Network, layer: str, pictures: torch.Tensor, axis: int) -> torch.Tensor:
    """(N, positions along the axis) bool: where the map of each prepared picture holds a NaN."""
    plain = net._replace(preprocess=lambda x: x)
    with torch.inference_mode():
        maps = interface.forward_to(plain, pictures, [layer])[layer]
    nan = maps.isnan().cpu()
    return nan.any(1).any(2 if axis == 0 else 1) if nan.ndim == 4 else nan.flatten(1).any(1, keepdim=True)
