"""The networks that tune and read signals: of the zoo, the photos profile and the paper's, by one kind of name; and
those of a reader, by the path of a spec file or as "torchvision:<name>", beside the photos profile's.
"""

import copy
import re
from pathlib import Path

import torch
from torch import nn

from lib.base import identity, strict_yaml
from lib.networks import (
    catalogue,
    interface,
    own_decoders,
    paper_networks,
    photo_networks,
    segnet,
    trained_autoencoders,
    zoo,
)
from lib.worlds import imagenet_classes

WORLDS = {  # by the pictures that they read
    "cutouts": zoo.EVERY,
    "photos": tuple(photo_networks.NETWORKS),
    "paper": tuple(paper_networks.NETWORKS),
}
MINE = "mine"  # the world of a reader's network, which reads photographs that the reader brought
FIRST = {"cutouts": "pretrained", "photos": "photos", "paper": "paper"}  # A_S in data/weights/autoencoders
LETTERS = zoo.LETTERS | photo_networks.NETWORKS | paper_networks.NETWORKS  # each but once in a world
TITLES = zoo.TITLES | photo_networks.TITLES | paper_networks.TITLES

CONVOLUTIONS = {"alexnet_convolutions": "AlexNet", "vgg16_convolutions": "VGG16"}  # name no class, so read no signals


def own(name: str) -> bool:
    """Whether a name is that of a reader's network: the path of a spec file, or torchvision:<name>."""
    return name.endswith((".yaml", ".yml")) or name.startswith("torchvision:")


def title(name: str) -> str:
    """What figures call a network of the catalogue, or one of a training seed ("vgg-0"), or a reader's: the name in its
    spec file, else that of the file; any other keeps its name."""
    if own(name):
        return _own_title(name)
    known = TITLES | CONVOLUTIONS
    return known.get(name) or known.get(name.rpartition("-")[0], name)


def _own_title(name: str) -> str:
    if name.startswith("torchvision:"):
        return name.removeprefix("torchvision:")
    try:
        given = strict_yaml.read(path := Path(name).expanduser()).get("name")
    except (OSError, ValueError, AttributeError):  # who loads it is told what is wrong
        return Path(name).stem
    return given if isinstance(given, str) and given else path.stem


def letter(name: str) -> str:
    """What tables call a network, where there is little room: its letter, or a short form of a reader's title."""
    return short(title(name)) if own(name) else LETTERS[name]


def short(name: str) -> str:
    """The letters and digits of a name, or its first and last three where there are more than seven."""
    plain = re.sub(r"[^A-Za-z0-9]", "", name) or "mine"
    return plain if len(plain) <= 7 else f"{plain[:3]}…{plain[-3:]}"


def apart(names) -> list[str]:
    """`names` if figures and tables can tell them apart; else ValueError: two of them are called the same."""
    for called in (title, letter):
        found = {"S": "A_S", "none": "none"}
        for name in names:
            if (other := found.setdefault(called(name), name)) != name:
                raise ValueError(
                    f"families: {other} and {name} are both called {called(name)!r} in figures; give one of them "
                    "another `name:` in its spec file"
                )
    return list(names)


def comparable(net: interface.Network) -> interface.Network:
    """`net` if its answers can be compared with those of the photos profile's networks; ValueError if it has other
    classes than ImageNet's 1000, by name and in their order."""
    expected, found = imagenet_classes.imagenet_classes(), net.classes
    if len(found) != len(expected):
        what = f"it has {len(found)} classes, expected ImageNet's {len(expected)}"
    elif not imagenet_classes.is_imagenet(found):
        k = next(k for k, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1])
        what = f"its class {k} is {found[k]!r}, expected {expected[k]!r} (`classes: imagenet` in a spec file)"
    else:
        return net
    raise ValueError(
        f"{net.name} cannot enter the order of the photographs, whose networks all name ImageNet's 1000 classes: {what}"
    )


