"""Every interval against an oracle that is not the code under test: published values, enumeration, SciPy's tests."""

import numpy as np
import pytest
from scipy.stats import kendalltau, permutation_test

from lib.record import uncertainty


def test_wilson_is_the_published_formula():
    k, n, z = 81, 263, 1.959963984540054
    centre, half = (k + z**2 / 2) / (n + z**2), z * np.sqrt(k * (n - k) / n + z**2 / 4) / (n + z**2)
    assert uncertainty.wilson(k, n) == pytest.approx((k / n, centre - half, centre + half, n), abs=1e-12)
    assert uncertainty.wilson(81, 263).interval == pytest.approx((0.2553, 0.3662), abs=5e-5)  # Newcombe 1998, Table I


def test_wilson_never_leaves_the_unit_interval_and_is_not_empty_at_the_edge():
    assert uncertainty.wilson(0, 20).low == pytest.approx(0, abs=1e-12) and 0.1 < uncertainty.wilson(0, 20).high < 0.2
    assert uncertainty.wilson(20, 20).high == pytest.approx(1) and uncertainty.wilson(20, 20).low < 0.9


@pytest.mark.parametrize("method", ["BCa", "percentile", "basic"])
def test_bootstrap_mean_agrees_with_the_normal_interval_where_that_is_right(method):
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    estimate = uncertainty.bootstrap_mean(values, generator=np.random.default_rng(0), method=method, draws=4000)
    half = 1.959964 * values.std(ddof=1) / np.sqrt(400)
    assert estimate.value == pytest.approx(values.mean()) and estimate.n == 400
    assert estimate.interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(5)
    hits = 0
    for _ in range(200):
        estimate = uncertainty.bootstrap_mean(generator.exponential(1.0, 40), generator=generator, draws=400)
        hits += estimate.low <= 1.0 <= estimate.high
    assert 0.88 <= hits / 200 <= 0.98


def test_clusters_are_the_unit():
    base = np.random.default_rng(2).normal(size=20)
    values, clusters = np.repeat(base, 25), np.repeat(np.arange(20), 25)
    alone = uncertainty.bootstrap_mean(values, generator=np.random.default_rng(0))
    together = uncertainty.bootstrap_mean(values, clusters=clusters, generator=np.random.default_rng(0))
    twenty = uncertainty.bootstrap_mean(base, generator=np.random.default_rng(0))
    assert together.n == 20 and together.value == pytest.approx(alone.value)
    assert together.interval == pytest.approx(twenty.interval)  # copies of a unit are no news
    assert 4 < (together.high - together.low) / (alone.high - alone.low) < 6  # sqrt(25) = 5


def test_unequal_clusters_weigh_by_their_values_not_by_their_number():
    values, clusters = [1.0] * 92 + list(range(8)), [0] * 92 + list(range(1, 9))
    estimate = uncertainty.bootstrap_mean(values, clusters=clusters, generator=np.random.default_rng(0))
    assert estimate.value == pytest.approx(1.2) and estimate.n == 9
    generator = np.random.default_rng(4)
    drawn = generator.integers(0, 9, (20000, 9))
    sums, counts = np.array([92.0, *range(8)]), np.array([92.0, *[1] * 8])
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    found = uncertainty.bootstrap_mean(values, clusters=clusters, generator=generator, method="percentile", draws=20000)
    assert found.interval == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), rel=0.03)


def test_bootstrap_repeats_with_its_generator_and_answers_when_nothing_varies():
    values = np.random.default_rng(1).random(30)
    one, two, three = (uncertainty.bootstrap_mean(values, generator=np.random.default_rng(s)) for s in (0, 0, 1))
    assert one == two != three
    assert uncertainty.bootstrap_mean(np.ones(9), generator=np.random.default_rng(0)) == (1.0, 1.0, 1.0, 9)


@pytest.mark.parametrize(
    "values, clusters, sentence",
    [(np.ones(7), None, "7 units are too few"), (np.ones(70), np.arange(70) % 7, "7 units are too few")]
    + [([1, np.nan] * 5, None, "finite"), ([], None, "non-empty"), (np.ones(9), np.ones(8), "one label a value")],
)
def test_bootstrap_refuses_with_a_sentence(values, clusters, sentence):
    with pytest.raises(ValueError, match=sentence):
        uncertainty.bootstrap_mean(values, clusters=clusters, generator=np.random.default_rng(0))


def matched_null(scores, *, generator, draws):
    """The null of one reader, by hand: partners are dealt to the units at random."""
    value, scores = uncertainty.matched(scores).mean(), np.asarray(scores, dtype=np.float64)
    n = len(scores)
    total, rows = scores.sum(), np.arange(n)
    dealt = np.array([scores[rows, generator.permutation(n)].sum() for _ in range(draws)])
    null = (dealt - (total - dealt) / (n - 1)) / n
    low, high = np.quantile(null, [0.025, 0.975])
    return uncertainty.Null(float(low), float(high), float((1 + (null >= value - 1e-12).sum()) / (1 + draws)))


def test_matched_is_own_minus_the_mean_of_the_others():
    scores = np.array([[1.0, 0.0, 0.5], [0.2, 0.8, 0.4], [0.0, 0.0, 0.0]])
    assert uncertainty.matched(scores) == pytest.approx([0.75, 0.5, 0.0])
    with pytest.raises(ValueError, match="square"):
        uncertainty.matched(np.ones((2, 3)))


