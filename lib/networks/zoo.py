"""The zoo: six families of small classifiers for 64x64 pictures, each keeping what distinguishes its original.

LeNet-5 (two 5x5 convolutions, no normalisation), AlexNet (11x11 stem of stride 4, no normalisation, wide fully
connected layers with dropout), VGG-BN (stacks of 3x3, batch normalisation), ResNet (7x7 stem of stride 2, pooling,
residual blocks), Inception (parallel branches) and ConvNeXt (4x4 patches, depthwise 7x7, layer normalisation, GELU),
which the papers could not have had. Every ReLU is a module of its own that does not work in place, so that hooks see
it. Layers carry the papers' names: `conv1` ... `conv5`, `pool5`, `fc6`, `fc7`, `fc8` (class scores); `conv5` is what
leaves the layer's non-linearity, `conv5_pre` what enters it.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from lib.base import weights
from lib.base.identity import state_digest
from lib.networks.interface import Network

LETTERS = {"lenet": "L", "alexnet": "A", "vgg": "V", "resnet": "R", "inception": "I", "convnext": "C"}
FAMILIES = tuple(LETTERS)
TITLES = {
    "lenet": "LeNet-5",
    "alexnet": "AlexNet",
    "vgg": "VGG-BN",
    "resnet": "ResNet",
    "inception": "Inception",
    "convnext": "ConvNeXt",
}
SIZE, CLASSES = 64, 10


def build(family: str, classes: int = 10, seed: int = 0) -> nn.Module:
    """An untrained network of a family: takes (N, 3, 64, 64) normalised pictures, gives (N, classes) scores.

    The same family, classes and seed give the same weights to the bit. ValueError for an unknown family.
    """
    if family not in BUILDERS:
        raise ValueError(f"family is {family!r}, expected one of {', '.join(BUILDERS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BUILDERS[family](classes)
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear) and family != "convnext":
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    return model


def preprocess(images: Tensor) -> Tensor:
    """RGB in [0, 1] to what the networks of the zoo read."""
    return (images - 0.5) / 0.25


def layers(family: str) -> dict[str, str]:
    """The papers' layer names of a family, each with the module whose output it is."""
    return dict(LAYERS[family.split("_")[0]])


def _conv(inside: int, outside: int, kernel: int, stride: int = 1, norm: bool = True, groups: int = 1) -> nn.Sequential:
    """Convolution (same padding), optional batch normalisation, ReLU: submodules `conv`, `norm`, `relu`."""
    block = nn.Sequential()
    block.conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=not norm)
    if norm:
        block.norm = nn.BatchNorm2d(outside)
    block.relu = nn.ReLU()
    return block


def _dense(inside: int, outside: int, dropout: float = 0.0) -> nn.Sequential:
    block = nn.Sequential()
    if dropout:
        block.drop = nn.Dropout(dropout)
    block.fc, block.relu = nn.Linear(inside, outside), nn.ReLU()
    return block


def _named(**modules: nn.Module) -> nn.Sequential:
    chain = nn.Sequential()
    for name, module in modules.items():
        chain.add_module(name, module)
    return chain


def lenet(classes: int) -> nn.Module:
    """LeCun et al. 1998, adapted to 64 pixels as paper 1 adapted it to 224: 6 and 16 maps, 120 and 84 units."""
    return _named(
        conv1=_conv(3, 6, 5, norm=False), pool1=nn.MaxPool2d(2),
        conv2=_conv(6, 16, 5, norm=False), pool2=nn.MaxPool2d(2), shrink=nn.MaxPool2d(2), flat=nn.Flatten(),
        fc6=_dense(16 * 8 * 8, 120), fc7=_dense(120, 84), fc8=nn.Linear(84, classes),
    )  # fmt: skip


def alexnet(classes: int, widen: int = 1, maps=(32, 80, 80, 80, 64), units: int = 128, dropout=0.5) -> nn.Module:
    """Krizhevsky et al. 2012 with a quarter of the maps: 11x11 stride-4 stem, overlapping pools, two wide dense
    layers. `widen` multiplies the maps of the last convolution (Bau et al. 2017)."""
    one, two, three, four, five = (*maps[:4], maps[4] * widen)
    return _named(
        conv1=_conv(3, one, 11, 4, norm=False), pool1=nn.MaxPool2d(3, 2, 1),
        conv2=_conv(one, two, 5, norm=False), conv3=_conv(two, three, 3, norm=False),
        conv4=_conv(three, four, 3, norm=False), conv5=_conv(four, five, 3, norm=False),
        pool5=nn.MaxPool2d(3, 2, 1), flat=nn.Flatten(),
        fc6=_dense(five * 4 * 4, units, dropout), fc7=_dense(units, units, dropout), fc8=nn.Linear(units, classes),
    )  # fmt: skip


