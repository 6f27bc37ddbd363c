"""`python -m lib.training.make_paper`: Palacio et al. 2018 at the paper's own size, on ImageNet and several devices.

A_S is a SegNet of two VGG16 halves (13 convolutions each, five pools), trained to copy crops of 224 pixels of any large
folder of pictures; then its decoder is tuned on each of the paper's five classifiers over ImageNet's training pictures.
LeNet-5 for 224 pixels is trained first, since torchvision has none. The paper gives neither rate nor length of the
tuning; those below are ours. With --devices N, Lightning Fabric starts a process a device, and each reads its part of
every batch. It has been tried on a handful of pictures, with random weights, on one and on two processes of a CPU.

    python -m lib.training.make_paper lenet a_s signals --pictures /data/yfcc --device cuda --devices 8
"""

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lib.base import weights
from lib.networks import paper_networks, segnet, trained_autoencoders
from lib.training import autoencoders, classifiers, loop, store
from lib.worlds import folders

SHAPE = segnet.Shape((64, 128, 256, 512, 512), (2, 2, 3, 3, 3))
SIZE = 224  # pixels
VALIDATION = 2_000  # pictures of ImageNet's validation split
A_S = autoencoders.Recipe(
    epoch=256_000, validation=VALIDATION, batch=256, rate=1e-3, shift=0, light=0.2, noise=0.1, epochs=360,
    improvement=0.0,
)  # 92 million crops, as many as the paper's A_S saw  # fmt: skip
TUNING = autoencoders.Recipe(
    epoch=128_000, validation=VALIDATION, batch=128, shift=0, epochs=30, improvement=0.0
)  # 30,000 steps, as public re-implementations took
LENET = classifiers.Recipe(images=1_281_167, epoch=256_000, validation=VALIDATION, batch=512, shift=0, epochs=60)


def lenet(recipe: classifiers.Recipe, **options) -> dict:
    """Train LeNet-5 for 224 pixels on ImageNet; returns its info."""
    train, held = folders.imagenet("train"), folders.imagenet("val")
    network = paper_networks.load("lenet_224", weights=False, seed=recipe.seed)
    made_by = {"recipe": recipe._asdict(), "data": "ImageNet"}

    def fit(checkpoint) -> dict:
        data = labelled(train, recipe)
        validation = spread(held, recipe.validation)
        state, history = classifiers.fit(
            network.model.requires_grad_(True), data, validation, network.preprocess, recipe, checkpoint=checkpoint,
            **options,
        )  # fmt: skip
        history.pop("kept")
        return saved("paper/lenet_224", state, {"made_by": made_by, "history": history})

    return store.once("paper/lenet_224", made_by, fit)


