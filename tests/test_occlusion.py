"""Occlusion against captum and by hand; its scores against masks, the projected region, the correspondence of parts."""

import captum.attr
import numpy as np
import pytest
import torch
from torch import nn

from lib.experiments.n09_occlusion import object_masks
from lib.methods.backward import three_rules
from lib.methods.occlusion import same_part, sweeps, whole_images
from lib.networks import interface

COLOUR = (0.2, 0.9, 0.4)


def network(model, size, layers=None, classes=("a", "b", "c")):
    return interface.Network(
        "toy", model.eval().requires_grad_(False), lambda x: (x - 0.5) * 4, size, classes, layers or {}, ""
    )


@pytest.fixture
def net():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(8 * 25, 3),
    )  # fmt: skip
    return network(model.double(), 22, {"conv2": "3", "conv2_pre": "2"})


@pytest.fixture
def images():
    return torch.rand(3, 3, 22, 22, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("method", ["plain", "incremental"])
@pytest.mark.parametrize(("window", "stride"), [(6, 4), (5, 5), (7, 3), (22, 1), (1, 1), (4, 3)])
def test_equals_captum(net, images, window, stride, method):
    """Same window, stride and baseline, float64; captum averages the drops over the squares that cover a pixel."""
    found = sweeps.sweep(net, images, window, stride, baseline=COLOUR, method=method)
    labels = torch.tensor([2, 0, 1])
    drops = found.clean[range(3), labels][:, None] - found.logits[range(3), :, labels]
    baseline = torch.tensor(COLOUR, dtype=torch.float64).view(1, 3, 1, 1).expand(1, 3, 22, 22)
    theirs = captum.attr.Occlusion(lambda x: net.model(net.preprocess(x))).attribute(
        images, (3, window, window), strides=(3, stride, stride), baselines=baseline, target=labels
    )
    ours = sweeps.pixel_map(drops, found.boxes, 22)
    np.testing.assert_allclose(np.repeat(ours[:, None], 3, 1), theirs.numpy(), rtol=0, atol=1e-8)
    assert np.abs(ours).max() > 1e-3


def test_the_probability_map_equals_captums(net, images):
    """Of the true class: another class's probability, or a window off by one stride, does not pass."""
    labels = [1, 2, 0]
    found = sweeps.sweep(net, images, 6, 4)
    drops = sweeps.probability(found.clean[:, None], labels) - sweeps.probability(found.logits, labels)
    theirs = captum.attr.Occlusion(lambda x: net.model(net.preprocess(x)).softmax(1)).attribute(
        images, (3, 6, 6), strides=(3, 4, 4), baselines=0.5, target=torch.tensor(labels)
    )
    np.testing.assert_allclose(sweeps.pixel_map(drops, found.boxes, 22), theirs[:, 0].numpy(), rtol=0, atol=1e-8)


def test_squares_cover_the_image_row_by_row():
    boxes, grid = sweeps.squares(10, 4, 3)
    assert grid == (3, 3) and boxes[:4].tolist() == [[0, 0, 4, 4], [0, 3, 4, 7], [0, 6, 4, 10], [3, 0, 7, 4]]
    boxes, grid = sweeps.squares(10, 4, 4)  # the last is cut off at the border
    assert grid == (3, 3) and boxes[-1].tolist() == [8, 8, 10, 10] and boxes[2].tolist() == [0, 8, 4, 10]
    assert sweeps.squares(10, 10, 3)[1] == (1, 1)
    boxes, grid = sweeps.squares(10, 2, 9)  # a stride beyond the window leaves gaps
    assert grid == (2, 2) and np.isnan(sweeps.pixel_map(np.ones(4), boxes, 10)).sum() == 100 - 9


class Bright(nn.Module):
    """A 'network' without weights: map k is colour k; class 0 likes the brightness of one pixel, class 1 of another."""

    def __init__(self, first, second):
        super().__init__()
        self.maps, self.first, self.second = nn.Identity(), first, second

    def forward(self, x):
        x = self.maps(x)
        return torch.stack([x[:, 0, *self.first], x[:, 0, *self.second], torch.full_like(x[:, 0, 0, 0], 0.5)], 1)


@pytest.fixture
def bright():
    net = network(Bright((2, 9), (9, 2)), 12, {"maps": "maps"})._replace(preprocess=lambda x: x)
    image = torch.full((1, 3, 12, 12), 0.3)
    image[0, 0, 2, 9] = image[0, 0, 9, 2] = 1
    image[0, 2] += 0.1  # the last map is the strongest
    return net, image


@pytest.mark.parametrize("method", ["plain", "incremental"])
def test_the_five_quantities_by_hand(bright, method):
    net, image = bright
    found = sweeps.sweep(net, image, 3, 3, baseline=0.0, layer="maps", method=method)
    assert found.grid == (4, 4) and found.method == method
    chance = sweeps.probability(found.logits, [0])[0].reshape(4, 4)
    assert np.unravel_index(chance.argmin(), (4, 4)) == (0, 3)  # rows 0-2, columns 9-11 hold pixel (2, 9)
    other = sweeps.probability(found.logits, [1])[0].reshape(4, 4)
    assert np.unravel_index(other.argmin(), (4, 4)) == (3, 0)
    e = np.exp
    assert chance[0, 3] == pytest.approx(1 / (1 + e(1) + e(0.5))) and chance[1, 1] == pytest.approx(
        e(1) / (2 * e(1) + e(0.5))
    )
    assert found.logits[0].argmax(-1).reshape(4, 4)[0, 3] == 1
    assert found.channel.tolist() == [2] and found.clean_activity[0] == pytest.approx(144 * 0.4)
    np.testing.assert_allclose(found.activity, 144 * 0.4 - 9 * 0.4, rtol=1e-6)


def test_panels_hold_what_the_figure_shows(net, images):
    shown = sweeps.panels(net, images[0], 1, 6, 4, "conv2")
    found = sweeps.sweep(net, images[:1], 6, 4, layer="conv2")
    with interface.record(net, ["conv2"]) as maps:
        net.model(net.preprocess(images[:1]))
    strongest = int(maps["conv2"][0].sum((1, 2)).argmax())
    assert found.channel[0] == strongest
    expected = three_rules.project(net, images[:1], "conv2", strongest, start="activation", rule="deconvnet")[0]
    np.testing.assert_array_equal(shown["projection"], expected.permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(shown["image"], images[0].permute(1, 2, 0).numpy())
    assert {shown[name].shape for name in ("activation", "probability", "label")} == {found.grid}
    np.testing.assert_allclose(shown["probability"].ravel(), sweeps.probability(found.logits, [1])[0])
    assert shown["title"] == "b" and shown["box"] == 6 and set(shown["names"]) == set(np.unique(shown["label"]))


def test_the_budget_bounds_the_largest_batch(net, images):
    seen = []
    handle = net.model.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    values = 2 * 3 * 22**2 + 2 * 6 * 10**2 + 2 * 8 * 10**2 + 2 * 8 * 5**2 + 3  # image twice, every output
    for budget, largest in [(1, 1), (3 * 8 * values, 3), (7 * 8 * values + 1, 7), (10**9, whole_images.LARGEST)]:
        seen.clear()
        few = sweeps.sweep(net, images[:1], 6, 2, byte_budget=budget, method="plain")
        assert max(seen) == largest
    handle.remove()
    many = sweeps.sweep(net, images, 6, 2, method="plain")  # three images: no larger batches, the same numbers
    np.testing.assert_allclose(many.logits[:1], few.logits, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["plain", "incremental"])
def test_bfloat16_is_close_and_is_bfloat16(net, images, method):
    net.model.float()
    exact = sweeps.sweep(net, images.float(), 6, 4, layer="conv2", method=method)
    low = sweeps.sweep(net, images.float(), 6, 4, layer="conv2", precision="bfloat16", method=method)
    error = np.abs(low.logits - exact.logits).max() / np.abs(exact.logits).max()
    assert 1e-5 < error < 0.03
    fast = sweeps.sweep(net, images.float(), 6, 4, layer="conv2", precision="fast", method=method)
    expected = low if torch.cpu._is_amx_tile_supported() else exact
    np.testing.assert_array_equal(fast.logits, expected.logits)


BAD = [
    ({"window": 23}, "window: got 23 pixels, expected 1 to 22"),
    ({"window": 0}, "window: got 0 pixels"),
    ({"stride": 0}, "stride: got 0 pixels, expected at least 1"),
    ({"layer": "conv9"}, "conv9.*conv2"),
    ({"precision": "half"}, "precision: got 'half', expected one of float32, bfloat16, fast"),
    ({"method": "quick"}, "method: got 'quick', expected one of auto, plain, incremental"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_arguments(net, images, change, message):
    with pytest.raises(ValueError, match=message):
        sweeps.sweep(net, images, **({"window": 6, "stride": 4} | change))


@pytest.mark.parametrize("shape", [(2, 3, 20, 22), (2, 1, 22, 22), (3, 22, 22), (0, 3, 22, 22)])
def test_images_that_the_network_cannot_read(net, shape):
    with pytest.raises(ValueError, match=r"images for .*: found .*expected"):
        sweeps.sweep(net, torch.rand(shape), 6, 4)
    with pytest.raises(ValueError, match="images for .*: found torch.uint8"):
        sweeps.sweep(net, torch.zeros(1, 3, 22, 22, dtype=torch.uint8), 6, 4)


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0]])
def test_true_classes_out_of_range(labels):
    with pytest.raises(ValueError, match=r"labels: got .*expected 2 class indices from 0 to 2"):
        sweeps.probability(np.zeros((2, 5, 3)), labels)


# ------------------------------------------------------------------------------------------------- objects (E5 and E6)


@pytest.fixture
def scene():
    """Two images of 12 pixels, squares of 3 at stride 3; an object in the upper left and one in the lower right
    corner."""
    boxes, _ = sweeps.squares(12, 3, 3)
    objects = np.zeros((2, 12, 12), bool)
    objects[0, :6, :6] = objects[1, 6:, 6:] = True
    return boxes, objects


def test_the_square_counts_by_its_centre(scene):
    boxes, objects = scene
    assert object_masks.on_masks(boxes, objects)[0].reshape(4, 4).tolist() == [[1, 1, 0, 0]] * 2 + [[0] * 4] * 2
    shifted = np.roll(objects, 1, 1)  # by one pixel: no centre crosses the border; by two: a row of centres does
    assert (object_masks.on_masks(boxes, shifted) == object_masks.on_masks(boxes, objects)).all()
    assert (object_masks.on_masks(boxes, np.roll(objects, 2, 1)) != object_masks.on_masks(boxes, objects)).any()


def test_the_minimum_on_the_own_mask_and_on_the_others(scene):
    boxes, objects = scene
    values = np.full((2, 16), 0.9)
    values[0, 5], values[1, 10] = (
        0.1,
        0.2,
    )  # the corner squares of the two objects, at the middle
    assert object_masks.lowest_on(values, boxes, objects).tolist() == [[1, 0], [0, 1]]
    assert object_masks.lowest_on(values, boxes, objects[::-1]).tolist() == [[0, 1], [1, 0]]  # the wrong image's mask
    assert object_masks.lowest_on(np.roll(values, 1, 1), boxes, objects).tolist() == [
        [0, 0],
        [0, 1],
    ]  # off by one stride
    values[0, [6, 7, 8]] = 0.1  # ties share the score
    assert object_masks.lowest_on(values, boxes, objects)[0].tolist() == [0.25, 0]


def test_area_inside_against_outside(scene):
    boxes, objects = scene
    drops = np.zeros((2, 16))
    drops[0, [0, 1, 4, 5]] = [0.4, 0.2, 0.6, 0.8]
    drops[1, 15], drops[1, 0] = 0.4, 0.24
    np.testing.assert_allclose(
        object_masks.drop_on(drops, boxes, objects), [[0.5, -2.0 / 12], [0.06 - 0.4 / 12, 0.1 - 0.24 / 12]]
    )
    assert np.isnan(object_masks.drop_on(drops, boxes, objects & False)).all()


def test_the_projected_square_and_its_reference(scene):
    boxes, objects = scene
    projections = np.zeros((2, 3, 12, 12))
    projections[0, 1, 3:6, 0:3] = -1  # square 4; the sign does not matter
    projections[1, :, 9:12, 7] = 1  # square 14
    projections[1, 0, 0, 0] = 5  # bright, but in all less than the line
    assert object_masks.projected_square(projections, boxes).tolist() == [4, 14]
    activity = np.full((2, 16), 8.0)
    activity[0, [4, 0, 1, 5]] = [2, 7, 6, 5]
    activity[1, [14, 10, 11, 15]] = [1, 4, 5, 6]
    shares = object_masks.lost(activity, np.array([8.0, 10.0]))
    own, reference = object_masks.lost_where_projected(shares, projections, boxes, objects)
    np.testing.assert_allclose(own, [0.75, 0.9])
    np.testing.assert_allclose(reference, [(0.125 + 0.25 + 0.375) / 3, 0.5])
    _, none = object_masks.lost_where_projected(shares, projections, boxes, objects & False)
    assert np.isnan(none).all()


def test_the_reference_overlaps_by_at_most_a_quarter_and_is_of_equal_size():
    boxes, _ = sweeps.squares(10, 4, 2)
    assert object_masks.overlap(boxes[0], boxes[[0, 1, 2, 5]]).tolist() == [1, 0.5, 0, 0.25]
    projections = np.zeros((1, 3, 10, 10))
    projections[:, :, :4, :4] = 1
    shares = np.arange(16.0)[None]
    everywhere = np.ones((1, 10, 10), bool)
    _, reference = object_masks.lost_where_projected(shares, projections, boxes, everywhere)
    assert reference[0] == np.mean([n for n in range(16) if n not in (0, 1, 4)])
    cut, _ = sweeps.squares(10, 4, 4)  # the last row and column are cut off: smaller, so no reference
    _, reference = object_masks.lost_where_projected(np.arange(9.0)[None], projections, cut, everywhere)
    assert reference[0] == np.mean([1, 3, 4])


def test_the_projection_finds_what_drives_the_map_and_covering_it_takes_most_away(net, images):
    """End to end: a patch of noise on grey; the network's biases are off, so that grey alone excites nothing."""
    for layer in net.model:
        if isinstance(layer, nn.Conv2d):
            layer.bias.zero_()
    picture = torch.full((1, 3, 22, 22), 0.5, dtype=torch.float64)
    picture[:, :, 4:10, 12:18] = images[:1, :, 4:10, 12:18]
    found = sweeps.sweep(net, picture, 6, 2, layer="conv2")
    projection = three_rules.project(net, picture, "conv2", int(found.channel[0]), start="activation").numpy()
    shares = object_masks.lost(found.activity, found.clean_activity)
    everywhere = np.ones((1, 22, 22), bool)
    own, reference = object_masks.lost_where_projected(shares, projection, found.boxes, everywhere)
    square = found.boxes[object_masks.projected_square(projection, found.boxes)[0]]
    assert object_masks.overlap(np.array([4, 12, 10, 18]), square[None])[0] > 0.6
    assert own[0] > 0.5 > 0.1 > reference[0]


# ------------------------------------------------------------------------------------------------- correspondence (E10)


def test_delta_by_hand():
    eps = np.array([[1.0, -2, 3, 0], [2, 1, -1, 5], [-1, -1, 2, -3]])
    # Pairs (0,1): units 2 and 3 differ; (0,2): unit 1; (1,2): all four. A zero agrees with everything.
    assert same_part.delta(eps) == (2 + 1 + 4) / (3 * 4)
    assert same_part.delta(eps, moved=True) == 7 / (3 + 3 + 4)
    assert same_part.delta(eps[[0, 0, 0]]) == 0
    assert same_part.delta(np.array([[1.0, 1], [-1, -1]])) == 1
    assert np.isnan(same_part.delta(np.zeros((3, 2)), moved=True))


def test_differences_cover_the_place_that_was_asked_for(bright):
    net, image = bright
    eps = same_part.differences(
        net, image.expand(2, -1, -1, -1), np.array([[9.0, 2.0], [2.0, 9.0]]), 3, ["maps"], grey=0.0
    )
    maps = eps["maps"].reshape(2, 3, 12, 12)  # x then y: the first square is in the upper right corner
    assert maps[0, 0, 2, 9] == 1 and maps[1, 0, 9, 2] == 1
    assert np.argwhere(maps[0, 0] != 0).min(0).tolist() == [1, 8] and np.argwhere(maps[0, 0] != 0).max(0).tolist() == [
        3,
        10,
    ]
    assert (maps[0] != 0).sum() == 27


def test_squares_at_points_stay_inside():
    points = np.array([[5.0, 6.0], [0.0, 11.0], [5.4, 5.6]])
    assert same_part.squares_at(points, 3, 12)[:2].tolist() == [[5, 4, 8, 7], [9, 0, 12, 3]]
    assert same_part.squares_at(points, 4, 12)[2].tolist() == [4, 4, 8, 8]
    with pytest.raises(ValueError, match="points: got NaN"):
        same_part.squares_at(np.array([[np.nan, 1]]), 3, 12)


def test_another_place_is_on_the_object_and_away_from_the_landmarks():
    object_ = np.zeros((12, 12), bool)
    object_[2:10, 3:11] = True
    small = np.zeros((12, 12), bool)
    small[5:7, 5:7] = True
    marks = np.array([[[3.0, 2.0], [10.0, 2.0]], [[5.0, 5.0], [5.0, 5.0]]])
    for seed in range(40):
        generator = np.random.default_rng(seed)
        places = same_part.elsewhere(np.stack([object_, small]), marks, 6, generator).astype(int)
        assert object_[places[0, 1], places[0, 0]] and small[places[1, 1], places[1, 0]]
        assert np.abs(places[0] - marks[0]).max(1).min() >= 3 and tuple(places[1]) != (5, 5)
    again = same_part.elsewhere(np.stack([object_, small]), marks, 6, np.random.default_rng(39))
    assert (again == places).all()


def test_a_place_that_covers_as_much_is_found_by_hand_too():
    rng, window = np.random.default_rng(0), 4
    masks = np.zeros((3, 16, 16), bool)
    masks[0, 4:12, 4:12], masks[1, 2:9, 5:15], masks[2, 6:9, 6:9] = True, True, True
    marks = np.array([[[4.0, 4.0], [11.0, 11.0]], [[5.0, 2.0], [14.0, 8.0]], [[7.0, 7.0], [7.0, 7.0]]])
    wanted = [same_part.covered(masks[[k, k]], marks[k], window).mean() for k in range(3)]
    assert wanted[0] == pytest.approx((masks[0, 3:7, 3:7].mean() + masks[0, 10:14, 10:14].mean()) / 2)
    seen = set()
    for _ in range(30):
        places = same_part.alike(masks, marks, window, rng)
        for k, (x, y) in enumerate(places):
            top, left = int(y - 1.5), int(x - 1.5)
            share = masks[k, top : top + 4, left : left + 4].mean()
            if k < 2:
                assert abs(share - wanted[k]) <= 0.05
            assert np.abs(places[k] - marks[k]).max(1).min() >= 2
        seen.add(tuple(places[0]))
    assert len(seen) > 2  # drawn, not always the same
    assert np.allclose(same_part.covered(masks, places, window)[:2], wanted[:2], atol=0.05)


def test_groups_hold_images_of_one_shape():
    kinds = np.array([0, 1, 0, 1, 1, 0, 0, 1, 0, 2])
    usable = np.array([1, 1, 1, 1, 1, 1, 1, 1, 0, 1], bool)
    assert same_part.groups(kinds, usable, 2).tolist() == [[0, 2], [5, 6], [1, 3], [4, 7]]
    assert same_part.groups(kinds, usable & False, 2).shape == (0, 2)
