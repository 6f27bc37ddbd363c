"""How far a patch of the input reaches: a network as a graph of layers, and the window each layer looks through (ours,
for receptive fields and for occlusion)."""

import copy
import operator
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

_LOCAL_MODULES = (
    nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.Threshold, nn.Hardswish, nn.Hardsigmoid,
    nn.Identity, nn.Dropout, nn.Dropout2d, nn.AlphaDropout, nn.BatchNorm2d,
)  # fmt: skip
_LOCAL_FUNCTIONS = {
    F.relu, F.relu_, F.relu6, F.hardtanh, F.leaky_relu, F.elu, F.celu, F.selu, F.gelu, F.silu, F.mish, F.softplus,
    F.hardswish, F.hardsigmoid, F.sigmoid, F.tanh, F.logsigmoid, F.softsign, F.threshold, torch.relu, torch.relu_,
    torch.sigmoid, torch.tanh, torch.clamp, torch.abs, torch.neg, torch.exp, torch.log, torch.sqrt, torch.rsqrt,
    torch.square, torch.pow, torch.add, torch.sub, torch.mul, torch.div, torch.maximum, torch.minimum,
    torch.zeros_like, torch.ones_like, torch.where, operator.add, operator.sub, operator.mul, operator.truediv,
    operator.neg, operator.pow, operator.abs, operator.iadd, operator.isub, operator.imul, operator.itruediv,
    operator.gt, operator.lt, operator.ge, operator.le,
}  # fmt: skip
_LOCAL_METHODS = {
    "relu", "relu_", "clamp", "clamp_", "clamp_min", "clamp_max", "sigmoid", "sigmoid_", "tanh", "tanh_", "abs", "neg",
    "exp", "log", "sqrt", "rsqrt", "square", "pow", "pow_", "add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_",
    "contiguous", "clone", "float", "to", "type_as", "detach", "gt", "lt", "ge", "le", "maximum", "minimum", "where",
}  # fmt: skip
_IDLE = {"stochastic_depth", "drop_path", "dropout", "dropout2d", "alpha_dropout"}  # nothing happens in evaluation
_OUT_OF_PLACE = {
    operator.iadd: operator.add, operator.imul: operator.mul, operator.isub: operator.sub,
    operator.itruediv: operator.truediv,
}  # fmt: skip


class NotTraceable(Exception):
    """The network is no fixed graph of layers; the message says why."""


class Window(NamedTuple):
    """A layer that looks at a window of its input. run: the layer, without padding. Pairs are (rows, columns)."""

    run: Callable[[Tensor], Tensor]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]  # above, left
    fill: float = 0.0  # what stands beyond the border
    work: int = 1  # multiplications for one value

    def reached(self, axis: int, low: np.ndarray, high: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Outputs [low, high) whose windows touch inputs [low, high), on one axis of an output of `length`."""
        kernel, stride, pad = self.kernel[axis], self.stride[axis], self.pad[axis]
        first = (low + pad - kernel) // stride + 1
        last = -((-high - pad) // stride)  # one more than the last
        return np.clip(first, 0, length - 1), np.clip(last, 1, length)


class Layers(NamedTuple):
    """A network as a graph, from source to result."""

    graph: fx.Graph
    source: fx.Node
    result: fx.Node
    run: dict[fx.Node, Callable | None]  # what each node does, never in place
    reached: set[fx.Node]  # the nodes that depend on the input
    dead: dict[fx.Node, list[fx.Node]]  # the values that a node is the last to use
    given: dict[str, fx.Node | None]  # the node that holds each module's output
    modules: dict[str, nn.Module]


class _Tracer(fx.Tracer):
    """Remembers which node every module of the network gave."""

    def __init__(self):
        super().__init__()
        self.given: dict[str, fx.Node | None] = {}

    def call_module(self, m, forward, args, kwargs):
        output = super().call_module(m, forward, args, kwargs)
        path = self.path_of_module(m)
        self.given[path] = None if path in self.given else getattr(output, "node", None)  # twice: no single output
        return output


def trace(model: nn.Module) -> Layers:
    """The layers of `model` (in evaluation mode) by torch.fx; raises NotTraceable, for instance if its forward pass
    branches on values or shapes."""
    tracer = _Tracer()
    try:
        graph = tracer.trace(model)
    except Exception as error:  # whatever a stranger's forward pass raises when it meets a symbol instead of a tensor
        raise NotTraceable(f"torch.fx cannot follow the network: {str(error).splitlines()[0]}") from error
    sources = [node for node in graph.nodes if node.op == "placeholder"]
    (result,) = next(node for node in graph.nodes if node.op == "output").args
    if len(sources) != 1 or not isinstance(result, fx.Node):
        raise NotTraceable("the network's forward pass has more than one argument or result")
    modules = dict(model.named_modules())
    run = {node: _runner(node, model, modules) for node in graph.nodes}
    order = {node: number for number, node in enumerate(graph.nodes)}
    reached, dead = {sources[0]}, {}
    for node in graph.nodes:
        if not reached.isdisjoint(node.all_input_nodes):
            reached.add(node)
        dead.setdefault(max(node.users, key=order.get, default=node), []).append(node)
    return Layers(graph, sources[0], result, run, reached, dead, tracer.given, modules)


def _runner(node: fx.Node, model: nn.Module, modules: dict) -> Callable | None:
    """What `node` does, as a function that leaves its arguments as they are."""
    if node.op == "get_attr":
        return lambda: operator.attrgetter(node.target)(model)
    if node.op == "call_module":
        module = modules[node.target]
        if getattr(module, "inplace", False):
            module = copy.copy(module)  # shares its weights; the network itself stays as it is
            module.inplace = False
        return module
    if node.op not in ("call_function", "call_method"):
        return None
    function = getattr(Tensor, node.target) if node.op == "call_method" else node.target
    function = _OUT_OF_PLACE.get(function, function)
    asked = node.kwargs.get("inplace", False) or any(value is True for value in node.args)
    if asked or getattr(function, "__name__", "").endswith("_"):
        return lambda first, *args, **kwargs: function(first.clone(), *args, **kwargs)
    return function


def is_local(node: fx.Node, network: Layers) -> bool:
    """Whether each position of the node's output depends on that position of its inputs only."""
    if node.op == "call_module":
        module = network.modules[node.target]
        return isinstance(module, _LOCAL_MODULES) and getattr(module, "running_mean", 0) is not None
    if node.op == "call_function" and getattr(node.target, "__name__", "") in _IDLE:
        return True
    if node.op == "call_function" and node.target in (torch.cat, torch.concat):
        return (node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)) in (1, -3)
    return node.target in (_LOCAL_METHODS if node.op == "call_method" else _LOCAL_FUNCTIONS)


