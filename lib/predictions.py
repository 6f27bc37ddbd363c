"""What every network of the zoo says about the test pictures, computed once and kept by content.

`python -m lib.predictions --profile embedded` is the job that fills the cache before the notebooks that share it run; a
notebook that finds the cache empty computes the same numbers itself.
"""

import argparse

import numpy as np
import torch

from lib import cutouts, files, networks, params, stats, weights, zoo
from lib.run import repeatable


def probabilities(net: networks.Network, pictures: cutouts.Batch) -> np.ndarray:
    """Class probabilities (n, classes) of a network on a batch of pictures, float32, cached by the content of both."""
    device = next(net.model.parameters()).device
    key = {"network": net.digest, "layers": files.sha256(repr(net.model).encode()), "device": str(device)}
    key |= {"pictures": files.sha256(pictures.images.tobytes()), "torch": torch.__version__}
    key["code"] = [files.file_digest(module.__file__) for module in (networks, zoo)]

    def compute() -> dict[str, np.ndarray]:
        scores = networks.scores(net, networks.to_tensor(pictures.images), batch=250)
        return {"probabilities": scores.softmax(1).numpy()}

    return files.cached("predictions", key, compute)["probabilities"]


def reader(cue: str) -> networks.Network:
    """The single-cue reader of `cue` (shape, texture or hue): its classes are the values of that cue."""
    state, info = weights.load(f"cutouts/reader-{cue}")
    model = zoo.build(info["made_by"]["family"], cutouts.CLASSES)
    model.load_state_dict(state)
    values = {
        "shape": cutouts.SHAPES,
        "texture": cutouts.TEXTURES,
        "hue": tuple(f"{hue} degrees" for hue in cutouts.HUES),
    }
    layers = zoo.layers(info["made_by"]["family"])
    return networks.Network(
        f"reader-{cue}",
        model.eval().requires_grad_(False),
        zoo.preprocess,
        cutouts.SIZE,
        values[cue],
        layers,
        info["digest"],
    )


def pixel_ceiling(world: cutouts.World, pictures: cutouts.Batch) -> np.ndarray:
    """P(label | picture) (n, 10) by the three single-cue readers, combined by the exact formula: what pixels allow."""
    return cutouts.combine(world, [probabilities(reader(cue), pictures) for cue in cutouts.CUES])


def readings(pictures: cutouts.Batch) -> dict[str, float]:
    """How often each single-cue reader names its cue: {cue: share of the pictures}."""
    answers = {cue: probabilities(reader(cue), pictures).argmax(1) for cue in cutouts.CUES}
    return {cue: float((answers[cue] == pictures.cues[:, k]).mean()) for k, cue in enumerate(cutouts.CUES)}


def described(family: str, seeds) -> tuple[str, str, str, str]:
    """Title, number of parameters, kernel and stride of the first convolution, epochs of each seed's training."""
    model = zoo.build(family)
    stem = next(module for module in model.modules() if hasattr(module, "kernel_size"))
    epochs = [str(weights.info(f"cutouts/{family}-{seed}")["history"]["epochs"]) for seed in seeds]
    size = sum(parameter.numel() for parameter in model.parameters())
    return zoo.TITLES[family], f"{size:,}", f"{stem.kernel_size[0]} / {stem.stride[0]}", ", ".join(epochs)


def accuracies(nets: dict[tuple, networks.Network], sets: dict[str, cutouts.Batch]) -> list[dict]:
    """Accuracy of each network {(family, seed): network} on each set of pictures, as rows for a figure, with 95 %
    Wilson intervals over pictures."""
    found = []
    for group, pictures in sets.items():
        for (family, seed), net in nets.items():
            hits = probabilities(net, pictures).argmax(1) == pictures.labels
            found.append(_share(family, seed, group, hits))
    return found


def followed(nets: dict[tuple, networks.Network], pictures: cutouts.Batch) -> list[dict]:
    """Share of cue-conflict pictures in which each network's answer is the class that the shape, the texture, the
    hue or none of them names, as rows for a figure."""
    found = []
    for (family, seed), net in nets.items():
        follows = probabilities(net, pictures).argmax(1)[:, None] == pictures.cues
        for group, hits in zip((*cutouts.CUES, "none of them"), [*follows.T, ~follows.any(1)], strict=True):
            found.append(_share(family, seed, group, hits))
    return found


def _share(family: str, seed: int, group: str, hits: np.ndarray) -> dict:
    value, low, high, n = stats.wilson(int(hits.sum()), len(hits))
    return {"name": zoo.TITLES[family], "seed": seed, "group": group, "value": value, "low": low, "high": high, "n": n}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="embedded")
    repeatable(0)
    chosen = params.profile(parser.parse_args(arguments).profile)["01_worlds_and_classifiers"]
    if chosen["retrain"]:
        return  # the notebook trains networks of its own
    world = cutouts.World()
    sets = {split: cutouts.batch(world, split, chosen[f"n_{split}"]) for split in ("test", "new_background")}
    for pictures in sets.values():
        for family in chosen["families"]:
            for seed in chosen["seeds"]:
                probabilities(zoo.network(family, seed), pictures)
        pixel_ceiling(world, pictures)


if __name__ == "__main__":
    main()
