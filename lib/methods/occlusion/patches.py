"""Patches of maps: what a square changes in every map, and how a batch of patches is set into clean maps at once (ours,
for lib.methods.occlusion.changed_patches)."""

import numpy as np
import torch
from torch import Tensor

from lib.methods.receptive.layer_graph import Layers, is_local, window


def bounds(network: Layers, constants: dict, shapes: dict, boxes: np.ndarray) -> tuple[dict, dict]:
    """The windows of a network's layers and, as far as that can be followed, what each square changes in a layer: first
    and last (exclusive) row and column, two arrays (P, 2). boxes: (P, 4) top, left, bottom, right. constants: values of
    the nodes that the input does not reach."""
    windows, found = {}, {network.source: (boxes[:, :2], boxes[:, 2:])}
    for node in network.graph.nodes:
        inputs = [before for before in node.all_input_nodes if before in network.reached]
        if not inputs or len(shapes.get(node, ())) != 4:
            continue
        look = window(node, network, constants) if len(inputs) == 1 else None
        if look is not None:
            windows[node] = look
        if any(before not in found for before in inputs):
            continue
        if look is not None:
            ends = [look.reached(a, *(end[:, a] for end in found[inputs[0]]), shapes[node][2 + a]) for a in (0, 1)]
            found[node] = tuple(np.stack(end, 1) for end in zip(*ends, strict=True))
            continue
        fixed = [constants[before] for before in node.all_input_nodes if before not in network.reached]
        same = all(shapes[before][2:] == shapes[node][2:] for before in inputs)
        if same and is_local(node, network) and all(v.numel() == 1 or v.shape[-2:] == (1, 1) for v in fixed):
            found[node] = tuple(f([found[n][i] for n in inputs], axis=0) for i, f in enumerate((np.min, np.max)))
    return windows, found


def rows(maps: Tensor) -> Tensor:
    """Maps (n, C, h, w) as rows of C values, (n h w, C); a view if they are stored channels last."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def cells(
    have: np.ndarray,
    size: tuple[int, int],
    want: np.ndarray,
    extent: tuple[int, int],
    shape: tuple[int, int],
    outside: int,
) -> Tensor:
    """Which rows of a table make up one region a square, (n * height * width,).

    The table holds the clean map of `shape`, row by row, two filling rows and the patches of `size`, one by one.
    have, want: first row and column of each patch and of each region, (n, 2); a region has the size `extent`.
    outside: the row of the table that stands beyond the map's border.
    """
    down, across = (want[:, axis, None] + np.arange(extent[axis]) for axis in (0, 1))
    below, right = down - have[:, 0, None], across - have[:, 1, None]
    in_map = ((down >= 0) & (down < shape[0]))[:, :, None] & ((across >= 0) & (across < shape[1]))[:, None]
    in_patch = ((below >= 0) & (below < size[0]))[:, :, None] & ((right >= 0) & (right < size[1]))[:, None]
    of_map = down[:, :, None] * shape[1] + across[:, None]
    of_patch = (np.arange(len(have))[:, None] * size[0] + below)[:, :, None] * size[1] + right[:, None]
    found = np.where(in_patch, shape[0] * shape[1] + 2 + of_patch, np.where(in_map, of_map, outside))
    return torch.from_numpy(found.ravel())


def set_squares(image: Tensor, grey: Tensor, boxes: np.ndarray, start: np.ndarray, size: tuple[int, int]) -> Tensor:
    """Patches (n, C, h, w) of an image (1, C, S, S): grey inside each box (top, left, bottom, right), and the image's
    own pixels around it where a box, cut off at the border, is smaller than the patch."""
    down, across = (start[:, axis, None] + np.arange(size[axis]) for axis in (0, 1))
    inside = ((down >= boxes[:, 0, None]) & (down < boxes[:, 2, None]))[:, :, None]
    inside = inside & ((across >= boxes[:, 1, None]) & (across < boxes[:, 3, None]))[:, None]
    pixels = down[:, :, None] * image.shape[3] + across[:, None] + inside * (image.shape[2] * image.shape[3])
    both = torch.cat([rows(image), rows(grey)])
    found = both.index_select(0, torch.from_numpy(pixels.ravel()).to(both.device))
    return found.view(len(boxes), *size, image.shape[1]).permute(0, 3, 1, 2)


def summed(patch: Tensor, clean: Tensor, start: np.ndarray) -> Tensor:
    """The sum (n,) of a clean map (H, W) after patches (n, h, w) that start at (n, 2) have been set into it."""
    down, across = (
        torch.from_numpy(start[:, a, None] + np.arange(patch.shape[1 + a])).to(clean.device) for a in (0, 1)
    )
    return clean.sum() + (patch - clean[down[:, :, None], across[:, None]]).flatten(1).sum(1)
