"""Regularisers for `lib.methods.ascent.maximise`: penalties on images, transforms before the network, operators after a
step, and scalings of the gradient. Each acts on every row of a batch alone.

The penalty `l2` is that of Simonyan et al. 2014. The operators `decay`, `blur`, `clip_norm`, `clip_contribution` and
`box` are those of Yosinski et al. 2015, as their released code (github.com/yosinski/deep-visualization-toolbox,
gradient_optimizer.py) applies them: to offsets from the mean image. `denoise` (by another algorithm), `blended`,
`centre` and `window` follow the released code of The Mind's Eye (Stergiou 2021). A value out of range is a ValueError
when a regulariser is made.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

Penalty = Callable[[Tensor], Tensor]
Transform = Callable[[Tensor, torch.Generator], Tensor]
Operator = Callable[[Tensor, Tensor, int], Tensor]


# ------------------------------------------------------------------ penalties: images (n, 3, S, S) -> (n,), subtracted


def l2(strength: float, mean: float = 0.5) -> Penalty:
    """strength * ||I - mean||^2, summed over pixels and colours: the lambda ||I||^2 of Simonyan et al. 2014, whose data
    are centred."""
    _at_least("l2: strength", strength, 0)
    return lambda images: strength * (images - mean).square().flatten(1).sum(1)


def total_variation(strength: float) -> Penalty:
    """strength * sum of the absolute differences of neighbouring pixels, down and across, over all colours."""
    _at_least("total_variation: strength", strength, 0)
    return lambda images: strength * sum(images.diff(dim=d).abs().flatten(1).sum(1) for d in (2, 3))


# --------------------------------------------- transforms: one draw a step, the same for all rows, hence for each alone


def jitter(distance: int) -> Transform:
    """Shift by up to `distance` pixels in each direction; what comes in at the border is the image reflected.
    ValueError for a distance that is no whole number, or not less than the images' side."""
    _at_least("jitter: distance", distance, 0)
    if distance != int(distance):
        raise ValueError(f"jitter: distance is {distance}, expected a whole number of pixels")

    def transform(images: Tensor, generator: torch.Generator) -> Tensor:
        down, across = torch.randint(2 * distance + 1, (2,), generator=generator, device=generator.device).tolist()
        _fits("jitter: distance", distance, images)
        padded = functional.pad(images, [distance] * 4, mode="reflect")
        return padded[..., down : down + images.shape[2], across : across + images.shape[3]]

    return transform


def turn(degrees: float, zoom: float = 1.0) -> Transform:
    """Rotate by up to `degrees` either way and scale by a factor from 1/zoom to zoom, about the centre."""
    _at_least("turn: degrees", degrees, 0)
    _at_least("turn: zoom", zoom, 1)

    def transform(images: Tensor, generator: torch.Generator) -> Tensor:
        draws = (2 * torch.rand(2, generator=generator, device=generator.device) - 1).tolist()
        angle, size = math.radians(degrees * draws[0]), zoom ** draws[1]
        cos, sin = math.cos(angle) / size, math.sin(angle) / size
        matrix = images.new_tensor([[cos, -sin, 0], [sin, cos, 0]]).expand(len(images), 2, 3)
        grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)

    return transform


def window(size: int, every: int = 1, spread: float = 0.4) -> Transform:
    """A square of `size` pixels of larger images, drawn anew every `every` calls: offset from the middle normal with sd
    `spread` of the room there is. With images enlarged at the start: zoom and crop. ValueError if the window is larger
    than the images."""
    _at_least("window: size", size, 1)
    _at_least("window: every", every, 1)
    state = {"calls": 0, "corner": (0, 0)}

    def transform(images: Tensor, generator: torch.Generator) -> Tensor:
        if size > min(images.shape[2:]):
            raise ValueError(f"window: size is {size}, expected at most the side of the images, {images.shape[3]}")
        if state["calls"] % every == 0:
            draws = 0.5 + spread * torch.randn(2, generator=generator, device=generator.device)
            room = [side - size for side in images.shape[2:]]
            state["corner"] = tuple(round(r * float(d.clamp(0, 1))) for r, d in zip(room, draws, strict=True))
        state["calls"] += 1
        down, across = state["corner"]
        return images[..., down : down + size, across : across + size]

    return transform


