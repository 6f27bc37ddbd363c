"""The incremental sweep equals the plain loop, whatever the strides, paddings and branches of the network."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.methods.occlusion import changed_patches, sweeps
from lib.methods.receptive import layer_graph
from lib.networks import catalogue, interface, zoo

GREY = 0.3


def network(model, size):
    layers = {name: name for name, _ in model.named_modules() if name}
    return interface.Network("toy", model.eval().requires_grad_(False), lambda x: (x - 0.4) * 3, size, (), layers, "")


def agree(net, window, stride, layer, tolerance=1e-10, images=2, dtype=torch.float64, **options):
    """Sweep both ways and compare; returns the incremental one."""
    net.model.to(dtype)
    pictures = torch.rand(images, 3, net.size, net.size, generator=torch.Generator().manual_seed(1)).to(dtype)
    both = [
        sweeps.sweep(net, pictures, window, stride, baseline=GREY, layer=layer, method=method, **options)
        for method in ("plain", "incremental")
    ]
    assert [found.method for found in both] == ["plain", "incremental"]
    scale = np.abs(both[0].logits).max()
    changed = np.abs(both[0].logits - both[0].clean[:, None]).max()
    assert changed > 100 * tolerance * scale, "the squares must matter, or the comparison says nothing"
    np.testing.assert_allclose(both[1].logits, both[0].logits, rtol=0, atol=tolerance * scale)
    if layer is not None:
        np.testing.assert_array_equal(both[1].channel, both[0].channel)
        scale = np.abs(both[0].activity).max()
        np.testing.assert_allclose(both[1].activity, both[0].activity, rtol=0, atol=10 * tolerance * scale)
    return both[1]


def random_network(seed):
    """A small network whose kernels, strides, paddings, dilations and pools are drawn at random."""
    draw = np.random.default_rng(seed)
    torch.manual_seed(seed)
    layers, channels, size = [], 3, int(draw.integers(19, 34))
    start = size
    for _ in range(int(draw.integers(2, 5))):
        kernel, stride, dilation = int(draw.integers(1, 5)), int(draw.integers(1, 4)), int(draw.integers(1, 3))
        padding = int(draw.integers(0, kernel + 1))
        grouped = bool(draw.integers(0, 2)) and channels > 3
        conv = nn.Conv2d(channels, 8, kernel, stride, padding, dilation, groups=4 if grouped else 1)
        kinds = {
            "max": nn.MaxPool2d(3, 2, int(draw.integers(0, 2)), ceil_mode=bool(draw.integers(0, 2))),
            "mean": nn.AvgPool2d(2, int(draw.integers(1, 3)), int(draw.integers(0, 2))),
            "ceil": nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
            "pad": nn.ZeroPad2d(tuple(int(n) for n in draw.integers(0, 3, 4))),
            "none": nn.Identity(),
        }
        pool = kinds[draw.choice(list(kinds))]
        with torch.no_grad():
            try:
                size = pool.eval()(conv(torch.zeros(1, channels, size, size))).shape[-1]
            except RuntimeError:  # the map has become too small for this one
                continue
        layers += [conv, nn.BatchNorm2d(8), nn.ReLU(inplace=bool(draw.integers(0, 2))), pool]
        channels = 8
    model = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(5)).eval()
    model(torch.zeros(1, 3, start, start))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(), module.running_var.uniform_(0.5, 2)
    last = max(i for i, layer in enumerate(model) if isinstance(layer, nn.ReLU))
    return network(model, start), str(last), draw


@pytest.mark.parametrize("seed", range(24))
def test_random_networks(seed, monkeypatch):
    net, layer, draw = random_network(seed)
    monkeypatch.setattr(changed_patches, "FULL", float(draw.choice([0.5, 0.9, 2.0])))  # 2: stay with patches to the end
    agree(net, int(draw.integers(1, net.size // 2)), int(draw.integers(1, 8)), layer)


class Branching(nn.Module):
    """Branches of different reach, residuals, a gate, constants and functions in place: what a graph can hold."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.stem = nn.Conv2d(3, 8, 3, 2, padding=1)
        self.one, self.three = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 4, padding="same")
        self.deep, self.kernel = nn.Conv2d(8, 8, 3, padding=1), nn.Parameter(torch.randn(8, 1, 3, 3))
        self.scale, self.gate = nn.Parameter(torch.rand(8, 1, 1)), nn.Linear(8, 8)
        self.last, self.relu = nn.Linear(8, 5), nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.stem(x))
        x = torch.cat([self.one(x), F.max_pool2d(self.three(x), 3, 1, 1)], 1)
        kept = x
        x = F.relu(F.conv2d(F.pad(x, (1, 1, 1, 1)), self.kernel, groups=8), inplace=True)
        x = x * self.scale + 0.5
        x += kept
        y = self.deep(x)
        x = kept + F.avg_pool2d(y, 3, 1, 1) + y.relu_()
        x = x * torch.sigmoid(self.gate(x.mean((2, 3))))[:, :, None, None]  # reaches everywhere
        x = self.deep(x)
        return self.last(F.adaptive_avg_pool2d(x, 1).view(x.size(0), -1))


