"""What a thing is, as plain values: everything that decides what it answers, derived from the thing and never typed.

`of` reads networks, autoencoders, functions with what is bound to them, arrays and settings alike. For a module that is
its weights, its structure with every plain attribute, and the code of its classes; for a function its code and what it
closes over. Two things with the same identity give the same answers; an edited mean, an edited forward pass or another
version of a package has another identity.
"""

import functools
import hashlib
import inspect
import os
import pickle
import sys
import sysconfig
import types
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lib.base import closure, files

PLAIN = (bool, int, float, str, bytes, type(None))
OWN = frozenset(vars(nn.Module()))  # what torch keeps in every module: parameters, buffers, parts, hooks, its mode
SPEC = "spec_"  # how the packages begin in which a reader's files are modules (lib/networks/reader_code.py)
INSTALLED = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")})


def of(value):
    """`value` as numbers, strings, lists and dictionaries that can be compared and digested.

    Takes plain values, containers, named tuples, paths, arrays, tensors, torch modules, functions, partials, methods
    and objects with attributes. TypeError for what has no content that could be read, such as an open file.
    """
    return _of(value, ())


def digest(value) -> str:
    """SHA-256 of the identity of `value`, hexadecimal."""
    return files.key_digest({"of": of(value)})


def state_digest(model: nn.Module) -> str:
    """SHA-256 over the names, shapes, types and bytes of a module's parameters and buffers."""
    return _state(model.state_dict().items())


def _state(tensors) -> str:
    found = hashlib.sha256()
    for name, value in sorted(tensors):
        found.update(f"{name} {tuple(value.shape)} {value.dtype};".encode())
        found.update(_bytes(value))
    return found.hexdigest()


