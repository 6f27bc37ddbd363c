"""RRC, lattices and the total order: the paper's own table, brute force, and wrong versions that must be noticed."""

from itertools import chain as joined
from itertools import combinations, product
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.linear_model import LinearRegression

from lib.experiments.n03_order import lattices as order_lattices
from lib.experiments.n03_order import measures, plots
from lib.experiments.shared import through_autoencoders
from lib.methods.signals import total_order
from lib.networks import zoo
from lib.record import claims

LETTERS = "LAVIR"  # rows and columns of the paper's table
PAPER = total_order.rrc(total_order.PAPER_TABLE)
ORIGINAL = total_order.rrc(total_order.PAPER_TABLE, total_order.PAPER_ALONE)
rng = np.random.default_rng


def named(numbers) -> str:
    return "".join(LETTERS[k] for k in sorted(numbers))


def intents(rrc, t: float) -> dict[str, str]:
    """Whose signals each classifier reads."""
    return {LETTERS[j]: named(np.flatnonzero(row)) for j, row in enumerate(total_order.context(rrc, t))}


def hits(accuracies, n: int = 400) -> np.ndarray:
    """(..., n) bool with exactly these shares of hits, spread evenly."""
    accuracies = np.asarray(accuracies)
    return (np.arange(n) + 0.5) / n < accuracies[..., None]


# ------------------------------------------------------------------------------------------- the paper's own table


def test_the_papers_rrcs():
    expected = [
        [1, 0.883, 0.119, 1.249, 1.358],
        [0.061, 1, 0.017, 0.958, 0.165],
        [0.841, 0.955, 1, 1.033, 1.019],
        [0.525, 0.539, 0.636, 1, 0.606],
        [0.047, 0.886, 0.099, 0.967, 1],
    ]
    assert np.allclose(PAPER, expected, atol=6e-4)
    assert PAPER.max() == pytest.approx(1.36, abs=0.01) and pytest.approx(1.46, abs=0.01) == ORIGINAL.max()


def test_the_papers_lattices_are_drawn_as_in_figure_7():
    assert intents(PAPER, 0.8) == {"V": "V", "L": "LV", "R": "LVR", "A": "LAVR", "I": "LAVIR"}
    assert intents(PAPER, 0.2) == {"V": "VI", "L": "LVI", "R": "LVIR", "A": "LAVIR", "I": "LAVIR"}
    assert intents(PAPER, 0.1) == {"V": "LVI", "L": "LVI", "R": "LAVIR", "A": "LAVIR", "I": "LAVIR"}
    extents = {
        t: [named(c.extent) for c in total_order.concepts(total_order.context(PAPER, t))]
        for t in total_order.PAPER_THRESHOLDS
    }
    assert extents[0.8] == ["I", "AI", "AIR", "LAIR", "LAVIR"]
    assert extents[0.2] == ["AI", "AIR", "LAIR", "LAVIR"]
    assert extents[0.1] == ["AIR", "LAVIR"]
    chains = [
        total_order.is_chain(total_order.concepts(total_order.context(PAPER, t))) for t in total_order.PAPER_THRESHOLDS
    ]
    assert chains == [True, True, True, False]
    bottom, *_, top = total_order.concepts(total_order.context(PAPER, 0.9))
    assert named(bottom.extent) == "I" and top.intent == frozenset()


def test_the_paper_has_a_chain_where_it_was_recomputed_and_none_between():
    assert np.allclose(total_order.chain_ranges(PAPER), [(0.165, 0.525), (0.636, 0.841)], atol=6e-4)
    assert np.allclose(total_order.chain_ranges(ORIGINAL), [(0.168, 0.550), (0.638, 0.905)], atol=6e-4)
    assert total_order.summed_range(PAPER) == pytest.approx(0.565, abs=5e-4)
    assert total_order.widest_range(PAPER) == pytest.approx(0.360, abs=5e-4)
    between = [step for step in total_order.scan(PAPER) if 0.53 < step.high < 0.637]
    assert between and not any(step.chain for step in between)
    assert total_order.scan(PAPER)[-1].high == 1 and not total_order.scan(PAPER)[-1].chain
    assert [step.extents for step in total_order.scan(PAPER) if step.low < 0.8 <= step.high] == [5]
    assert np.allclose(total_order.gaps(PAPER), [(0.165, 0.525), (0.636, 0.841)], atol=6e-4)
    assert total_order.telling(PAPER) == pytest.approx((0.165 + 0.525) / 2, abs=5e-4)


