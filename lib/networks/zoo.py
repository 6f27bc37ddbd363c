"""The zoo: eight families of small classifiers for 64x64 pictures, each keeping what distinguishes its original.

LeNet-5 (two 5x5 convolutions, no normalisation), AlexNet (11x11 stem of stride 4, no normalisation, wide fully
connected layers with dropout), VGG-BN (stacks of 3x3, batch normalisation), ResNet (7x7 stem of stride 2, pooling,
residual blocks), Inception (parallel branches); and three that the papers could not have had: ConvNeXt (4x4 patches,
depthwise 7x7, layer normalisation, GELU), MobileNet (inverted residuals, depthwise 3x3) and ViT (8x8 patches,
attention). Every ReLU is a module of its own that does not work in place, so that hooks see it. Layers carry the
papers' names: `conv1` ... `conv5`, `pool5`, `fc6`, `fc7`, `fc8` (class scores); `conv5` is what leaves the layer's
non-linearity, `conv5_pre` what enters it.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from lib.base import weights
from lib.base.identity import state_digest
from lib.networks.blocks import (
    Attention,
    Branches,
    Inverted,
    LayerNorm2d,
    NextBlock,
    Placed,
    Residual,
    conv,
    dense,
    named,
)
from lib.networks.interface import Network

LETTERS = {
    "lenet": "L",
    "alexnet": "A",
    "vgg": "V",
    "resnet": "R",
    "inception": "I",
    "convnext": "C",
    "mobilenet": "M",
    "vit": "T",
}
EVERY = tuple(LETTERS)  # notebooks 01 to 05, where orders of families are tested
FAMILIES = EVERY[:6]  # the notebooks after them
TITLES = {
    "lenet": "LeNet-5",
    "alexnet": "AlexNet",
    "vgg": "VGG-BN",
    "resnet": "ResNet",
    "inception": "Inception",
    "convnext": "ConvNeXt",
    "mobilenet": "MobileNet",
    "vit": "ViT",
}
SIZE, CLASSES = 64, 10


def chosen(families, every=FAMILIES) -> list[str]:
    """The families that a notebook's parameter names: ["all"] is `every` one. ValueError for an unknown name."""
    names = list(every) if list(families) == ["all"] else list(families)
    for name in names:
        if name not in EVERY:
            raise ValueError(f"families holds {name!r}, expected {', '.join(EVERY)}, or all and nothing else")
    return names


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
            if isinstance(module, nn.Conv2d | nn.Linear) and family not in ("convnext", "vit"):
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


def lenet(classes: int, units: int = 120) -> nn.Module:
    """LeCun et al. 1998, adapted to 64 pixels as paper 1 adapted it to 224: 6 and 16 maps, 120 and 84 units."""
    return named(
        conv1=conv(3, 6, 5, norm=False), pool1=nn.MaxPool2d(2),
        conv2=conv(6, 16, 5, norm=False), pool2=nn.MaxPool2d(2), shrink=nn.MaxPool2d(2), flat=nn.Flatten(),
        fc6=dense(16 * 8 * 8, units), fc7=dense(units, 84), fc8=nn.Linear(84, classes),
    )  # fmt: skip


def alexnet(classes: int, widen: int = 1, maps=(32, 80, 80, 80, 64), units: int = 128, dropout=0.5) -> nn.Module:
    """Krizhevsky et al. 2012 with a quarter of the maps: 11x11 stride-4 stem, overlapping pools, two wide dense
    layers. `widen` multiplies the maps of the last convolution (Bau et al. 2017)."""
    one, two, three, four, five = (*maps[:4], maps[4] * widen)
    return named(
        conv1=conv(3, one, 11, 4, norm=False), pool1=nn.MaxPool2d(3, 2, 1),
        conv2=conv(one, two, 5, norm=False), conv3=conv(two, three, 3, norm=False),
        conv4=conv(three, four, 3, norm=False), conv5=conv(four, five, 3, norm=False),
        pool5=nn.MaxPool2d(3, 2, 1), flat=nn.Flatten(),
        fc6=dense(five * 4 * 4, units, dropout), fc7=dense(units, units, dropout), fc8=nn.Linear(units, classes),
    )  # fmt: skip


def vgg(classes: int, stem: int = 1) -> nn.Module:
    """Simonyan & Zisserman 2015 with batch normalisation: stacks of 3x3 convolutions between 2x2 pools. With a `stem`
    of 2 or 4 the first convolution takes that stride instead of one or two of the pools (4: with a 7x7 kernel)."""
    parts, inside = {}, 3
    for block, (width, depth) in enumerate([(12, 1), (24, 2), (48, 2), (80, 2), (96, 2)], 1):
        for i in range(1, depth + 1):
            first = not parts
            parts[f"conv{block}_{i}"] = conv(inside, width, 7 if first and stem == 4 else 3, stem if first else 1)
            inside = width
        if 2**block > stem:
            parts[f"pool{block}"] = nn.MaxPool2d(2)
    parts |= {
        "flat": nn.Flatten(),
        "fc6": dense(96 * 2 * 2, 128),
        "fc7": dense(128, 128),
        "fc8": nn.Linear(128, classes),
    }
    return named(**parts)


