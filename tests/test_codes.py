"""Codes against hand computations, brute force, scikit-learn and SciPy; every network can be read."""

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from lib.experiments.n08_codes import measures
from lib.methods.layers import codes
from lib.networks import catalogue, interface, zoo
from lib.worlds import cutouts

EIGHT = (*zoo.FAMILIES, "squeezenet1_1", "efficientnet_lite0")


@pytest.fixture(scope="module")
def pictures():
    batch = cutouts.batch(cutouts.World(), "test", 60)
    return batch, interface.to_tensor(batch.images)


@pytest.fixture(scope="module")
def lenet():
    return zoo.network("lenet", 0)


@pytest.mark.parametrize("name", EIGHT)
def test_every_network_can_be_read_or_says_which_layers_serve(name):
    net = catalogue.load(name)
    images = torch.rand(2, 3, net.size, net.size, generator=torch.Generator().manual_seed(0))
    layers = measures.spaces(net)
    found = codes.read(net, images, layers, most=64)
    assert list(found) == layers and layers[-1] == interface.hidden(net)[0]
    for layer, rows in found.items():
        channels = interface.features(net, images, [layer])[layer].shape[1]
        assert len(rows) == 2 and rows.dtype == np.float32 and np.isfinite(rows).all()
        assert rows.shape[1] <= max(64, channels) and rows.shape[1] % channels == 0
    assert codes.depth(net)[0] == "conv1" and codes.depth(net)[-1] == interface.hidden(net)[0]
    if "fc7" not in net.layers:
        with pytest.raises(ValueError, match="in its place could serve: pool5, conv"):
            codes.read(net, images, ["fc7"])
        with pytest.raises(ValueError, match="in its place could serve: pool5, conv"):
            measures.having({(name, 0): net}, "fc7", "fc7_pre")


def test_a_code_is_the_layers_answer_flattened_or_averaged(lenet, pictures):
    images = pictures[1][:40]
    maps = interface.features(lenet, images, ["conv2", "fc7", "fc7_pre"])
    read = codes.read(lenet, images, ["conv2", "fc7", "fc7_pre"])
    np.testing.assert_array_equal(read["conv2"], maps["conv2"].flatten(1).numpy())
    np.testing.assert_array_equal(read["fc7"], np.maximum(read["fc7_pre"], 0))
    assert (read["fc7_pre"] < 0).any()
    few = codes.read(lenet, images, ["conv2"], most=84)["conv2"]  # 16 maps: a grid of 2 x 2 is 64, of 3 x 3 too many
    np.testing.assert_allclose(few, functional.avg_pool2d(maps["conv2"], 16).flatten(1).numpy(), rtol=1e-5)
    assert codes.read(lenet, images, ["conv2"], most=3)["conv2"].shape == (40, 16)
    assert codes.read(lenet, images, ["conv2"], most=64)["conv2"].shape == (40, 64)  # exactly at most


