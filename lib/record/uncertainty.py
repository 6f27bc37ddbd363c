"""Intervals and nulls: thin wrappers round SciPy that refuse what they cannot answer.

An interval is about a unit (an image, a class, a seed, a classifier): pass one value a unit, or name the units by
`clusters`.
"""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from scipy import optimize
from scipy import stats as scipy_stats

FEWEST_UNITS = 8


class Estimate(NamedTuple):
    """A value with the interval low..high over n units."""

    value: float
    low: float
    high: float
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        return self.low, self.high


class Tau(NamedTuple):
    """Kendall's tau-b over n units with its interval, the null's 95 % range, the exact two-sided p, and the smallest
    |tau| that reaches p <= 0.05 (NaN if none does)."""

    value: float
    low: float
    high: float
    null: tuple[float, float]
    p: float
    detectable: float
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        return self.low, self.high


class Null(NamedTuple):
    """The 95 % range low..high of a statistic if only chance is at work, and the one-sided p of the value found."""

    low: float
    high: float
    p: float

    @property
    def range(self) -> tuple[float, float]:
        return self.low, self.high


def wilson(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Share of successes among n independent units with Wilson's score interval."""
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"wilson: {successes} successes among {n} units; expected 0 <= successes <= n and n >= 1")
    interval = scipy_stats.binomtest(int(successes), int(n)).proportion_ci(level, method="wilson")
    return Estimate(successes / n, float(interval.low), float(interval.high), int(n))


def per_cluster(values, clusters=None) -> tuple[np.ndarray, np.ndarray]:
    """Sum and count of `values` (n,) in each cluster (n labels; each value its own cluster by default)."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"values: expected a non-empty row of finite numbers, found shape {values.shape} or NaN")
    if clusters is None:
        return values, np.ones_like(values)
    labels = np.unique(np.asarray(clusters), return_inverse=True)[1].reshape(-1)
    if labels.size != values.size:
        raise ValueError(f"clusters: expected one label a value ({values.size}), found {labels.size}")
    return np.bincount(labels, weights=values), np.bincount(labels).astype(np.float64)


def bootstrap_mean(
    values, *, generator, clusters=None, method="BCa", draws: int = 2000, level: float = 0.95
) -> Estimate:
    """Mean of `values` (n,) with a bootstrap interval; `clusters` (n labels) names what is drawn together, as one unit.

    method is 'BCa', 'percentile' or 'basic' (scipy.stats.bootstrap); `generator` is a numpy Generator.
    Fewer than 8 units are refused: show them all instead.
    """
    sums, counts = per_cluster(values, clusters)
    if sums.size < FEWEST_UNITS:
        raise ValueError(
            f"bootstrap_mean: {sums.size} units are too few, expected at least {FEWEST_UNITS}; show each unit instead"
        )
    value = float(sums.sum() / counts.sum())
    if np.ptp(sums / counts) == 0:  # nothing varies, so that no resample differs
        return Estimate(value, value, value, sums.size)
    interval = scipy_stats.bootstrap(
        (sums, counts),
        lambda total, count, axis: total.sum(axis) / count.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=draws,
        batch=max(1, 4_000_000 // sums.size),
        confidence_level=level,
        method=method,
        rng=generator,
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high), sums.size)


def student(values, level: float = 0.95) -> Estimate:
    """Mean of `values` (n,), one a unit, with Student's t interval: for few units, such as families or classes."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size < 3 or not np.isfinite(values).all():
        raise ValueError(f"student: expected a row of 3 or more finite numbers, found shape {values.shape} or NaN")
    mean, error = values.mean(), values.std(ddof=1) / np.sqrt(values.size)
    reach = scipy_stats.t.ppf((1 + level) / 2, values.size - 1) * error
    return Estimate(float(mean), float(mean - reach), float(mean + reach), values.size)


def bootstrap_shares(values, statistic, *, generator, draws: int = 2000, level: float = 0.95) -> Estimate:
    """A statistic of several shares counted on the same units, with a percentile bootstrap over the units.

    values: (..., n), what each of n units adds to each share (hits of classifiers on the same pictures); statistic:
    means (...,) -> number. All shares are drawn together. A largest or smallest share leans outwards when it is drawn
    again: the interval is widened where needed so that it holds the value found.
    """
    values = np.asarray(values, dtype=np.float32)
    n = values.shape[-1]
    if n < FEWEST_UNITS or not np.isfinite(values).all():
        raise ValueError(f"bootstrap_shares: expected finite values of at least {FEWEST_UNITS} units, found {n} units")
    weights = generator.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float32)
    means = np.moveaxis(values @ weights.T / n, -1, 0).astype(np.float64)
    value, tail = float(statistic(values.mean(-1, dtype=np.float64))), (1 - level) / 2
    low, high = np.quantile([statistic(mean) for mean in means], [tail, 1 - tail])
    return Estimate(value, float(min(low, value)), float(max(high, value)), n)


