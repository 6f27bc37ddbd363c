"""EfficientNet-Lite and SqueezeNet 1.1, rebuilt so that every activation is a module of its own, not in place.

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