def test_images_beyond_one_part_keep_their_order(lenet):
    images = torch.rand(130, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    some = codes.read(lenet, images[126:], ["fc7"])["fc7"]
    np.testing.assert_allclose(codes.read(lenet, images, ["fc7"])["fc7"][126:], some, rtol=1e-4, atol=1e-5)


def test_bad_input_is_told_in_a_sentence(lenet):
    images = torch.zeros(2, 3, 64, 64)
    with pytest.raises(ValueError, match="most is 0, expected the largest number of features"):
        codes.read(lenet, images, ["fc7"], most=0)
    with pytest.raises(ValueError, match="no layer 'fc9'.*its layers are"):
        codes.read(lenet, images, ["fc9"])
    with pytest.raises(ValueError, match="images: found none"):
        codes.read(lenet, images[:0], ["fc7"])
    with pytest.raises(ValueError, match="k is 5, expected a number of neighbours from 1 to 4"):
        codes.nearest(np.zeros((5, 2)), 5)
    with pytest.raises(ValueError, match="train: found 8 codes of 1 classes"):
        codes.probe(np.zeros((8, 2)), np.zeros(8), np.zeros((2, 2)), np.zeros(2))


def test_purity_by_hand():
    line = np.array([[0.0], [1.0], [3.0], [10.0]])
    assert codes.nearest(line, 1).ravel().tolist() == [1, 0, 1, 2]
    np.testing.assert_array_equal(codes.purity(line, [0, 0, 1, 1], 1), [1, 1, 0, 1])
    np.testing.assert_array_equal(codes.purity(line, [0, 0, 1, 1], 2), [0.5, 0.5, 0, 0.5])


def test_neighbours_equal_brute_force_and_never_hold_the_image_itself():
    rows = np.random.default_rng(0).normal(size=(50, 7))
    distances = np.linalg.norm(rows[:, None] - rows, axis=2)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(codes.nearest(rows, 10), distances.argsort(1)[:, :10])
    twins = np.repeat(rows, 2, 0)  # an equal row is a neighbour, the row itself is not
    near = codes.nearest(twins, 3)
    assert not (near == np.arange(100)[:, None]).any() and (near[:, 0] == np.arange(100) ^ 1).all()


def test_by_class_alone_is_what_random_neighbours_of_the_class_show():
    generator = np.random.default_rng(0)
    labels, hues = generator.integers(0, 3, 60), generator.integers(0, 4, 60)
    expected = measures.by_class_alone(np.full(60, 0.7), labels, hues)
    for i in (0, 17):
        others = np.arange(60) != i
        same, rest = others & (labels == labels[i]), labels != labels[i]
        by_hand = 0.7 * (hues[same] == hues[i]).mean() + 0.3 * (hues[rest] == hues[i]).mean()
        assert expected[i] == pytest.approx(by_hand)
    np.testing.assert_allclose(measures.by_class_alone(np.ones(60), labels, labels), 1)


def test_purer_pools_networks_and_clusters_by_image():
    generator, labels = np.random.default_rng(0), np.arange(40) % 2
    good = labels[:, None] * 10 + generator.normal(size=(40, 1))
    bad = generator.normal(size=(40, 1))
    found = [measures.gather({"a": good, "b": bad}, {"a": good}), measures.gather({"a": bad, "b": bad}, {"a": bad})]
    result = measures.purer(found, labels, "a", "b", generator)
    each = codes.purity(good, labels) - codes.purity(bad, labels)
    assert result["value"] == pytest.approx(each.mean() / 2) and result["n"] == 40 and result["named"] == {}
    assert result["interval"][0] < result["value"] < result["interval"][1]
    both = [measures.gather({"a": good, "b": bad}, {"a": bad, "b": good})]
    named = measures.purer(both, labels, "a", "b", generator)["named"]["embedded"]
    assert named[0] == pytest.approx(-each.mean())
    assert measures.purer(found[:1] * 4, labels, "a", "b", generator)["interval"] == pytest.approx(
        measures.purer(found[:1], labels, "a", "b", generator)["interval"], abs=0.02
    )  # the same reading four times is no more evidence


def test_purity_rows_hold_pixels_once(pictures):
    batch, images = pictures
    spaces = measures.gather({"pixels": codes.pixels(images), "fc7": codes.pixels(images)[:, ::7]}, {})
    found = {("lenet", 0): spaces, ("lenet", 1): spaces}
    rows = measures.purity_rows(found, batch, {"fc7": "after ReLU"}, np.random.default_rng(0))
    lines = [("pixels", 0), ("LeNet-5, after ReLU", 0), ("LeNet-5, after ReLU", 1)]
    assert [(row["name"], row["seed"]) for row in rows[::3]] == lines
    assert rows[0]["value"] == pytest.approx(codes.purity(codes.pixels(images), batch.labels).mean())
    assert rows[1]["group"] == "hue"
    assert rows[1]["value"] == pytest.approx(codes.purity(codes.pixels(images), batch.cues[:, 2]).mean())


def test_probe_is_scikit_learns_on_standardised_codes():
    generator = np.random.default_rng(0)
    labels, answers = generator.integers(0, 3, 200), generator.integers(0, 3, 80)
    centres = generator.normal(size=(3, 5)) * 2
    train, test = (centres[v] + generator.normal(size=(len(v), 5)) for v in (labels, answers))
    train, test = train * [1, 100, 1, 1, 0.01] + 7, test * [1, 100, 1, 1, 0.01] + 7
    scaled, tested = ((rows - train.mean(0)) / train.std(0) for rows in (train, test))
    scores = [
        LogisticRegression(C=c).fit(scaled[:150], labels[:150]).score(scaled[150:], labels[150:]) for c in (1e-9, 1)
    ]
    assert scores[1] > scores[0]
    ours = codes.probe(train, labels, test, answers, strengths=(1e-9, 1))
    theirs = LogisticRegression(C=1, max_iter=2000).fit(scaled, labels).predict(tested) == answers
    np.testing.assert_array_equal(ours, theirs)
    assert ours.mean() > 0.7


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_probes_of_every_family_converge_and_skip_what_repeats(family, pictures):
    batch, images = pictures
    net = zoo.network(family, 0)
    hits = codes.probes(net, (images, batch.labels), (images, batch.labels))
    order = [layer for layer in codes.depth(net) if family not in ("resnet", "inception") or layer != "conv5"]
    order = [layer for layer in order if family != "convnext" or layer != "conv4"]
    assert list(hits) == order and all(hit.shape == (60,) for hit in hits.values())
    assert hits[order[-1]].mean() > 0.5  # chance is 0.1; learnt and tested on the same few pictures


def test_tau_equals_scipys():
    generator = np.random.default_rng(0)
    for _ in range(20):
        values = generator.integers(0, 5, 7).astype(float)
        assert codes.tau(values) == pytest.approx(scipy_stats.kendalltau(range(7), values).statistic)
    assert codes.tau(np.ones(4)) == 0 and codes.tau(np.arange(4.0)) == 1


def test_gain_is_last_minus_first_averaged_over_networks():
    generator = np.random.default_rng(0)
    one = {
        "conv1": generator.random(500) < 0.3,
        "conv2": generator.random(500) < 0.5,
        "fc7": generator.random(500) < 0.9,
    }
    two = {"conv1": generator.random(500) < 0.6, "pool5": generator.random(500) < 0.5}
    result = measures.gain([one, two], generator)
    by_hand = (one["fc7"].mean() - one["conv1"].mean() + two["pool5"].mean() - two["conv1"].mean()) / 2
    assert result["value"] == pytest.approx(by_hand) and result["n"] == 500
    assert result["named"]["tau"][0] == pytest.approx((1 - 1) / 2)
    rows = measures.probe_rows({("lenet", 3): one})
    assert [(row["name"], row["seed"], row["depth"], row["layer"]) for row in rows][2] == ("LeNet-5", 3, 2, "fc7")
    assert rows[2]["low"] < rows[2]["value"] == one["fc7"].mean() < rows[2]["high"]
