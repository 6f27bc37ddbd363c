"""One trial of a network that someone else made, when it is loaded: what would make its answers wrong, or stop a method
halfway, is found out with a few passes and told in one sentence that says what was found and what to do."""

import copy
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

CLOSE = 1e-4  # of the largest score: two passes that differ by less differ by rounding
SHARE = 0.02  # of the difference between two pictures: as much as a picture's answer may depend on others
FAINT = 0.02  # a picture of noise whose values vary by less of their mean has become one flat grey


class Trial(NamedTuple):
    """What was found out about a network that passed."""

    outputs: int  # scores an image
    preprocess: Callable  # as given; on a copy of the images if it, or the network, writes into them
    channels: dict[str, int]  # module path: the axis of its channels, where it is not 1; 0 if it gives no maps
    gradient: str  # why no gradient reaches the image; '' if one does


def tried(model: nn.Module, preprocess: Callable, name: str, size: int, device="cpu", known: bool = False) -> Trial:
    """Try a frozen network in evaluation mode on two pictures of noise, together and the first alone.

    known: one whose behaviour is known; it is only asked for the shape of its scores. ValueError, in one sentence, for
    a network whose answers are no logits (N, classes >= 2), are not finite, or depend on the pass or on other images.
    """
    pictures = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    with _as_it_was():
        drawn, seen = torch.get_rng_state(), pictures.clone()
        scores = _asked(model, preprocess, name, seen)
        _check_shape(scores, name)
        if not torch.equal(seen, pictures):
            preprocess = partial(on_a_copy, before=preprocess)
        ask = partial(_asked, model, preprocess, name)
        if known:
            return Trial(scores.shape[1], preprocess, {}, "")
        random = not torch.equal(drawn, torch.get_rng_state())
        _check_values(model, scores, name)
        _check_preprocess(preprocess(pictures.clone()), name)
        alone, maps, gradient = _alone(model, ask, pictures[:1])
        _check_alike(ask, pictures, scores, alone, random, name)
        return Trial(scores.shape[1], preprocess, layout(model, preprocess(pictures[:1].clone()), maps), gradient)


def on_a_copy(images: Tensor, before: Callable) -> Tensor:
    """`before` on a copy of the images, which it may write into."""
    return before(images.clone())


def reason(error: BaseException) -> str:
    """An exception as part of a sentence: its type and the start of its message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


@contextmanager
def _as_it_was():
    """No gradients, and no inference mode either, whose tensors a network that keeps one could not use later; random
    numbers and the switch of gradients are afterwards as they were."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        yield


def _asked(model: nn.Module, preprocess: Callable, name: str, pictures: Tensor):
    try:
        return model(preprocess(pictures))
    except (Exception, SystemExit) as error:
        many = {1: "one picture", 2: "two pictures"}[len(pictures)]
        told = f"{name} raised {reason(error)} on {many} of noise of shape {tuple(pictures.shape[1:])}"
        if len(pictures) == 1:
            told += ", though it answers two: expected the same answer for a batch of one (does it squeeze that axis?)"
        elif "Half" in str(error) or "BFloat16" in str(error) or "Double" in str(error):
            told += "; it is used in single precision here: call .float() on what it and its preprocess make"
        raise ValueError(told) from error


def _check_shape(scores, name: str) -> None:
    shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[0] != 2:
        lone = "" if isinstance(shape, tuple) else ": let its forward pass return the logits alone"
        raise ValueError(
            f"{name} answers two images with {shape}, expected logits of shape (2, number of classes){lone}"
        )
    if not scores.is_floating_point():
        raise ValueError(f"{name} answers with {scores.dtype}, expected logits, floating-point numbers")
    if shape[1] < 2:
        raise ValueError(
            f"{name} gives {shape[1]} number an image, expected logits of at least two classes, since the softmax of "
            "one number is always 1: put a 0 before it, torch.cat([torch.zeros_like(x), x], 1), for 'no' and 'yes'"
        )


def _check_values(model: nn.Module, scores: Tensor, name: str) -> None:
    if not torch.isfinite(scores).all():
        tensors = [*model.named_parameters(), *model.named_buffers()]
        bad = [path for path, one in tensors if one.is_floating_point() and not torch.isfinite(one).all()]
        where = f"its weights hold NaN or infinity in {', '.join(bad[:3])}" if bad else "its weights are all finite"
        raise ValueError(f"{name} answers pictures of noise with NaN or infinity ({where}), expected finite logits")
    if scores.min() >= 0 and scores.max() <= 1 and (scores.sum(1) - 1).abs().max() < CLOSE:
        raise ValueError(
            f"{name} gives probabilities (each row lies in 0 to 1 and sums to one), expected logits: leave out the "
            "softmax at its end, since a softmax is taken of what it gives"
        )


def _check_preprocess(given, name: str) -> None:
    """A mean or a deviation of 0 ... 255 turns pictures in [0, 1] into a flat grey."""
    if isinstance(given, Tensor) and given.is_floating_point() and given.ndim == 4 and given[0, 0].numel() > 1:
        values = given[0].double().flatten(1)
        if (values.std(1) < FAINT * values.mean(1).abs()).all():
            raise ValueError(
                f"{name}: of noise in [0, 1] its preprocess makes values from {given.min():.3g} to {given.max():.3g}, "
                "almost one flat grey: expected a mean and a deviation for RGB in [0, 1] (divide those of 0 ... 255 "
                "by 255)"
            )


