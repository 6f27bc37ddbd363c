"""Judges of optimised images, the choice among settings on other starts, and claims E8 and E9 on made-up readings."""

import numpy as np
import pytest
import torch

from lib.experiments.n11_ascent import measures, plots
from lib.experiments.n11_ascent.measures import Objectives
from lib.experiments.shared import class_images, recognised
from lib.experiments.shared.class_images import EVALUATION, GRID, MODERN, SELECTION
from lib.experiments.shared.recognised import Judged
from lib.networks import interface, zoo
from lib.record import claims
from lib.worlds import cutouts


@pytest.fixture
def draws():
    return np.random.default_rng(0)


def readings(shares, starts=4, after=None):
    """A Judged of ten classes in which a class is recognised in the given share of starts by all three judges."""
    targets = np.repeat(np.arange(10), starts)
    hits = np.tile(np.arange(starts), 10) < np.repeat(np.broadcast_to(shares, 10), starts) * starts - 1e-9
    before = np.zeros((len(targets), 10))
    pictures = np.zeros((len(targets), 64, 64, 3), np.uint8)
    read = np.eye(10)[np.where(hits, targets, (targets + 1) % 10)]
    return Judged(pictures, targets, before, before if after is None else after, np.stack([read] * 3))


def test_the_judge_knows_test_pictures_and_asks_for_the_right_cue():
    batch = cutouts.batch(cutouts.World(), "test", 200)
    hits = recognised.judge(batch.images, batch.labels)
    assert hits.shape == (3, 200) and hits.mean() > 0.55
    for k in range(3):  # each judge reads its own cue, not the label
        read = recognised.judge(batch.images, batch.cues[:, k])
        assert read[k].mean() > 0.85 and read[k].mean() == read.mean(1).max()
    assert recognised.judge(batch.images, (batch.labels + 1) % 10).mean() < 0.2
    assert recognised.others(batch.images, batch.labels, ["vgg", "lenet"], 1).mean(1).min() > 0.6


def test_shares_by_class():
    targets = np.array([0, 1, 1, 0])
    found = recognised.by_class(np.array([[1, 0, 0, 0], [1, 1, 0, 1]], bool), targets)
    assert found.tolist() == [0.75, 0.25]


def test_high_frequencies_of_known_waves():
    place = np.arange(64)
    for wave, share in ((4, 0.0), (15, 0.0), (17, 1.0), (32, 1.0)):
        row = 127.5 + 100 * np.cos(2 * np.pi * wave * place / 64)
        picture = np.broadcast_to(row[:, None], (1, 64, 64, 3)[1:])[None]
        assert recognised.high_frequencies(picture) == pytest.approx(share, abs=1e-9)
    assert recognised.high_frequencies(np.full((2, 64, 64, 3), 77)).tolist() == [0, 0]


def test_share_of_the_rise_by_lowering_the_others():
    """Own score up by 3, every other down by 1: the log-odds rise by 4, a quarter by lowering the others."""
    after = np.full((40, 10), -1.0)
    after[np.arange(40), np.repeat(np.arange(10), 4)] = 3.0
    assert measures.lowered(readings(0.5, after=after)).tolist() == pytest.approx([0.25] * 10)
    after = np.ones((40, 10))  # all rise alike: the odds stay, but for the own score's share
    after[np.arange(40), np.repeat(np.arange(10), 4)] = 3.0
    assert measures.lowered(readings(0.5, after=after)).tolist() == pytest.approx([-0.5] * 10)


def test_score_against_probability_on_made_up_readings(draws):
    lift = np.linspace(0, 0.5, 10)
    after = np.random.default_rng(1).normal(size=(40, 10)) + 4 * np.eye(10)[np.repeat(np.arange(10), 4)]
    found = {
        seed: Objectives(readings(0.5 + np.round(lift * 2) / 4, after=after), readings(0.25, after=after))
        for seed in (0, 1, 2)
    }
    row = measures.score_gain(found, {"weaker": found}, draws)
    expected = np.mean(0.25 + np.round(lift * 2) / 4)
    assert row["value"] == pytest.approx(expected) and row["n"] == 10 and len(row["seeds"]) == 3
    assert row["interval"][0] <= row["value"] <= row["interval"][1]
    assert row["named"]["weaker"][0] == pytest.approx(expected)
    assert {name for name in row["named"] if "lowering" in name} == {
        "rise of the odds by lowering other scores, score", "rise of the odds by lowering other scores, probability",
    }  # fmt: skip
    entry = claims.load()["E8"]["parts"]["E8"]
    result = {"interval": row["interval"], "null": None, "named": row["named"], "seeds": row["seeds"]}
    assert claims.verdict(entry, value=row["value"], **result) == "reproduced"
    zero = measures.score_gain({0: Objectives(found[0].score, found[0].score)}, {}, draws)
    assert zero["value"] == 0


