"""What autoencoders preserve of the test pictures, and what they put into all alike (Palacio et al. 2018, Figure 9).

Each picture is reconstructed once per autoencoder; nMI, adjusted mutual information and the checkerboard index are kept
by content. The job `python -m lib.jobs.information --profile embedded` does so before notebook 04 runs.
"""

import functools
from typing import NamedTuple

import numpy as np
from torch import Tensor

from lib.base import cache
from lib.experiments.shared import through_autoencoders
from lib.methods.signals import checkerboard as signals_checkerboard
from lib.methods.signals import mutual_information
from lib.networks import interface, segnet
from lib.worlds import cutouts


class Information(NamedTuple):
    """What one autoencoder does to N pictures; `none` stands for no autoencoder, the originals themselves."""

    intra: dict[int, mutual_information.Scores]  # for each number of bins: nMI(x, A(x)), (N, 3)
    inter: dict[int, mutual_information.Scores]  # nMI(A(x_a), A(x_b)) of consecutive pictures, (N // 2, 3)
    # "intra" and "inter": adjusted mutual information of the first pictures
    adjusted: dict[str, mutual_information.Scores]
    checkerboard: float = 0.0  # index of A(x) - A_S(x) (lib/methods/signals/checkerboard.py); 0 for A_S, the originals
    amplitude: float = 0.0  # root mean square of that grid, in steps of 8-bit values
    strength: float = 0.0  # root mean square of A(x) - A_S(x), in steps of 8-bit values


def eight_bit(images: Tensor) -> np.ndarray:
    """RGB (N, 3, H, W), where 0 is black and 1 white, rounded and clipped to uint8."""
    return images.mul(255).round_().clamp_(0, 255).byte().contiguous().numpy()


def measure(
    autoencoder: segnet.Autoencoder | None, pictures: cutouts.Batch, bins: tuple, n_adjusted: int, first=None
) -> Information:
    """nMI of an autoencoder (None: of the originals) on all `pictures`, at each number of `bins`; adjusted mutual
    information of the first `n_adjusted` (an even number), at the first number of bins; cached by content.

    first: for the checkerboard index, A_S's digest and () -> what it makes of the pictures, float (N, 3, H, W).
    """

    def compute() -> dict[str, np.ndarray]:
        originals = np.ascontiguousarray(pictures.images.transpose(0, 3, 1, 2))
        made, difference = originals, np.zeros(3)
        if autoencoder is not None:
            base = first is not None and first[0] == autoencoder.digest
            images = first[1]() if base else segnet.reconstruct(autoencoder, interface.to_tensor(pictures.images))
            made = eight_bit(images)
            difference = difference if base or first is None else pattern(images, first[1]())
        found = {f"intra {n}": mutual_information.intra(originals, made, n) for n in bins}
        found |= {f"inter {n}": mutual_information.inter(made, n) for n in bins}
        few = min(n_adjusted, len(made)) // 2 * 2
        found["adjusted intra"] = mutual_information.adjusted(originals[:few], made[:few], bins[0])
        found["adjusted inter"] = mutual_information.adjusted(made[:few:2], made[1:few:2], bins[0])
        parts = {f"{name}, {part}": array for name, two in found.items() for part, array in two._asdict().items()}
        return parts | {"difference": difference}

    about = {"autoencoder": autoencoder, "pictures": pictures.images, "bins": list(bins), "adjusted": n_adjusted}
    kept = cache.cached("information", about | {"first": first and first[0]}, compute)

    def scores(name: str) -> mutual_information.Scores:
        return mutual_information.Scores(kept[f"{name}, values"], kept[f"{name}, defined"].astype(bool))

    intra, inter = ({n: scores(f"{kind} {n}") for n in bins} for kind in ("intra", "inter"))
    adjusted = {kind: scores(f"adjusted {kind}") for kind in ("intra", "inter")}
    return Information(intra, inter, adjusted, *kept["difference"].tolist())


def pattern(images: Tensor, first: Tensor, batch: int = 250) -> np.ndarray:
    """Mean checkerboard index of `images` - `first`, both float (N, 3, H, W), and root mean squares in 8-bit steps of
    the grid and of everything."""
    parts = [(one - two).numpy() for one, two in zip(images.split(batch), first.split(batch), strict=True)]
    shares = np.concatenate([signals_checkerboard.grid_shares(part) for part in parts])
    grid = np.concatenate([signals_checkerboard.grid_power(part)[0] for part in parts])
    square = np.average([np.mean(part.astype(np.float64) ** 2) for part in parts], weights=[len(p) for p in parts])
    return np.array([shares.mean(), 255 * np.sqrt(max(grid.mean(), 0)), 255 * np.sqrt(square)])


def collect(families, seeds, pictures: cutouts.Batch, bins: tuple, n_adjusted: int, *, how="", device="cpu") -> dict:
    """`measure` for the originals, for A_S and for every A_i: {("none", 0), ("A_S", 0), (family, seed)}.

    how: which A_i, as in through_autoencoders.tuned.
    """
    base = through_autoencoders.first(families, device)
    first = base.digest, functools.cache(lambda: segnet.reconstruct(base, interface.to_tensor(pictures.images)))
    found = {("none", 0): measure(None, pictures, bins, n_adjusted)}
    found["A_S", 0] = measure(base, pictures, bins, n_adjusted, first)
    for family in families:
        for seed in seeds:
            made = through_autoencoders.tuned(family, seed, how, device)
            found[family, seed] = measure(made, pictures, bins, n_adjusted, first)
    return found


def digests(families, seeds, how: str = "") -> list[str]:
    """Digests of the autoencoders that `collect` reads, for the provenance of figures."""
    return [through_autoencoders.tuned(family, seed, how).digest for family in families for seed in seeds]


def both(bins: int) -> tuple[int, ...]:
    """The chosen number of bins, and 256, the number of values that 8 bits hold."""
    return tuple(dict.fromkeys((bins, 256)))
