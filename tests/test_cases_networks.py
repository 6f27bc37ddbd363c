"""Strangers' networks with the habits that public reports tell of: each gives right answers, or one sentence that says
what was found and what to do. The networks are small and written beside the spec file that names them."""

import functools
import textwrap
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.base import identity
from lib.methods.ascent import maximise, objectives
from lib.methods.backward import activations, saliency_maps, three_rules
from lib.methods.layers import codes, first_layer, sparseness
from lib.methods.minds_eye import facets
from lib.methods.occlusion import sweeps
from lib.methods.receptive import fields, strongest_patches
from lib.networks import catalogue, interface, trial

HEAD = """
import torch
from torch import nn
import torch.nn.functional as F

def trunk(colours=3):
    return nn.Sequential(
        nn.Conv2d(colours, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))

class Plain(nn.Module):
    def __init__(self, colours=3):
        super().__init__()
        torch.manual_seed(0)
        self.features, self.fc = trunk(colours), nn.Linear(8 * 16, 5)
    def forward(self, x):
        return self.fc(self.features(x).flatten(1))
"""
IMAGES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
ASCENT = functools.partial(torch.optim.SGD, lr=0.1)


@pytest.fixture
def spec(tmp_path):
    """Writes net.py (the head above and `code`) and mine.yaml; returns the spec file."""

    def write(code: str, **keys):
        (tmp_path / "net.py").write_text(HEAD + textwrap.dedent(code))
        keys = {"factory": "net.py:build", "size": 16} | keys
        (tmp_path / "mine.yaml").write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))
        return tmp_path / "mine.yaml"

    return write


def plain(body: str) -> str:
    """A Plain whose forward pass is `body`."""
    return f"class Net(Plain):\n    def forward(self, x):\n        {body}\ndef build():\n    return Net()\n"


REFUSED = {
    "its batch's statistics": (
        "def build():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False),"
        " nn.Flatten(), nn.Linear(784, 5))",
        "alone and beside another .*track_running_stats",
    ),
    "dropout that stays on": (
        plain("return self.fc(F.dropout(self.features(x).flatten(1), 0.5))"),
        "answers the same images differently each time .*training=self.training",
    ),
    "rare noise": (
        plain("return self.fc(self.features(x).flatten(1)) + (torch.rand(()) < 0.5)"),
        "answers the same images differently each time",
    ),
    "a squeeze of every axis": (
        plain("return self.fc(self.features(x).flatten(1)[:, :, None, None].squeeze())"),
        r"answers one image with \(5,\), expected \(1, 5\).*flatten\(1\)",
    ),
    "a batch of one that raises": (
        plain("return self.fc(self.features(x).flatten(1)) + torch.ones(2).view(len(x), 1)"),
        "on one picture of noise .*though it answers two",
    ),
    "a softmax at its end": (
        plain("return self.fc(self.features(x).flatten(1)).softmax(1)"),
        "gives probabilities .*expected logits: leave out the softmax",
    ),
    "one output": (
        "def build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(768, 1))",
        "gives 1 number an image, expected logits of at least two classes",
    ),
    "a tuple": (
        plain("y = self.fc(self.features(x).flatten(1)); return y, y"),
        r"answers two images with tuple, expected logits of shape \(2, number of classes\): .*logits alone",
    ),
    "class numbers": (
        plain("return self.fc(self.features(x).flatten(1)).argsort(1)"),
        "answers with torch.int64, expected logits",
    ),
    "weights that are NaN": (
        "def build():\n    net = Plain()\n    net.fc.weight.data[0, 0] = float('nan')\n    return net",
        r"NaN or infinity \(its weights hold NaN or infinity in fc.weight\)",
    ),
    "an exit in its factory": ("import sys\ndef build():\n    sys.exit(2)", "net.py called exit .*SystemExit: 2"),
    "its own precision": (
        plain("return self.fc(self.features(x.half()).flatten(1))"),
        "raised RuntimeError: .*single precision here: call .float",
    ),
}


@pytest.mark.parametrize("habit", REFUSED)
def test_what_would_answer_wrongly_is_refused_when_it_is_loaded(spec, habit):
    code, sentence = REFUSED[habit]
    with pytest.raises(ValueError, match=f"mine.yaml: .*{sentence}") as caught:
        catalogue.load(spec(code))
    assert "\n" not in str(caught.value)