@pytest.mark.filterwarnings("ignore:Using padding=.same.:UserWarning")
@pytest.mark.parametrize(("window", "stride"), [(5, 3), (8, 8), (40, 7), (1, 13)])
def test_branches_residuals_gates_and_in_place_functions(window, stride):
    agree(network(Branching(), 40), window, stride, "three")


class Positions(nn.Module):
    """Adds a constant that differs from place to place: a patch alone cannot tell which part of it to add."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.place = nn.Conv2d(3, 4, 3, padding=1), nn.Parameter(torch.randn(4, 24, 24))
        self.row, self.last = nn.Parameter(torch.randn(24)), nn.Linear(4, 5)

    def forward(self, x):
        return self.last(((self.conv(x) + self.place).relu() * self.row).relu().mean((2, 3)))


def test_constants_that_depend_on_the_place():
    agree(network(Positions(), 24), 24, 24, "conv")
    agree(network(Positions(), 24), 5, 6, "conv")


class Overwritten(nn.Module):
    """Reads a value after it was overwritten in place, which a graph does not show."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = self.conv(x)
        x.relu_()
        return x.mean((2, 3))


def test_a_network_whose_graph_tells_another_story_runs_plainly():
    net, images = network(Overwritten(), 16), torch.rand(1, 3, 16, 16)
    assert sweeps.sweep(net, images, 4, 4).method == "plain"
    with pytest.raises(ValueError, match="the traced layers do not give the network's own scores"):
        sweeps.sweep(net, images, 4, 4, method="incremental")


def test_patches_are_used_where_they_are_worth_while():
    net, images = network(Branching(), 40), torch.rand(1, 3, 40, 40)
    assert sweeps.sweep(net, images, 3, 8).method == "incremental"
    assert sweeps.sweep(net, images, 36, 4).method == "plain"


@pytest.mark.parametrize(("name", "layer"), [("squeezenet1_1", "conv5"), ("efficientnet_lite0", "conv4")])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_real_networks(name, layer, dtype, tolerance):
    net = catalogue.load(name)
    agree(net, 48, 80, layer, tolerance, images=1, dtype=dtype)


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_the_zoo(family):
    layer = "conv5" if "conv5" in zoo.layers(family) else "conv2"
    agree(catalogue.load(family, weights=False), 12, 16, layer)


def test_a_layer_of_units_and_a_small_budget_give_the_same():
    net = network(Branching(), 40)
    large = agree(net, 8, 8, "gate")
    small = agree(net, 8, 8, "gate", byte_budget=700_000)
    np.testing.assert_allclose(small.logits, large.logits, rtol=0, atol=1e-12)


