"""What notebooks 01 and 09 measure, on made-up readings whose answer is known, and on wrong versions of them."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from lib.drawing import dots, grids
from lib.experiments.n01_zoo import accuracies
from lib.experiments.n09_occlusion import measures as measure
from lib.experiments.shared import answers as shared_answers
from lib.experiments.shared import per_network
from lib.methods.occlusion import sweeps
from lib.networks import catalogue, interface, zoo
from lib.running import overview, params
from lib.worlds import cutouts

N = 30


@pytest.fixture
def generator():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def pictures():
    return cutouts.render(cutouts.World(), "test", range(N))


def reading(pictures, masks, right=None) -> measure.Reading:
    """A network that loses the true class exactly where the square's centre lies on `masks`."""
    boxes, grid = sweeps.squares(64, 12, 4)
    middle = (boxes[:, :2] + boxes[:, 2:] - 1) // 2
    inside = masks[:, middle[:, 0], middle[:, 1]]
    probability = np.where(inside, 0.1, 0.9) + 1e-3 * np.random.default_rng(1).random(inside.shape)
    sweep = sweeps.Sweep(boxes, grid, np.zeros((N, 10)), np.zeros((N, len(boxes), 10)), None, None, None, "plain")
    return measure.Reading(None, sweep, np.arange(N) if right is None else right, probability)


def test_a_reader_of_the_object_is_found_and_one_of_another_picture_is_not(pictures, generator):
    masks = pictures.masks
    good = measure.minimum([reading(pictures, masks)], masks, generator)
    assert good["value"] > 0.4 and good["interval"][0] > good["null"][1]
    assert good["named"]["area"][0] > 0.4 and good["n"] == N
    wrong = measure.minimum([reading(pictures, np.roll(masks, 1, 0))], masks, generator)
    assert wrong["interval"][0] < 0.1 and wrong["named"]["area"][0] < 0.1


def test_readings_of_one_picture_are_one_cluster(pictures, generator):
    one, right = reading(pictures, pictures.masks), np.arange(0, N, 2)
    twice = measure.minimum([one, one], pictures.masks, np.random.default_rng(0))
    once = measure.minimum([one], pictures.masks, np.random.default_rng(0))
    assert twice["value"] == pytest.approx(once["value"]) and twice["n"] == once["n"] == N
    assert np.diff(twice["interval"])[0] == pytest.approx(np.diff(once["interval"])[0], rel=0.2)
    half = measure.minimum([reading(pictures, pictures.masks, right)], pictures.masks, generator)
    assert half["n"] == len(right)


def test_every_seed_is_judged_by_its_own_readings():
    found = {("a", 0): 1.0, ("b", 0): 3.0, ("a", 1): 10.0}
    result = per_network.by_seed(lambda values: {"value": float(np.mean(values))}, found)
    assert result["value"] == pytest.approx(14 / 3)
    assert [(one["seed"], one["value"]) for one in result["seeds"]] == [(0, 2.0), (1, 10.0)]


def test_the_difference_of_silences_leaves_out_pictures_without_another_square(generator):
    there, elsewhere = np.full(20, 0.6), np.full(20, 0.2)
    elsewhere[:4] = np.nan
    there[5] = 0.7
    result = measure.difference([measure.Silenced(there, elsewhere, np.arange(20))], generator)
    assert result["n"] == 16 and result["value"] == pytest.approx(0.4 + 0.1 / 16)
    swapped = measure.difference([measure.Silenced(elsewhere, there, np.arange(20))], generator)
    assert swapped["value"] == pytest.approx(-result["value"])


def test_consistency_is_the_alike_place_minus_landmarks(generator):
    rng = np.random.default_rng(0)
    made = {(layer, place): rng.normal(0.2, 0.01, 12) for layer in measure.LAYERS for place in measure.PLACES}
    made[measure.LAYERS[0], measure.ALIKE] += 0.1
    made[measure.LAYERS[0], measure.INSIDE] -= 0.1
    middle = measure.consistency([made], measure.LAYERS[0], generator)
    top = measure.consistency([made, made], measure.LAYERS[1], generator)
    assert middle["value"] == pytest.approx(0.1, abs=0.02) and middle["n"] == 12
    assert middle["named"][f"Delta {measure.ALIKE}"][0] == pytest.approx(0.3, abs=0.02)
    assert middle["named"][f"Delta {measure.INSIDE} minus that of landmarks"][0] == pytest.approx(-0.1, abs=0.02)
    assert abs(top["value"]) < 0.02 and top["n"] == 12  # two readings of a group are one cluster