def test_a_file_that_parses_the_command_line_is_named(spec, monkeypatch):
    monkeypatch.setattr("sys.argv", ["kernel", "-f", "connection.json"])
    code = "import argparse\nargparse.ArgumentParser().parse_args()\ndef build():\n    return Plain()"
    with pytest.raises(ValueError, match="mine.yaml: net.py:build could not be read: net.py called exit"):
        catalogue.load(spec(code))


@pytest.mark.parametrize("prepare", ["(x - 123.7) / 58.4", "(x - 0.5) / 255 + 8"])
def test_a_scale_of_0_to_255_is_refused_in_a_preprocess_too(spec, prepare):
    code = f"def build():\n    return Plain()\ndef prepare(x):\n    return {prepare}\n"
    with pytest.raises(ValueError, match="almost one flat grey: expected a mean and a deviation for RGB in"):
        catalogue.load(spec(code, preprocess="net.py:prepare"))


@pytest.mark.parametrize(("key", "value"), [("mean", "[123.7, 116.3, 103.5]"), ("std", "[58.4, 57.1, 57.4]")])
def test_a_scale_of_0_to_255_is_refused_in_a_spec(spec, key, value):
    with pytest.raises(ValueError, match=rf"{key} is .*, expected three .*numbers for RGB in \[0, 1\]"):
        catalogue.load(spec("build = Plain", **{key: value}))


def test_a_size_of_two_sides_is_told_of_the_preprocess_and_one_that_resizes_works(spec):
    code = """
    def build():
        return nn.Sequential(trunk(), nn.Flatten(), nn.Linear(8 * 8, 5))
    def narrow(x):
        return F.interpolate(x, size=(16, 8), mode="bilinear")
    """
    with pytest.raises(ValueError, match="size is .*the side of a square .*a preprocess that resizes"):
        catalogue.load(spec(code, size="[16, 8]"))
    net = catalogue.load(spec(code, preprocess="net.py:narrow"))
    assert interface.scores(net, IMAGES).shape == (3, 5)
    with pytest.raises(ValueError, match="resizes 16 pixels to"):
        fields.field(net, "0.0")


# ------------------------------------------------------------------------------------- what is read, and left alone


def test_the_readers_images_are_never_written_into(spec):
    code = """
    def build():
        return Plain()
    def prepare(x):
        return x.sub_(0.5).div_(0.25)
    """
    net, images = catalogue.load(spec(code, preprocess="net.py:prepare")), IMAGES.clone()
    first = interface.scores(net, images)
    assert torch.equal(interface.scores(net, images), first) and torch.equal(images, IMAGES)
    right = catalogue.load(spec("build = Plain", mean="[0.5, 0.5, 0.5]", std="[0.25, 0.25, 0.25]"))
    torch.testing.assert_close(first, interface.scores(right, IMAGES))
    signal = three_rules.project(net, images, None, 1, rule="gradient")
    torch.testing.assert_close(signal, three_rules.project(right, images, None, 1, rule="gradient"))


def test_a_network_that_writes_into_its_input_does_not_reach_the_images(spec):
    net, images = catalogue.load(spec(plain("return Plain.forward(self, x.mul_(2))"))), IMAGES.clone()
    interface.scores(net, images)
    assert torch.equal(images, IMAGES) and net.gradient == ""


def test_half_precision_is_read_as_single(spec):
    net = catalogue.load(spec("def build():\n    return Plain().half()"))
    assert interface.scores(net, IMAGES).dtype == torch.float32
    assert three_rules.project(net, IMAGES, None, 0, rule="guided").abs().sum() > 0


def test_what_a_network_keeps_from_its_first_pass_can_be_used_for_gradients(spec):
    code = """
    class Net(Plain):
        grid = None
        def forward(self, x):
            if self.grid is None:
                self.grid = torch.linspace(0.5, 1, x.shape[-1])
            return super().forward(x * self.grid)
    def build():
        return Net()
    """
    net = catalogue.load(spec(code))
    interface.scores(net, IMAGES)
    assert net.gradient == "" and three_rules.project(net, IMAGES, None, 0, rule="gradient").abs().sum() > 0
    climbed = maximise.maximise(lambda x: x, objectives.score(net, 0), IMAGES[:1], steps=2, optimiser=ASCENT)
    assert torch.isfinite(climbed.images).all()


