"""The general and adaptive robust loss (Barron 2019), which the released code of The Mind's Eye takes for its distance;
here its shape and scale persist and learn along."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

SHAPES = (0.001, 1.999)  # range of the shape that learns, as robust_loss_pytorch.adaptive has it


def robust(x: Tensor, shape: Tensor, scale: Tensor) -> Tensor:
    """rho(x; shape, scale) of Barron 2019 with its limits: shape 2 half the square, 1 Charbonnier, 0 Cauchy, -2
    Geman-McClure, -inf Welsch. x, shape, scale: tensors that broadcast; scale > 0."""
    square = (x / scale).square()
    shape = torch.as_tensor(shape, dtype=x.dtype, device=x.device)
    special = (shape == 2) | (shape == 0) | shape.isinf()
    safe = torch.where(special, torch.ones_like(shape), shape)
    width = (safe - 2).abs()
    general = width / safe * ((square / width + 1) ** (safe / 2) - 1)
    found = torch.where(shape == 0, torch.log1p(square / 2), general)
    found = torch.where(shape == 2, square / 2, found)
    return torch.where(shape == -torch.inf, -torch.expm1(-square / 2), found)


@cache
def _partition(points: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Shapes from 0 to 2 and the log of the integral of exp(-rho(x; shape, 1)), by the trapezoid rule in asinh x."""
    shapes, t = np.linspace(0, 2, points), np.linspace(-40, 40, 4001)
    x = torch.from_numpy(np.sinh(t))
    density = [np.exp(-robust(x, torch.tensor(one, dtype=torch.float64), torch.ones(())).numpy()) for one in shapes]
    return shapes, np.log([np.trapezoid(one * np.cosh(t), t) for one in density])


def log_partition(shape: Tensor) -> Tensor:
    """log of the integral over x of exp(-rho(x; shape, 1)) for shapes in [0, 2], interpolated; differentiable."""
    _, table = _partition()
    table = torch.as_tensor(table, dtype=shape.dtype, device=shape.device)
    place = shape.clamp(0, 2) / 2 * (len(table) - 1)
    low = place.detach().floor().clamp_max(len(table) - 2).long()
    return table[low] + (place - low) * (table[low + 1] - table[low])


def adaptive(n: int, device="cpu", rate: float = 0.02) -> tuple[Callable[[Tensor], Tensor], Callable[[], tuple]]:
    """A robust loss of residuals (n, C) whose shape and scale, one of each a row, persist from call to call and learn.

    Every call takes a step of Adam on the rows' mean negative log-likelihood rho + log scale + log partition (Barron
    2019; the residuals are data there, so nothing flows back to the network), then gives rho averaged over channels,
    (n,). Start: shape 1, scale 1. The second function tells (shape, scale), (n,) each.
    """
    hidden = [torch.zeros(n, 1, device=device, requires_grad=True) for _ in range(2)]
    moves = torch.optim.Adam(hidden, lr=rate)

    def state() -> tuple[Tensor, Tensor]:
        return SHAPES[0] + (SHAPES[1] - SHAPES[0]) * hidden[0].sigmoid(), hidden[1].exp().clamp_min(1e-5)

    def loss(residuals: Tensor) -> Tensor:
        with torch.enable_grad():
            shape, scale = state()
            surprise = robust(residuals.detach(), shape, scale).mean(1) + (log_partition(shape) + scale.log())[:, 0]
            grads = torch.autograd.grad(surprise.sum(), hidden)
        for one, gradient in zip(hidden, grads, strict=True):
            one.grad = gradient
        moves.step()
        shape, scale = (one.detach() for one in state())
        return robust(residuals, shape, scale).mean(1)

    return loss, lambda: tuple(one.detach()[:, 0] for one in state())