def resnet(classes: int, widths=(24, 40, 72)) -> nn.Module:
    """He et al. 2016: 7x7 stride-2 stem with pooling, four stages of residual blocks, global average pool."""
    one, two, three = widths
    return named(
        conv1=conv(3, one, 7, 2), pool1=nn.MaxPool2d(3, 2, 1),
        conv2=nn.Sequential(Residual(one, one)), conv3=nn.Sequential(Residual(one, two, 2), Residual(two, two)),
        conv4=nn.Sequential(Residual(two, three, 2), Residual(three, three)),
        conv5=nn.Sequential(Residual(three, three)),
        pool5=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc8=nn.Linear(three, classes),
    )  # fmt: skip


def inception(classes: int) -> nn.Module:
    """Szegedy et al. 2016: a stem of small 3x3 convolutions (stride 2), three stages of parallel branches, average
    pool."""
    return named(
        conv1=conv(3, 20, 3, 2), conv2=conv(20, 40, 3), pool2=nn.MaxPool2d(3, 2, 1),
        conv3=nn.Sequential(Branches(40, (16, 16, 24, 8, 16, 8)), Branches(64, (24, 24, 32, 12, 24, 16))),
        pool3=nn.MaxPool2d(3, 2, 1),
        conv4=nn.Sequential(Branches(96, (32, 32, 56, 16, 32, 24)), Branches(144, (40, 40, 64, 20, 40, 32))),
        pool4=nn.MaxPool2d(3, 2, 1), conv5=nn.Sequential(Branches(176, (48, 48, 80, 24, 48, 32))),
        pool5=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), drop=nn.Dropout(0.2), fc8=nn.Linear(208, classes),
    )  # fmt: skip


def convnext(classes: int) -> nn.Module:
    """Liu et al. 2022: 4x4 stride-4 patches, three stages of inverted depthwise blocks, average pool; no ReLU
    anywhere."""

    def down(inside: int, outside: int) -> nn.Sequential:
        return nn.Sequential(LayerNorm2d(inside), nn.Conv2d(inside, outside, 2, 2))

    return named(
        conv1=nn.Sequential(nn.Conv2d(3, 32, 4, 4), LayerNorm2d(32)), conv2=nn.Sequential(NextBlock(32), NextBlock(32)),
        down3=down(32, 64), conv3=nn.Sequential(NextBlock(64), NextBlock(64)),
        down4=down(64, 112), conv4=nn.Sequential(NextBlock(112), NextBlock(112)),
        pool5=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), norm=nn.LayerNorm(112), fc8=nn.Linear(112, classes),
    )  # fmt: skip


def mobilenet(classes: int) -> nn.Module:
    """Sandler et al. 2018 (MobileNetV2), small: inverted residuals with depthwise convolutions, average pool."""
    return named(
        conv1=conv(3, 16, 3, 2), conv2=nn.Sequential(Inverted(16, 24, 2), Inverted(24, 24)),
        conv3=nn.Sequential(Inverted(24, 40, 2), Inverted(40, 40)),
        conv4=nn.Sequential(Inverted(40, 72), Inverted(72, 72)), conv5=conv(72, 160, 1),
        pool5=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc8=nn.Linear(160, classes),
    )  # fmt: skip


def vit(classes: int, width: int = 80, patch: int = 8) -> nn.Module:
    """Dosovitskiy et al. 2021 (ViT), small: 8x8 patches, learned places, four blocks of attention, and the mean over
    all places instead of a class token (Beyer et al. 2022), so that every layer stays a map."""
    return named(
        conv1=nn.Sequential(nn.Conv2d(3, width, patch, patch), Placed(width, SIZE // patch)),
        conv2=Attention(width, 4), conv3=Attention(width, 4), conv4=Attention(width, 4), conv5=Attention(width, 4),
        norm=LayerNorm2d(width), pool5=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc8=nn.Linear(width, classes),
    )  # fmt: skip


BUILDERS: dict[str, Callable[[int], nn.Module]] = {
    f.__name__: f for f in (lenet, alexnet, vgg, resnet, inception, convnext, mobilenet, vit)
}
BUILDERS |= {f"vgg_stride{stem}": partial(vgg, stem=stem) for stem in (2, 4)}  # variants, not members of the zoo
BUILDERS |= {f"alexnet_x{widen}": partial(alexnet, widen=widen) for widen in (4, 8)}
BUILDERS["alexnet_thin"] = partial(alexnet, maps=(20, 32, 32, 32, 32), units=64, dropout=0.0)  # 89,000 parameters
BUILDERS |= {"alexnet_wide": partial(alexnet, units=512), "lenet_wide": partial(lenet, units=512)}  # encoders
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
    "mobilenet": {
        "conv1": "conv1.relu", "conv1_pre": "conv1.norm", **{f"conv{i}": f"conv{i}.1" for i in range(2, 5)},
        "conv5": "conv5.relu", "conv5_pre": "conv5.norm", "pool5": "pool5", "fc8": "fc8",
    },
    "vit": {**{f"conv{i}": f"conv{i}" for i in range(1, 6)}, "pool5": "pool5", "fc8": "fc8"},
}  # fmt: skip


def network(family: str, seed: int = 0, device: str = "cpu", *, stage: str = "") -> Network:
    """A trained network of the zoo behind the common interface.

    `stage` asks for a state on the way there: "step64", "step256", "step1024" where they were kept, or "step0", which
    needs no file, since the seed gives it.
    """
    name = f"{'variants' if '_' in family else 'cutouts'}/{family}-{seed}" + (f"-{stage}" if stage else "")
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