@pytest.mark.parametrize(
    ("code", "keys"),
    [
        (
            "def build():\n    return Plain()\ndef prepare(x):\n    return torch.from_numpy(x.numpy() * 2 - 1)",
            {"preprocess": "net.py:prepare"},
        ),
        (
            "class Net(Plain):\n    @torch.no_grad()\n    def forward(self, x):\n        return super().forward(x)\n"
            "build = Net",
            {},
        ),
        (plain("torch.set_grad_enabled(False); return Plain.forward(self, x)"), {}),
        (plain("return Plain.forward(self, x.detach())"), {}),
        (
            "class Net(Plain):\n    @torch.inference_mode()\n    def forward(self, x):\n"
            "        return super().forward(x)\nbuild = Net",
            {},
        ),
    ],
    ids=["numpy", "no_grad", "set_grad_enabled", "detach", "inference_mode"],
)  # fmt: skip
def test_without_a_gradient_scores_work_and_whatever_needs_one_says_so(spec, code, keys):
    net = catalogue.load(spec(code, **keys))
    assert torch.is_grad_enabled() and interface.scores(net, IMAGES).shape == (3, 5)
    assert sweeps.sweep(net, IMAGES[:1], 8, 8).logits.shape == (1, 4, 5)
    for ask in (
        lambda: three_rules.project(net, IMAGES, None, 0, rule="gradient"),
        lambda: saliency_maps.signals(net, IMAGES, [0, 1, 2]),
        lambda: objectives.score(net, 0),
        lambda: objectives.unit(net, "features.0", 0),
        lambda: strongest_patches.effective(net, "features.0", IMAGES, torch.Generator()),
    ):
        with pytest.raises(ValueError, match="mine lets no gradient through to the image: .*; expected a network"):
            ask()
    assert torch.is_grad_enabled()


def test_what_a_factory_sets_for_the_whole_process_ends_with_it(spec):
    code = """
    import random
    import numpy as np
    torch.set_default_dtype(torch.float64)
    def build():
        torch.set_grad_enabled(False)
        random.seed(0), np.random.seed(0)
        return Plain()
    """
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    net = catalogue.load(spec(code))
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32 and net.gradient == ""
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(
    ("code", "channels"),
    [
        ("def prepare(x):\n    return torch.cat([x, torch.ones_like(x[:, :1])], 1)\n", 4),
        ("def prepare(x):\n    return x.mean(1, keepdim=True) * 2 - 1\n", 1),
    ],
)
def test_other_numbers_of_colours_work_with_a_preprocess_but_have_no_filters_in_rgb(spec, code, channels):
    net = catalogue.load(spec(f"{code}def build():\n    return Plain({channels})\n", preprocess="net.py:prepare"))
    assert three_rules.project(net, IMAGES, None, 0).shape == IMAGES.shape
    assert fields.field(net, "features.3").size == (8, 8)
    with pytest.raises(ValueError, match=f"reads {channels} channels"):
        first_layer.kernels(net)


def test_a_wrapper_for_many_devices_works_on_this_one(spec):
    net = catalogue.load(spec("def build():\n    return nn.DataParallel(Plain())"))
    assert interface.convolutions(net) == ["module.features.0", "module.features.3"]
    right = catalogue.load(spec("build = Plain"))
    assert torch.equal(interface.scores(net, IMAGES), interface.scores(right, IMAGES))


def test_a_layer_that_gives_a_tuple_is_refused_by_its_output(spec):
    code = """
    class Two(nn.Module):
        def forward(self, x):
            return x.relu(), x.mean((2, 3))
    class Net(Plain):
        def __init__(self):
            super().__init__()
            self.two = Two()
        def forward(self, x):
            return super().forward(self.two(x)[0])
    build = Net
    """
    net = catalogue.load(spec(code))
    for ask in (
        lambda: interface.features(net, IMAGES, ["two"]),
        lambda: fields.field(net, "two"),
        lambda: three_rules.project(net, IMAGES, "two", 0),
        lambda: sweeps.sweep(net, IMAGES, 8, 8, layer="two"),
    ):
        with pytest.raises(ValueError, match="layer 'two' of mine gives tuple, expected one tensor"):
            ask()


# ------------------------------------------------------------------------------------------------- rules for ReLUs


class Acting(nn.Module):
    """Two convolutions with the same activation behind each."""

    def __init__(self, act):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2, self.fc = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 5)
        self.act = act

    def forward(self, x):
        return self.fc(self.act(self.conv2(self.act(self.conv1(x)))).mean((2, 3)))


def wrapped(model, size=16, **options):
    return interface.wrap(model, name="mine", size=size, preprocess=lambda x: x, **options)


