"""From values by class, by picture or by seed to what `claims.record(**...)` takes: value, interval, n, null, seeds,
named.

The draws of a bootstrap come from one generator, so that their order counts: here the whole comes first, then each
seed, then what is named. Where a measurement needs another order, it makes its estimates itself and calls `recordable`.
"""

from collections.abc import Callable

import numpy as np

from lib.record import uncertainty


def entry(estimate) -> dict:
    """An `uncertainty.Estimate` or `Tau` as {value, interval, n} and, where it has one, null."""
    found = {"value": estimate.value, "interval": estimate.interval, "n": estimate.n}
    return found | ({"null": estimate.null} if hasattr(estimate, "null") else {})


def recordable(whole, each: dict | None = None, named: dict | None = None) -> dict:
    """Estimates as `claims.record` takes them: of everything, {seed: its own}, and {name: secondary quantity}; what is
    not given is not in the result. A secondary quantity may be a plain (value, low, high). A Tau brings the smallest
    one that it could have told from chance."""
    found = entry(whole) | ({"detectable": whole.detectable} if hasattr(whole, "detectable") else {})
    if each is not None:
        found["seeds"] = [{"seed": seed} | entry(one) for seed, one in each.items()]
    if named is not None:
        found["named"] = {name: tuple(one[:3]) for name, one in named.items()}
    return found


def average(values: dict[int, np.ndarray]) -> np.ndarray:
    """Mean over training seeds of arrays of one shape, {seed: (...)} -> (...)."""
    return np.mean(list(values.values()), 0)


def estimate(values, generator: np.random.Generator) -> uncertainty.Estimate:
    """Mean of `values` (n,), one a unit, with its bootstrap interval over units, to nine decimals: no -1e-17 for a
    zero."""
    found = uncertainty.bootstrap_mean(values, generator=generator)
    return uncertainty.Estimate(*(round(number, 9) + 0.0 for number in found[:3]), found.n)


def estimates(
    values: dict[int, np.ndarray],
    generator: np.random.Generator,
    named: dict[str, dict[int, np.ndarray]] | None = None,
    nulls: dict[int, np.ndarray] | None = None,
) -> dict:
    """A number by class, {seed: (classes,)}: its mean over classes for the average of the seeds, for each seed, and for
    the averages of those in `named`. nulls: {seed: (draws,)}, what chance gives; their 95 % ranges are kept."""
    whole, each = estimate(average(values), generator), {seed: estimate(one, generator) for seed, one in values.items()}
    found = recordable(whole, each)
    if nulls is not None:
        for row, null in zip((found, *found["seeds"]), (average(nulls), *nulls.values()), strict=True):
            row["null"] = span(null)[1:]
    if named is not None:
        found["named"] = {name: estimate(average(one), generator)[:3] for name, one in named.items()}
    return found


def stream(seed: int, name: str) -> np.random.Generator:
    """A random stream for what is called `name`, a claim or a figure, alone: what is drawn for others leaves it as it
    is. seed: of the notebook."""
    return np.random.default_rng([seed, *name.encode()])


def by_student(
    values: dict[int, np.ndarray],
    named: dict[str, dict[int, np.ndarray]] | None = None,
    nulls: dict[int, np.ndarray] | None = None,
) -> dict:
    """As `estimates`, with Student's intervals, for few classes: nothing is drawn."""
    each = {seed: student(one) for seed, one in values.items()}
    found = recordable(student(average(values)), each)
    if nulls is not None:
        for row, null in zip((found, *found["seeds"]), (average(nulls), *nulls.values()), strict=True):
            row["null"] = span(null)[1:]
    if named is not None:
        found["named"] = {name: student(average(one))[:3] for name, one in named.items()}
    return found


def student(values) -> uncertainty.Estimate:
    """Mean of `values` (n,) with Student's interval, to nine decimals: no -1e-17 for a zero."""
    found = uncertainty.student(values)
    return uncertainty.Estimate(*(round(number, 9) + 0.0 for number in found[:3]), found.n)


def span(drawn: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95 % range of what chance gave in `drawn` (draws,)."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(np.mean(drawn)), float(low), float(high)


def shares(
    values,
    statistic: Callable,
    seeds,
    generator: np.random.Generator,
    named: dict[str, Callable] | None = None,
    beyond: int = 0,
) -> dict:
    """A statistic of shares: of their averages over seeds, of each seed's own, and others, `named`, of the averages.

    values: (S, ..., n), what n units (pictures) add to each share; statistic: shares (...) -> number. Intervals are
    over units, all shares drawn together. beyond: so many of the units had been seen before the rule was written; the
    statistic of the others is named beside that of all.
    """
    values = np.asarray(values)

    def shared(part, statistic) -> uncertainty.Estimate:
        return uncertainty.bootstrap_shares(part, statistic, generator=generator)

    whole, each = shared(values.mean(0), statistic), [shared(one, statistic) for one in values]
    others = None if named is None else {name: shared(values.mean(0), other) for name, other in named.items()}
    if 0 < beyond < (n := values.shape[-1]):
        part = shared(values.mean(0)[..., beyond:], statistic)
        others = (others or {}) | {f"the same on the last {n - beyond}": part}
    return recordable(whole, dict(zip(seeds, each, strict=True)), others)
