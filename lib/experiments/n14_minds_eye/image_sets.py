"""Facets of the classes of the cutouts world, the images made for them under several conditions, and how a network that
took no part sees them: what notebook 14 measures."""

import itertools
from typing import NamedTuple

import numpy as np
import torch

from lib.methods.minds_eye import facets, synthesis
from lib.methods.minds_eye.synthesis import Recipe, Seen
from lib.networks import catalogue, interface
from lib.record.tables import Table
from lib.worlds import cutouts

RATES = (0.0003, 0.001, 0.003, 0.01, 0.03)  # among which one is chosen for each way
CHOOSES = 0  # training seed of the networks with which settings are chosen; the others decide
WITNESSES = ("squeezenet1_1", "efficientnet_lite0")  # the first that is not looked into judges images of photographs
BOTH, EQUAL, ACTIVATION, DISTANCE = "both terms", "equal weights", "activation alone", "distance alone"
WAYS = (BOTH, EQUAL, ACTIVATION, DISTANCE)
WEIGHTS = {  # of the activation and of the distance term, among which one pair is chosen for each way
    BOTH: ((0.3, 1.0), (1.0, 1.0), (3.0, 1.0), (10.0, 1.0)),
    ACTIVATION: ((1.0, 0.0),),
    DISTANCE: ((0.0, 1.0),),
}
RESTART, FARTHEST, RELEASED = "another start", "farthest of the facet", "farthest of the set"
OTHERS, START = "others of the facet", "start images"


class Setting(NamedTuple):
    """Whose facets, and who judges: a network of another family that took no part."""

    net: interface.Network
    layer: str
    judge: interface.Network
    n_facets: int = 3
    n_nearest: int = 10  # images that a target and a start are made of
    share: float = 0.25  # of the channels that count as informative
    steps: int = 60
    seed: int = 0  # of noise and windows


class Sets(NamedTuple):
    """The facets of several image sets (classes) in one network, and the same images in a network that took no part.
    Facets are rows, class after class: n = classes * k."""

    pictures: np.ndarray  # (m, S, S, 3) uint8
    rows: np.ndarray  # (m, C) pooled features
    facets: dict  # {class: facets.Facets of its images}
    members: dict  # {class: numbers of its images}
    groups: np.ndarray  # (n,) class of every facet
    judged: np.ndarray  # (m, J) features of the network that took no part
    centres: np.ndarray  # (n, J) of every facet there
    cues: np.ndarray  # (n, 3) the value that at least half of a facet's images have, else -1


class Tried(NamedTuple):
    """One network: its sets, and by condition the images made, and where the uninvolved network sees them."""

    sets: Sets
    seen: dict[str, Seen]
    read: dict[str, np.ndarray]  # (n, J)


def checked(nets: dict, layers, family: str, judge: str, chooser: str) -> dict:
    """`nets`, if every one has maps at all of `layers`, and `judge` and `chooser` are two other families than theirs;
    else ValueError."""
    if judge == family:
        raise ValueError(f"judge is {judge!r}, the family looked into; expected another one, which takes no part")
    if chooser in (family, judge):
        what = "looked into" if chooser == family else "that reports"
        raise ValueError(f"chooser is {chooser!r}, the family {what}; expected a third one, which only chooses")
    for net in nets.values():
        for layer in layers:
            facets.extent(net, layer)
    return nets


def sets(setting: Setting, pictures: cutouts.Batch, kind: str = "kmeans") -> Sets:
    """The facets of every class of a batch of cutouts. ValueError if the network judges itself."""
    if setting.judge.digest == setting.net.digest:
        raise ValueError(f"judge is {setting.judge.name}, the network looked into; expected one that takes no part")
    images, k = interface.to_tensor(pictures.images), setting.n_facets
    rows, judged = facets.pooled(setting.net, images, setting.layer), judgement(setting.judge, images)
    members = {int(label): np.flatnonzero(pictures.labels == label) for label in np.unique(pictures.labels)}
    found = {label: _parts(rows[own], k, kind, cutouts.SHAPES[label]) for label, own in members.items()}
    centres = [facets.centres(judged[own], found[label].labels) for label, own in members.items()]
    cues = [facets.majority(pictures.cues[own], found[label].labels) for label, own in members.items()]
    groups = np.repeat(list(members), k)
    return Sets(pictures.images, rows, found, members, groups, judged, np.concatenate(centres), np.concatenate(cues))


