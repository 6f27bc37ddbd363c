"""The networks that tune and read signals, of the zoo and of the photos profile, by one kind of name."""

from torch import nn

from lib.networks import catalogue, interface, photo_networks, zoo

LETTERS = zoo.LETTERS | photo_networks.NETWORKS
TITLES = zoo.TITLES | photo_networks.TITLES


def network(name: str, seed: int = 0, device: str = "cpu") -> interface.Network:
    """A classifier of the zoo, of one training seed, or a network of the photos profile, of which there is one each
    (`seed` is not read). ValueError for another name."""
    if name in zoo.EVERY:
        return zoo.network(name, seed, device)
    if name in photo_networks.NETWORKS:
        return photo_networks.load(name, device)
    raise ValueError(f"no network is called {name!r}, expected one of {', '.join(LETTERS)}")


def untrained(name: str, seed: int = 0, device: str = "cpu") -> interface.Network:
    """The same classifier before any training: what the zoo's began from, or random weights that `seed` draws."""
    if name in zoo.EVERY:
        return zoo.network(name, seed, device, stage="step0")
    return photo_networks.load(name, device, weights=False, seed=seed)


def chosen(world: str, families, seeds, retrain: bool = False) -> list[str]:
    """The networks that a notebook's parameter names (["all"]: all of the world that is read). ValueError for one of
    the other world, and for seeds or a training that the photos profile has not."""
    if world == "cutouts":
        return zoo.chosen(families)
    names = list(photo_networks.NETWORKS) if list(families) == ["all"] else list(families)
    if other := [name for name in names if name not in photo_networks.NETWORKS]:
        known = ", ".join(photo_networks.NETWORKS)
        raise ValueError(f"families: found {', '.join(other)}, and world is photos; expected of {known}")
    if retrain or list(seeds) != [0]:
        asked = "retrain is true" if retrain else f"seeds is {list(seeds)}"
        raise ValueError(f"{asked} and world is photos, whose networks are one training each; expected seeds [0]")
    return names


def module(name: str) -> nn.Module:
    """The network's module, with weights or without: for what does not depend on them."""
    return zoo.build(name) if name in zoo.EVERY else catalogue.load(name, weights=False).model


def stride(name: str) -> int:
    """Stride of the network's first convolution, pixels."""
    return next(part.stride[0] for part in module(name).modules() if isinstance(part, nn.Conv2d))


def parameters(name: str) -> int:
    """Number of the network's parameters."""
    return sum(parameter.numel() for parameter in module(name).parameters())


def first(name: str) -> str:
    """The autoencoder A_S that the network's own was tuned from, by its name in data/weights/autoencoders."""
    return "photos" if name in photo_networks.NETWORKS else "pretrained"


def autoencoder(name: str, seed: int = 0, how: str = "") -> str:
    """The name of the network's A_i in data/weights/autoencoders; how: the ending (trained_autoencoders.py)."""
    prefix = "photos-" if name in photo_networks.NETWORKS else ""
    return f"{prefix}{name}-{seed}" + (f"-{how}" if how else "")
