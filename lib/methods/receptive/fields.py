"""Receptive fields: which pixels of the picture a unit can see at all, computed from the network's graph. Girshick et
al. 2014 (section 3.1) give that of a pool5 unit, 195 of 227 pixels; the computation for any network is ours.

A window of `kernel` positions that moves by `stride` over a map whose own windows are r pixels wide and j pixels apart
sees r + (kernel - 1) * j pixels and moves by stride * j; branches see what any of them sees. Padding lies outside the
picture: windows reach beyond the border there, and `low` and `high` say which pixels are really read.
"""

import operator
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

    A network that torch.fx cannot follow, or with a step of an unknown kind before the layer, is probed instead
    (`probe`). ValueError for a layer that does not exist, is not used or gives no single map; after a layer that mixes
    all positions (dense, global pooling, attention) every unit sees everything.
    """
    interface.module(net, layer)
    picture = _grey(net)
    image = tuple(picture.shape[-2:])
    try:
        layers = layer_graph.trace(net.model)
        node = layers.given.get(net.layers.get(layer, layer))
        if node is None or node not in layers.reached:
            interface.features(net, interface.grey(net), [layer])  # says what it gives instead
            raise layer_graph.NotTraceable("the layer is no node of the graph")
        span = _spans(layers, picture, node)
    except layer_graph.NotTraceable:
        return probe(net, layer)
    shape = tuple(len(low) for low in span.low)
    return Field(shape, image, span.size, span.stride, span.start, span.low, span.high, span.whole)


def _grey(net: interface.Network) -> torch.Tensor:
    picture = net.preprocess(interface.grey(net))
    if tuple(picture.shape[-2:]) != (net.size, net.size):
        found = tuple(picture.shape[-2:])
        raise ValueError(f"preprocess of {net.name} resizes {net.size} pixels to {found}: its pixels are not ours")
    return picture


class _Sizes(fx.Interpreter):
    """Runs the graph once and keeps shapes, and the values that no picture reaches. Of several tensors at once (chunks)
    the shape of the first, where all agree but in their channels."""

    def __init__(self, layers: layer_graph.Layers):
        super().__init__(layers.modules[""], graph=layers.graph)
        self.reached, self.shapes, self.constants, self.parts = layers.reached, {}, {}, set()

    def run_node(self, n):
        value = super().run_node(n)
        if n not in self.reached:
            self.constants[n] = value
        elif isinstance(value, torch.Tensor):
            self.shapes[n] = tuple(value.shape)
        elif isinstance(value, tuple | list) and value and all(isinstance(one, torch.Tensor) for one in value):
            self.shapes[n] = tuple(value[0].shape)
            self.parts.add(n)
        return value


def _spans(layers: layer_graph.Layers, picture: torch.Tensor, target: fx.Node) -> _Span:
    """Node by node, what each position of its output sees, as far as `target` needs it. NotTraceable for a step of an
    unknown kind."""
    sizes = _Sizes(layers)
    try:
        with torch.no_grad():
            sizes.run(picture)
    except Exception as error:  # a graph that holds for another picture only
        raise layer_graph.NotTraceable(str(error)) from error
    needed, todo = set(), [target]
    while todo:
        node = todo.pop()
        if node not in needed:
            needed.add(node)
            todo += node.all_input_nodes
    image = picture.shape[-2:]
    pixels = tuple(np.arange(length) for length in image)
    spans = {layers.source: _Span((1, 1), (1, 1), (0, 0), pixels, tuple(p + 1 for p in pixels), (2, 3), "")}
    for node in layers.graph.nodes:
        inputs = [spans[one] for one in node.all_input_nodes if one in spans]  # none: only a shape reaches it
        if inputs and node in needed and node in sizes.shapes:
            spans[node] = _step(node, layers, inputs, sizes, image)
    if target not in spans:
        raise layer_graph.NotTraceable("the layer gives no tensor")
    return spans[target]


def _step(node: fx.Node, layers: layer_graph.Layers, inputs: list[_Span], sizes: _Sizes, image) -> _Span:
    shape, first = sizes.shapes[node], inputs[0]
    if why := next((one.whole for one in inputs if one.whole), ""):
        return _everything(inputs, shape, image, why)
    if axes := _moved(node, first.axes, len(shape)):
        return first._replace(axes=axes)
    lengths = tuple(shape[axis] for axis in first.axes if axis < len(shape))
    same = all(one.axes == first.axes and one.stride == first.stride for one in inputs)
    same &= all(tuple(map(len, one.low)) == lengths for one in inputs)
    if same and (layer_graph.is_local(node, layers) or _across_channels(node, layers, first.axes, len(shape))):
        return _union(inputs)
    window = _window(node, layers, sizes, tuple(map(len, first.low)))
    if window is not None and first.axes == (2, 3):
        return _slide(first, window, _dilation(node, layers), lengths, image)
    module = layers.modules[node.target] if node.op == "call_module" else None
    kind = getattr(node.target, "__name__", str(node.target)) if module is None else type(module).__name__
    if len(inputs) == 1 and _regrouped(node, kind, first.axes, tuple(map(len, first.low)), shape, sizes):
        ahead = len(shape) - 2
        return first._replace(axes=(ahead, ahead + 1) if kind in VIEWS else first.axes)
    if kind in MIXING or (kind in FLATTENING and len(shape) < 4) or _over_all(node, kind, first.axes, sizes):
        name = node.target if node.op == "call_module" else node.name
        return _everything(inputs, shape, image, f"{name} ({kind}) mixes all positions")
    raise layer_graph.NotTraceable(f"it is not known which positions {kind} ({node.name}) reads")


VIEWS = {"view", "reshape", "_unsafe_view", "unflatten"}
CHUNKS = {"chunk", "split", "tensor_split"}
FLATTENING = {*VIEWS, "flatten", "Flatten", "squeeze", "Linear", "linear"}
MIXING = {
    "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "GroupNorm", "group_norm",
    "InstanceNorm2d", "instance_norm", "LayerNorm", "layer_norm", "BatchNorm2d", "MultiheadAttention",
    "TransformerEncoder", "TransformerEncoderLayer", "scaled_dot_product_attention", "Flatten", "flatten",
}  # fmt: skip
REDUCED = {"mean", "sum", "amax", "amin", "std", "var", "norm", "softmax", "log_softmax"}


def _moved(node: fx.Node, axes: tuple, ndim: int) -> tuple:
    """Where rows and columns are after the node, if it does nothing but put the axes into another order; else ()."""
    given = list(node.args[1:])
    if node.target in ("permute", torch.permute):
        order = given if isinstance(given[0], int) else given[0]
        return tuple([axis % ndim for axis in order].index(axis) for axis in axes)
    if node.target in ("transpose", torch.transpose) and len(given) == 2:
        one, two = (axis % ndim for axis in given)
        return tuple({one: two, two: one}.get(axis, axis) for axis in axes)
    return ()


def _regrouped(node: fx.Node, kind: str, axes: tuple, lengths: tuple, shape: tuple, sizes: _Sizes) -> bool:
    """Whether the node only deals out the channels anew: groups of them, parts of them, a part."""
    if kind in VIEWS:
        before = sizes.shapes[node.all_input_nodes[0]]
        return axes == (len(before) - 2, len(before) - 1) and len(shape) > 3 and shape[-2:] == lengths
    kept = len(axes) == 2 and max(axes) < len(shape) and tuple(shape[axis] for axis in axes) == lengths
    if kind in CHUNKS:
        return kept
    if node.target is not operator.getitem or not kept:
        return False
    if node.args[0] in sizes.parts:
        return isinstance(node.args[1], int)
    index = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
    return all(isinstance(one, slice) for one in index) and all(
        index[axis] == slice(None) for axis in axes if axis < len(index)
    )


def _over_all(node: fx.Node, kind: str, axes: tuple, sizes: _Sizes) -> bool:
    """Whether the node takes a mean, or the like, over all rows and columns."""
    dims = _dims(node, kind, len(sizes.shapes[node.all_input_nodes[0]]))
    return kind in REDUCED and dims is not None and set(axes) <= dims


def _dims(node: fx.Node, kind: str, ndim: int) -> set[int] | None:
    """The axes over which the node takes a mean or the like; None if they are not told."""
    if kind not in REDUCED:
        return None
    given = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else tuple(range(ndim)))
    given = (given,) if isinstance(given, int) else given
    known = isinstance(given, tuple | list) and all(isinstance(axis, int) for axis in given)
    return {axis % ndim for axis in given} if known else None


def _across_channels(node: fx.Node, layers: layer_graph.Layers, axes: tuple, ndim: int) -> bool:
    """Whether the node works on the channels of each position alone, though `reach` does not know it."""
    module = layers.modules[node.target] if node.op == "call_module" else None
    if isinstance(module, nn.LocalResponseNorm) or node.target is F.local_response_norm:
        return True
    if isinstance(module, nn.LayerNorm) or node.target is F.layer_norm:
        over = module.normalized_shape if module is not None else (*node.args, *node.kwargs.values())[1]
        return len(over) == 1 and ndim - 1 not in axes
    if isinstance(module, nn.Linear) or node.target is F.linear:
        return ndim - 1 not in axes
    if isinstance(module, nn.Softmax):
        return module.dim is not None and module.dim % ndim not in axes
    kind = getattr(node.target, "__name__", str(node.target))
    dims = _dims(node, kind, ndim)  # of an output with as many axes as the input: the mean keeps its axis
    return dims is not None and dims.isdisjoint(axes)


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
    axes = (inputs[0].axes or (2, 3)) if len(shape) == 4 else ()
    across = tuple(shape[axis] for axis in axes) or (1, 1)
    low = tuple(np.full(across[a], min(one.low[a].min() for one in inputs)) for a in (0, 1))
    high = tuple(np.full(across[a], max(one.high[a].max() for one in inputs)) for a in (0, 1))
    return _Span(tuple(image), (0, 0), (0, 0), low, high, axes, why)


def probe(net: interface.Network, layer: str, lines: list[tuple[int, int]] | None = None, batch: int = 16) -> Field:
    """The receptive fields of `layer` by experiment: rows and columns of the picture are made NaN, one at a time, and
    whatever turns NaN sees them. Needs one pass a row and a column, but no graph. Where a NaN is lost on the way (a
    ReLU written as where(x > 0, x, 0)), lines of noise are drawn anew instead, and whatever changes sees them. The
    first and the last line come first, which is enough where every position sees both."""
    grey, tables = _grey(net), []
    for axis in (0, 1):
        ends = torch.tensor([0, net.size - 1])
        found = _lost(net, layer, _struck(grey, ends, axis, torch.nan), axis)
        if found.all():  # every position sees the first line and the last: no other can say more
            tables.append(np.ones((net.size, found.shape[1]), bool))
            continue
        parts = torch.arange(net.size).split(batch)
        found = torch.cat([_lost(net, layer, _struck(grey, part, axis, torch.nan), axis) for part in parts])
        if not found.any(0).all():
            noise = torch.rand(2, *grey.shape, generator=torch.Generator().manual_seed(axis)).to(grey)
            seen = [_changed(net, layer, noise[0], _struck(noise[0], part, axis, noise[1]), axis) for part in parts]
            found |= torch.cat(seen)
        tables.append(found.numpy())  # (pixels, positions)
    low = tuple(np.where(t.any(0), t.argmax(0), net.size) for t in tables)
    high = tuple(np.where(t.any(0), net.size - t[::-1].argmax(0), 0) for t in tables)
    shape, size = tuple(map(len, low)), tuple(int((high[a] - low[a]).max()) for a in (0, 1))
    stride = tuple(int(np.median(np.diff(low[a]))) if shape[a] > 1 else 0 for a in (0, 1))
    middle = [int((high[a] - low[a]).argmax()) for a in (0, 1)]
    start = tuple(int(low[a][middle[a]] - stride[a] * middle[a]) for a in (0, 1))
    everything = all((low[a] == 0).all() and (high[a] == net.size).all() for a in (0, 1))
    why = "every position sees the first and the last line" if everything else ""
    return Field(shape, (net.size, net.size), size, stride, start, low, high, why)


def _struck(picture: torch.Tensor, lines: torch.Tensor, axis: int, value) -> torch.Tensor:
    """Copies of a picture (1, C, H, W), one for each of `lines`, with that row (axis 0) or column of `value`."""
    pictures = picture.repeat(len(lines), 1, 1, 1)
    for k, line in enumerate(lines):
        new = value[0].select(1 + axis, line) if isinstance(value, torch.Tensor) else value
        pictures.select(2 + axis, line)[k] = new
    return pictures


def _changed(net: interface.Network, layer: str, picture, pictures: torch.Tensor, axis: int) -> torch.Tensor:
    """(N, positions along the axis) bool: where the map of each picture differs from that of `picture`."""
    plain = net._replace(preprocess=lambda x: x)
    with torch.no_grad():
        maps = interface.forward_to(plain, torch.cat([picture, pictures]), [layer])[layer]
    gap = (maps[1:] - maps[:1]).abs() > 1e-6 * maps[0].abs().max()
    return _along(gap.cpu(), axis)


def _along(seen: torch.Tensor, axis: int) -> torch.Tensor:
    """(N, positions along the axis) of maps (N, C, H, W) bool; one position for a layer without a map."""
    return seen.any(1).any(2 if axis == 0 else 1) if seen.ndim == 4 else seen.flatten(1).any(1, keepdim=True)


def _lost(net: interface.Network, layer: str, pictures: torch.Tensor, axis: int) -> torch.Tensor:
    """(N, positions along the axis) bool: where the map of each prepared picture holds a NaN."""
    plain = net._replace(preprocess=lambda x: x)
    with torch.no_grad():
        maps = interface.forward_to(plain, pictures, [layer])[layer]
    return _along(maps.isnan().cpu(), axis)
