"""Images of facets of photographs, painted from noise by the means of notebook 11 (notebook 14): each way of using the
two terms at its own best setting, chosen on other photographs and by another network than the one that reports."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from lib.experiments.n11_ascent.painted import natural
from lib.experiments.n14_minds_eye import image_sets
from lib.experiments.n14_minds_eye.image_sets import ACTIVATION, BOTH, DISTANCE
from lib.methods.ascent import parameterisations, regularisers
from lib.methods.minds_eye import facets, synthesis
from lib.methods.minds_eye.synthesis import Recipe, Seen
from lib.networks import interface
from lib.record import seeds, uncertainty
from lib.record.tables import Table

MOVES = (regularisers.jitter(8), regularisers.turn(5, zoom=1.1))  # before the network sees an image of 224 pixels
FORMS = {"Fourier": parameterisations.fourier, "phases": natural}  # how an image of so many pixels is made
RATES = (0.02, 0.05, 0.1)  # of Adam, among which `choose` chooses
WEIGHTS = {BOTH: (0.3, 1.0, 3.0), ACTIVATION: (1.0,), DISTANCE: (0.0,)}  # of the activation term, likewise
MEAN_RATE = 0.006  # of the paper's recipe, from a mean, chosen by eye
CHOOSER = "googlenet"  # the network by which `choose` chooses on photographs


class Way(NamedTuple):
    """Weights of the two terms, and Adam's rate."""

    activation: float
    distance: float
    rate: float = 0.05

    def recipe(self, steps: int) -> Recipe:
        return Recipe(self.activation, self.distance, penalty=(0.0, 0.0), steps=steps)


USUAL = {BOTH: Way(0.3, 1), ACTIVATION: Way(1, 0), DISTANCE: Way(0, 1)}


class Set(NamedTuple):
    """A set of m images and its k facets in a layer of a network."""

    net: interface.Network
    layer: str
    images: Tensor  # (m, 3, S, S)
    rows: np.ndarray  # (m, C) pooled features
    found: facets.Facets
    aim: facets.Aim
    units: tuple[float, float]


def grouped(net: interface.Network, layer: str, images: Tensor, k: int, nearest: int = 10) -> Set:
    """k facets of images of the network's size, and the targets of each, means over its `nearest` images."""
    rows = facets.pooled(net, images, layer)
    found = facets.find(rows, k)
    units = synthesis.scales(net, layer, None, rows, images[:32])
    return Set(net, layer, images, rows, found, facets.aim(rows, images, found, nearest), units)


def paint(
    part: Set,
    way: Way,
    steps: int,
    seed: int = 0,
    *,
    form: Callable[[int], parameterisations.Parameterisation] = FORMS["Fourier"],
    share: float = 0.25,
    only: Sequence[int] | None = None,
) -> Seen:
    """An image for each facet, or for those in `only`, by synthesis.from_noise."""
    options = {"rate": way.rate, "transforms": MOVES, "share": share, "seed": seed}
    return synthesis.from_noise(
        part.net, part.layer, _some(part.aim, only), part.units, way.recipe(steps), form(part.net.size), **options
    )


def from_mean(part: Set, steps: int, seed: int = 0, only: Sequence[int] | None = None) -> Seen:
    """The same facets by the paper's recipe, synthesis.synthesise, with equal weights and a rate that was chosen by
    eye; each starts at the mean of its images."""
    recipe = Recipe(steps=steps, rate=(MEAN_RATE, MEAN_RATE / 5))
    penalised = synthesis.below(part.net, part.layer)
    units = synthesis.scales(part.net, part.layer, penalised, part.rows, part.images[:32])
    return synthesis.synthesise(
        part.net, part.layer, _some(part.aim, only), units, recipe, penalised=penalised, keep=(0,), seed=seed
    )


def _some(aim: facets.Aim, only: Sequence[int] | None) -> facets.Aim:
    return aim if only is None else facets.Aim(aim.targets[only], aim.starts[only], [aim.picked[k] for k in only])


def single(net: interface.Network, layer: str, images: Tensor, way: Way, steps: int, seed: int = 0) -> np.ndarray:
    """Each of a few images (n, 3, S, S), a set of its own, painted by a layer: pictures (n, S, S, 3) uint8."""
    part = grouped(net, interface.named(net, layer), images, len(images), 1)
    pictures = paint(part, way, steps, seed).pictures
    return pictures[np.argsort([int(picked[0]) for picked in part.aim.picked])]


def ranks(judge: interface.Network, part: Set) -> Callable[[np.ndarray], np.ndarray]:
    """Asks a network that took no part: pictures (k, S, S, 3) uint8, one for each facet -> how many other facets are
    nearer to a picture than its own, (k,); 0: its own is the nearest. ValueError if it is the network that was looked
    into."""
    if judge.digest == part.net.digest:
        raise ValueError(f"the judge is {judge.name}, the network looked into; expected one that takes no part")
    centres = facets.centres(_read(judge, part.images), part.found.labels)

    def ask(pictures: np.ndarray) -> np.ndarray:
        apart = image_sets.distances(_read(judge, pictures), centres)
        return (apart < np.diagonal(apart)[:, None]).sum(1)

    return ask


def _read(judge: interface.Network, images) -> np.ndarray:
    return image_sets.judgement(judge, image_sets.resized(images, judge.size))


def choose(part: Set, judge: interface.Network, steps: int, seed: int = 0) -> tuple[dict[str, Way], Table]:
    """For each way the weight and rate by which most images are nearest to their facet for `judge`, of equal ones that
    with the better mean rank; and everything that was tried."""
    ask, best, rows = ranks(judge, part), {}, []
    for name, weights in WEIGHTS.items():
        tried = {}
        for way in (Way(weight, float(name != ACTIVATION), rate) for rate in RATES for weight in weights):
            rank = ask(paint(part, way, steps, seed).pictures)
            tried[way] = float((rank == 0).mean()), -float(rank.mean())
        best[name] = max(tried, key=tried.get)
        for way, (share, rank) in tried.items():
            mark = "chosen" if way == best[name] else ""
            rows.append((name, f"{way.activation:g}", f"{way.rate:g}", f"{share:.2f}", f"{1 - rank:.1f}", mark))
    return best, Table(("way", "weight of activation", "rate", "nearest to their facet", "mean rank", ""), rows)


def gain(made: dict[str, Seen], judge: interface.Network, part: Set, generator: np.random.Generator) -> dict:
    """Claim D1 on photographs, for claims.record: share of images nearest to the facet that they were made for, both
    terms minus the better single one, by facet; made: {way: images of all facets}. named: the shares, and chance."""
    ask = ranks(judge, part)
    shares = {name: (ask(one.pictures) == 0).astype(float) for name, one in made.items()}
    better = max((ACTIVATION, DISTANCE), key=lambda name: shares[name].mean())
    found = uncertainty.bootstrap_mean(shares[BOTH] - shares[better], generator=generator)
    named = {f"the share itself, {name}": seeds.estimate(one, generator)[:3] for name, one in shares.items()}
    chance = 1 / len(part.aim.targets)
    return seeds.recordable(found, named=named | {"chance": (chance,) * 3}) | {
        "note": f"The better single term: {better}."
    }