def _alone(model: nn.Module, ask: Callable, picture: Tensor) -> tuple:
    """The answer to one picture by itself, the maps on the way (`_maps`), and why no gradient reaches the picture (''
    if one does): all from one pass, if that can be had with gradients."""
    seen, told = picture.clone().requires_grad_(), ""
    try:
        with torch.enable_grad():
            maps, alone = _maps(model, lambda: ask(seen))
            if not alone.requires_grad:
                told = "its scores do not carry one, as under no_grad, after detach() or by way of NumPy"
            else:
                (slope,) = torch.autograd.grad(alone.flatten()[0], seen, allow_unused=True)
                told = "its scores do not depend on the picture by any" if slope is None else _wrong(slope)
    except (Exception, SystemExit) as error:
        told = reason(error.__cause__ or error)
        with torch.no_grad():
            maps, alone = _maps(model, lambda: ask(picture.clone()))
    return alone, maps, told


def _wrong(slope: Tensor) -> str:
    return "" if torch.isfinite(slope).all() else "it is NaN or infinite on a picture of noise"


def _check_alike(ask: Callable, pictures: Tensor, scores: Tensor, alone, random: bool, name: str) -> None:
    if tuple(getattr(alone, "shape", ())) != (1, scores.shape[1]):
        found = tuple(alone.shape) if isinstance(alone, Tensor) else type(alone).__name__
        raise ValueError(
            f"{name} answers one image with {found}, expected {(1, scores.shape[1])} as for one among others: it loses "
            "the axis of a batch of one; name the axes where it squeezes, or flatten(1)"
        )
    close = CLOSE * float(scores.abs().max())
    limit = max(close, SHARE * float((scores[0] - scores[1]).abs().max()))
    other = not (gap := float((alone - scores[:1]).abs().max())) <= limit
    again = [ask(pictures.clone()) for _ in range(9 if random else int(other))]  # random numbers may rarely matter
    if again and not (moved := float((torch.stack(again) - scores).abs().max())) <= close:
        raise ValueError(
            f"{name} answers the same images differently each time (by {moved:.2g}): something random is active in "
            "evaluation, as F.dropout without training=self.training"
        )
    if other:
        raise ValueError(
            f"{name} answers an image differently alone and beside another (by {gap:.2g}): expected answers that do "
            "not depend on the batch, as of batch normalisation with running statistics (track_running_stats=True)"
        )


# ------------------------------------------------------------------------------------------ which axis is what

LAST = (nn.Linear, nn.LayerNorm, nn.Embedding)
FIRST = (
    nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LocalResponseNorm,
    nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd, nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd, nn.Dropout2d, nn.Upsample, nn.PixelShuffle,
)  # fmt: skip


class _Map(NamedTuple):
    shape: tuple
    read: Tensor | None
    answer: Tensor


def layout(model: nn.Module, seen: Tensor, once: Mapping[str, _Map] | None = None) -> dict[str, int]:
    """Which axis of each module's maps holds their channels: {module path: axis} where it is not axis 1; 0 where the
    four axes are not those of maps. seen: an input (1, C, H, W) of the network; once: the maps of a pass on it.

    By experiment: the network reads its input as it is and beside itself, twice as wide. The axis that becomes longer
    is that of columns: axis 3 of (N, C, H, W), axis 2 of (N, H, W, C). Where that shows nothing, as for a network that
    reads one size alone, a module's kind tells, or what it reads.
    """
    if not isinstance(seen, Tensor) or seen.ndim != 4:
        return {}
    with torch.no_grad(), suppress(Exception):
        once = once or _maps(model, lambda: model(seen))[0]
    wide = {}
    with torch.no_grad(), suppress(Exception):  # a network of one size
        changed = copy.deepcopy(model)  # one that keeps what it made for this size keeps it
        _maps(changed, lambda: changed(torch.cat([seen, seen], 3)), wide)
    return _told(model, once or {}, {path: one.shape for path, one in wide.items()})


def _maps(model: nn.Module, run: Callable, found: dict | None = None) -> tuple[dict[str, _Map], object]:
    """What every module that gives four axes gives while `run()` reads a picture, in the order in which they answer;
    and what `run` returns. found: filled on the way, also if the pass ends early."""
    found, handles = {} if found is None else found, []

    def note(part, inputs, output, path):
        if isinstance(output, Tensor) and output.ndim == 4:
            read = inputs[0] if inputs and isinstance(inputs[0], Tensor) else None
            found.setdefault(path, _Map(tuple(output.shape), read, output))

    try:
        for path, part in model.named_modules():
            if path:
                handles.append(part.register_forward_hook(partial(note, path=path)))
        return found, run()
    finally:
        for handle in handles:
            handle.remove()


def _told(model: nn.Module, once: Mapping[str, _Map], twice: Mapping[str, tuple]) -> dict[str, int]:
    parts, axes, of = dict(model.named_modules()), {}, {}
    for path, (shape, read, answer) in once.items():
        wide = twice.get(path, shape)
        longer = [axis for axis in range(4) if wide[axis] != shape[axis]]
        if longer:
            axes[path] = {3: 1, 2: 3}.get(longer[0], 0) if len(longer) == 1 else 0
        elif isinstance(parts[path], LAST + FIRST):
            axes[path] = 3 if isinstance(parts[path], LAST) else 1
        elif id(answer) in of:  # a block answers what its last part does
            axes[path] = of[id(answer)]
        elif read is not None and read.shape == answer.shape and id(read) in of:
            axes[path] = of[id(read)]
        else:
            axes[path] = 0 if any(axis != 1 for axis in axes.values()) else 1
        of[id(answer)] = axes[path]
    return {path: axis for path, axis in axes.items() if axis != 1}
