"""Receptive fields from the graph equal what gradients and NaNs show, whatever the layers and their padding."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.methods.receptive import fields
from lib.networks import catalogue, interface, zoo

NETWORKS = (*zoo.FAMILIES, "squeezenet1_1", "efficientnet_lite0")


def network(model, size, preprocess=lambda x: x):
    layers = {name: name for name, _ in model.named_modules() if name}
    return interface.Network("toy", model.double().eval().requires_grad_(False), preprocess, size, (), layers, "")


def gradient_support(net, layer):
    """(rows, columns, H, W) bool: which pixels have a derivative, by float64 gradients with positive weights."""
    for parameter in net.model.parameters():
        parameter.copy_(torch.rand_like(parameter) + 0.1)
    picture = torch.rand(1, 3, net.size, net.size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    picture.requires_grad_(True)
    answer = interface.forward_to(net, picture, [layer])[layer].sum(1)[0]
    answer = answer if answer.ndim == 2 else answer.reshape(1, 1)
    slopes = [torch.autograd.grad(one, picture, retain_graph=True)[0].abs().sum((0, 1)) for one in answer.flatten()]
    return (torch.stack(slopes) > 0).reshape(*answer.shape, net.size, net.size).numpy()


def ends(seen):
    """First and one more than the last of every row of (positions, pixels); pixels and 0 where there is none."""
    length = seen.shape[1]
    return np.where(seen.any(1), seen.argmax(1), length), np.where(seen.any(1), length - seen[:, ::-1].argmax(1), 0)


def agree(net, layer):
    """The field of a layer equals the gradient's support, position by position; returns it."""
    field, support = fields.field(net, layer), gradient_support(net, layer)
    assert field.shape == support.shape[:2]
    for axis, seen in enumerate((support.any((1, 3)), support.any((0, 2)))):
        low, high = ends(seen)
        np.testing.assert_array_equal(field.low[axis], low)
        np.testing.assert_array_equal(field.high[axis], high)
    return field


def random_model(seed):
    """Convolutions and pools whose kernels, strides, paddings and dilations are drawn at random, and a branch."""
    draw, layers, channels = np.random.default_rng(seed), [], 3
    for _ in range(int(draw.integers(2, 4))):
        kernel, stride, dilation = int(draw.integers(1, 5)), int(draw.integers(1, 4)), int(draw.integers(1, 3))
        groups = 2 if channels > 3 and draw.integers(0, 2) else 1
        layers.append(nn.Conv2d(channels, 4, kernel, stride, int(draw.integers(0, 3)), dilation, groups))
        pools = [
            nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2, 1), nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
            nn.ZeroPad2d((0, 2, 1, 0)), Join(4), nn.Identity(),
        ]  # fmt: skip
        layers.append(pools[int(draw.integers(0, len(pools)))])
        channels = 4
    return nn.Sequential(*layers, nn.ReLU())


class Join(nn.Module):
    """Two branches of one stride and different kernels, added, with the input on top."""

    def __init__(self, width):
        super().__init__()
        self.wide, self.tall = (
            nn.Conv2d(width, width, (1, 5), padding=(0, 2)),
            nn.Conv2d(width, width, (3, 1), 1, (1, 0)),
        )

    def forward(self, x):
        return self.wide(x) + self.tall(x) + x


@pytest.mark.parametrize("seed", range(25))
def test_equals_the_gradients_support_on_random_networks(seed):
    torch.manual_seed(seed)
    net = network(random_model(seed), 26)
    agree(net, [name for name, _ in net.model.named_modules()][-1])


def test_matches_a_hand_computation():
    net = network(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1)), 32)
    field = fields.field(net, "2")
    # 3, then 3 + 2 * 2 = 7, then 7 + 2 * 4 = 15; strides 2, 4, 4; starts -1, -1 - 2 = -3, -3 - 4 = -7
    assert (field.size, field.stride, field.start, field.shape) == ((15, 15), (4, 4), (-7, -7), (8, 8))
    assert field.window(9) == (-3, -3, 12, 12) and field.seen(9) == (0, 0, 12, 12) and field.whole == ""


def test_positions_that_see_only_padding_see_nothing():
    net = network(nn.Sequential(nn.Conv2d(3, 2, 1, padding=1)), 8)
    field = fields.field(net, "0")
    assert field.shape == (10, 10) and field.low[0][0] >= field.high[0][0] and field.low[0][1] == 0


