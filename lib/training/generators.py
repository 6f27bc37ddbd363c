"""A generator that inverts the code of a network: what Nguyen et al. 2016 took from Dosovitskiy & Brox 2016, and how it
is trained (arXiv 1602.02644, Section 3).

The encoder E is a classifier cut at a layer, the comparator C the same classifier cut lower down; neither learns. The
generator G turns a code y = E(x) into an image that should look like x (image loss), mean the same to C (feature loss)
and pass for real with a discriminator D (adversarial loss), which learns along and is frozen while it is too good.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.networks import generator_network, interface
from lib.training import classifiers, loop

JITTER = 2  # pixels by which images are moved before they are compared, so that no pattern hides between strides


class Losses(NamedTuple):
    """Weights of the losses; 0 leaves one out. Errors are shares of the mean square compared: 1 is answering zero."""

    image: float = 1.0
    feature: float = 2.0
    adversarial: float = 0.0


class Recipe(NamedTuple):
    """How a generator is trained. Every field is stored beside the weights."""

    losses: Losses = Losses()
    images: int = 60_000  # training pictures, in slices of `epoch`
    epoch: int = 6_000  # pictures an epoch
    epochs: int = 12
    batch: int = 16
    rate: float = 5e-4  # Adam, falling to 0 along half a cosine
    betas: tuple = (0.5, 0.999)
    guard: float = 0.1  # D is frozen while its loss is below this share of the generator's adversarial loss
    shift: int = 4  # pixels, largest random translation
    precision: str = "32-true"
    seed: int = 0


def discriminator(width: int = 32, size: int = generator_network.SIZE) -> nn.Sequential:
    """Images (N, 3, size, size) -> one score each, high for real: convolutions with stride 2 until the side is 4 (four
    for 64 pixels), two dense layers."""
    leak, inside, parts, side = nn.LeakyReLU(generator_network.SLOPE), 3, [], size
    while side > 4:
        outside = width * min(3, len(parts) // 2 + 1)
        parts += [nn.Conv2d(inside, outside, 4, 2, 1), leak]
        inside, side = outside, side // 2
    return nn.Sequential(
        *parts, nn.Flatten(), nn.Linear(16 * inside, 2 * width), leak, nn.Linear(2 * width, 1), nn.Flatten(0)
    )


def fit(
    made: generator_network.Generator,
    encoder: interface.Network,
    layer: str,
    comparator: tuple[str, ...],
    data: Callable[[int], tuple[np.ndarray, ...]],
    validation: tuple[np.ndarray, ...],
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> tuple[dict[str, Tensor], dict]:
    """Train `made` (changed in place) to invert `layer` of `encoder`; returns its state and the history by epoch.

    comparator: the layers of `encoder` at which images are compared. data: epoch -> pictures (n, H, W, 3) uint8, and
    masks (n, H, W) bool if G is to paint the object alone, on grey; `validation` likewise.
    history: the losses on `validation` after every epoch; D's and G's adversarial loss and the share of
    steps in which D was frozen, over the epoch. FloatingPointError names the step at which a loss was not finite.
    """
    check(recipe, encoder, made.size)
    fabric = loop.fabric(device, recipe.precision)
    torch.manual_seed(recipe.seed)
    judge = discriminator(size=made.size).to(fabric.device, memory_format=torch.channels_last)
    made.to(fabric.device, memory_format=torch.channels_last)
    moves = [torch.optim.Adam(m.parameters(), recipe.rate, recipe.betas) for m in (made, judge)]
    bound(made, encoder, layer, data(0)[0])
    total = recipe.epochs * (recipe.epoch // recipe.batch)

    def step(batch: list[np.ndarray], generator: torch.Generator, course: loop.Course) -> dict[str, float]:
        offsets = torch.randint(0, 2 * recipe.shift + 1, (2, len(batch[0])), generator=generator)
        x = classifiers.shifted(interface.to_tensor(batch[0]).to(fabric.device), recipe.shift, offsets)
        wanted = x
        if len(batch) > 1:
            mask = torch.from_numpy(batch[1])[:, None].float().to(fabric.device)
            wanted = on_grey(x, classifiers.shifted(mask, recipe.shift, offsets))
        with fabric.autocast():
            return _step(made, judge, moves, encoder, layer, comparator, x, wanted, recipe, course.state, generator)

    def rate(state: dict) -> float:
        return recipe.rate * (1 + math.cos(math.pi * state["step"] / total)) / 2

    def measure(_) -> dict[str, float]:
        return losses(made, encoder, layer, comparator, *validation)

    def rule(course: loop.Course) -> bool:
        return course.state["epoch"] >= recipe.epochs

    models, options = {"made": made, "judge": judge}, {"checkpoint": checkpoint, "progress": progress}
    options["state"] = {"frozen": False}
    course = loop.train(fabric, recipe, models, moves, data, step, rate, measure, rule, **options)
    return loop.copied(made), course.history


def check(recipe: Recipe, encoder: interface.Network, size: int = generator_network.SIZE) -> None:
    """ValueError with a sentence if a generator of images of `size` pixels cannot be trained like this."""
    if encoder.size != size:
        raise ValueError(
            f"encoder {encoder.name} reads {encoder.size} pixels, expected {size}, the side of G's images: "
            "interface.resized makes it read those"
        )
    if not (1 <= recipe.batch <= recipe.epoch and recipe.epochs >= 1 and max(recipe.losses) > 0 <= min(recipe.losses)):
        raise ValueError(f"{recipe}: expected 1 <= batch <= epoch, epochs >= 1, losses >= 0 and one of them above 0")


def on_grey(images: Tensor, masks: Tensor) -> Tensor:
    """Images (n, 3, H, W) whose pixels outside of masks (n, 1, H, W) are mid-grey."""
    return 0.5 + (images - 0.5) * masks


def _step(made, judge, moves, encoder, layer, comparator, x, wanted, recipe, state, generator) -> dict[str, float]:
    """One step of G, which is to paint `wanted` from the code of x, and, unless it is frozen, of D: Dosovitskiy & Brox
    2016, equations 1 to 5."""
    with torch.no_grad():
        code = interface.forward_to(encoder, x, [layer])[layer]
    image = made(code)
    loss = recipe.losses.image * relative(image, wanted)
    if recipe.losses.feature:
        top, left = torch.randint(0, 2 * JITTER + 1, (2,), generator=generator).tolist()
        seen, shown = (
            F.pad(i, [JITTER] * 4, mode="reflect")[..., top:, left:][..., : made.size, : made.size]
            for i in (wanted, image)
        )
        with torch.no_grad():
            real = interface.forward_to(encoder, seen, list(comparator))
        again = interface.forward_to(encoder, shown, list(comparator))
        parts = [relative(again[name], real[name]) for name in comparator]
        loss = loss + recipe.losses.feature * sum(parts) / len(parts)
    adversarial = fooled = torch.zeros(())
    if recipe.losses.adversarial:
        adversarial = F.softplus(-judge(2 * image - 1)).mean()
        loss = loss + recipe.losses.adversarial * adversarial
    moves[0].zero_grad()
    loss.backward()
    moves[0].step()
    frozen = state["frozen"]
    if recipe.losses.adversarial:
        fooled = (F.softplus(-judge(2 * wanted - 1)) + F.softplus(judge(2 * image.detach() - 1))).mean() / 2
        if not frozen:
            moves[1].zero_grad()
            fooled.backward()
            moves[1].step()
        state["frozen"] = bool(fooled.item() < recipe.guard * adversarial.item())
    return {"discriminator": fooled.item(), "adversarial": adversarial.item(), "frozen": float(frozen)}


def relative(found: Tensor, real: Tensor) -> Tensor:
    """Mean squared difference as a share of the mean squared `real`; images are compared after preprocessing."""
    if found.shape[1] == 3:
        found, real = 4 * found - 2, 4 * real - 2
    found, real = found.float(), real.float()
    return (found - real).square().mean() / real.square().mean().clamp_min(1e-12)


@torch.inference_mode()
def losses(
    made: generator_network.Generator, encoder, layer: str, comparator, pictures: np.ndarray, masks=None
) -> dict[str, float]:
    """The image loss, the feature loss, and how well the code comes back (iterative re-encoding, once), each as a
    share of answering zero, on pictures (n, H, W, 3) uint8; with masks (n, H, W) G is to paint the object on grey."""
    layers, parts, device = list(dict.fromkeys((*comparator, layer))), [], next(made.eval().parameters()).device
    images = interface.to_tensor(pictures)
    wanted = images if masks is None else on_grey(images, torch.from_numpy(masks)[:, None].float())
    for x, target in zip(images.split(100), wanted.split(100), strict=True):
        x, target = x.to(device), target.to(device)
        code = interface.forward_to(encoder, x, [layer])[layer]
        real = interface.forward_to(encoder, target, list(comparator))
        image = made(code)
        again = interface.forward_to(encoder, image, layers)
        feature = sum(relative(again[name], real[name]).item() for name in comparator) / len(comparator)
        parts.append((relative(image, target).item(), feature, relative(again[layer], code).item()))
    return dict(zip(("image", "feature", "code"), np.mean(parts, 0).tolist(), strict=True))


def bound(made: generator_network.Generator, encoder: interface.Network, layer: str, pictures: np.ndarray) -> None:
    """Measure the code of `layer` on pictures and write its size, length and bounds into `made`."""
    codes = interface.features(encoder, interface.to_tensor(pictures), [layer], 100)[layer].flatten(1).double()
    made.unit.copy_(codes.square().mean().sqrt().clamp_min(1e-6))
    made.norm.copy_(codes.norm(dim=1).mean())
    made.bound_mean.copy_(codes.mean(0)), made.bound_sd.copy_(codes.std(0))
