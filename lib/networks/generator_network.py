"""The generator G: an up-convolutional network from a layer's code to a picture."""

import math

import torch
from torch import Tensor, nn

SIZE = 64  # pixels: side of what a generator makes unless it is told another one
SLOPE = 0.3  # of the leaky ReLUs, as in the released generator


class Generator(nn.Module):
    """Code (N, *code) -> images (N, 3, size, size), RGB, nominally in [0, 1], with no non-linearity at the end.

    size: 64 pixels, or a larger power of two. `unit`: root mean square of the code over training pictures;
    `bound_mean`, `bound_sd`: of each of its numbers; `norm`: mean length (L2 norm) of the codes.
    """

    def __init__(self, code: tuple[int, ...], width: int = 48, size: int = SIZE):
        super().__init__()
        self.code, self.size = tuple(code), size
        self.register_buffer("unit", torch.ones(()))
        self.register_buffer("norm", torch.ones(()))
        self.register_buffer("bound_mean", torch.zeros(math.prod(code)))
        self.register_buffer("bound_sd", torch.ones(math.prod(code)))
        self.layers = layers(self.code, width, size)

    def forward(self, y: Tensor) -> Tensor:
        return 0.5 + 0.25 * self.layers(y / self.unit)


def layers(code: tuple[int, ...], width: int, size: int = SIZE) -> nn.Sequential:
    """Dense layers for a row of units, a convolution for maps; then up-convolutions until the side is `size`: maps
    are enlarged bilinearly and a 3x3 convolution follows (strided up-convolutions and repeated values leave a grid).
    ValueError for a code that is neither, or a size that its side does not reach by doubling."""
    if size < SIZE or size & (size - 1):
        raise ValueError(f"size is {size}, expected {SIZE} pixels or a larger power of two")
    if len(code) not in (1, 3) or (len(code) == 3 and (code[1] != code[2] or code[1] not in (2, 4, 8, 16))):
        raise ValueError(f"code has shape {tuple(code)}, expected (units,) or (maps, side, side) with side 2, 4, 8, 16")
    leak = nn.LeakyReLU(SLOPE)
    if len(code) == 1:
        parts = [nn.Linear(code[0], 4 * width), leak, nn.Linear(4 * width, 16 * width), leak]
        parts, side = [*parts, nn.Unflatten(1, (width, 4, 4))], 4
    else:
        parts, side = [nn.Conv2d(code[0], width, 3, padding=1), leak], code[1]
    while side < size:
        side, inside = 2 * side, width
        width = width if side < size // 2 else width * 2 // 3 if side == size // 2 else width // 2
        parts += [nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(inside, width, 3, padding=1)]
        parts += [nn.BatchNorm2d(width), leak]
        if side < size // 2:
            parts += [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), leak]
    return nn.Sequential(*parts, nn.Conv2d(width, 3, 3, padding=1))


def build(code: tuple[int, ...], seed: int = 0, width: int = 48, size: int = SIZE) -> Generator:
    """An untrained generator; the same code, seed, width and size give the same weights to the bit."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = Generator(tuple(code), width, size)
        for module in made.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, SLOPE)
                nn.init.zeros_(module.bias)
    return made
