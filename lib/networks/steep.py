"""Gradients of images through strided convolutions, faster: what searches for images spend a fifth of their time on.

The gradient of an 11x11 convolution of stride 4 costs five times the convolution. The same sum is a convolution of
stride 1 on blocks of 4x4 pixels, each block's 48 numbers taken as channels: 3x3 blocks hold the kernel.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.networks.interface import Network


def steep(net: Network) -> Network:
    """The same network for searches: equal answers to the bit, gradients of its input equal to rounding. Its weights
    are shared and must be frozen; hooks of `net` are not seen."""
    return net._replace(model=_copied(net.model))


def _copied(part: nn.Module) -> nn.Module:
    if type(part) is nn.Conv2d and _fits(part):
        return Strided(part)
    made = copy.copy(part)
    made._modules = {name: one and _copied(one) for name, one in part._modules.items()}
    return made


def _fits(conv: nn.Conv2d) -> bool:
    """Whether a frozen convolution has a large kernel and a stride, and nothing unusual."""
    plain = conv.groups == 1 and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
    square = len({*conv.kernel_size}) == len({*conv.stride}) == len({*conv.padding}) == 1
    large = min(conv.kernel_size) >= 7 and min(conv.stride) > 1
    return plain and square and large and not conv.weight.requires_grad and not isinstance(conv.padding, str)


class Strided(nn.Module):
    """A frozen convolution of stride s whose gradient is taken on blocks of s x s pixels."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias
        self.stride, self.padding = conv.stride[0], conv.padding[0]
        self.register_buffer("blocks", in_blocks(conv.weight, self.stride), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return _ConvStrided.apply(x, self.weight, self.bias, self.blocks, self.stride, self.padding)


class _ConvStrided(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, blocks: Tensor, stride: int, padding: int):
        ctx.save_for_backward(blocks)
        ctx.place = stride, padding, tuple(x.shape[2:])
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, signal: Tensor):
        stride, padding, (high, wide) = ctx.place
        signal = signal.contiguous(memory_format=torch.channels_last)
        found = out_of_blocks(F.conv_transpose2d(signal, ctx.saved_tensors[0]), stride)
        beyond = [max(0, padding + side - have) for side, have in zip((high, wide), found.shape[2:], strict=True)]
        found = F.pad(found, [0, beyond[1], 0, beyond[0]]) if any(beyond) else found  # what no window reaches
        return found[:, :, padding : padding + high, padding : padding + wide], *[None] * 5


def in_blocks(weight: Tensor, stride: int) -> Tensor:
    """Kernels (out, in, k, k) for pictures in blocks: (out, stride * stride * in, b, b), b blocks hold k pixels."""
    out, inside, size = weight.shape[:3]
    blocks = -(-size // stride)
    padded = F.pad(weight, [0, blocks * stride - size] * 2).reshape(out, inside, blocks, stride, blocks, stride)
    made = padded.permute(0, 3, 5, 1, 2, 4).reshape(out, -1, blocks, blocks)
    return made.contiguous(memory_format=torch.channels_last)


def out_of_blocks(blocks: Tensor, stride: int) -> Tensor:
    """Pictures (n, C, stride * h, stride * w) of blocks (n, stride * stride * C, h, w), channels last in memory."""
    n, channels, high, wide = blocks.shape
    rows = blocks.permute(0, 2, 3, 1).reshape(n, high, wide, stride, channels // stride)
    made = rows.transpose(2, 3).reshape(n, high * stride, wide * stride, channels // stride**2)
    return made.permute(0, 3, 1, 2)