def test_a_stride_that_leaves_the_last_pixels_unread_says_so():
    field = agree(network(nn.Sequential(nn.Conv2d(3, 2, 3, 4)), 13), "0")
    assert field.high[0][-1] == 11


@pytest.mark.parametrize("name", NETWORKS)
def test_holds_on_every_network_by_turning_lines_of_the_picture_into_nan(name):
    net = catalogue.load(name, weights=name in zoo.FAMILIES)
    large = net.size > 64  # fewer of the large networks' layers, since each takes a pass
    for layer in [one for one in net.layers if one in ("conv2", "conv5", "fc8") or not (large or one.endswith("_pre"))]:
        field = fields.field(net, layer)
        for axis in (0, 1):
            lines = np.random.default_rng(axis).integers(0, net.size, 2 if large else 4)
            pictures = fields._grey(net).repeat(len(lines), 1, 1, 1)
            for k, line in enumerate(lines):
                pictures.select(2 + axis, int(line))[k] = torch.nan
            lost = fields._lost(net, layer, pictures, axis).numpy()
            expected = (field.low[axis] <= lines[:, None]) & (lines[:, None] < field.high[axis])
            np.testing.assert_array_equal(lost, expected, err_msg=f"{name} {layer} {axis}")


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_gradients_on_pictures_stay_inside_and_fill_the_field(family):
    net = zoo.network(family)
    layer = "conv2"
    field = fields.field(net, layer)
    images = torch.rand(24, 3, 64, 64, generator=torch.Generator().manual_seed(3)).requires_grad_(True)
    maps = interface.forward_to(net, images, [layer])[layer]
    row, column = maps.shape[2] - 1, 1  # at a corner, so that padding matters
    (slope,) = torch.autograd.grad(maps[:, :, row, column].square().sum(), images)
    seen = (slope.abs().sum((0, 1)) > 0).numpy()
    top, left, bottom, right = field.seen(row * maps.shape[3] + column)
    assert not seen[:top].any() and not seen[bottom:].any() and not seen[:, :left].any() and not seen[:, right:].any()
    (low_r,), (high_r,) = ends(seen.any(1)[None])
    (low_c,), (high_c,) = ends(seen.any(0)[None])
    assert (low_r, low_c, high_r, high_c) == (top, left, bottom, right)


def test_probe_finds_the_same_without_the_graph():
    net = zoo.network("inception")
    for layer in ("conv3", "conv5", "fc8"):
        one, other = fields.field(net, layer), fields.probe(net, layer)
        for axis in (0, 1):
            np.testing.assert_array_equal(one.low[axis], other.low[axis])
            np.testing.assert_array_equal(one.high[axis], other.high[axis])
    one, other = fields.field(net, "conv3"), fields.probe(net, "conv3")
    assert (one.size, one.stride, one.start) == (other.size, other.stride, other.start)


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.unused = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x) if x.mean() < 1e9 or x.isnan().any() else x


def test_a_network_that_cannot_be_traced_is_probed():
    field = fields.field(network(Branching(), 12), "conv")
    assert (field.size, field.stride, field.start) == ((3, 3), (2, 2), (-1, -1))


class Everything(nn.Module):
    """One layer after another that mixes all positions, or only seems to."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 4, 3, 1, 1), nn.LayerNorm(4)
        self.lrn, self.wide, self.gate = nn.LocalResponseNorm(3), nn.Linear(4, 4), nn.Conv2d(4, 4, 1)
        self.group = nn.GroupNorm(2, 4)

    def forward(self, x):
        x = self.lrn(self.stem(x))
        x = self.wide(self.norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        gate = torch.sigmoid(self.gate(F.adaptive_avg_pool2d(x, 1)))
        return self.group(x) + x * gate


def test_layers_over_channels_stay_local_and_gates_and_group_norms_do_not():
    net = network(Everything(), 9)
    assert fields.field(net, "lrn").size == (3, 3)
    field = fields.field(net, "group")
    assert field.size == (9, 9) and "group" in field.whole
    assert "adaptive_avg_pool2d" in fields.field(net, "gate").whole


def test_errors_say_what_is_there():
    net = zoo.network("lenet")
    with pytest.raises(ValueError, match="conv1, conv2"):
        fields.field(net, "conv9")
    with pytest.raises(ValueError, match="resizes 64 pixels to"):
        fields.field(net._replace(preprocess=lambda x: x[..., ::2, ::2]), "conv1")

    class Idle(Branching):
        def forward(self, x):
            return self.conv(x)

    with pytest.raises(ValueError, match="'unused' of toy is not used"):
        fields.field(network(Idle(), 12), "unused")