def test_the_papers_signals_in_order():
    assert measures.ranking(total_order.readability(PAPER), total_order.PAPER) == "V > L > I > R > A"
    assert measures.ranking(total_order.context(PAPER, 0.8).sum(0), total_order.PAPER) == "V > L > R > A > I"
    assert measures.ranking(total_order.readability(PAPER.T), total_order.PAPER) != "V > L > I > R > A"
    assert measures.ranking([0.5, 0.5, 0.7], ("lenet", "vgg", "resnet")) == "R > L = V"


def test_no_doubtful_digit_changes_what_the_paper_found():
    for digits in product((0, 0.0008), repeat=4):
        table = total_order.PAPER_TABLE.copy()
        table[[0, 2, 3, 4], [4, 3, 4, 2]] += digits
        rrc = total_order.rrc(table)
        assert intents(rrc, 0.8) == intents(PAPER, 0.8) and intents(rrc, 0.2) == intents(PAPER, 0.2)
        assert total_order.summed_range(rrc) == pytest.approx(0.565, abs=2e-3)


# ------------------------------------------------------------------------------------- lattices against brute force


def closures(context) -> set[frozenset]:
    """All extents: for every subset of the signals, those who read all of it."""
    every = range(context.shape[1])
    subsets = joined.from_iterable(combinations(every, size) for size in range(len(every) + 1))
    return {frozenset(j for j, row in enumerate(context) if all(row[i] for i in subset)) for subset in subsets}


@pytest.mark.parametrize("shape", [(3, 3), (4, 4), (5, 5), (6, 6), (3, 5), (6, 2)])
def test_concepts_are_the_closures_of_all_subsets(shape):
    for draw in range(30):
        context = rng(draw).random(shape) < rng(draw + 1).uniform(0.2, 0.9)
        found = total_order.concepts(context)
        assert {concept.extent for concept in found} == closures(context) and len(set(found)) == len(found)
        for extent, intent in found:
            assert intent == {i for i in range(shape[1]) if all(context[j, i] for j in extent)}
            assert extent == {j for j in range(shape[0]) if all(context[j, i] for i in intent)}
        dual = total_order.concepts(context.T)
        assert {(c.intent, c.extent) for c in dual} == set(found)


def test_covers_join_neighbours_only():
    context = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1]], dtype=bool)
    assert total_order.covers(total_order.concepts(context)) == [(0, 1), (1, 2)]
    for draw in range(20):
        lattice = total_order.concepts(rng(draw).random((5, 5)) < 0.5)
        lines = total_order.covers(lattice)
        above = {a: {b for a_, b in lines if a_ == a} for a in range(len(lattice))}
        for a, one in enumerate(lattice):  # following lines upwards leads to exactly the larger extents
            reached, todo = set(), {a}
            while todo:
                todo = set().union(*(above[k] for k in todo))
                reached |= todo
            assert reached == {b for b, two in enumerate(lattice) if one.extent < two.extent}
            assert all(not (lattice[b].extent < lattice[c].extent) for b in above[a] for c in above[a])


def relations(n: int):
    off = ~np.eye(n, dtype=bool)
    for bits in product((False, True), repeat=n * (n - 1)):
        relation = np.eye(n, dtype=bool)
        relation[off] = bits
        yield relation


