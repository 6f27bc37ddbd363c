"""Gradient, deconvnet and guided backpropagation: by hand, against captum, against an independent deconvnet."""

import captum.attr
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import _get_current_function_mode_stack

from lib.methods.backward.three_rules import RULES, project
from lib.networks import interface

pytestmark = pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")  # captum says so each time
ORACLES = {
    "gradient": lambda model: captum.attr.Saliency(model),
    "deconvnet": lambda model: captum.attr.Deconvolution(model),
    "guided": lambda model: captum.attr.GuidedBackprop(model),
}
UNITS = {
    "deconvnet": captum.attr.NeuronDeconvolution,
    "guided": captum.attr.NeuronGuidedBackprop,
    "gradient": captum.attr.NeuronGradient,
}


def network(model, size, preprocess=lambda x: x):
    """A Network round the very module, in-place ReLUs included (networks.wrap would make a tame copy)."""
    return interface.Network("toy", model.double().eval(), preprocess, size, ("a", "b", "c"), {"mid": "4"}, "")


@pytest.fixture
def plain():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8 * 9, 12), nn.ReLU(), nn.Linear(12, 3),
    )  # fmt: skip
    model[1].running_mean.normal_()
    return network(model, 16)


@pytest.fixture
def images():
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def from_ones(model, rule):
    """The signal of class 0 on the image (1, 1, 1), as a list."""
    return (
        project(network(model, 1), torch.ones(1, 3, 1, 1, dtype=torch.float64), None, 0, rule=rule).flatten().tolist()
    )


def test_two_layers_by_hand_tell_the_three_rules_apart():
    model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU(), nn.Conv2d(3, 1, 1, bias=False), nn.Flatten())
    model[0].weight.data = torch.tensor([[1.0, 2, 3], [-1, 0, -4], [0, 5, 1]])[:, :, None, None]
    model[2].weight.data = torch.tensor([[2.0, 3, -1]])[:, :, None, None]
    # On (1, 1, 1) the hidden units are 6, -5, 6: the second is silent; the third has a negative weight above it.
    found = {rule: from_ones(model, rule) for rule in RULES}
    assert found["gradient"] == [2, -1, 5]  # first and third: those that are active
    assert found["deconvnet"] == [-1, 4, -6]  # first and second: those with a positive signal
    assert found["guided"] == [2, 4, 6]  # the first alone


@pytest.mark.parametrize("rule", RULES)
def test_class_scores_equal_captums(plain, images, rule):
    labels = torch.tensor([0, 2, 1, 1])
    ours = project(plain, images, None, labels, rule=rule)
    options = {"abs": False} if rule == "gradient" else {}
    theirs = ORACLES[rule](plain.model).attribute(images.clone().requires_grad_(), target=labels, **options)
    torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-6)
    assert ours.abs().max() > 1e-3


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("layer", ["2", "4", "mid", "5"])
def test_hidden_units_equal_captums(plain, images, rule, layer):
    unit = (3, 2, 4)
    ours = project(plain, images, layer, unit[0], unit=unit[1:], rule=rule)
    theirs = UNITS[rule](plain.model, interface.module(plain, layer)).attribute(images.clone().requires_grad_(), unit)
    torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("layer", ["8", "9", "10"])
def test_units_of_dense_layers_equal_captums(plain, images, rule, layer):
    unit = int(plain.model[:10](images).sum(0)[:3].argmax())  # one that is active
    ours = project(plain, images, layer, unit, rule=rule)
    theirs = UNITS[rule](plain.model, interface.module(plain, layer)).attribute(
        images.clone().requires_grad_(), (unit,)
    )
    torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-6)
    assert ours.abs().max() > 1e-3


@pytest.mark.parametrize("rule", RULES)
def test_overlapping_pools_and_padding_equal_captums(images, rule):
    torch.manual_seed(2)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 5, 2, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip
    net = network(model, 16)
    options = {"abs": False} if rule == "gradient" else {}
    theirs = ORACLES[rule](net.model).attribute(images.clone().requires_grad_(), target=1, **options)
    torch.testing.assert_close(project(net, images, None, 1, rule=rule), theirs.detach(), rtol=0, atol=1e-6)
    unit = (3, 1, 2)
    theirs = UNITS[rule](net.model, net.model[4]).attribute(images.clone().requires_grad_(), unit)
    torch.testing.assert_close(
        project(net, images, "4", 3, unit=unit[1:], rule=rule), theirs.detach(), rtol=0, atol=1e-6
    )


