"""The strongest patches are the strongest, overlapping ones go, and purity counts what it says."""

from collections import Counter

import numpy as np
import pytest
import torch

from lib.experiments.n07_patches import measures as measure
from lib.experiments.n07_patches import plots
from lib.methods.receptive import fields, strongest_patches
from lib.networks import catalogue, interface, zoo
from lib.worlds import cutouts

NETWORKS = (*zoo.FAMILIES, "squeezenet1_1", "efficientnet_lite0")
NUMBERS = np.random.default_rng


def pictures(n, size=64, seed=1):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_peaks_equal_a_loop_over_all_maps():
    net, images = zoo.network("alexnet"), pictures(5)
    found = strongest_patches.peaks(net, "conv3", images, batch=2)
    maps = interface.features(net, images, ["conv3"])["conv3"].numpy()
    for n in range(5):
        for c in range(0, 80, 7):
            assert found.values[n, c] == pytest.approx(maps[n, c].max(), rel=1e-5)
            assert maps[n, c].flat[found.places[n, c]] == pytest.approx(maps[n, c].max(), rel=1e-5)


def test_the_strongest_come_first_and_equal_ones_in_order():
    values = np.array([[0.0, 3], [2, 3], [5, 1], [2, 3]])
    assert strongest_patches.strongest(values, 3).tolist() == [[2, 1, 3], [0, 1, 3]]
    with pytest.raises(ValueError, match="k is 5, expected 1 to the number of pictures, 4"):
        strongest_patches.strongest(values, 5)


def slow_suppression(values, boxes, overlap):
    """Greedy suppression of one picture's boxes on a pixel grid, the other way round: the strongest strikes out."""

    def pixels(box):
        grid = np.zeros((64, 64), bool)
        grid[box[0] : box[2], box[1] : box[3]] = True
        return grid

    left, kept = list(np.argsort(-values, kind="stable")), []
    while left:
        best = left.pop(0)
        kept.append(best)
        one = pixels(boxes[best])
        left = [k for k in left if (one & pixels(boxes[k])).sum() / (one | pixels(boxes[k])).sum() <= overlap]
    return kept


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.7, 1.0])
def test_suppression_equals_a_slow_one_on_pixels(overlap):
    field = fields.field(zoo.network("alexnet"), "conv2")
    values = NUMBERS(2).normal(size=(2, 64)).astype(np.float32)
    boxes = [field.seen(k) for k in range(64)]
    expected = [(n, int(k)) for n in range(2) for k in slow_suppression(values[n], boxes, overlap)]
    expected = [one for one in expected if values[one] > values.min()]
    expected.sort(key=lambda one: -values[one])
    found = strongest_patches.suppressed(values, field, 1000, overlap)
    assert [(one.image, one.position) for one in found] == expected
    assert [one.value for one in found] == sorted((float(values[one]) for one in expected), reverse=True)


def test_one_patch_a_picture_and_never_a_silent_one():
    field = fields.field(zoo.network("lenet"), "conv2")
    values = np.zeros((3, 32 * 32), np.float32)
    values[0, [5, 700]], values[2, 9] = (2, 3), 1
    found = strongest_patches.suppressed(values, field, 16, None)
    assert [(one.image, one.position, one.value) for one in found] == [(0, 700, 3.0), (2, 9, 1.0)]
    assert len(strongest_patches.suppressed(values, field, 16, 1.0)) == 3


def test_a_patch_holds_all_that_its_unit_saw():
    """The network answers the same when everything outside the window is changed, and not when it is inside."""
    net, images = zoo.network("vgg"), pictures(3)
    for one in [row[0] for row in strongest_patches.patches(net, "conv2", [0, 7], images, k=1)]:
        unit = 0 if one == strongest_patches.patches(net, "conv2", [0], images, k=1)[0][0] else 7
        top, left, bottom, right = (int(np.clip(edge, 0, 64)) for edge in one.window)
        inside, outside = torch.zeros_like(images[:1]), images[one.image : one.image + 1].clone()
        inside[..., top:bottom, left:right] = images[one.image, :, top:bottom, left:right]
        outside[..., top:bottom, left:right] = 0

        def answer(picture, unit=unit, place=one.position):
            return float(interface.features(net, picture, ["conv2"])["conv2"][0, unit].flatten()[place])

        assert answer(inside) == pytest.approx(one.value, rel=1e-5)
        assert answer(outside) != pytest.approx(one.value, rel=1e-2)


