"""Which steps between a unit and the input are activations other than a ReLU, which deconvnet and guided
backpropagation say nothing about: read from the backward pass, where no call can hide (ours).

A step is harmless if it is linear in what it reads, or routes, pools or normalises. A product or a quotient of two
things that both depend on the input is neither (x * x, x * sigmoid(x), a gate), but for x divided by a mean, a sum or a
deviation of many values, as normalisations do. What is not known is an activation.
"""

import re

import torch

HARMLESS = re.compile(
    r"(Accumulate|Adaptive(Avg|Max)Pool|Add(mm|mv|bmm)?Backward|Alias|Amax|AsStrided|AvgPool|Baddbmm|Batch|Cat|Clone"
    r"|ConstantPad|Copy|Expand|Identity|Index|MaxPool|Mean|Native|Neg|Permute|PixelShuffle"
    r"|Reflection|Replication|Reshape|Roll|Select|Slice|Split|Squeeze|Stack|Sub|Sum|T(Backward|ranspose)|ToCopy|Unbind"
    r"|Unsafe|Unsqueeze|Upsample|View)"
)
BOTH = re.compile(r"(Mul|Div|Bmm|Mm|Mv|Dot|Linear|Mkldnn|Cudnn|(Slow|Thnn)?_?Conv)")  # linear in one, not in two
MANY = re.compile(r"(Mean|Sum|AvgPool|Adaptive(Avg)?Pool|Var|Std|LinalgVectorNorm|Norm)")  # of many values one
SCALE = re.compile(  # what a mean goes through before it divides
    r"(Pow|Sqrt|Rsqrt|Reciprocal|Add|ClampMin|Squeeze|Unsqueeze|View|Unsafe|Reshape|Expand|Slice|Select|Permute"
    r"|Transpose|Clone|ToCopy|Mul|Div)"
)
INVERSE = re.compile(r"(Rsqrt|Reciprocal|Pow)")
SQUARE = re.compile(r"(Pow|Abs|Mul|View|Unsafe|Reshape|Squeeze|Unsqueeze|ConstantPad|Expand|Clone|Permute)")


def others(values: torch.Tensor, bottom) -> list[str]:
    """Names of the steps of the backward pass from `values` to `bottom`, the grad_fn of the network's input, that are
    neither harmless nor a ReLU of lib.methods.backward.three_rules, sorted; empty if there is none."""
    graph = _between(values.grad_fn, bottom)
    todo, done, found = [values.grad_fn], {bottom, None}, set()
    while todo:
        node = todo.pop()
        if node in done or node not in graph:
            continue
        done.add(node)
        name, before = _name(node), graph[node]
        if isinstance(node, torch.autograd.function.BackwardCFunction):  # written in Python: could be anything
            found |= {_short(name)} - {"Rectify"}
        elif BOTH.match(name) and None not in before[:2] and len(before) > 1:
            before, wrong = _scaled(graph, name, before)
            found |= wrong
        elif name.startswith("Div") and before[0] is None:
            found.add("Div by what depends on the picture")
        elif not (BOTH.match(name) or HARMLESS.match(name)):
            found.add(_short(name))
        todo += before
    return sorted(found)


def _between(top, bottom) -> dict:
    """{step: the steps before it, None in the place of those that no picture reaches} of all from `top` to `bottom`."""
    order, todo, reached = [], [top], {bottom}
    known = {None, bottom}
    while todo:
        node = todo.pop()
        if node not in known:
            known.add(node)
            order.append(node)
            todo += [one for one, _ in node.next_functions]
    changed = True
    while changed:
        before = len(reached)
        for node in reversed(order):
            if any(one in reached for one, _ in node.next_functions):
                reached.add(node)
        changed = len(reached) > before
    return {
        node: [one if one in reached else None for one, _ in node.next_functions] for node in order if node in reached
    }


def _name(node) -> str:
    return node.name().split("::")[-1]


def _short(name: str) -> str:
    return re.sub(r"Backward\w*$", "", name)


def _scaled(graph: dict, name: str, before: list) -> tuple[list, set[str]]:
    """Of a product or quotient of two that depend on the picture: the steps to go on with and, unless one is a scale
    that normalises the other, what it is."""
    pairs = [(before[0], before[1])] if name.startswith("Div") else [(before[0], before[1]), (before[1], before[0])]
    for one, scale in pairs if name.startswith(("Div", "Mul")) else []:
        below = _divisor(graph, scale, name.startswith("Div"))
        if below is not None:
            return [one, *below], set()
    return before, {f"{_short(name)} of two that depend on the picture"}


def _divisor(graph: dict, node, inverse: bool) -> list | None:
    """The steps below the mean of many values that the scale `node` comes from; None if it comes from no mean, or if
    nothing divides by it. inverse: whether it is divided by already."""
    todo, below = [node], []
    while todo:
        one = todo.pop()
        what, before = _name(one), [each for each in graph.get(one, ()) if each is not None]
        if MANY.match(what):
            below += before
        elif SCALE.match(what) and len(before) == 1:
            inverse |= bool(INVERSE.match(what)) or (what.startswith("Div") and graph[one][0] is None)
            todo += before
        else:
            return None
    return [end for one in below for end in _squared(graph, one)] if inverse else None


def _squared(graph: dict, node) -> list:
    """The steps below the square, or the amount, of which a mean is taken."""
    todo, found = [node], []
    while todo:
        one = todo.pop()
        before = {each for each in graph.get(one, ()) if each is not None}
        if SQUARE.match(_name(one)) and len(before) == 1:
            todo += before
        else:
            found.append(one)
    return found
