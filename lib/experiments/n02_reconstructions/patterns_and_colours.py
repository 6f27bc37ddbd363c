"""How reconstructions look: the regular patterns (checkerboards) in what tuning changed, and colours in CIELAB.

Palacio et al. 2018, Section 3.3.1 and Figure 3. The paper describes checkerboards in words; the index that counts them
is ours, written down in data/claims.yaml (C7).
"""

from typing import NamedTuple

import numpy as np
from skimage.color import rgb2lab
from torch import Tensor

from lib.experiments.n01_zoo import accuracies
from lib.experiments.shared import through_autoencoders
from lib.methods.signals import checkerboard
from lib.networks import segnet, trained_autoencoders, zoo
from lib.record import uncertainty
from lib.worlds import cutouts


class Patterns(NamedTuple):
    """What tuning changed in the same pictures, for every A_i."""

    rows: list[dict]  # name, group (stride of the classifier's first layer), seed, value, low, high: the index
    spectra: dict[str, np.ndarray]  # title -> mean spectrum (H, W) of A_i(x) - A_S(x), over seeds and pictures
    baselines: dict[str, float]  # the same index of the pictures themselves and of A_S(x) - x


def patterns(families, seeds, images: Tensor, generator, how: str = "", device: str = "cpu") -> Patterns:
    """The checkerboard index of every A_i on pictures (N, 3, H, W), with bootstrap intervals over pictures."""
    plain = segnet.reconstruct(trained_autoencoders.autoencoder(device=device), images)
    rows, spectra = [], {}
    for family in families:
        stride = accuracies.described(family, seeds)[2].split(" / ")[1]
        row, spectra[zoo.TITLES[family]] = {"name": zoo.TITLES[family], "group": f"first layer's stride: {stride}"}, 0
        for seed in seeds:
            changed = (
                segnet.reconstruct(through_autoencoders.tuned(family, seed, how, device=device), images) - plain
            ).numpy()
            index = checkerboard.grid_shares(changed)
            found = uncertainty.bootstrap_mean(index, generator=generator, method="percentile")
            rows.append(row | {"seed": seed} | found._asdict())
            spectra[zoo.TITLES[family]] += checkerboard.spectrum(changed - changed.mean((2, 3), keepdims=True)).mean(0)
    baselines = {
        "the pictures themselves": checkerboard.checkerboard(images),
        "A_S minus the picture": checkerboard.checkerboard(plain - images),
    }
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


def gallery(families, seed: int, images: Tensor, how: str = "", device: str = "cpu") -> dict[str, Tensor]:
    """Pictures (N, 3, H, W) and their reconstructions by A_S and each A_i of a seed: {"original", "A_S", "A_L" ...}."""
    found = {"original": images, "A_S": segnet.reconstruct(trained_autoencoders.autoencoder(device=device), images)}
    for family in families:
        found[f"A_{zoo.LETTERS[family]}"] = segnet.reconstruct(
            through_autoencoders.tuned(family, seed, how, device=device), images
        )
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
