"""The house: which room of lib may import which, so that a reader finds the methods and nothing goes round."""

import ast
import json

import pytest
from conftest import ROOT

from lib.running import house
from lib.running.house import ROOMS

FILES = {path.relative_to(ROOT / "lib"): ast.parse(path.read_text()) for path in sorted((ROOT / "lib").rglob("*.py"))}
OURS = {"_asdict", "_fields", "_replace", "_make"}  # of named tuples


def imports(tree: ast.AST) -> list[tuple[str, ...]]:
    """(room, module, ...) of everything in lib that a file imports, wherever the import stands."""
    found = []
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        head = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        found += [tuple(f"{head}{name}".split(".")[1:]) for name in names if f"{head}{name}".startswith("lib.")]
    return found


def module_of(path: tuple[str, ...]) -> str:
    """lib's file that a dotted name leads to, as "room/module"."""
    for end in range(len(path), 0, -1):
        if (ROOT / "lib" / "/".join(path[:end])).with_suffix(".py").is_file():
            return "/".join(path[:end])
    return "/".join((*path, "__init__"))


def test_every_file_lies_in_a_room():
    assert {path.parts[0] for path in FILES if len(path.parts) > 1} == set(ROOMS)
    assert [str(path) for path in FILES if len(path.parts) == 1] == ["__init__.py"]


@pytest.mark.parametrize("path", [path for path in FILES if len(path.parts) > 1], ids=str)
def test_imports_go_one_way(path):
    for other in imports(FILES[path]):
        assert ROOMS.index(other[0]) <= ROOMS.index(path.parts[0]), f"{path} imports {'.'.join(other)}"
        if path.parts[0] == other[0] == "experiments":
            own, room = path.parts[1], other[1]
            assert room in ("shared", own) or own != "shared" and room < own, f"{path} imports {'.'.join(other)}"
        if path.parts[0] == "methods":
            assert other[0] != "record" or other[1] == "uncertainty", f"{path} imports {'.'.join(other)}"


def test_no_import_goes_round():
    arrows = {str(path.with_suffix("")): {module_of(other) for other in imports(FILES[path])} for path in FILES}
    done, way = set(), []

    def visit(name: str) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name in done:
            return
        way.append(name)
        for other in sorted(arrows.get(name, ())):
            visit(other)
        done.add(way.pop())

    for name in arrows:
        visit(name)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_nothing_private_is_used_from_outside(path):
    modules = {other[-1] for other in imports(FILES[path])}
    for node in ast.walk(FILES[path]):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            assert not node.attr.startswith("_") or node.attr in OURS, f"{path} uses {node.value.id}.{node.attr}"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lib."):
            assert not [alias.name for alias in node.names if alias.name.startswith("_")], f"{path}: {node.module}"


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[0] == "methods"], ids=str)
def test_methods_know_nothing_of_claims_notebooks_profiles_or_caches(path):
    assert {other[1] for other in imports(FILES[path]) if other[0] == "base"} <= {"identity", "nearest", "weights"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_holds_and_so_does_the_readme(room):
    text = ast.get_docstring(FILES[next(path for path in FILES if path.parts == (room, "__init__.py"))])
    assert text and text.splitlines()[0].endswith(".")
    assert f"| [`{room}`](lib/{room}) | {text.splitlines()[0]} |" in (ROOT / "README.md").read_text()


def test_the_picture_in_the_readme_is_that_of_the_sources():
    drawn, now = json.loads((ROOT / "figures/house.json").read_text()), house.measured()
    same = drawn["rooms"] == now["rooms"] and drawn["imports"].keys() == now["imports"].keys()
    assert same, "lib has changed: `python -m lib.running.house` draws the picture again"
    assert "figures/house.png" in (ROOT / "README.md").read_text()
