"""The control worlds of notebooks 12 and 13, the networks trained on them, and who judges whether a picture shows an
object.

After Nguyen et al. 2016: a generator of one data set for a network of another (the halves), networks of twenty
classes, ten of them modified (the control experiment), and classes that vary in pose or in shape. All worlds are
the cutouts world with other parameters or other cue values; none of them changes a cue's reliability unless it says so.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from skimage import measure
from torch import Tensor, nn

from lib import cutouts, mirrored, networks, weights, zoo
from lib.cutouts import CLASSES, Batch, World

HALVES = ("half0", "half1")
MODIFICATIONS = ("bgr", "mosaic", "blur")
POSES = {
    "one_pose": World(rotation=0.0, radius=(14.0, 14.0)),
    "varied_pose": World(rotation=180.0, radius=(8.0, 17.5)),
    "several_shapes": World(rotation=0.0, radius=(14.0, 14.0)),
}
WORLDS = (*HALVES, *MODIFICATIONS, *POSES)
SHAPE_STEP, SHAPES_A_CLASS = 3, 3  # in "several_shapes", class k shows shape k, k + 3 or k + 6 (modulo 10)
AREAS = (372, 920)  # pixels: the smallest and the largest mask among the first 20,000 training pictures


# ---------------------------------------------------------------------------------------------- worlds


def pictures(name: str, split: str, n: int, seed: int = 0) -> Batch:
    """The first `n` pictures of a control world. `seed` is the world's: another one draws all pictures anew.

    half0, half1: every label and cue value v of the cutouts world becomes v % 5 in half 0 and v % 5 + 5 in half 1. An
    unreliable cue may thus fall on the label again: a reliability of r becomes r + (1 - r) / 9.
    bgr, mosaic, blur: picture i of the cutouts world, unchanged with its label k for even i, modified and with the
    label 10 + k for odd i, so that no picture is there both ways.
    one_pose: rotation 0, radius 14. varied_pose: rotation up to 180 degrees to either side, radius 8 to 17.5.
    several_shapes: the pose of one_pose; the shape of class k is k, k + 3 or k + 6 (modulo 10), each a third of the
    times in which the shape is reliable (as often as elsewhere), else one of the other seven. Texture and hue stay as
    drawn. Since each shape now belongs to three classes it says less about the class; see `ceiling`.
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
    every 30 degrees and the middles of three equal ranges of the radius."""
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


def ceiling(name: str) -> float:
    """Accuracy over the (five or ten) plain classes of the best possible reader of the three true cue values."""
    tables = [cutouts.likelihood(getattr(World(), cue)) for cue in cutouts.CUES]
    if name in HALVES:
        tables = [table[:5, :5] + table[:5, 5:] for table in tables]
    if name == "several_shapes":
        own = np.array([np.isin(range(CLASSES), shapes(name, label)) for label in range(CLASSES)])
        tables[0] = np.where(own, World().shape / SHAPES_A_CLASS, (1 - World().shape) / (CLASSES - SHAPES_A_CLASS))
    return float(np.einsum("ys,yt,yh->ysth", *tables).max(0).sum() / len(tables[0]))


def backgrounds(split: str, n: int, seed: int = 0) -> np.ndarray:
    """`n` pictures of the cutouts world without their object, (n, 64, 64, 3) uint8: it is painted far outside."""
    key = np.array([seed, 100 + cutouts.SPLITS.index(split)], np.uint64)
    sources, nowhere = cutouts.panels(split, seed), np.array([-1e3, -1e3, 14, 0], np.float32)
    draws = (np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, i])).random(96) for i in range(n))
    images = [cutouts._picture(World(), u, np.zeros(3, np.int64), nowhere, sources)[0] for u in draws]
    return np.array(images, np.uint8).reshape(-1, zoo.SIZE, zoo.SIZE, 3)


# -------------------------------------------------------------------------------------------- networks


def network(name: str, device: str = "cpu") -> networks.Network:
    """A network of `python -m lib.retrain_controls` behind the common interface.

    name: "bgr-0", "mosaic-2", "one_pose-1", ..., "bgr-detector" (classes: original, bgr), "half0-encoder",
    "objectness" (scores (n, 2, 64, 64): read it with `mask_probabilities`). FileNotFoundError lists what there is.
    """
    name = name.removeprefix("controls/")
    state, info = weights.load(f"controls/{name}")
    job = info["made_by"]["job"]
    names, model = answers(job["kind"], job["world"]), build(job["kind"], job["family"], job["world"])
    model.load_state_dict(state)
    model.eval().requires_grad_(False).to(device)
    layers = zoo.layers(job["family"]) if job["family"] in zoo.BUILDERS else {}
    return networks.Network(name, model, zoo.preprocess, zoo.SIZE, names, layers, info["digest"])


def answers(kind: str, world: str) -> tuple[str, ...]:
    """What the scores of a network of this kind stand for."""
    if kind == "objectness":
        return ("background", "object")
    return ("original", world) if kind == "detector" else classes(world)


def build(kind: str, family: str, world: str, seed: int = 0) -> nn.Module:
    """The untrained network of a kind: one of zoo.BUILDERS, or the `Masker`; a seed gives its weights to the bit."""
    if family in zoo.BUILDERS:
        return zoo.build(family, len(answers(kind, world)), seed)
    if family == "mirrored":
        return mirrored.Mirrored(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Masker()


class Masker(nn.Module):
    """A small U-shaped network: (n, 3, 64, 64) normalised pictures to scores (n, 2, 64, 64), background and object.
    26,000 parameters; three strided convolutions down, three times up with a shortcut from the same resolution."""

    def __init__(self, widths=(12, 20, 24)):
        super().__init__()
        one, two, three = widths

        def conv(inside: int, outside: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
            layer = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
            return nn.Sequential(layer, nn.BatchNorm2d(outside), nn.ReLU())

        self.down = nn.ModuleList([conv(3, one, 5, 2), conv(one, two, 3, 2), conv(two, three, 3, 2)])
        self.across = conv(three, three)
        self.up = nn.ModuleList([conv(three + two, two), conv(two + one, one), conv(one + 3, 8)])
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for down in self.down:
            maps.append(down(maps[-1]))
        x = self.across(maps.pop())
        for up, skip in zip(self.up, reversed(maps), strict=True):
            larger = F.interpolate(x, size=skip.shape[2:], mode="bilinear")
            x = up(torch.cat([larger, skip], 1))
        return self.out(x)


def mask_probabilities(net: networks.Network, images: Tensor) -> Tensor:
    """(n, 64, 64) probability that a pixel belongs to an object, for RGB (n, 3, 64, 64) in [0, 1]; `net` is
    network("objectness")."""
    if net.classes != answers("objectness", ""):
        raise ValueError(f"net is {net.name}, expected the mask predictor: controls.network('objectness')")
    return networks.scores(net, images, batch=32).softmax(1)[:, 1]


def shows_one_object(probabilities: np.ndarray | Tensor) -> np.ndarray:
    """(n,) bool: whether a predicted mask (n, 64, 64), in [0, 1], is one object of a size that objects have.

    The largest connected region (eight neighbours) above 0.5 has an area within AREAS and holds at least nine tenths
    of all pixels above 0.5.
    """
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 3:
        raise ValueError(f"probabilities: expected an array (n, height, width), found shape {probabilities.shape}")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError(f"probabilities: expected 0 to 1, found {probabilities.min():g} to {probabilities.max():g}")
    found = np.zeros(len(probabilities), bool)
    for i, mask in enumerate(probabilities > 0.5):
        areas = np.bincount(measure.label(mask, connectivity=2).ravel())[1:]
        largest = areas.max(initial=0)
        found[i] = AREAS[0] <= largest <= AREAS[1] and largest >= 0.9 * areas.sum()
    return found
