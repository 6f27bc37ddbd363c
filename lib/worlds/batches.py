"""The pictures that notebooks 02 to 05 read, by the name of their world: rendered cutouts, or photographs."""

from itertools import islice

import numpy as np

from lib.worlds import cutouts, photos

WORLDS = ("cutouts", "photos")
SIZE = 224  # pixels of photographs
SEEN = 250  # photographs that prototypes had read before any rule was written: the first in the list


def test(world: str, n: int) -> cutouts.Batch:
    """The first `n` test pictures: of the cutouts world, or the NIPS-2017 photographs, of which there are 700, with
    ImageNet's classes. Photographs have no masks, cues or poses: masks and cues are zeros, the pose says the middle.

    ValueError for another world, or where there are fewer photographs.
    """
    if world == "cutouts":
        return cutouts.batch(cutouts.World(), "test", n)
    if world != "photos":
        raise ValueError(f"world is {world!r}, expected {' or '.join(WORLDS)}")
    found = list(islice(photos.nips2017(SIZE), n))
    if n > len(found):
        raise ValueError(f"{n} photographs are asked for, expected at most the {len(found)} that there are")
    images = photos.stack(found[:n]).mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    labels = np.array([photo.labels[0] for photo in found[:n]])
    pose = np.tile(np.array([SIZE / 2, SIZE / 2, 0, 0], np.float32), (n, 1))
    return cutouts.Batch(np.ascontiguousarray(images), labels, np.zeros((n, 1, 1), bool), np.zeros((n, 3), int), pose)


def seen(world: str) -> int:
    """How many test pictures prototypes had read before any rule was written."""
    return SEEN if world == "photos" else 0


def credits(world: str, shown) -> str:
    """Authors and licences of the pictures of these numbers; empty for cutouts, which nobody else made."""
    if world != "photos":
        return ""
    found = list(islice(photos.nips2017(SIZE), max(shown) + 1))
    return photos.credits([found[k] for k in shown])