def test_settings_are_chosen_on_the_starts_for_choosing_only(monkeypatch, draws):
    """On the starts for choosing 'contribution' and combination 2 by 20 win; on the others everything is reversed."""
    asked = []

    def pretend(net, recipe, stream, starts, steps, seed, device="cpu"):
        asked.append((recipe, stream, starts))
        wins = {("contribution 90 %", 20.0): 0.75, ("blur 1", 2.0): 0.5, ("combination 2", 20.0): 1.0}
        good = wins.get((recipe.name, recipe.progress), 0.25)
        made = readings(good if stream == SELECTION else 1 - good)
        return made

    monkeypatch.setattr(class_images, "make", pretend)
    monkeypatch.setattr(recognised, "judged", lambda made: made)
    nets = dict.fromkeys((0, 1, 2))
    monkeypatch.setattr(class_images, "explore", lambda net, starts, steps, seed, device: [
        pretend(net, recipe, SELECTION, starts, steps, seed) for recipe in GRID
    ])  # fmt: skip
    order = iter([pretend(None, recipe, SELECTION, 2, 1, 0).hits for recipe in GRID for _ in nets])
    monkeypatch.setattr(recognised, "judge", lambda pictures, targets: next(order))
    asked.clear()
    found = measures.regularisers(nets, 2, 4, 1, 0)
    assert found.best == {"single": "small contribution", "combination": "combination 2"}
    assert (found.chosen["blur"].name, found.chosen["blur"].progress) == ("blur 1", 2.0)
    assert (
        found.chosen["combination 2"].progress == 20.0 and found.chosen["none"].progress == 2.0
    )  # the first of equals
    assert found.chosen[MODERN.name] == MODERN and len(found.made) == 10
    assert {starts for recipe, stream, starts in asked if stream == SELECTION} == {2}
    assert {starts for recipe, stream, starts in asked if stream == EVALUATION} == {4}
    row = measures.combination_gain(found, ["lenet"])
    assert row["value"] == pytest.approx(0.0 - 0.25)  # reported from the other starts, where the chosen are the worst
    assert "combination 2" in row["note"] and len(row["seeds"]) == 3
    assert {"decay minus none", "blur minus none", "small norm minus none", "small contribution minus none"} <= set(
        row["named"]
    )


@pytest.mark.parametrize("recipe", [GRID[0], MODERN, class_images.class_model("probability", 1e-3)])
def test_made_images_repeat_and_streams_share_no_start(recipe):
    net = zoo.network("lenet", 0)
    options = {"starts": 1, "steps": 2, "seed": 5}
    one, two = (class_images.make(net, recipe, stream, **options) for stream in (SELECTION, EVALUATION))
    again = class_images.make(net, recipe, SELECTION, **options)
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert one.pictures.shape == (10, 64, 64, 3) and one.pictures.dtype == np.uint8
    assert not np.isclose(one.before, two.before).all() and one.targets.tolist() == list(range(10))
    assert (one.after[range(10), range(10)] > one.before[range(10), range(10)]).mean() > 0.5


def test_both_objectives_begin_with_the_same_images():
    nets = {0: zoo.network("lenet", 0)}
    (found,) = measures.both(nets, 1e-3, 1, 2, 3).values()
    np.testing.assert_array_equal(found.score.before, found.probability.before)
    assert not np.array_equal(found.score.pictures, found.probability.pictures)
    main, weaker = measures.strengths(nets, 1e-3, 1, 2, 3)
    assert np.array_equal(main[0].score.after, found.score.after) and len(weaker) == 2


def test_pictures_are_cropped_and_rounded():
    images = torch.tensor([-0.2, 0.0, 0.5, 1.0, 1.7]).reshape(1, 1, 1, 5).expand(1, 3, 1, 5)
    assert interface.to_pictures(images)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_examples_show_every_class_and_reference_is_recognised():
    assert measures.examples().shape == (10, 64, 64, 3)
    found = measures.reference(100, ["vgg"])
    assert found["primary judge"] > 0.5 and found["families that took no part"] > 0.6
    assert 0 < found["energy of high frequencies"] < 0.2


def test_figures_have_their_numbers():
    made = readings(0.5)
    ramp = np.arange(64 * 64 * 3).reshape(64, 64, 3) % 251
    figure, numbers = plots.images({"a": made, "b": np.stack([ramp, 100 + ramp // 63]).astype(np.uint8)}, "xy")
    shown = [axis.images[0].get_array() for axis in figure.axes[2:]]
    assert np.array_equal(shown[0], ramp) and np.array_equal(shown[1], 100 + ramp // 63)  # whole, as they are
    assert len(figure.axes) == 4 and [row["unit"] for row in numbers] == ["x", "y"]
    rows = [
        {"name": name, "group": group, "value": 0.5, "low": 0.4, "high": 0.6} for name in "ab" for group in ("p", "q")
    ]
    assert len(plots.judged(rows, {"p": 0.7, "q": 0.1}).axes) == 2
