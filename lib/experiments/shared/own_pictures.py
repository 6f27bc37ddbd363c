"""The pictures that a notebook asks networks about, by its world: cutouts, the project's photographs, or in the world
"mine" those that the reader's parameters name, at the size of the reader's network."""

from collections import Counter

import numpy as np
import torch

from lib.networks import catalogue, interface, readers
from lib.worlds import batches, cutouts, photos

MINE = readers.MINE
SPLITS = ("test", "validation")


def test(world: str, n: int, families, photographs, device="cpu") -> cutouts.Batch:
    """`n` test pictures of a world (batches.test). In the world "mine" at most n of `photographs`, evenly spaced in
    their list, at the size of the one network of `families`; the class of each is `label`."""
    if world != MINE:
        return batches.test(world, n)
    net = _own(families, device)
    return _batch(net, spread(photos.named(photographs, net.size), n), device)


def of_classes(world: str, n: int, families, photographs, split: str = "", device="cpu") -> cutouts.Batch:
    """`n` pictures whose classes hold many each (batches.of_classes), by default of the split "test". In the world
    "mine" at most n of `photographs`, by default of all; where a split is asked for, every other one of each class is
    "validation", which probes learn from. ValueError for another split."""
    if world != MINE:
        return batches.of_classes(world, n, split or "test")
    if split not in ("", *SPLITS):
        raise ValueError(f"split is {split!r}, expected {' or '.join(SPLITS)}")
    net = _own(families, device)
    found = photos.named(photographs, net.size)
    if split:
        turn, half = Counter(), SPLITS.index(split)
        found = [p for p in found if (turn.update([key := _key(p, net)]), turn[key])[1] % 2 != half]
    return _batch(net, spread(found, n), device)


def labelled(photo: photos.Photo, net: interface.Network) -> tuple[int, ...]:
    """The network's own numbers of the classes that count as right for a photograph; empty where none is known."""
    return photos.numbers(photo, net.classes)


def label(net: interface.Network, photo: photos.Photo, device="cpu") -> int:
    """The class that is asked about: of those that count as right for the photograph the one that the network ranks
    first; where none is known, the one that it ranks first of all."""
    scores = interface.scores(net, photo.image[None].to(device))[0]
    return _likeliest(scores, labelled(photo, net))


def commonest(net: interface.Network, shown: list[photos.Photo], most: int, device="cpu") -> list[int]:
    """The classes that the network ranks first for most of the photographs, at most `most`, the commonest first; where
    they are fewer, those that it gives the highest mean score follow."""
    scores = torch.cat([interface.scores(net, part.to(device)) for part in photos.stack(shown).split(32)]).cpu()
    first = [k for k, _ in Counter(scores.argmax(1).tolist()).most_common(most)]
    rest = [k for k in scores.mean(0).argsort(descending=True).tolist() if k not in first]
    return [*first, *rest][:most]


def indifferent(net: interface.Network, shown: list[photos.Photo]) -> bool:
    """Whether a network gives the first and the last of several photographs the same scores."""
    if len(shown) < 2:
        return False
    first, last = interface.scores(net, torch.stack([shown[0].image, shown[-1].image]))
    return torch.allclose(first, last)


def few(world: str, found: list[photos.Photo], most: int = 3) -> list[photos.Photo]:
    """The photographs that a figure shows whole: all that its parameters name; in the world "mine", where they name all
    that there are, at most so many."""
    return spread(found, most) if world == MINE else found


def spread(found: list, n: int) -> list:
    """At most n of a list, evenly spaced."""
    n = min(n, len(found))
    return [found[k * len(found) // n] for k in range(n)]


def _likeliest(scores: torch.Tensor, known: tuple[int, ...]) -> int:
    return int(max(known or range(len(scores)), key=lambda k: scores[k]))


def _key(photo: photos.Photo, net: interface.Network) -> int:
    return labelled(photo, net)[0]


def _own(families, device) -> interface.Network:
    if len(families) != 1:
        raise ValueError(f"families is {list(families)} and world is {MINE!r}, expected the one network that reads")
    return catalogue.load(families[0], device=device)


def _batch(net: interface.Network, shown: list[photos.Photo], device) -> cutouts.Batch:
    images, size = photos.stack(shown), net.size
    scores = torch.cat([interface.scores(net, part.to(device)) for part in images.split(32)]).cpu()
    labels = np.array([_likeliest(row, labelled(photo, net)) for row, photo in zip(scores, shown, strict=True)])
    pictures = interface.to_pictures(images)
    pose = np.tile(np.array([size / 2, size / 2, 0, 0], np.float32), (len(shown), 1))
    return cutouts.Batch(pictures, labels, np.zeros((len(shown), 1, 1), bool), labels[:, None], pose)