def _parts(rows: np.ndarray, k: int, kind: str, name: str) -> facets.Facets:
    try:
        return facets.find(rows, k, kind=kind)
    except ValueError as error:
        raise ValueError(f"class {name!r}: {error}") from None


def parted(found: Sets, label: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The images of a class in the plane of a t-SNE (m, 2), with their facets (m,) in two ways: as grouped, and grouped
    in that plane, as the released code does."""
    rows, labels = found.rows[found.members[label]], found.facets[label].labels
    plane = facets.find(rows, labels.max() + 1, kind="tsne", perplexity=min(30, len(rows) / 4))
    again = facets.aligned(labels, plane.labels)
    ways = {"k-means on principal components": labels, "k-means in the plane, as released": again}
    return {title: (plane.points, one) for title, one in ways.items()}


def aims(found: Sets, count: int, which: str = "nearest") -> facets.Aim:
    """Targets and starts of all facets of all sets."""
    parts = [
        facets.aim(found.rows[m], _images(found, m), found.facets[c], count, which) for c, m in found.members.items()
    ]
    return facets.joined(parts)


def synthesise(setting: Setting, found: Sets, recipe: Recipe, which="nearest", seed: int = 0, keep=()) -> Seen:
    """Images for all facets of all sets in one batch; the penalty is on the convolution below."""
    aim = aims(found, setting.n_nearest, which)
    return towards(setting, aim, found.rows, _images(found, slice(32)), recipe, seed + setting.seed, keep)


def towards(setting: Setting, aim: facets.Aim, rows, images, recipe: Recipe, seed: int = 0, keep=()) -> Seen:
    """`synthesis.synthesise` in the units of a set's features (m, C) and of its first 32 images."""
    penalised = synthesis.below(setting.net, setting.layer)
    units = synthesis.scales(setting.net, setting.layer, penalised, rows, images[:32])
    options = {"share": setting.share, "penalised": penalised, "seed": seed, "keep": keep}
    return synthesis.synthesise(setting.net, setting.layer, aim, units, recipe, **options)


def conditions(chosen: dict[str, Recipe]) -> dict[str, tuple[Recipe, str, int]]:
    """By name: the recipe, which images of a facet are taken, and what is added to the seed. chosen: as from
    `choose`."""
    both = chosen[BOTH]
    return {
        BOTH: (both, "nearest", 0),
        EQUAL: (both._replace(activation=1.0), "nearest", 0),
        ACTIVATION: (chosen[ACTIVATION], "nearest", 0),
        DISTANCE: (chosen[DISTANCE], "nearest", 0),
        RESTART: (both, "nearest", 1000),
        OTHERS: (both, "others", 0),
        FARTHEST: (both, "farthest", 0),
        RELEASED: (both, "farthest of the set", 0),
    }


def try_all(setting: Setting, found: Sets, chosen: dict[str, Recipe], keep=(), names=None) -> Tried:
    """Every condition (or those in `names`) for the facets of one network; with the first comes START, the pictures
    before its first step."""
    seen = {
        name: synthesise(setting, found, recipe, which, seed, (0, *keep))
        for name, (recipe, which, seed) in conditions(chosen).items()
        if names is None or name in names
    }
    first = next(iter(seen.values()))
    seen[START] = first._replace(pictures=first.strip[0])
    return Tried(found, seen, {name: judgement(setting.judge, one.pictures) for name, one in seen.items()})


def judgement(judge: interface.Network, images) -> np.ndarray:
    """Features (n, J) of images (n, 3, S, S), or of pictures (n, S, S, 3) uint8: the last convolution, averaged over
    places, which is what a ResNet's classifier reads."""
    images = interface.to_tensor(images) if isinstance(images, np.ndarray) else images
    return facets.pooled(judge, images, interface.last_conv(judge))


def choose(setting: Setting, pictures: cutouts.Batch) -> tuple[dict[str, Recipe], Table]:
    """For each way of using the two terms the weights and the rate by which most images are nearest to their own facet
    (D1's statistic) for the setting's judge, on facets of pictures kept for this, of equal ones the first; and
    everything that was tried."""
    found, best, rows = sets(setting, pictures), {}, []
    for name, weights in WEIGHTS.items():
        tried, shares = [], []
        for rate, (activation, distance) in itertools.product(RATES, weights):
            tried.append(Recipe(activation, distance, steps=setting.steps, rate=(rate, rate / 5)))
            made = synthesise(setting, found, tried[-1], seed=500)
            near = own(distances(judgement(setting.judge, made.pictures), found.centres), found.groups)
            shares.append(float(near.mean()))
        best[name] = tried[int(np.argmax(shares))]
        for one, value in zip(tried, shares, strict=True):
            mark = "chosen" if one == best[name] else ""
            rows.append((name, f"{one.activation:g}", f"{one.rate[0]:g}", f"{value:.2f}", mark))
    return best, Table(("way", "weight of activation", "rate", "nearest to their facet", ""), rows)


def elsewhere(setting: Setting, net: interface.Network, found: Sets, recipe: Recipe, rows: np.ndarray) -> np.ndarray:
    """Pictures that another network makes, at its last convolution, for facets `rows` that `setting`'s network found:
    the same images, that network's features."""
    other = setting._replace(net=net, layer=interface.last_conv(net))
    aim = aims(found._replace(rows=facets.pooled(net, _images(found), other.layer)), setting.n_nearest)
    aim = facets.Aim(aim.targets[rows], aim.starts[rows], [aim.picked[row] for row in rows])
    features = facets.pooled(net, _images(found, slice(200)), other.layer)
    return towards(other, aim, features, _images(found, slice(32)), recipe, setting.seed).pictures


def witness(net: interface.Network, device="cpu") -> interface.Network:
    """An ImageNet network other than `net`."""
    return next(one for one in (catalogue.load(name, device=device) for name in WITNESSES) if one.digest != net.digest)


def resized(images, side: int) -> torch.Tensor:
    """Pictures (n, S, S, 3) uint8, or images (n, 3, S, S), at the size that a network reads."""
    images = interface.to_tensor(images) if isinstance(images, np.ndarray) else images
    if images.shape[-1] == side:
        return images
    return torch.nn.functional.interpolate(images, (side, side), mode="bilinear", antialias=True).clamp(0, 1)


def _images(found: Sets, which=slice(None)) -> torch.Tensor:
    return interface.to_tensor(found.pictures[which])


def distances(rows: np.ndarray, centres: np.ndarray, angle: bool = False) -> np.ndarray:
    """Euclidean distances (n, k) between rows and centres; with `angle` after both were brought to length 1, so that
    only their angle counts."""
    if angle:
        rows, centres = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (rows, centres))
    return np.linalg.norm(rows[:, None].astype(np.float64) - centres[None], axis=2)


