"""What classifiers read in reconstructions: each test picture is reconstructed once per autoencoder, then read by all.

Rows are autoencoders A_i, columns classifiers j, as in Table 2 of Palacio et al. 2018. Answers are kept by content; the
job `python -m lib.jobs.signals --profile embedded` fills the cache before the notebooks that share it run.
"""

from functools import partial

import numpy as np

from lib.base import cache, identity
from lib.experiments.shared import answers as shared_answers
from lib.networks import interface, readers, segnet, trained_autoencoders
from lib.worlds import cutouts

CHUNK = 500  # pictures whose answers are kept together: who asks about more of them reads the first ones again


def answers(autoencoder: segnet.Autoencoder | None, nets: list[interface.Network], pictures: cutouts.Batch) -> list:
    """Class probabilities (n, classes), float32, of each network on the reconstructions of all pictures; on the
    pictures themselves if `autoencoder` is None. ValueError if a network's classes are not the world's."""
    for net in nets:
        small = pictures.images.shape[1] == cutouts.SIZE
        if len(net.classes) != (expected := cutouts.CLASSES if small else 1000):
            what = "the cutouts world" if small else "ImageNet"
            raise ValueError(f"{net.name} has {len(net.classes)} classes, expected the {expected} of {what}")
    if autoencoder is None:
        return [shared_answers.probabilities(net, pictures) for net in nets]
    said = [_answers(autoencoder, nets, pictures.images[k : k + CHUNK]) for k in range(0, len(pictures.images), CHUNK)]
    return [np.concatenate(parts) for parts in zip(*said, strict=True)]


def _answers(autoencoder: segnet.Autoencoder, nets: list[interface.Network], pictures: np.ndarray) -> list[np.ndarray]:
    images = None

    def read(net: interface.Network) -> dict[str, np.ndarray]:
        nonlocal images
        if images is None:
            images = segnet.reconstruct(autoencoder, interface.to_tensor(pictures))
        return {"probabilities": interface.scores(net, images).softmax(1).numpy()}

    # the parts that all networks share are read once
    about = {"autoencoder": identity.of(autoencoder), "pictures": identity.of(pictures)}
    return [cache.cached("signals", about | {"network": net}, partial(read, net))["probabilities"] for net in nets]


def hits(autoencoder: segnet.Autoencoder | None, nets: list[interface.Network], pictures: cutouts.Batch) -> np.ndarray:
    """(networks, n) bool: where each network names the label of what the autoencoder gives it."""
    return np.stack([said.argmax(1) == pictures.labels for said in answers(autoencoder, nets, pictures)])


def cross(made: list[segnet.Autoencoder], nets: list[interface.Network], pictures: cutouts.Batch) -> np.ndarray:
    """(autoencoders, networks, n) bool for any autoencoders and classifiers of this world, your own included."""
    return np.stack([hits(one, nets, pictures) for one in made])


def zoo_of(families, seed: int, device: str = "cpu") -> list[interface.Network]:
    """The classifiers of one seed, in the order of `families`."""
    return [readers.network(family, seed, device) for family in families]


def tuned(family: str, seed: int, how: str = "", device: str = "cpu") -> segnet.Autoencoder:
    """A_i of a family and a seed; `how`: the ending in the names of lib/networks/trained_autoencoders.py."""
    return readers.decoder(family, seed, how, device)


def first(families, device: str = "cpu") -> segnet.Autoencoder:
    """A_S, from which the A_i of these families were tuned. ValueError for families of both worlds."""
    names = {readers.first(family) for family in families}
    if len(names) != 1:
        raise ValueError(f"families: found {', '.join(families)}, expected networks of one world")
    return trained_autoencoders.autoencoder(names.pop(), device=device)


def table(
    families,
    seed: int,
    pictures: cutouts.Batch,
    how: str = "",
    *,
    readers: int | None = None,
    device="cpu",
) -> np.ndarray:
    """Table 2: (k, k, n) bool, [i, j] says where classifier j names the label of A_i's reconstructions.

    `readers` is the seed of the classifiers, by default that of the autoencoders. `how`: as for `tuned`.
    """
    nets = zoo_of(families, seed if readers is None else readers, device)
    return cross([tuned(family, seed, how, device) for family in families], nets, pictures)


def alone(families, seed: int, pictures: cutouts.Batch, device="cpu") -> np.ndarray:
    """(k, n) bool: where each classifier names the label of the picture itself."""
    return hits(None, zoo_of(families, seed, device), pictures)


def pretrained(families, seed: int, pictures: cutouts.Batch, name: str = "", device="cpu") -> np.ndarray:
    """(k, n) bool: where each classifier names the label of A_S's reconstruction, or of a variant's, by its `name`."""
    made = trained_autoencoders.autoencoder(name, device=device) if name else first(families, device)
    return hits(made, zoo_of(families, seed, device), pictures)