@pytest.mark.parametrize(("n", "share"), [(3, 0.30), (4, 0.051)])
def test_random_relations_are_chains_as_often_as_counted(n, share):
    every = np.stack(list(relations(n)))
    lattices = [total_order.concepts(relation) for relation in every]
    quick, extents = total_order.nested(every)
    slow = np.array([all(a.extent <= b.extent or b.extent <= a.extent for a in one for b in one) for one in lattices])
    assert np.array_equal(quick, slow) and [total_order.is_chain(one) for one in lattices] == slow.tolist()
    assert [len(one) for one, chain in zip(lattices, slow, strict=True) if chain] == extents[slow].tolist()
    assert slow.mean() == pytest.approx(share, abs=0.005)
    assert total_order.share_of_chains(n) == slow.mean()


def test_five_classifiers_are_seldom_a_chain_by_luck():
    assert total_order.share_of_chains(5) == pytest.approx(0.0033, abs=5e-5)
    with pytest.raises(ValueError, match="expected 2 to 5"):
        total_order.share_of_chains(6)


@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_the_scan_agrees_with_every_threshold_tried(n):
    rrc = total_order.rrc(rng(n).uniform(0.05, 0.9, (n, n)))
    steps = total_order.scan(rrc)
    assert steps[0].low == 0 and steps[-1].high == 1
    assert all(one.high == two.low for one, two in zip(steps, steps[1:], strict=False))
    ranges, long = total_order.chain_ranges(rrc, 2), total_order.chain_ranges(rrc)
    for t in [*rng(0).uniform(0, 1, 200), *[step.high for step in steps[:-1]]]:
        lattice = total_order.concepts(total_order.context(rrc, t))
        (step,) = [step for step in steps if step.low < t <= step.high]
        assert (step.chain, step.extents) == (total_order.is_chain(lattice), len(lattice))
        assert any(low < t <= high for low, high in ranges) == (step.chain and step.extents >= 2)
        assert any(low < t <= high for low, high in long) == (step.chain and step.extents >= n - 1)
    assert total_order.summed_range(rrc) == pytest.approx(sum(high - low for low, high in long))


def test_a_relation_of_all_ones_or_of_the_diagonal_alone_has_no_long_chain():
    assert total_order.summed_range(np.ones((5, 5))) == 0 and total_order.scan(np.ones((5, 5))) == [(0, 1, True, 1)]
    alone = total_order.rrc(np.eye(5) * 0.5 + 1e-9)
    assert total_order.summed_range(alone) == 0 and total_order.telling(alone) < 1e-8
    assert total_order.widest_range(alone) == 0
    assert total_order.telling(np.eye(3)) == 0.5  # nothing is a chain


def test_original_accuracies_count_who_does_not_read_its_own_signal():
    chain, extents = total_order.nested(np.array([[True, False], [True, False]]))
    assert chain and extents == len(total_order.concepts(np.array([[True, False], [True, False]]))) == 2
    chain, extents = total_order.nested(np.array([[True], [False]]))  # nobody's signal is read by all
    assert chain and extents == len(total_order.concepts(np.array([[True], [False]]))) == 2


# ------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("table", "accuracies", "sentence"),
    [
        ([[0.5]], None, "one classifier.*no order exists"),
        (np.ones((2, 3)), None, r"shape \(2, 3\)"),
        ([[0.0, 0.1], [0.2, 0.5]], None, "found one of 0.0, expected all above 0"),
        (np.full((3, 3), 0.5), [0.5, 0.5], "one for each of 3"),
        ([[0.5, np.nan], [0.2, 0.5]], None, "table: found values that are not finite"),
    ],
)
def test_rrc_refuses_in_a_sentence(table, accuracies, sentence):
    with pytest.raises(ValueError, match=sentence):
        total_order.rrc(table, accuracies)


def test_a_zoo_without_an_order_is_refused_before_anything_is_computed():
    with pytest.raises(ValueError, match=r"found 1 \(vgg\).*no order exists"):
        measures.check(["vgg"], [0, 1], 100)
    with pytest.raises(ValueError, match="expected two or more, to compare"):
        measures.check(["vgg", "lenet", "resnet"], [0], 100)
    with pytest.raises(ValueError, match=r"n_few is 101, expected at most n_test \(100\)"):
        measures.check(["vgg", "lenet", "resnet"], [0, 1], 100, n_growth=100, n_few=101)
    with pytest.raises(ValueError, match=r"found 2 \(vgg, lenet\), expected three or more"):
        measures.check(["vgg", "lenet"], [0, 1], 100)
    measures.check(["vgg", "lenet", "resnet"], [0, 1], 100, n_growth=100)