# ------------------------------------- operators: (offsets from the mean (n, 3, S, S), gradient, step) -> offsets


def decay(share: float) -> Operator:
    """x * (1 - share), share 0 to 1: large values are rare."""
    _share("decay: share", share, 1)
    return lambda x, gradient, step: x * (1 - share)


def blur(radius: float, every: int = 1) -> Operator:
    """Gaussian blur of sd `radius` pixels at step 0 and every `every` steps: high frequencies are rare."""
    _at_least("blur: every", every, 1)
    _at_least("blur: radius (in pixels; the released code warns below 0.3)", radius, 0.1)
    reach = max(1, math.ceil(4 * radius))
    weights = torch.exp(-(torch.arange(-reach, reach + 1, dtype=torch.float64) ** 2) / (2 * radius**2))
    weights = weights / weights.sum()

    def operator(x: Tensor, gradient: Tensor, step: int) -> Tensor:
        if step % every:
            return x
        _fits("blur: four times the radius", reach, x)
        kernel = weights.to(x).expand(x.shape[1], 1, 1, -1)
        padded = functional.pad(x, [reach] * 4, mode="reflect")
        padded = functional.conv2d(padded, kernel, groups=x.shape[1])
        return functional.conv2d(padded, kernel.mT, groups=x.shape[1])

    return operator


def clip_norm(percentile: float) -> Operator:
    """Pixels whose norm over colours is below the image's percentile (0 to 100) go to the mean: most pixels are not
    needed."""
    _share("clip_norm: percentile", percentile, 100)
    return lambda x, gradient, step: x * _kept(x.square().sum(1), percentile)


def clip_contribution(percentile: float) -> Operator:
    """Pixels whose contribution |sum over colours of x * gradient| is below the image's percentile (0 to 100) go to the
    mean.

    To first order that is how much the activation changes if the pixel goes to the mean. The gradient is the one taken
    before the step, as in the released code.
    """
    _share("clip_contribution: percentile", percentile, 100)
    return lambda x, gradient, step: x * _kept((x * gradient).sum(1).abs(), percentile)


def box(mean: float = 0.5) -> Operator:
    """Keep mean + x within [0, 1]: the released code crops to the range of a pixel before every pass."""
    return lambda x, gradient, step: x.clamp(-mean, 1 - mean)


def denoise(strength: float, rounds: int = 20) -> Operator:
    """Total-variation denoising (Chambolle 2004), colours apart: `rounds` steps of the dual problem; skimage's
    denoise_tv_chambolle with weight = strength and eps = 0, for a batch."""
    _at_least("denoise: strength", strength, 1e-9)

    def operator(x: Tensor, gradient: Tensor, step: int) -> Tensor:
        down, across, out = torch.zeros_like(x), torch.zeros_like(x), x
        for turn in range(rounds):
            if turn:
                divergence = down + across
                divergence[..., 1:, :] -= down[..., :-1, :]
                divergence[..., 1:] -= across[..., :-1]
                out = x - divergence
            slopes = [functional.pad(out.diff(dim=d), pad) for d, pad in ((2, [0, 0, 0, 1]), (3, [0, 1]))]
            norm = 1 + 0.25 / strength * (slopes[0].square() + slopes[1].square()).sqrt()
            down, across = (down - 0.25 * slopes[0]) / norm, (across - 0.25 * slopes[1]) / norm
        return out

    return operator


