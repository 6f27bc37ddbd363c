"""Who recognises an optimised image: networks that took no part in making it."""

from typing import NamedTuple

import numpy as np

from lib.experiments.shared import class_images
from lib.experiments.shared.class_images import Recipe
from lib.networks import interface, single_cue_readers, zoo
from lib.worlds import cutouts


class Judged(NamedTuple):
    """What class_models.Made holds, and which of the single-cue networks recognise it."""

    pictures: np.ndarray  # (n, S, S, 3) uint8
    targets: np.ndarray  # (n,)
    before: np.ndarray  # (n, classes)
    after: np.ndarray  # (n, classes)
    hits: np.ndarray  # (3, n) bool, in the order of cutouts.CUES


def judge(pictures: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Which of the three single-cue networks assign a picture (n, 64, 64, 3) uint8 to its target class: (3, n) bool,
    in the order of cutouts.CUES. The primary judge's score is the mean of the three (claim G1)."""
    images = interface.to_tensor(pictures)
    said = [interface.scores(single_cue_readers.reader(cue), images).argmax(1).numpy() for cue in cutouts.CUES]
    return np.stack(said) == targets


def judged(net: interface.Network, recipe: Recipe, *options) -> Judged:
    """class_models.make(net, recipe, stream, starts, steps, seed, device), and the primary judge's reading."""
    made = class_images.make(net, recipe, *options)
    return Judged(*made, judge(made.pictures, made.targets))


def others(pictures: np.ndarray, targets: np.ndarray, families, seed: int, device="cpu") -> np.ndarray:
    """Which classifiers of `families` assign a picture to its target class: (families, n) bool."""
    images = interface.to_tensor(pictures).to(device)
    nets = [zoo.network(family, seed, device) for family in families]
    return np.stack([interface.scores(net, images).argmax(1).cpu().numpy() for net in nets]) == targets


def by_class(hits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mean of readings (..., n) for each class: (classes,)."""
    flat = hits.reshape(-1, hits.shape[-1]).mean(0)
    return np.array([flat[targets == label].mean() for label in np.unique(targets)])


def high_frequencies(pictures: np.ndarray) -> np.ndarray:
    """Share of a picture's energy without its mean above half the highest frequency of its rows or columns, (n,)."""
    power = np.abs(np.fft.fft2(pictures / 255, axes=(1, 2))) ** 2
    power[:, 0, 0] = 0
    side = np.abs(np.fft.fftfreq(pictures.shape[1]))
    high = np.maximum(side[:, None], side[None]) > 0.25
    return power[:, high].sum((1, 2)) / power.sum((1, 2, 3)).clip(1e-12)