# ----------------------------------------------------------------------------------------- nulls and simpler stories


def test_permutations_keep_what_they_say():
    rrc = total_order.rrc(rng(0).uniform(0.1, 0.9, (5, 5)))
    off = ~np.eye(5, dtype=bool)
    for within in (False, True):
        dealt = total_order.permuted(rrc, rng(1), 50, within)
        assert dealt.shape == (50, 5, 5) and (np.diagonal(dealt, axis1=1, axis2=2) == 1).all()
        assert all(np.array_equal(np.sort(one[off]), np.sort(rrc[off])) for one in dealt)
        assert len({one.tobytes() for one in dealt}) > 40
        same_rows = [np.array_equal(np.sort(one, 1), np.sort(rrc, 1)) for one in dealt]
        assert all(same_rows) if within else not any(same_rows)
    firsts = {one[0, 1] for one in total_order.permuted(rrc, rng(1), 500)}
    assert firsts == set(rrc[off].tolist())  # every value comes to every place


def test_the_papers_order_stands_above_both_nulls_and_a_random_table_does_not():
    ranges = total_order.nulls(PAPER, rng(0), 500)
    assert set(ranges) == {"off the diagonal", "within rows"}
    assert total_order.summed_range(PAPER) > max(high for _, high in ranges.values())
    values = np.array([total_order.summed_range(total_order.rrc(rng(k).uniform(0.3, 0.9, (6, 6)))) for k in range(50)])
    assert np.median(values) == 0


def test_swapped_rows_and_columns_keep_the_chain_and_turn_the_order():
    """The lattice of a swapped table is the same upside down: C4a's value cannot tell, its levels and C4b can."""
    assert total_order.summed_range(PAPER.T) == pytest.approx(total_order.summed_range(PAPER))
    assert intents(PAPER.T, 0.8) != intents(PAPER, 0.8)
    families = ["vgg", "lenet", "resnet", "alexnet", "inception"]
    place = [total_order.PAPER.index(family) for family in families]
    ours = total_order.PAPER_TABLE[np.ix_(place, place)]
    right, wrong = (hits(np.stack([one, one]), 2_000) for one in (ours, np.where(np.eye(5), ours, 0.9 * ours.T)))
    right = measures.with_the_paper(families, right, [0, 1], rng(0))
    wrong = measures.with_the_paper(families, wrong, [0, 1], rng(0))
    assert right["value"] == 1 and right["interval"][0] > 0 and right["n"] == 5
    assert right["named"]["tau-b of readability with the paper's"][0] == 1
    assert right["named"]["tau-b with the chain at t = 0.8"][0] == pytest.approx(0.6)
    assert wrong["value"] < 0.5 and wrong["named"]["tau-b of readability with the paper's"][0] < 0.5


def test_only_common_families_are_compared_with_the_paper():
    families = ["resnet", "convnext", "vgg", "lenet"]
    table = 0.9 * np.eye(4)
    table[0], table[2], table[3] = (0.9, 0.8, 0.1, 0.1), (0.7, 0.0, 0.9, 0.7), (0.45, 0.4, 0.45, 0.9)
    found = measures.with_the_paper(families, hits(np.stack([table, table])), [0, 1], rng(0))
    assert found["n"] == 3 and found["named"]["tau-b of readability with the paper's"][0] == pytest.approx(
        1
    )  # V > L > R
    table[0, 1], table[0, 2:] = 0.9, 0.28
    found = measures.with_the_paper(families, hits(np.stack([table, table])), [0, 1], rng(0))
    moved = found["named"]["tau-b of readability with the paper's"][0]
    assert abs(moved) == pytest.approx(1 / 3)  # with ConvNeXt's help R moves up


