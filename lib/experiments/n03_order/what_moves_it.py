"""What goes with the order of the signals: the cues that a signal keeps, the stem's stride, the parameters."""

import numpy as np

from lib.experiments.shared import through_autoencoders
from lib.networks import single_cue_readers
from lib.networks.readers import stride
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
    return found | {"stride of the stem, pixels": np.array([stride(family) for family in families])}