ACTIVATIONS = {
    "square": lambda x: x**2,
    "square by itself": lambda x: x * x,
    "silu": lambda x: x * torch.sigmoid(x),
    "softsign": lambda x: x / (1 + x.abs()),
    "isru": lambda x: x / torch.sqrt(1 + x**2),
    "inverse": lambda x: 1 / (x + 20),
    "abs": torch.abs,
    "halves": lambda x: (x + x.abs()) / 2,
    "clamp": lambda x: x.clamp(0, 1),
    "gate": lambda x: x * x.mean((2, 3), keepdim=True),
    "sine": torch.sin,
    "where": lambda x: torch.where(x > 0, x, 0.1 * x),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_written_by_hand_are_refused_by_the_rules_for_relus(name):
    net = wrapped(Acting(ACTIVATIONS[name]))
    for rule in ("deconvnet", "guided"):
        with pytest.raises(ValueError, match=f"rule: '{rule}' is defined for ReLU networks only, but mine has"):
            three_rules.project(net, IMAGES, None, 0, rule=rule)
    assert three_rules.project(net, IMAGES, None, 0, rule="gradient").abs().sum() > 0


def rms(x):
    return x * torch.rsqrt((x * x).mean(1, keepdim=True) + 1e-3)


NORMALISED = {
    "local response": nn.LocalResponseNorm(3),
    "layer norm by hand": lambda x: (x - x.mean(1, keepdim=True)) / torch.sqrt(x.var(1, keepdim=True) + 1e-3),
    "by its squares": lambda x: x / ((x**2).mean((1, 2, 3), keepdim=True) + 1e-3).sqrt(),
    "root mean square": rms,
    "unit length": lambda x: F.normalize(x, dim=1),
    "group": nn.GroupNorm(2, 6),
    "sum of amounts": lambda x: x / (x.abs().sum(1, keepdim=True) + 1),
}


@pytest.mark.parametrize("name", NORMALISED)
def test_normalisations_are_no_activations_however_they_are_written(name):
    norm = NORMALISED[name]
    assert three_rules.project(wrapped(Acting(lambda x: norm(x.relu()))), IMAGES, None, 0).abs().sum() > 0
    with pytest.raises(ValueError, match="ReLU networks only"):  # an activation under it is seen
        three_rules.project(wrapped(Acting(lambda x: norm(x.tanh()))), IMAGES, None, 0)
    assert activations.others(torch.ones(1, requires_grad=True) * 2, None) == []


class Checkpointed(nn.Module):
    def __init__(self, inner, kept=True):
        super().__init__()
        self.inner, self.kept = inner, kept

    def forward(self, x):
        from torch.utils.checkpoint import checkpoint

        return checkpoint(self.inner, x, use_reentrant=False) if self.kept and x.requires_grad else self.inner(x)


@pytest.mark.parametrize("rule", three_rules.RULES)
@pytest.mark.parametrize("layer", [None, "0.inner.3"])
def test_checkpointed_parts_follow_the_rule_as_their_twin_does(rule, layer):
    def build(kept):
        torch.manual_seed(0)
        parts = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 6, 3), nn.ReLU())
        return wrapped(nn.Sequential(Checkpointed(parts, kept), nn.Flatten(), nn.Linear(150, 5)))

    one, two = (three_rules.project(build(kept), IMAGES, layer, 2, rule=rule) for kept in (True, False))
    assert torch.equal(one, two) and one.abs().sum() > 0
    rises = [objectives.score(build(kept), 1) for kept in (True, False)]
    parts = {"start": IMAGES[:1], "steps": 3, "optimiser": ASCENT}
    assert torch.equal(*(maximise.maximise(lambda x: x, rise, **parts).images for rise in rises))


@pytest.mark.parametrize("rule", three_rules.RULES)
def test_one_relu_and_one_pool_used_twice_follow_the_rule_as_a_twin_does(rule):
    class Net(nn.Module):
        def __init__(self, twice):
            super().__init__()
            torch.manual_seed(0)
            self.conv1, self.conv2, self.fc = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Linear(24, 5)
            self.relu, self.pool = nn.ReLU(inplace=True), nn.MaxPool2d(2)
            self.relu2, self.pool2 = (self.relu, self.pool) if twice else (nn.ReLU(), nn.MaxPool2d(2))

        def forward(self, x):
            x = self.pool(self.relu(self.conv1(x)))
            return self.fc(self.pool2(self.relu2(self.conv2(x))).flatten(1))

    net, twin = wrapped(Net(True)), wrapped(Net(False))
    assert torch.equal(*(three_rules.project(one, IMAGES, None, 1, rule=rule) for one in (net, twin)))
    for ask in (fields.field, lambda net, layer: interface.features(net, IMAGES, [layer])):
        with pytest.raises(ValueError, match="'relu' of mine runs more than once"):
            ask(net, "relu")