def test_row_and_column_effects_explain_what_regression_says():
    additive = np.add.outer([0.1, 0.4, 0.7, 0.2], [0.1, 0.3, 0.2, 0.0])
    assert total_order.additive_share(additive) == pytest.approx(1)
    for draw in range(5):
        rrc = total_order.rrc(rng(draw).uniform(0.1, 0.9, (6, 6)))
        rows, columns = np.nonzero(~np.eye(6, dtype=bool))
        dummies = np.c_[np.eye(6)[rows], np.eye(6)[columns]]
        expected = LinearRegression().fit(dummies, rrc[rows, columns]).score(dummies, rrc[rows, columns])
        assert total_order.additive_share(rrc) == pytest.approx(expected)
    assert total_order.additive_share(np.ones((4, 4))) == 1
    spoilt = additive.copy()
    spoilt[np.diag_indices(4)] = 99  # the diagonal is no evidence
    assert total_order.additive_share(spoilt) == pytest.approx(1)


# -------------------------------------------------------------------------------------------- what the claims take


def test_readability_leaves_out_the_reader_itself_and_caps_at_one():
    rrc = np.array([[1.0, 1.5, 0.2], [0.5, 1.0, 0.5], [0.0, 0.1, 1.0]])
    assert total_order.readability(rrc) == pytest.approx([0.6, 0.5, 0.05])
    assert total_order.readability(np.stack([rrc, rrc.T])).shape == (2, 3)
    t = np.linspace(0, 1, 10_001)[1:-1]  # the share of readers at or above t, averaged over t
    shares = [np.mean([(row[np.arange(3) != i] >= one).mean() for one in t]) for i, row in enumerate(rrc)]
    assert total_order.readability(rrc) == pytest.approx(shares, abs=1e-3)


def test_the_smallest_lead_is_over_others_signals_read_by_the_same_classifier():
    table = np.array([[0.8, 0.60], [0.1, 0.65]])  # rows A_i: in each column the own signal is the best
    assert measures.smallest_lead(table) == pytest.approx(0.05)
    wrong = np.array([[0.8, 0.7], [0.1, 0.65]])  # classifier 1 reads A_0 better than A_1; no row shows that
    assert measures.smallest_lead(wrong) == pytest.approx(-0.05) and measures.smallest_lead(wrong.T) == pytest.approx(
        0.1
    )


def test_claim_c3_is_decided_by_columns():
    right = hits(np.tile([[0.9, 0.5, 0.5], [0.8, 0.6, 0.5], [0.8, 0.5, 0.6]], (3, 1, 1)))
    found = measures.over_seeds(right, measures.smallest_lead, [0, 1, 2], rng(0))
    assert found["value"] == pytest.approx(0.1) and [one["seed"] for one in found["seeds"]] == [0, 1, 2]
    assert claims.verdict("C3", found["value"], found["interval"], seeds=found["seeds"]) == "reproduced"
    swapped = measures.over_seeds(right.swapaxes(1, 2), measures.smallest_lead, [0, 1, 2], rng(0))
    verdict = claims.verdict("C3", swapped["value"], swapped["interval"], seeds=swapped["seeds"])
    assert swapped["value"] == pytest.approx(-0.2) and verdict == "not reproduced"


def test_seeds_are_averaged_before_the_statistic_and_judged_alone():
    one, two = np.array([[0.8, 0.7], [0.1, 0.6]]), np.array([[0.8, 0.1], [0.7, 0.6]])
    found = measures.over_seeds(hits([one, two]), measures.smallest_lead, [4, 7], rng(0))
    assert found["value"] == pytest.approx(0.2)  # of the averaged table, not the average of both
    assert [(s["seed"], round(s["value"], 6)) for s in found["seeds"]] == [(4, -0.1), (7, 0.1)]
    assert found["n"] == 400 and all(s["interval"][0] <= s["value"] <= s["interval"][1] for s in found["seeds"])