def test_deconvnet_equals_one_built_from_transposed_filters_and_switches(images):
    torch.manual_seed(3)
    one, two = nn.Conv2d(3, 5, 3, padding=1).double(), nn.Conv2d(5, 7, 3, stride=2).double()
    net = network(nn.Sequential(one, nn.ReLU(), nn.MaxPool2d(2), two, nn.ReLU(), nn.Flatten(), nn.Linear(63, 3)), 16)
    with torch.no_grad():
        low = F.relu(one(images))
        pooled, switches = F.max_pool2d(low, 2, return_indices=True)
        high = F.relu(two(pooled))
        signal = torch.zeros_like(high)  # all other activations of the layer set to zero
        signal[:, 6] = high[:, 6]
        down = F.conv_transpose2d(F.relu(signal), two.weight, stride=2, output_padding=1)
        down = F.max_unpool2d(down, switches, 2)
        down = F.conv_transpose2d(F.relu(down), one.weight, padding=1)
    ours = project(net, images, "4", 6, start="activation", rule="deconvnet")
    torch.testing.assert_close(ours, down, rtol=0, atol=1e-12)


class Awkward(nn.Module):
    """The same network three times: with in-place, functional or reused ReLUs."""

    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(5)
        self.one, self.two, self.three = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Linear(6 * 144, 3)
        self.kind, self.first, self.second = kind, nn.ReLU(kind == "in place"), nn.ReLU(kind == "in place")

    def forward(self, x):
        if self.kind == "functional":
            return self.three(torch.relu(self.two(F.relu(self.one(x)))).flatten(1))
        if self.kind == "method":
            return self.three(self.two(self.one(x).relu_()).relu().flatten(1))
        second = self.first if self.kind == "reused" else self.second
        return self.three(second(self.two(self.first(self.one(x)))).flatten(1))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", ["in place", "functional", "method", "reused"])
def test_awkward_relus_follow_the_rule_too(images, kind, rule):
    expected = project(network(Awkward("plain"), 16), images, None, 1, rule=rule)
    torch.testing.assert_close(project(network(Awkward(kind), 16), images, None, 1, rule=rule), expected)
    expected = project(
        network(Awkward("plain"), 16), images, "one", 1, start="activation", rule=rule
    )  # before its ReLU
    torch.testing.assert_close(
        project(network(Awkward(kind), 16), images, "one", 1, start="activation", rule=rule), expected
    )


def test_the_rules_agree_where_every_sign_is_positive():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    for values in model.parameters():
        values.data.abs_()
    found = [
        project(network(model, 4), torch.rand(2, 3, 4, 4, dtype=torch.float64), None, 2, rule=rule) for rule in RULES
    ]
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], found[2])


def test_relu6_masks_both_ends_going_forward_and_rectifies_the_signal():
    model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU6(), nn.Conv2d(3, 1, 1, bias=False), nn.Flatten())
    model[0].weight.data = torch.diag(torch.tensor([1.0, 10, 1]))[:, :, None, None]
    model[2].weight.data = torch.tensor([[1.0, 1, -1]])[:, :, None, None]
    found = {rule: from_ones(model, rule) for rule in RULES}
    assert found["gradient"] == [1, 0, -1]  # the second unit is saturated
    assert found["deconvnet"] == [1, 10, 0]
    assert found["guided"] == [1, 0, 0]


