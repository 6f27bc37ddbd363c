"""EfficientNet-Lite, SqueezeNet 1.1, GoogLeNet, MobileNet V1 and V2, the convolutions of AlexNet and VGG16, rebuilt so
that every activation is a module of its own, not in place.

A hook then sees what the papers call a layer; a test proves that the outputs equal those of the original code.
"""

import math

import torch
from torch import Tensor, nn

STAGES = (  # repeats, kernel, stride, expansion, channels (EfficientNet, Tan & Le 2019, Table 1)
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip


def chain(**modules: nn.Module) -> nn.Sequential:
    """nn.Sequential whose modules have names."""
    sequence = nn.Sequential()
    for name, part in modules.items():
        sequence.add_module(name, part)
    return sequence


def _unit(size: int, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, relu: bool = True):
    """Convolution, batch norm, ReLU6 with TensorFlow's 'same' padding, whose odd pixel lies right and below."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    parts = {} if total % 2 == 0 else {"pad": nn.ZeroPad2d((total // 2, total - total // 2) * 2)}
    padding = 0 if parts else total // 2
    parts["conv"] = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    parts["bn"] = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
    return chain(**parts, **({"relu": nn.ReLU6()} if relu else {}))


class Block(nn.Module):
    """Inverted residual block without squeeze-and-excitation; its output has no non-linearity."""

    def __init__(self, size: int, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = inputs * expansion
        self.expand = _unit(size, inputs, wide) if expansion > 1 else nn.Identity()
        self.depthwise = _unit(size, wide, wide, kernel, stride, groups=wide)
        self.project = _unit(math.ceil(size / stride), wide, outputs, relu=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite: (N, 3, size, size) -> logits (N, 1000); stem and head have one width in every version."""

    def __init__(self, width: float, depth: float, size: int):
        super().__init__()
        self.stem = _unit(size, 3, 32, 3, 2)
        size, inputs, blocks = math.ceil(size / 2), 32, []
        self.ends = []  # index of the last block of every stage
        for number, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES):
            outputs = max(8, int(channels * width + 4) // 8 * 8)
            outputs += 8 if outputs < 0.9 * channels * width else 0
            for turn in range(repeats if number in (0, len(STAGES) - 1) else math.ceil(repeats * depth)):
                step = stride if turn == 0 else 1
                blocks.append(Block(size, inputs, outputs, kernel, step, expansion))
                size, inputs = math.ceil(size / step), outputs
            self.ends.append(len(blocks) - 1)
        self.blocks = nn.Sequential(*blocks)
        self.head = _unit(size, inputs, 1280)
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.dropout, self.fc = nn.Dropout(0.2), nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.dropout(self.flatten(self.pool(self.head(self.blocks(self.stem(x)))))))


class Concat(nn.Module):
    """Joins maps along their channels."""

    def forward(self, *maps: Tensor) -> Tensor:
        return torch.cat(maps, 1)


class Fire(nn.Module):
    """Squeeze to few channels, expand by 1x1 and 3x3; one ReLU after the concatenation equals one in each branch."""

    def __init__(self, inputs: int, squeeze: int, expand: int):
        super().__init__()
        self.squeeze1x1, self.squeeze_relu = nn.Conv2d(inputs, squeeze, 1), nn.ReLU()
        self.expand1x1, self.expand3x3 = nn.Conv2d(squeeze, expand, 1), nn.Conv2d(squeeze, expand, 3, padding=1)
        self.concat, self.relu = Concat(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_relu(self.squeeze1x1(x))
        return self.relu(self.concat(self.expand1x1(x), self.expand3x3(x)))


def squeezenet1_1() -> nn.Sequential:
    """SqueezeNet 1.1 (Iandola et al. 2016) as in Caffe, whose pooling rounds up: (N, 3, H, W) -> logits (N, 1000)."""

    def pool() -> nn.MaxPool2d:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    return chain(
        conv1=nn.Conv2d(3, 64, 3, 2), relu1=nn.ReLU(), pool1=pool(),
        fire2=Fire(64, 16, 64), fire3=Fire(128, 16, 64), pool3=pool(),
        fire4=Fire(128, 32, 128), fire5=Fire(256, 32, 128), pool5=pool(),
        fire6=Fire(256, 48, 192), fire7=Fire(384, 48, 192), fire8=Fire(384, 64, 256), fire9=Fire(512, 64, 256),
        drop9=nn.Dropout(0.5), conv10=nn.Conv2d(512, 1000, 1), relu10=nn.ReLU(),
        pool10=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
    )  # fmt: skip


# ------------------------------------------------------------------------------- GoogLeNet, as Caffe's model zoo has it

MIXED = {  # maps in, 1x1, 3x3 reduced, 3x3, 5x5 reduced, 5x5, pooled (Szegedy et al. 2015, Table 1)
    "3a": (192, 64, 96, 128, 16, 32, 32), "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64), "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64), "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128), "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}  # fmt: skip