def test_cutting_pads_with_the_stated_grey_and_gives_whole_pictures_to_large_windows():
    image = NUMBERS(0).random((6, 8, 3))
    patch = strongest_patches.cut(image, (-1, 6, 3, 10), fill=0.25)
    assert patch.shape == (4, 4, 3)
    np.testing.assert_array_equal(patch[1:, :2], image[:3, 6:])
    assert (patch[0] == 0.25).all() and (patch[:, 2:] == 0.25).all()
    assert (strongest_patches.cut(image, (20, 20, 24, 24)) == 0.5).all()
    np.testing.assert_array_equal(strongest_patches.cut(image, (-3, -3, 9, 9)), image)


def test_intersection_over_union_by_hand():
    assert strongest_patches.shared((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert (
        strongest_patches.shared((0, 0, 2, 2), (2, 0, 4, 2)) == 0
        and strongest_patches.shared((0, 0, 3, 3), (0, 0, 3, 3)) == 1
    )


def test_effective_field_is_the_kernel_of_a_linear_network():
    conv = torch.nn.Conv2d(3, 1, 3, padding=1, bias=False)
    net = interface.Network("toy", conv.requires_grad_(False), lambda x: x, 9, (), {"conv": ""}, "")
    model = torch.nn.Sequential(conv)
    net = net._replace(model=model, layers={"conv": "0"})
    energy = strongest_patches.effective(net, "conv", pictures(4, 9), torch.Generator().manual_seed(0))
    expected = np.zeros((9, 9))
    expected[3:6, 3:6] = (conv.weight**2).sum((0, 1)).numpy()
    np.testing.assert_allclose(energy, expected / expected.sum(), rtol=1e-5)


def test_effective_energy_is_the_sum_over_channels_on_average():
    """Three channels: the first two read one pixel with opposite signs, the third reads its neighbour."""
    conv = torch.nn.Conv2d(3, 3, (1, 3), padding=(0, 1), bias=False)
    conv.weight.data.zero_()
    conv.weight.data[:, 0, 0] = torch.tensor([[1.0, 0, 0], [-1, 0, 0], [0, 0, 1]])
    layers = {"conv": "0", "none": "1"}
    model = torch.nn.Sequential(conv.requires_grad_(False), torch.nn.Flatten())
    net = interface.Network("toy", model, lambda x: x, 5, (), layers, "")
    energy = strongest_patches.effective(net, "conv", pictures(2000, 5), torch.Generator().manual_seed(0))
    np.testing.assert_allclose(energy[2], [0, 2 / 3, 0, 1 / 3, 0], atol=0.02)
    with pytest.raises(ValueError, match="has no map"):
        strongest_patches.effective(net, "none", pictures(1, 5), torch.Generator())


def test_side_counts_the_strongest_pixels():
    assert strongest_patches.side(np.array([[0.5, 0.25], [0.25, 0.0]]), 0.5) == 1
    assert strongest_patches.side(np.full((10, 10), 0.01), 0.64) == 8 and strongest_patches.side(np.zeros((3, 3))) == 0


def test_purity_equals_counting():
    rng = NUMBERS(4)
    marks, chosen = rng.integers(0, 6, (50, 3)), np.stack([rng.permutation(50)[:16] for _ in range(9)])
    shares, common = measure.purity(marks, chosen)
    for c in range(9):
        for q in range(3):
            counts = Counter(marks[chosen[c], q].tolist())
            assert shares[c, q] == pytest.approx(max(counts.values()) / 16)
            assert counts[common[c, q]] == max(counts.values())


def test_the_null_is_that_of_permuted_activations():
    rng, values = NUMBERS(5), NUMBERS(6).exponential(size=(60, 40))
    marks = rng.integers(0, 10, (60, 3))
    quick = measure.dealt(marks, 40, 16, 400, NUMBERS(7))
    slow = [measure.purity(marks, strongest_patches.strongest(rng.permuted(values, axis=0)))[0] for _ in range(80)]
    np.testing.assert_allclose(quick.mean((0, 1)), np.mean(slow, (0, 1)), atol=0.005)
    statistic = [table.max(-1).mean(-1) for table in (quick, np.array(slow))]
    np.testing.assert_allclose(*[np.quantile(one, [0.1, 0.5, 0.9]) for one in statistic], atol=0.008)


def test_the_claim_tells_units_with_a_taste_from_units_without():
    rng = NUMBERS(8)
    cues = rng.integers(0, 10, (300, 3))
    blind = rng.random((300, 30)).astype(np.float32)
    taste = blind + (cues[:, [2]] == np.arange(30) % 10)
    dead = np.zeros((300, 4), np.float32)
    one, other = (
        measure.alike([strongest_patches.Peaks(np.hstack([v, dead]), None)], cues, NUMBERS(0), draws=200)
        for v in (taste, blind)
    )
    assert one["value"] == 1 and one["n"] == other["n"] == 30 and one["note"].startswith("4 units are never active")
    assert one["null"][0] < other["value"] < one["null"][1] + 0.02 and one["interval"][0] > one["null"][1]


def test_units_are_spaced_by_rank_and_active():
    best = np.array([0.1, 0.9, 0.5, 0.7, 0.3])
    assert measure.spaced(best, np.ones(5, bool), 3) == [1, 2, 0]
    assert measure.spaced(best, np.array([0, 0, 1, 1, 0], bool), 6) == [3, 2]


def test_most_and_least_class_tuned_units():
    marks = np.column_stack([np.repeat(np.arange(4), 8)] * 4)
    values = np.stack([marks[:, 0] == 2, np.arange(32) % 8 == 0, np.zeros(32)], 1).astype(float)
    found = measure.tuned(values, marks, n=1, k=4)
    (most,), (least,) = found.values()
    assert most["unit"] == 0 and most["names"][:2] == ("class 2", cutouts.SHAPES[2]) and most["shares"] == [1] * 4
    assert least["unit"] == 1 and least["shares"] == [0.25] * 4
    assert len(measure.tuned_table(found)) == 2


@pytest.mark.parametrize("name", NETWORKS)
def test_works_on_every_network(name):
    net = catalogue.load(name, weights=name in zoo.FAMILIES)
    layer, images = interface.last_conv(net), pictures(2, net.size)
    found = strongest_patches.peaks(net, layer, images)
    (row,) = strongest_patches.patches(net, layer, [1], images, k=2, overlap=None)
    assert found.values.shape[0] == 2 and all(one.value == found.values[one.image, 1] for one in row)
    energy = strongest_patches.effective(
        net, layer, pictures(1 if net.size > 64 else 8, net.size, 3), torch.Generator().manual_seed(0)
    )
    assert energy.shape == (net.size, net.size) and energy.sum() == pytest.approx(1)
    arrays = images.permute(0, 2, 3, 1).numpy()
    assert all(max(cell.shape) <= 36 for line in plots.cells([row], arrays) for cell in line)
    assert len(plots.table(layer, [1], [row])) == len(row)


def test_errors_name_what_is_valid():
    net, images = zoo.network("vgg"), pictures(2)
    with pytest.raises(ValueError, match="unit is 96, expected 0 to 95 in layer 'conv5' of vgg-0"):
        strongest_patches.patches(net, "conv5", [3, 96], images)
    with pytest.raises(ValueError, match="overlap 1.5, expected"):
        strongest_patches.patches(net, "conv5", [3], images, overlap=1.5)
    with pytest.raises(ValueError, match="conv1, conv2"):
        strongest_patches.peaks(net, "conv7", images)
    with pytest.raises(ValueError, match="fc7.*could serve: pool5, conv5|could serve: pool5, conv5"):
        strongest_patches.peaks(zoo.network("resnet"), "fc7", images)
