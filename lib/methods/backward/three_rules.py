"""Signals projected from a unit back to the input: gradient, deconvnet and guided backpropagation.

The three differ in what a ReLU does to the signal that comes down from above (Simonyan et al. 2014; Zeiler & Fergus
2014, their Fig. 1; Springenberg et al. 2015); convolutions are transposed and max pooling uses its switches in all of
them, which is what the backward pass of those layers does anyway. So one backward pass with another rule for ReLUs is
enough.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lib.methods.backward import activations
from lib.networks import interface

# What a ReLU sends down, given the signal from above and the places where it let its input through: all the difference.
RULES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gradient": lambda signal, passed: signal * passed,
    "deconvnet": lambda signal, passed: signal.clamp(min=0),
    "guided": lambda signal, passed: signal.clamp(min=0) * passed,
}

_RELU = {F.relu, torch.relu, Tensor.relu}
_RELU_INPLACE = {torch.relu_, F.relu_, Tensor.relu_}
_RELU6 = {F.relu6, torch._C._nn.relu6}


class Rectify(torch.autograd.Function):
    """A ReLU (`cap` None) or a ReLU6 (`cap` 6) whose backward pass follows a rule of RULES."""

    @staticmethod
    def forward(ctx, x: Tensor, cap: float | None, rule: Callable, inplace: bool) -> Tensor:
        passed = x > 0 if cap is None else (x > 0) & (x < cap)
        ctx.save_for_backward(passed)
        ctx.rule = rule
        if not inplace:
            return x.clamp(0, cap)
        ctx.mark_dirty(x)
        return x.clamp_(0, cap)

    @staticmethod
    def backward(ctx, signal: Tensor):
        return ctx.rule(signal, ctx.saved_tensors[0]), None, None, None


class rectified(TorchFunctionMode):
    """Context manager in which every ReLU and ReLU6 (module or function, in place or not, used once or often) follows
    `rule`; ValueError for a name that RULES does not have. It replaces the call, not the network: no hook is set, so
    that none can stay behind."""

    def __init__(self, rule: str):
        super().__init__()
        if rule not in RULES:
            raise ValueError(f"rule: got {rule!r}, expected one of {', '.join(RULES)}")
        self.rule = RULES[rule]

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in _RELU or func in _RELU_INPLACE:
            x = args[0] if args else kwargs["input"]
            inplace = args[1] if len(args) > 1 else kwargs.get("inplace", func in _RELU_INPLACE)
            return Rectify.apply(x, None, self.rule, inplace)
        if func in _RELU6 or (func is F.hardtanh and _limits(args, kwargs) == (0, 6)):
            inplace = kwargs.get("inplace", bool(args) and args[-1] is True)
            return Rectify.apply(args[0] if args else kwargs["input"], 6.0, self.rule, inplace)
        return func(*args, **kwargs)


def _limits(args: tuple, kwargs: dict) -> tuple:
    values = dict(zip(("min_val", "max_val"), args[1:3], strict=False)) | kwargs
    return values.get("min_val", -1.0), values.get("max_val", 1.0)


def project(
    net, images: Tensor, layer: str | None, channel, *, unit=None, start: str = "one", rule: str = "deconvnet"
) -> Tensor:
    """The signal at the input, (N, 3, S, S), of a channel, a unit or a class score; `images` (N, 3, S, S) in [0, 1].

    net: a lib.networks.interface.Network. layer: a layer's name, or None for the class scores (before any softmax).
    channel: index of the channel (or of the class), one for all images or one an image. unit: None for the whole map,
    'max' for its strongest position, or (row, column). All other activations of the layer are set to zero.
    start: what the chosen units start with, 'one' (the signal of their sum, as a gradient) or 'activation' (their own
    values, as Zeiler & Fergus do). The signal is one per RGB value in [0, 1], whatever the preprocessing.
    rule: 'gradient', 'deconvnet' or 'guided'; a ReLU6 counts as a ReLU, and its forward mask is (0, 6).
    Raises ValueError for bad arguments and, unless rule is 'gradient', for a network with activations other than ReLU:
    the two other rules say nothing about those. (A ReLU written as x * (x > 0) looks like any product: it is taken for
    one, and lets the plain gradient through.)
    """
    interface.check(net, images)
    interface.check_gradient(net)
    if start not in ("one", "activation"):
        raise ValueError(f"start: got {start!r}, expected 'one' or 'activation'")
    if any(module.training for module in net.model.modules()):
        raise ValueError(f"net: {net.name} is in training mode, expected evaluation mode (call net.model.eval())")
    images = images.detach().clone().requires_grad_()
    with torch.enable_grad():
        seen = net.preprocess(images).clone()  # a copy, so that a first in-place layer cannot write into the images
        bottom = seen.grad_fn
        with rectified(rule):  # also while going backward, when a checkpointed part runs again
            with interface.record(net, [] if layer is None else [layer]) as maps:
                scores = net.model(seen)
            values = scores if layer is None else maps.get(layer)
            if values is None:
                raise ValueError(f"layer: {layer!r} is not used when {net.name} reads an image")
            mask = _chosen(values.detach(), channel, unit)
            if rule != "gradient" and (others := activations.others(values, bottom)):
                raise ValueError(
                    f"rule: {rule!r} is defined for ReLU networks only, but {net.name} has {', '.join(others)} between "
                    "the chosen layer and the input; use rule 'gradient'"
                )
            signal = mask if start == "one" else mask * values.detach()
            projection = _downward(values, signal, images)
    return torch.zeros_like(images).detach() if projection is None else projection


def _downward(values: Tensor, signal: Tensor, images: Tensor) -> Tensor | None:
    """As torch.autograd.grad, which switches a mode of functions off while it runs: here the mode stays on."""
    engine = torch.autograd.Variable._execution_engine
    return engine.run_backward((values,), (signal,), False, False, (images,), allow_unreachable=True)[0]


def _chosen(values: Tensor, channel, unit) -> Tensor:
    """A tensor like `values` (N, C, ...) with ones at the chosen units and zeros elsewhere."""
    n, channels = values.shape[:2]
    if values.dim() not in (2, 4):
        raise ValueError(f"layer: it gives {tuple(values.shape)}, expected (N, units) or maps (N, channels, H, W)")
    index = torch.as_tensor(channel, device=values.device)
    if index.is_floating_point() or index.ndim > 1 or index.numel() not in (1, n):
        raise ValueError(f"channel: got {channel}, expected a whole number, one for all images or one for each of {n}")
    index = index.expand(n)
    if bool(((index < 0) | (index >= channels)).any()):
        raise ValueError(f"channel: got {channel}, expected 0 to {channels - 1}")
    mask, rows = torch.zeros_like(values), torch.arange(n, device=values.device)
    if unit is None or values.dim() == 2:
        mask[rows, index] = 1
    elif unit == "max":
        best = values[rows, index].flatten(1).argmax(1)
        mask.flatten(2)[rows, index, best] = 1
    else:
        height, width = values.shape[2:]
        if isinstance(unit, str) or len(unit) != 2:
            raise ValueError(f"unit: got {unit!r}, expected None, 'max' or (row, column)")
        if not (0 <= unit[0] < height and 0 <= unit[1] < width):
            raise ValueError(
                f"unit: got {tuple(unit)}, expected a row in 0 to {height - 1}, a column in 0 to {width - 1}"
            )
        mask[rows, index, unit[0], unit[1]] = 1
    return mask