def test_claim_c4a_sees_a_chain_and_not_a_shuffled_one():
    levels = np.where(np.tri(6, dtype=bool), 0.3, 0.8).astype(float)  # signal i is read by those before it
    table = levels + 0.02 * rng(0).random((6, 6))
    table[np.diag_indices(6)] = 0.8
    found = measures.chain_claim(hits(np.tile(table, (3, 1, 1))), [0, 1, 2], rng(0), 200)
    assert (
        found["value"] == pytest.approx(total_order.summed_range(total_order.rrc(hits(table).mean(-1))))
        and found["value"] > 0.3
    )
    assert set(found["null"]) == {"off the diagonal", "within rows"}
    assert all(set(one["null"]) == set(found["null"]) for one in found["seeds"])
    whole = {key: found[key] for key in ("value", "interval", "null", "seeds")}
    assert claims.verdict("C4a", **whole) == "reproduced"
    share, luck = found["named"].values()
    assert 0.4 < share[0] < 1 and luck[0] == pytest.approx(10 / 29, abs=0.03)
    mixed = total_order.permuted(table, rng(1), 1)[0]
    spoilt = measures.chain_claim(hits(np.tile(mixed, (3, 1, 1))), [0, 1, 2], rng(0), 200)
    verdict = claims.verdict("C4a", **{key: spoilt[key] for key in ("value", "interval", "null", "seeds")})
    assert spoilt["value"] < 0.1 and verdict != "reproduced"


def test_nulls_belong_to_the_mean_and_to_each_seed():
    table = np.tile([[0.2], [0.4], [0.6]], (1, 3))  # poor signals and good ones, all readers alike
    table[np.diag_indices(3)] = 0.8
    found = measures.chain_claim(hits([np.full((3, 3), 0.8), table, table]), [0, 1, 2], rng(0), 50)
    nulls = [one["null"]["within rows"] for one in (found, *found["seeds"])]
    assert nulls[0] == pytest.approx([found["value"]] * 2)  # rows of equal RRCs dealt anew stay as they are
    assert nulls[1] == (0, 0) and nulls[2][0] > nulls[0][0] > 0
    assert found["null"]["off the diagonal"][0] < nulls[0][0]


def test_agreement_follows_the_signals_and_not_the_readers():
    rrc = np.where(np.eye(6, dtype=bool), 1, np.linspace(0.9, 0.2, 6)[:, None] * np.ones(6))
    falling = np.arange(6, 0, -1.0)
    found = measures.agreement(np.stack([rrc, rrc]), falling, [0, 1])
    assert found["value"] == 1 and found["null"][0] < 0 < found["null"][1]
    assert [one["value"] for one in found["seeds"]] == [1, 1]
    readers = rrc.T + 1e-6 * np.arange(6)[:, None]  # a poor reader is no poor signal
    assert measures.agreement(np.stack([readers, readers]), falling, [0, 1])["value"] == -1
    each = measures.agreement(np.stack([rrc, rrc]), [falling, -falling + 0.1 * falling], [0, 1])
    assert [one["value"] for one in each["seeds"]] == [1, -1]
    few = measures.agreement(np.stack([rrc, rrc]), falling[[5, 0, 2]], [0, 1], [5, 0, 2])
    assert few["n"] == 3 and few["value"] == 1


def test_explanations_are_tested_one_by_one():
    rrcs = np.stack([np.where(np.eye(4, dtype=bool), 1, np.linspace(0.9, 0.3, 4)[:, None] * np.ones(4))] * 2)
    rows = measures.explained(rrcs, {"up": np.array([[4, 3, 2, 1], [4, 3, 1, 1.5]]), "down": np.arange(4.0)}).rows
    assert rows[0][0] == "up" and rows[0][1].startswith("1.00 [") and rows[0][2:] == ("0.083", "1.00, 0.67")
    assert rows[1][1].startswith("-1.00 [-1.000, ") and rows[1][3] == "-1.00, -1.00"


