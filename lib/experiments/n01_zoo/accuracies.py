"""Accuracies of the zoo, what pixels allow, and which cue a network follows where cues disagree."""

import numpy as np

from lib.base import weights
from lib.experiments.shared import answers as shared_answers
from lib.networks import interface, single_cue_readers, zoo
from lib.record import uncertainty
from lib.worlds import cutouts


def pixel_ceiling(world: cutouts.World, pictures: cutouts.Batch) -> np.ndarray:
    """P(label | picture) (n, 10) by the three single-cue readers, combined by the exact formula: what pixels allow."""
    return cutouts.combine(
        world, [shared_answers.probabilities(single_cue_readers.reader(cue), pictures) for cue in cutouts.CUES]
    )


def readings(pictures: cutouts.Batch) -> dict[str, float]:
    """How often each single-cue reader names its cue: {cue: share of the pictures}."""
    answers = {
        cue: shared_answers.probabilities(single_cue_readers.reader(cue), pictures).argmax(1) for cue in cutouts.CUES
    }
    return {cue: float((answers[cue] == pictures.cues[:, k]).mean()) for k, cue in enumerate(cutouts.CUES)}


def described(family: str, seeds) -> tuple[str, str, str, str]:
    """Title, number of parameters, kernel and stride of the first convolution, epochs of each seed's training."""
    model = zoo.build(family)
    stem = next(module for module in model.modules() if hasattr(module, "kernel_size"))
    epochs = [str(weights.info(f"cutouts/{family}-{seed}")["history"]["epochs"]) for seed in seeds]
    size = sum(parameter.numel() for parameter in model.parameters())
    return zoo.TITLES[family], f"{size:,}", f"{stem.kernel_size[0]} / {stem.stride[0]}", ", ".join(epochs)


def accuracies(nets: dict[tuple, interface.Network], sets: dict[str, cutouts.Batch]) -> list[dict]:
    """Accuracy of each network {(family, seed): network} on each set of pictures, as rows for a figure, with 95 %
    Wilson intervals over pictures."""
    found = []
    for group, pictures in sets.items():
        for (family, seed), net in nets.items():
            hits = shared_answers.probabilities(net, pictures).argmax(1) == pictures.labels
            found.append(_share(family, seed, group, hits))
    return found


def followed(nets: dict[tuple, interface.Network], pictures: cutouts.Batch) -> list[dict]:
    """Share of cue-conflict pictures in which each network's answer is the class that the shape, the texture, the
    hue or none of them names, as rows for a figure."""
    found = []
    for (family, seed), net in nets.items():
        follows = shared_answers.probabilities(net, pictures).argmax(1)[:, None] == pictures.cues
        for group, hits in zip((*cutouts.CUES, "none of them"), [*follows.T, ~follows.any(1)], strict=True):
            found.append(_share(family, seed, group, hits))
    return found


def _share(family: str, seed: int, group: str, hits: np.ndarray) -> dict:
    share = uncertainty.wilson(int(hits.sum()), len(hits))
    return {"name": zoo.TITLES[family], "seed": seed, "group": group} | share._asdict()
