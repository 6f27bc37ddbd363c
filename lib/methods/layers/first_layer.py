"""First-layer filters of any network (CS231n 2016, lecture 9, list 3): as pictures, how smooth they are, how well a
Gabor function describes them (both measures are ours)."""

import copy
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import leastsq
from torch import nn

from lib.base import identity
from lib.networks import interface

PADDED = 64  # points a side of every kernel's spectrum, so that kernels of all sizes are asked at the same frequencies
HALF = 0.25  # cycles per pixel: half of the highest frequency that pixels can carry
SMALLEST = 5  # pixels a side: smaller kernels have too few weights for the eight parameters of a Gabor function
NARROWEST = 0.5  # pixels, standard deviation: a narrower envelope would fit any single pixel


class Gabor(NamedTuple):
    """The best Gabor function of a pattern: its share of the pattern's sum of squares, and the function itself."""

    r2: float
    fitted: np.ndarray  # (k, k)
    frequency: float  # cycles per pixel


def stem(net: interface.Network) -> tuple[str, nn.Conv2d]:
    """Path and module of the convolution that reads the three colours of the picture, or ValueError."""
    for path, part in net.model.named_modules():
        if isinstance(part, nn.Conv2d):
            if part.in_channels == 3 and part.groups == 1:
                return path, part
            found = f"its first convolution, {path}, reads {part.in_channels} channels in {part.groups} groups"
            raise ValueError(f"{net.name}: {found}; expected 3 channels, red, green and blue, together")
    raise ValueError(f"{net.name} has no convolution, so that there are no filters to show")


def kernels(net: interface.Network) -> np.ndarray:
    """The first layer's filters as they weigh red, green and blue in [0, 1]: (C, 3, k, k), float64.

    Preprocessing is undone: a network that reads blue first, or other scales, gives its filters in the same colours.
    """
    weight = stem(net)[1].weight.detach().cpu().double()
    return torch.einsum("oikl,ic->ockl", weight, colours(net)).numpy()


def colours(net: interface.Network) -> torch.Tensor:
    """How the preprocessing maps colours: (3 channels of the input, 3 of RGB), double; ValueError if it does more."""
    asked = torch.cat([torch.zeros(1, 3), torch.eye(3)])[:, :, None, None].expand(4, 3, net.size, net.size)
    answer = net.preprocess(asked.to(interface.grey(net).device).contiguous()).detach().cpu().double()
    steps = answer[1:] - answer[:1]
    if (steps - steps[..., :1, :1]).abs().max() > 1e-6 * steps.abs().max():
        raise ValueError(f"{net.name}: its preprocessing treats places differently, so that filters have no one colour")
    return steps[:, :, 0, 0].T


def pictures(filters: np.ndarray) -> np.ndarray:
    """Filters (C, 3, k, k) as pictures (C, k, k, 3) in [0, 1]: zero is grey, each filter's largest weight full
    contrast."""
    top = np.abs(filters).max((1, 2, 3), keepdims=True)
    return (0.5 + filters / np.where(top > 0, 2 * top, 1)).transpose(0, 2, 3, 1)


def power(filters: np.ndarray, size: int = PADDED) -> tuple[np.ndarray, np.ndarray]:
    """Power spectrum of each filter (..., k, k), zero-padded to `size`: (..., size, size), and the spatial frequency of
    each of its points in cycles per pixel, (size, size), along any direction. ValueError for larger kernels."""
    if filters.shape[-1] > size:
        raise ValueError(f"filters: found kernels of {filters.shape[-1]} pixels, expected at most {size}")
    axis = np.fft.fftfreq(size)
    return np.abs(np.fft.fft2(filters, (size, size))) ** 2, np.hypot(axis[:, None], axis[None])


def smoothness(filters: np.ndarray, half: float = HALF) -> float:
    """Share of the filters' spectrum in the lower half of the frequencies: 0 to 1.

    filters (C, 3, k, k): power summed over filters and colours; the lower half: up to `half` cycles per pixel, which is
    half the highest frequency along an axis, in any direction. White noise has pi/16 = 0.196 on average. ValueError for
    weights that are not finite or all zero.
    """
    spectrum, frequency = power(np.asarray(filters, dtype=np.float64))
    total = spectrum.sum()
    if not np.isfinite(total) or total == 0:
        raise ValueError(f"filters: found a spectrum that sums to {total}, expected finite weights, not all of them 0")
    return float(spectrum[..., frequency <= half].sum() / total)


def pattern(kernel: np.ndarray) -> np.ndarray:
    """The spatial pattern (k, k) of a colour filter (3, k, k) that holds most of its energy: its first singular
    vector over places (one colour times one pattern)."""
    return np.linalg.svd(kernel.reshape(3, -1), full_matrices=False)[2][0].reshape(kernel.shape[1:])


