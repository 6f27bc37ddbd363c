"""Are optimised images processed along the path of natural ones? After Geirhos et al. 2024 ("Don't trust your eyes: on
the (un)reliability of feature visualizations", Section 4), for notebook 12."""

import numpy as np

from lib.experiments.shared.recognised import Judged
from lib.networks import interface
from lib.record.seeds import average, student
from lib.worlds import cutouts


def answers(net: interface.Network, pictures: np.ndarray, layers) -> dict[str, np.ndarray]:
    """By layer how strongly each channel answers, mean over its map: (n, channels) float64."""
    found = interface.features(net, interface.to_tensor(pictures), list(layers))
    return {name: maps.reshape(*maps.shape[:2], -1).mean(2).double().numpy() for name, maps in found.items()}


def likeness(one: np.ndarray, other: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Cosine between rows of `one` (n, c) and of `other` (m, c), both about `centre` (c,): (n, m)."""
    one, other = one - centre, other - centre
    sizes = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)[None]
    return one @ other.T / sizes.clip(1e-12)


def along(net: interface.Network, made: Judged, batch: cutouts.Batch, layers) -> dict[str, np.ndarray]:
    """By layer and class (classes,): where the likeness of images to natural pictures of their class lies between that
    of natural pictures of different classes (0) and that of natural pictures of one class (1).

    batch: natural pictures; no picture is compared with itself. Below 0: less alike than pictures of other classes.
    """
    natural, images, found = answers(net, batch.images, layers), answers(net, made.pictures, layers), {}
    same = batch.labels[:, None] == batch.labels[None]
    itself = np.eye(len(batch.labels), dtype=bool)
    for name in layers:
        centre = natural[name].mean(0)
        between, across = likeness(natural[name], natural[name], centre), likeness(images[name], natural[name], centre)
        values = []
        for label in np.unique(made.targets):
            mine = batch.labels == label
            one = between[mine][same[mine] & ~itself[mine]].mean()
            other = between[mine][~same[mine]].mean()
            shown = across[made.targets == label][:, mine].mean()
            values.append((shown - other) / (one - other))
        found[name] = np.array(values)
    return found


def rows(nets: dict[int, interface.Network], made: dict[str, dict[int, Judged]], batch: cutouts.Batch, layers) -> list:
    """`along` for every row of images, mean over training seeds, with Student's intervals over classes: rows for a
    figure, with layer, name, value, low, high."""
    found = []
    for name, of in made.items():
        each = {seed: along(nets[seed], one, batch, layers) for seed, one in of.items() if seed in nets}
        for layer in layers:
            mean = student(average({seed: one[layer] for seed, one in each.items()}))
            found.append({"layer": layer, "name": name} | mean._asdict())
    return found
