"""Image parameterisations for `lib.methods.ascent.maximise`: what the gradient moves, and how an image is made of it.

Pixels as Simonyan et al. 2014 and Yosinski et al. 2015 have them, the Fourier coefficients of Olah et al. 2017, or the
phases alone with the magnitudes of photographs (MACO, Fel et al. 2023). A parameterisation is a pair of functions; a
reader's own is a few lines in a cell, e.g. a generator G:
`Parameterisation(lambda n, g: torch.randn(n, 128, generator=g), G)`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Parameterisation(NamedTuple):
    """How n images are made: from which random parameters, and by which differentiable function of them."""

    start: Callable[[int, torch.Generator], Tensor]  # n, generator -> parameters (n, ...)
    image: Callable[[Tensor], Tensor]  # parameters -> images (n, 3, size, size), differentiable


def pixels(
    size: int, noise: float = 10 / 255, mean: float = 0.5, dtype: torch.dtype = torch.float32
) -> Parameterisation:
    """Offsets (n, 3, size, size) from the mean grey, so that shrinking them leads to grey; images may leave [0, 1].

    noise: sd of the random start, in units of the range of a pixel; 0 starts from grey as Simonyan et al. 2014 do,
    10/255 is the released start of Yosinski et al. 2015 (mean_plus_rand). To start from pictures: start = pictures -
    mean. Draws are made on the generator's device. ValueError for a size below 2 or a negative noise.
    """
    _check_size(size)
    if noise < 0:
        raise ValueError(f"pixels: noise is {noise}, expected a standard deviation of at least 0")

    def start(n: int, generator: torch.Generator) -> Tensor:
        shape, options = (n, 3, size, size), {"dtype": dtype, "device": generator.device}
        return noise * torch.randn(shape, generator=generator, **options)

    return Parameterisation(start, lambda offsets: mean + offsets)


# Square root of the covariance of ImageNet's colours, as Lucid (github.com/tensorflow/lucid, color.py) has it.
COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))


def fourier(size: int, noise: float = 0.15, decay: float = 1.0, dtype: torch.dtype = torch.float32) -> Parameterisation:
    """Decorrelated Fourier coefficients (n, 3, size, size // 2 + 1, 2) -> images in (0, 1), as Lucid and lucent.

    Coefficients are divided by frequency ** decay (natural images have about 1/f amplitudes), transformed to the plane,
    turned from decorrelated to RGB colours, and squashed by a sigmoid (Olah et al. 2017). noise: sd of the start; Lucid
    starts at 0.01, so near to flat grey that a small network of ReLUs may be silent there and give no gradient.
    ValueError for a size below 2.
    """
    _check_size(size)
    rows, across = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None]
    frequency = (rows**2 + across**2).sqrt().clamp_min(1 / size)
    weight, colours = (frequency**-decay)[..., None].to(dtype), _colours(dtype)

    def start(n: int, generator: torch.Generator) -> Tensor:
        shape, options = (n, 3, size, size // 2 + 1, 2), {"dtype": dtype, "device": generator.device}
        return noise * torch.randn(shape, generator=generator, **options)

    def image(coefficients: Tensor) -> Tensor:
        spectrum = torch.view_as_complex(coefficients * weight.to(coefficients.device))
        plane = torch.fft.irfft2(spectrum, s=(size, size), norm="ortho") / 4  # Lucid's constant against saturation
        return torch.einsum("rc,nchw->nrhw", colours.to(plane.device), plane).sigmoid()

    return Parameterisation(start, image)


def phases(magnitude: Tensor) -> Parameterisation:
    """Phases (n, 3, size, size // 2 + 1), radians, of a spectrum whose magnitudes stay -> images in (0, 1): MACO (Fel
    et al. 2023, Section 3). A search can arrange the edges that natural images have, and cannot add energy anywhere.

    magnitude: (3, size, size // 2 + 1), from `magnitudes`. Phases start uniform on [-pi, pi). ValueError for another
    shape.
    """
    size = magnitude.shape[1] if magnitude.ndim == 3 else 0
    if tuple(magnitude.shape) != (3, size, size // 2 + 1) or size < 2:
        raise ValueError(f"phases: magnitude has shape {tuple(magnitude.shape)}, expected (3, size, size // 2 + 1)")
    colours = _colours(magnitude.dtype)

    def start(n: int, generator: torch.Generator) -> Tensor:
        options = {"dtype": magnitude.dtype, "device": generator.device}
        return (2 * torch.rand((n, *magnitude.shape), generator=generator, **options) - 1) * math.pi

    def image(angles: Tensor) -> Tensor:
        spectrum = torch.polar(magnitude.to(angles.device).expand_as(angles), angles)
        plane = torch.fft.irfft2(spectrum, s=(size, size), norm="ortho")
        return torch.einsum("rc,nchw->nrhw", colours.to(plane.device), plane).sigmoid()

    return Parameterisation(start, image)


def spectra(images: Tensor) -> Tensor:
    """RGB images (n, 3, S, S) in [0, 1] -> complex spectra (n, 3, S, S // 2 + 1) of their decorrelated colours, whose
    magnitudes and phases give the images again by `phases` (but for values within 0.02 of black or white)."""
    return torch.fft.rfft2(_planes(images), norm="ortho")


def magnitudes(images: Tensor) -> Tensor:
    """The mean magnitudes (3, S, S // 2 + 1) of the spectra of natural images (n, 3, S, S) in [0, 1], for `phases`.

    Planes are faded out towards their borders (Hann): where a border met the opposite one, there would be an edge.
    """
    planes, side = _planes(images), images.shape[-1]
    fade = torch.hann_window(side, periodic=False, dtype=planes.dtype, device=planes.device)
    fade = fade[:, None] * fade
    middle = (planes * fade).sum((2, 3), keepdim=True) / fade.sum()
    faded = (planes - middle) * fade / fade.square().mean().sqrt() + middle
    return torch.fft.rfft2(faded, norm="ortho").abs().mean(0)


def _planes(images: Tensor) -> Tensor:
    """RGB in [0, 1] -> decorrelated colours before the sigmoid."""
    return torch.einsum("cr,nrhw->nchw", _colours(images.dtype).inverse().to(images.device), images.logit(0.02))


def _colours(dtype: torch.dtype) -> Tensor:
    colours = torch.tensor(COLOURS, dtype=dtype)
    return colours / colours.norm(dim=0).max()


def _check_size(size: int) -> None:
    if size < 2:
        raise ValueError(f"size is {size}, expected the side of the images in pixels, at least 2")
