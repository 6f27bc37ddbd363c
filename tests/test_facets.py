"""Facets of an image set: pooled features, grouping against known groups, targets by hand, and what is refused."""

import numpy as np
import pytest
import torch
from sklearn import metrics

from lib.methods.minds_eye import facets
from lib.networks import catalogue, interface, zoo


@pytest.fixture(scope="module")
def net():
    return zoo.network("alexnet", 0)


def blobs(sizes=(30, 20, 10), width=40, seed=0):
    """Well-separated groups in a space of many features, and which group each row is of."""
    rng = np.random.default_rng(seed)
    middles, labels = 10 * rng.standard_normal((len(sizes), width)), np.repeat(np.arange(len(sizes)), sizes)
    order = rng.permutation(len(labels))
    return (middles[labels] + rng.standard_normal((len(labels), width)))[order], labels[order]


def test_pooled_features_are_means_over_places_whatever_the_batch(net):
    images = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    rows = facets.pooled(net, images, "conv3", batch=2)
    assert rows.shape == (5, 80) and rows.dtype == np.float32
    with torch.no_grad():
        whole = net.model.conv3(net.model.conv2(net.model.pool1(net.model.conv1(net.preprocess(images)))))
    assert np.allclose(rows, whole.mean((2, 3)), atol=1e-5)


@pytest.mark.parametrize("kind", facets.KINDS)
def test_groups_that_are_there_are_found_the_largest_first(kind):
    rows, labels = blobs()
    found = facets.find(rows, 3, kind=kind, perplexity=10)
    assert metrics.adjusted_rand_score(labels, found.labels) == 1
    assert np.bincount(found.labels).tolist() == [30, 20, 10]
    assert (found.distances.argmin(1) == found.labels).all() and found.distances.shape == (60, 3)
    assert found.points.shape == (60, 2 if kind == "tsne" else 40)
    again = facets.find(rows, 3, kind=kind, perplexity=10)
    assert (again.points == found.points).all() and (again.labels == found.labels).all()


def test_fewer_principal_components_than_asked_where_there_are_fewer_images_or_features():
    rows, _ = blobs(sizes=(4, 4))
    assert facets.find(rows, 2).points.shape == (8, 8) and facets.find(rows, 2, dims=3).points.shape == (8, 3)


def test_what_cannot_be_parted_is_refused_in_a_sentence():
    rows, _ = blobs()
    with pytest.raises(ValueError, match="the set has 2 images, expected at least as many as facets, 3"):
        facets.find(rows[:2], 3)
    with pytest.raises(
        ValueError, match="1 of the 6 images differ in their features, which k-means cannot part into 2"
    ):
        facets.find(np.repeat(rows[:1], 6, 0) * (1 + 1e-9 * np.arange(6)[:, None]), 2)
    with pytest.raises(ValueError, match="1 of the 4 images differ"):
        facets.find(np.zeros((4, 3)), 2)
    with pytest.raises(ValueError, match="NaN or infinity"):
        facets.find(np.full((4, 3), np.nan), 2)
    with pytest.raises(ValueError, match="kind is 'ward', expected one of kmeans, tsne"):
        facets.find(rows, 2, kind="ward")
    facets.find(np.array([[0.0], [1], [1], [1]]), 2)  # two different ones suffice


def test_layers_without_places_and_unknown_layers_are_refused(net):
    with pytest.raises(ValueError, match="'fc6': in alexnet.* 128 numbers an image and no places.*conv1, .*pool5"):
        facets.pooled(net, torch.rand(1, 3, 64, 64), "fc6")
    with pytest.raises(ValueError, match="has no layer 'conv9'.*conv5"):
        facets.pooled(net, torch.rand(1, 3, 64, 64), "conv9")
    assert facets.extent(zoo.network("resnet", 0), "pool5") == (72, (1, 1))


def test_nearest_and_farthest_of_a_facet_and_of_the_set():
    labels = np.array([0, 0, 0, 1, 1])
    distances = np.array([[3.0, 9], [1, 9], [2, 9], [8, 1], [7, 2]])
    found = facets.Facets(labels, distances, np.zeros((5, 2)))
    assert facets.pick(found, 0, 2).tolist() == [1, 2]
    assert facets.pick(found, 0, 2, "farthest").tolist() == [0, 2]
    assert facets.pick(found, 0, 2, "farthest of the set").tolist() == [3, 4]  # as the released code takes them
    assert facets.pick(found, 1, 10).tolist() == [3, 4]  # all it has
    assert facets.pick(found, 0, 2, "others").tolist() == [0]  # those that are not among the nearest
    assert facets.pick(found, 1, 2, "others").tolist() == [3, 4]  # none is left: all it has
    with pytest.raises(ValueError, match="0 'nearest', expected at least 1"):
        facets.pick(found, 0, 0)


