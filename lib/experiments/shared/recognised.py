"""Who recognises an optimised image: networks that took no part in making it. The judge of notebooks 11 to 14."""

from typing import NamedTuple

import numpy as np

from lib.base import cache
from lib.experiments.shared.class_images import Made
from lib.networks import interface, single_cue_readers, zoo
from lib.worlds import cutouts


class Judged(NamedTuple):
    """n pictures, what they were made for, and what the primary judge, three networks that name one cue each, says."""

    pictures: np.ndarray  # (n, S, S, 3) uint8
    targets: np.ndarray  # (n,) class numbers
    before: np.ndarray | None  # (n, classes) scores of the start images by the network excited; None: nobody was
    after: np.ndarray | None  # (n, classes) scores of these pictures by that network
    read: np.ndarray  # (3, n, 10) probabilities, in the order of cutouts.CUES

    @property
    def hits(self) -> np.ndarray:
        """Which of the three assign which picture to its target class, (3, n) bool."""
        return self.read.argmax(2) == self.targets

    @property
    def activation(self) -> np.ndarray:
        """The score of the target class by the network excited, (n,); NaN where nobody was."""
        if self.after is None:
            return np.full(len(self.targets), np.nan)
        return self.after[np.arange(len(self.targets)), self.targets]


def read(pictures: np.ndarray) -> np.ndarray:
    """What the three single-cue networks say about pictures (n, 64, 64, 3) uint8: probabilities (3, n, 10), in the
    order of cutouts.CUES, kept by content."""
    readers = [single_cue_readers.reader(cue) for cue in cutouts.CUES]

    def compute() -> dict[str, np.ndarray]:
        images = interface.to_tensor(pictures)
        return {"read": np.stack([interface.scores(one, images).softmax(1).numpy() for one in readers])}

    return cache.cached("readings", {"pictures": pictures, "readers": readers}, compute)["read"]


def judge(pictures: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Which of the three single-cue networks assign a picture (n, 64, 64, 3) uint8 to its target class: (3, n) bool,
    in the order of cutouts.CUES. The primary judge's score is the mean of the three (claim G1)."""
    return read(pictures).argmax(2) == targets


def judged(made: Made) -> Judged:
    """Images with the primary judge's reading of them."""
    return Judged(*made, read(made.pictures))


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