def matched(scores) -> np.ndarray:
    """Each unit's own score minus its mean score with everybody else's partner: (n, n) -> (n,).

    scores[i, k] is what unit i gets when it is paired with k's partner (image i's map read with image k's mask).
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1] or len(scores) < 2:
        raise ValueError(f"scores: expected a square table of at least 2 x 2, found shape {scores.shape}")
    own = np.diagonal(scores)
    return own - (scores.sum(1) - own) / (len(scores) - 1)


def pooled(tables, members) -> tuple[np.ndarray, np.ndarray]:
    """`matched` of several readers' tables as one list of readings, and the unit that each reading is about.

    tables: one (n, n) table a reader; members: for each, the numbers of its n units (readers may see different ones).
    """
    return np.concatenate([matched(table) for table in tables]), np.concatenate(members)


def pooled_null(tables, members, *, generator, draws: int = 2000) -> Null:
    """Null of the mean of `pooled(tables, members)`: partners are dealt at random, in one order for all readers, so
    that readers of the same units stay as dependent as they are."""
    value = pooled(tables, members)[0].mean()
    units, null = np.unique(np.concatenate(members)), np.zeros(draws)
    total = sum(len(table) for table in tables)
    for draw in range(draws):
        after = dict(zip(units, generator.permutation(units), strict=True))
        for table, own in zip(tables, members, strict=True):
            place, dealt = {unit: k for k, unit in enumerate(own)}, []
            for unit in own:  # the next of the reader's own units on the cycle that all readers share
                other = after[unit]
                while other not in place:
                    other = after[other]
                dealt.append(place[other])
            hit = np.asarray(table)[np.arange(len(own)), dealt].sum()
            null[draw] += (hit - (np.sum(table) - hit) / (len(own) - 1)) / total
    low, high = np.quantile(null, [0.025, 0.975])
    return Null(float(low), float(high), float((1 + (null >= value - 1e-12).sum()) / (1 + draws)))


def tau_b(x, y) -> np.ndarray:
    """Kendall's tau-b between readings x (..., k) and one reading y (k,) of the same units: (...), 0 where all units of
    x are tied. ValueError if all units of y are."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    i, j = np.triu_indices(y.size, 1)
    left, right = np.sign(x[..., i] - x[..., j]), np.sign(y[i] - y[j])
    if not right.any():
        raise ValueError("tau_b: all units of y are tied, expected an order")
    return left @ right / np.sqrt(np.maximum((left**2).sum(-1), 1) * (right**2).sum())


def tau_exact(x, y, level: float = 0.95) -> Tau:
    """Kendall's tau-b between two readings of the same 3 to 8 units, against every permutation of them.

    The interval is for the tau-b expected of such units: the permutations are weighted by exp(theta * tau) (Mallows'
    model; theta = 0 is chance) and theta moves until the tau found lies in the last 2.5 % of either tail. The interval
    leaves out 0 exactly when a one-sided exact test rejects chance at 2.5 %. Where all units are tied in a reading
    there is no order to compare: 0, from -1 to 1, with p = 1.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or not 3 <= x.size <= 8 or not np.isfinite([x, y]).all():
        raise ValueError(f"tau_exact: expected two rows of 3 to 8 finite numbers, found shapes {x.shape} and {y.shape}")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return Tau(0.0, -1.0, 1.0, (-1.0, 1.0), 1.0, float("nan"), x.size)
    orders = np.array(list(permutations(range(x.size))))
    i, j = np.triu_indices(x.size, 1)
    left, right = np.sign(x[i] - x[j]), np.sign(y[orders[:, i]] - y[orders[:, j]])
    null = np.round(right @ left / np.sqrt((left**2).sum() * (right[0] ** 2).sum()), 12)
    value, tail = null[0], (1 - level) / 2

    def weights(theta):
        return np.exp(theta * null - np.max(theta * null))

    def edge(beyond):  # the expected tau at which the taus `beyond` have just the probability `tail`
        if beyond.all():
            return value
        theta = optimize.brentq(lambda t: weights(t)[beyond].sum() / weights(t).sum() - tail, -500, 500)
        return np.average(null, weights=weights(theta))

    rare = [t for t in np.unique(np.abs(null)) if np.mean(np.abs(null) >= t) <= 1 - level]
    return Tau(
        float(value),
        float(edge(null >= value)),
        float(edge(null <= value)),
        (float(np.quantile(null, tail, method="lower")), float(np.quantile(null, 1 - tail, method="higher"))),
        float(np.mean(np.abs(null) >= abs(value))),
        float(rare[0]) if rare else float("nan"),
        x.size,
    )
