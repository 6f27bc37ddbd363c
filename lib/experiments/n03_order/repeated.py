"""How far a row of Table 2 moves when its decoder is tuned again, longer, or at a lower rate (no paper asks this).

Photographs only, where every network has one decoder: lib/training/make_photos.py tuned those of two networks again.
"""

from typing import NamedTuple

import numpy as np

from lib.experiments.shared import through_autoencoders, tunings
from lib.record import uncertainty
from lib.worlds import cutouts

USUAL = "as in Table 2"


class Row(NamedTuple):
    """What all networks read in the signal of `family`, tuned in the way that `title` says."""

    family: str
    title: str
    hits: np.ndarray  # (readers, n) bool


def rows(families, hits, pictures: cutouts.Batch, device="cpu") -> list[Row]:
    """The rows of Table 2, hits (k, k, n) bool, of those of `families` whose decoders were tuned again, and what their
    other decoders give on the same pictures, of which hits may hold more."""
    nets, found, n = through_autoencoders.zoo_of(families, 0, device), [], len(pictures.images)
    for family in (family for family in tunings.AGAIN if family in families):
        found.append(Row(family, USUAL, hits[families.index(family), :, :n]))
        for title, seed, how in tunings.AGAIN[family]:
            made = through_autoencoders.tuned(family, seed, how, device)
            found.append(Row(family, title, through_autoencoders.hits(made, nets, pictures)))
    return found


def moved(again: list[Row], families, generator: np.random.Generator) -> list[dict]:
    """By how much each decoder's own reading and the others' mean differ from those of the usual decoder, with 95 %
    intervals over pictures."""
    found, usual = [], {row.family: row.hits for row in again if row.title == USUAL}
    for row in (row for row in again if row.title != USUAL):
        own = np.arange(len(families)) == families.index(row.family)
        for who, which in (("own", own), ("others", ~own)):
            both = np.stack([row.hits[which], usual[row.family][which]])
            by = uncertainty.bootstrap_shares(both, lambda m: m[0].mean() - m[1].mean(), generator=generator)
            found.append({"family": row.family, "name": row.title, "group": who} | by._asdict())
    return found