def window(node: fx.Node, network: Layers, constants: dict[fx.Node, Tensor]) -> Window | None:
    """The node's window, or None if it has none that is known. constants: values of the nodes that no input reaches."""
    module = network.modules[node.target] if node.op == "call_module" else None

    def arguments(*names: str) -> dict:
        if module is not None:
            return {name: getattr(module, name) for name in names if hasattr(module, name)}
        given = dict(zip(("input", *names), node.args, strict=False)) | dict(node.kwargs)
        return {k: constants.get(v, v) if isinstance(v, fx.Node) else v for k, v in given.items() if k != "input"}

    if isinstance(module, nn.Conv2d) or node.target is torch.conv2d:
        mode = getattr(module, "padding_mode", "zeros")
        return (
            _conv(**arguments("weight", "bias", "stride", "padding", "dilation", "groups")) if mode == "zeros" else None
        )
    if isinstance(module, nn.MaxPool2d) or node.target is F.max_pool2d:
        return _max(**arguments("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"))
    if isinstance(module, nn.AvgPool2d) or node.target is F.avg_pool2d:
        names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
        return _mean(**arguments(*names))
    if isinstance(module, nn.ConstantPad2d):  # ZeroPad2d is one
        return _pad(module.padding, value=module.value)
    return _pad(**arguments("pad", "mode", "value")) if node.target is F.pad else None


def _pair(value) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _conv(weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Window:
    size, stride, dilation = tuple(weight.shape[2:]), _pair(stride), _pair(dilation)
    kernel = tuple(d * (k - 1) + 1 for d, k in zip(dilation, size, strict=True))
    pad = {"valid": (0, 0), "same": tuple((k - 1) // 2 for k in kernel)}.get(str(padding)) or _pair(padding)

    def run(x: Tensor) -> Tensor:
        return F.conv2d(x, weight, bias, stride, 0, dilation, groups)

    return Window(run, kernel, stride, pad, work=weight[0].numel())


def _max(kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False) -> Window | None:
    if return_indices:
        return None
    size, dilation, stride = _pair(kernel_size), _pair(dilation), _pair(stride or kernel_size)
    kernel = tuple(d * (k - 1) + 1 for d, k in zip(dilation, size, strict=True))

    def run(x: Tensor) -> Tensor:
        return F.max_pool2d(x, size, stride, 0, dilation)

    return Window(run, kernel, stride, _pair(padding), -torch.inf)


def _mean(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    size, stride, pad = _pair(kernel_size), _pair(stride or kernel_size), _pair(padding)
    if ceil_mode or (pad != (0, 0) and not count_include_pad):
        return None  # windows at the border then divide by another number

    def run(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, size, stride, 0, divisor_override=divisor_override)

    return Window(run, size, stride, pad)


def _pad(pad, mode="constant", value=None) -> Window | None:
    if mode != "constant" or value not in (None, 0) or len(pad) != 4 or min(pad) < 0:
        return None
    return Window(lambda x: x, (1, 1), (1, 1), (pad[2], pad[0]))