# ------------------------------------------------------------------------------------------- channels that come last


class Last(nn.Module):
    """Blocks that work on (N, H, W, C), behind a patch embedding; `sides` of its maps are not square."""

    def __init__(self, functional=False):
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.norm, self.wide = nn.Conv2d(3, 12, (2, 4), (2, 4)), nn.LayerNorm(12), nn.Linear(12, 7)
        self.block, self.fc, self.functional = nn.Sequential(nn.GELU(), nn.Identity()), nn.Linear(7, 5), functional

    def forward(self, x):
        x = self.block(self.wide(self.norm(self.stem(x).permute(0, 2, 3, 1))))
        return self.fc(x.mean((1, 2)))


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("layer", ["norm", "wide", "block.0", "block"])
def test_channels_are_counted_on_the_last_axis_where_they_are(layer, fixed):
    class Fixed(Last):
        def forward(self, x):
            assert x.shape[2:] == (16, 16), "one size alone"
            return super().forward(x)

    net = wrapped((Fixed if fixed else Last)())
    width = 12 if layer == "norm" else 7
    maps = interface.features(net, IMAGES, [layer])[layer]
    assert maps.shape == (3, width, 8, 4) and interface.features(net, IMAGES, ["stem"])["stem"].shape == (3, 12, 8, 4)
    assert objectives.shape(net, layer) == (width, (8, 4)) == facets.extent(net, layer)
    np.testing.assert_allclose(facets.pooled(net, IMAGES, layer), maps.mean((2, 3)).numpy(), atol=1e-6)
    np.testing.assert_allclose(strongest_patches.peaks(net, layer, IMAGES).values, maps.amax((2, 3)).numpy(), atol=1e-6)
    assert fields.field(net, layer).shape == (8, 4) == fields.probe(net, layer).shape
    swept = sweeps.sweep(net, IMAGES[:1], 8, 8, layer=layer)
    assert swept.channel[0] == int(maps[0].sum((1, 2)).argmax()) and swept.method == "plain"
    assert codes.read(net, IMAGES, [layer], most=width)[layer].shape == (3, width)
    signal = three_rules.project(net, IMAGES, layer, width - 1, unit=(7, 3), rule="gradient")
    seen = signal.abs().sum((0, 1)) > 0
    assert seen[14:, 12:].any() and not seen[:14].any() and not seen[:, :12].any()
    with pytest.raises(ValueError, match=f"expected 0 to {width - 1}"):
        three_rules.project(net, IMAGES, layer, width)


def test_a_map_written_with_its_channels_last_stays_on_the_gradients_path():
    net, images = wrapped(Last()), IMAGES.clone().requires_grad_()
    with interface.record(net, ["wide"]) as maps:
        scores = net.model(images)
    (slope,) = torch.autograd.grad(scores[:, 0].sum(), maps["wide"])
    assert slope.shape == (3, 7, 8, 4) and slope.abs().sum() > 0
    assert torch.equal(scores, net.model(images))


def test_swins_blocks_are_maps_of_their_channels():
    from torchvision.models.swin_transformer import SwinTransformer

    torch.manual_seed(0)
    net = wrapped(SwinTransformer([4, 4], 24, [2, 2], [2, 4], [4, 4], num_classes=5), 32)
    sizes = {"features.0": (24, (8, 8)), "features.1": (24, (8, 8)), "features.2": (48, (4, 4))}
    assert {layer: objectives.shape(net, layer) for layer in sizes} == sizes
    assert objectives.unit(net, "features.3", 47)(torch.rand(1, 3, 32, 32)).shape == (1,)
    assert fields.field(net, "features.1").shape == (8, 8)