def gabor(values: np.ndarray) -> Gabor:
    """Fit a Gabor function (a plane wave of any phase under a Gaussian envelope) to a pattern (k, k).

    Least squares by Levenberg and Marquardt from several starts; the two amplitudes (cosine and sine) are solved
    exactly for every envelope and wave. r2: 1 - sum of squared residuals / sum of squares; 0 for an empty pattern.
    ValueError for a pattern that is no square of at least 5 pixels a side.
    """
    size = values.shape[-1]
    if values.shape != (size, size) or size < SMALLEST:
        raise ValueError(
            f"pattern of shape {values.shape}: expected a square of at least {SMALLEST} pixels a side, since a Gabor "
            "function has eight parameters and would fit anything smaller"
        )
    total = float((values**2).sum())
    if total == 0:
        return Gabor(0.0, np.zeros_like(values), 0.0)
    y, x = (axis.ravel() - (size - 1) / 2 for axis in np.mgrid[:size, :size])
    target = values.ravel() / np.sqrt(total)

    def fitted(p):  # centre (2), direction, frequency, log widths along and across
        u = (x - p[0]) * np.cos(p[2]) + (y - p[1]) * np.sin(p[2])
        v = (y - p[1]) * np.cos(p[2]) - (x - p[0]) * np.sin(p[2])
        along, across = NARROWEST + np.exp(np.clip(p[4:], -9, 9))
        envelope = np.exp(-((u / along) ** 2 + (v / across) ** 2) / 2)
        c, s = envelope * np.cos(2 * np.pi * p[3] * u), envelope * np.sin(2 * np.pi * p[3] * u)
        cc, ss, cs, ct, st = c @ c, s @ s, c @ s, c @ target, s @ target
        det = cc * ss - cs**2
        if det > 1e-12 * cc * cc:
            return ((ss * ct - cs * st) * c + (cc * st - cs * ct) * s) / det
        return ct / max(cc, 1e-300) * c  # no wave: the sine is nothing, or the cosine again

    options = {"maxfev": 400, "ftol": 1e-6, "xtol": 1e-6, "full_output": True}  # full: no warning where 400 end it
    results = [leastsq(lambda p: fitted(p) - target, start, **options)[0] for start in _starts(values)]
    best = min(results, key=lambda p: ((fitted(p) - target) ** 2).sum())
    r2 = 1 - float(((fitted(best) - target) ** 2).sum())
    return Gabor(max(0.0, r2), fitted(best).reshape(values.shape) * np.sqrt(total), abs(float(best[3])))


def _starts(values: np.ndarray) -> list[np.ndarray]:
    """Where to start: the strongest frequency of the spectrum, the half of it and none, in a small and a wide envelope
    round the centre of the pattern's energy."""
    size = len(values)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    weight = values**2 / (values**2).sum()
    centre = (weight * x).sum(), (weight * y).sum()
    spectrum = power(values)[0]
    row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
    fy, fx = np.fft.fftfreq(PADDED)[[row, column]]
    frequency, direction = np.hypot(fx, fy), np.arctan2(fy, fx)
    return [
        np.array([*centre, direction, share * frequency, np.log(width), np.log(width)])
        for share, width in ((1, size / 6), (1, size / 3), (0.5, size / 6), (0, size / 4))
    ]


def gabor_fits(filters: np.ndarray) -> np.ndarray:
    """R2 of the best Gabor function of every filter (C, 3, k, k): (C,)."""
    return np.array([gabor(pattern(kernel)).r2 for kernel in filters])


def noise(shape: tuple, generator: np.random.Generator) -> np.ndarray:
    """White noise of the shape of a first layer: what smoothness and a fit are by chance."""
    return generator.normal(size=shape)


def summary(net: interface.Network, generator: np.random.Generator, start: interface.Network | None = None) -> dict:
    """A row about a network's first layer: number, side and stride of its filters, smoothness, and the median R2 of the
    Gabor fits beside that of white noise (NaN where the kernels are too small for a fit); with `start`, the network
    before its training: smoothness then, and the correlation of the weights with those then (else NaN)."""
    found, convolution = kernels(net), stem(net)[1]
    row = {"network": net.name, "filters": len(found), "side": found.shape[-1], "stride": convolution.stride[0]}
    row |= {"smoothness": smoothness(found), "gabor": float("nan"), "gabor of noise": float("nan")}
    if found.shape[-1] >= SMALLEST:
        row["gabor"] = float(np.median(gabor_fits(found)))
        row["gabor of noise"] = float(np.median(gabor_fits(noise((64, *found.shape[1:]), generator))))
    row |= {"smoothness at the start": float("nan"), "correlation with the start": float("nan")}
    if start is not None:
        first = kernels(start)
        row["smoothness at the start"] = smoothness(first)
        row["correlation with the start"] = float(np.corrcoef(first.ravel(), found.ravel())[0, 1])
    return row


def reordered(net: interface.Network, generator: np.random.Generator) -> interface.Network:
    """A network whose first two convolutions follow each other (`conv1`, `conv2` without normalisation between), with
    the maps of the first dealt out in another order: another set of weights, the same function. ValueError for a
    network that has no such pair."""
    model = copy.deepcopy(net.model)
    parts = dict(model.named_modules())
    one, two = parts.get("conv1.conv"), parts.get("conv2.conv")
    if one is None or two is None or "conv1.norm" in parts or two.in_channels != one.out_channels:
        raise ValueError(f"{net.name}: expected conv1 and conv2 without normalisation between them, as in AlexNet")
    order = torch.from_numpy(generator.permutation(one.out_channels))
    one.weight.data, one.bias.data = one.weight.data[order], one.bias.data[order]
    two.weight.data = two.weight.data[:, order]
    return net._replace(name=f"{net.name}, reordered", model=model, digest=identity.state_digest(model))


def gap(one: interface.Network, other: interface.Network, images: torch.Tensor) -> float:
    """The largest difference between the scores that two networks give the same images."""
    return (interface.scores(one, images) - interface.scores(other, images)).abs().max().item()
