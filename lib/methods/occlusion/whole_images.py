"""Occlusion (Zeiler & Fergus 2014, section 4.2) by whole images: the plain loop, which works for every network, batched
so that it keeps a byte budget."""

import numpy as np
import torch
from torch import Tensor

from lib.networks import interface

LARGEST = 16  # images in one batch, at most: a larger batch leaves the processor's cache


def sweep(net, image, grey, boxes, layer, channel, batch) -> tuple[Tensor, Tensor | None]:
    """All squares of one image (1, 3, S, S), whole images at a time: scores (P, K), the channel's sums (P,) or None."""
    scores, activity = [], []
    with interface.record(net, [] if layer is None else [layer]) as maps:
        for first in range(0, len(boxes), batch):
            part = boxes[first : first + batch]
            covered = cover(image.expand(len(part), -1, -1, -1), part, grey)
            scores.append(net.model(net.preprocess(covered).contiguous(memory_format=torch.channels_last)))
            if layer is not None:
                activity.append(_sums(maps[layer])[:, channel])
    return torch.cat(scores), torch.cat(activity) if activity else None


def clean(net: interface.Network, image: Tensor, layer: str | None) -> tuple[Tensor, int | None, float | None]:
    """The scores (1, K) of the image as it is; the channel whose activations have the largest sum, and that sum.
    ValueError for a layer that gives neither maps nor units."""
    with interface.record(net, [] if layer is None else [layer]) as maps:
        scores = net.model(net.preprocess(image))
    if layer is None:
        return scores, None, None
    if maps[layer].ndim not in (2, 4):
        found = f"gives {tuple(maps[layer].shape)}, expected maps (N, C, H, W) or units (N, C)"
        raise ValueError(f"layer {layer!r} of {net.name} {found}")
    sums = _sums(maps[layer])[0]
    return scores, int(sums.argmax()), float(sums.max())


def _sums(maps: Tensor) -> Tensor:
    """Activations (N, C, ...) summed over the map, (N, C)."""
    return maps.flatten(2).sum(2) if maps.dim() > 2 else maps


def cover(images: Tensor, boxes: np.ndarray, grey: Tensor | float = 0.5) -> Tensor:
    """A copy of `images` (N, 3, S, S), each with its box (N, 4: top, left, bottom, right) filled with `grey`."""
    covered = images.contiguous(memory_format=torch.channels_last).clone(memory_format=torch.channels_last)
    grey = torch.as_tensor(grey, dtype=images.dtype, device=images.device).expand_as(images[:1])
    for number, (top, left, bottom, right) in enumerate(boxes.tolist()):
        covered[number, :, top:bottom, left:right] = grey[0, :, top:bottom, left:right]
    return covered


def batch_size(net: interface.Network, image: Tensor, byte_budget: int) -> int:
    """How many images fit into the budget if all their maps were kept, which is more than the network ever holds."""
    taken = [2 * image.numel() * image.element_size()]
    leaves = [module for module in net.model.modules() if not list(module.children())]

    def count(module, inputs, output) -> None:
        taken.extend(value.numel() * value.element_size() for value in [output] if isinstance(value, Tensor))

    handles = [module.register_forward_hook(count) for module in leaves]
    try:
        net.model(net.preprocess(image))
    finally:
        for handle in handles:
            handle.remove()
    return int(np.clip(byte_budget // sum(taken), 1, LARGEST))


def pixelwise(net, image, grey) -> bool:
    """Whether the preprocessing treats each pixel by itself, tried on a chequerboard of the image and grey."""
    seen, blank, count = net.preprocess(image), net.preprocess(grey), torch.arange(net.size, device=image.device)
    board = (count[:, None] + count) % 2 == 0
    mixed = net.preprocess(torch.where(board, grey, image))
    return seen.shape == image.shape and torch.allclose(mixed, torch.where(board, blank, seen))
