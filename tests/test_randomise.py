"""The randomisation check: what is replaced, what is left, and the likeness of maps against SciPy and scikit-image."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from torch import nn

from lib.experiments.n10_saliency import measures as measure
from lib.methods.backward import random_weights, saliency_maps, three_rules
from lib.networks import catalogue, interface, zoo
from lib.worlds import cutouts

BATCH = cutouts.batch(cutouts.World(), "test", 8)
IMAGES = interface.to_tensor(BATCH.images)


def pair(name="vgg"):
    return zoo.network(name, 0), random_weights.untrained(name, 7)


def differing(one, two):
    """Paths of modules whose own parameters or buffers differ."""
    names = {}
    for key, value in one.model.state_dict().items():
        if not torch.equal(value, two.model.state_dict()[key]):
            names[key.rpartition(".")[0]] = True
    return set(names)


def test_layers_from_the_scores_to_the_input():
    assert random_weights.stages(zoo.network("lenet")) == [
        ["fc8"],
        ["fc7.fc"],
        ["fc6.fc"],
        ["conv2.conv"],
        ["conv1.conv"],
    ]
    vgg = random_weights.stages(zoo.network("vgg"))
    assert vgg[3] == ["conv5_2.conv", "conv5_2.norm"] and vgg[-1] == ["conv1_1.conv", "conv1_1.norm"]
    for name in (*zoo.FAMILIES, "squeezenet1_1", "efficientnet_lite0"):
        net = catalogue.load(name, weights=False)
        named = [path for stage in random_weights.stages(net) for path in stage]
        owners = {key.rpartition(".")[0] for key, _ in net.model.named_parameters()}
        assert len(named) == len(set(named)) and set(named) == owners, name
    with pytest.raises(ValueError, match="toy has no layer with weights"):
        random_weights.stages(interface.Network("toy", nn.ReLU(), None, 4, (), {}, ""))


def test_only_the_layers_asked_for_change_and_the_given_networks_stay():
    net, fresh = pair()
    before = [copy.deepcopy(each.model.state_dict()) for each in (net, fresh)]
    layers = random_weights.stages(net)
    changed = random_weights.replaced(net, fresh, layers[3:5])
    assert differing(net, changed) == {"conv5_2.conv", "conv5_2.norm", "conv5_1.conv", "conv5_1.norm"}
    assert not differing(random_weights.replaced(net, fresh, layers), fresh)
    assert not differing(random_weights.replaced(net, fresh, []), net)
    for state, each in zip(before, (net, fresh), strict=True):
        assert all(torch.equal(state[key], value) for key, value in each.model.state_dict().items())
    assert changed.digest != net.digest and not changed.model.training


def test_cascading_goes_down_and_independent_stays_in_one_layer(monkeypatch):
    net, fresh = pair("lenet")
    seen, real = [], random_weights.replaced
    monkeypatch.setattr(random_weights, "replaced", lambda n, f, layers: seen.append(len(layers)) or real(n, f, layers))
    both = {how: random_weights.likeness(net, fresh, IMAGES, BATCH.labels, 5, how) for how in random_weights.HOW}
    assert seen == [1, 2, 3, 4, 5] + [1] * 5
    for rule in three_rules.RULES:  # the first depth is the same in both
        for key in ("spearman", "ssim"):
            one, two = (both[how][rule][key] for how in random_weights.HOW)
            assert one.shape == two.shape == (5, 8)
            np.testing.assert_array_equal(one[0], two[0])
            assert np.abs(one[-1] - two[-1]).max() > 0.01
    wholly = saliency_maps.saliency(saliency_maps.signals(fresh, IMAGES, BATCH.labels, "guided"))
    trained = saliency_maps.saliency(saliency_maps.signals(net, IMAGES, BATCH.labels, "guided"))
    np.testing.assert_allclose(both["cascading"]["guided"]["spearman"][-1], random_weights.spearman(trained, wholly))


def test_depths():
    assert random_weights.depths(5, 5) == [1, 2, 3, 4, 5] and random_weights.depths(12, 5) == [2, 5, 7, 10, 12]
    assert random_weights.depths(8, 1) == [8]
    for steps in (0, 6):
        with pytest.raises(ValueError, match=f"steps: got {steps}, expected 1 to 5"):
            random_weights.depths(5, steps)


def test_likeness_of_maps_equals_scipys_and_scikit_images():
    generator = np.random.default_rng(0)
    one = np.round(generator.random((3, 16, 16)), 1)  # with ties
    two = one + generator.random((3, 16, 16)) * np.array([0.1, 1, 10])[:, None, None]
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(one, two, strict=True)]
    np.testing.assert_allclose(random_weights.spearman(one, two), expected)
    expected = [structural_similarity(a / a.max(), b / b.max(), data_range=1) for a, b in zip(one, two, strict=True)]
    np.testing.assert_allclose(random_weights.ssim(one, two), expected)
    np.testing.assert_allclose(random_weights.spearman(one, 3 * one), 1)
    np.testing.assert_allclose(random_weights.ssim(one, 3 * one), 1)  # the size of a signal does not count
    assert random_weights.spearman(one, np.zeros_like(one)).tolist() == [0, 0, 0]


def test_the_null_compares_each_map_with_the_next():
    net, _ = pair("resnet")
    maps = saliency_maps.saliency(saliency_maps.signals(net, IMAGES, BATCH.labels))
    found = random_weights.unlike(net, IMAGES, BATCH.labels, ("gradient",))["gradient"]["spearman"]
    expected = [spearmanr(maps[k].ravel(), maps[(k + 1) % 8].ravel()).statistic for k in range(8)]
    np.testing.assert_allclose(found, expected)


def test_bad_arguments():
    net, fresh = pair("lenet")
    with pytest.raises(ValueError, match="how: got 'upwards', expected one of cascading, independent"):
        random_weights.likeness(net, fresh, IMAGES, BATCH.labels, 2, "upwards")
    with pytest.raises(ValueError, match="steps: got 9, expected 1 to 5"):
        random_weights.likeness(net, fresh, IMAGES, BATCH.labels, 9)


def test_untrained_networks_are_seeded_and_unlike():
    one, again, other = (random_weights.untrained("lenet", seed) for seed in (1, 1, 2))
    assert one.digest == again.digest != other.digest


@pytest.mark.parametrize("name", ["squeezenet1_1", "efficientnet_lite0"])
def test_it_works_on_networks_of_others(name):
    net, fresh = catalogue.load(name), random_weights.untrained(name, 0)
    images = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    found = random_weights.likeness(net, fresh, images, [3], 1, rules=("guided",))
    assert set(found) == {"guided"} and abs(found["guided"]["spearman"][0, 0]) < 0.9


def test_rows_of_the_figure():
    rows = measure.random_rows(["lenet", "convnext"], [0, 1], BATCH, 2, np.random.default_rng(0))
    assert len(rows) == (3 + 1) * 2 * 2 * 2
    assert {row["share"] for row in rows} == {0.5, 1.0} and {row["how"] for row in rows} == set(random_weights.HOW)
    assert all(row["low"] <= row["value"] <= row["high"] and row["n"] == 8 for row in rows)


def test_a_blocks_own_scale_belongs_to_the_last_layer_inside():
    layers = random_weights.stages(zoo.network("convnext", 0))
    assert ["conv4.0.narrow", "conv4.0"] in layers and ["conv2.0.narrow", "conv2.0"] in layers
    paths = [path for layer in layers for path in layer]
    assert len(paths) == len({*paths})
