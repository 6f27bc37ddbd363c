"""ImageNet networks painted: the phases of photographs, images on the way, and hidden units cut to what they see
(notebook 11)."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.methods.ascent import maximise, objectives, parameterisations, regularisers
from lib.methods.receptive import fields
from lib.networks import interface
from lib.worlds import photos

MARGIN = 32  # pixels round a unit's field, in which the image may be moved


def natural(size: int, device: str = "cpu") -> parameterisations.Parameterisation:
    """Phases with the mean magnitudes of the four photographs that scikit-image ships, each also lying on its side."""
    shown = photos.stack(photos.shipped(size)).to(device)
    return parameterisations.phases(parameterisations.magnitudes(torch.cat([shown, shown.transpose(2, 3)])))


def kept_at(marks: Sequence[int], image: Callable[[Tensor], Tensor]) -> tuple[Callable, dict[int, Tensor]]:
    """An operator for `maximise` that changes nothing, and the dictionary in which it puts the images after each of the
    steps `marks` (1, 2, ...)."""
    found = {}

    def operator(parameters: Tensor, gradient: Tensor, step: int) -> Tensor:
        if step + 1 in marks:
            found[step + 1] = image(parameters).detach().clone()
        return parameters

    return operator, found


def strip(found: dict[int, Tensor], row: int) -> np.ndarray:
    """What `kept_at` kept of one row of the batch, as pictures (steps, H, W, 3) uint8 in the order of the steps."""
    return interface.to_pictures(torch.stack([found[step][row] for step in sorted(found)]))


def path(found: maximise.Maximised, names: Sequence[str], marks: Sequence[int]) -> list[dict]:
    """What the objective of each row was before each of the steps `marks` that were taken, as rows of a table."""
    taken = [step for step in sorted(set(marks)) if step <= len(found.values)]
    return [
        {"class": name, "step": step, "score before it": float(found.values[step - 1, k])}
        for k, name in enumerate(names)
        for step in taken
    ]


def enlarged(made: dict[str, maximise.Maximised]) -> dict[str, maximise.Maximised]:
    """The same with all images as large as the largest (bicubic), so that they can be drawn side by side."""
    side = max(one.images.shape[-1] for one in made.values())
    scaled = partial(F.interpolate, size=(side, side), mode="bicubic")
    return {name: one._replace(images=scaled(one.images)) for name, one in made.items()}


def hidden(
    net: interface.Network,
    layer: str,
    channels: Sequence[int],
    form: Callable[[int], parameterisations.Parameterisation],
    rate: float,
    steps: int,
    generator: torch.Generator,
    device: str = "cpu",
) -> maximise.Maximised:
    """What the middle unit of each channel likes most, by Adam, with small shifts and turns; `images` (n, 3, F, F) hold
    what the unit sees, its receptive field of F pixels. form: size -> parameterisation."""
    layer = interface.named(net, layer)
    field = fields.field(net, layer).size[0]
    small = _small(net, layer, field + MARGIN)
    ask, view = objectives.unit(small, layer, channels, "centre"), form(small.size)
    moved, first = [regularisers.jitter(8), regularisers.turn(5, zoom=1.1)], view.start(len(channels), generator)
    found = maximise.maximise(
        view.image, ask, first.to(device), steps=steps, optimiser=partial(torch.optim.Adam, lr=rate),
        transforms=moved, generator=generator,
    )  # fmt: skip
    edge = max(small.size - field, 0) // 2
    return found._replace(images=found.images[:, :, edge : small.size - edge, edge : small.size - edge])


def _small(net: interface.Network, layer: str, size: int) -> interface.Network:
    """The network on pictures of `size` pixels, where it is larger and reads them; else as it is."""
    small = net._replace(size=min(net.size, size))
    try:
        objectives.shape(small, layer)
    except Exception:  # noqa: BLE001 - whatever a stranger's network raises on pictures of another size
        return net
    return small