class Mixed(nn.Module):
    """Four parallel branches; one ReLU after their concatenation equals one in each."""

    def __init__(self, inputs: int, one: int, reduced3: int, three: int, reduced5: int, five: int, pooled: int):
        super().__init__()
        self.b1 = nn.Conv2d(inputs, one, 1)
        self.b3r, self.relu3, self.b3 = (
            nn.Conv2d(inputs, reduced3, 1), nn.ReLU(), nn.Conv2d(reduced3, three, 3, padding=1),
        )  # fmt: skip
        self.b5r, self.relu5, self.b5 = (
            nn.Conv2d(inputs, reduced5, 1), nn.ReLU(), nn.Conv2d(reduced5, five, 5, padding=2),
        )  # fmt: skip
        self.pool, self.bp = nn.MaxPool2d(3, 1, 1), nn.Conv2d(inputs, pooled, 1)
        self.concat, self.relu = Concat(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        three, five = self.b3(self.relu3(self.b3r(x))), self.b5(self.relu5(self.b5r(x)))
        return self.relu(self.concat(self.b1(x), three, five, self.bp(self.pool(x))))


def googlenet() -> nn.Sequential:
    """GoogLeNet (Szegedy et al. 2015) with local response normalisation: (N, 3, H, W) -> logits (N, 1000)."""

    def pool() -> nn.MaxPool2d:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    def norm() -> nn.LocalResponseNorm:
        return nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0)

    mixed = {f"i{name}": Mixed(*widths) for name, widths in MIXED.items()}
    parts = {}
    for name, block in mixed.items():
        parts[name] = block
        parts |= {f"pool{name[1]}": pool()} if name in ("i3b", "i4e") else {}
    return chain(
        conv1=nn.Conv2d(3, 64, 7, 2, 3), relu1=nn.ReLU(), pool1=pool(), norm1=norm(),
        conv2r=nn.Conv2d(64, 64, 1), relu2r=nn.ReLU(), conv2=nn.Conv2d(64, 192, 3, padding=1), relu2=nn.ReLU(),
        norm2=norm(), pool2=pool(), **parts, pool5=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
        drop5=nn.Dropout(0.4), fc=nn.Linear(1024, 1000),
    )  # fmt: skip


# ---------------------------------------------------------- the convolutions of AlexNet and VGG16, without what follows

ALEXNET = ((64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1))  # maps, kernel, stride, pad
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # maps, stage by stage


def alexnet_convolutions() -> nn.Sequential:
    """AlexNet's convolutions as torchvision has them (Krizhevsky 2014): (N, 3, H, W) -> means of pool5's maps (N, 256);
    what follows them in AlexNet, its three dense layers, is not there."""
    inputs, parts = 3, {}
    for number, (maps, kernel, stride, padding) in enumerate(ALEXNET, 1):
        parts |= {f"conv{number}": nn.Conv2d(inputs, maps, kernel, stride, padding), f"relu{number}": nn.ReLU()}
        parts |= {f"pool{number}": nn.MaxPool2d(3, 2)} if number in (1, 2, 5) else {}
        inputs = maps
    return chain(**parts, mean=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())


def vgg16_convolutions() -> nn.Sequential:
    """VGG16's convolutions (Simonyan & Zisserman 2015): (N, 3, H, W) -> means of pool5's maps (N, 512); what follows
    them in VGG16, its three dense layers, is not there."""
    inputs, parts = 3, {}
    for stage, widths in enumerate(VGG16, 1):
        for number, maps in enumerate(widths, 1):
            name = f"{stage}_{number}"
            parts |= {f"conv{name}": nn.Conv2d(inputs, maps, 3, padding=1), f"relu{name}": nn.ReLU()}
            inputs = maps
        parts[f"pool{stage}"] = nn.MaxPool2d(2)
    return chain(**parts, mean=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())


# ----------------------------------------------------------------- MobileNet V1 and V2, normalisation folded in


class Same(nn.Conv2d):
    """A convolution with TensorFlow's 'same' padding for any input; the odd pixel lies right and below."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        more = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:]]
        ends = [half for total in reversed(more) for half in (total // 2, total - total // 2)]
        return super().forward(nn.functional.pad(x, ends))


def _folded(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, linear: bool = False):
    """A convolution and ReLU6; linear: bounds instead, the range of the 8-bit numbers that the weights come from."""
    conv = Same(inputs, outputs, kernel, stride, groups=groups)
    return chain(conv=conv, **({"bound": nn.Hardtanh()} if linear else {"relu": nn.ReLU6()}))


class Separable(nn.Sequential):
    """A depthwise 3x3 and a pointwise convolution (Howard et al. 2017)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.add_module("depthwise", _folded(inputs, inputs, 3, stride, inputs))
        self.add_module("pointwise", _folded(inputs, outputs))


class Bottleneck(nn.Module):
    """An inverted residual with a linear end (Sandler et al. 2018)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        wide = inputs * expansion
        self.expand = _folded(inputs, wide) if expansion > 1 else nn.Identity()
        self.depthwise, self.project = _folded(wide, wide, 3, stride, wide), _folded(wide, outputs, linear=True)
        self.bound = nn.Hardtanh() if stride == 1 and inputs == outputs else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return y if self.bound is None else self.bound(y + x)


class Known(nn.Module):
    """Scores (N, 1001, 1, 1) without the first, which stands for the background: (N, 1000)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, 1:]


SEPARABLES = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
BOTTLENECKS = (  # expansion, maps, repeats, stride (Sandler et al. 2018, Table 2)
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip


def mobilenet(version: int) -> nn.Sequential:
    """MobileNet V1 or V2 (version 1 or 2), full width: (N, 3, H, W) -> logits (N, 1000)."""
    inputs, blocks = 32, []
    if version == 1:
        for outputs, stride in SEPARABLES:
            blocks.append(Separable(inputs, outputs, stride))
            inputs = outputs
    else:
        for expansion, outputs, repeats, stride in BOTTLENECKS:
            for turn in range(repeats):
                blocks.append(Bottleneck(inputs, outputs, stride if turn == 0 else 1, expansion))
                inputs = outputs
    last = {} if version == 1 else {"head": _folded(inputs, 1280)}
    return chain(
        stem=_folded(3, 32, 3, 2), blocks=nn.Sequential(*blocks), **last, pool=nn.AdaptiveAvgPool2d(1),
        fc=_folded(1024 if version == 1 else 1280, 1001, linear=True), scores=Known(),
    )  # fmt: skip
