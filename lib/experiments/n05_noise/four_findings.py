"""Four findings of others that Palacio et al. 2018 (Section 3.6) explain by a network's signal, as small experiments.

Local structure (Zeiler & Fergus 2014): pixels shuffled inside small patches. Shallow layers (Raghu et al. 2017): noise
on the weights of one layer at a time. Coarseness of relevance maps (Montavon et al. 2017): their spatial frequency.
Width (Bau et al. 2017): AlexNet with four and eight times the maps in its last convolution.
"""

import re
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from lib.base import files, weights
from lib.drawing import grids
from lib.experiments.shared import answers
from lib.methods.backward import three_rules
from lib.networks import interface, readers, zoo
from lib.record import uncertainty
from lib.record.tables import Table, number, span
from lib.worlds import cutouts

ONE = "alexnet"  # the family that three of the four findings are about
CHUNK = 50  # pictures at a time


def against(families, one: str = ONE) -> tuple[int, list[int]]:
    """The places of `one` and of all other families; ValueError if there is nothing to compare."""
    if one not in families or len(families) < 2:
        raise ValueError(f"families are {list(families)}, expected {one} and at least one other to compare it with")
    return list(families).index(one), [k for k, family in enumerate(families) if family != one]


def estimated(estimate: uncertainty.Estimate) -> str:
    """A value and its interval, as a cell of a table."""
    return f"{number(estimate.value)} {span(estimate.interval)}"


# ------------------------------------------------------------------------------------------- 1. local structure

SIDES = {"pixels inside patches": (1, 2, 4, 8), "patches among themselves": (64, 32, 16, 8)}  # the first moves nothing


def shuffled(images: np.ndarray, side: int, seed: int, inside: bool = True) -> np.ndarray:
    """Pictures (n, H, W, 3) with the pixels inside every patch of `side` x `side` shuffled, each patch in an order of
    its own; with inside=False the patches are shuffled among themselves and keep their pixels in place.

    A picture's order is seeded by `seed` and its own bytes. ValueError if such patches do not fill the picture.
    """
    n, height, width, depth = images.shape
    if side < 1 or height % side or width % side:
        raise ValueError(f"side is {side}, expected a divisor of the sides of the pictures, {height} and {width}")
    rows, columns, axis = height // side, width // side, 1 if inside else 0
    patches = images.reshape(n, rows, side, columns, side, depth).swapaxes(2, 3).reshape(n, -1, side * side, depth)
    moved = np.empty_like(patches)
    for k, image in enumerate(images):
        generator = np.random.default_rng([seed, int(files.sha256(image.tobytes())[:16], 16)])
        order = generator.random((rows * columns, side * side if inside else 1)).argsort(axis)
        moved[k] = np.take_along_axis(patches[k], order[..., None], axis)
    return moved.reshape(n, rows, columns, side, side, depth).swapaxes(2, 3).reshape(images.shape)


def local_structure(families, seeds, pictures: cutouts.Batch, seed: int = 0, device: str = "cpu") -> dict:
    """Hits (families, seeds, n) on shuffled pictures: {(kind, side): hits} for the kinds and sides of SIDES."""
    nets = [[zoo.network(family, number, device) for number in seeds] for family in families]
    found = {}
    for kind, sides in SIDES.items():
        for side in sides:
            images = interface.to_tensor(shuffled(pictures.images, side, seed, kind == list(SIDES)[0]))
            said = [[interface.scores(net, images, CHUNK).argmax(1).numpy() for net in row] for row in nets]
            found[kind, side] = np.array(said) == pictures.labels
    return found


def local_rows(families, seeds, found: dict) -> list[dict]:
    """Accuracy of every network on every kind of shuffled picture, as rows for a figure."""
    return [
        {
            "panel": kind,
            "name": readers.title(family),
            "seed": number,
            "x": str(side),
            "value": float(hits[k, s].mean()),
        }
        for (kind, side), hits in found.items()
        for k, family in enumerate(families)
        for s, number in enumerate(seeds)
    ]


def local_losses(families, found: dict, generator: np.random.Generator) -> Table:
    """Accuracy lost by shuffling, AlexNet's and the mean of the others (seeds averaged), and their difference with its
    interval over pictures."""
    one, others = against(families)
    lines = []
    for kind, sides in SIDES.items():
        for side in sides[1:]:
            lost = (found[kind, sides[0]].astype(float) - found[kind, side]).mean(1)
            difference = uncertainty.bootstrap_mean(lost[one] - lost[others].mean(0), generator=generator)
            losses = (number(round(float(part.mean()), 9)) for part in (lost[one], lost[others]))
            lines.append((f"{kind}, side {side}", *losses, estimated(difference)))
    return Table(("shuffled", "AlexNet loses", "the others lose", "difference"), lines)


