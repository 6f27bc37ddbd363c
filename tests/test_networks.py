"""The one interface: what it carries, what it refuses, and that it never changes the network given to it."""

import copy

import pytest
import torch
from torch import nn

from lib.base import identity
from lib.networks import catalogue, interface, zoo

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(5, 3, 16, 16, generator=GENERATOR)


class Small(nn.Module):
    """A stranger's habits: batch norm, an in-place ReLU, a module used twice, one that gives a tuple, dropout."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.pair, self.shared, self.drop = nn.Identity(), nn.ReLU(), nn.Dropout(0.5)
        self.fc = nn.Linear(4, 7)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x)))
        x, _ = self.pair((x, None))
        x = self.shared(self.shared(x) - 0.1)
        return self.fc(self.drop(x.mean((2, 3))))


def small(**parts):
    parts = {"name": "small", "size": 16, "preprocess": lambda x: (x - 0.5) / 0.25} | parts
    return interface.wrap(Small().train(), **parts)


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules())


def test_given_network_stays_as_it_was():
    model = Small().train()
    model.norm.eval()
    model.conv.weight.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    net = interface.wrap(model, name="small", size=16, preprocess=lambda x: x)
    with interface.record(net, ["conv"]):
        interface.scores(net, IMAGES)
    assert model.training and model.drop.training and not model.norm.training
    assert model.relu.inplace and not model.conv.weight.requires_grad and model.fc.weight.requires_grad
    assert hooks(model) == 0
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not any(m.training for m in net.model.modules()) and not any(p.requires_grad for p in net.model.parameters())
    model.fc.weight.data += 1
    assert torch.equal(net.model.fc.weight, before["fc.weight"])


def test_scores_are_logits_of_the_preprocessed_image():
    net = small()
    expected = net.model((IMAGES - 0.5) / 0.25)
    found = interface.scores(net, IMAGES, batch=2)
    assert found.shape == (5, 7) and torch.allclose(found, expected, atol=1e-6)
    assert not found.requires_grad and not found.is_inference()
    assert net.classes[:2] == ("class 0", "class 1") and len(net.classes) == 7


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (torch.rand(2, 3, 15, 16), r"\(2, 3, 15, 16\)"),
        (torch.rand(3, 16, 16), r"\(3, 16, 16\)"),
        (torch.zeros(2, 3, 16, 16, dtype=torch.uint8), "uint8"),
        (torch.full((2, 3, 16, 16), 200.0), "values up to 200"),
    ],
)
def test_images_of_a_wrong_kind_are_refused(images, found):
    with pytest.raises(ValueError, match=f"images for small: .*{found}.*expected float RGB"):
        interface.scores(small(), images)


def test_gradient_reaches_the_image_through_a_frozen_network():
    net, images = small(), IMAGES.clone().requires_grad_()
    with interface.record(net, ["conv", "relu"]) as maps:
        output = net.model(net.preprocess(images))
    for source in (images, maps["conv"], maps["relu"]):
        (gradient,) = torch.autograd.grad(output[:, 3].sum(), source, retain_graph=True)
        assert gradient.shape == source.shape and gradient.abs().sum() > 0


def test_recorded_map_is_what_the_layer_gave():
    net = small()
    with interface.record(net, ["norm", "relu", "fc"]) as maps:
        output = interface.scores(net, IMAGES)
    normed = net.model.norm(net.model.conv(net.preprocess(IMAGES)))
    assert normed.min() < -0.5  # so that an in-place ReLU would show
    assert torch.allclose(maps["norm"], normed, atol=1e-6) and torch.equal(maps["relu"], maps["norm"].relu())
    assert torch.equal(maps["fc"], output)


def test_recorded_map_survives_a_functional_write_in_place():
    class Adds(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            x = self.conv(x)
            x += 100
            return x.mean((2, 3))

    net = interface.wrap(Adds(), name="adds", size=16, preprocess=lambda x: x)
    with interface.record(net, ["conv"]) as maps:
        output = interface.scores(net, IMAGES)
    assert maps["conv"].abs().max() < 50 and output.min() > 50


def test_recording_does_not_change_the_scores():
    net = small()
    before = interface.scores(net, IMAGES)
    with interface.record(net, ["conv", "norm", "relu"]):
        assert torch.equal(interface.scores(net, IMAGES), before)


def test_record_keeps_the_latest_pass_and_leaves_no_hooks():
    net = small()
    with interface.record(net, ["conv"]) as maps:
        interface.scores(net, IMAGES, batch=2)
        assert hooks(net.model) == 2 and len(maps["conv"]) == 1
    assert hooks(net.model) == 0


@pytest.mark.parametrize("bad", ["body", "forward", "name"])
def test_hooks_are_gone_after_an_exception(bad):
    net = small()
    layers = ["conv", "norm"] + (["nowhere"] if bad == "name" else [])
    with pytest.raises((KeyError, RuntimeError, ValueError)), interface.record(net, layers):
        if bad == "body":
            raise KeyError("body")
        net.model(torch.rand(1, 2, 16, 16))
    assert hooks(net.model) == 0


def test_module_without_a_single_output_is_refused():
    net = small()
    with interface.record(net, ["shared"]):
        for _ in range(2):  # also on a second pass
            with pytest.raises(ValueError, match="'shared' of small runs more than once"):
                interface.scores(net, IMAGES)
    with interface.record(net, ["pair"]), pytest.raises(ValueError, match="'pair' of small gives tuple"):
        interface.scores(net, IMAGES)


def test_layers_by_paper_name_and_by_path():
    net = small(layers={"conv1": "relu", "conv1_pre": "norm"})
    assert interface.module(net, "conv1") is net.model.relu
    assert interface.module(net, "conv1_pre") is net.model.norm
    assert interface.module(net, "fc") is net.model.fc
    with pytest.raises(ValueError, match="small has no layer 'conv2'; its layers are conv1, conv1_pre.* nearest: conv"):
        interface.module(net, "conv2")
    with pytest.raises(ValueError, match="no layer"):
        interface.module(net, "")
    with pytest.raises(ValueError, match="no layer 'nowhere'"):
        small(layers={"conv5": "nowhere"})


@pytest.mark.parametrize(
    ("forward", "found"),
    [
        (lambda x: x, r"\(2, 3, 16, 16\)"),
        (lambda x: x.mean((2, 3))[:1], r"\(1, 3\)"),
        (lambda x: (x.mean((2, 3)), x), "tuple"),
        (lambda x: x.mean(), r"\(\)"),
    ],
)
def test_output_that_is_not_n_classes_is_refused(forward, found):
    model = nn.Identity()
    model.forward = forward
    with pytest.raises(ValueError, match=f"^odd answers two images with {found}, expected logits of shape"):
        interface.wrap(model, name="odd", size=16, preprocess=lambda x: x)


def test_network_that_cannot_read_its_own_size_is_refused():
    with pytest.raises(
        ValueError, match=r"^flat raised RuntimeError: .*on two pictures of noise of shape \(3, 16, 16\)"
    ):
        interface.wrap(nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), name="flat", size=16, preprocess=lambda x: x)


def test_class_names_must_match_the_outputs():
    assert small(classes="abcdefg").classes == tuple("abcdefg")
    with pytest.raises(ValueError, match="small has 6 class names but 7 outputs"):
        small(classes="abcdef")


def test_digest_is_that_of_the_weights():
    model = Small()
    digest = identity.state_digest(model)
    assert digest == identity.state_digest(copy.deepcopy(model)) and len(digest) == 64
    other = copy.deepcopy(model)
    other.norm.running_mean[2] += 1e-6
    assert identity.state_digest(other) != digest
    assert identity.state_digest(copy.deepcopy(model).half()) != digest


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_untrained_networks_of_the_zoo(family):
    net, again, other = (catalogue.load(family, seed=seed, weights=False) for seed in (0, 0, 1))
    assert net.size == 64 and len(net.classes) == 10 and net.digest == again.digest != other.digest
    with interface.record(net, list(net.layers)) as maps:
        output = interface.scores(net, torch.rand(2, 3, 64, 64))
    assert torch.equal(maps["fc8"], output) and {"conv1", "conv2", "fc8"} <= set(maps) == set(net.layers)


def test_trained_networks_of_the_zoo_come_from_the_zoo(monkeypatch):
    monkeypatch.setattr(zoo, "network", lambda family, seed, device: (family, seed, device))
    assert catalogue.load("vgg", seed=2) == ("vgg", 2, "cpu")


def test_unknown_name_gets_the_nearest():
    with pytest.raises(ValueError, match="no classifier is called 'alexnett'; nearest: alexnet"):
        catalogue.load("alexnett")
    with pytest.raises(ValueError, match="nearest: squeezenet1_1"):
        catalogue.load("squeezenet")


def test_features_are_those_of_the_whole_pass_and_nothing_above_is_computed():
    net = zoo.network("alexnet", 0)
    images = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), interface.record(net, ["conv2", "conv5_pre"]) as whole:
        net.model(net.preprocess(images))
    runs = []
    handle = net.model.fc6.register_forward_hook(lambda *_: runs.append(1))
    found = interface.features(net, images, ["conv2", "conv5_pre"], batch=2)
    handle.remove()
    assert len(runs) == 1  # the one pass that looks for modules that run twice
    for layer in whole:
        torch.testing.assert_close(found[layer], whole[layer])
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.model.modules())


def test_forward_to_carries_the_gradient():
    net = zoo.network("lenet", 0)
    images = torch.rand(2, 3, 64, 64, requires_grad=True)
    interface.forward_to(net, images, ["conv1"])["conv1"].sum().backward()
    assert images.grad.abs().sum() > 0


def test_a_missing_dense_layer_is_told_with_what_could_serve():
    net = zoo.network("resnet", 0)
    with pytest.raises(
        ValueError, match=r"no layer 'fc7'; in its place could serve: pool5, conv5; its layers are conv1"
    ):
        interface.module(net, "fc7")
    with pytest.raises(ValueError, match=r"no layer 'conv9'; its layers are conv1.*nearest"):
        interface.features(net, torch.rand(1, 3, 64, 64), ["conv9"])
    assert interface.hidden(zoo.network("vgg", 0)) == ["fc7", "fc6", "pool5", "conv5"]


def test_features_refuse_a_module_that_runs_twice():
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.relu, self.fc = torch.nn.ReLU(), torch.nn.Linear(12, 2)

        def forward(self, x):
            return self.fc(self.relu(-self.relu(x)).flatten(1))

    net = interface.wrap(Twice(), name="twice", size=2, preprocess=lambda x: x)
    with pytest.raises(ValueError, match="more than once"):
        interface.features(net, torch.rand(3, 3, 2, 2), ["relu"])


def test_large_pictures_are_read_two_at_a_time_and_nothing_else_changes():
    small, large = torch.rand(5, 3, 64, 64), torch.rand(5, 3, 160, 160)
    assert [len(part) for part in interface.split(small, 64)] == [5]
    parts = interface.split(large, 64)
    assert [len(part) for part in parts] == [2, 2, 1] and torch.equal(torch.cat(parts), large)
    assert all(part.is_contiguous(memory_format=torch.channels_last) for part in parts)
    assert [len(part) for part in interface.split(large, 1)] == [1] * 5


def test_figures_call_networks_by_their_titles():
    from lib.networks import readers

    names = ["vgg-0", "squeezenet1_1", "alexnet_convolutions", "alexnet", "torchvision:resnet50", "my-net"]
    expected = [readers.TITLES["vgg"], "SqueezeNet 1.1", "AlexNet", readers.TITLES["alexnet"], "resnet50", "my-net"]
    assert [readers.title(name) for name in names] == expected
