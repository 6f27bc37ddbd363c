"""The networks that tune and read signals: of the zoo, the photos profile and the paper's, by one kind of name."""

from torch import nn

from lib.networks import catalogue, interface, paper_networks, photo_networks, zoo

WORLDS = {  # by the pictures that they read
    "cutouts": zoo.EVERY,
    "photos": tuple(photo_networks.NETWORKS),
    "paper": tuple(paper_networks.NETWORKS),
}
FIRST = {"cutouts": "pretrained", "photos": "photos", "paper": "paper"}  # A_S in data/weights/autoencoders
LETTERS = zoo.LETTERS | photo_networks.NETWORKS | paper_networks.NETWORKS  # each but once in a world
TITLES = zoo.TITLES | photo_networks.TITLES | paper_networks.TITLES

CONVOLUTIONS = {"alexnet_convolutions": "AlexNet", "vgg16_convolutions": "VGG16"}  # name no class, so read no signals


def title(name: str) -> str:
    """What figures call a network of the catalogue, or one of a training seed ("vgg-0"); any other keeps its name."""
    known = TITLES | CONVOLUTIONS
    return known.get(name) or known.get(name.rpartition("-")[0], name)


def world(name: str) -> str:
    """The world of a network. ValueError for a name that none has."""
    for found, names in WORLDS.items():
        if name in names:
            return found
    raise ValueError(f"no network is called {name!r}, expected one of {', '.join(LETTERS)}")


def network(name: str, seed: int = 0, device: str = "cpu") -> interface.Network:
    """A classifier of the zoo, of one training seed, or a network of another world, of which there is one each (`seed`
    is not read). ValueError for another name."""
    if world(name) == "cutouts":
        return zoo.network(name, seed, device)
    return photo_networks.load(name, device) if world(name) == "photos" else paper_networks.load(name, device)


def untrained(name: str, seed: int = 0, device: str = "cpu") -> interface.Network:
    """The same classifier before any training: what the zoo's began from, or random weights that `seed` draws."""
    if world(name) == "cutouts":
        return zoo.network(name, seed, device, stage="step0")
    load = photo_networks.load if world(name) == "photos" else paper_networks.load
    return load(name, device, weights=False, seed=seed)


def chosen(where: str, families, seeds, retrain: bool = False) -> list[str]:
    """The networks that a notebook's parameter names (["all"]: all of the world that is read). ValueError for one of
    another world, and for seeds or a training that only the zoo has."""
    if where == "cutouts":
        return zoo.chosen(families)
    names = list(WORLDS[where]) if list(families) == ["all"] else list(families)
    if other := [name for name in names if name not in WORLDS[where]]:
        known = ", ".join(WORLDS[where])
        raise ValueError(f"families: found {', '.join(other)}, and world is {where}; expected of {known}")
    if retrain or list(seeds) != [0]:
        asked = "retrain is true" if retrain else f"seeds is {list(seeds)}"
        raise ValueError(f"{asked} and world is {where}, whose networks are one training each; expected seeds [0]")
    return names


def module(name: str) -> nn.Module:
    """The network's module, with weights or without: for what does not depend on them."""
    if world(name) == "cutouts":
        return zoo.build(name)
    return catalogue.load(name, weights=False).model if world(name) == "photos" else untrained(name).model


def stride(name: str) -> int:
    """Stride of the network's first convolution, pixels."""
    return next(part.stride[0] for part in module(name).modules() if isinstance(part, nn.Conv2d))


def parameters(name: str) -> int:
    """Number of the network's parameters."""
    return sum(parameter.numel() for parameter in module(name).parameters())


def first(name: str) -> str:
    """The autoencoder A_S that the network's own was tuned from, by its name in data/weights/autoencoders."""
    return FIRST[world(name)]


def autoencoder(name: str, seed: int = 0, how: str = "") -> str:
    """The name of the network's A_i in data/weights/autoencoders; how: the ending (trained_autoencoders.py)."""
    prefix = "" if world(name) == "cutouts" else f"{world(name)}-"
    return f"{prefix}{name}-{seed}" + (f"-{how}" if how else "")
