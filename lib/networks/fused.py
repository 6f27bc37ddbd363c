"""Networks that only answer, faster: the same function of the same weights, to rounding, in fewer passes over memory.

A convolution, the batch normalisation and the ReLU after it become one call of oneDNN, which PyTorch brings and its
compiler uses; sums, GELUs and 2x2 maxima are fused or replaced likewise. Only modules whose `forward` is known are
touched: PyTorch's own and this project's, without hooks. Anything else is returned as it is.
"""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import fusion

from lib.networks import blocks

PASSING = (nn.Identity, nn.Dropout)  # do nothing in evaluation mode


class Convolution(nn.Module):
    """A convolution with what follows it at every pixel; `act`: none, relu or gelu. `other` is added before `act`."""

    def __init__(self, conv: nn.Conv2d, act: str = "none"):
        super().__init__()
        self.weight, self.bias, self.act = conv.weight, conv.bias, act
        self.place = [list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups]

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        run = torch.ops.mkldnn._convolution_pointwise
        if other is None:
            return run(x, self.weight, self.bias, *self.place, self.act, [], "none" if self.act == "gelu" else "")
        act = None if self.act == "none" else self.act
        return run.binary(x, other, self.weight, self.bias, *self.place, "add", 1.0, act, [], "")


class Halving(nn.Module):
    """2x2 maximum pooling, the same to the bit: maxima of rows, then of columns."""

    def forward(self, x: Tensor) -> Tensor:
        high, wide = (side // 2 * 2 for side in x.shape[2:])
        rows = torch.maximum(x[:, :, 0:high:2, :wide], x[:, :, 1:high:2, :wide])
        return torch.maximum(rows[..., ::2], rows[..., 1::2])


class Residual(nn.Module):
    """blocks.Residual with its sum and last ReLU in the second convolution."""

    def __init__(self, block: blocks.Residual):
        super().__init__()
        self.first, self.shortcut = _copied(block.first), _copied(block.shortcut)
        self.second = Convolution(_folded(block.conv, block.norm), "relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x), self.shortcut(x))


class NextBlock(nn.Module):
    """blocks.NextBlock with its GELU, its scale and its sum in the two 1x1 convolutions."""

    def __init__(self, block: blocks.NextBlock):
        super().__init__()
        self.depthwise, self.norm = Convolution(block.depthwise), block.norm
        self.wide, self.narrow = Convolution(block.wide, "gelu"), Convolution(_scaled(block.narrow, block.scale))

    def forward(self, x: Tensor) -> Tensor:
        return self.narrow(self.wide(self.norm(self.depthwise(x))), x)


class Response(nn.Module):
    """Local response normalisation: the sum over neighbouring maps as a sum of shifted maps, the power in place."""

    def __init__(self, norm: nn.LocalResponseNorm):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = norm.size, norm.alpha, norm.beta, norm.k

    def forward(self, x: Tensor) -> Tensor:
        before = self.size // 2  # of an even number of neighbours, one more comes before
        squares = nn.functional.pad(x * x, (0, 0, 0, 0, before, self.size - 1 - before))
        total = sum(squares[:, k : k + x.shape[1]] for k in range(self.size))
        return x / total.mul_(self.alpha / self.size).add_(self.k).pow_(self.beta)


OWN = {blocks.Residual: Residual, blocks.NextBlock: NextBlock, nn.LocalResponseNorm: Response}


def fused(model: nn.Module) -> nn.Module:
    """A network in evaluation mode that answers like `model`, for use without gradients; `model` is not changed and
    shares its weights. It is `model` itself where nothing is known to be safe."""
    return _copied(model) if _known(model) else model


def _known(model: nn.Module) -> bool:
    """Whether a network may be rebuilt: plain single-precision modules in evaluation mode on the CPU, nobody watching,
    put together by PyTorch and this project alone."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        return False
    for part in model.modules():
        ours = type(part).__module__.startswith("lib.") or type(part).__module__.startswith("torch.nn.modules.")
        if not ours or part.training or part._forward_hooks or part._forward_pre_hooks:
            return False
    return all(value.dtype == torch.float32 and value.device.type == "cpu" for value in model.parameters())


def _copied(part: nn.Module) -> nn.Module:
    """`part` with everything in it that has a faster form in that form."""
    if type(part) in OWN:
        return OWN[type(part)](part)
    if type(part) is nn.Conv2d and _simple(part):
        return Convolution(part)
    if type(part) is nn.MaxPool2d and _halves(part):
        return Halving()
    made = copy.copy(part)
    if type(part) is nn.Sequential:
        made._modules = {str(k): one for k, one in enumerate(_chain(list(part)))}
    elif part._modules:
        made._modules = {name: one and _copied(one) for name, one in part._modules.items()}
    return made


def _chain(parts: list[nn.Module]) -> Iterator[nn.Module]:
    """The parts of a plain chain, each convolution with the normalisation and the activation after it in one."""
    parts = [part for part in parts if not isinstance(part, PASSING)]
    while parts:
        part = parts.pop(0)
        if type(part) is not nn.Conv2d or not _simple(part):
            yield _copied(part)
            continue
        if parts and type(parts[0]) is nn.BatchNorm2d and parts[0].track_running_stats and parts[0].affine:
            part = _folded(part, parts.pop(0))
        act = {nn.ReLU: "relu"}.get(type(parts[0]), "none") if parts else "none"
        if act != "none":
            parts.pop(0)
        yield Convolution(part, act)


def _simple(conv: nn.Conv2d) -> bool:
    return conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def _halves(pool: nn.MaxPool2d) -> bool:
    plain = (pool.padding, pool.dilation, pool.return_indices, pool.ceil_mode) == (0, 1, False, False)
    return plain and pool.kernel_size in (2, (2, 2)) and pool.stride in (2, (2, 2))


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    return fusion.fuse_conv_bn_eval(conv, norm).requires_grad_(False)


def _scaled(conv: nn.Conv2d, scale: Tensor) -> nn.Conv2d:
    """The convolution followed by `scale` (maps, 1, 1) for each map."""
    made = copy.copy(conv)
    made._parameters = dict(conv._parameters)
    made.weight = nn.Parameter(conv.weight * scale[..., None], requires_grad=False)
    made.bias = nn.Parameter(conv.bias * scale.flatten(), requires_grad=False)
    return made
