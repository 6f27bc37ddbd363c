"""The control worlds of notebooks 12 and 13, the networks trained on them, and who judges whether a picture shows an
object.

After Nguyen et al. 2016: a generator of one data set for a network of another (the halves), networks of twenty
classes, ten of them modified (the control experiment), and classes that vary in pose or in shape. All worlds are
the cutouts world with other parameters or other cue values; none of them changes a cue's reliability unless it says so.
"""

import numpy as np
import torch
import torch.nn.functional as F
from skimage import measure
from torch import Tensor, nn

from lib.base import weights
from lib.networks import interface, mirrored_hue_reader, zoo
from lib.worlds import control_worlds, cutouts

AREAS = (372, 920)  # pixels: the smallest and the largest mask among the first 20,000 training pictures


# ---------------------------------------------------------------------------------------------- worlds


# -------------------------------------------------------------------------------------------- networks


def network(name: str, device: str = "cpu") -> interface.Network:
    """A network of `python -m lib.training.make_controls` behind the common interface.

    name: "bgr-0", "mosaic-2", "one_pose-1", ..., "bgr-detector" (classes: original, bgr),
    "alexnet-encoder-0" (scores (n, 10, 3): values of the three cues), "silhouette" (classes: the ten shapes),
    "objectness" (scores (n, 2, 64, 64): read it with `mask_probabilities`). FileNotFoundError lists what there is.
    """
    name = name.removeprefix("controls/")
    state, info = weights.load(f"controls/{name}")
    job = info["made_by"]["job"]
    names, model = answers(job["kind"], job["world"]), build(job["kind"], job["family"], job["world"])
    model.load_state_dict(state)
    model.eval().requires_grad_(False).to(device)
    layers = zoo.layers(job["family"]) if job["family"] in zoo.BUILDERS else {}
    return interface.Network(name, model, zoo.preprocess, zoo.SIZE, names, layers, info["digest"])


def answers(kind: str, world: str) -> tuple[str, ...]:
    """What the scores of a network of this kind stand for."""
    if kind == "objectness":
        return ("background", "object")
    if kind == "silhouette":
        return cutouts.SHAPES
    if kind == "encoder":
        return tuple(f"value {k}" for k in range(cutouts.CLASSES))
    return ("original", world) if kind == "detector" else control_worlds.classes(world)


def build(kind: str, family: str, world: str, seed: int = 0) -> nn.Module:
    """The untrained network of a kind: one of zoo.BUILDERS, or the `Masker`; a seed gives its weights to the bit."""
    if kind == "encoder":  # a score for every value of every cue
        model = zoo.build(family, cutouts.CLASSES * len(cutouts.CUES), seed)
        model.add_module("cues", nn.Unflatten(1, (cutouts.CLASSES, len(cutouts.CUES))))
        return model
    if family in zoo.BUILDERS:
        return zoo.build(family, len(answers(kind, world)), seed)
    if family == "mirrored":
        return mirrored_hue_reader.Mirrored(seed)
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


def mask_probabilities(net: interface.Network, images: Tensor) -> Tensor:
    """(n, 64, 64) probability that a pixel belongs to an object, for RGB (n, 3, 64, 64) in [0, 1]; `net` is
    network("objectness")."""
    if net.classes != answers("objectness", ""):
        raise ValueError(f"net is {net.name}, expected the mask predictor: controls.network('objectness')")
    return interface.scores(net, images, batch=32).softmax(1)[:, 1]


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