def test_others_are_drawn_from_the_facet_outside_the_nearest_and_repeat():
    labels, far = np.repeat([0, 1], 40), np.random.default_rng(0).permutation(80).astype(float)
    found = facets.Facets(labels, np.stack([far, -far], 1), np.zeros((80, 2)))
    near, drawn = facets.pick(found, 0, 10), facets.pick(found, 0, 10, "others")
    assert len(set(drawn)) == 10 and set(drawn) <= set(range(40)) - set(near)
    assert set(drawn) != set(facets.pick(found, 0, 10, "farthest"))
    assert (drawn == facets.pick(found, 0, 10, "others")).all()
    assert (drawn != facets.pick(found, 0, 10, "others", seed=1)).any()
    spread = np.mean([np.mean(far[facets.pick(found, 0, 10, "others", seed=s)]) for s in range(200)])
    rest = far[sorted(set(range(40)) - set(near))]
    assert spread == pytest.approx(rest.mean(), abs=1.5)  # at random: neither the near nor the far of the rest


def test_weights_are_a_softmax_of_inverse_distances_without_units():
    distances = np.array([1.0, 2.0, 3.0])
    raised = np.exp(2 / distances)  # in units of the mean, 2
    assert np.allclose(facets.weights(distances), raised / raised.sum())
    assert np.allclose(facets.weights(distances), facets.weights(1e-6 * distances))
    assert np.allclose(facets.weights(np.zeros(4)), 0.25)
    assert facets.weights(np.array([0.0, 1, 1])).argmax() == 0 and np.isfinite(facets.weights(np.array([0.0, 1]))).all()


def test_aim_is_the_weighted_mean_in_features_and_pixels():
    rows = np.array([[1.0, 0], [3, 0], [0, 5]], np.float32)
    images = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    found = facets.Facets(np.array([0, 0, 1]), np.array([[1.0, 9], [3, 9], [9, 0]]), rows)
    aim = facets.aim(rows, images, found, count=2)
    a, b = np.exp([2, 2 / 3]) / np.exp([2, 2 / 3]).sum()
    assert np.allclose(aim.targets, [[a + 3 * b, 0], [0, 5]])
    assert torch.allclose(aim.starts[0], a * images[0] + b * images[1], atol=1e-6)
    assert torch.equal(aim.starts[1], images[2]) and [list(one) for one in aim.picked] == [[0, 1], [2]]
    both = facets.joined([aim, aim])
    assert both.targets.shape == (4, 2) and len(both.picked) == 4


def test_informative_channels_are_each_rows_own():
    chosen = facets.informative(np.array([[1.0, 5, 3, 3], [9, 0, 0, 1]]), 2)
    assert chosen.tolist() == [[False, True, True, False], [True, False, False, True]]
    with pytest.raises(ValueError, match="k is 5, expected 1 to 4"):
        facets.informative(np.zeros((1, 4)), 5)


def test_majority_values_and_centres():
    labels, cues = np.array([0, 0, 0, 0, 1, 1]), np.array([[7, 1], [7, 1], [2, 3], [3, 4], [5, 5], [6, 5]])
    assert facets.majority(cues, labels).tolist() == [[7, 1], [5, 5]]
    assert facets.majority(cues, labels, 0.6).tolist() == [[-1, -1], [-1, 5]]
    assert facets.centres(np.array([[0.0], [2], [4]]), np.array([0, 0, 1])).tolist() == [[1], [4]]


def test_aligned_renumbers_the_same_facets():
    labels = np.array([0, 0, 0, 1, 1, 2])
    assert (facets.aligned(labels, np.array([2, 2, 2, 0, 0, 1])) == labels).all()


@pytest.mark.parametrize("name", [*zoo.FAMILIES, "squeezenet1_1", "efficientnet_lite0"])
def test_every_network_has_pooled_features(name):
    net = catalogue.load(name)
    images = torch.rand(2, 3, net.size, net.size, generator=torch.Generator().manual_seed(1))
    rows = facets.pooled(net, images, interface.last_conv(net))
    assert rows.shape[0] == 2 and np.isfinite(rows).all() and np.abs(rows[0] - rows[1]).max() > 0
