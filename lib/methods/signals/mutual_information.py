"""Normalised mutual information of pictures (Strehl & Ghosh 2002), as Palacio et al. 2018 use it (Fig 8 and 9).

nMI(X; Y) = I(X; Y) / sqrt(H(X) H(Y)), where X and Y are the levels of one channel in two pictures at the same
pixel: 1 if each level of one goes with just one level of the other, 0 if knowing one says nothing about the other.
Channels are taken one by one, on 8-bit values sorted into `bins` levels of equal width.
"""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score

AT_ONCE = 1 << 18  # pixels and cells of joint histograms at once: 2 MB, so that they stay in the cache
TREATMENTS = ("refuse", "omit", "zero")


class Scores(NamedTuple):
    """nMI of N pairs of pictures, channel by channel."""

    values: np.ndarray  # (N, C) float64 in [0, 1]; 0 where undefined
    defined: np.ndarray  # (N, C) bool: False where a channel is constant, so that it has no information to share


def nmi(x: np.ndarray, y: np.ndarray, bins: int = 32) -> np.ndarray:
    """nMI of each of P pairs of channels, x and y (P, n) uint8: (P,) float64 in [0, 1].

    ValueError if a channel is constant at this number of bins: its entropy is zero, and nMI is 0 / 0.
    """
    check(x, y, bins)
    for name, values in (("x", x), ("y", y)):
        if (constant := np.flatnonzero(is_constant(values, bins))).size:
            raise ValueError(
                f"nmi: {name} is constant at {bins} bins in row {constant[0]} ({constant.size} of {len(values)} rows); "
                "its nMI is undefined, expected at least two levels"
            )
    parts = max(1, AT_ONCE // (bins**2 + x.shape[1]))  # pairs at once
    return np.concatenate([_nmi(x[k : k + parts], y[k : k + parts], bins) for k in range(0, len(x), parts)])


def _nmi(x: np.ndarray, y: np.ndarray, bins: int) -> np.ndarray:
    x, y = level(x, bins), level(y, bins)
    h_x, h_y, h_xy = entropy(x, bins), entropy(y, bins), entropy(x * bins + y, bins**2)
    return np.clip((h_x + h_y - h_xy) / np.sqrt(h_x * h_y), 0, 1)


def entropy(cells: np.ndarray, n_cells: int) -> np.ndarray:
    """Entropy in nats of each row of `cells` (P, n), whose pixels lie in cells 0 ... n_cells - 1: (P,).

    -sum p log p = log n - (sum over pixels of log(count of the pixel's cell)) / n. All P histograms are counted at
    once, and logarithms are taken of the counts at the n pixels, since most cells of a joint histogram are empty.
    """
    n = cells.shape[1]
    places = cells + n_cells * np.arange(len(cells))[:, None]
    counts = np.bincount(places.ravel(), minlength=n_cells * len(cells))
    logarithm = np.log(np.maximum(np.arange(n + 1), 1))
    return np.log(n) - logarithm[counts[places]].mean(1)


def joint(x: np.ndarray, y: np.ndarray, bins: int = 32) -> np.ndarray:
    """Joint histograms of P pairs of channels (P, n) uint8: (P, bins, bins); [p, a, b] counts the pixels with level a
    in x and level b in y."""
    check(x, y, bins)
    cells = (np.arange(len(x))[:, None] * bins + level(x, bins)) * bins + level(y, bins)
    return np.bincount(cells.ravel(), minlength=len(x) * bins**2).reshape(-1, bins, bins)


def level(values: np.ndarray, bins: int) -> np.ndarray:
    """The level 0 ... bins - 1 of 8-bit values: `bins` intervals of equal width."""
    return values.astype(np.intp) * bins // 256


def is_constant(values: np.ndarray, bins: int) -> np.ndarray:
    """Where a row of `values` (..., n) uint8 has only one level: (...) bool."""
    return level(values.min(-1), bins) == level(values.max(-1), bins)


def of_pictures(x: np.ndarray, y: np.ndarray, bins: int = 32) -> Scores:
    """nMI of N pairs of pictures, x and y (N, C, H, W) uint8, channel by channel; undefined where one is constant.
    ValueError for other shapes or types."""
    if x.ndim != 4:
        raise ValueError(f"nmi: pictures have shape {x.shape}, expected (N, C, H, W)")
    check(x, y, bins)
    one, two = (values.reshape(-1, values[0, 0].size) for values in (x, y))
    defined = ~(is_constant(one, bins) | is_constant(two, bins))
    values = np.zeros(len(one))
    if defined.any():
        values[defined] = nmi(one[defined], two[defined], bins)
    return Scores(values.reshape(x.shape[:2]), defined.reshape(x.shape[:2]))


def per_picture(scores: Scores, *, constant: str) -> np.ndarray:
    """Mean over the channels of each pair of pictures: (N,), fewer if pictures are left out.

    constant: what to do with channels whose nMI is undefined: "refuse" (ValueError names the first), "omit" (the mean
    of the other channels; a picture without any is left out), "zero" (they share nothing and count as 0).
    """
    if constant not in TREATMENTS:
        raise ValueError(f"constant is {constant!r}, expected one of {', '.join(TREATMENTS)}")
    values, defined = scores
    if constant == "refuse" and not defined.all():
        picture, channel = np.argwhere(~defined)[0]
        raise ValueError(
            f"nmi: channel {channel} of picture {picture} is constant, so that its nMI is undefined "
            f"({(~defined).sum()} channels in all); choose constant='omit' or 'zero'"
        )
    if constant == "zero":
        return values.mean(1)
    some = defined.any(1)
    if not some.any():
        raise ValueError(
            "nmi: every channel of every picture is constant, so that there is no mean; expected some that vary"
        )
    return values[some].sum(1) / defined[some].sum(1)


def intra(pictures: np.ndarray, reconstructions: np.ndarray, bins: int = 32) -> Scores:
    """nMI(x, A(x)) of every picture and its own reconstruction, both (N, C, H, W) uint8: what A preserves."""
    return of_pictures(pictures, reconstructions, bins)


def inter(reconstructions: np.ndarray, bins: int = 32) -> Scores:
    """nMI(A(x_a), A(x_b)) of consecutive pictures (0 and 1, 2 and 3, ...), (N, C, H, W) uint8: what A puts into all
    alike. Each picture is used once; an odd one at the end is left out. ValueError for fewer than two."""
    if len(reconstructions) < 2:
        raise ValueError(f"nmi: {len(reconstructions)} picture is too few for pairs, expected at least 2")
    pairs = len(reconstructions) // 2 * 2
    return of_pictures(reconstructions[0:pairs:2], reconstructions[1:pairs:2], bins)


def shuffled(pictures: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The pixels of each picture (N, C, H, W) in a random order, the same for all its channels."""
    flat = pictures.reshape(*pictures.shape[:2], -1)
    order = generator.permuted(np.tile(np.arange(flat.shape[-1]), (len(flat), 1)), axis=1)
    return np.take_along_axis(flat, order[:, None], axis=2).reshape(pictures.shape)


def adjusted(x: np.ndarray, y: np.ndarray, bins: int = 32) -> Scores:
    """Adjusted mutual information of pairs of pictures (N, C, H, W) uint8, channel by channel (scikit-learn, geometric
    mean): what exceeds the information that shuffled levels would share by chance, so that the bins may fill."""
    check(x, y, bins)
    one, two = (level(values.reshape(-1, values[0, 0].size), bins) for values in (x, y))
    defined = ~(is_constant(x.reshape(one.shape), bins) | is_constant(y.reshape(two.shape), bins))
    values = [
        adjusted_mutual_info_score(a, b, average_method="geometric") if fine else 0.0
        for a, b, fine in zip(one, two, defined, strict=True)
    ]
    return Scores(np.reshape(values, x.shape[:2]), defined.reshape(x.shape[:2]))


def check(x: np.ndarray, y: np.ndarray, bins: int) -> None:
    """ValueError with a sentence unless x and y are 8-bit values of one shape and `bins` is a power of two to 256."""
    for name, values in (("x", x), ("y", y)):
        if values.dtype != np.uint8:
            raise ValueError(f"nmi: {name} is {values.dtype}, expected 8-bit values (uint8): round and clip before")
    if x.shape != y.shape or x.ndim < 2 or x.size == 0:
        raise ValueError(f"nmi: shapes {x.shape} and {y.shape}, expected two equal ones with at least one pixel")
    if bins not in (2, 4, 8, 16, 32, 64, 128, 256):
        raise ValueError(f"bins is {bins!r}, expected a power of two from 2 to 256")
