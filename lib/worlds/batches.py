"""The pictures that the notebooks read, by the name of their world: rendered cutouts, or photographs."""

from collections import Counter
from itertools import islice

import numpy as np
from PIL import Image

from lib.worlds import cutouts, folders, photos

WORLDS = ("cutouts", "photos", "paper")
SIZE = 224  # pixels of photographs
TINY = 64  # pixels of Tiny-ImageNet
SEEN = 250  # photographs that prototypes had read before any rule was written: the first in the list


def test(world: str, n: int) -> cutouts.Batch:
    """The first `n` test pictures: of the cutouts world, or the NIPS-2017 photographs, of which there are 700, with
    ImageNet's classes, or ("paper") so many of ImageNet's validation pictures, evenly spaced over the classes, from a
    folder of the user's (folders.imagenet). Photographs have no masks, cues or poses: masks and cues are zeros, the
    pose says the middle.

    ValueError for another world, or where there are fewer photographs.
    """
    if world == "cutouts":
        return cutouts.batch(cutouts.World(), "test", n)
    _known(world)
    found = folders.imagenet("val") if world == "paper" else list(islice(photos.nips2017(SIZE), n))
    if n > len(found):
        raise ValueError(f"{n} photographs are asked for, expected at most the {len(found)} that there are")
    if world == "paper":
        files, labels = zip(*(found[k * len(found) // n] for k in range(n)), strict=True)
        images, labels = folders.centred(list(files), SIZE), np.array(labels)
    else:
        images = photos.stack(found).mul(255).round().byte().permute(0, 2, 3, 1).numpy()
        labels = np.array([photo.labels[0] for photo in found])
    pose = np.tile(np.array([SIZE / 2, SIZE / 2, 0, 0], np.float32), (n, 1))
    return cutouts.Batch(np.ascontiguousarray(images), labels, np.zeros((n, 1, 1), bool), np.zeros((n, 3), int), pose)


def of_classes(world: str, n: int, split: str = "test", largest: float = 1.0) -> cutouts.Batch:
    """`n` pictures whose classes hold many each, and whose object is marked.

    Of the cutouts: the first ones of the split. Of photographs: Tiny-ImageNet's, 64 pixels enlarged to 224, for tables
    only; "test" are its validation photographs, "validation" those it trains on, the same number of each class, as far
    as there are (without boxes: their masks are zeros). A mask is the bounding box; largest: the share of the picture
    that it covers at most. The one cue is the class. ValueError for another world or split, or where there are fewer.
    """
    if world == "cutouts":
        return cutouts.batch(cutouts.World(), split, n)
    _known(world)
    if split == "test":
        turn = Counter()  # the first of every class, then the second of every class
        marked = [one for one in photos.tiny_validation() if _area(one[2]) <= largest]
        marked = sorted(marked, key=lambda one: (turn.update([one[0]]), turn[one[0]])[1])
        found = [(label, picture, _box(box)) for label, picture, box in marked[:n]]
    elif split == "validation":
        found = [(label, picture, np.zeros((SIZE, SIZE), bool)) for label, picture in photos.tiny_training(n)]
    else:
        raise ValueError(f"split is {split!r}, expected test or validation")
    if n > len(found):
        raise ValueError(f"{n} photographs of Tiny-ImageNet are asked for, expected at most the {len(found)} there are")
    labels, pictures, masks = zip(*found, strict=True)
    images = [np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for picture in pictures]
    pose = np.tile(np.array([SIZE / 2, SIZE / 2, 0, 0], np.float32), (n, 1))
    labels = np.array(labels)
    return cutouts.Batch(np.stack(images), labels, np.stack(masks), labels[:, None], pose)


def _area(box) -> float:
    left, top, right, bottom = box
    return (right + 1 - left) * (bottom + 1 - top) / TINY**2


def _box(box) -> np.ndarray:
    """The pixels of the enlarged picture that lie in a bounding box, (SIZE, SIZE) bool."""
    left, top, right, bottom = (round(edge * SIZE / TINY) for edge in (*box[:2], box[2] + 1, box[3] + 1))
    mask = np.zeros((SIZE, SIZE), bool)
    mask[top:bottom, left:right] = True
    return mask


def _known(world: str) -> None:
    if world not in WORLDS:
        raise ValueError(f"world is {world!r}, expected {' or '.join(WORLDS)}")


def seen(world: str) -> int:
    """How many test pictures prototypes had read before any rule was written."""
    return SEEN if world == "photos" else 0


def may_show(world: str) -> bool:
    """Whether figures with pictures of this world may be published: ImageNet's may not."""
    return world != "paper"


def owed(world: str, shown) -> list[dict]:
    """To whom the test pictures of these numbers are owed (photos.owed); nothing for cutouts, which are our own."""
    if world != "photos":
        return []
    found = list(islice(photos.nips2017(SIZE), max(shown) + 1))
    return photos.owed([found[k] for k in shown])