def world(name: str) -> str:
    """The world of a network. ValueError for a name that none has."""
    for found, names in WORLDS.items():
        if name in names:
            return found
    if own(name):
        return "photos"
    raise ValueError(f"no network is called {name!r}, expected one of {', '.join(LETTERS)}")


def network(name: str, seed: int = 0, device: str = "cpu", size: int = photo_networks.SIZE) -> interface.Network:
    """A classifier of the zoo, of one training seed, or a network of another world, of which there is one each (`seed`
    is not read); of photographs, one that reads pictures of `size` pixels. ValueError for another name."""
    if world(name) == "cutouts":
        return zoo.network(name, seed, device)
    return (
        photo_networks.load(name, device, size=size) if world(name) == "photos" else paper_networks.load(name, device)
    )


def untrained(name: str, seed: int = 0, device: str = "cpu", size: int = photo_networks.SIZE) -> interface.Network:
    """The same classifier before any training: what the zoo's began from, or random weights that `seed` draws.
    ValueError for a reader's network none of whose modules can draw its weights again."""
    if world(name) == "cutouts":
        return zoo.network(name, seed, device, stage="step0")
    if own(name):
        return _drawn_again(network(name, device=device, size=size), seed)
    if world(name) == "photos":
        return photo_networks.load(name, device, weights=False, seed=seed, size=size)
    return paper_networks.load(name, device, weights=False, seed=seed)


def _drawn_again(net: interface.Network, seed: int) -> interface.Network:
    """The network with the weights of all modules that know how to draw them (reset_parameters) drawn again."""
    model = copy.deepcopy(net.model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1000 + seed)  # not the one that a factory's random weights may have come from
        for part in model.modules():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
    if identity.state_digest(model) == identity.state_digest(net.model):
        raise ValueError(f"{net.name} has no untrained twin: none of its modules has reset_parameters")
    return net._replace(model=model.eval().requires_grad_(False), digest=identity.state_digest(model))


def chosen(where: str, families, seeds, retrain: bool = False) -> list[str]:
    """The networks that a notebook's parameter names (["all"]: all of the world that is read). ValueError for one of
    another world, and for seeds or a training that only the zoo has. A reader's network may stand beside those of the
    photos profile."""
    if where == "cutouts":
        return zoo.chosen(families)
    if where == MINE:
        return list(families)
    names = everybody(where, families)
    if other := [name for name in names if name not in WORLDS[where] and not (own(name) and where == "photos")]:
        known = ", ".join(WORLDS[where])
        raise ValueError(f"families: found {', '.join(other)}, and world is {where}; expected of {known}")
    if retrain or list(seeds) != [0]:
        asked = "retrain is true" if retrain else f"seeds is {list(seeds)}"
        raise ValueError(f"{asked} and world is {where}, whose networks are one training each; expected seeds [0]")
    return names


def everybody(where: str, families) -> list[str]:
    """`families` with "all" as every network of a world, each name once: ["all", "mine.yaml"] is one more than all."""
    return list(dict.fromkeys(one for name in families for one in (WORLDS[where] if name == "all" else [name])))


def module(name: str) -> nn.Module:
    """The network's module, with weights or without: for what does not depend on them."""
    if own(name):
        return network(name).model
    if world(name) == "cutouts":
        return zoo.build(name)
    return catalogue.load(name, weights=False).model if world(name) == "photos" else untrained(name).model


def stride(name: str) -> int:
    """Stride of the network's first convolution, pixels; 1 where there is none."""
    return next((part.stride[0] for part in module(name).modules() if isinstance(part, nn.Conv2d)), 1)


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


def decoder(name: str, seed: int = 0, how: str = "", device: str = "cpu") -> segnet.Autoencoder:
    """The network's A_i: a committed one (`autoencoder`), or what was tuned on a reader's network, of which there is
    one (`seed` and `how` are not read). FileNotFoundError if it was not tuned."""
    if not own(name):
        return trained_autoencoders.autoencoder(autoencoder(name, seed, how), device=device)
    net = network(name, device=device)
    return own_decoders.made(net, own_decoders.best(net), device)