def test_the_summary_of_the_papers_table():
    (own, original) = measures.summary({"own": PAPER, "original": ORIGINAL}, total_order.PAPER).rows
    assert own == ("own", "(0.165, 0.525], (0.636, 0.841]", "0.565", "V > L > I > R > A")
    assert original[1] == "(0.168, 0.550], (0.638, 0.905]"
    judged = measures.summary({"own": PAPER}, total_order.PAPER, rng(0))
    assert judged.rows[0][3:6] == ("[0.000, 0.000]", "[0.000, 0.360]", "0.757") and len(judged.head) == 7
    assert measures.summary({"one": np.ones((3, 3))}, total_order.PAPER[:3]).rows[0][1:3] == ("none", "0.000")


def test_the_zoo_is_measured_seed_by_seed(monkeypatch):
    monkeypatch.setattr(
        through_autoencoders, "table", lambda families, seed, pictures, how, *, device: np.full((2, 2, 3), seed)
    )
    monkeypatch.setattr(
        through_autoencoders, "alone", lambda families, seed, pictures, device: np.full((2, 3), 10 + seed)
    )
    monkeypatch.setattr(
        through_autoencoders, "tuned", lambda family, seed, how: SimpleNamespace(digest=f"{family}{seed}")
    )
    found = measures.measure(["a", "b"], [1, 2], None)
    assert found.hits[:, 0, 0, 0].tolist() == [1, 2] and found.alone[:, 0, 0].tolist() == [11, 12]
    assert found.digests == ["a1", "a2", "b1", "b2"]


# -------------------------------------------------------------------------------------------------------- drawing


def test_a_line_diagram_names_everyone_once_and_keeps_its_places_apart():
    families = list(zoo.FAMILIES)
    for draw in range(6):
        rrc = total_order.rrc(rng(draw).uniform(0.3, 0.9, (len(families),) * 2))
        lattice = total_order.concepts(total_order.context(rrc, 0.8))
        where, lines = order_lattices.places(lattice), total_order.covers(lattice)
        assert len(np.unique(where, axis=0)) == len(lattice)
        assert all(where[low, 1] < where[high, 1] for low, high in lines)
        axis = plt.figure().add_subplot()
        order_lattices.diagram(axis, lattice, families)
        words = " ".join(text.get_text() for text in axis.texts).split()
        assert sorted(words) == sorted([*plots.letters(families), *plots.signal_names(families)])
        plt.close("all")
    chain = order_lattices.places(total_order.concepts(total_order.context(PAPER, 0.8)))
    assert chain.tolist() == [[0, k] for k in range(5)]


def test_the_papers_chain_is_drawn_with_v_on_top():
    axis = plt.figure().add_subplot()
    order_lattices.diagram(axis, total_order.concepts(total_order.context(PAPER, 0.8)), total_order.PAPER)
    rows = {}
    for text in axis.texts:
        rows.setdefault(text.xy[1], []).append(text.get_text())
    assert [rows[y] for y in sorted(rows, reverse=True)] == [[f"$A_{{{one}}}$", one] for one in "VLRAI"]
    plt.close("all")


