"""The Mind's Eye (Stergiou 2021): an image for each facet of a set, by two terms on a layer's pooled features.

For the target vector t of a facet, its k largest channels S, and z(x), a layer's maps averaged over places:

    maximise  a * sum_S z t / sum_S t^2  -  d * mean_c rho(z - t)  -  lambda * mean |maps of the layer below|

activation maximisation, distance minimisation, penalty. The equation is reconstructed from the official code (vis.py),
whose defects are not: shape and scale of Barron's robust loss rho (and the momentum) persist and learn, every facet has
channels of its own, the mask is a Gaussian, pixels stay real numbers. Features are in units of their root mean square
over the set and the first term is 1 at the target, so that weights mean the same in every network.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lib.methods.ascent import maximise, parameterisations, regularisers
from lib.methods.minds_eye import facets
from lib.methods.minds_eye.robust_loss import adaptive
from lib.networks import interface
from lib.networks.interface import to_pictures


class Recipe(NamedTuple):
    """How the images are made; pairs are values at the first and the last step, linear in between."""

    activation: float = 1.0  # a
    distance: float = 1.0  # d
    penalty: tuple = (0.01, 0.05)  # lambda
    steps: int = 60
    rate: tuple = (0.001, 0.0002)  # root mean square of a gradient's step, in ranges of a pixel, before the mask
    momentum: float = 0.9  # Nesterov's
    mask: tuple = (0.82, 0.66)  # sd of the centre's weight, shares of the side (420 and 340 of 512, the released
    # numbers; its base is 2e-16 where a Gaussian's is 1 / e, so that its mask is six times narrower)
    blur: tuple = (0.9, 0.2)  # sd in pixels
    smooth: tuple = (0.05, 0.0125)  # strength of the total-variation denoising
    every: int = 10  # steps between blurs, and between denoisings
    zoom: float = 1.2  # enlargement of the start, in which the network's window wanders
    windows: int = 5  # how many windows are drawn
    noise: float = 10 / 255  # sd of the noise added to the start


class Curves(NamedTuple):
    """What the network saw before each step, (steps, n) each."""

    activation: np.ndarray  # 1 at the target
    distance: np.ndarray  # root mean square of z - t, in units of the features
    penalty: np.ndarray  # mean |maps of the layer below|, 1 as in the set's own images


class Seen(NamedTuple):
    """The images of n facets."""

    pictures: np.ndarray  # (n, S, S, 3) uint8: the middle of the enlarged image
    curves: Curves
    strip: dict[int, np.ndarray]  # {step: pictures after so many steps}
    shape: np.ndarray  # (n,) of the robust loss, as learnt
    scale: np.ndarray  # (n,)


# ----------------------------------------------------------------------------------------------------- the method


def between(pair: tuple, step: int, steps: int) -> float:
    """The value of a linear schedule (first, last) at a step from 0 to steps - 1."""
    return pair[0] + (pair[1] - pair[0]) * step / max(1, steps - 1)


def below(net: interface.Network, layer: str) -> str | None:
    """The convolution before `layer` by the papers' names, whose maps are the input of `layer`'s block; None for the
    first, and for layers without such a name (then there is no penalty, unless a layer is named for it)."""
    names = sorted(name for name in net.layers if name.startswith("conv") and not name.endswith("_pre"))
    name = layer.removesuffix("_pre")
    return names[names.index(name) - 1] if name in names[1:] else None


def objective(net: interface.Network, layer: str, penalised: str | None, targets, channels, units, recipe: Recipe):
    """The dual objective as lib.methods.ascent.maximise wants it, the list of (activation, distance, penalty), (n,)
    each, that it fills call by call, and a function that tells the robust loss's shape and scale.

    targets (n, C), channels (n, C) bool, units: (feature, map below) scales. One forward pass a call, to the deeper of
    the two layers, and one backward pass by whoever asks for the gradient.
    """
    t, chosen = targets / units[0], torch.as_tensor(channels, device=targets.device)
    wanted = t * chosen / (t * chosen).square().sum(1, keepdim=True).clamp_min(1e-12)
    loss, state = adaptive(len(t), t.device)
    history, names, clock = [], [layer, *([penalised] if penalised else [])], itertools.count()

    def terms(images: Tensor) -> Tensor:
        maps = interface.forward_to(net, images, names)
        z = maps[layer].mean((2, 3)) / units[0]
        rise, cost = (z * wanted).sum(1), z.new_zeros(len(z))
        if penalised:
            cost = maps[penalised].abs().flatten(1).mean(1) / units[1]
        value = recipe.activation * rise - between(recipe.penalty, next(clock), recipe.steps) * cost
        if recipe.distance:
            value = value - recipe.distance * loss(z - t)
        history.append([one.detach() for one in (rise, (z - t).square().mean(1).sqrt(), cost)])
        return value

    return terms, history, state


def synthesise(
    net: interface.Network,
    layer: str,
    aim: facets.Aim,
    units: tuple[float, float],
    recipe: Recipe,
    *,
    share: float = 0.25,
    penalised: str | None = None,
    keep: Sequence[int] = (),
    seed: int = 0,
    batch: int = 50,
) -> Seen:
    """An image for every row of `aim`, all side by side (`batch` at a time), each from its own start, enlarged.

    units: what `scales` gives. share: of the channels that count as informative, 0 to 1. penalised: the layer whose
    maps the penalty is on, or None. keep: numbers of steps after which pictures are kept. seed: of noise and windows.
    ValueError for a layer without places, or if a value is no longer finite.
    """
    targets, channels = _wanted(net, layer, aim, share)
    device, side = targets.device, round(recipe.zoom * net.size)
    noise = torch.randn(aim.starts.shape, generator=torch.Generator().manual_seed(seed))
    first = functional.interpolate(aim.starts + recipe.noise * noise, (side, side), mode="bilinear", antialias=True)
    made = []
    for part in (slice(k, k + batch) for k in range(0, len(first), batch)):
        dual = objective(net, layer, penalised, targets[part], channels[part], units, recipe)
        made.append(_climbed(dual, first[part].to(device), net.size, recipe, keep, seed))
    return _together(made)


def from_noise(
    net: interface.Network,
    layer: str,
    aim: facets.Aim,
    units: tuple[float, float],
    recipe: Recipe,
    form: parameterisations.Parameterisation,
    *,
    rate: float,
    transforms: Sequence[Callable] = (),
    share: float = 0.25,
    penalised: str | None = None,
    keep: Sequence[int] = (),
    seed: int = 0,
    batch: int = 50,
) -> Seen:
    """As `synthesise`, by the means of lib.methods.ascent instead of the paper's: from noise and not from the mean of a
    facet's images, through a parameterisation, by Adam, with small moves of the image before the network sees it; no
    mask, no window, no blur. Of `recipe` the weights and the number of steps count.

    form: of images of the network's size. rate: Adam's. transforms: as for lib.methods.ascent.maximise. seed: of the
    noise and the moves; the rest as for `synthesise`. ValueError as there.
    """
    targets, channels = _wanted(net, layer, aim, share)
    made, generator = [], torch.Generator().manual_seed(seed)
    for part in (slice(k, k + batch) for k in range(0, len(targets), batch)):
        strip = {}
        terms, history, state = objective(net, layer, penalised, targets[part], channels[part], units, recipe)
        first = form.start(len(targets[part]), generator).to(targets.device)

        def watch(x: Tensor, gradient: Tensor | None, step: int, strip=strip) -> Tensor:
            if step + 1 in keep:
                strip[step + 1] = to_pictures(form.image(x))
            return x

        watch(first, None, -1)
        found = maximise.maximise(
            form.image, terms, first, steps=recipe.steps, optimiser=partial(torch.optim.Adam, lr=rate),
            transforms=transforms, operators=[watch], generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
        curves = Curves(*(torch.stack(one).cpu().numpy() for one in zip(*history, strict=True)))
        made.append(Seen(to_pictures(found.images), curves, strip, *(one.cpu().numpy() for one in state())))
    return _together(made)


def _wanted(net: interface.Network, layer: str, aim: facets.Aim, share: float) -> tuple[Tensor, np.ndarray]:
    """Targets (n, C) where the network is, and which share of the channels is the most informative, (n, C) bool."""
    interface.check_gradient(net)
    width, _ = facets.extent(net, layer)
    device = next((p.device for p in net.model.parameters()), aim.targets.device)
    return aim.targets.to(device), facets.informative(aim.targets, max(1, int(share * width)))


def _together(made: list[Seen]) -> Seen:
    """The facets of several batches in one."""
    curves = Curves(*(np.concatenate([getattr(one.curves, name) for one in made], 1) for name in Curves._fields))
    strip = {step: np.concatenate([one.strip[step] for one in made]) for step in made[0].strip}
    rest = {name: np.concatenate([getattr(one, name) for one in made]) for name in ("pictures", "shape", "scale")}
    return Seen(curves=curves, strip=strip, **rest)


def _climbed(dual: tuple, first: Tensor, size: int, recipe: Recipe, keep, seed: int) -> Seen:
    """The loop, as the released code has it: from `first` (n, 3, side, side), through a wandering window of `size`
    pixels, gradient steps under a mask, now and then blurred and denoised under it."""
    (terms, history, state), steps, strip, clock = dual, recipe.steps, {}, itertools.count()
    masks = [regularisers.centre(first.shape[2], between(recipe.mask, k, steps)).to(first) for k in range(steps)]
    edge = (first.shape[2] - size) // 2

    def middle(offsets: Tensor) -> np.ndarray:
        return to_pictures(0.5 + offsets[..., edge : edge + size, edge : edge + size])

    def masked(make: Callable, pair: tuple) -> regularisers.Operator:  # its strength falls along a schedule
        def operator(x: Tensor, gradient: Tensor, step: int) -> Tensor:
            return regularisers.blended(make(between(pair, step, steps)), masks[step], recipe.every)(x, gradient, step)

        return operator

    def watch(x: Tensor, gradient: Tensor | None, step: int) -> Tensor:
        if step + 1 in keep:
            strip[step + 1] = middle(x)
        return x

    watch(first - 0.5, None, -1)
    made = maximise.maximise(
        lambda offsets: 0.5 + offsets,
        terms,
        first - 0.5,
        steps=steps,
        optimiser=_nesterov(recipe),
        scale=lambda gradient: regularisers.unit_rms(gradient) * masks[next(clock)],
        transforms=[regularisers.window(size, max(1, steps // recipe.windows))],
        operators=[
            masked(regularisers.blur, recipe.blur),
            masked(regularisers.denoise, recipe.smooth),
            regularisers.box(),
            watch,
        ],
        generator=torch.Generator().manual_seed(seed),
    )
    curves = Curves(*(torch.stack(one).cpu().numpy() for one in zip(*history, strict=True)))
    return Seen(middle(made.parameters), curves, strip, *(one.cpu().numpy() for one in state()))


def _nesterov(recipe: Recipe) -> Callable[[list[Tensor]], torch.optim.Optimizer]:
    """Gradient steps with Nesterov's momentum, whose rate follows the recipe's schedule."""

    def optimiser(parameters: list[Tensor]) -> torch.optim.Optimizer:
        moves = torch.optim.SGD(parameters, lr=recipe.rate[0], momentum=recipe.momentum, nesterov=True)
        steps = itertools.count()
        moves.register_step_pre_hook(
            lambda one, *_: one.param_groups[0].update(lr=between(recipe.rate, next(steps), recipe.steps))
        )
        return moves

    return optimiser


def scales(net: interface.Network, layer: str, penalised: str | None, rows: np.ndarray, images: Tensor) -> tuple:
    """Root mean square of pooled features (m, C), and mean |map| of the penalised layer over images (n, 3, S, S)."""
    usual = 1.0
    if penalised:
        device = next((p.device for p in net.model.parameters()), images.device)
        with torch.no_grad():
            usual = float(interface.forward_to(net, images.to(device), [penalised])[penalised].abs().mean()) or 1.0
    return float(np.sqrt(np.mean(np.square(rows, dtype=np.float64)))) or 1.0, usual
