"""Occlusion (Zeiler & Fergus 2014) that recomputes only what the square can reach: a way to the same numbers, ours.

A square changes a patch of every map, larger from layer to layer. The clean maps are computed once. For each square
only the patch goes through the network, with the clean values around it where a kernel looks beyond it, until it
covers most of the map; from there on whole maps are used. All squares have patches of one size so that they
form batches; those near the border are moved inwards and recompute a few clean values.
The result is the plain loop's, up to rounding.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, fx, nn

from lib.methods.occlusion.patches import bounds, cells, rows, set_squares, summed
from lib.methods.receptive.layer_graph import Layers, NotTraceable, Window, trace

FULL = 0.9  # a patch that covers more than this share of its map is replaced by the whole map
LARGEST = 32  # squares in one batch, at most: a larger batch leaves the processor's cache


class Plan(NamedTuple):
    """What depends on the network and the squares, not on the image."""

    network: Layers
    boxes: np.ndarray  # (P, 4) top, left, bottom, right (exclusive) of each square, pixels
    shapes: dict[fx.Node, torch.Size]  # of the clean values
    windows: dict[fx.Node, Window]
    start: dict[fx.Node, np.ndarray]  # (P, 2) first row and column of the node's patch
    size: dict[fx.Node, tuple[int, int]]  # height and width of the node's patch; without one it is computed whole
    kept: set[fx.Node]  # nodes whose clean values are needed
    read: fx.Node | None  # the node whose activation is summed
    cost: float  # multiplications, as a share of the plain loop's
    batch: int  # squares at a time


def plan(
    model: nn.Module, example: Tensor, boxes: np.ndarray, layer: str | None = None, byte_budget: int = 2**28
) -> Plan:
    """Plan the squares `boxes` on images like `example`, a network input (1, 3, S, S); `layer`: path of a module to
    read. Raises NotTraceable if the network is no fixed graph, or if the clean maps that are needed take more than half
    the byte budget."""
    network = trace(model)
    if layer is not None and network.given.get(layer) is None:
        raise NotTraceable(f"module {layer} gives no single value")
    read = None if layer is None else network.given[layer]
    values, shapes = clean(network, example, {node for node in network.run if node not in network.reached})
    windows, changed = bounds(network, values, shapes, boxes)
    start, size, kept = {}, {}, {network.result, read}
    for node, (low, high) in changed.items():
        length, extent = np.array(shapes[node][2:]), np.maximum(high - low, 1).max(0)
        whole = any(before in network.reached and before not in size for before in node.all_input_nodes)
        if node is network.source or not (whole or extent.prod() > FULL * length.prod()):
            start[node], size[node] = np.clip(low, 0, length - extent), (int(extent[0]), int(extent[1]))
    for node, extent in size.items():
        asked = (_region(user, windows, start, size) for user in node.users if user in size)
        same = [extent == there and np.array_equal(start[node], first) for first, there in asked]
        if node is network.source or not all(same) or len(same) < len(node.users):
            kept.add(node)

    maps = [node for node in shapes if node in network.reached and len(shapes[node]) > 1]
    area = {node: int(np.prod(size.get(node, shapes[node][2:]))) * shapes[node][1] for node in maps}
    part = sum(area[node] * look.work for node, look in windows.items())
    full = sum(shapes[node].numel() * look.work for node, look in windows.items())
    width = example.element_size()
    fixed = width * (sum(shapes[n].numel() for n in maps if n in kept) + 2 * max(shapes[n].numel() for n in maps))
    if fixed > byte_budget / 2:
        raise NotTraceable(f"the clean maps take {fixed} bytes, more than half of the budget of {byte_budget} bytes")
    alive, most = 0, 0
    for node in network.run:
        alive += area.get(node, 0)
        most = max(most, alive)
        alive -= sum(area.get(used, 0) for used in network.dead.get(node, []))
    each = width * (3 * most + sum(area.get(node, 0) for node in kept))  # patches, regions, scratch; and tables
    batch = int(np.clip((byte_budget - fixed) // each, 1, LARGEST))
    return Plan(network, boxes, shapes, windows, start, size, kept, read, part / max(full, 1), batch)


def clean(network: Layers, image: Tensor, kept: set) -> tuple[dict[fx.Node, Tensor], dict[fx.Node, torch.Size]]:
    """The values of the `kept` nodes for one network input (1, 3, S, S), and the shape of every node's value."""
    values = {network.source: image.contiguous(memory_format=torch.channels_last)}
    shapes = {network.source: image.shape}
    for node, run in network.run.items():
        if run is not None:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
            values[node] = run(*args, **kwargs)
            if isinstance(values[node], Tensor):
                shapes[node] = values[node].shape
        for used in network.dead.get(node, []):
            if used not in kept:
                values.pop(used, None)
    return values, shapes