# -------------------------------------------------------------------------------------------- 2. shallow layers

PARTS = (*(f"conv{k}" for k in range(1, 6)), *(f"fc{k}" for k in range(6, 9)))


def part_of(child: str) -> str:
    """The papers' layer to which a module of a zoo network belongs: conv3_1 and down3 are parts of conv3."""
    k = int(re.search(r"\d", child)[0])
    return f"{'conv' if k < 6 else 'fc'}{k}"


@contextmanager
def perturbed(layer: nn.Module, strength: float, generator: torch.Generator):
    """Inside the block, the weights of `layer` carry Gaussian noise whose sd is `strength` times the sd of the weights
    of each filter (each unit, if dense); after it they are what they were, bit for bit."""
    whole = layer.weight.detach().clone()
    spread = whole.flatten(1).std(1, correction=0).reshape(-1, *[1] * (whole.ndim - 1))
    drawn = torch.randn(whole.shape, generator=generator).to(whole.device)
    try:
        with torch.no_grad():
            layer.weight.add_(strength * spread * drawn)
        yield layer
    finally:
        with torch.no_grad():
            layer.weight.copy_(whole)


@torch.no_grad()
def sensitivity(net: interface.Network, pictures: cutouts.Batch, strength: float, draws: int, seed: int = 0) -> dict:
    """Accuracy lost when one convolution or dense layer is perturbed, one at a time: {part: mean over the layers of the
    part and over `draws`}. What lies before the layer's part is computed once."""
    if strength <= 0 or draws < 1:
        raise ValueError(f"strength is {strength} and draws {draws}, expected a positive strength and at least 1 draw")
    labels, generator = torch.from_numpy(pictures.labels), torch.Generator().manual_seed(seed)
    device = next(net.model.parameters()).device

    def through(modules: nn.Module, x: Tensor) -> Tensor:
        return torch.cat([modules(piece) for piece in x.split(CHUNK)])

    def accuracy(modules: nn.Module, x: Tensor) -> float:
        return (through(modules, x).argmax(1).cpu() == labels).double().mean().item()

    x = net.preprocess(interface.to_tensor(pictures.images).to(device))
    whole, lost = accuracy(net.model, x), {}
    for k, (name, child) in enumerate(net.model.named_children()):
        for layer in (part for part in child.modules() if isinstance(part, nn.Conv2d | nn.Linear)):
            for _ in range(draws):
                with perturbed(layer, strength, generator):
                    lost.setdefault(part_of(name), []).append(whole - accuracy(net.model[k:], x))
        x = through(child, x)
    return {part: float(np.mean(values)) for part, values in lost.items()}


def shallow_rows(families, seeds, pictures, strength: float, draws: int, seed: int = 0, device="cpu") -> list[dict]:
    """Accuracy lost by perturbing a layer of each part of every network, as rows for a figure."""
    return [
        {"panel": readers.title(family), "name": readers.title(family), "seed": number, "x": part, "value": value}
        for family in families
        for number in seeds
        for part, value in sensitivity(zoo.network(family, number, device), pictures, strength, draws, seed).items()
    ]


def shallow_table(rows: list[dict]) -> Table:
    """For each family the loss at the first part, the mean loss at the later ones, and the part that loses most."""
    lines = []
    for title in dict.fromkeys(row["name"] for row in rows):
        mine = [row for row in rows if row["name"] == title]
        first = [row["value"] for row in mine if row["x"] == mine[0]["x"]]
        later = [
            np.mean([row["value"] for row in mine if row["seed"] == seed and row["x"] != mine[0]["x"]])
            for seed in dict.fromkeys(row["seed"] for row in mine)
        ]
        parts = {x: np.mean([row["value"] for row in mine if row["x"] == x]) for x in (row["x"] for row in mine)}
        by_seed = [", ".join(map(number, values)) for values in (first, later)]
        lines.append((title, *by_seed, max(parts, key=parts.get)))
    return Table(("family", f"{PARTS[0]}, by seed", "mean of later parts, by seed", "most harmful part"), lines)


# ------------------------------------------------------------------------------- 3. coarseness of relevance maps