def test_figures_draw_every_number():
    families, tables = ["lenet", "vgg", "resnet"], hits(rng(0).uniform(0.3, 0.9, (2, 3, 3)))
    rrc = total_order.rrc(tables.mean((0, -1)))
    figure = plots.table(tables, families)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == 9 and texts[1] == f"{100 * tables[:, 0, 1].mean():.1f}"
    colours = np.asarray(figure.axes[0].images[0].get_array())
    assert (
        np.diagonal(colours).tolist() == [1, 1, 1] and colours[0, 1] == tables[:, 0, 1].mean() / tables[:, 1, 1].mean()
    )
    half = 1.96 * tables.mean(0)[0, 1].std(ddof=1) / 20
    two = measures.table_two(tables, families).rows
    assert [row[0] for row in two] == ["A_L", "A_V", "A_R"]
    assert two[0][2] == f"{100 * tables[:, 0, 1].mean():.1f} ± {100 * half:.1f}"
    rows = plots.table_rows(tables, families, [5, 6])
    assert len(rows) == 27 and rows[10]["seed"] == 5 and rows[10]["accuracy"] == tables[0, 0, 1].mean()
    assert (rows[10]["signal"], rows[10]["classifier"]) == ("L", "V")
    axis = plots.sorted_rrc({"own": rrc}, families).axes[0]
    ticks = [tick.get_text() for tick in axis.get_xticklabels()]
    points = sorted(float(y) for line in axis.lines for y in line.get_ydata())
    assert len(ticks) == 9 and points == pytest.approx(np.sort(rrc, axis=None))
    i, j = np.unravel_index(rrc.argmin(), rrc.shape)
    names = plots.letters(families)
    assert ticks[0] == f"$A_{{{names[i]}}}$∘{names[j]}"
    (first, second), bands = total_order.gaps(rrc), [patch.get_extents().height for patch in axis.patches]
    assert len(bands) == 2 and all(f"{a:.3f} to {b:.3f}" in axis.get_title() for a, b in (first, second))
    assert len(plots.rrc_rows({"own": rrc, "original": rrc}, families)) == 18
    figure = order_lattices.paper({"own": PAPER, "original": ORIGINAL}, total_order.PAPER)
    assert [axis.get_title().split("\n")[-1] for axis in figure.axes[:4]] == [
        "2 concepts, a chain", "4 concepts, a chain", "5 concepts, a chain", "6 concepts, no chain",
    ]  # fmt: skip
    scans = {"mean": PAPER, "seed 0": ORIGINAL}
    thick = [line for line in order_lattices.all_thresholds(scans).axes[0].lines if line.get_linewidth() == 4]
    assert sum(np.ptp(line.get_xdata()) for line in thick) == pytest.approx(total_order.summed_range(PAPER))
    assert [len(axis.lines) for axis in order_lattices.all_thresholds(scans).axes[::2]] == [
        len(axis.lines) for axis in order_lattices.all_thresholds(scans).axes[1::2]
    ]
    assert len(order_lattices.scan_rows(scans)) == len(total_order.scan(PAPER)) + len(total_order.scan(ORIGINAL))
    assert len(order_lattices.lattice_rows(PAPER, [0.1, 0.8], total_order.PAPER)) == 7
    off = np.sort(PAPER[~np.eye(5, dtype=bool)])
    assert [(off < one).sum() for one in order_lattices.spread(PAPER)] == [2, 5, 10, 15]  # of 20, the own left out
    figure = order_lattices.lattices(PAPER, [0.8, 0.1, 0.9, 0.2], total_order.PAPER)
    titles = [axis.get_title().split("\n")[0] for axis in figure.axes if axis.get_visible()]
    assert titles == ["t = 0.1", "t = 0.2", "t = 0.8", "t = 0.9"]
    plt.close("all")


def test_the_two_tables_across_seeds_leave_out_equal_seeds():
    apart = np.full((2, 3, 2, 3, 4), 9.0)
    apart[0, :, 1], apart[1, :, 0] = 0.25, 0.75
    across = hits(np.full((2, 1, 3, 3), 0.5))
    figure, rows = plots.families_apart(across, apart, ["lenet", "vgg", "resnet"])
    assert {row["distance"] for row in rows} == {0.5} and {row["accuracy"] for row in rows} == {0.5}
    assert len(figure.axes) == 2
    plt.close("all")


def test_readings_are_drawn_for_every_seed():
    families, readable = ["lenet", "vgg", "resnet"], rng(0).random((2, 3))
    readings = {"shape": rng(1).random((2, 3)), "stride": np.array([1, 1, 2])}
    figure = plots.against(readings, readable, families)
    seeds, means = figure.axes[0].lines[::2], figure.axes[0].lines[1::2]
    drawn = [np.c_[line.get_data()].tolist() for line in seeds]
    assert drawn == [np.c_[readings["shape"][:, k], readable[:, k]].tolist() for k in range(3)]
    assert len(figure.axes) == 2 and [float(line.get_ydata()[0]) for line in means] == pytest.approx(readable.mean(0))
    rows = plots.against_rows(readings, readable, families, [4, 5])
    assert len(rows) == 6 and rows[4] == {"seed": 5, "signal": "V", "readability": readable[1, 1]} | {
        "shape": readings["shape"][1, 1], "stride": 1,
    }  # fmt: skip
    plt.close("all")
