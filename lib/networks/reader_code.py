"""A reader's Python files, read so that what one imports is what lies beside it: its neighbours before any module of
the same name that was installed, that belongs to this project or lies beside another reader's file.

The files of one spec are modules of a package of its own (`spec_<digest>`, by their content, so that an edited file is
read again), and their import statements, wherever they stand, look there first. Nothing that other code imports
changes. What is found by name at run time (importlib, pickled classes) is looked for there as long as `neighbours`
holds.
"""

import builtins
import importlib
import importlib.util
import sys
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from lib.base import files, identity, paths
from lib.networks import trial


def function(reference: str, folder: Path) -> Callable:
    """What "file.py:name" or "package.module:name" means, looked for in `folder` first. Raises whatever the file raises
    when it is run, FileNotFoundError or AttributeError."""
    source, _, name = reference.rpartition(":")
    if source.endswith(".py"):
        file = (folder / source).resolve()
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {source} in {folder}")
        roots, source = [file.parent, folder], file.stem
    else:
        roots = [folder]
    top = _package([root.resolve() for root in roots], source)
    try:
        with neighbours(roots):
            module = _import(top, source, fromlist=(name,))
    except BaseException:  # what failed is not kept
        for known in [known for known in sys.modules if known.split(".")[0] == top]:
            del sys.modules[known]
        raise
    try:
        return getattr(module, name)
    except AttributeError:
        raise AttributeError(f"{reference.rpartition(':')[0]} has no {name!r}") from None


def sources(reference: str, folder: Path) -> dict[str, str]:
    """{file: digest} of the file that a reference points at and of what it imports or names beside it; empty for a
    module that was installed."""
    source = reference.rpartition(":")[0]
    file = folder / source if source.endswith(".py") else _file(source, folder)
    return identity.beside(file, (folder,)) if file else {}


def _file(source: str, root: Path) -> Path | None:
    """The file of a module's dotted name in `root`, if it is there."""
    place = root.joinpath(*source.split("."))
    return next((one for one in (place.with_suffix(".py"), place / "__init__.py") if one.is_file()), None)


@contextmanager
def neighbours(roots: list[Path]):
    """While a reader's code runs, modules in `roots` can be imported by their own names; they are forgotten after."""
    added = [str(root.resolve()) for root in roots]
    before = dict(sys.modules)
    sys.path += added  # last: nothing that was installed finds a reader's file in the place of its own
    try:
        yield
    finally:
        for folder in added:
            with suppress(ValueError):
                sys.path.remove(folder)
        for name, module in list(sys.modules.items()):
            if name not in before and not name.startswith("spec_") and _lies_in(module, added):
                del sys.modules[name]


def _lies_in(module: ModuleType, folders: list[str]) -> bool:
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), None)
    place = str(Path(file).resolve()) if file else ""
    return any(place.startswith(folder + "/") for folder in folders) and not place.startswith(identity.INSTALLED)


def _package(roots: list[Path], source: str) -> str:
    """The name of the package in which the files of `roots` are modules, made if it is not there."""
    found = next((file for root in roots if (file := _file(source, root))), None)
    content = identity.beside(found, tuple(roots)) if found else {}
    name = f"spec_{files.key_digest({'roots': list(map(str, roots)), 'source': source, 'files': content})[:16]}"
    if name not in sys.modules:
        sys.modules[name] = package = ModuleType(name)
        package.__path__ = list(map(str, roots))
    return name


def _import(top: str, name: str, globals=None, locals=None, fromlist=(), level: int = 0):  # noqa: A002 - as __import__
    """As `__import__`, for a module of the package `top`: names beside it first."""
    if level:
        name = importlib.util.resolve_name("." * level + name, (globals or {}).get("__package__") or top)
    elif not name.startswith(f"{top}."):
        if not _ours(top, name.split(".")[0]):
            return builtins.__import__(name, globals, locals, fromlist, level)
        name = f"{top}.{name}"
    if not name.startswith(top):
        return builtins.__import__(name, globals, locals, fromlist, 0)
    loaded, parts = sys.modules[top], name.split(".")[1:]
    for depth in range(len(parts)):
        loaded = _loaded(top, f"{top}.{'.'.join(parts[: depth + 1])}", loaded)
    if not fromlist:
        return sys.modules[f"{top}.{parts[0]}"] if parts and not level else loaded
    wanted = getattr(loaded, "__all__", ()) if "*" in fromlist else fromlist
    for one in wanted:
        if not hasattr(loaded, one) and hasattr(loaded, "__path__"):
            with suppress(_Absent):
                _loaded(top, f"{loaded.__name__}.{one}", loaded)
    return loaded


class _Absent(ModuleNotFoundError):
    """There is no such module beside a reader's file."""


def _ours(top: str, name: str) -> bool:
    """Whether a name is a neighbour's: a file or a package beside the reader's, or a plain folder that no installed
    package has the name of."""
    if f"{top}.{name}" in sys.modules:
        return True
    found = _spec(f"{top}.{name}", sys.modules[top])
    if found is None or found.loader is not None and found.origin is not None:
        return found is not None
    if name in sys.modules:
        return False
    with suppress(ImportError, ValueError):
        return importlib.util.find_spec(name) is None
    return True


def _spec(name: str, parent: ModuleType) -> ModuleSpec | None:
    return PathFinder.find_spec(name, list(parent.__path__))


def _loaded(top: str, name: str, parent: ModuleType) -> ModuleType:
    """A module beside a reader's file, run once, with import statements of its own."""
    if name not in sys.modules:
        found = _spec(name, parent) if hasattr(parent, "__path__") else None
        if found is None:
            raise _Absent(f"No module named {name.partition('.')[2]!r}", name=name)
        sys.modules[name] = module = importlib.util.module_from_spec(found)
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": partial(_import, top)}
        try:
            if found.loader is not None:
                found.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    setattr(parent, name.rpartition(".")[2], sys.modules[name])
    return sys.modules[name]


def told(error: BaseException) -> str:
    """An exception of a reader's code as part of a sentence; of one that would end Python, with the file that asked."""
    if not isinstance(error, SystemExit):
        return trial.reason(error)
    return (
        f"{_asking(error)} called exit ({trial.reason(error)}): expected a file that can be imported, which parses no "
        'command line and starts nothing unless __name__ == "__main__"'
    )


def _asking(error: SystemExit) -> str:
    """The reader's file that asked to end Python, by the exception's traceback."""
    found, trace = "its code", error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_file() and not str(file.resolve()).startswith((*identity.INSTALLED, str(paths.ROOT / "lib"))):
            found = file.name
        trace = trace.tb_next
    return found