def vgg(classes: int, stem: int = 1) -> nn.Module:
    """Simonyan & Zisserman 2015 with batch normalisation: stacks of 3x3 convolutions between 2x2 pools. With a `stem`
    of 2 or 4 the first convolution takes that stride instead of one or two of the pools (4: with a 7x7 kernel)."""
    parts, inside = {}, 3
    for block, (width, depth) in enumerate([(12, 1), (24, 2), (48, 2), (80, 2), (96, 2)], 1):
        for i in range(1, depth + 1):
            first = not parts
            parts[f"conv{block}_{i}"] = _conv(inside, width, 7 if first and stem == 4 else 3, stem if first else 1)
            inside = width
        if 2**block > stem:
            parts[f"pool{block}"] = nn.MaxPool2d(2)
    parts |= {
        "flat": nn.Flatten(),
        "fc6": _dense(96 * 2 * 2, 128),
        "fc7": _dense(128, 128),
        "fc8": nn.Linear(128, classes),
    }
    return _named(**parts)


class Residual(nn.Module):
    """He et al. 2016, basic block: x + two 3x3 convolutions, ReLU after the sum; a 1x1 convolution where shapes
    differ."""

    def __init__(self, inside: int, outside: int, stride: int = 1):
        super().__init__()
        self.first = _conv(inside, outside, 3, stride)
        self.conv, self.norm = nn.Conv2d(outside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside)
        same = stride == 1 and inside == outside
        project = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
        self.shortcut = nn.Identity() if same else project
        self.add, self.relu = nn.Identity(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.add(self.norm(self.conv(self.first(x))) + self.shortcut(x)))


def resnet(classes: int, widths=(24, 40, 72)) -> nn.Module:
    """He et al. 2016: 7x7 stride-2 stem with pooling, four stages of residual blocks, global average pool."""
    one, two, three = widths
    return _named(
        conv1=_conv(3, one, 7, 2), pool1=nn.MaxPool2d(3, 2, 1),
        conv2=nn.Sequential(Residual(one, one)), conv3=nn.Sequential(Residual(one, two, 2), Residual(two, two)),
        conv4=nn.Sequential(Residual(two, three, 2), Residual(three, three)),
        conv5=nn.Sequential(Residual(three, three)),
        pool5=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc8=nn.Linear(three, classes),
    )  # fmt: skip


class Branches(nn.Module):
    """Szegedy et al. 2016: 1x1, 1x1-3x3, 1x1-3x3-3x3 and pool-1x1 branches side by side."""

    def __init__(self, inside: int, widths: tuple):
        super().__init__()
        a, b_reduce, b, c_reduce, c, p = widths
        self.b1 = _conv(inside, a, 1)
        self.b3 = nn.Sequential(_conv(inside, b_reduce, 1), _conv(b_reduce, b, 3))
        self.b5 = nn.Sequential(_conv(inside, c_reduce, 1), _conv(c_reduce, c, 3), _conv(c, c, 3))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), _conv(inside, p, 1))
        self.out = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.cat([self.b1(x), self.b3(x), self.b5(x), self.pool(x)], 1))


