"""Preferred inputs through a generator prior: Nguyen et al. 2016 (arXiv 1605.09304), as the released code searches.

A generator G turns a code y into an image; the search moves y so that a unit h of any network answers to G(y):
y <- y + rate(t) * g / mean|g|, where g = d h(G(y)) / d y and the rate falls linearly to nothing; then every number of
the code is clipped to [0, mean + 3 sd] of its values on training pictures; then y is multiplied by 0.99 (the L2 norm
as a decay). The last image is kept, not the one with the highest activation. lib.methods.ascent.maximise is the loop.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import fusion

from lib.base import identity, weights
from lib.methods.ascent import maximise, regularisers
from lib.methods.ascent.parameterisations import Parameterisation
from lib.networks import generator_network, interface

NOISE = 1 / 12  # sd of a random start, as a share of the mean upper bound: the released N(0, 1) with its bounds for fc6


class Prior(NamedTuple):
    """A generator, whose code it takes, and how this code spreads over training pictures, which bounds the search."""

    name: str
    generator: Callable[[Tensor], Tensor]  # codes (n, *code) -> images (n, 3, S, S)
    code: tuple[int, ...]  # (units,) or (maps, side, side)
    mean: Tensor  # code: mean of each of its numbers over training pictures
    sd: Tensor  # code: their standard deviation
    encoder: str  # the network whose code it is, e.g. alexnet-0
    layer: str  # and the layer
    digest: str
    size: int = generator_network.SIZE  # S, pixels
    norm: float = 1.0  # mean length (L2 norm) of the codes of training pictures


def load(name: str, device="cpu") -> Prior:
    """A trained generator, e.g. "alexnet-0-fc6", or the path of a .safetensors file with its .json beside it, with the
    bounds of its code. Batch normalisation is folded into the convolutions, which changes images by rounding only."""
    own = name.endswith(".safetensors")
    state, info = weights.load(str(Path(name).resolve().with_suffix("")) if own else f"generators/{name}")
    made_by = info["made_by"]
    made = generator_network.Generator(
        tuple(made_by["code"]), made_by["width"], made_by.get("size", generator_network.SIZE)
    )
    made.load_state_dict(state)
    return wrap(made, name, made_by["encoder"], made_by["layer"], info["digest"], device)


def wrap(
    made: generator_network.Generator, name: str, encoder: str, layer: str, digest: str = "", device="cpu"
) -> Prior:
    """A trained generator (lib.training.generators.fit) as a prior; it is copied. encoder: the name of the network
    whose `layer` it inverts."""
    mean, sd = (getattr(made, f"bound_{part}").reshape(made.code).to(device) for part in ("mean", "sd"))
    digest = digest or identity.state_digest(made)
    images = folded(made).requires_grad_(False).to(device, memory_format=torch.channels_last)
    return Prior(name, images, made.code, mean, sd, encoder, layer, digest, made.size, made.norm.item())


def folded(made: generator_network.Generator) -> generator_network.Generator:
    """The same function in evaluation mode without batch normalisation."""
    made = copy.deepcopy(made).eval()
    kept = []
    for part in made.layers:
        if isinstance(part, torch.nn.BatchNorm2d):
            kept[-1] = fusion.fuse_conv_bn_eval(kept[-1].eval(), part)
        else:
            kept.append(part)
    made.layers = torch.nn.Sequential(*kept)
    return made


def form(prior: Prior, noise: float = NOISE) -> Parameterisation:
    """The code as a parameterisation of images, for lib.methods.ascent.maximise: starts are normal, of sd `noise` times
    the mean upper bound, and negative numbers go at the first clipping."""
    scale = noise * upper(prior).mean().item()

    def start(n: int, generator: torch.Generator) -> Tensor:
        return scale * torch.randn((n, *prior.code), generator=generator, device=generator.device)

    return Parameterisation(start, prior.generator)


def upper(prior: Prior, sds: float = 3.0) -> Tensor:
    """The upper bound of each number of the code, mean + sds * sd, (*code). ValueError for a negative `sds`."""
    if not sds >= 0:
        raise ValueError(f"sds is {sds}, expected the number of standard deviations above the mean, at least 0")
    return prior.mean + sds * prior.sd


def clip(prior: Prior, sds: float = 3.0, bounds: Tensor | None = None) -> regularisers.Operator:
    """Keep every number of the code in [0, mean + sds * sd], or in [0, bounds] for bounds (*code) of the reader's own
    (`read_bounds`). ValueError for bounds that do not fit the code."""
    top = upper(prior, sds) if bounds is None else check_bounds(prior, bounds, "bounds").to(prior.mean.device)
    return lambda code, gradient, step: code.clamp_min(0).minimum(top)


def cap(prior: Prior, times: float) -> regularisers.Operator:
    """Keep the length of a code at most `times` the mean length of the codes of training pictures: a longer code is
    shortened, its direction stays. ValueError unless `times` is positive."""
    if not times > 0:
        raise ValueError(f"norm is {times}, expected a positive multiple of the mean length of real codes")
    most = times * prior.norm

    def shorten(code: Tensor, gradient: Tensor, step: int) -> Tensor:
        length = code.flatten(1).norm(dim=1).clamp_min(1e-30)
        return code * (most / length).clamp_max(1).reshape(-1, *[1] * (code.ndim - 1))

    return shorten


def check_bounds(prior: Prior, bounds: Tensor, what: str) -> Tensor:
    """The bounds as (*code), or ValueError that says what does not fit."""
    numbers = bounds.numel()
    if numbers != prior.mean.numel():
        expected = f"one for each of the {prior.mean.numel()} numbers of the code of {prior.name}"
        raise ValueError(f"{what} holds {numbers} numbers, expected {expected}")
    if not bounds.isfinite().all() or (bounds < 0).any():
        raise ValueError(f"{what} holds numbers that are negative or not finite, expected upper bounds of at least 0")
    return bounds.float().reshape(prior.code)


def read_bounds(path: str | Path, prior: Prior) -> Tensor:
    """Upper bounds of a code from a text file of numbers (as the released act_range files) or an .npy file: (*code).
    FileNotFoundError without the file, ValueError for another number of numbers or bounds below 0."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"bounds file {path.name} does not exist; expected text with one number a unit, or .npy"
        )
    try:
        found = np.asarray(np.load(path) if path.suffix == ".npy" else np.loadtxt(path), np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"bounds file {path.name} is no table of numbers: {error}") from None
    return check_bounds(prior, torch.from_numpy(found), f"bounds file {path.name}")


