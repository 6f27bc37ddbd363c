"""Control worlds: the cutouts world changed in one respect, to tell a generator's doing from a unit's.

They stand for what Nguyen et al. 2016 change: the data set (two halves that share no class), the classes (modified
pictures as classes of their own), how much the pictures of a class vary (pose and shape).
"""

from typing import NamedTuple

import numpy as np

from lib.worlds import cutouts
from lib.worlds.cutouts import CLASSES, Batch, World

HALVES = ("half0", "half1")  # five classes each
MODIFICATIONS = ("bgr", "mosaic", "blur")  # twenty classes each: ten plain, ten modified
POSES = {  # ten classes each
    "one_pose": World(rotation=0.0, radius=(14.0, 14.0)),
    "varied_pose": World(rotation=180.0, radius=(8.0, 17.5)),
    "several_shapes": World(rotation=0.0, radius=(14.0, 14.0)),
}
WORLDS = (*HALVES, *MODIFICATIONS, *POSES)
SHAPE_STEP, SHAPES_A_CLASS = 3, 3  # in "several_shapes", class k shows shape k, k + 3 or k + 6 (modulo 10)


def pictures(name: str, split: str, n: int, seed: int = 0) -> Batch:
    """The first `n` pictures of a control world. `seed` is the world's: another one draws all pictures anew.

    half0, half1: every label and cue value v of the cutouts world becomes v % 5 in half 0 and v % 5 + 5 in half 1. An
    unreliable cue may thus fall on the label again: a reliability of r becomes r + (1 - r) / 9. bgr, mosaic, blur:
    picture i of the cutouts world, unchanged with its label k for even i, modified and with the label 10 + k for odd i,
    so that no picture is there both ways. one_pose: rotation 0, radius 14. varied_pose: rotation up to 180 degrees to
    either side, radius 8 to 17.5. several_shapes: the pose of one_pose; the shape of class k is k, k + 3 or k + 6
    (modulo 10), each a third of the times in which the shape is reliable (as often as elsewhere), else one of the other
    seven. Texture and hue stay as drawn. Since each shape now belongs to three classes it says less about the class.
    ValueError for another name.
    """
    if name not in WORLDS:
        raise ValueError(f"control world is {name!r}, expected one of {', '.join(WORLDS)}")
    if name in MODIFICATIONS:
        both = Batch(*(np.empty((n, *part.shape[1:]), part.dtype) for part in cutouts.render(World(), split, [0])))
        for first, modification in enumerate(("none", name)):
            world = World(seed=seed, modification=modification)
            for whole, part in zip(both, cutouts.render(world, split, range(first, n, 2)), strict=True):
                whole[first::2] = part
        both.labels[1::2] += CLASSES
        return both
    world = POSES.get(name, World())._replace(seed=seed)
    drawn = cutouts.render(world, split, range(n))
    if name in HALVES:
        half = HALVES.index(name)
        shown = cutouts.render(world, split, range(n), drawn.cues % 5 + 5 * half)
        return shown._replace(labels=drawn.labels % 5 + 5 * half)
    if name == "several_shapes":
        return cutouts.render(world, split, range(n), _several(drawn, split, seed))
    return drawn


def _several(drawn: Batch, split: str, seed: int) -> np.ndarray:
    """The cue values (n, 3) of `drawn` with the shapes of "several_shapes" in place of its own."""
    key = np.array([seed, cutouts.SPLITS.index(split)], np.uint64)
    streams = (np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, i])) for i in range(len(drawn.labels)))
    which = np.array([stream.integers((SHAPES_A_CLASS, CLASSES - SHAPES_A_CLASS)) for stream in streams])
    own = np.array([shapes("several_shapes", label) for label in range(CLASSES)])
    other = np.array([[s for s in range(CLASSES) if s not in row] for row in own])
    each, cues = np.arange(len(which)), drawn.cues.copy()
    reliable, label = drawn.cues[:, 0] == drawn.labels, drawn.labels
    cues[:, 0] = np.where(reliable, own[label][each, which[:, 0]], other[label][each, which[:, 1]])
    return cues


def shapes(name: str, label: int) -> tuple[int, ...]:
    """The shapes (numbers of cutouts.SHAPES) that stand for a class in a world where the shape is reliable."""
    times = SHAPES_A_CLASS if name == "several_shapes" else 1
    return tuple((label + SHAPE_STEP * k) % CLASSES for k in range(times))


def classes(name: str) -> tuple[str, ...]:
    """The class names of a network trained on a control world, in the order of its scores."""
    numbers = range(5 * HALVES.index(name), 5 * HALVES.index(name) + 5) if name in HALVES else range(CLASSES)
    plain = tuple(f"class {k}" for k in numbers)
    return plain + tuple(f"{name} {one}" for one in plain) if name in MODIFICATIONS else plain


def targets(name: str, batch: Batch) -> np.ndarray:
    """(n,) which score of a network trained on this world stands for each picture's label: only half 1 counts from
    5."""
    return batch.labels - 5 * (name == "half1")


class Mode(NamedTuple):
    """One of the looks that a class was trained in."""

    label: int
    shape: int  # number of cutouts.SHAPES
    rotation: float  # degrees, clockwise on screen
    radius: float  # pixels


def modes(name: str) -> list[Mode]:
    """The looks of every class in a world of POSES, the reliable ones. Where the pose varies, a grid stands for it:
    every 30 degrees and the middles of three equal ranges of the radius. ValueError for another world."""
    if name not in POSES:
        raise ValueError(f"control world is {name!r}, expected one of {', '.join(POSES)}")
    low, high = POSES[name].radius
    turns = range(-180, 180, 30) if POSES[name].rotation else (0,)
    radii = [low + (high - low) * part / 6 for part in (1, 3, 5)] if high > low else [low]
    return [
        Mode(label, shape, float(turn), radius)
        for label in range(CLASSES)
        for shape in shapes(name, label)
        for turn in turns
        for radius in radii
    ]


def backgrounds(split: str, n: int, seed: int = 0) -> np.ndarray:
    """`n` pictures of the cutouts world without their object, (n, 64, 64, 3) uint8: it is painted far outside."""
    key = np.array([seed, 100 + cutouts.SPLITS.index(split)], np.uint64)
    sources, nowhere = cutouts.panels(split, seed), np.array([-1e3, -1e3, 14, 0], np.float32)
    draws = (np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, i])).random(96) for i in range(n))
    images = [cutouts.picture(World(), u, np.zeros(3, np.int64), nowhere, sources)[0] for u in draws]
    return np.array(images, np.uint8).reshape(-1, cutouts.SIZE, cutouts.SIZE, 3)


def silhouettes(split: str, n: int, seed: int = 0) -> Batch:
    """`n` pictures of objects of which the shape alone says anything: no texture, a hue drawn by itself, and behind it
    the world's ground or, in every second picture, one colour. The shape is one of ten, each as likely as the others;
    it is `cues[:, 0]`, and also the label."""
    stream = np.random.default_rng([seed, 200 + cutouts.SPLITS.index(split)])
    cues = np.column_stack([stream.integers(CLASSES, size=n), np.zeros(n, int), stream.integers(CLASSES, size=n)])
    shown = cutouts.render(World(seed=seed), split, range(n), cues)
    plain = stream.integers(0, 256, (n, 1, 1, 3), np.uint8)
    behind = ~shown.masks[..., None] & (np.arange(n) % 2 == 1)[:, None, None, None]
    return shown._replace(images=np.where(behind, plain, shown.images), labels=cues[:, 0])
