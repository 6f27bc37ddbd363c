"""A reader's own network, described by a small YAML file:

    factory: net.py:build        # beside this file, or package.module:function; called without arguments -> nn.Module
    size: 224                    # side of the input, pixels
    mean: [0.485, 0.456, 0.406]  # three numbers for RGB in [0, 1], with std, and bgr: true to swap channels afterwards;
    std: [0.229, 0.224, 0.225]   #   or preprocess: net.py:function; or none of them: the network takes RGB in [0, 1]
    classes: imagenet            # or a list of names, or a text file with one name a line, or nothing (numbered)
    layers: {conv5: features.10} # the papers' layer names -> module paths; optional, as is name

Reading it runs the code that it points at: use only files you trust.
"""

import math
import random
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import nn

from lib.base import nearest, strict_yaml
from lib.networks import imagenet, reader_code, trial
from lib.worlds import imagenet_classes

KEYS = ("factory", "size", "mean", "std", "bgr", "preprocess", "classes", "layers", "name")


def read(path: str | Path, seed: int = 0) -> dict:
    """The keyword arguments of `lib.networks.wrap` for a spec file; ValueError or FileNotFoundError with a sentence."""
    path = Path(path).expanduser()
    spec = _checked(path)
    if "preprocess" in spec:
        preprocess = _function(path, spec["preprocess"])
    else:
        mean, std = (tuple(spec.get(key, (value,) * 3)) for key, value in (("mean", 0), ("std", 1)))
        preprocess = partial(imagenet.normalise, mean=mean, std=std, bgr=spec.get("bgr", False))
    classes = _class_names(path, spec.get("classes"))
    factory = _function(path, spec["factory"])
    with _as_it_was(), reader_code.neighbours([path.parent]):
        torch.manual_seed(seed)
        try:
            model = factory if isinstance(factory, nn.Module) else factory()
        except (Exception, SystemExit) as error:
            raise ValueError(f"{path}: the factory {spec['factory']} raised {reader_code.told(error)}") from error
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"{path}: the factory {spec['factory']} returned {type(model).__name__}, expected an nn.Module"
        )
    spec = {"name": path.stem, "layers": {}} | {key: spec[key] for key in ("name", "size", "layers") if key in spec}
    return dict(model=model, preprocess=preprocess, classes=classes, **spec)


def sources(path: str | Path) -> dict[str, str]:
    """{file: digest} of the code that a spec file points at: the files of its factory and its preprocess, and what they
    import or name beside them. Errors as for `read`."""
    path = Path(path).expanduser()
    spec = _checked(path)
    found = {}
    for key in ("factory", "preprocess"):
        if key in spec:
            found |= reader_code.sources(spec[key], path.parent)
    return found


@contextmanager
def _as_it_was():
    """What a reader's code may set for the whole process is afterwards as it was: random numbers, the precision of new
    tensors, whether gradients are kept."""
    kind, kept, state = torch.get_default_dtype(), torch.is_grad_enabled(), random.getstate()
    drawn = np.random.get_state()  # noqa: NPY002 - the old global generator, which the reader's code may use
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            torch.set_default_dtype(kind)
            torch.set_grad_enabled(kept)
            random.setstate(state)
            np.random.set_state(drawn)  # noqa: NPY002


def _checked(path: Path) -> dict:
    """The content of a spec file once every key and type is known to be right."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no spec file {path}")
    spec = strict_yaml.read(path)
    if not {"factory", "size"} <= spec.keys():
        raise ValueError(f"{path} needs the keys factory and size, and may have {', '.join(KEYS[2:])}")
    for key, value in spec.items():
        if key not in KEYS:
            raise ValueError(f"{path} has the unknown key {key!r}; nearest: {nearest.ranked(str(key), KEYS)}")
        kind, is_right = _EXPECTED[key]
        if not is_right(value):
            raise ValueError(f"{path}: {key} is {value!r}, expected {kind}")
    if "preprocess" in spec and spec.keys() & {"mean", "std", "bgr"}:
        raise ValueError(f"{path} has preprocess as well as mean, std or bgr; expected one or the other")
    return spec


def _three_numbers(value, least: float, most: float) -> bool:
    numbers = isinstance(value, list) and len(value) == 3 and all(type(v) in (int, float) for v in value)
    return numbers and all(math.isfinite(v) and least <= v <= most for v in value)


def _text(value) -> bool:
    return isinstance(value, str) and bool(value)


def _reference(value) -> bool:
    return _text(value) and all(value.rpartition(":")[::2])


SCALE = " (of 0 ... 255: divided by 255)"
_REFERENCE = ("file.py:function or package.module:function", _reference)
_EXPECTED = {  # key: what a message says, what is checked
    "factory": _REFERENCE,
    "preprocess": _REFERENCE,
    "size": (
        "a positive whole number, pixels, the side of a square (for other shapes, a preprocess that resizes to them)",
        lambda v: type(v) is int and v > 0,
    ),
    "mean": (f"three numbers for RGB in [0, 1]{SCALE}", lambda v: _three_numbers(v, -1, 1)),
    "std": (f"three positive numbers for RGB in [0, 1]{SCALE}", lambda v: _three_numbers(v, 0, 16) and min(v) > 0),
    "bgr": ("true or false", lambda v: isinstance(v, bool)),
    "classes": ('"imagenet", a list of names, or a text file', lambda v: v is None or _text(v) or isinstance(v, list)),
    "layers": (
        "a map from layer names to module paths, in quotes where they are numbers",
        lambda v: isinstance(v, dict) and all(map(_text, [*v, *v.values()])),
    ),
    "name": ("a name", _text),
}


def _function(path: Path, reference: str) -> Callable:
    """The function that "file.py:name" or "package.module:name" means; a file is looked up beside the spec file."""
    try:
        with _as_it_was():
            found = reader_code.function(reference, path.parent)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{path}: {reference} could not be read: {reader_code.told(error)}") from error
    if not callable(found):
        raise ValueError(f"{path}: {reference} is {type(found).__name__}, expected a function")
    return found


def _class_names(path: Path, classes) -> tuple[str, ...]:
    if classes == "imagenet":
        return imagenet_classes.imagenet_classes()
    if isinstance(classes, str):
        try:
            names = (path.parent / classes).expanduser().read_text(encoding="utf-8-sig").rstrip().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            said = f"the class names in {classes} could not be read: {trial.reason(error)}"
            raise ValueError(f"{path}: {said}; expected a text file in UTF-8") from error
        names = [name.strip() for name in names]
        if not names or "" in names:
            found = f"line {names.index('') + 1} is empty" if names else "it is empty"
            raise ValueError(f"{path}: the class names in {classes}: {found}, expected one name a line")
    else:
        names = _as_written(path) if classes else []
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        warnings.warn(
            f"{path}: more than one class is called {', '.join(twice[:3])}: by such a name only the first is found",
            stacklevel=4,
        )
    return tuple(names)


def _as_written(path: Path) -> list[str]:
    """A list of class names letter by letter: YAML would take yes, null, 010 or 1e3 for something else than a name."""
    names = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)["classes"]  # noqa: S506 - texts only
    if wrong := [name for name in names if not isinstance(name, str) or not name.strip()]:
        raise ValueError(f"{path}: classes holds {wrong[0]!r}, expected names")
    return [name.strip() for name in names]
