"""What a piece of code depends on: every file of lib that it imports, directly or not, and the packages behind them.

Found by reading the sources, wherever in them an import stands, so that nothing has to be listed by hand: a notebook is
stale and a cached answer is forgotten when one of these files changes.
"""

import ast
import functools
import importlib.metadata
import sys
from pathlib import Path

from lib.base import files, paths

DISTRIBUTIONS = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "PyYAML"}


def closure(sources: list[str], folder: Path | None = None) -> dict[str, str]:
    """{file, relative to `folder`: digest} of everything in lib that the `sources` import, directly or not.

    sources: Python texts, such as a notebook's code cells. A data file that lies beside a module which names it (the
    figure style) belongs to that module, and a module's packages belong to it. folder: where lib lies, by default the
    project's own root.
    """
    root = (folder or paths.ROOT).resolve()
    found, todo = {}, {name for source in sources for name in _wanted(source, root, None)}
    todo |= _file("lib", root)
    while todo:
        name = todo.pop()
        content = _read(root / name)
        found[name] = content[0]
        if name.endswith(".py"):
            todo |= _wanted(content[1], root, (root / name).parent) - set(found)
    return dict(sorted(found.items()))


def of_modules(*names: str, folder: Path | None = None) -> dict[str, str]:
    """The closure of modules of lib ("lib.methods.signals.total_order"), they themselves included."""
    return closure([f"import {name}" for name in names], folder)


def packages(names: dict[str, str], folder: Path | None = None) -> dict[str, str]:
    """{distribution: installed version} of the third-party packages that the files `names` of a closure import."""
    root = (folder or paths.ROOT).resolve()
    sources = (_read(root / name)[1] for name in names if name.endswith(".py"))
    tops = {name.split(".")[0] for source in sources for level, name in imports(source) if not level}
    found = {top: version(top) for top in sorted(tops - sys.stdlib_module_names - {"lib"})}
    return {top: number for top, number in found.items() if number}


def version(package: str) -> str:
    """The installed version of the package that is imported under this name; empty if it is not installed."""
    try:
        return importlib.metadata.version(DISTRIBUTIONS.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        return ""


def everything() -> dict[str, str]:
    """{file: digest} of all of lib. From the first call on this process knows lib as it stood then."""
    return {str(path.relative_to(paths.ROOT)): _read(path)[0] for path in sorted((paths.ROOT / "lib").rglob("*.py"))}


def _read(path: Path) -> tuple[str, str]:
    """Digest and text of a file; of lib itself as it was first read, elsewhere read again when it has changed."""
    if path.is_relative_to(paths.ROOT / "lib"):
        return _read_once(path, 0, 0)
    state = path.stat()
    return _read_once(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(1024)
def _read_once(path: Path, changed: int, size: int) -> tuple[str, str]:
    content = path.read_bytes()
    return files.sha256(content), content.decode("utf-8") if path.suffix == ".py" else ""


def _wanted(source: str, root: Path, folder: Path | None) -> set[str]:
    """Files of lib, relative to `root`, that a piece of Python which lies in `folder` imports or names."""
    found = set()
    for level, name in imports(source):
        if level and folder is not None:
            inside = folder.relative_to(root).parts
            name = ".".join((*inside[: len(inside) - level + 1], name))
        if name.split(".")[0] == "lib":
            found |= _file(name, root)
    named = file_names(source)
    data = [folder / name for name in named if folder and "/" not in name]
    data += [root / name for name in named if name.startswith("lib/")]
    return found | {str(path.relative_to(root)) for path in data if path.is_file() and path.suffix != ".py"}


def _file(name: str, root: Path) -> set[str]:
    """The file of a dotted name, with those of the packages it lies in; a name inside a module is the module's."""
    found, place, parts = set(), root, name.split(".")
    for part in parts:
        place = place / part
        if place.with_suffix(".py").is_file():
            return found | {str(place.with_suffix(".py").relative_to(root))}
        if not (place / "__init__.py").is_file():
            return found
        found.add(str((place / "__init__.py").relative_to(root)))
    return found


@functools.lru_cache(1024)
def _parsed(source: str) -> ast.Module:
    """A piece of Python, a notebook's magic lines left out."""
    lines = ("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    return ast.parse("\n".join(lines))


@functools.lru_cache(1024)
def imports(source: str) -> frozenset[tuple[int, str]]:
    """(level, dotted name) of everything that a piece of Python imports, wherever the import stands; a name that is
    imported from a module has the module's before it. level: how many folders up a relative import begins, 0 for none.
    """
    found = set()
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Import):
            found |= {(0, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            head = f"{node.module}." if node.module else ""
            found |= {(node.level, f"{head}{alias.name}") for alias in node.names}
    return frozenset(found)


@functools.lru_cache(1024)
def file_names(source: str) -> frozenset[str]:
    """The strings in a piece of Python that look like file names."""
    strings = (node.value for node in ast.walk(_parsed(source)) if isinstance(node, ast.Constant))
    texts = (text for text in strings if isinstance(text, str) and len(text) < 200 and "\n" not in text)
    return frozenset(text for text in texts if Path(text).suffix)