MAPS = {"gradient × input": "gradient", "deconvnet": "deconvnet", "guided": "guided"}


def frequency(maps: np.ndarray) -> np.ndarray:
    """Mean radial frequency (n,), in cycles a pixel, of the power spectra of maps (n, H, W), their mean left out: 0.5
    is the finest pattern along a row, coarse maps are near 0. ValueError for a constant map, which has no spectrum."""
    power = np.abs(np.fft.fft2(maps - maps.mean((1, 2), keepdims=True))) ** 2
    if maps.ndim != 3 or not (np.ptp(maps, axis=(1, 2)) > 0).all():
        raise ValueError(f"maps of shape {maps.shape}: expected (n, H, W) of which none is constant; leave those out")
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(side) for side in maps.shape[1:]), indexing="ij"))
    return (power * radius).sum((1, 2)) / power.sum((1, 2))


def relevance(net: interface.Network, images: Tensor, labels: np.ndarray, kind: str) -> np.ndarray:
    """What each pixel of RGB pictures (n, 3, H, W) means for the score of the label: (n, H, W), summed over colours.

    kind: one of MAPS. The gradient is multiplied by the picture as the network reads it, whose zero is mid-grey.
    """
    parts = []
    for start in range(0, len(images), CHUNK):
        part, named = images[start : start + CHUNK], torch.from_numpy(labels[start : start + CHUNK])
        device = next(net.model.parameters()).device
        signal = three_rules.project(net, part.to(device), None, named.to(device), rule=MAPS[kind]).to(images.device)
        parts.append((signal * (part - 0.5) if kind == "gradient × input" else signal).sum(1))
    return torch.cat(parts).numpy().astype(np.float64)


def other(families) -> str:
    """The family that AlexNet's maps are shown beside: Inception, as in the paper, or the first other one."""
    return "inception" if "inception" in families else families[against(families)[1][0]]


def maps_beside(families, number: int, pictures: cutouts.Batch, device="cpu") -> tuple[list, list[str], list[dict]]:
    """Relevance maps of AlexNet and of one other network for a figure: a row of images (H, W, 3) for each picture, the
    titles of the columns, and the mean frequency of every map. Zero is grey; each map has its own scale."""
    images = interface.to_tensor(pictures.images)
    rows, titles, numbers = [[image] for image in pictures.images], ["picture"], []
    for family in (ONE, other(families)):
        net = zoo.network(family, number, device)
        for kind in kinds(family):
            maps = relevance(net, images, pictures.labels, kind)
            titles.append(f"{readers.title(family)}\n" + kind.replace(" ×", "\n×"))
            for k, (row, one) in enumerate(zip(rows, maps, strict=True)):
                row.append(grids.signed(np.repeat(one[..., None], 3, -1)))
                told = float(frequency(one[None])[0]) if np.ptp(one) > 0 else None
                numbers.append({"picture": k, "network": net.name, "map": kind, "frequency": told})
    return rows, titles, numbers


def kinds(family: str) -> list[str]:
    """The kinds of map that a family has: where there is no ReLU, only the gradient is defined."""
    rectifies = any(isinstance(part, nn.ReLU) for part in zoo.build(family).modules())
    return list(MAPS)[: None if rectifies else 1]


def coarseness(families, seeds, pictures: cutouts.Batch, device="cpu", stage: str = "") -> dict[tuple, np.ndarray]:
    """Mean radial frequency of relevance maps, {(family, kind): (seeds, n)}, on the pictures on which no map of any
    network is constant. stage: as for zoo.network, "step0" before training."""
    images, found = interface.to_tensor(pictures.images), {}
    for family in families:
        for kind in kinds(family):
            nets = [zoo.network(family, number, device, stage=stage) for number in seeds]
            found[family, kind] = np.stack([relevance(net, images, pictures.labels, kind) for net in nets])
    usable = np.all([(np.ptp(maps, axis=(2, 3)) > 0).all(0) for maps in found.values()], axis=0)
    if usable.sum() < uncertainty.FEWEST_UNITS:
        raise ValueError(
            f"pictures: on {usable.sum()} no map is constant, expected at least {uncertainty.FEWEST_UNITS}"
        )
    return {key: np.stack([frequency(of_seed[usable]) for of_seed in maps]) for key, maps in found.items()}