def test_the_reference_covers_as_much_of_the_object_as_the_landmarks():
    many, window = cutouts.render(cutouts.World(), "test", range(60)), 12
    marked = np.flatnonzero(~np.isnan(cutouts.landmarks(many.cues[:, 0], many.pose)).any((1, 2)))
    groups = marked[: len(marked) // 5 * 5].reshape(-1, 5)
    places = measure.places(many, groups, window, np.random.default_rng(0))
    shares = measure.coverage(many, groups, places, window)
    assert abs(shares[measure.ALIKE] - np.mean([shares[mark] for mark in measure.MARKS])) < 0.02
    assert shares[measure.INSIDE] > 2 * shares[measure.ALIKE]
    assert len(measure.unseen(50).labels) == 50
    assert np.array_equal(measure.unseen(5).images, cutouts.batch(cutouts.World(), "test", 605).images[600:])


def test_groups_are_of_one_shape_and_all_right(pictures):
    many = cutouts.render(cutouts.World(), "test", range(200))
    nets = [catalogue.load("lenet", weights=False, seed=s) for s in (0, 1)]
    images = interface.to_tensor(many.images)
    answers = [interface.scores(net, images).argmax(1).numpy() for net in nets]
    many = many._replace(labels=np.where(np.arange(200) % 3 == 0, answers[0], -1))  # the first net is right on a third
    groups = measure.fives(nets[:1], many, images)
    assert len(groups) and all(len(set(many.cues[five, 0])) == 1 for five in groups)
    assert not np.isin(many.cues[groups, 0], [0, 8]).any() and (groups % 3 == 0).all()
    both = measure.fives(nets, many, images)
    assert (answers[1][both] == many.labels[both]).all() and len(both) <= len(groups)


def test_answers_are_counted_for_the_cue_they_follow(pictures, monkeypatch):
    conflict = cutouts.conflict(cutouts.World(), 40)
    follow = np.where(np.arange(40) < 10, conflict.cues[:, 2], conflict.cues[:, 0])
    follow[35:] = [next(k for k in range(10) if k not in row) for row in conflict.cues[35:]]
    monkeypatch.setattr(shared_answers, "probabilities", lambda net, batch: np.eye(10)[follow])
    found = {row["group"]: row["value"] for row in accuracies.followed({("lenet", 0): None}, conflict)}
    assert found == {"shape": 25 / 40, "texture": 0, "hue": 10 / 40, "none of them": 5 / 40}


def test_accuracies_are_of_the_right_set(pictures, monkeypatch):
    other = pictures._replace(labels=(pictures.labels + 1) % 10)
    monkeypatch.setattr(shared_answers, "probabilities", lambda net, batch: np.eye(10)[pictures.labels])
    rows = accuracies.accuracies({("vgg", 2): None}, {"test": pictures, "shifted": other})
    assert [(row["name"], row["seed"], row["group"], row["value"]) for row in rows] == [
        ("VGG-BN", 2, "test", 1.0),
        ("VGG-BN", 2, "shifted", 0.0),
    ]
    assert rows[0]["low"] < 1 == rows[0]["high"]


def test_predictions_are_computed_once_for_the_same_network_and_pictures(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path))
    net = catalogue.load("lenet", weights=False)
    first = shared_answers.probabilities(net, pictures)
    assert np.allclose(first.sum(1), 1, atol=1e-5)
    expected = interface.scores(net, interface.to_tensor(pictures.images)).softmax(1).numpy()
    assert np.array_equal(first, expected)
    monkeypatch.setattr(interface, "scores", lambda *a, **k: pytest.fail("computed again"))
    assert np.array_equal(shared_answers.probabilities(net, pictures), first)
    with pytest.raises(BaseException, match="computed again"):
        shared_answers.probabilities(net._replace(digest="another"), pictures)


def test_the_last_convolution_is_named_or_missed_in_a_sentence():
    net = catalogue.load("vgg", weights=False)
    assert interface.last_conv(net) == "conv5"
    nameless = interface.last_conv(net._replace(layers={"fc8": "fc8"}))  # found by its place
    assert interface.module(net, nameless) is interface.module(net, "conv5")
    dense = interface.wrap(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2)), name="dense", size=4,
                           preprocess=torch.nn.Identity())  # fmt: skip
    with pytest.raises(ValueError, match="dense has no convolution that runs once and gives maps"):
        interface.last_conv(dense)


def test_uint8_pictures_become_unit_tensors(pictures):
    x = interface.to_tensor(pictures.images)
    assert x.shape == (N, 3, 64, 64) and x.dtype == torch.float32
    assert torch.equal(x[3, 1, 5, 7] * 255, torch.tensor(float(pictures.images[3, 5, 7, 1])))


def test_the_map_lists_every_notebook_and_shows_a_rule():
    rows = overview.notebooks()
    assert [row[0] for row in rows] == list(params.index()) and rows[0][0] == "00_overview"
    fields = dict(overview.rule("E5"))
    assert "low_above" in fields["reproduced if"] and fields["statement"]
    assert {name for name, _ in overview.profiles()} >= {"smoke", "embedded"}