def blended(operator: Operator, mask: Tensor, every: int = 1) -> Operator:
    """mask * operator(x) + (1 - mask) * x at step 0 and every `every` steps; mask: (H, W), 0 to 1."""
    _at_least("blended: every", every, 1)

    def blend(x: Tensor, gradient: Tensor, step: int) -> Tensor:
        return x if step % every else x + mask.to(x) * (operator(x, gradient, step) - x)

    return blend


def centre(size: int, share: float) -> Tensor:
    """A Gaussian (size, size) that is 1 in the middle, of sd `share` of the side."""
    _at_least("centre: share of the side", share, 1e-6)
    one = torch.exp(-(((torch.arange(size, dtype=torch.float64) - (size - 1) / 2) / (share * size)) ** 2) / 2)
    return (one[:, None] * one).float()


# ---------------------------------------------------------------- scalings of the gradient (n, ...), each row alone


def unit_rms(gradient: Tensor) -> Tensor:
    """Each row divided by its root mean square: steps as large as the rate says (0 stays 0)."""
    return gradient / _rows(gradient.flatten(1).square().mean(1).sqrt(), gradient).clamp_min(1e-30)


def progress(desired: float, most: float = math.inf) -> Callable[[Tensor], Tensor]:
    """Each row times min(most, desired / |gradient|^2): to first order every step raises the value by `desired`.

    With plain ascent of rate 1: the learning-rate policy 'progress' of Yosinski et al. 2015's released code.
    """
    _at_least("progress: desired", desired, 0)
    return lambda g: g * _rows((desired / g.flatten(1).square().sum(1).clamp_min(1e-30)).clamp_max(most), g)


# --------------------------------------------------------------------------------- the four published combinations


class Combination(NamedTuple):
    """A row of Yosinski et al. 2015, Table 1, from the released code's documentation; 0: not used."""

    decay: float = 0.0  # share a step
    radius: float = 0.0  # sd of the blur, pixels of 227
    every: int = 0  # steps between blurs
    norm: float = 0.0  # percentile
    contribution: float = 0.0  # percentile
    iterations: int = 0
    rate: str = ""

    def operators(self) -> list[Operator]:
        """In the order of the released code: decay, blur, small norm, small contribution, then the pixels' range."""
        parts = [decay(self.decay)] if self.decay else []
        parts += [blur(self.radius, self.every)] if self.radius else []
        parts += [clip_norm(self.norm)] if self.norm else []
        return parts + ([clip_contribution(self.contribution)] if self.contribution else []) + [box()]


PUBLISHED = (
    Combination(radius=0.5, every=4, norm=50, iterations=500, rate="progress 2, at most 100"),
    Combination(decay=0.3, norm=20, iterations=750, rate="100"),
    Combination(decay=1e-4, radius=1.0, every=4, iterations=1000, rate="100"),
    Combination(radius=0.5, every=4, contribution=90, iterations=1000, rate="progress 2, at most 1e8"),
)


def _kept(values: Tensor, percentile: float) -> Tensor:
    """1 where values (n, H, W) reach their own row's percentile (numpy's, linear), else 0: (n, 1, H, W)."""
    flat = values.flatten(1)
    rank = math.ceil(percentile / 100 * (flat.shape[1] - 1) - 1e-9)  # the first value that is not below it
    limit = flat.kthvalue(rank + 1, dim=1).values
    return (values >= limit[:, None, None])[:, None].to(values.dtype)


def _rows(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1))


def _at_least(what: str, found: float, least: float) -> None:
    if not found >= least:
        raise ValueError(f"{what} is {found}, expected a number of at least {least}")


def _share(what: str, found: float, top: float) -> None:
    if not 0 <= found <= top:
        raise ValueError(f"{what} is {found}, expected a number from 0 to {top}")


def _fits(what: str, found: int, images: Tensor) -> None:
    if found >= min(images.shape[2:]):
        raise ValueError(f"{what} is {found}, expected less than the side of the images, {min(images.shape[2:])}")
