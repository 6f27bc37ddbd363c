"""What goes with the order of the signals: the cues that a signal keeps, the stem's stride, the parameters."""

import numpy as np

from lib.experiments.shared import through_autoencoders
from lib.networks import single_cue_readers, zoo
from lib.worlds import cutouts


def readings(families, seeds, pictures: cutouts.Batch, how: str = "", device="cpu") -> dict[str, np.ndarray]:
    """What might explain the order of the signals, by title: how often single-cue readers still name each cue in A_i's
    reconstructions (S, k), and the stride of i's first convolution, pixels (k,)."""
    readers, kept = [single_cue_readers.reader(cue) for cue in cutouts.CUES], np.zeros((3, len(seeds), len(families)))
    for s, seed in enumerate(seeds):
        for k, family in enumerate(families):
            said = through_autoencoders.answers(
                through_autoencoders.tuned(family, seed, how, device=device), readers, pictures
            )
            kept[:, s, k] = [(one.argmax(1) == cue).mean() for one, cue in zip(said, pictures.cues.T, strict=True)]
    found = {f"{cue} still read, share": one for cue, one in zip(cutouts.CUES, kept, strict=True)}
    return found | {"stride of the stem, pixels": np.array([stem_stride(family) for family in families])}


def stem_stride(family: str) -> int:
    """Stride of a family's first convolution, pixels."""
    return next(module.stride[0] for module in zoo.build(family).modules() if hasattr(module, "kernel_size"))


def parameters(family: str) -> int:
    """Number of a family's parameters."""
    return sum(parameter.numel() for parameter in zoo.build(family).parameters())
