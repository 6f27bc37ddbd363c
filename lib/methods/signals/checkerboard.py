"""How much of a picture is a regular grid: an index, ours, of the checkerboards that Palacio et al. 2018 see in what
A_A and A_R reconstruct (Fig 3)."""

import numpy as np
from scipy import fft

REACH = 2  # frequency steps to either side that count as neighbours


def checkerboard(difference) -> float:
    """Checkerboard index of A_i(x) - A_S(x), floats (N, 3, H, W), H and W multiples of 4: the mean of `grid_shares`.

    Reconstructions are taken as the classifiers read them, not clipped. 0: no more at periods of two and four pixels
    than around them; 1: nothing else varies; below 0 by chance, or where patterns are nearly of four pixels. ValueError
    for another shape or values that are not finite.
    """
    return float(grid_shares(difference).mean())


def grid_shares(difference) -> np.ndarray:
    """For each picture (N, 3, H, W): the share of its spectrum at periods of two and four pixels, above that of the
    neighbouring frequencies (N,). 0 for a picture in which nothing varies.

    Spectrum: squared size of the two-dimensional Fourier transform, summed over the three channels, without the mean;
    no window, since patterns of two and four pixels fit the picture a whole number of times and leak nowhere. Counted:
    the 15 frequencies with a period of 2 or 4 pixels, or none, along each side (horizontal, vertical, and both
    together, diagonals included): every pattern that repeats after four pixels consists of just these. From each, the
    mean of its neighbours up to two steps away is taken off; a frequency on an axis has neighbours on this axis only,
    since the picture's borders raise both axes against the rest. ValueError as for `checkerboard`.
    """
    excess, total, whole = grid_power(difference)
    return np.where(total > 1e-12 * whole, excess / np.maximum(total, np.finfo(float).tiny), 0.0)


def grid_power(difference) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean squares over the pixels and channels of each picture (N, 3, H, W): of patterns with periods of two and four
    pixels above their neighbours', of all but the mean, and of everything, each (N,). ValueError as for
    `checkerboard`."""
    difference = np.ascontiguousarray(difference, dtype=np.float64)
    if difference.ndim != 4 or difference.shape[1] != 3 or any(side % 4 or side < 12 for side in difference.shape[2:]):
        raise ValueError(
            f"difference: found shape {difference.shape}, expected (N, 3, H, W), H and W multiples of 4 and at least 12"
        )
    if not len(difference) or not np.isfinite(difference).all():
        raise ValueError(f"difference: found {len(difference)} pictures or NaN, expected one or more of finite numbers")
    power = spectrum(difference)
    whole, power[:, 0, 0] = power.sum((1, 2)), 0
    total = power.sum((1, 2))
    excess = sum(power[:, y, x] - np.mean([power[:, v, u] for v, u in around], 0) for (y, x), around in grid(power))
    scale = 3 * (difference.shape[-1] * difference.shape[-2]) ** 2
    return excess / scale, total / scale, whole / scale


def amplitude(difference) -> float:
    """Root mean square of the grid in A_i(x) - A_S(x) (N, 3, H, W), over pictures, pixels and channels: in their units.

    Its square is what `grid_shares` divides by the whole. A share says how regular a change is; two signals of which
    one changes three times as much may have the same grid and a share of nine to one. ValueError as for `checkerboard`.
    """
    return float(np.sqrt(max(grid_power(difference)[0].mean(), 0)))


def spectrum(difference: np.ndarray) -> np.ndarray:
    """Squared size of the Fourier transform (N, H, W) of pictures (N, C, H, W), summed over channels; mean first."""
    return (np.abs(fft.fft2(difference)) ** 2).sum(1)


def grid(power: np.ndarray) -> list[tuple]:
    """The 15 frequencies (y, x) of patterns of four pixels in a spectrum (..., H, W), each with its neighbours."""
    height, width = power.shape[-2:]
    places = [(a * height // 4, b * width // 4) for a in range(4) for b in range(4)][1:]
    found = []
    for y, x in places:
        rows, columns = (range(place - REACH, place + REACH + 1) if place else (0,) for place in (y, x))
        around = [(v % height, u % width) for v in rows for u in columns if (v, u) != (y, x)]
        found.append(((y, x), around))
    return found
