"""Nulls and rules of notebooks 03 and 04 on made-up cases that their predecessors got wrong."""

import numpy as np
import pytest

from lib.experiments.n03_order import across_seeds, measures
from lib.experiments.shared import orders
from lib.methods.signals import checkerboard, total_order
from lib.record import claims, uncertainty

OWN = np.linspace(0.5, 0.9, 8)


def rng(seed=0):
    return np.random.default_rng(seed)


def hits(table, n=4000, seed=0):
    """Pictures (S, k, k, n) on which classifiers are right, independent of each other."""
    table = np.broadcast_to(table, (3, *np.shape(table)[-2:]))
    return rng(seed).random((*table.shape, n)) < table[..., None]


def costing(loss):
    """Table 2 where signal i costs each reader the share loss[i] of its accuracy."""
    off = ~np.eye(len(OWN), dtype=bool)
    return np.where(off, OWN * (1 - np.asarray(loss)[:, None]), OWN)


def test_equal_losses_look_like_an_order_by_accuracy_and_are_none():
    made = hits(costing(np.full(8, 0.2)))
    rrcs = total_order.rrc(made.mean(-1))
    before = measures.agreement(rrcs, OWN, [0, 1, 2])
    assert before["value"] < -0.7 and before["interval"][1] < 0  # "signals of weak classifiers are better", it said
    now = orders.beyond_equal_loss(made, OWN, [0, 1, 2], rng(1))
    assert now["interval"][0] < 0 < now["interval"][1] and now["n"] == 8 and len(now["seeds"]) == 3
    assert now["named"]["tau-b of readability itself"][0] == before["value"]
    assert now["named"]["tau-b that equal losses give"][0] < -0.7 and now["detectable"] == pytest.approx(18 / 28)


def test_an_order_that_has_nothing_to_do_with_accuracy_is_not_taken_for_one_that_has():
    """Losses in an order without tau with accuracy, but an extreme tau of equal losses: to take off its mean from tau,
    and to shift the interval, called the signals of the accurate the better ones (.64 of such orders, not .025)."""
    loss = 0.05 + 0.05 * np.array([3, 6, 1, 4, 7, 2, 5, 0])
    assert abs(uncertainty.tau_b(loss[None], OWN)[0]) < 0.3
    found = orders.beyond_equal_loss(hits(costing(loss)), OWN, [0, 1, 2], rng(1))
    raw, luck = (found["named"][name] for name in ("tau-b of readability itself", "tau-b that equal losses give"))
    exact = uncertainty.tau_exact(orders.order(hits(costing(loss)).mean(-1)), OWN)
    shifted = exact.low - luck[0]
    assert luck[0] < -0.7 and shifted > 0 and raw[0] == exact.value  # "reproduced", it said
    assert found["interval"][0] < 0 < found["interval"][1]


def test_the_surplus_is_unrelated_to_accuracy_where_losses_are():
    """Where how much a signal costs has nothing to do with accuracy, tau of the surplus is 0 on average; that of
    readability is not, and that less the mean of equal losses is far off on the other side."""
    generator, taus = rng(2), []
    for _ in range(60):
        own = np.sort(generator.uniform(0.7, 0.87, 8))
        loss = generator.uniform(0, 0.3, (8, 1)) + generator.uniform(-0.05, 0.05, (8, 8))
        table = np.where(np.eye(8, dtype=bool), own, own * (1 - loss))[None]
        null = total_order.equal_loss(table)[None]
        readings = (orders.surplus(table, null), orders.order(table), orders.order(null)[0])
        taus.append([uncertainty.tau_b(one, own) for one in readings])
    surplus, raw, equal = np.mean(taus, 0)
    assert abs(surplus) < 0.1 and raw < -0.1 and raw - equal > 0.5


def test_the_papers_own_table_by_surplus():
    """By hand: without better signals L would read 1/4 (.0211 + .2929 + .1829 + .0163) = .1283 of any other's."""
    equal = total_order.equal_loss(total_order.PAPER_TABLE)
    assert equal[1, 0] == pytest.approx(0.1283) and equal[0, 0] == 0.3484
    beyond = dict(zip(total_order.PAPER, orders.paper_surplus(), strict=True))
    assert sorted(beyond, key=beyond.get, reverse=True) == ["vgg", "inception", "resnet", "lenet", "alexnet"]


def test_a_signal_that_costs_less_is_seen_beyond_equal_losses():
    made = hits(costing(np.linspace(0.6, 0.05, 8)))  # the better the classifier, the more readable its signal
    found = orders.beyond_equal_loss(made, OWN, [0, 1, 2], rng(1))
    assert found["value"] == 1 and found["interval"][0] > 0
    assert found["named"]["tau-b of the order by points lost"][0] == pytest.approx(1)


def test_equal_losses_keep_what_readers_lose_and_what_pictures_add():
    made = hits(costing(np.linspace(0.6, 0.05, 8)))
    null = total_order.equal_losses(made, rng(2), draws=300)
    accuracy, off = made.mean(-1), ~np.eye(8, dtype=bool)
    assert null.shape == (300, 3, 8, 8)
    np.testing.assert_allclose(null.mean(0)[:, off], _columns(accuracy)[:, off], atol=0.004)
    np.testing.assert_allclose(null.mean(0)[:, ~off], accuracy[:, ~off], atol=0.004)
    np.testing.assert_allclose(null.std(0), np.sqrt(accuracy * (1 - accuracy) / made.shape[-1]), rtol=0.25)


