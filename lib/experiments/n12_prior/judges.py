"""Who reads the images of notebooks 12 and 13, and what they are compared with.

The primary judge is that of lib.experiments.shared.recognised: three networks that each name one cue. They and the mask
predictor have training seed 0, as one of the three networks that are excited; families and ResNet have another one
(`other_seed`). No judge shares weights or a family with the network that was excited.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial.distance import cdist, pdist

from lib.experiments.n12_prior import searches
from lib.experiments.shared import recognised
from lib.experiments.shared.class_images import Made
from lib.experiments.shared.recognised import Judged, by_class, judged
from lib.methods.ascent import generator_prior
from lib.networks import control_networks, interface, zoo
from lib.record import uncertainty
from lib.record.tables import Table, number, span
from lib.worlds import control_worlds, cutouts

LATE = "fc6"  # the layer of the paper's own prior
PRIMARY, FAMILIES = "primary judge", "families that took no part"
OUTLINE, OBJECT, DISTANCE = "reads shape alone", "shows one object", "distance to real pictures"


def other_seed(seed: int) -> int:
    """The training seed of the judges of images made for a network of training seed `seed`."""
    return (seed + 1) % 3


def certainty(one: Judged) -> np.ndarray:
    """The probability that the primary judge gives to the target class, mean of its three networks, (n,)."""
    return one.read[:, np.arange(len(one.targets)), one.targets].mean(0)


def references(seeds, batch: cutouts.Batch, n_starts: int, generator: torch.Generator, device="cpu") -> dict:
    """What the judges see at worst and at best: {row: {training seed: Judged}}, n_starts pictures of each class, first
    those whose three cues agree with it.

    "G, random codes": each number of the code of fc6 uniform in its bounds, then the code as long as real ones are in
    the mean. "G, codes of test pictures": test pictures through encoder and generator. "test pictures": the same
    pictures.
    """
    agree = (batch.cues == batch.labels[:, None]).sum(1)
    order = np.argsort(-agree, kind="stable")
    rows = np.concatenate([order[batch.labels[order] == label][:n_starts] for label in range(cutouts.CLASSES)])
    real, targets = batch.images[rows], batch.labels[rows]
    found = {"G, random codes": {}, "G, codes of test pictures": {}, "test pictures": {}}
    for s in seeds:
        prior = generator_prior.load(f"alexnet-{s}-{LATE}", device)
        encoder = searches.encoder(prior, device)
        draws = torch.rand((len(targets), *prior.code), generator=generator).to(device) * generator_prior.upper(prior)
        codes = {"G, random codes": draws * prior.norm / draws.norm(dim=1, keepdim=True)}
        codes["G, codes of test pictures"] = generator_prior.encode(
            prior, encoder, interface.to_tensor(real).to(device)
        )
        for name, code in codes.items():
            with torch.no_grad():
                shown = interface.to_pictures(prior.generator(code))
                found[name][s] = judged(Made(shown, targets, None, None))
        found["test pictures"][s] = judged(Made(real, targets, None, None))
    return found


# ------------------------------------------------------------------------------------------------ readings


class Judges(NamedTuple):
    """Everything that reads images beside the single-cue networks, and the real pictures that it compares with."""

    families: tuple[str, ...]
    objectness: interface.Network
    readers: dict[int, interface.Network]  # by training seed of the network excited: the ResNet whose features count
    real: dict[int, np.ndarray]  # its features of test pictures, (n, 72)
    labels: np.ndarray  # (n,)
    silhouette: interface.Network | None = None  # names the shape, and was trained where nothing else says anything


def judges(seeds, families, batch: cutouts.Batch, device="cpu") -> Judges:
    """The judges of images made for networks of these training seeds; batch: the test pictures to compare with."""
    readers = {s: zoo.network("resnet", other_seed(s), device) for s in seeds}
    real = {s: pool(net, batch.images) for s, net in readers.items()}
    objectness, silhouette = (control_networks.network(name, device) for name in ("objectness", "silhouette"))
    return Judges(tuple(families), objectness, readers, real, batch.labels, silhouette)


def pool(net: interface.Network, pictures: np.ndarray) -> np.ndarray:
    """Features (n, maps) of pictures after the last pooling."""
    return interface.features(net, interface.to_tensor(pictures), ["pool5"])["pool5"].flatten(1).numpy()


def one_object(of: Judges, pictures: np.ndarray) -> np.ndarray:
    """Which pictures (n, 64, 64, 3) uint8 show one object by the mask predictor, (n,) bool."""
    return control_networks.shows_one_object(
        control_networks.mask_probabilities(of.objectness, interface.to_tensor(pictures))
    )


def outlines(of: Judges, one: Judged) -> np.ndarray:
    """Which pictures have the shape of their target class, by the network that reads shape alone: (n,) bool."""
    return shapes(of, one.pictures) == one.targets


def shapes(of: Judges, pictures: np.ndarray) -> np.ndarray:
    """The shape (number of cutouts.SHAPES) that the network which reads shape alone names, (n,)."""
    return interface.scores(of.silhouette, interface.to_tensor(pictures)).argmax(1).cpu().numpy()


def outline_shares(of: Judges, one: Judged) -> np.ndarray:
    """The share of `outlines` by class, (classes,)."""
    return by_class(outlines(of, one), one.targets)


def distances(of: Judges, one: Judged, seed: int) -> np.ndarray:
    """By class, how far images are from the nearest test picture of their class, divided by how far test pictures of
    the class are from the nearest other one: (classes,). No picture is compared with itself."""
    found, ratios = pool(of.readers[seed], one.pictures), []
    for label in np.unique(one.targets):
        real = of.real[seed][of.labels == label]
        ratios.append(_nearest(found[one.targets == label], real) / _nearest(real, real))
    return np.array(ratios)


def _nearest(found: np.ndarray, real: np.ndarray) -> float:
    apart = cdist(found, real)
    return float(np.where(apart > 1e-3, apart, np.inf).min(1).mean())


def spreads(of: Judges, one: Judged, seed: int) -> np.ndarray:
    """By class, mean distance between images from different starts / between test pictures of the class: (classes,)."""
    found, labels = pool(of.readers[seed], one.pictures), np.unique(one.targets)
    made = [pdist(found[one.targets == label]).mean() for label in labels]
    return np.array(made) / np.array([pdist(of.real[seed][of.labels == label]).mean() for label in labels])


def family_shares(of: Judges, one: Judged, seed: int) -> np.ndarray:
    return by_class(recognised.others(one.pictures, one.targets, of.families, other_seed(seed)), one.targets)


def family_share(one: Made, seed: int) -> float:
    """The share that the families which took no part assign to the target, mean over families and images: what chooses
    where the primary judge reports; seed: training seed of the network that was excited."""
    families = [family for family in zoo.FAMILIES if family != "alexnet"]
    return float(np.mean(recognised.others(one.pictures, one.targets, families, other_seed(seed))))


def judge_table(batch: cutouts.Batch, of: Judges) -> Table:
    """How often each judge is right about test pictures, with 95 % Wilson intervals over pictures."""
    read, rows = recognised.read(batch.images).argmax(2), []
    for k, cue in enumerate(cutouts.CUES):
        rows += [(f"reader of {cue}", f"names the {cue}", read[k] == batch.cues[:, k])]
        rows += [(f"reader of {cue}", f"names the class by its {cue}", read[k] == batch.labels)]
    seeds = [other_seed(s) for s in of.readers]
    for family in of.families:
        right = [recognised.others(batch.images, batch.labels, [family], seed)[0] for seed in seeds[:1]]
        rows += [(zoo.TITLES[family], f"names the class (seed {seeds[0]})", np.concatenate(right))]
    for title, pictures in spoilt(batch).items():
        right = shapes(of, pictures) == batch.cues[:, 0]
        rows.append(("reader of shape alone", f"names the shape of {title}", right))
    shown = (("shows an object", batch.images), ("shows none", control_worlds.backgrounds("test", len(batch.labels))))
    for title, pictures in shown:
        said = one_object(of, pictures)
        rows += [("mask predictor", f"says 'one object' where the picture {title}", said)]
    shares = [(judge, what, uncertainty.wilson(int(right.sum()), len(right))) for judge, what, right in rows]
    lines = [(judge, what, f"{number(e.value)} {span(e.interval)}", str(e.n)) for judge, what, e in shares]
    return Table(("judge", "what", "share", "pictures"), lines)


def spoilt(batch: cutouts.Batch) -> dict[str, np.ndarray]:
    """Test pictures, and what is left of them: {title: pictures (n, 64, 64, 3) uint8}. A reader of shape must read the
    first three, and must not read the last two, which have the object's colours, or its surroundings, and no outline
    of its own."""
    grey = np.where(batch.masks[..., None], batch.images, 128).astype(np.uint8)
    down, right = np.mgrid[: batch.images.shape[1], : batch.images.shape[2]]
    x, y, radius = (batch.pose[:, k, None, None] for k in range(3))
    inside = ((right - x) ** 2 + (down - y) ** 2 < radius**2)[..., None]
    colour = (batch.images * batch.masks[..., None]).sum((1, 2)) / batch.masks.sum((1, 2))[:, None]
    return {
        "test pictures": batch.images,
        "their objects on grey": grey,
        "these, blurred": ndimage.gaussian_filter(grey.astype(float), (0, 2, 2, 0)).astype(np.uint8),
        "discs of their colour and size": np.where(inside, colour[:, None, None], 128).astype(np.uint8),
        "grounds without them": control_worlds.backgrounds("test", len(batch.labels)),
    }


def repetition(pictures: np.ndarray) -> np.ndarray:
    """How much a picture repeats itself, (n,): the highest peak of its autocorrelation off the centre, from 0 (none) to
    1 (the picture again after some shift of up to half its side).

    pictures: (n, H, W, 3). The autocorrelation at a shift is the correlation of the two overlapping parts, colours
    together, each colour about its mean; a peak is higher than its eight neighbours.
    """
    x = pictures / 255 - (pictures / 255).mean((1, 2), keepdims=True)
    n, high, wide = x.shape[:3]
    shape, rows, columns = (2 * high, 2 * wide), high // 2, wide // 2

    def overlapped(one, other):  # sum over p of one[p] * other[p + shift], shifts of up to half a side
        spectrum = np.conj(np.fft.fft2(one, shape, axes=(1, 2))) * np.fft.fft2(other, shape, axes=(1, 2))
        found = np.fft.fftshift(np.fft.ifft2(spectrum, axes=(1, 2)).real.sum(3), axes=(1, 2))
        return found[:, high - rows : high + rows + 1, wide - columns : wide + columns + 1]

    energy, ones = (x**2).sum(3, keepdims=True), np.ones((n, high, wide, 1))
    size = overlapped(energy, ones).clip(0) * overlapped(ones, energy).clip(0)
    found = overlapped(x, x) / np.sqrt(size).clip(1e-9)
    around = [np.roll(found, (i, j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    peak = (found > np.max(around, 0)) & (np.abs(found) > 1e-6)
    peak[:, [0, -1]] = peak[:, :, [0, -1]] = peak[:, rows, columns] = False
    return np.where(peak, found, 0).max((1, 2)).clip(0, 1)
