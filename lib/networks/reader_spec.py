"""A reader's own network, described by a small YAML file:

    factory: net.py:build        # beside this file, or package.module:function; called without arguments -> nn.Module
    size: 224                    # side of the input, pixels
    mean: [0.485, 0.456, 0.406]  # three numbers for RGB in [0, 1], with std, and bgr: true to swap channels afterwards;
    std: [0.229, 0.224, 0.225]   #   or preprocess: net.py:function; or none of them: the network takes RGB in [0, 1]
    classes: imagenet            # or a list of names, or a text file with one name a line, or nothing (numbered)
    layers: {conv5: features.10} # the papers' layer names -> module paths; optional, as is name

Reading it runs the code that it points at: use only files you trust.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from lib.base import files, identity, nearest, paths, strict_yaml
from lib.networks import imagenet
from lib.worlds import imagenet_classes

KEYS = ("factory", "size", "mean", "std", "bgr", "preprocess", "classes", "layers", "name")


def read(path: str | Path, seed: int = 0) -> dict:
    """The keyword arguments of `lib.networks.wrap` for a spec file; ValueError or FileNotFoundError with a sentence."""
    path = Path(path)
    spec = _checked(path)
    if "preprocess" in spec:
        preprocess = _function(path, spec["preprocess"])
    else:
        mean, std = (tuple(spec.get(key, (value,) * 3)) for key, value in (("mean", 0), ("std", 1)))
        preprocess = partial(imagenet.normalise, mean=mean, std=std, bgr=spec.get("bgr", False))
    classes = _class_names(path, spec.get("classes"))
    factory = _function(path, spec["factory"])
    with torch.random.fork_rng(devices=[]), _neighbours(path):
        torch.manual_seed(seed)
        try:
            model = factory()
        except Exception as error:
            raise ValueError(f"{path}: the factory {spec['factory']} raised {reason(error)}") from error
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"{path}: the factory {spec['factory']} returned {type(model).__name__}, expected an nn.Module"
        )
    spec = {"name": path.stem, "layers": {}} | {key: spec[key] for key in ("name", "size", "layers") if key in spec}
    return dict(model=model, preprocess=preprocess, classes=classes, **spec)


def reason(error: Exception) -> str:
    """An exception as part of a sentence: its type and the start of its message."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


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


def _three_numbers(value) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(isinstance(v, int | float) for v in value)


def _text(value) -> bool:
    return isinstance(value, str) and bool(value)


def _reference(value) -> bool:
    return _text(value) and all(value.rpartition(":")[::2])


_REFERENCE = ("file.py:function or package.module:function", _reference)
_EXPECTED = {  # key: what a message says, what is checked
    "factory": _REFERENCE,
    "preprocess": _REFERENCE,
    "size": ("a positive whole number, pixels", lambda v: type(v) is int and v > 0),
    "mean": ("three numbers for RGB in [0, 1]", _three_numbers),
    "std": ("three positive numbers for RGB in [0, 1]", lambda v: _three_numbers(v) and min(v) > 0),
    "bgr": ("true or false", lambda v: isinstance(v, bool)),
    "classes": ('"imagenet", a list of names, or a text file', lambda v: v is None or _text(v) or isinstance(v, list)),
    "layers": (
        "a map from layer names to module paths",
        lambda v: isinstance(v, dict) and all(map(_text, [*v, *v.values()])),
    ),
    "name": ("a name", _text),
}


class _neighbours:
    """While a spec's code runs, the modules beside it can be imported; those that were, here or beside another spec
    under the same name, are read again."""

    def __init__(self, path: Path):
        self.folder = str(path.parent.resolve())

    def __enter__(self):
        sys.path.insert(0, self.folder)
        for file in Path(self.folder).glob("*"):
            loaded = sys.modules.get(file.stem)
            if loaded is not None and file.suffix in (".py", "") and _of_a_reader(loaded):
                for name in [name for name in sys.modules if name.split(".")[0] == file.stem]:
                    del sys.modules[name]

    def __exit__(self, *_):
        sys.path.remove(self.folder)


def _of_a_reader(module) -> bool:
    """Whether a module was read from a folder of the reader's, not installed and not ours."""
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), None)
    inside = (*identity.INSTALLED, str(paths.ROOT / "lib"))
    return bool(file) and not str(Path(file).resolve()).startswith(inside)


def _function(path: Path, reference: str) -> Callable:
    """The function that "file.py:name" or "package.module:name" means; a file is looked up beside the spec file."""
    source, _, name = reference.rpartition(":")
    try:
        with _neighbours(path):
            return getattr(
                _python_file(path.parent / source) if source.endswith(".py") else importlib.import_module(source), name
            )
    except Exception as error:
        raise ValueError(f"{path}: {reference} could not be read: {reason(error)}") from error


def _python_file(path: Path):
    """Run a Python file as a module under a name of its own, read again if it or a file that it imports changed."""
    path = path.resolve()
    name = f"spec_{files.key_digest({'path': str(path), 'files': identity.beside(path)})[:16]}"
    if name not in sys.modules:
        found = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = loaded = importlib.util.module_from_spec(found)
        try:
            found.loader.exec_module(loaded)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _class_names(path: Path, classes) -> tuple[str, ...]:
    if classes == "imagenet":
        return imagenet_classes.imagenet_classes()
    if isinstance(classes, str):
        try:
            return tuple((path.parent / classes).read_text().splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: the class names in {classes} could not be read: {reason(error)}") from error
    return tuple(map(str, classes or ()))