def own(table: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Is facet i the nearest to image i, (n,) bool; with groups (n,) among the facets of its own class only."""
    if groups is not None:
        table = np.where(groups[:, None] == groups[None], table, np.inf)
    return table.argmin(1) == np.arange(len(table))


def apart(table: np.ndarray, groups: np.ndarray, dealt: np.ndarray | None = None) -> np.ndarray:
    """(Mean distance to the other facets of the class - distance to the own) / the former, (n,); dealt (..., n): which
    facet counts as an image's own, then (..., n)."""
    dealt = np.arange(len(table)) if dealt is None else dealt
    same = groups[:, None] == groups[None]
    mine = table[np.arange(len(table)), dealt]
    others = ((table * same).sum(1) - mine) / (same.sum(1) - 1)
    return (others - mine) / np.maximum(others, 1e-12)


def by_class(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Means of values (n,) over the facets of every class, NaN left out."""
    return np.array([np.nanmean(values[groups == label]) for label in np.unique(groups)])


def reference(found: Sets) -> dict[str, np.ndarray]:
    """What the images of the sets themselves get by the same judges, means over facets by class, (classes,): nearest to
    the own facet among those of the class and among all, and how far apart; each is left out of its facet's centre."""
    first = {int(label): int(np.flatnonzero(found.groups == label)[0]) for label in found.members}
    near, everywhere, gaps = (np.zeros(len(found.groups)) for _ in range(3))
    for label, members in found.members.items():
        labels = found.facets[label].labels
        for facet, number in zip(labels, members, strict=True):
            rows, mine, size = found.centres.astype(np.float64), first[label] + facet, (labels == facet).sum()
            if size > 1:
                rows[mine] = (size * rows[mine] - found.judged[number]) / (size - 1)
            away = np.linalg.norm(rows - found.judged[number], axis=1)
            same = np.flatnonzero(found.groups == label)
            others = away[same[same != mine]].mean()
            near[mine] += (same[away[same].argmin()] == mine) / size
            everywhere[mine] += (away.argmin() == mine) / size
            gaps[mine] += (others - away[mine]) / others / size
    parts = {"own class": near, "all": everywhere, "apart": gaps}
    return {name: by_class(part, found.groups) for name, part in parts.items()}
