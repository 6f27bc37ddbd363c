"""Why a notebook must run again: a key made of its code cells, its parameters, the parts of lib it imports, its inputs.

Contents are compared, never dates or outputs, so neither `git checkout` nor an edited paragraph makes a notebook stale.
"""

import ast
import functools
import glob
import json
import tomllib
from pathlib import Path

import yaml

from lib import files, paths

FOLDER = Path(__file__).resolve().parent
SHOWN = 4  # names of what changed that a reason lists


def notebook_key(path: Path, entry: dict, values: dict, jobs: dict[str, dict]) -> dict:
    """The key of a notebook; `values` are its checked parameters, `jobs` the keys of the jobs that it needs."""
    cells = code_cells(json.loads(path.read_text(encoding="utf-8")))
    return {
        "code": files.key_digest({"cells": cells}),
        "parameters": values,
        "lib": modules(cells),
        "inputs": inputs(entry) | {f"job {name}": files.key_digest(key) for name, key in jobs.items()},
        "declared": {field: entry[field] for field in ("claims", "figures", "jobs", "after")},
        "packages": packages(),
    }


def job_key(name: str, users: dict[str, dict], values: dict[str, dict]) -> dict:
    """The key of the job `lib.<name>`; `users` are the index entries of the notebooks that need it."""
    read = {}
    for notebook in users:
        read |= inputs(users[notebook] | {"claims": []})
    return {
        "parameters": {notebook: values[notebook] for notebook in users},
        "lib": modules([f"from lib import {name}"]),
        "inputs": read,
        "packages": packages(),
    }


def code_cells(notebook: dict) -> list[str]:
    """Sources of the code cells of a notebook read as JSON, without the cell that papermill injects."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    cells = [cell for cell in cells if "injected-parameters" not in cell.get("metadata", {}).get("tags", [])]
    return ["".join(cell["source"]) for cell in cells]


def modules(sources: list[str], folder: Path = FOLDER) -> dict[str, str]:
    """{file in lib: digest} of everything in lib that `sources` import, directly or not, wherever the import stands.

    A data file that lies in lib (the figure style) belongs to the module that names it. lib/__init__.py always counts.
    """
    known = {path.name for path in folder.iterdir() if path.is_file()}
    found, todo = {}, [("", source) for source in sources] + [("__init__.py", None)]
    while todo:
        name, source = todo.pop()
        if source is None:
            if name in found:
                continue
            found[name] = files.file_digest(folder / name)
            if not name.endswith(".py"):
                continue
            source = (folder / name).read_text(encoding="utf-8")
        todo += [(other, None) for other in _mentioned(source, known) - set(found)]
    return dict(sorted(found.items()))


def _mentioned(source: str, known: set[str]) -> set[str]:
    """Those of the `known` files of lib that a piece of Python imports or names."""
    return {known_name for name in _names(source) for known_name in (name, f"{name}.py") if known_name in known}


@functools.cache  # every notebook and job asks for much the same modules: a tenth of the time
def _names(source: str) -> frozenset[str]:
    plain = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    names = set()
    for node in ast.walk(ast.parse(plain)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("lib.")}
        elif isinstance(node, ast.ImportFrom):
            module = (node.module or "").split(".")
            inside = module[1:] if module[0] == "lib" and not node.level else module if node.level else None
            if inside is not None:
                names |= {inside[0]} if inside and inside[0] else {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and Path(node.value).suffix:
            names.add(node.value)
    return frozenset(names)


def inputs(entry: dict) -> dict[str, str]:
    """Digests of the files that an entry names as inputs, and of the claims that it must record."""
    found = {}
    for pattern in entry["inputs"]:
        for name in sorted(glob.glob(pattern, root_dir=paths.ROOT, recursive=True)):
            if (paths.ROOT / name).is_file():
                found[name] = files.file_digest(paths.ROOT / name)
    claims = _parsed((paths.ROOT / "data/claims.yaml").read_text(encoding="utf-8")) if entry["claims"] else {}
    return found | {f"claim {name}": files.key_digest({"rule": claims.get(name)}) for name in entry["claims"]}


@functools.cache
def _parsed(text: str) -> dict:
    return yaml.safe_load(text)


def packages() -> str:
    """Digest of the pinned direct dependencies; tools for tests do not count."""
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return files.key_digest({"packages": sorted(project["dependencies"])})


def reasons(old: dict | None, new: dict) -> list[str]:
    """What differs between two keys, in words; empty if nothing does."""
    if old is None:
        return ["it has not run yet"]
    found = []
    for part in sorted(set(old) | set(new)):
        before, after = old.get(part), new.get(part)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            names = sorted(name for name in set(before) | set(after) if before.get(name) != after.get(name))
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            found.append(f"{part} changed: {', '.join(names[:SHOWN])}{more}")
        else:
            found.append(f"{part} changed")
    return found