def test_matched_null_agrees_with_a_permutation_test_of_pairings():
    generator = np.random.default_rng(3)
    scores = generator.random((7, 7)) + 0.4 * np.eye(7)
    null = matched_null(scores, generator=generator, draws=5000)

    def statistic(partner):
        return scores[np.arange(7), np.asarray(partner, int)].sum()

    exact = permutation_test((np.arange(7),), statistic, permutation_type="pairings", alternative="greater")
    assert null.p == pytest.approx(exact.pvalue, abs=0.02)
    assert null.low < 0 < null.high and abs(null.low + null.high) < 0.1


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_tau_is_scipys_with_its_exact_p(n):
    generator = np.random.default_rng(n)
    for _ in range(6):
        x, y = generator.permutation(n), generator.random(n)
        tau, oracle = uncertainty.tau_exact(x, y), kendalltau(x, y, method="exact")
        assert tau.value == pytest.approx(oracle.statistic) and tau.p == pytest.approx(oracle.pvalue)


def test_tau_b_counts_ties_as_scipy_does():
    x, y = [1, 2, 2, 4, 5, 6], [1, 3, 2, 2, 6, 5]
    assert uncertainty.tau_exact(x, y).value == pytest.approx(kendalltau(x, y, variant="b").statistic)


def test_tau_interval_leaves_out_zero_exactly_when_the_exact_test_rejects():
    generator = np.random.default_rng(9)
    seen = set()
    for _ in range(60):
        x, y = np.arange(6), generator.permutation(6) if len(seen) else np.arange(6)
        tau = uncertainty.tau_exact(x, y)
        rejects = kendalltau(x, y, method="exact").pvalue / 2 <= 0.025
        assert (tau.low > 0 or tau.high < 0) == rejects
        assert tau.low <= tau.value <= tau.high
        seen.add(bool(rejects))
    assert seen == {True, False}


def test_tau_of_perfect_orders_and_what_few_units_can_show():
    assert uncertainty.tau_exact(range(6), range(6)).high == 1.0
    assert uncertainty.tau_exact(range(6), range(6)[::-1]).interval[0] == -1.0
    assert uncertainty.tau_exact(range(6), range(6)).detectable == pytest.approx(
        13 / 15
    )  # 12 of 720 orders: p = 0.0167
    assert np.isnan(uncertainty.tau_exact(range(3), range(3)).detectable)  # three units never reach 5 %
    tau = uncertainty.tau_exact(range(6), range(6))
    assert tau.null == pytest.approx((-11 / 15, 11 / 15))


@pytest.mark.parametrize(
    "x, y, sentence",
    [([1, 2], [2, 1], "3 to 8"), (range(9), range(9), "3 to 8")]
    + [([1, 2, np.nan], [1, 2, 3], "finite"), ([1, 2, 3], [1, 2], "3 to 8")],
)
def test_tau_refuses_with_a_sentence(x, y, sentence):
    with pytest.raises(ValueError, match=sentence):
        uncertainty.tau_exact(x, y)


@pytest.mark.parametrize("x, y", [([1, 1, 1], [1, 2, 3]), ([3, 1, 2], [0.5, 0.5, 0.5])])
def test_tau_of_tied_units_says_nothing(x, y):
    tau = uncertainty.tau_exact(x, y)
    assert tau.value == 0 and tau.interval == (-1, 1) and tau.p == 1 and np.isnan(tau.detectable)


@pytest.mark.parametrize("k, n", [(3, 2), (-1, 4), (0, 0)])
def test_shares_refuse_impossible_counts(k, n):
    with pytest.raises(ValueError, match="successes"):
        uncertainty.wilson(k, n)


def test_pooled_readers_with_one_reader_are_that_reader():
    scores = np.random.default_rng(3).random((12, 12)) + 0.4 * np.eye(12)
    values, units = uncertainty.pooled([scores], [np.arange(12)])
    assert np.array_equal(values, uncertainty.matched(scores)) and np.array_equal(units, np.arange(12))
    alone = matched_null(scores, generator=np.random.default_rng(0), draws=4000)
    null = uncertainty.pooled_null([scores], [np.arange(12)], generator=np.random.default_rng(1), draws=4000)
    assert np.allclose(null.range, alone.range, atol=0.01)


def test_copies_of_one_reader_do_not_narrow_the_null():
    scores = np.random.default_rng(4).random((15, 15))
    one = uncertainty.pooled_null([scores], [np.arange(15)], generator=np.random.default_rng(0), draws=3000)
    four = uncertainty.pooled_null([scores] * 4, [np.arange(15)] * 4, generator=np.random.default_rng(1), draws=3000)
    assert (four.high - four.low) == pytest.approx(one.high - one.low, rel=0.1)
    independent = uncertainty.pooled_null(
        [scores] * 4, [np.arange(15) + 100 * k for k in range(4)], generator=np.random.default_rng(2), draws=3000
    )
    assert (independent.high - independent.low) < 0.7 * (one.high - one.low)


def test_readers_that_miss_some_units_stay_dependent_in_the_null():
    rng = np.random.default_rng(5)
    scores = rng.random((40, 40))
    members = [np.sort(rng.choice(40, 34, replace=False)) for _ in range(12)]
    tables = [scores[np.ix_(own, own)] for own in members]
    whole = matched_null(scores, generator=np.random.default_rng(0), draws=2000)
    pooled = uncertainty.pooled_null(tables, members, generator=np.random.default_rng(1), draws=600)
    assert (pooled.high - pooled.low) > 0.8 * (whole.high - whole.low)