def encode(prior: Prior, encoder: interface.Network, images: Tensor) -> Tensor:
    """The codes (n, *code) of images (n, 3, S, S) in [0, 1], to start from. ValueError unless `encoder` is the network
    whose layer the prior inverts."""
    if encoder.name != prior.encoder:
        raise ValueError(f"encoder is {encoder.name}, but {prior.name} inverts layer {prior.layer} of {prior.encoder}")
    return interface.features(encoder, images, [prior.layer])[prior.layer].float()


def unit_mean(gradient: Tensor) -> Tensor:
    """Each row divided by the mean of its absolute values (0 stays 0): act_max.py's normalisation."""
    size = gradient.flatten(1).abs().mean(1).clamp_min(1e-30)
    return gradient / size.reshape(-1, *[1] * (gradient.ndim - 1))


def falling(rate: float, steps: int) -> Callable:
    """An optimiser for lib.methods.ascent.maximise: plain ascent whose rate falls linearly from `rate` to 1e-10 over
    `steps`.
    """

    def optimiser(parameters: list[Tensor]) -> torch.optim.Optimizer:
        moves = torch.optim.SGD(parameters, lr=rate)
        fall = torch.optim.lr_scheduler.LambdaLR(
            moves, lambda t: 1 - (1 - 1e-10 / rate) * min(1, t / max(1, steps - 1))
        )
        moves.register_step_post_hook(lambda *_: fall.step())
        return moves

    return optimiser


def search(
    prior: Prior,
    objective: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    steps: int = 200,
    rate: float = 0.3,
    sds: float | None = 3.0,
    decay: float = 0.01,
    norm: float | None = None,
) -> maximise.Maximised:
    """The images G(y) that excite `objective` (images (n, 3, S, S) -> (n,)) most, from codes `start` (n, *code): DGN-AM
    of Nguyen et al. 2016. 200 steps, clipping at 3 sd and a decay of 0.01 are the released code's.

    rate: the mean absolute change of the code in the first step, as a share of the mean upper bound, above 0. sds:
    where to clip (None: not at all, not even at 0). decay: the share that the code loses after every step, 0 to 1.
    norm: longest code, as a multiple of the mean length of real codes (None: any length; ours, not the paper's).
    ValueError if the start does not fit the generator, or for values out of range.
    """
    if tuple(start.shape[1:]) != prior.code:
        raise ValueError(f"start has shape {tuple(start.shape)}, expected codes (n, {', '.join(map(str, prior.code))})")
    if not rate > 0:
        raise ValueError(f"rate is {rate}, expected a positive share of the mean upper bound")
    operators = [] if sds is None else [clip(prior, sds)]
    operators += [regularisers.decay(decay)] if decay else []
    operators += [] if norm is None else [cap(prior, norm)]
    return maximise.maximise(
        prior.generator,
        objective,
        start,
        steps=steps,
        scale=unit_mean,
        optimiser=falling(rate * upper(prior).mean().item(), steps),
        operators=operators,
    )
