"""Saliency maps and their scores: by hand, against captum, SciPy and scikit-learn, and on every network by its name."""

import captum.attr
import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score
from torch import nn

from lib.experiments.n10_saliency import deconvnet_by_layers, one_rule_differs
from lib.experiments.n10_saliency import measures as measure
from lib.experiments.n10_saliency import plots as draw
from lib.methods.backward import saliency_maps, three_rules
from lib.networks import catalogue, interface, readers, zoo
from lib.worlds import cutouts, imagenet_classes, photos

EVERY = (*zoo.FAMILIES, "squeezenet1_1", "efficientnet_lite0")
BATCH = cutouts.batch(cutouts.World(), "test", 24)


def network(model, size, classes=("a", "b"), preprocess=lambda x: x):
    return interface.Network("toy", model.eval().requires_grad_(False), preprocess, size, classes, {}, "")


class Sums(nn.Module):
    """Class 0 is a weighted sum of the pixels, class 1 is always zero: gradient and deletion are known."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, x):
        score = (x * self.weights).flatten(1).sum(1)
        return torch.stack([score, 0 * score], 1)


@pytest.fixture
def sums():
    weights = torch.zeros(3, 4, 4)
    weights[0, 0, 1], weights[1, 0, 1], weights[2, 2, 3] = 2.0, -5.0, 3.0
    return network(Sums(weights), 4)


@pytest.fixture
def maps():
    return np.random.default_rng(0).random((6, 8, 8)), np.random.default_rng(1).random((6, 8, 8)) < 0.3


# --------------------------------------------------------------------------------------------------- the map


def test_the_map_is_the_largest_absolute_gradient_over_the_colours(sums):
    found = saliency_maps.saliency(saliency_maps.signals(sums, torch.rand(2, 3, 4, 4), 0))
    expected = np.zeros((4, 4))
    expected[0, 1], expected[2, 3] = 5, 3  # |2| and |-5| meet at one pixel: the larger; neither sum nor mean
    assert np.array_equal(found, np.stack([expected] * 2))


def test_signals_equal_captums_in_batches_of_any_size():
    net, labels = zoo.network("resnet", 0), torch.from_numpy(BATCH.labels[:5])
    images = interface.to_tensor(BATCH.images[:5])
    found = saliency_maps.signals(net, images, labels, batch=2)
    theirs = captum.attr.Saliency(lambda x: net.model(net.preprocess(x))).attribute(
        images.clone().requires_grad_(), target=labels, abs=False
    )
    torch.testing.assert_close(found, theirs.detach(), rtol=0, atol=1e-5)
    torch.testing.assert_close(saliency_maps.signals(net, images, int(labels[0]))[0], found[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_every_network_gives_maps_or_says_why_not(name):
    net = catalogue.load(name)
    size = net.size
    images = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    allowed, reason = saliency_maps.rules(net)
    assert (allowed == ("gradient",)) == (name == "convnext") == ("has Gelu" in reason)
    # the strongest unit behind a ReLU6 is at its cap, where the gradient is zero: ask before it
    found = saliency_maps.panel(net, images[0], 3, "conv2_pre" if name == "efficientnet_lite0" else "conv2")
    assert len(found) == 7 and [key for key in found if found[key] is None] == ([] if reason else []) + [
        key for key in found if reason and "gradient" not in key and key != "picture"
    ]
    for key, signal in found.items():
        assert signal is None or (signal.shape == (size, size, 3) and np.abs(signal).max() > 0), key
    np.testing.assert_array_equal(found["picture"], images[0].permute(1, 2, 0))
    assert saliency_maps.raised(net, images, [3], saliency_maps.signals(net, images, 3)).tolist() in ([True], [False])
    curve = saliency_maps.deletion(net, images, [3], saliency_maps.saliency(saliency_maps.signals(net, images, 3)), 2)
    assert curve.shape == (1, 3) and (curve >= 0).all() and (curve <= 1).all()


class Transformer(nn.Module):
    """A tiny vision transformer: patches, one block of attention with layer normalisation, a GELU layer."""

    def __init__(self):
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.norm(self.block(self.patches(x).flatten(2).transpose(1, 2))).mean(1))


def test_a_transformer_has_a_gradient_and_refuses_the_rest_in_a_sentence():
    torch.manual_seed(0)
    net = interface.wrap(Transformer(), name="vit", size=16, preprocess=lambda x: x)
    allowed, reason = saliency_maps.rules(net)
    assert allowed == ("gradient",)
    assert "defined for ReLU networks only, but vit has" in reason and "Gelu" in reason and "gradient" in reason
    images = torch.rand(2, 3, 16, 16)
    with pytest.raises(ValueError, match="Gelu"):
        saliency_maps.signals(net, images, 0, "guided")
    ours = saliency_maps.signals(net, images, 1)
    model = net.model
    wanted = images.clone().requires_grad_()
    (theirs,) = torch.autograd.grad(model(wanted)[:, 1].sum(), wanted)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert ours.abs().max() > 0


# ----------------------------------------------------------------------------------------------- object masks


def test_pointing_by_hand():
    maps = np.zeros((2, 3, 3))
    maps[0, 0, 0], maps[1, 1, 1], maps[1, 2, 2] = 1, 4, 4
    masks = np.zeros((2, 3, 3), bool)
    masks[0, 0, 0] = masks[1, 2, 2] = True
    assert saliency_maps.pointing(maps, masks).tolist() == [[1, 0], [0, 0.5]]  # two largest values, one on the object


def places(maps):
    return saliency_maps.ranks(maps.reshape(len(maps), -1))


def test_overlaps_equal_scikit_learns_jaccard(maps):
    values, masks = maps
    found = saliency_maps.overlaps(places(values), masks, 0.25)
    for i in range(6):
        kept = values[i] >= np.sort(values[i].ravel())[-16]
        for k in range(6):
            assert found[i, k] == pytest.approx(jaccard_score(masks[k].ravel(), kept.ravel()))


def test_the_best_threshold_comes_from_the_other_half(maps):
    values, _ = maps
    masks = np.zeros((6, 8, 8), bool)
    for i in range(6):  # even images: an object of 8 pixels, odd ones: of 32, found perfectly at 1/8 and at 1/2
        masks[i] = places(values[i : i + 1]).reshape(8, 8) < (8 if i % 2 == 0 else 32)
    table, chosen = saliency_maps.best_overlap(values, masks, (0.125, 0.5))
    assert chosen == (0.5, 0.125)  # for the even images, for the odd ones
    assert np.diagonal(table).tolist() == [0.25] * 6
    np.testing.assert_array_equal(table[0], saliency_maps.overlaps(places(values), masks, 0.5)[0])
    np.testing.assert_array_equal(table[1], saliency_maps.overlaps(places(values), masks, 0.125)[1])
    same = np.repeat(masks[:1], 6, 0)
    perfect, chosen = saliency_maps.best_overlap(same.astype(float), same, (0.125, 0.5))
    assert chosen == (0.125, 0.125) and np.all(perfect == 1)
    with pytest.raises(ValueError, match="maps: found 1 images, expected at least 2"):
        saliency_maps.best_overlap(values[:1], masks[:1])


def test_the_gaussian_is_centred_and_blurring_keeps_the_sum(maps):
    gaussian = saliency_maps.gaussian(8)
    assert gaussian.argmax() in (27, 28, 35, 36) and np.array_equal(gaussian, gaussian[::-1, ::-1])
    assert saliency_maps.blurred(maps[0], 0) is maps[0]
    point = np.zeros((1, 33, 33))
    point[0, 16, 16] = 1
    soft = saliency_maps.blurred(point, 2.0)
    assert soft.sum() == pytest.approx(1) and soft[0, 16, 16] == pytest.approx(1 / (2 * np.pi * 4), rel=0.01)


# ------------------------------------------------------------------------------------------ step and deletion


def test_a_step_is_a_share_of_the_images_norm(sums):
    seen = []
    spy = sums._replace(preprocess=lambda x: seen.append(x.clone()) or x)
    images, directions = torch.rand(3, 3, 4, 4) + 0.1, torch.randn(3, 3, 4, 4)
    directions[2] = 0
    found = saliency_maps.raised(spy, images, [0, 1, 0], directions, 0.25)
    moved = (seen[1] - seen[0]).flatten(1)
    torch.testing.assert_close(moved[:2].norm(dim=1), 0.25 * images[:2].flatten(1).norm(dim=1))
    torch.testing.assert_close(moved[0] / moved[0].norm(), directions[0].flatten() / directions[0].norm())
    assert found.tolist() == [bool((directions[0] * sums.model.weights).sum() > 0), False, False]
    assert saliency_maps.raised(sums, images[:1], [0], sums.model.weights[None]).tolist() == [True]
    assert saliency_maps.raised(sums, images[:1], [0], -sums.model.weights[None]).tolist() == [False]


def test_deletion_by_hand(sums):
    images = torch.full((1, 3, 4, 4), 0.5)
    images[0, :, 0, 1], images[0, :, 2, 3] = 0.2, 0.9
    order = np.zeros((1, 4, 4))
    order[0, 2, 3], order[0, 0, 1] = 2, 1  # the blue weight first, then the red and green ones, the rest as they come
    found = saliency_maps.deletion(sums, images, [0], order, 16)[0]
    sigmoid = lambda s: 1 / (1 + np.exp(-s))  # noqa: E731
    red, blue = -3 * 0.2, 3 * 0.9
    expected = [sigmoid(red + blue), sigmoid(red + 1.5), *[sigmoid(-1.5 + 1.5)] * 15]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert saliency_maps.area(found[None])[0] == pytest.approx(
        (expected[0] / 2 + sum(expected[1:16]) + expected[16] / 2) / 16
    )
    coarse = saliency_maps.deletion(sums, images, [0], order, 2)[0]
    np.testing.assert_allclose(coarse, np.array(expected)[[0, 8, 16]], atol=1e-6)
    black = saliency_maps.deletion(sums, images, [0], order, 1, grey=0.0)[0]
    np.testing.assert_allclose(black, [expected[0], 0.5], atol=1e-6)
    for steps in (0, 17):
        with pytest.raises(ValueError, match=f"steps: got {steps}, expected 1 to 16"):
            saliency_maps.deletion(sums, images, [0], order, steps)


def test_ranks_are_places_largest_first_ties_in_order():
    assert saliency_maps.ranks(np.array([[1.0, 3, 2, 3]])).tolist() == [[3, 0, 2, 1]]


def test_a_grid_is_found_and_a_picture_is_not():
    generator = np.random.default_rng(0)
    tile = generator.random((4, 4))
    noise = generator.random((30, 66, 66))
    assert saliency_maps.grid(np.tile(tile, (16, 16))[None], 4)[0] == pytest.approx(1)
    assert abs(saliency_maps.grid(noise, 4).mean()) < 0.003  # 0 on average; unadjusted it would be 0.004
    mixed = np.tile(tile - tile.mean(), (16, 16)) / tile.std() + (noise[:, :64, :64] - 0.5) * np.sqrt(12)
    assert saliency_maps.grid(mixed, 4).mean() == pytest.approx(0.5, abs=0.01)
    assert saliency_maps.grid(np.zeros((1, 8, 8)), 4)[0] == 0
    with pytest.raises(ValueError, match="period: got 5, expected at most half of the map's 8 pixels"):
        saliency_maps.grid(np.zeros((1, 8, 8)), 5)


# ------------------------------------------------------------------------- the explicit deconvnet, and claim E7


def rectifies(family: str) -> bool:
    return any(isinstance(module, nn.ReLU) for module in zoo.build(family).modules())


@pytest.mark.parametrize("family", [family for family in zoo.FAMILIES if rectifies(family)])
def test_the_explicit_deconvnet_is_the_gradient_with_another_rule(family):
    images = interface.to_tensor(BATCH.images[:2])
    found = one_rule_differs.differences([family], [0], images, BATCH.labels[:2])
    layers = 3 if "fc7" in zoo.layers(family) else 2  # the scores, the last convolution, and fc7
    assert found["n"] == 2 * layers + 4 and found["value"] < 1e-10 and found["interval"][1] == found["value"]
    for rule in ("deconvnet", "guided"):
        assert found["named"][f"cosine distance of {rule} from gradient"][0] > 0.1  # on a trained network


def test_turned_is_the_cosine_distance():
    one = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert one_rule_differs.turned(one, 3 * one) == pytest.approx([0, 0])  # a factor does not matter
    assert one_rule_differs.turned(one, -one) == pytest.approx([2, 2])
    assert one_rule_differs.turned(one, torch.zeros_like(one)).tolist() == [1, 1]


def test_differences_see_a_wrong_rule(monkeypatch):
    images = interface.to_tensor(BATCH.images[:2])
    monkeypatch.setitem(three_rules.RULES, "deconvnet", lambda signal, passed: signal.clamp(min=0) * passed)
    assert one_rule_differs.differences(["lenet"], [0], images, BATCH.labels[:2])["value"] > 0.1


def test_positive_networks_have_nothing_to_mask():
    net = one_rule_differs.positive(zoo.network("inception", 0))
    with interface.record(net, ["conv2_pre"]) as maps:
        net.model(net.preprocess(interface.to_tensor(BATCH.images[:1])))
    assert maps["conv2_pre"].min() > 0


def test_overlapping_windows_add_up_and_stride_leaves_the_rest_at_zero():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Flatten(), nn.Linear(36, 3))
    net, images = network(model.double(), 12, ("a", "b", "c")), torch.rand(2, 3, 12, 12, dtype=torch.float64)
    for layer, channel in ((None, 1), ("1", 2), ("2", 0)):
        ours = deconvnet_by_layers.project(net, images, layer, channel)
        torch.testing.assert_close(ours, three_rules.project(net, images, layer, channel, unit="max"))
        assert ours.abs().max() > 0
    assert (deconvnet_by_layers.project(net, images, "1", 2)[..., -1] == 0).all()  # the last column was never reached


def test_the_explicit_deconvnet_refuses_what_it_does_not_know():
    images = torch.rand(1, 3, 64, 64)
    with pytest.raises(ValueError, match="layer: got 'conv9', expected a part of the chain of lenet-0: conv1.conv, "):
        deconvnet_by_layers.project(zoo.network("lenet"), images, "conv9", 0)
    with pytest.raises(ValueError, match="NextBlock|LayerNorm2d: no deconvnet is defined"):
        deconvnet_by_layers.project(zoo.network("convnext"), images, None, 0)


# --------------------------------------------------------------------------------- the claims' measurements


@pytest.fixture(scope="module")
def readings():
    return measure.read(["lenet", "convnext"], [0, 1], BATCH, 0.001, 4, np.random.default_rng(0))


def test_readings_hold_what_the_claims_need(readings):
    assert list(readings) == [("lenet", 0), ("lenet", 1), ("convnext", 0), ("convnext", 1)]
    one, other = readings["lenet", 0], readings["convnext", 1]
    images = interface.to_tensor(BATCH.images)
    right = np.flatnonzero(interface.scores(one.net, images).argmax(1).numpy() == BATCH.labels)
    np.testing.assert_array_equal(one.right, right)
    assert set(one.maps) == set(three_rules.RULES) and set(other.maps) == {"gradient"}
    assert set(one.curves) == {*three_rules.RULES, measure.ORDER} and set(other.raised) == {"gradient", measure.RANDOM}
    assert one.maps["guided"].shape == (len(right), 64, 64) and one.curves["guided"].shape == (len(right), 5)
    assert one.raised["guided"].shape == (24,)
    ends = [curve[:, [0, -1]] for curve in one.curves.values()]
    for end in ends[1:]:  # every order starts at the picture and ends at grey
        np.testing.assert_allclose(end, ends[0], atol=1e-6)


def test_the_statistics_are_what_the_claims_say(readings):
    each = list(readings.values())
    found = measure.gain(each, np.random.default_rng(1))
    areas = [np.trapezoid(one.curves[measure.ORDER] - one.curves["gradient"], dx=0.25, axis=1) for one in each]
    assert found["value"] == pytest.approx(np.concatenate(areas).mean())
    assert found["n"] == len(set(np.concatenate([one.right for one in each])))
    lenets = np.concatenate(
        [np.trapezoid(o.curves[measure.ORDER] - o.curves["guided"], dx=0.25, axis=1) for o in each[:2]]
    )
    assert found["named"]["guided"][0] == pytest.approx(lenets.mean())
    found = measure.step(each, np.random.default_rng(1))
    assert (
        found["value"] == pytest.approx(np.mean([one.raised["gradient"].mean() for one in each])) and found["n"] == 24
    )
    assert set(found["named"]) == {"deconvnet", "guided", measure.RANDOM}
    with pytest.raises(ValueError, match="'guided' is not defined for any of these networks"):
        measure.gain(each[2:], np.random.default_rng(1), "guided")


def test_where_all_agree_the_interval_is_wilsons(readings):
    one = readings["lenet", 0]
    sure = one._replace(raised={"gradient": np.ones(24, bool)})
    found = measure.step([sure, sure], np.random.default_rng(0))
    assert found["value"] == 1 and found["interval"] == pytest.approx((24 / (24 + 1.959964**2), 1))


def test_rows_of_the_figures(readings):
    names = (*three_rules.RULES, measure.RANDOM, measure.ORDER)
    rows = measure.rows(measure.step, readings, (*three_rules.RULES, measure.RANDOM), np.random.default_rng(0))
    assert len(rows) == 2 * 4 + 2 * 2 and {row["group"] for row in rows} == set(names[:4])
    assert len(measure.curve_rows(readings)) == (2 * 4 + 2 * 2) * 5
    rows = measure.mask_rows(readings, BATCH.masks, 2.0, np.random.default_rng(0))
    assert len(rows) == (2 * 3 + 2) * 3
    one, first = readings["lenet", 0], rows[0]
    table = saliency_maps.pointing(one.maps["gradient"], BATCH.masks[one.right])
    off = table[~np.eye(len(table), dtype=bool)]
    assert first["value"] == pytest.approx(np.diagonal(table).mean()) and first["others"] == pytest.approx(off.mean())
    assert set(measure.baseline(BATCH.masks, 2.0)) == {row["measure"] for row in rows}


@pytest.mark.parametrize(("name", "rules"), [("lenet", 3), ("convnext", 1)])
def test_a_photograph_takes_the_likeliest_of_its_own_classes(name, rules):
    known = imagenet_classes.imagenet_classes()[:10]  # by name, whatever numbers they have elsewhere
    net, image = zoo.network(name)._replace(classes=known), interface.to_tensor(BATCH.images[:1])[0]
    scores = interface.scores(net, image[None])[0]
    worst, second = int(scores.argmin()), int(scores.argsort()[-2])
    found = measure.photograph(net, photos.Photo("p", image, (worst, second), "a", "b", "c", True), 8)
    assert found["class"] == known[second] and (found["network"], found["photo"]) == (readers.title(net.name), "p")
    signal = saliency_maps.signals(net, image[None], second)
    expected = saliency_maps.saliency(signal)
    np.testing.assert_allclose(found["signals"]["gradient"], signal[0].permute(1, 2, 0), rtol=1e-4, atol=1e-6)
    assert found["grids"]["gradient"] == pytest.approx(saliency_maps.grid(expected, 8)[0], abs=1e-4)
    assert sum(each is not None for each in found["signals"].values()) == rules
    (panel,) = [axis for axis in draw.maps([[found]]).axes if axis.get_xlabel().startswith("grid")][:1]
    top = np.quantile(np.abs(found["signals"]["gradient"]), 0.995)
    where = found["signals"]["gradient"] > top  # full contrast, and grey where nothing counts
    assert np.asarray(panel.images[0].get_array())[where].min() == pytest.approx(1)
    assert np.asarray(draw.grids.signed(np.zeros((2, 2, 3)))).tolist() == np.full((2, 2, 3), 0.5).tolist()
    assert (found["grids"]["guided"] is None) == (rules == 1)


def test_a_hidden_unit_that_is_sent_back_is_the_strongest_of_its_layer():
    net, image = zoo.network("alexnet"), interface.to_tensor(BATCH.images[:1])[0]
    maps = interface.features(net, image[None], ["conv4"])["conv4"][0]
    channel, row, column = np.unravel_index(int(maps.argmax()), maps.shape)
    found = measure.hidden_unit(net, photos.Photo("p", image, (), "a", "b", "c", True), "conv4", 8)
    assert found["class"] == f"conv4, channel {channel}"
    for rule, signal in found["signals"].items():
        expected = three_rules.project(net, image[None], "conv4", int(channel), unit=(int(row), int(column)), rule=rule)
        np.testing.assert_allclose(signal, expected[0].permute(1, 2, 0), rtol=1e-5, atol=1e-7)