def _bytes(value: Tensor) -> bytes:
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _of(value, above: tuple):
    if isinstance(value, PLAIN):
        return value.hex() if isinstance(value, bytes) else value
    if any(value is one for one in above):
        return "itself"  # a part that points back at the whole
    inside = (*above, value)
    if isinstance(value, Tensor):
        return f"tensor {tuple(value.shape)} {value.dtype} {value.device.type} {files.sha256(_bytes(value))}"
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.hasobject:
            return [_of(one, inside) for one in value.ravel().tolist()]
        return f"array {value.shape} {value.dtype} {files.sha256(np.ascontiguousarray(value).tobytes())}"
    if isinstance(value, nn.Module):
        return _module(value, inside)
    if isinstance(value, Mapping):
        return {str(key): _of(one, inside) for key, one in value.items()}
    if hasattr(value, "_asdict"):
        return {"type": type(value).__qualname__} | {key: _of(one, inside) for key, one in value._asdict().items()}
    if isinstance(value, list | tuple | range):
        return [_of(one, inside) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(files.key_digest({"of": _of(one, inside)}) for one in value)
    if isinstance(value, Path | torch.dtype | torch.device | np.dtype | torch.Size | types.ModuleType):
        return str(value)
    if isinstance(value, type):
        return code(value, above)
    if isinstance(value, functools.partial):
        return {"partial": _of([value.func, value.args, value.keywords], inside)}
    if isinstance(value, types.MethodType):
        return {"method": _of(value.__func__, inside), "of": _of(value.__self__, inside)}
    if isinstance(value, types.FunctionType):
        return _function(value, inside)
    if callable(value) and not hasattr(value, "__dict__"):  # a function written in C
        return getattr(value, "__qualname__", None) or type(value).__qualname__
    if attributes := _attributes(value):
        return {"type": code(type(value), inside)} | {key: _of(one, inside) for key, one in sorted(attributes.items())}
    raise TypeError(f"{type(value).__name__} has no identity, expected a plain value, an array, a module or a function")


def _module(model: nn.Module, above: tuple) -> dict:
    """Weights, and for every part its class, its plain attributes and the code that it runs."""
    parts, classes = {}, {}
    for name, part in model.named_modules(remove_duplicate=False):
        attributes = {key: one for key, one in vars(part).items() if key not in OWN}
        hooks = [one for key in ("_forward_hooks", "_forward_pre_hooks") for one in vars(part).get(key, {}).values()]
        parts[name] = {"type": type(part).__qualname__, "attributes": _lenient(attributes, above)}
        parts[name] |= {"hooks": _lenient(hooks, above)} if hooks else {}
        classes[_called(type(part))] = type(part)
    tensors = [*model.named_parameters(), *model.named_buffers()]  # a buffer that is not saved counts as well
    return {
        "weights": _state(tensors),
        "device": str(next((one.device.type for _, one in tensors), "none")),
        "parts": parts,
        "code": {name: code(one) for name, one in sorted(classes.items())},
    }


def _lenient(value, above: tuple):
    """As `_of`; what cannot be read is pickled, and of what cannot be pickled only the type is told, since modules hold
    whatever their authors like."""
    if isinstance(value, Mapping):
        return {str(key): _lenient(one, above) for key, one in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_asdict"):
        return [_lenient(one, above) for one in value]
    try:
        return _of(value, above)
    except (TypeError, RecursionError):
        pass
    try:
        return f"{type(value).__qualname__} {files.sha256(pickle.dumps(value))}"
    except Exception:  # noqa: BLE001 - whatever a stranger's object raises when it is asked for its content
        return type(value).__qualname__


def _attributes(value) -> dict:
    """The attributes of an object, those in slots included."""
    slots = [vars(kind).get("__slots__", ()) for kind in type(value).__mro__]
    names = [name for one in slots for name in ([one] if isinstance(one, str) else one)]
    return {name: getattr(value, name) for name in names if hasattr(value, name)} | getattr(value, "__dict__", {})


def _function(value: types.FunctionType, above: tuple) -> dict:
    cells = dict(zip(value.__code__.co_freevars, map(_content, value.__closure__ or ()), strict=True))
    return {
        "function": _called(value),
        "code": code(value, above),
        "bytes": _compiled(value.__code__),  # two lambdas of one file differ in nothing else
        "closes over": _lenient(cells, above),
        "defaults": _lenient([value.__defaults__, value.__kwdefaults__], above),
    }


def _called(value) -> str:
    """Module and name of a class or a function; what is read for a reader's spec file has the modules' own names."""
    name = f"{value.__module__}.{value.__qualname__}"
    return name.partition(".")[2] if name.startswith(SPEC) else name


def _content(cell: types.CellType):
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _names(value: types.CodeType) -> set[str]:
    """The global names in a function's instructions, and in those of the functions inside it."""
    inner = (one for one in value.co_consts if isinstance(one, types.CodeType))
    return set(value.co_names).union(*map(_names, inner))


def _compiled(value: types.CodeType) -> str:
    """Digest of a function's instructions."""
    constants = [_compiled(one) if isinstance(one, types.CodeType) else _constant(one) for one in value.co_consts]
    return files.sha256(repr((value.co_code, constants, value.co_names)).encode())


def _constant(value) -> str:
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)


def code(value, above: tuple = ()) -> str:
    """Digest of the code behind a class or a function: what it imports of lib if it is ours, the version of its package
    if it was installed, else its file and the files beside it that this imports; where it stands in no file, as in a
    notebook, all that it says."""
    name = getattr(value, "__module__", None) or "builtins"
    if name.split(".")[0] == "lib":
        return _ours(name)
    file = _file(value)
    if file is None:
        return name if name in sys.builtin_module_names else _typed(value, above)
    if str(file.resolve()).startswith(INSTALLED) or "site-packages" in file.parts:
        package = name.split(".")[0]
        return f"{package} {closure.version(package) or sys.version.split()[0]}"
    return files.key_digest(beside(file, _roots(name, file)))


def _roots(name: str, file: Path) -> tuple[Path, ...]:
    """Folders in which a module of this dotted name finds what it imports, but for its own."""
    if name.startswith(SPEC):
        return tuple(map(Path, sys.modules[name.split(".")[0]].__path__))
    up = name.count(".") + (file.name == "__init__.py")
    return (file.resolve().parents[min(up, len(file.resolve().parents) - 1)],)


@functools.cache
def _ours(name: str) -> str:
    return files.key_digest(closure.of_modules(name))


def _file(value) -> Path | None:
    """The file that a class or a function was read from, if it is there."""
    file = getattr(sys.modules.get(getattr(value, "__module__", None) or "builtins"), "__file__", None)
    if not file:
        try:
            file = inspect.getsourcefile(value)
        except (TypeError, OSError):
            return None
    return Path(file) if file and Path(file).is_file() else None


def _typed(value, above: tuple) -> str:
    """Digest of a class or a function that stands in no file: all that it says, and what the names in it stand for."""
    if isinstance(value, types.FunctionType):
        mentioned = {name: value.__globals__[name] for name in _names(value.__code__) if name in value.__globals__}
        return files.key_digest({"bytes": _compiled(value.__code__), "names": _lenient(mentioned, (*above, value))})
    if not isinstance(value, type) or any(value is one for one in above):
        return type(value).__qualname__  # written in C; or a method that calls super() and so holds its own class
    inside = (*above, value)
    bases = [code(base, inside) for base in value.__bases__]
    parts = {key: one for key, one in vars(value).items() if key not in ("__dict__", "__weakref__", "__module__")}
    functions = {key: getattr(one, "__func__", getattr(one, "fget", one)) for key, one in parts.items()}
    return files.key_digest({"name": value.__qualname__, "bases": bases, "parts": _lenient(functions, inside)})


def beside(file: Path, roots: tuple[Path, ...] = ()) -> dict[str, str]:
    """{file: digest} of a Python file, of the files that it imports from its folder or from `roots`, directly or not,
    and of the data files that these name. Files are called by their way from the first one's folder."""
    start = file.resolve()
    places, found, todo = (start.parent, *(root.resolve() for root in roots)), {}, [start]
    while todo:
        path = todo.pop()
        if (name := os.path.relpath(path, start.parent)) in found:
            continue
        found[name] = _digest(path)
        if path.suffix == ".py":
            todo += [one for one in _used(path, places) if any(one.is_relative_to(place) for place in places)]
    return dict(sorted(found.items()))


def _digest(path: Path) -> str:
    state = path.stat()
    return _digest_once(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(1024)
def _digest_once(path: Path, changed: int, size: int) -> str:
    return files.file_digest(path)


def _used(file: Path, roots: tuple[Path, ...]) -> list[Path]:
    """Files that a Python file may import, looked for from `roots`, and those that it names."""
    try:
        content = file.read_text(encoding="utf-8")
        names, texts = closure.imports(content), closure.file_names(content)
    except (SyntaxError, ValueError):
        return []
    found = [place / text for text in texts for place in (file.parent, *roots)]
    for level, name in names:
        up = Path(*file.parent.parts[: len(file.parent.parts) - level + 1])
        for place in [up] if level else roots:
            for part in name.split("."):
                place = place / part
                found += [place.with_suffix(".py"), place / "__init__.py"]
    return [one.resolve() for one in found if _is_file(one)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text that is no name of a file
        return False
