"""How reconstructions look: the regular patterns (checkerboards) in what tuning changed, and colours in CIELAB.

Palacio et al. 2018, Section 3.3.1 and Figure 3. The paper describes checkerboards in words; the index that counts them
is ours, written down in data/claims.yaml (C7).
"""

from typing import NamedTuple

import numpy as np
from scipy import fft
from skimage.color import rgb2lab
from torch import Tensor

from lib import autoencoders, cutouts, predictions, segnet, signals, stats, zoo

REACH = 2  # frequency steps to either side that count as neighbours


def checkerboard(difference) -> float:
    """Checkerboard index of A_i(x) - A_S(x), floats (N, 3, H, W), H and W multiples of 4: the mean of `grid_shares`.

    Reconstructions are taken as the classifiers read them, not clipped. 0: no more at periods of two and four pixels
    than around them; 1: nothing else varies; below 0 by chance, or where patterns are nearly of four pixels. Claim C7.
    ValueError for another shape or values that are not finite.
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
    since the picture's borders raise both axes against the rest.
    """
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
    return np.where(total > 1e-12 * whole, excess / np.maximum(total, np.finfo(float).tiny), 0.0)


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


class Patterns(NamedTuple):
    """What tuning changed in the same pictures, for every A_i."""

    rows: list[dict]  # name, group (stride of the classifier's first layer), seed, value, low, high: the index
    spectra: dict[str, np.ndarray]  # title -> mean spectrum (H, W) of A_i(x) - A_S(x), over seeds and pictures
    baselines: dict[str, float]  # the same index of the pictures themselves and of A_S(x) - x


def patterns(families, seeds, images: Tensor, generator, device: str = "cpu") -> Patterns:
    """The checkerboard index of every A_i on pictures (N, 3, H, W), with bootstrap intervals over pictures."""
    plain = segnet.reconstruct(autoencoders.autoencoder(device=device), images)
    rows, spectra = [], {}
    for family in families:
        stride = predictions.described(family, seeds)[2].split(" / ")[1]
        row, spectra[zoo.TITLES[family]] = {"name": zoo.TITLES[family], "group": f"first layer's stride: {stride}"}, 0
        for seed in seeds:
            changed = (segnet.reconstruct(signals.tuned(family, seed, device=device), images) - plain).numpy()
            value, low, high, n = stats.bootstrap_mean(grid_shares(changed), generator=generator, method="percentile")
            rows.append(row | {"seed": seed, "value": value, "low": low, "high": high, "n": n})
            spectra[zoo.TITLES[family]] += spectrum(changed - changed.mean((2, 3), keepdims=True)).mean(0)
    baselines = {"the pictures themselves": checkerboard(images), "A_S minus the picture": checkerboard(plain - images)}
    return Patterns(rows, spectra, baselines)


# ------------------------------------------------------------------------------------------------ colours

RANGES = {"L": (0, 100), "a": (-100, 100), "b": (-110, 100)}  # CIELAB of sRGB colours


def lab_histograms(pictures: Tensor, bins: int = 50) -> dict[str, np.ndarray]:
    """Shares (bins,) of the pixels of RGB pictures (N, 3, H, W), clipped to [0, 1], over each CIELAB channel."""
    lab = rgb2lab(pictures.clamp(0, 1).permute(0, 2, 3, 1).numpy()).reshape(-1, 3)
    return {
        name: np.histogram(np.clip(lab[:, k], *limits), bins, limits)[0] / len(lab)
        for k, (name, limits) in enumerate(RANGES.items())
    }


def gallery(families, seed: int, images: Tensor, device: str = "cpu") -> dict[str, Tensor]:
    """Pictures (N, 3, H, W) and their reconstructions by A_S and each A_i of a seed: {"original", "A_S", "A_L" ...}."""
    found = {"original": images, "A_S": segnet.reconstruct(autoencoders.autoencoder(device=device), images)}
    for family in families:
        found[f"A_{zoo.LETTERS[family]}"] = segnet.reconstruct(signals.tuned(family, seed, device=device), images)
    return found


def shots(found: dict[str, Tensor], shown, pose: np.ndarray, side: int = 15) -> list[dict]:
    """The pictures `shown` of a gallery as (H, W, 3), each with the box (top, left, side) of a zoom on the middle of
    its object; pose: (N, 4) as in cutouts.Batch."""
    result = []
    for k in shown:
        images = {name: part[k].clamp(0, 1).permute(1, 2, 0).numpy() for name, part in found.items()}
        left, top = np.clip(np.round(pose[k, :2]).astype(int) - side // 2, 0, cutouts.SIZE - side).tolist()
        result.append({"images": images, "box": (top, left, side)})
    return result


def histogram_rows(histograms: dict[str, dict]) -> list[dict]:
    """`lab_histograms` of several autoencoders as rows: autoencoder, channel, low edge of the bin, share."""
    return [
        {"autoencoder": name, "channel": channel, "from": edge, "share": share}
        for name, channels in histograms.items()
        for channel, shares in channels.items()
        for edge, share in zip(np.linspace(*RANGES[channel], len(shares) + 1), shares, strict=False)
    ]