def test_tokens_are_no_maps_and_four_axes_of_another_kind_are_refused():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.soft, self.tokens, self.fc = (
                nn.Conv2d(3, 8, 4, 4), nn.Softmax(-1), nn.Identity(), nn.Linear(8, 5)
            )  # fmt: skip

        def forward(self, x):
            x = self.embed(x).flatten(2).mT.reshape(len(x), -1, 2, 4).transpose(1, 2)  # (N, heads, tokens, 4)
            x = self.soft(x @ x.mT) @ x
            return self.fc(self.tokens(x.transpose(1, 2).flatten(2)).mean(1))

    net = wrapped(Attention())
    assert interface.scores(net, IMAGES).shape == (3, 5) and saliency_maps.rules(net)[0] == ("gradient",)
    with pytest.raises(ValueError, match="'soft' of mine gives .*cannot be told"):
        interface.features(net, IMAGES, ["soft"])
    for ask in (
        lambda: strongest_patches.peaks(net, "tokens", IMAGES),
        lambda: objectives.unit(net, "tokens", 0),
        lambda: facets.pooled(net, IMAGES, "tokens"),
        lambda: three_rules.project(net, IMAGES, "tokens", 0, rule="gradient"),
        lambda: sweeps.sweep(net, IMAGES, 8, 8, layer="tokens"),
    ):
        with pytest.raises(ValueError, match=r"gives .*\(., 16, 8\)"):
            ask()


def test_our_own_networks_have_their_channels_first():
    net = catalogue.load("convnext", weights=False)
    assert not net.channels and trial.layout(net.model, net.preprocess(interface.grey(net))).keys().isdisjoint(
        net.layers.values()
    )


# --------------------------------------------------------------------------------------------------- receptive fields


class Steps(nn.Module):
    """Convolutions with a step between them."""

    def __init__(self, step):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2, self.step = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, 2, 1), step
        self.conv3, self.fc = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.conv3(self.step(self.conv2(self.step(self.conv1(x).relu())))).mean((2, 3)))


def shuffled(x):
    n, c, h, w = x.size()
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


def halved(x):
    one, two = x.chunk(2, dim=1)
    return torch.cat([two, one * 2], 1)


STEPS = {  # what is done, and whether the graph is followed or the network probed
    "relu_": (lambda x: torch.relu_(x), True),
    "method": (lambda x: x.relu_().clamp_min(-1).abs(), True),
    "chunk": (halved, True),
    "a loop over chunks": (lambda x: torch.cat([part * 2 for part in x.chunk(2, 1)], 1), False),
    "shuffle": (shuffled, True),
    "a part of the channels": (lambda x: torch.cat([x[:, 4:], x[:, :4]], 1), True),
    "idle dropout": (lambda x: F.dropout(x, 0.5, False), True),
    "mean of channels": (lambda x: x - x.mean(1, keepdim=True), True),
    "softmax of channels": (lambda x: x.softmax(1), True),
    "global gate": (lambda x: x * x.mean((2, 3), keepdim=True), True),
    "rolled": (lambda x: x.roll(1, 2), False),
    "enlarged": (lambda x: F.interpolate(x, scale_factor=2), False),
    "reflected": (lambda x: F.pad(x, (1, 1, 1, 1), "reflect"), False),
    "mean of rows": (lambda x: x + x.mean(2, keepdim=True), False),
    "where": (lambda x: torch.where(x > 0, x, torch.zeros_like(x)), True),
    "steps of two": (lambda x: torch.cat([x[:, :, ::2], x[:, :, 1::2]], 2), False),
    "turned": (lambda x: x.transpose(2, 3).flip(3), False),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("layer", ["conv2", "conv3"])
def test_fields_are_those_that_an_experiment_shows_whatever_the_step(name, layer, monkeypatch):
    step, followed = STEPS[name]
    net, probed = wrapped(Steps(step), known=True), []
    expected = fields.probe(net, layer)
    probe = fields.probe
    monkeypatch.setattr(fields, "probe", lambda *ask: probed.append(1) or probe(*ask))
    found = fields.field(net, layer)
    for axis in (0, 1):
        np.testing.assert_array_equal(found.low[axis], expected.low[axis])
        np.testing.assert_array_equal(found.high[axis], expected.high[axis])
    assert followed != bool(probed)
    if not found.whole and name in ("relu_", "shuffle", "chunk", "where"):
        assert found.size == {"conv2": (5, 5), "conv3": (9, 9)}[layer]


def test_skipped_blocks_and_shuffles_of_torchvision_are_followed():
    from torchvision import models

    cases = (("efficientnet_v2_s", "features.1", (11, 11)), ("shufflenet_v2_x0_5", "stage2", (63, 63)))
    for name, layer, size in cases:
        net = wrapped(models.get_model(name, weights=None), 64, known=True)
        found, expected = fields.field(net, layer), fields.probe(net, layer)
        assert found.size == expected.size == size and not found.whole
        for axis in (0, 1):
            np.testing.assert_array_equal(found.low[axis], expected.low[axis])


# ------------------------------------------------------------------------------------------- one check of pictures


BAD = {
    "0 ... 255": (IMAGES * 255, "found values up to 25[0-9]"),
    "16 bits": (IMAGES * 65535, "found values up to 6"),
    "whole numbers": ((IMAGES * 255).byte(), "found torch.uint8"),
    "double": (IMAGES.double(), "found torch.float64"),
    "NaN": (IMAGES / 0 * 0, "found values up to nan"),
    "another size": (IMAGES[..., :8], r"found torch.float32 of shape \(., 3, 16, 8\)"),
    "grey": (IMAGES[:, :1], r"found .* of shape \(., 1, 16, 16\)"),
    "an array": (IMAGES.numpy(), "found ndarray"),
}


@pytest.mark.parametrize("kind", BAD)
def test_every_method_refuses_the_same_pictures(kind):
    images, sentence = BAD[kind]
    net = wrapped(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)))
    for ask in (
        lambda: interface.scores(net, images),
        lambda: interface.features(net, images, ["1"]),
        lambda: three_rules.project(net, images, None, 0),
        lambda: sweeps.sweep(net, images, 8, 8),
        lambda: facets.pooled(net, images, "1"),
        lambda: strongest_patches.peaks(net, "1", images),
        lambda: strongest_patches.patches(net, "1", [0], images),
        lambda: strongest_patches.effective(net, "1", images, torch.Generator()),
        lambda: saliency_maps.signals(net, images, [0, 1, 2]),
        lambda: codes.read(net, images, ["1"]),
        lambda: sparseness.sparsity(net, images),
        lambda: sparseness.peaks(net, images, ["1"]),
    ):
        with pytest.raises(ValueError, match=f"images for mine: {sentence}.*expected float RGB in"):
            ask()


