"""Activation maximisation: the one loop behind class models (Simonyan et al. 2014), regularised images (Yosinski et al.
2015), generator priors (Nguyen et al. 2016) and The Mind's Eye (Stergiou 2021).

What varies is passed in, each a small function: a parameterisation (lib.methods.ascent.parameterisations), an objective
(lib.methods.ascent.objectives), penalties, transforms and operators (lib.methods.ascent.regularisers), and any
optimiser of torch.optim. Many units are optimised side by side: row k of the batch has its own objective, and gets
exactly what it would get alone.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Maximised(NamedTuple):
    """What `maximise` found for n rows, and how it got there."""

    images: Tensor  # (n, 3, S, S): the last images, not the best on the way
    values: Tensor  # (steps, n): the objective before every step, of the images as the network saw them
    parameters: Tensor  # (n, ...): what `images` were made from; a further call can start here
    stuck: Tensor  # (n,) bool: the gradient at the start was exactly zero, e.g. a unit that is silent there


def maximise(
    image: Callable[[Tensor], Tensor],
    objective: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    steps: int,
    optimiser: Callable[[list[Tensor]], torch.optim.Optimizer],
    scale: Callable[[Tensor], Tensor] | None = None,
    penalties: Sequence[Callable[[Tensor], Tensor]] = (),
    transforms: Sequence[Callable[[Tensor, torch.Generator], Tensor]] = (),
    operators: Sequence[Callable[[Tensor, Tensor, int], Tensor]] = (),
    generator: torch.Generator | None = None,
) -> Maximised:
    """x <- r(x + rate * d(objective - penalties)/dx), `steps` times, for every row of `start` on its own.

    image: parameters (n, ...) -> images (n, 3, S, S), differentiable. objective, penalties: images -> (n,).
    optimiser: e.g. partial(torch.optim.SGD, lr=1.0), plain ascent, or partial(torch.optim.Adam, lr=0.05); it must treat
    elements independently (not LBFGS). scale: gradient -> gradient, per row, before the optimiser sees it.
    transforms: (images, generator) -> images, before the objective only; `generator` is theirs. operators: (parameters,
    gradient, step) -> parameters, after each step, in the order given: Yosinski et al. 2015's r. ValueError if a value
    or a gradient is no longer finite. The networks get no gradients.
    """
    _check(start, steps, transforms, generator)
    parameters = start.detach().clone().requires_grad_(True)
    moves, history, stuck = optimiser([parameters]), [], None
    for step in range(steps):
        images = seen = image(parameters)
        for transform in transforms:
            seen = transform(seen, generator)
        values = _checked(objective(seen), len(start), "objective")
        gain = values - sum((_checked(penalty(images), len(start), "penalty") for penalty in penalties), 0)
        (gradient,) = torch.autograd.grad(gain.sum(), parameters)
        _check_finite(gain, gradient, step)
        parameters.grad = -(gradient if scale is None else scale(gradient))
        moves.step()
        with torch.no_grad():
            for operator in operators:
                parameters.copy_(operator(parameters, gradient, step))
        history.append(values.detach())
        stuck = ~gradient.flatten(1).any(1) if stuck is None else stuck
    with torch.no_grad():
        return Maximised(image(parameters).detach(), torch.stack(history), parameters.detach(), stuck)


def _check(start: Tensor, steps: int, transforms: Sequence, generator: torch.Generator | None) -> None:
    if steps < 1 or start.ndim < 2 or not len(start) or not start.is_floating_point():
        found = f"steps = {steps} and start of shape {tuple(start.shape)}, {start.dtype}"
        raise ValueError(f"maximise: found {found}, expected steps >= 1 and float parameters (n, ...) with n >= 1")
    if transforms and generator is None:
        raise ValueError("maximise: generator is None, expected a torch.Generator, since there are transforms")


def _check_finite(gain: Tensor, gradient: Tensor, step: int) -> None:
    broken = ~(gradient.flatten(1).isfinite().all(1) & gain.isfinite())
    if broken.any():
        rows = broken.nonzero().flatten().tolist()
        raise ValueError(f"maximise: value or gradient of rows {rows} not finite at step {step}; lower the rate")


def _checked(values: Tensor, n: int, name: str) -> Tensor:
    if tuple(values.shape) != (n,):
        raise ValueError(f"maximise: {name} gives shape {tuple(values.shape)}, expected one value a row, ({n},)")
    return values


def in_batches(run: Callable[..., Maximised], start: Tensor, units: Sequence[int], batch: int = 50) -> Maximised:
    """run(start, units) for `batch` rows of start (n, ...) at a time, put together again; units: (n,). ValueError if
    there are not as many units as rows."""
    if len(units) != len(start):
        raise ValueError(f"in_batches: {len(units)} units for {len(start)} rows of start, expected as many")
    parts = [run(start[k : k + batch], list(units[k : k + batch])) for k in range(0, len(start), batch)]
    return Maximised(*(torch.cat([part[i] for part in parts], dim=int(i == 1)) for i in range(4)))
