"""Sparseness against independent formulas and by hand; dead maps; which ReLUs are read in every network."""

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from lib.methods.layers import sparseness
from lib.networks import catalogue, interface, zoo

EIGHT = [*zoo.FAMILIES, "squeezenet1_1", "efficientnet_lite0"]
RELUS = {
    "lenet": 2,
    "alexnet": 5,
    "vgg": 9,
    "resnet": 13,
    "inception": 37,
    "squeezenet1_1": 18,
    "efficientnet_lite0": 33,
}


def loaded(name):
    return zoo.network(name) if name in zoo.FAMILIES else catalogue.load(name, weights=False)


def mean_difference(x) -> float:
    """Gini by its other definition: the mean absolute difference of all pairs over twice the mean."""
    x = np.asarray(x, dtype=float).ravel()
    return np.abs(x[:, None] - x[None]).mean() / (2 * x.mean())


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(5, 4, 3, 3, generator=generator).relu()
    maps[1, 2] = 0  # one silent map
    maps[3] = 0  # an image to which nothing answers
    return maps


def test_gini_equals_the_mean_absolute_difference(maps):
    found = sparseness.gini(maps)
    for k in (0, 1, 2, 4):
        assert found[k] == pytest.approx(mean_difference(maps[k]), abs=1e-6)


def test_gini_at_its_ends_and_without_any_activity():
    even, one, none = torch.ones(1, 10), torch.eye(10)[:1], torch.zeros(1, 10)
    assert sparseness.gini(torch.cat([even, one, none])).tolist() == pytest.approx([0, 0.9, 1])
    assert sparseness.gini(torch.tensor([[1.0, 3.0]])).item() == pytest.approx(0.25)


def test_gini_minds_neither_order_nor_scale(maps):
    order = torch.randperm(36, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(sparseness.gini(maps), sparseness.gini(7.5 * maps.flatten(1)[:, order]), atol=1e-6)


def test_what_the_gini_owes_to_zeros_and_what_to_the_rest(maps):
    gini, zeros = sparseness.gini(maps), sparseness.zero_share(maps)
    rest = sparseness.gini_of_active(gini, zeros)
    assert zeros.tolist() == pytest.approx([(m == 0).float().mean().item() for m in maps])
    for k in (0, 1, 2, 4):
        active = maps[k][maps[k] > 0]
        assert rest[k].item() == pytest.approx(mean_difference(active), abs=1e-6)
    assert rest[3] == 1


def test_activations_from_before_the_relu_are_refused():
    with pytest.raises(ValueError, match="none negative: record the layer after its ReLU"):
        sparseness.gini(torch.tensor([[0.5, -0.1]]))


def test_entropy_equals_scipy_and_leaves_silent_maps_out(maps):
    found = sparseness.entropy(maps)
    for k in (0, 1, 2, 4):
        each = [scipy.stats.entropy(one.ravel()) / np.log(9) for one in maps[k].numpy() if one.any()]
        assert found[k].item() == pytest.approx(np.mean(each), abs=1e-6)
    assert found[3].isnan()
    assert sparseness.entropy(torch.ones(1, 2, 4, 4)).item() == pytest.approx(1)
    point = torch.zeros(1, 1, 4, 4)
    point[..., 2, 1] = 3
    assert sparseness.entropy(point).item() == 0
    with pytest.raises(ValueError, match="at least two places"):
        sparseness.entropy(torch.ones(2, 5))


def test_strongest_quarter_by_hand():
    one = torch.tensor([[8.0, 1, 1], [0, 6, 0], [2, 1, 1]])  # 9 places, the strongest 2 hold 14 of 20
    assert sparseness.concentration(one[None, None]).item() == pytest.approx(0.7)
    both = torch.stack([one, torch.zeros(3, 3)])[None]
    assert sparseness.concentration(both).item() == pytest.approx(0.7)  # the silent map is left out, not counted as 0
    assert sparseness.concentration(torch.ones(1, 1, 4, 4)).item() == pytest.approx(0.25)
    assert sparseness.concentration(torch.zeros(1, 1, 4, 4)).isnan().all()


def test_a_map_of_no_numbers_is_not_called_dead():
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()).requires_grad_(False)
    model[0].weight.zero_(), model[0].bias.copy_(torch.tensor([float("nan"), -1.0]))
    net = interface.Network("toy", model, lambda x: x, 4, (), {}, "")
    peaks = sparseness.peaks(net, torch.ones(3, 3, 4, 4), ["1"], batch=2)["1"]
    assert (peaks == 0).all(0).tolist() == [False, True]


@pytest.mark.parametrize("name", EIGHT)
def test_the_relus_of_every_network_are_found_in_order_or_it_is_said_why_not(name):
    net = loaded(name)
    if name == "convnext":
        with pytest.raises(ValueError, match="convnext-0 has no ReLU behind a convolution"):
            sparseness.rectified(net)
        return
    found, images = sparseness.rectified(net), torch.rand(1, 3, net.size, net.size)
    assert len(found) == RELUS.get(name, len(found)) > 0 and len(set(found)) == len(found)
    assert not any("fc" in path for path in found)  # dense layers have no maps
    assert all(not part._forward_hooks for part in net.model.modules())
    measured = sparseness.sparsity(net, images)
    assert set(measured) == {"Gini", "zeros", "Gini of the active", "strongest quarter", "spatial entropy"}
    assert all(np.isfinite(values).all() and ((values >= 0) & (values <= 1)).all() for values in measured.values())


def test_sparsity_is_the_mean_over_layers_whatever_the_batch():
    net, images = zoo.network("alexnet"), torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    layers = [f"conv{k}" for k in range(1, 6)]
    each = interface.features(net, images, layers)
    found = sparseness.sparsity(net, images, batch=2)
    zeros = np.mean([(each[layer] == 0).float().mean((1, 2, 3)).numpy() for layer in layers], 0)
    assert found["zeros"] == pytest.approx(zeros, abs=1e-6)
    gini = np.mean([sparseness.gini(each[layer]).numpy() for layer in layers], 0)
    assert found["Gini"] == pytest.approx(gini)


def test_peaks_are_the_largest_answers():
    net, images = zoo.network("vgg"), torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    expected = interface.features(net, images, ["conv2", "fc6"])
    found = sparseness.peaks(net, images, ["conv2", "fc6"], batch=2)
    assert torch.allclose(found["conv2"], expected["conv2"].amax((2, 3)), atol=1e-5)
    assert torch.allclose(found["fc6"], expected["fc6"], atol=1e-5)