def test_occlusion_is_drawn_where_the_deconvnet_is_refused():
    shown = sweeps.panels(wrapped(Acting(F.silu)), IMAGES[0], 1, 8, 8)
    assert isinstance(shown["projection"], str) and "ReLU networks only" in shown["projection"]
    assert shown["probability"].shape == (2, 2) == shown["activation"].shape
    assert sweeps.panels(wrapped(Acting(F.relu)), IMAGES[0], 1, 8, 8)["projection"].shape == (16, 16, 3)


# --------------------------------------------------------------------------------------------- what a network is


NET = """
import torch
from torch import nn
from {module} import {name}

def build():
    torch.manual_seed(0)
    return {name}()
"""
MODEL = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.{act}(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
"""


def written(folder, files: dict):
    for name, text in ({"mine.yaml": "factory: net.py:build\nsize: 16\n"} | files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "mine.yaml"


@pytest.mark.parametrize("factory", ["net.py:build", "model:Net"])
def test_neighbours_of_one_name_are_each_specs_own_and_read_again_when_edited(tmp_path, factory):
    start = f"factory: {factory}\nsize: 16\n"
    for name, act in (("a", "ReLU"), ("b", "Tanh")):
        code = {"net.py": NET.format(module="model", name="Net"), "model.py": MODEL.format(act=act)}
        written(tmp_path / name, {"mine.yaml": start} | code)
    first, second = (catalogue.load(tmp_path / name / "mine.yaml") for name in "ab")
    assert isinstance(first.model[1], nn.ReLU) and isinstance(second.model[1], nn.Tanh)
    assert len({first.digest, second.digest, identity.digest(first), identity.digest(second)}) == 4
    (tmp_path / "a" / "model.py").write_text(MODEL.format(act="Sigmoid"))
    edited = catalogue.load(tmp_path / "a" / "mine.yaml")
    assert isinstance(edited.model[1], nn.Sigmoid) and edited.digest != first.digest


LAYOUTS = {
    "a package called lib": {
        "net.py": "from lib.models import build", "lib/__init__.py": "", "lib/models.py": "from lib import deep\n"
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(768, deep.CLASSES))",
        "lib/deep.py": "CLASSES = 5",
    },
    "a package called torchvision": {
        "net.py": "from torchvision.mine import build", "torchvision/__init__.py": "",
        "torchvision/mine.py": "from torch import nn\nbuild = lambda: nn.Sequential(nn.Flatten(), nn.Linear(768, 5))",
    },
    "a relative import": {
        "net.py": "from .parts.model import Net as build", "helper.py": "from torch.nn import ReLU as act",
        "parts/model.py": "from ..helper import act\n" + MODEL.replace("nn.{act}", "act"),
    },
    "an import of a part": {
        "net.py": "import parts.model as model\nbuild = model.Net", "parts/__init__.py": "from parts import model",
        "parts/model.py": MODEL.format(act="ReLU"),
    },
    "everything from a package": {
        "net.py": "from parts import *\nbuild = model.Net", "parts/__init__.py": "__all__ = ['model']",
        "parts/model.py": MODEL.format(act="ReLU"),
    },
    "an import by name": {
        "net.py": "import importlib\ndef build():\n    return importlib.import_module('model').Net()",
        "model.py": MODEL.format(act="ReLU"),
    },
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_readers_files_may_be_called_and_laid_out_as_they_like(tmp_path, layout):
    import sys

    ours, kept, known = sys.modules["lib"], list(sys.path), set(sys.modules)
    net = catalogue.load(written(tmp_path, LAYOUTS[layout]))
    assert interface.scores(net, IMAGES).shape == (3, 5)
    assert sys.modules["lib"] is ours and sys.path == kept
    assert all(name.startswith("spec_") for name in set(sys.modules) - known if "model" in name or "parts" in name)
    last = sorted(name for name in LAYOUTS[layout] if name != "net.py")[-1]
    (tmp_path / last).write_text(LAYOUTS[layout][last].format(act="ReLU") + "\nEDITED = True\n")
    if layout != "an import by name":
        assert catalogue.load(tmp_path / "mine.yaml").digest != net.digest


LAZY = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(768, 5)
    def forward(self, x):
        from helper import prepare
        return self.fc(prepare(x).flatten(1))
build = Net
"""


def test_an_import_inside_the_forward_pass_finds_its_own_neighbour_whenever_it_runs(tmp_path):
    texts = {"once": "def prepare(x):\n    return x\n", "doubled": "def prepare(x):\n    return 2 * x\n"}
    nets = {
        name: catalogue.load(written(tmp_path / name, {"net.py": LAZY, "helper.py": text}))
        for name, text in texts.items()
    }
    before = {name: interface.scores(net, IMAGES) for name, net in nets.items()}
    assert not torch.allclose(before["once"], before["doubled"])
    (tmp_path / "once" / "helper.py").write_text(texts["doubled"])
    torch.testing.assert_close(interface.scores(nets["once"], IMAGES), before["once"])
    torch.testing.assert_close(interface.scores(catalogue.load(tmp_path / "once/mine.yaml"), IMAGES), before["doubled"])


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("mine.yaml", "0.5, 0.5, 0.5", "0.4, 0.5, 0.5"),
        ("mine.yaml", "[a, b, c, d, e]", "[b, a, c, d, e]"),
        ("mine.yaml", "conv1: '0'", "conv1: '1'"),
        ("net.py", "manual_seed(0)", "manual_seed(1)"),
        ("model.py", "nn.ReLU()", "nn.Tanh()"),
        ("table.txt", "1.0", "2.0"),
    ],
)
def test_a_specs_digest_is_that_of_everything_that_decides_its_answers(tmp_path, file, old, new):
    keys = "mean: [0.5, 0.5, 0.5]\nclasses: [a, b, c, d, e]\nlayers: {conv1: '0'}\n"
    net = NET.format(module="model", name="Net") + "\nFACTOR = open(__file__.replace('net.py', 'table.txt')).read()\n"
    files = {"mine.yaml": f"factory: net.py:build\nsize: 16\n{keys}", "net.py": net, "table.txt": "1.0"}
    path = written(tmp_path / "here", files | {"model.py": MODEL.format(act="ReLU")})
    one, again = catalogue.load(path), catalogue.load(path)
    assert one.digest == again.digest != identity.state_digest(one.model)
    moved = written(tmp_path / "there", files | {"model.py": MODEL.format(act="ReLU")})
    assert catalogue.load(moved).digest == one.digest  # it is known by what it is, not by where it lies
    (path.parent / file).write_text((path.parent / file).read_text().replace(old, new))
    assert catalogue.load(path).digest != one.digest


def test_networks_of_the_catalogue_keep_the_digest_of_their_weights():
    net = catalogue.load("squeezenet1_1", weights=False)
    assert net.digest == identity.state_digest(net.model) == interface.resized(net, 32).digest


def test_trials_of_known_networks_are_one_pass():
    passes = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    model.forward = types.MethodType(lambda self, x: passes.append(len(x)) or nn.Sequential.forward(self, x), model)
    wrapped(model, known=True)
    assert passes == [2]
