"""Orders of the signals against other readings of the classifiers, beyond what RRC gives by construction (claims C4b,
C5 and C6).

RRC divides by the weaker accuracy of the two. If every signal cost a reader the same, no signal would be better than
another, and still the order would put those of weak classifiers first: tau-b with accuracy near -0.87 in this zoo. So
an agreement is judged by how far it lies from the one that equal losses give (`total_order.equal_losses`).
"""

import numpy as np

from lib.methods.signals import total_order
from lib.record import uncertainty
from lib.record.seeds import recordable, span

DRAWS = 500


def order(tables) -> np.ndarray:
    """Readability of every signal (k,), RRCs averaged over seeds: accuracies (..., S, k, k) -> (..., k)."""
    return total_order.readability(total_order.rrc(tables).mean(-3))


def points_lost(tables) -> np.ndarray:
    """How many points each signal costs the other readers, less than their own, accuracies averaged over seeds:
    (..., S, k, k) -> (..., k), largest for the worst signal. A measure of a signal without RRC's denominator."""
    mean = np.asarray(tables, dtype=np.float64).mean(-3)
    lost = np.diagonal(mean, axis1=-2, axis2=-1)[..., None, :] - mean
    return lost.sum(-1) / (mean.shape[-1] - 1)


def beyond_equal_loss(hits, others, seeds, generator: np.random.Generator, chosen=slice(None), draws=DRAWS) -> dict:
    """Kendall tau-b between the order of the signals and another reading of the classifiers, less the mean tau-b that
    equal losses give; for `claims.record`.

    hits: (S, k, k, n) bool, Table 2 of every seed. others: (S, k), or (k,) where seeds do not differ, of the `chosen`
    classifiers (all by default). The unit is the family: the interval is the exact one of `uncertainty.tau_exact`,
    shifted by the null's mean. null: where 95 % of the taus of equal losses lie, shifted likewise. named: both taus
    that were subtracted, and tau-b of the order by points lost with the other reading, which decides nothing.
    """
    hits = np.asarray(hits)
    others = np.broadcast_to(others, (len(hits), np.shape(others)[-1]))
    nulls = total_order.equal_losses(hits, generator, draws)
    tables = hits.mean(-1)
    whole, luck, tau = _shifted(tables, nulls, others.mean(0), chosen)
    each = {
        seed: _shifted(tables[k : k + 1], nulls[:, k : k + 1], others[k], chosen)[0] for k, seed in enumerate(seeds)
    }
    fewest = uncertainty.tau_exact(-points_lost(tables)[chosen], others.mean(0))
    named = {"tau-b itself": tau[:3], "tau-b that equal losses give": span(luck)}
    named |= {"tau-b of the order by points lost": fewest[:3]}
    return recordable(whole, each, named)


def _shifted(tables, nulls, other, chosen) -> tuple[uncertainty.Tau, np.ndarray, uncertainty.Tau]:
    """Tau-b less the null's mean, with interval and null moved alike; the null's taus; and tau-b as it is."""
    tau = uncertainty.tau_exact(order(tables)[chosen], other)
    luck = uncertainty.tau_b(order(nulls)[..., chosen], other)
    low, high = np.quantile(luck, [0.025, 0.975]) - luck.mean()
    moved = tau._replace(value=tau.value - luck.mean(), low=tau.low - luck.mean(), high=tau.high - luck.mean())
    return moved._replace(null=(float(low), float(high))), luck, tau
