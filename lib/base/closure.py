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
    root, found = (folder or paths.ROOT).resolve(), {}
    tops = {top for name in names if name.endswith(".py") for top in _outside(_read(root / name)[1])}
    for top in sorted(tops - sys.stdlib_module_names):
        try:
            found[top] = importlib.metadata.version(DISTRIBUTIONS.get(top, top.replace("_", "-")))
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that is not installed
    return found


def remember() -> None:
    """Read every file of the project's lib now: from here on this process knows lib as it stands at this moment."""
    for path in (paths.ROOT / "lib").rglob("*.py"):
        _read(path)


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
    dotted, relative, named = _names(source)
    if folder is not None:
        inside = folder.relative_to(root).parts
        dotted |= {".".join((*inside[: len(inside) - level + 1], name)) for level, name in relative}
    found = {file for name in dotted for file in _file(name, root)}
    beside = [folder / name for name in named if folder and "/" not in name]
    inside = [root / name for name in named if name.startswith("lib/")]
    return found | {str(path.relative_to(root)) for path in beside + inside if path.is_file() and path.suffix != ".py"}


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
def _names(source: str) -> tuple[frozenset, frozenset, frozenset]:
    """Dotted names in lib that a piece of Python imports, what it imports relative to itself (level, name), and the
    strings in it that look like file names."""
    plain = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    dotted, relative, named = set(), set(), set()
    for node in ast.walk(ast.parse(plain)):
        if isinstance(node, ast.Import):
            dotted |= {alias.name for alias in node.names if alias.name.split(".")[0] == "lib"}
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == "lib":
            dotted |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            head = f"{node.module}." if node.module else ""
            relative |= {(node.level, f"{head}{alias.name}") for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            named |= {node.value} if Path(node.value).suffix and "\n" not in node.value else set()
    return frozenset(dotted), frozenset(relative), frozenset(named)


@functools.lru_cache(1024)
def _outside(source: str) -> frozenset[str]:
    """Top-level names of what a piece of Python imports from elsewhere than lib."""
    tops = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            tops |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            tops.add(node.module.split(".")[0])
    return frozenset(tops - {"lib"})