class MeanSquare(torch.autograd.Function):
    """A function of one's own, whose name looks harmless."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, signal):
        return 2 * signal * ctx.saved_tensors[0]


class Call(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


OTHERS = {
    "Gelu": nn.GELU(),
    "Silu": nn.SiLU(),
    "LeakyRelu": nn.LeakyReLU(),
    "Elu": nn.ELU(),
    "Sigmoid": nn.Sigmoid(),
    "Hardtanh": nn.Hardtanh(),
    "Clamp": Call(lambda x: x.clamp(min=0)),
    "Maximum": Call(lambda x: torch.maximum(x, x * 0)),
    "Where": Call(lambda x: torch.where(x > 0, x, 0 * x)),
    "Threshold": Call(lambda x: F.threshold(x, 0.5, 0.0)),
    "Softmax": Call(lambda x: x.softmax(1)),
    "MeanSquare": Call(MeanSquare.apply),
    "Relu": Call(torch.ops.aten.relu.default),  # a ReLU called past PyTorch's functions: its rule could not be set
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_activations_are_refused_except_for_the_gradient(images, name):
    first = (nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    net = network(nn.Sequential(*first, OTHERS[name], nn.Flatten(), nn.Linear(576, 3)), 16)
    for rule in ("deconvnet", "guided"):
        with pytest.raises(ValueError, match=f"toy has {name}"):
            project(net, images, None, 0, rule=rule)
        assert project(net, images, "2", 0, rule=rule).abs().sum() > 0  # below it there are only ReLUs
    assert project(net, images, None, 0, rule="gradient").abs().sum() > 0


def test_nothing_is_left_behind_and_nothing_changed(plain, images):
    before = {name: value.clone() for name, value in plain.model.state_dict().items()}
    plain.model[0].weight.requires_grad_(False)
    flags = [value.requires_grad for value in plain.model.parameters()]

    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    project(plain, images, "4", 0)
    kept, plain.model[9] = plain.model[9], Broken().eval()
    with pytest.raises(RuntimeError, match="broken"):
        project(plain, images, "4", 0)
    plain.model[9] = kept
    for module in plain.model.modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
        assert not any(hooks) and not module.training
    assert not _get_current_function_mode_stack()
    assert [value.requires_grad for value in plain.model.parameters()] == flags
    assert all(value.grad is None for value in plain.model.parameters()) and not images.requires_grad
    assert all(torch.equal(before[name], value) for name, value in plain.model.state_dict().items())


def test_the_signal_is_per_rgb_value_whatever_the_preprocessing(plain, images):
    swapped = plain._replace(preprocess=lambda x: (x.flip(1) - 0.5) * 4)
    expected = project(plain, (images.flip(1) - 0.5) * 4, None, 1).flip(1) * 4
    torch.testing.assert_close(project(swapped, images, None, 1), expected)


def test_units_channels_and_starts(plain, images):
    whole = project(plain, images, "5", 3, rule="gradient")
    parts = [project(plain, images, "5", 3, unit=(y, x), rule="gradient") for y in range(6) for x in range(6)]
    torch.testing.assert_close(whole, sum(parts))
    each = project(plain, images, "5", torch.tensor([0, 1, 2, 3]), unit="max")
    torch.testing.assert_close(each[2:3], project(plain, images[2:3], "5", 2, unit="max"))
    with torch.no_grad():
        values = plain.model[:6](images)[:, 3]
    y, x = divmod(int(values[0].argmax()), 6)
    strongest = project(plain, images[:1], "5", 3, unit=(y, x)) * values[0, y, x]
    torch.testing.assert_close(project(plain, images[:1], "5", 3, unit="max", start="activation"), strongest)


BAD = [
    ({"rule": "guide"}, "rule: got 'guide', expected one of gradient, deconvnet, guided"),
    ({"start": "zero"}, "start: got 'zero'"),
    ({"channel": 8}, "channel: got 8, expected 0 to 7"),
    ({"channel": -1}, "expected 0 to 7"),
    ({"unit": (6, 0)}, "expected a row in 0 to 5"),
    ({"layer": "conv9"}, "conv9"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_arguments(plain, images, change, message):
    arguments = {"layer": "5", "channel": 0} | change
    with pytest.raises(ValueError, match=message):
        project(plain, images, arguments.pop("layer"), arguments.pop("channel"), **arguments)


def test_training_mode_is_refused(plain, images):
    plain.model.train()
    with pytest.raises(ValueError, match="training mode"):
        project(plain, images, None, 0)


def test_a_relu_called_by_keyword_follows_the_rule_too():
    class Keyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 3)

        def forward(self, x):
            x = F.relu(input=self.one(x))
            return self.two(F.relu6(input=x).flatten(1))

    class Positional(Keyword):
        def forward(self, x):
            x = F.relu(self.one(x))
            return self.two(F.relu6(x).flatten(1))

    torch.manual_seed(0)
    one, two = Keyword(), Positional()
    two.load_state_dict(one.state_dict())
    picture = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    for rule in RULES:
        signals = [project(network(model, 8), picture, None, 1, rule=rule) for model in (one, two)]
        assert torch.equal(*signals) and signals[0].abs().sum() > 0


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"images": torch.rand(2, 3, 8, 16)}, r"images for toy: found .* of shape \(2, 3, 8, 16\), expected float RGB"),
        ({"channel": 1.5}, "channel: got 1.5, expected a whole number"),
        ({"channel": torch.tensor([0, 1, 2])}, "one for each of 4"),
        ({"layer": "mid", "unit": "middle"}, "unit: got 'middle', expected None, 'max'"),
        ({"layer": "mid", "unit": (1,)}, "expected None, 'max' or"),
    ],
)
def test_what_cannot_be_projected_is_told_in_a_sentence(plain, images, change, sentence):
    options = {"images": images, "layer": None, "channel": 0} | change
    with pytest.raises(ValueError, match=sentence):
        project(plain, **options)
