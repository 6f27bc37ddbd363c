"""At which rate decoders are tuned: one for all classifiers, chosen by own readings before any table is seen.

Rule, fixed before the first of these decoders was trained: on seed 0, the boldest of four largest rates at which the
zoo's mean accuracy on its own signals (A_i o i, 10,000 validation pictures) lies at most half a point below that of
the best rate, the difference paired by picture: its value decides, its interval is shown. The six families that the
zoo had then choose (settled when two of their 24 decoders were done); those that joined are tuned at the same rate.
"""

from typing import NamedTuple

import numpy as np

from lib.base import weights
from lib.networks import trained_autoencoders
from lib.record import uncertainty
from lib.record.tables import Table

RATES = (1e-3, 3e-3, 1e-2, 3e-2)
CHOOSING = ("alexnet", "convnext", "inception", "lenet", "resnet", "vgg")  # the zoo when the rule was written
MARGIN = 0.005  # half a point
SEED = trained_autoencoders.CHOSEN_ON


class Rate(NamedTuple):
    """What a rate costs the zoo against the best one."""

    rate: float
    accuracy: np.ndarray  # (k,) of each family on its own signal
    behind: uncertainty.Estimate  # mean over families of the best rate's accuracy minus this one's, paired by picture


def own_readings(families=CHOOSING, seed: int = SEED, rates=RATES) -> np.ndarray:
    """(rates, k, n) bool: where each classifier is right about its own signal, as stored beside the decoders."""
    return np.stack([[own(f"autoencoders/{family}-{seed}-rate{rate:g}") for family in families] for rate in rates])


def own(name: str) -> np.ndarray:
    """(n,) bool of one decoder: where its classifier is right about the validation pictures of own readings."""
    info = weights.info(name)
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(info["own"]), np.uint8))
    return bits[: info["made_by"]["own"]].astype(bool)


def compared(hits: np.ndarray, generator: np.random.Generator, rates=RATES) -> list[Rate]:
    """Every rate against the best; hits: (rates, k, n) bool."""
    best = hits[int(np.argmax(hits.mean((1, 2))))]
    behind = [best.mean(0) - one.mean(0) for one in hits]
    estimates = [uncertainty.bootstrap_mean(one, generator=generator, method="percentile") for one in behind]
    return [Rate(*row) for row in zip(rates, hits.mean(-1), estimates, strict=True)]


def boldest(rates: list[Rate]) -> float:
    """The rule: the largest rate that is at most MARGIN behind the best."""
    return max(one.rate for one in rates if one.behind.value <= MARGIN)


def table(rates: list[Rate], letters) -> Table:
    """Own accuracies in percent, a row a rate, and how many points the zoo's mean is behind the best, with interval."""
    rows = []
    for one in rates:
        value, low, high = (100 * number for number in one.behind[:3])
        mean = (f"{100 * one.accuracy.mean():.2f}", f"{value:.2f} [{low:.2f}, {high:.2f}]")
        rows.append((f"{one.rate:g}", *(f"{100 * share:.1f}" for share in one.accuracy), *mean))
    return Table(("largest rate", *letters, "mean", "behind the best"), rows)