def test_figures_draw_every_row():
    rows = [
        {"name": n, "seed": s, "group": g, "value": 0.5, "low": 0.4, "high": 0.6}
        for n in ("a", "b")
        for s in (0, 1)
        for g in ("x", "y")
    ]
    axis = dots.dots(rows, "share", {"chance": 0.1}).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]
    assert sum(len(part.get_segments()) for part in axis.collections) == 8  # an interval a row
    assert sum(len(line.get_xdata()) for line in axis.lines if line.get_marker() in "os") == 8
    bars = dots.shares(rows, "share").axes[0].patches
    ticks = [line.get_xdata().tolist() for line in dots.shares(rows, "share").axes[0].lines]
    assert len(bars) == 4 and bars[1].get_x() == pytest.approx(0.5)
    assert ticks == [[0.5, 0.5]] * 2  # where the first part ends, for each seed; the last part's end is always one
    with pytest.raises(ValueError, match="stride"):
        sparse = reading(cutouts.render(cutouts.World(), "test", range(N)), np.zeros((N, 64, 64), bool))
        measure.minimum([sparse], np.zeros((N, 64, 64), bool), np.random.default_rng(0))
    signed = grids.signed(np.array([[-2.0, 0.0, 2.0]]))
    assert signed.tolist() == [[0.0, 0.5, 1.0]]
    plt.close("all")


def test_zoo_titles_and_letters_cover_every_family():
    assert set(zoo.TITLES) == set(zoo.LETTERS) == set(zoo.EVERY) <= set(zoo.BUILDERS)
    assert set(zoo.FAMILIES) < set(zoo.EVERY) and len(set(zoo.LETTERS.values())) == len(zoo.EVERY)


def test_dots_stand_where_their_name_group_and_seed_say():
    """Two names, two groups, seeds 0 and 1; b lacks seed 1 of y, whose dot then stands in the middle."""
    rows = [
        {"name": n, "group": g, "seed": s, "value": 0.5, "low": 0.4, "high": 0.7, "hollow": s == 1}
        for n, g, s in [("a", "x", 0), ("a", "x", 1), ("a", "y", 0), ("a", "y", 1), ("b", "x", 0), ("b", "y", 0)]
    ]
    _, axis = plt.subplots()
    dots.mark(axis, rows, dots.looks("xy"), upright=True, spread=0.4, step=0.1)
    segments = np.concatenate([part.get_segments() for part in axis.collections])
    assert sorted(segments[:, 0, 0]) == pytest.approx([-0.15, -0.05, 0.05, 0.15, 0.9, 1.1])
    assert (segments[:, :, 1] == [0.4, 0.7]).all() and (segments[:, 0, 0] == segments[:, 1, 0]).all()
    hollow = [line for line in axis.lines if line.get_markerfacecolor() == "white"]
    assert sorted(x for line in hollow for x in line.get_xdata()) == pytest.approx([-0.05, 0.15])
    assert [text.get_text() for text in axis.get_xticklabels()] == ["a", "b"]
    figure, axes = dots.panels(rows, "seed", size=(4, 2), labels={"x": "one"})
    assert list(axes) == [0, 1] and [len(part.get_segments()) for part in axes[1].collections] == [1, 1]
    assert [text.get_text() for text in figure.legend().get_texts()] == ["one"]
    assert axes[0].get_ylim() == axes[1].get_ylim() == (1.5, -0.5)
    plt.close("all")


@pytest.mark.parametrize("titles", [((), ()), (("row", "a longer\ntitle"), ("one", "two\nlines", "three"))])
def test_pictures_of_a_grid_have_the_size_that_was_asked_for_and_none_overlaps(titles):
    picture = np.zeros((8, 4, 3), np.uint8)
    figure, axes = grids.grid([[picture, None, picture], [picture] * 3], *titles, side=0.5, wider=(0,), below=1)
    inches = figure.get_size_inches()
    boxes = {key: axis.get_position().bounds * np.tile(inches, 2) for key, axis in axes.items()}
    assert set(boxes) == {(0, 0), (0, 2), (1, 0), (1, 1), (1, 2)}
    assert all(box[2:] == pytest.approx((0.5, 1.0)) for box in boxes.values())
    assert boxes[1, 1][0] - boxes[1, 0][0] == pytest.approx(0.5 + 0.06 + 0.125)  # a quarter of a picture wider
    assert boxes[1, 2][0] - boxes[1, 1][0] == pytest.approx(0.56)
    assert boxes[0, 0][1] - boxes[1, 0][1] == pytest.approx(1.0 + 0.06 + grids.LINE)
    assert min(box[:2].min() for box in boxes.values()) > 0 and (boxes[1, 2][0] + 0.5) < inches[0]
    drawn = figure.canvas.get_renderer()
    for text in figure.texts:  # all of every title lies inside the figure
        box = text.get_window_extent(drawn)
        assert box.x0 >= 0 and box.y1 <= figure.bbox.y1 and box.x1 <= figure.bbox.x1
    figure, axes = grids.grid([[picture] * 3], titles[0][:1], [*titles[1]] * 2, width=3.0)
    assert figure.get_size_inches()[0] == pytest.approx(3.0) and len(axes) == 3  # titles without a column are left out
    plt.close("all")
