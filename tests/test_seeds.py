"""From values by class, picture and seed to what claims.record takes."""

import numpy as np
import pytest

from lib.record import seeds, uncertainty

VALUES = {s: np.random.default_rng(s).random(10) for s in (4, 2, 7)}


def rng():
    return np.random.default_rng(0)


def test_the_whole_is_drawn_first_then_each_seed_then_what_is_named():
    found, draws = seeds.estimates(VALUES, rng(), {"other": VALUES}), rng()
    mean = np.mean([VALUES[s] for s in VALUES], 0)
    expected = [uncertainty.bootstrap_mean(one, generator=draws) for one in (mean, *VALUES.values(), mean)]
    assert [seed["seed"] for seed in found["seeds"]] == [4, 2, 7]
    for row, one in zip((found, *found["seeds"]), expected, strict=False):
        assert row["value"] == pytest.approx(one.value, abs=1e-9) and row["n"] == 10
        assert row["interval"] == pytest.approx(one.interval, abs=1e-9)
    assert found["named"]["other"] == pytest.approx(expected[-1][:3], abs=1e-9)
    assert "null" not in found and "named" not in seeds.estimates(VALUES, rng())


def test_nulls_are_ranges_of_the_average_and_of_each_seed_and_draw_nothing():
    nulls = {s: np.random.default_rng(s).normal(s, 1, 500) for s in VALUES}
    found, plain = seeds.estimates(VALUES, rng(), nulls=nulls), seeds.estimates(VALUES, rng())
    assert found["null"] == tuple(np.quantile(np.mean(list(nulls.values()), 0), [0.025, 0.975]))
    assert found["seeds"][2]["null"] == tuple(np.quantile(nulls[7], [0.025, 0.975]))
    assert found["interval"] == plain["interval"]
    assert seeds.span(nulls[2]) == (nulls[2].mean(), *np.quantile(nulls[2], [0.025, 0.975]))


def test_a_zero_stays_a_zero():
    found = seeds.estimate(np.full(10, -1e-17), rng())
    assert found == (0, 0, 0, 10) and not np.signbit(found.value)


def test_shares_of_averages_of_each_seed_and_named():
    hits = np.random.default_rng(1).random((2, 3, 50)) < 0.6
    found = seeds.shares(hits, np.max, [5, 6], rng(), {"least": np.min})
    assert found["value"] == hits.mean((0, 2)).max() and found["n"] == 50
    assert [seed["value"] for seed in found["seeds"]] == list(hits.mean(2).max(1))
    assert found["named"]["least"][0] == hits.mean((0, 2)).min()
    with pytest.raises(ValueError):
        seeds.shares(hits, np.max, [5], rng())  # a seed without a name


def test_a_tau_brings_its_null_and_a_plain_triple_stays_what_it_is():
    tau = uncertainty.tau_exact([1, 2, 3, 4, 5], [1, 2, 4, 3, 5])
    found = seeds.recordable(tau, {0: tau}, {"k/C": (0.1, 0.1, 0.1)})
    assert found["null"] == found["seeds"][0]["null"] == tau.null and found["named"] == {"k/C": (0.1, 0.1, 0.1)}
    assert set(seeds.recordable(tau)) == {"value", "interval", "n", "null", "detectable"}
    assert found["detectable"] == tau.detectable == 1 and "detectable" not in found["seeds"][0]