def coarse_rows(seeds, found: dict, generator: np.random.Generator) -> list[dict]:
    """Mean frequency of every network's maps with its interval over pictures, as rows for a figure."""
    rows = []
    for (family, kind), values in found.items():
        for number_, of_seed in zip(seeds, values, strict=True):
            row = {"name": readers.title(family), "seed": number_, "group": kind}
            rows.append(row | uncertainty.bootstrap_mean(of_seed, generator=generator)._asdict())
    return rows


def coarse_table(families, found: dict, generator: np.random.Generator) -> Table:
    """AlexNet's mean frequency minus that of each other family, seeds averaged, with intervals over pictures: below
    zero where AlexNet's maps are coarser."""
    _, others = against(families)
    lines = []
    for family in (families[k] for k in others):
        cells = [
            estimated(uncertainty.bootstrap_mean((found[ONE, kind] - found[family, kind]).mean(0), generator=generator))
            if (family, kind) in found
            else "not defined"
            for kind in MAPS
        ]
        lines.append((f"AlexNet - {readers.title(family)}", *cells))
    return Table(("difference of mean frequencies", *MAPS), lines)


# ------------------------------------------------------------------------------------------------------ 4. width

BAND = 0.02  # accuracies that differ by less than two points count as equal; fixed before the networks were trained
WIDTHS = (1, 4, 8)


def widened(seeds) -> list[int]:
    """Those of `seeds` for which both widened networks were trained; ValueError if there is none."""
    there = set(weights.names("answers"))
    found = [s for s in seeds if {f"answers/{ONE}_x{w}-{s}" for w in WIDTHS[1:]} <= there]
    if not found:
        raise ValueError(f"seeds are {list(seeds)}, expected one with answers of {ONE} at widths {WIDTHS[1:]}")
    return found


def widths(seeds, device: str = "cpu") -> dict[int, np.ndarray]:
    """Where AlexNet and its widened versions name the label, {width: (seeds, n)}, on the first n test pictures, for
    the seeds that were widened; the widened networks are too large to commit, their answers are not."""
    seeds = widened(seeds)
    said = {w: [weights.load(f"answers/{ONE}_x{w}-{s}")[0]["probabilities"].numpy() for s in seeds] for w in WIDTHS[1:]}
    pictures = cutouts.batch(cutouts.World(), "test", len(said[WIDTHS[1]][0]))
    said[1] = [answers.probabilities(zoo.network(ONE, s, device), pictures) for s in seeds]
    return {w: np.stack(said[w]).argmax(-1) == pictures.labels for w in WIDTHS}


def width_rows(seeds, found: dict[int, np.ndarray]) -> list[dict]:
    """Test accuracy of every network with its Wilson interval over pictures, as rows for a figure."""
    rows = []
    for w, hits in found.items():
        name = f"{ONE}_x{w}" if w > 1 else ONE
        size = sum(part.numel() for part in zoo.build(name).parameters())
        for number_, of_seed in zip(widened(seeds), hits, strict=True):
            row = {"name": f"×{w}: {size / 1e6:.2f} million parameters", "group": "test accuracy", "seed": number_}
            rows.append(row | uncertainty.wilson(int(of_seed.sum()), of_seed.size)._asdict())
    return rows


def width_table(seeds, found: dict[int, np.ndarray], generator: np.random.Generator) -> Table:
    """Accuracy of each wider AlexNet minus that of the plain one, each seed alone and seeds averaged, with intervals
    over the pictures, which are the same; and what the interval says about equality within BAND."""
    lines = []
    for w in WIDTHS[1:]:
        change = found[w].astype(float) - found[1]
        each = [number(of_seed.mean()) for of_seed in change]
        mean = uncertainty.bootstrap_mean(change.mean(0), generator=generator)
        lines.append((f"×{w} - ×1", ", ".join(each), estimated(mean), equality(mean)))
    return Table(("difference of accuracy", "by seed", "mean of seeds, interval over pictures", "reading"), lines)


def equality(difference: uncertainty.Estimate, band: float = BAND) -> str:
    """What an interval of a difference says: equal only if all of it lies within the band."""
    points = f"{100 * band:g} points"
    if -band <= difference.low and difference.high <= band:
        return f"equal within {points}"
    if difference.low > 0 or difference.high < 0:
        better, far = ("better", difference.low > band) if difference.low > 0 else ("worse", difference.high < -band)
        return f"{better}, by more than {points}" if far else f"{better}, perhaps by less than {points}"
    return f"undecided: neither a difference nor equality within {points} is shown"