def test_the_batch_follows_the_budget():
    model = Branching().eval()
    boxes, _ = sweeps.squares(40, 8, 2)
    with torch.inference_mode():
        sizes = [
            changed_patches.plan(model, torch.zeros(1, 3, 40, 40), boxes, None, n).batch
            for n in (4 * 10**5, 5 * 10**5, 10**6, 10**9)
        ]
        assert sizes == sorted(sizes) and sizes[0] < sizes[2] < sizes[3] == changed_patches.LARGEST
        with pytest.raises(layer_graph.NotTraceable, match="more than half of the budget of 10000 bytes"):
            changed_patches.plan(model, torch.zeros(1, 3, 40, 40), boxes, None, 10_000)


def test_fewer_values_are_computed():
    """The layers see patches, not maps: counted in convolution outputs."""
    net = network(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.Flatten(),
                                nn.Linear(4 * 32 * 32, 3)), 32)  # fmt: skip
    boxes, _ = sweeps.squares(32, 4, 4)
    with torch.inference_mode():
        plan = changed_patches.plan(net.model, torch.zeros(1, 3, 32, 32), boxes)
    sizes = [size for node, size in plan.size.items() if node in plan.windows]
    assert sizes == [(6, 6), (8, 8)]  # the square grows by one pixel on each side, twice
    assert plan.cost == pytest.approx((36 * 27 + 64 * 36) / (1024 * (27 + 36)))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), list(itertools.product((1, 2, 5), (1, 3), (0, 2), (1, 2)))
)
def test_reach_of_a_window_equals_the_gradients_support(kernel, stride, padding, dilation):
    conv = nn.Conv2d(1, 1, kernel, stride, padding, dilation, bias=False)
    conv.weight.data.fill_(1)
    with torch.no_grad():
        length = conv(torch.zeros(1, 1, 20, 20)).shape[-1]
        look = layer_graph._conv(conv.weight, None, stride, padding, dilation)
        for low, high in [(0, 1), (3, 7), (11, 12), (18, 20), (0, 20)]:
            image = torch.zeros(1, 1, 20, 20)
            image[..., low:high, low:high] = 1
            hit = conv(image)[0, 0].sum(0).nonzero().flatten()
            first, last = look.reached(0, np.array([low]), np.array([high]), length)
            if len(hit):
                assert first[0] <= hit[0] and last[0] >= hit[-1] + 1
                assert last[0] - first[0] <= hit[-1] + 1 - hit[0] + 2 * (dilation - 1) * (kernel > 1)


class Branches(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))


def test_what_cannot_be_traced_runs_plainly_and_says_why_if_asked():
    net = network(Branches(), 16)
    images = torch.rand(1, 3, 16, 16)
    assert sweeps.sweep(net, images, 4, 4).method == "plain"
    with pytest.raises(ValueError, match="'incremental' does not fit toy: torch.fx cannot follow.*use 'plain'"):
        sweeps.sweep(net, images, 4, 4, method="incremental")


def test_preprocessing_that_mixes_pixels_runs_plainly():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    model(torch.zeros(1, 3, 32, 32))
    net = network(model, 32)
    for size in ((3, 3), (3, 1), (1, 3)):
        mixing = net._replace(preprocess=lambda x, size=size: F.avg_pool2d(x, size, 1, (size[0] // 2, size[1] // 2)))
        assert sweeps.sweep(mixing, torch.rand(1, 3, 32, 32), 4, 8).method == "plain"
    assert (
        sweeps.sweep(net._replace(preprocess=lambda x: 2 * x), torch.rand(1, 3, 32, 32), 4, 8).method == "incremental"
    )


def test_the_network_is_left_as_it_was():
    model = Branching()
    net = network(model, 40)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sweeps.sweep(net, torch.rand(1, 3, 40, 40), 8, 8, layer="stem", method="incremental")
    assert model.relu.inplace and model.stem.weight.is_contiguous()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
