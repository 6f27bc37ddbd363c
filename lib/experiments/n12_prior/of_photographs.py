"""ImageNet networks driven through a generator of photographs, and without one (notebook 12): the paper's own figure.

What the generator inverts is AlexNet's pool5 (lib.training.make_photo_generator). Whether the length of codes is
capped is chosen for each network on starts that are not shown, by what another network reads.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from lib.experiments.n12_prior import searches
from lib.experiments.n12_prior.searches import Setting
from lib.experiments.shared import class_images
from lib.experiments.shared.class_images import EVALUATION, GRID, MODERN, SELECTION, Made, Recipe
from lib.methods.ascent import generator_prior, objectives
from lib.networks import interface, readers
from lib.record.tables import Table

TRIED = tuple(Setting(0.5, norm=norm) for norm in (None, 1.0))  # for half of the steps
PIXELS = {"plain pixels": [one for one in GRID if one.kind == "none"][-1], "Fourier": MODERN._replace(jitter=16)}
G = "through G"
WAYS = (*PIXELS, G)


class Painted(NamedTuple):
    """Images of some classes of one ImageNet network, `starts` of each."""

    tried: dict[Setting, float]  # mean log-probability that another network gives to the class, nats
    chosen: Setting
    made: dict[str, Made]  # by way; the pictures that G makes have its own size
    read: dict[str, np.ndarray]  # by way: how likely the other networks find the class, (networks, n)


def paint(
    nets: Sequence[interface.Network],
    prior: generator_prior.Prior,
    names: Sequence[str],
    *,
    starts: int = 1,
    steps: int = 200,
    seed: int = 0,
    device="cpu",
) -> dict[str, Painted]:
    """{title of a network: Painted}: classes `names` of every network, the next of which chooses for it. A G of any
    size serves: a network reads its images enlarged. ValueError for fewer than two networks or an unknown class."""
    if len(nets) < 2:
        raise ValueError(f"networks holds {len(nets)}, expected at least two: one reads what another likes")
    found = {}
    for k, net in enumerate(nets):
        pair = searches.Pair(prior, interface.resized(net, prior.size, device=device))
        classes, other = objectives.numbers(net, names), nets[(k + 1) % len(nets)]
        options = (steps, seed, device, classes)
        half = (max(1, steps // 2), *options[1:])
        choosing = {one: searches.make(pair, one, SELECTION, 1, *half) for one in TRIED}
        tried = {one: float(np.log(likely(other, made, names).clip(1e-12)).mean()) for one, made in choosing.items()}
        chosen = searches.best(tried)
        made = {way: pixels(net, recipe, starts, *options) for way, recipe in PIXELS.items()}
        made[G] = searches.make(pair, chosen, EVALUATION, starts, *options)
        others = [one for one in nets if one is not net]
        read = {way: np.stack([likely(one, images, names) for one in others]) for way, images in made.items()}
        found[readers.title(net.name)] = Painted(tried, chosen, made, read)
    return found


def pixels(net: interface.Network, recipe: Recipe, starts: int, steps: int, seed: int, device, classes) -> Made:
    """Images of some classes without a generator."""
    return class_images.make(net, recipe, EVALUATION, starts, steps, seed, device, classes)


@torch.inference_mode()
def likely(net: interface.Network, made: Made, names: Sequence[str]) -> np.ndarray:
    """The probability that a network gives to the class that an image was made for, (n,). The images are those of all
    classes `names`, in turn, equally many of each."""
    reader = interface.resized(net, made.pictures.shape[1])
    images = interface.to_tensor(made.pictures).to(next(net.model.parameters()).device)
    own = np.repeat(objectives.numbers(net, names), len(images) // len(names))
    return interface.scores(reader, images, batch=8).softmax(1).cpu().numpy()[np.arange(len(own)), own]


def shown(found: dict[str, Painted], k: int = 0) -> dict[str, np.ndarray]:
    """Rows for a figure: of each network and way the image of each class from start k, all as large as the largest."""
    rows, side = {}, max(made.pictures.shape[1] for one in found.values() for made in one.made.values())
    for title, one in found.items():
        for way, made in one.made.items():
            first = np.unique(made.targets, return_index=True)[1]
            pictures = made.pictures[np.sort(first) + k]
            rows[f"{title},\n{way}"] = np.stack([enlarged(picture, side) for picture in pictures])
    return rows


def enlarged(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture (S, S, 3) uint8 at another side, bilinearly, as networks read it."""
    if picture.shape[0] == side:
        return picture
    image = interface.to_tensor(picture[None])
    image = torch.nn.functional.interpolate(image, size=(side, side), mode="bilinear", antialias=False)
    return interface.to_pictures(image)[0]


def rows(found: dict[str, Painted], names: Sequence[str]) -> list[dict]:
    """The own score of the class and the probability that the other networks give to it, as rows for a figure."""
    return [
        {"network": title, "way": way, "class": name, "score": float(score), "others": float(other)}
        for title, one in found.items()
        for way, made in one.made.items()
        for name, score, other in zip(
            names,
            made.after[np.arange(len(made.targets)), made.targets].reshape(len(names), -1).mean(1),
            one.read[way].mean(0).reshape(len(names), -1).mean(1),
            strict=True,
        )
    ]


def table(found: dict[str, Painted], names: Sequence[str]) -> Table:
    """By network: its score of the class, and how likely the other networks find it, means over classes; and what was
    chosen for G."""
    data, lines = rows(found, names), []
    for title, one in found.items():
        for way in one.made:
            own = [row for row in data if (row["network"], row["way"]) == (title, way)]
            score, others = (np.mean([row[key] for row in own]) for key in ("score", "others"))
            lines.append((title, way, f"{score:.1f}", f"{others:.3f}", one.chosen.title if way == G else ""))
    return Table(("network", "images", "its own score", "probability by the others", "chosen for G"), lines)
