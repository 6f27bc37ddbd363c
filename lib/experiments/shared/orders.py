"""Orders of the signals against other readings of the classifiers, beyond what RRC gives by construction (claims C4b,
C5 and C6).

RRC divides by the weaker accuracy of the two. If every signal cost a reader the same, no signal would be better than
another, and still the order would put those of weak classifiers first: tau-b with accuracy near -0.87 in this zoo. So a
signal is judged by how much more readable it is than it would be if all losses were equal (`surplus`), and only that
order is compared with others. (To compare the whole order, and take off the mean tau-b of equal losses afterwards, is
not enough: where equal losses give an extreme tau, an unrelated order can then deviate to one side only.)
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


def surplus(tables, nulls) -> np.ndarray:
    """Readability of every signal less its mean over tables of equal losses: accuracies (S, k, k) and (draws, S, k, k)
    -> (k,), 0 for a signal that costs the others what every signal does."""
    return order(tables) - order(nulls).mean(0)


def paper_surplus() -> np.ndarray:
    """`surplus` of the paper's own Table 2, in the order of total_order.PAPER; its pictures are too many to matter."""
    table = total_order.PAPER_TABLE[None]
    return surplus(table, total_order.equal_loss(table)[None])


def beyond_equal_loss(hits, others, seeds, generator: np.random.Generator, chosen=slice(None), draws=DRAWS) -> dict:
    """Kendall tau-b between the order of the signals by `surplus` and another reading of the classifiers; for
    `claims.record`.

    hits: (S, k, k, n) bool, Table 2 of every seed. others: (S, k), or (k,) where seeds do not differ, of the `chosen`
    classifiers (all by default). The unit is the family: interval, null and the smallest tau that could have been told
    from chance are the exact ones of `uncertainty.tau_exact`. named: tau-b of the order by readability itself, where 95
    % of the tau-b of equal losses lie, and tau-b of the order by points lost, none of which decides.
    """
    hits = np.asarray(hits)
    others = np.broadcast_to(others, (len(hits), np.shape(others)[-1]))
    nulls, tables, mean = total_order.equal_losses(hits, generator, draws), hits.mean(-1), others.mean(0)
    each = {
        seed: uncertainty.tau_exact(surplus(tables[[k]], nulls[:, [k]])[chosen], others[k])
        for k, seed in enumerate(seeds)
    }
    named = {"tau-b of readability itself": uncertainty.tau_exact(order(tables)[chosen], mean)[:3]}
    named |= {"tau-b that equal losses give": span(uncertainty.tau_b(order(nulls)[..., chosen], mean))}
    named |= {"tau-b of the order by points lost": uncertainty.tau_exact(-points_lost(tables)[chosen], mean)[:3]}
    return recordable(uncertainty.tau_exact(surplus(tables, nulls)[chosen], mean), each, named)
