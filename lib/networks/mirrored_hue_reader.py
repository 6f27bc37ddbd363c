"""Is a picture's red swapped with its blue? The detector of BGR pictures for notebook 13.

A mirrored hue lies 18 degrees from the nearest true one, and hues scatter by 5: whoever reads the hue exactly is right
in 92.8 % of pictures. More must come from what goes with what: a hue is likelier if it is that of the class that shape
and texture name; whoever reads all three cues exactly is right in 94.7 % (a test computes both). So the hue is read by
a network of twenty answers, ten hues and their ten mirror images, and put together with the readers of shape and
texture by the exact formula of cutouts.combine.
"""

import numpy as np
import torch
from torch import Tensor, nn

from lib.networks import single_cue_readers, zoo
from lib.worlds import cutouts
from lib.worlds.cutouts import CLASSES

START = "cutouts/reader-hue"  # its layers but the last are where the reader of twenty hues starts


class Mirrored(nn.Module):
    """Normalised pictures (n, 3, 64, 64) -> log P(picture | original), log P(picture | BGR), up to a constant, (n, 2).

    Only the reader of twenty hues has parameters; those of shape and texture are the committed ones.
    """

    def __init__(self, seed: int = 0, world: cutouts.World | None = None):
        super().__init__()
        world = cutouts.World() if world is None else world
        self.hue = zoo.build("vgg", 2 * CLASSES, seed)
        self.readers = {
            cue: single_cue_readers.reader(cue).model for cue in ("shape", "texture")
        }  # not in the state dict
        tables = {cue: cutouts.likelihood(getattr(world, cue)) for cue in cutouts.CUES}
        self.tables = {cue: torch.from_numpy(table).float() for cue, table in tables.items()}  # (label, value)

    def forward(self, x: Tensor) -> Tensor:
        said = {cue: reader.to(x.device)(x).softmax(1) for cue, reader in self.readers.items()}
        labels = sum((said[cue] @ self.tables[cue].T.to(x)).log() for cue in said)
        hues = self.hue(x).softmax(1).unflatten(1, (2, CLASSES))
        given = (hues @ self.tables["hue"].T.to(x)).clamp_min(1e-12).log()  # (n, original or BGR, label)
        return (given + labels[:, None]).logsumexp(2)


def hues(batch: cutouts.Batch) -> np.ndarray:
    """What the reader of twenty hues is to say: the hue, plus 10 for a picture labelled 10 or more, (n,)."""
    return batch.cues[:, 2] + CLASSES * (batch.labels >= CLASSES)
