"""What the families of the zoo are made of: convolutions with what follows them, and five kinds of blocks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(inside: int, outside: int, kernel: int, stride: int = 1, norm: bool = True, groups: int = 1) -> nn.Sequential:
    """Convolution (same padding), optional batch normalisation, ReLU: submodules `conv`, `norm`, `relu`."""
    block = nn.Sequential()
    block.conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=not norm)
    if norm:
        block.norm = nn.BatchNorm2d(outside)
    block.relu = nn.ReLU()
    return block


def dense(inside: int, outside: int, dropout: float = 0.0) -> nn.Sequential:
    block = nn.Sequential()
    if dropout:
        block.drop = nn.Dropout(dropout)
    block.fc, block.relu = nn.Linear(inside, outside), nn.ReLU()
    return block


def named(**modules: nn.Module) -> nn.Sequential:
    chain = nn.Sequential()
    for name, module in modules.items():
        chain.add_module(name, module)
    return chain


class Residual(nn.Module):
    """He et al. 2016, basic block: x + two 3x3 convolutions, ReLU after the sum; a 1x1 convolution where shapes
    differ."""

    def __init__(self, inside: int, outside: int, stride: int = 1):
        super().__init__()
        self.first = conv(inside, outside, 3, stride)
        self.conv, self.norm = nn.Conv2d(outside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside)
        same = stride == 1 and inside == outside
        project = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
        self.shortcut = nn.Identity() if same else project
        self.add, self.relu = nn.Identity(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.add(self.norm(self.conv(self.first(x))) + self.shortcut(x)))


class Branches(nn.Module):
    """Szegedy et al. 2016: 1x1, 1x1-3x3, 1x1-3x3-3x3 and pool-1x1 branches side by side."""

    def __init__(self, inside: int, widths: tuple):
        super().__init__()
        a, b_reduce, b, c_reduce, c, p = widths
        self.b1 = conv(inside, a, 1)
        self.b3 = nn.Sequential(conv(inside, b_reduce, 1), conv(b_reduce, b, 3))
        self.b5 = nn.Sequential(conv(inside, c_reduce, 1), conv(c_reduce, c, 3), conv(c, c, 3))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(inside, p, 1))
        self.out = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.cat([self.b1(x), self.b3(x), self.b5(x), self.pool(x)], 1))


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


class Inverted(nn.Module):
    """Sandler et al. 2018: a 1x1 convolution widens, a depthwise 3x3 looks around, a 1x1 without ReLU narrows; the sum
    with the input where shapes agree."""

    def __init__(self, inside: int, outside: int, stride: int = 1, expand: int = 4):
        super().__init__()
        wide = expand * inside
        self.widen, self.depthwise = conv(inside, wide, 1), conv(wide, wide, 3, stride, groups=wide)
        self.narrow = nn.Sequential(nn.Conv2d(wide, outside, 1, bias=False), nn.BatchNorm2d(outside))
        self.same, self.add = stride == 1 and inside == outside, nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.narrow(self.depthwise(self.widen(x)))
        return self.add(x + narrow if self.same else narrow)


class Attention(nn.Module):
    """Dosovitskiy et al. 2021, one block: attention among all places, then a four times wider GELU layer at each place,
    both after layer normalisation and added to what came in. Tokens stay a map (N, C, H, W)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.first, self.second = heads, LayerNorm2d(width), LayerNorm2d(width)
        self.asks, self.mixed = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(width, width, 1)
        self.wide, self.gelu, self.narrow = nn.Conv2d(width, 4 * width, 1), nn.GELU(), nn.Conv2d(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        query, key, value = self.asks(self.first(x)).view(n, 3, self.heads, c // self.heads, h * w).mT.unbind(1)
        seen = F.scaled_dot_product_attention(query, key, value).mT.reshape(n, c, h, w)
        x = x + self.mixed(seen)
        return x + self.narrow(self.gelu(self.wide(self.second(x))))


class Placed(nn.Module):
    """Adds a learned vector to every place of a (N, C, H, W) map, so that attention can tell places apart."""

    def __init__(self, width: int, side: int):
        super().__init__()
        self.places = nn.Parameter(0.02 * torch.randn(width, side, side))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.places