def inception(classes: int) -> nn.Module:
    """Szegedy et al. 2016: a stem of small 3x3 convolutions (stride 2), three stages of parallel branches, average
    pool."""
    return _named(
        conv1=_conv(3, 20, 3, 2), conv2=_conv(20, 40, 3), pool2=nn.MaxPool2d(3, 2, 1),
        conv3=nn.Sequential(Branches(40, (16, 16, 24, 8, 16, 8)), Branches(64, (24, 24, 32, 12, 24, 16))),
        pool3=nn.MaxPool2d(3, 2, 1),
        conv4=nn.Sequential(Branches(96, (32, 32, 56, 16, 32, 24)), Branches(144, (40, 40, 64, 20, 40, 32))),
        pool4=nn.MaxPool2d(3, 2, 1), conv5=nn.Sequential(Branches(176, (48, 48, 80, 24, 48, 32))),
        pool5=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), drop=nn.Dropout(0.2), fc8=nn.Linear(208, classes),
    )  # fmt: skip


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class NextBlock(nn.Module):
    """Liu et al. 2022: depthwise 7x7, layer normalisation, four times wider GELU layer, scaled residual."""

    def __init__(self, width: int):
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(width, width, 7, padding=3, groups=width), LayerNorm2d(width)
        self.wide, self.gelu, self.narrow = nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, width, 1)
        self.scale = nn.Parameter(torch.full((width, 1, 1), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.narrow(self.gelu(self.wide(self.norm(self.depthwise(x)))))


def convnext(classes: int) -> nn.Module:
    """Liu et al. 2022: 4x4 stride-4 patches, three stages of inverted depthwise blocks, average pool; no ReLU
    anywhere."""

    def down(inside: int, outside: int) -> nn.Sequential:
        return nn.Sequential(LayerNorm2d(inside), nn.Conv2d(inside, outside, 2, 2))

    return _named(
        conv1=nn.Sequential(nn.Conv2d(3, 32, 4, 4), LayerNorm2d(32)), conv2=nn.Sequential(NextBlock(32), NextBlock(32)),
        down3=down(32, 64), conv3=nn.Sequential(NextBlock(64), NextBlock(64)),
        down4=down(64, 112), conv4=nn.Sequential(NextBlock(112), NextBlock(112)),
        pool5=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), norm=nn.LayerNorm(112), fc8=nn.Linear(112, classes),
    )  # fmt: skip


BUILDERS: dict[str, Callable[[int], nn.Module]] = {
    f.__name__: f for f in (lenet, alexnet, vgg, resnet, inception, convnext)
}
BUILDERS |= {f"vgg_stride{stem}": partial(vgg, stem=stem) for stem in (2, 4)}  # variants, not members of the zoo
BUILDERS |= {f"alexnet_x{widen}": partial(alexnet, widen=widen) for widen in (4, 8)}
BUILDERS["alexnet_thin"] = partial(alexnet, maps=(20, 32, 32, 32, 32), units=64, dropout=0.0)  # 89,000 parameters
BUILDERS["resnet_thin"] = partial(resnet, widths=(12, 16, 24))  # 44,000


def _plain(*names: str) -> dict[str, str]:
    """Names of blocks that end in `relu`: the layer is the block's output, `_pre` what enters its ReLU."""
    return {name: f"{name}.relu" for name in names}


LAYERS: dict[str, dict[str, str]] = {
    "lenet": {
        **{n: f"{n}.relu" for n in ("conv1", "conv2", "fc6", "fc7")},
        **{f"{n}_pre": f"{n}.conv" for n in ("conv1", "conv2")}, **{f"{n}_pre": f"{n}.fc" for n in ("fc6", "fc7")},
        "pool5": "shrink", "fc8": "fc8",
    },
    "alexnet": {
        **{f"conv{i}": f"conv{i}.relu" for i in range(1, 6)}, **{f"conv{i}_pre": f"conv{i}.conv" for i in range(1, 6)},
        "pool5": "pool5", "fc6": "fc6.relu", "fc6_pre": "fc6.fc", "fc7": "fc7.relu", "fc7_pre": "fc7.fc", "fc8": "fc8",
    },
    "vgg": {
        **{f"conv{i}": f"conv{i}_{1 if i == 1 else 2}.relu" for i in range(1, 6)},
        **{f"conv{i}_pre": f"conv{i}_{1 if i == 1 else 2}.norm" for i in range(1, 6)},
        "pool5": "pool5", "fc6": "fc6.relu", "fc6_pre": "fc6.fc", "fc7": "fc7.relu", "fc7_pre": "fc7.fc", "fc8": "fc8",
    },
    "resnet": {
        "conv1": "conv1.relu", "conv1_pre": "conv1.norm",
        **{f"conv{i}": f"conv{i}.{0 if i in (2, 5) else 1}.relu" for i in range(2, 6)},
        **{f"conv{i}_pre": f"conv{i}.{0 if i in (2, 5) else 1}.add" for i in range(2, 6)},
        "pool5": "pool5", "fc8": "fc8",
    },
    "inception": {
        "conv1": "conv1.relu", "conv1_pre": "conv1.norm", "conv2": "conv2.relu", "conv2_pre": "conv2.norm",
        "conv3": "conv3.1.out", "conv4": "conv4.1.out", "conv5": "conv5.0.out", "pool5": "pool5", "fc8": "fc8",
    },
    "convnext": {**{f"conv{i}": f"conv{i}" for i in range(1, 5)}, "pool5": "pool5", "fc8": "fc8"},
}  # fmt: skip


def network(family: str, seed: int = 0, device: str = "cpu", *, stage: str = "") -> Network:
    """A trained network of the zoo behind the common interface.

    `stage` asks for a state on the way there: "step64", "step256", "step1024" where they were kept, or "step0", which
    needs no file, since the seed gives it.
    """
    name = f"{'cutouts' if family in FAMILIES else 'variants'}/{family}-{seed}" + (f"-{stage}" if stage else "")
    if family not in BUILDERS:
        raise ValueError(f"family is {family!r}, expected one of {', '.join(BUILDERS)}")
    model = build(family, CLASSES, seed)
    if stage != "step0":
        state, info = weights.load(name)
        model.load_state_dict(state)
    digest = state_digest(model) if stage == "step0" else info["digest"]
    model.eval().requires_grad_(False).to(device)
    names = tuple(f"class {k}" for k in range(CLASSES))
    return Network(f"{family}-{seed}", model, preprocess, SIZE, names, layers(family), digest)
