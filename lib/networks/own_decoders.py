"""Decoders that were tuned on a reader's own network: in build/mine, under what the network is, never in data/weights.

`python -m lib.training.make_mine SPEC` tunes them. A folder is named by the network's name and by the digest of all
that decides its answers, so that an edited network finds none there and an unchanged one is never tuned twice.
"""

import copy
import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib.base import files, identity, paths, weights
from lib.networks import interface, segnet, trained_autoencoders

WORLDS = {"cutouts": "pretrained", "photos": "photos"}  # where a network can enter, and the A_S that is tuned there


class Kept(NamedTuple):
    """A decoder that lies in build/mine."""

    path: Path  # of the info; its tensors lie beside it
    info: dict  # made_by, history, own: share of the pictures that judge which the network reads right through it

    @property
    def steps(self) -> int:
        return self.info["history"]["steps"]


def folder(net: interface.Network) -> Path:
    """The network's folder in build/mine. What it is called, how its layers are and where it runs do not change its
    answers."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", net.name).strip(".-")[:40] or "network"
    about = {"model": copy.deepcopy(net.model).cpu(), "preprocess": net.preprocess}
    about |= {"size": net.size, "classes": net.classes}
    return paths.build() / "mine" / f"{name}-{identity.digest(about)[:16]}"


def key(world: str, made_by: dict) -> str:
    """What the files of a decoder are called: by all that made it but the processor's arithmetic."""
    recipe = {name: value for name, value in made_by["recipe"].items() if name != "precision"}
    return f"{world}-{files.key_digest(made_by | {'recipe': recipe})[:16]}"


def save(net: interface.Network, world: str, state: dict[str, Tensor], info: dict) -> Kept:
    """Keep a decoder's state ("decoder." before its names) and what is known of it; info["made_by"] tells it apart."""
    path = folder(net) / f"{key(world, info['made_by'])}.json"
    arrays = {name: value.detach().cpu().numpy() for name, value in state.items()}
    files.save_arrays(path.with_suffix(".arrays"), arrays)
    digest = files.file_digest(path.with_suffix(".arrays"))
    files.write_json(path, info | {"name": net.name, "digest": digest})
    return Kept(path, json.loads(path.read_text(encoding="utf-8")))


def kept(net: interface.Network, world: str) -> list[Kept]:
    """The network's decoders that fit the A_S that is here, those of most steps first. What cannot be read, or is not
    what was written, is left out, and so made again."""
    base, found = weights.info(f"autoencoders/{WORLDS[world]}")["digest"], []
    for path in sorted(folder(net).glob(f"{world}-*.json")):
        try:
            one = Kept(path, json.loads(path.read_text(encoding="utf-8")))
            whole = files.file_digest(path.with_suffix(".arrays")) == one.info["digest"]
            if whole and one.info["made_by"]["base_digest"] == base and one.steps:
                found.append(one)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda one: -one.steps)


def made(net: interface.Network, one: Kept, device: str = "cpu") -> segnet.Autoencoder:
    """The autoencoder of a decoder: A_S's encoder with it, ready to reconstruct."""
    arrays = files.load_arrays(one.path.with_suffix(".arrays"))
    state = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    return trained_autoencoders.with_decoder(one.info["made_by"]["base"], state, f"A_{net.name}", device)


def best(net: interface.Network, world: str = "photos") -> Kept:
    """The decoder of most steps. FileNotFoundError with the command that tunes one where there is none."""
    if found := kept(net, world):
        return found[0]
    raise FileNotFoundError(
        f"{net.name} has no decoder of its own for {world} yet, at least not as the network is now: "
        "`python -m lib.training.make_mine SPEC` tunes one, and says first how long it takes"
    )
