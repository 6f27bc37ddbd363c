"""How reconstructions look: the regular patterns (checkerboards) in what tuning changed, and colours in CIELAB.

Palacio et al. 2018, Section 3.3.1 and Figure 3. The paper describes checkerboards in words; the index that counts them
is ours, written down in data/claims.yaml (C7).
"""

from typing import NamedTuple

import numpy as np
from skimage.color import rgb2lab
from torch import Tensor

from lib.experiments.shared import through_autoencoders
from lib.methods.signals import checkerboard
from lib.networks import readers, segnet, trained_autoencoders
from lib.record import uncertainty
from lib.record.tables import Table


class Patterns(NamedTuple):
    """What tuning changed in the same pictures, for every A_i."""

    rows: list[dict]  # name, group (stride of the classifier's first layer), seed, value, low, high, share: the grid's
    # amplitude in 8-bit steps with its interval, and its share of the change
    spectra: dict[str, np.ndarray]  # title -> mean spectrum (H, W) of A_i(x) - A_S(x), over seeds and pictures
    baselines: dict[str, float]  # the same amplitude of the pictures themselves and of A_S(x) - x


def patterns(families, seeds, images: Tensor, generator, how: str = "", device: str = "cpu") -> Patterns:
    """The grid in what tuning changed of pictures (N, 3, H, W), for every A_i, with bootstrap intervals over them."""
    plain = segnet.reconstruct(through_autoencoders.first(families, device), images)
    rows, spectra = [], {}
    for family in families:
        group = f"first layer's stride: {readers.stride(family)}"
        row, spectra[readers.title(family)] = {"name": readers.title(family), "group": group}, 0
        for seed in seeds:
            changed = (
                segnet.reconstruct(through_autoencoders.tuned(family, seed, how, device=device), images) - plain
            ).numpy()
            rows.append(row | {"seed": seed} | grid(changed, generator))
            spectra[readers.title(family)] += checkerboard.spectrum(changed - changed.mean((2, 3), keepdims=True)).mean(
                0
            )
    baselines = {
        "the pictures themselves": 255 * checkerboard.amplitude(images),
        "A_S minus the picture": 255 * checkerboard.amplitude(plain - images),
    }
    return Patterns(rows, spectra, baselines)


def grid(changed: np.ndarray, generator) -> dict[str, float]:
    """value, low, high: amplitude of the grid in A_i(x) - A_S(x) (N, 3, H, W), in 8-bit steps, with a bootstrap
    interval over pictures; share: the checkerboard index."""
    found = uncertainty.bootstrap_mean(checkerboard.grid_power(changed)[0], generator=generator, method="percentile")
    rooted = {key: 255 * float(np.sqrt(max(getattr(found, key), 0))) for key in ("value", "low", "high")}
    return rooted | {"share": checkerboard.checkerboard(changed)}


def strided(seeds, images: Tensor, generator, how: str, device: str = "cpu") -> Table:
    """Is it the stride? `grid` of VGG, and of VGG with a first layer of stride 2 and 4; a line a stride."""
    plain = segnet.reconstruct(trained_autoencoders.autoencoder(device=device), images)
    rows = []
    for stride in (1, 2, 4):
        family, cells = "vgg" if stride == 1 else f"vgg_stride{stride}", []
        for seed in seeds:
            made = trained_autoencoders.autoencoder(f"{family}-{seed}-{how}", device=device)  # no family of the zoo
            one = grid((segnet.reconstruct(made, images) - plain).numpy(), generator)
            cells.append(f"{one['value']:.1f} [{one['low']:.1f}, {one['high']:.1f}]; {one['share']:.3f}")
        rows.append((str(stride), *cells))
    return Table(("stride of the first layer", *(f"seed {seed}: amplitude; share" for seed in seeds)), rows)


# ------------------------------------------------------------------------------------------------ colours

RANGES = {"L": (0, 100), "a": (-100, 100), "b": (-110, 100)}  # CIELAB of sRGB colours


def lab_histograms(pictures: Tensor, bins: int = 50) -> dict[str, np.ndarray]:
    """Shares (bins,) of the pixels of RGB pictures (N, 3, H, W), clipped to [0, 1], over each CIELAB channel."""
    lab = rgb2lab(pictures.clamp(0, 1).permute(0, 2, 3, 1).numpy()).reshape(-1, 3)
    return {
        name: np.histogram(np.clip(lab[:, k], *limits), bins, limits)[0] / len(lab)
        for k, (name, limits) in enumerate(RANGES.items())
    }


def colours(found: dict[str, Tensor]) -> Table:
    """What a gallery does to colours, a line for each autoencoder: mean lightness, share of pixels darker than L = 10,
    mean a and b, and mean chroma, the distance from grey."""
    rows = []
    for name, pictures in found.items():
        lightness, a, b = rgb2lab(pictures.clamp(0, 1).permute(0, 2, 3, 1).numpy()).reshape(-1, 3).T
        numbers = (f"{lightness.mean():.0f}", f"{100 * (lightness < 10).mean():.1f} %", f"{a.mean():+.1f}")
        rows.append((name, *numbers, f"{b.mean():+.1f}", f"{np.hypot(a, b).mean():.0f}"))
    return Table(("", "lightness L", "darker than L = 10", "a (green to red)", "b (blue to yellow)", "chroma"), rows)


def gallery(families, seed: int, images: Tensor, how: str = "", device: str = "cpu") -> dict[str, Tensor]:
    """Pictures (N, 3, H, W) and their reconstructions by A_S and each A_i of a seed: {"original", "A_S", "A_L" ...}."""
    found = {"original": images, "A_S": segnet.reconstruct(through_autoencoders.first(families, device), images)}
    for family in families:
        found[f"A_{readers.letter(family)}"] = segnet.reconstruct(
            through_autoencoders.tuned(family, seed, how, device=device), images
        )
    return found


def titles(families) -> dict[str, str]:
    """What to write below the pictures of a gallery: {"A_L": "A_L and, in a second line, LeNet-5" ...}."""
    named = {f"A_{readers.letter(family)}": readers.title(family) for family in families}
    return {name: f"{name}\n{title}" for name, title in named.items()} | {"A_S": "A_S\nlearnt to copy"}


def shots(found: dict[str, Tensor], shown, pose: np.ndarray, side: int = 15) -> list[dict]:
    """The pictures `shown` of a gallery as (H, W, 3), each with the box (top, left, side) of a zoom on the middle of
    its object; pose: (N, 4) as in cutouts.Batch."""
    result = []
    for k in shown:
        images = {name: part[k].clamp(0, 1).permute(1, 2, 0).numpy() for name, part in found.items()}
        size = images["original"].shape[0]
        left, top = np.clip(np.round(pose[k, :2]).astype(int) - side // 2, 0, size - side).tolist()
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