def _columns(accuracy):
    """Each reader's mean over the others' signals, by hand."""
    made = np.zeros_like(accuracy)
    for s in range(3):
        for j in range(8):
            made[s, :, j] = np.mean([accuracy[s, i, j] for i in range(8) if i != j])
    return made


def test_tau_b_of_many_rows_is_scipys_and_that_of_eight_units_is_exact():
    from scipy.stats import kendalltau

    rows, one = rng(3).integers(0, 5, (20, 8)), rng(4).permutation(8)
    expected = [kendalltau(row, one).statistic for row in rows]
    np.testing.assert_allclose(uncertainty.tau_b(rows, one), expected, atol=1e-12)
    found = uncertainty.tau_exact(rows[0], one)
    assert found.value == pytest.approx(expected[0])
    assert uncertainty.tau_exact(rng(4).permutation(8), one).detectable == pytest.approx(18 / 28)
    assert uncertainty.tau_b(np.ones((2, 8)), one).tolist() == [0, 0]
    with pytest.raises(ValueError, match="all units of y are tied"):
        uncertainty.tau_b(rows, np.ones(8))


def test_one_near_family_among_eight_is_not_a_rule_about_families():
    vectors = rng(5).standard_normal((3, 8, 400, 30))
    vectors[:, 0] = vectors[0, 0] + 0.01 * vectors[:, 0]  # only the first family's decoders resemble each other
    apart = np.linalg.norm(vectors[:, :, None, None] - vectors[None, None], axis=-1)
    found = across_seeds.kinship(apart, rng(0), draws=300)
    pictures = found["value"] + 0.01 * rng(1).standard_normal(400)  # each picture says the same: it was certain
    assert uncertainty.bootstrap_mean(pictures, generator=rng(2)).low > 0.1
    assert found["interval"][0] < 0 < found["value"] and found["n"] == 8
    vectors = rng(5).standard_normal((1, 8, 400, 30)) + 0.3 * rng(6).standard_normal((3, 8, 400, 30))
    apart = np.linalg.norm(vectors[:, :, None, None] - vectors[None, None], axis=-1)
    found = across_seeds.kinship(apart, rng(0), draws=300)
    assert found["interval"][0] > max(0.5, found["null"][1])


def test_the_same_grid_under_three_times_the_change_has_the_same_amplitude():
    grid = np.zeros((1, 3, 64, 64))
    grid[..., ::2] = 0.1
    noise = rng(7).standard_normal((1, 3, 64, 64))
    little, much = grid + 0.05 * noise, grid + 0.15 * noise
    assert checkerboard.checkerboard(little) > 1.8 * checkerboard.checkerboard(much)
    assert checkerboard.amplitude(little) == pytest.approx(0.05, abs=0.004)  # +-0.05 around its mean
    assert checkerboard.amplitude(much) == pytest.approx(0.05, abs=0.008)
    assert checkerboard.amplitude(0.05 * noise) < 0.01


def test_students_interval_is_scipys():
    from scipy.stats import ttest_1samp

    values = rng(8).standard_normal(8) + 1
    expected = ttest_1samp(values, 0).confidence_interval()
    found = uncertainty.student(values)
    assert found.interval == pytest.approx((expected.low, expected.high)) and found.n == 8
    with pytest.raises(ValueError, match="3 or more"):
        uncertainty.student([1.0, 2.0])


@pytest.mark.parametrize(
    ("part", "value", "interval", "null", "verdict"),
    [
        ("C4a", 0.003, (0.002, 0.004), (0.0, 0.0), "not reproduced"),  # was "reproduced": any width above zero
        ("C4a", 0.3, (0.2, 0.4), (0.0, 0.1), "reproduced"),
        ("C4a", 0.3, (0.05, 0.4), (0.0, 0.1), "inconclusive"),
        ("C5a", 0.0, (-0.52, 0.52), (-0.1, 0.1), "reproduced"),  # no result of six classifiers could have been
        ("C5a", -0.7, (-0.93, -0.1), (-0.1, 0.1), "not reproduced"),
    ],
)
def test_rules_on_cases_that_the_old_ones_got_wrong(part, value, interval, null, verdict):
    seeds = [{"seed": s, "value": value, "interval": interval, "null": null} for s in (1, 2, 3)]
    named = {"nothing": (0.0, 0.0, 0.0)}
    assert claims.verdict(part, value, interval, null, named, seeds) == verdict


def test_seeds_that_only_lack_pictures_do_not_undo_a_verdict_and_seeds_of_another_sign_do():
    wide = [{"seed": s, "value": 0.01, "interval": (-0.01, 0.03)} for s in (1, 2, 3)]
    assert claims.verdict("C3", 0.01, (0.002, 0.018), seeds=wide) == "reproduced"  # was inconclusive
    assert claims.verdict("C3", 0.01, (0.002, 0.018), seeds=wide[:2]) == "inconclusive"
    wide[1] = {"seed": 2, "value": -0.001, "interval": (-0.02, 0.02)}
    assert claims.verdict("C3", 0.01, (0.002, 0.018), seeds=wide) == "inconclusive"
    low = [{"seed": s, "value": v, "interval": (-1, 1), "null": (0, 0)} for s, v in ((1, -0.9), (2, -0.8), (3, 0.7))]
    assert claims.verdict("C5a", -0.8, (-0.95, -0.2), (0, 0), seeds=low) == "inconclusive"
    low[2] |= {"value": -0.7}
    assert claims.verdict("C5a", -0.8, (-0.95, -0.2), (0, 0), seeds=low) == "not reproduced"