def _region(node: fx.Node, windows: dict, start: dict, size: dict) -> tuple[np.ndarray, tuple[int, int]]:
    """First row and column (n, 2), and size, of what a node needs of its input to compute its patches."""
    look = windows.get(node)
    if look is None:
        return start[node], size[node]
    extent = (np.array(size[node]) - 1) * look.stride + look.kernel
    return start[node] * look.stride - look.pad, (int(extent[0]), int(extent[1]))


def sweep(plan: Plan, image: Tensor, grey: Tensor, channel: int | None = None) -> tuple[Tensor, Tensor | None]:
    """All squares of one image. image, grey: network inputs (1, 3, S, S), clean and wholly grey. channel: of the layer
    to read. Returns scores (P, K) and the channel's summed activations (P,) or None."""
    (values, _), tables = clean(plan.network, image, plan.kept | (plan.network.run.keys() - plan.network.reached)), {}
    parts = [slice(first, first + plan.batch) for first in range(0, len(plan.boxes), plan.batch)]
    scores, activity = zip(*(_batch(plan, part, values, tables, grey, channel) for part in parts), strict=True)
    return torch.cat(scores), None if plan.read is None else torch.cat(activity)


def _batch(plan: Plan, part: slice, values: dict, tables: dict, grey: Tensor, channel: int | None):
    """Some squares through the network: their scores (n, K) and the sum of the channel that is read, (n,) or None."""
    network, boxes, read = plan.network, plan.boxes[part], None
    start = {node: first[part] for node, first in plan.start.items()}
    patch: dict[fx.Node, Tensor] = {}
    whole: dict[fx.Node, Tensor] = {}

    def region(node: fx.Node, first: np.ndarray, size: tuple[int, int], fill: float = 0.0) -> Tensor:
        """The node's values in one region a square, of one size: its patch set into the clean map."""
        if size == plan.size[node] and np.array_equal(first, start[node]):
            return patch[node]
        channels, height, width = plan.shapes[node][1:]
        border = height * width  # a table's rows: the clean map, one of zeros, one of -inf, then the patches
        if node not in tables:
            tables[node] = values[node].new_zeros(border + 2 + plan.batch * int(np.prod(plan.size[node])), channels)
            tables[node][:border] = rows(values[node] if node in (plan.read, network.source) else values.pop(node))
            tables[node][border + 1] = -torch.inf
        table, new = tables[node], rows(patch[node])
        table[border + 2 : border + 2 + len(new)] = new
        index = cells(start[node], plan.size[node], first, size, (height, width), border + (fill != 0))
        return table.index_select(0, index.to(table.device)).view(len(boxes), *size, channels).permute(0, 3, 1, 2)

    def full(node: fx.Node):
        if node in patch and node not in whole:
            whole[node] = region(node, np.zeros_like(start[node]), tuple(plan.shapes[node][2:]))
        return whole[node] if node in whole else values[node]

    def local(user: fx.Node, node: fx.Node):
        return region(node, start[user], plan.size[user]) if node in patch else values[node]

    for node, run in network.run.items():
        if node is network.source:
            patch[node] = set_squares(values[node], grey, boxes, start[node], plan.size[node])
        elif node not in network.reached or run is None:
            continue
        elif node in plan.size and node in plan.windows:
            look, (before,) = plan.windows[node], [n for n in node.all_input_nodes if n in network.reached]
            patch[node] = look.run(region(before, *_region(node, plan.windows, start, plan.size), look.fill))
        else:
            store, value = (patch, partial(local, node)) if node in plan.size else (whole, full)
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), value)
            store[node] = run(*args, **kwargs)
        if node is plan.read and node in patch:
            read = summed(patch[node][:, channel], values[node][0, channel], start[node])
        elif node is plan.read:
            read = whole[node][:, channel].reshape(len(boxes), -1).sum(1)
        for used in network.dead.get(node, []):
            if used is not network.result:
                patch.pop(used, None), whole.pop(used, None)
    return full(network.result), read