def base(recipe: autoencoders.Recipe, pictures: Path | None = None, shape: segnet.Shape = SHAPE, **options) -> dict:
    """Train A_S on the pictures below a folder, by default ImageNet's training pictures; returns its info."""
    recipe = recipe._replace(fall=recipe.epochs * (recipe.epoch // recipe.batch))
    files = folders.pictures(pictures) if pictures else [file for file, _ in folders.imagenet("train")]
    made_by = {"shape": shape, "recipe": recipe._asdict(), "data": f"{len(files)} pictures"}

    def train(checkpoint) -> dict:
        made, (validation, _) = (
            segnet.build(shape, recipe.seed, "paper"),
            spread(folders.imagenet("val"), recipe.validation),
        )
        data = partial(folders.epoch, files, recipe.epoch, SIZE, recipe.seed)
        held = {"photographs": validation}
        state, history = autoencoders.pretrain(made, data, recipe, held, checkpoint=checkpoint, **options)
        history.pop("kept")
        return saved("autoencoders/paper", state, {"made_by": made_by, "history": history})

    return store.once("autoencoders/paper", made_by, train)


def tuned(name: str, rate: float, recipe: autoencoders.Recipe, random: bool = False, **options) -> dict:
    """Tune A_S's decoder on one of the paper's classifiers (with random weights, for a trial); returns its info."""
    recipe = recipe._replace(rate=rate, fall=recipe.epochs * (recipe.epoch // recipe.batch))
    network = paper_networks.load(name, weights=not random)
    made, described = trained_autoencoders.autoencoder("paper"), weights.info("autoencoders/paper")
    made_by = {"shape": described["made_by"]["shape"], "base": "paper", "base_digest": described["digest"]}
    made_by |= {"recipe": recipe._asdict(), "network": network.digest}

    def train(checkpoint) -> dict:
        data = labelled(folders.imagenet("train"), recipe)
        held = spread(folders.imagenet("val"), recipe.validation)
        state, history = autoencoders.tune(made, network, data, recipe, held, checkpoint=checkpoint, best="", **options)
        history.pop("kept")
        return saved(f"autoencoders/paper-{name}-0-rate{rate:g}", state, {"made_by": made_by, "history": history})

    return store.once(f"autoencoders/paper-{name}-0-rate{rate:g}", made_by, train)


def labelled(found: list[tuple[Path, int]], recipe) -> Callable[[int], tuple[folders.Crops, np.ndarray]]:
    """epoch -> random crops of these pictures, and their classes."""
    files, labels = zip(*found, strict=True)

    def epoch(number: int) -> tuple[folders.Crops, np.ndarray]:
        crops = folders.epoch(list(files), recipe.epoch, SIZE, recipe.seed, number)
        return crops, np.array(labels)[crops.chosen]

    return epoch


def spread(found: list[tuple[Path, int]], n: int) -> tuple[np.ndarray, np.ndarray]:
    """`n` of the pictures (all, where there are fewer), evenly spaced, as networks are tested on them, and classes."""
    n = min(n, len(found))
    files, labels = zip(*(found[k * len(found) // n] for k in range(n)), strict=True)
    return folders.centred(list(files), SIZE), np.array(labels)


def saved(name: str, state: dict, info: dict) -> dict:
    """Write weights, by the first of several processes alone, while the others wait; returns their info."""
    several = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not several:
        return weights.save(name, state, info)
    if torch.distributed.get_rank() == 0:
        weights.save(name, state, info)
    torch.distributed.barrier()
    return weights.info(name)


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("lenet", "a_s", "signals"), nargs="+")
    parser.add_argument("--pictures", type=Path, help="a folder for A_S; default: ImageNet's training pictures")
    parser.add_argument("--networks", nargs="*", default=list(paper_networks.NETWORKS))
    parser.add_argument("--rate", type=float, default=paper_networks.RATE, help="largest rate of tuning")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--devices", type=int, default=1, help="how many of its kind, a process each")
    parser.add_argument("--precision", default=None, help="a precision of Lightning Fabric; default: the device's own")
    trial = "pictures an epoch, for a trial with small batches, one epoch and random weights"
    parser.add_argument("--trial", type=int, default=0, help=trial)
    chosen = parser.parse_args(arguments)
    chosen.precision = chosen.precision or loop.precision(chosen.device)
    return chosen


def main(arguments: list[str] | None = None) -> None:
    """The command line. Weights are written into the folder of weights at once, each when it is done."""
    chosen = options(arguments)
    how = {"device": chosen.device, "devices": chosen.devices}
    recipes = [one._replace(precision=chosen.precision) for one in (LENET, A_S, TUNING)]
    if n := chosen.trial:
        recipes = [one._replace(epoch=n, validation=n, batch=min(4, n), epochs=1) for one in recipes]
        recipes[0] = recipes[0]._replace(images=n)
    if "lenet" in chosen.what:
        report(lenet(recipes[0], **how))
    if "a_s" in chosen.what:
        report(base(recipes[1], chosen.pictures, **how))
    for name in chosen.networks if "signals" in chosen.what else ():
        report(tuned(name, chosen.rate, recipes[2], random=bool(chosen.trial), **how))


def report(info: dict) -> None:
    """A line for the reader, from the first process alone."""
    if not int(os.environ.get("LOCAL_RANK", 0)) and not int(os.environ.get("NODE_RANK", 0)):
        print(store.said(info), flush=True)  # noqa: T201 - what a person at the terminal waits for


if __name__ == "__main__":
    main()
