"""Why a notebook must run again: a key of its code cells, its parameters and what they name, its part of lib, inputs.

Contents are compared, never dates or outputs, so neither `git checkout` nor an edited paragraph makes a notebook stale.
"""

import functools
import glob
import json
import tomllib
from pathlib import Path

from lib.base import closure, files, paths, strict_yaml

SHOWN = 4  # names of what changed that a reason lists


def notebook_key(path: Path, entry: dict, values: dict, jobs: dict[str, dict], contents: dict[str, str]) -> dict:
    """The key of a notebook; `values` are its checked parameters, `contents` the digests of the networks, files and
    folders that these name, `jobs` the keys of the jobs that it needs."""
    cells = code_cells(_notebook(path))
    return {
        "code": files.key_digest({"cells": cells}),
        "parameters": values,
        "contents": contents,
        "lib": closure.closure(cells),
        "inputs": inputs(entry) | {f"job {name}": files.key_digest(key) for name, key in jobs.items()},
        "captions": captions(path.stem),
        "declared": {field: entry[field] for field in ("claims", "figures", "jobs", "after", "mine", "without")},
        "packages": packages(),
    }


def job_key(name: str, users: dict[str, dict], values: dict[str, dict], contents: dict[str, dict]) -> dict:
    """The key of the job `lib.jobs.<name>`; `users` are the index entries of the notebooks that need it, `values` and
    `contents` what `notebook_key` takes, by notebook."""
    read = {}
    for notebook in users:
        read |= inputs(users[notebook] | {"claims": []})
    return {
        "parameters": {notebook: values[notebook] for notebook in users},
        "contents": {text: digest for notebook in users for text, digest in contents[notebook].items()},
        "lib": closure.of_modules(f"lib.jobs.{name}"),
        "inputs": read,
        "packages": packages(),
    }


def _notebook(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        code_cells(found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a notebook ({error}): restore it with `git checkout notebooks`") from error
    return found


def code_cells(notebook: dict) -> list[str]:
    """Sources of the code cells of a notebook read as JSON, without the cell that papermill injects."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    cells = [cell for cell in cells if "injected-parameters" not in cell.get("metadata", {}).get("tags", [])]
    return ["".join(cell["source"]) for cell in cells]


def captions(notebook: str) -> str:
    """Digest of a notebook's table of captions; empty without one."""
    table = paths.notebooks() / "captions" / f"{notebook}.yaml"
    return files.file_digest(table) if table.exists() else ""


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
    return strict_yaml.loads(text, "claims.yaml")


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
            found.append(f"{part} changed: {', '.join(some(names))}")
        else:
            found.append(f"{part} changed")
    return found


def some(names: list[str]) -> list[str]:
    """The first few of `names`, and how many more there are."""
    return names[:SHOWN] + ([f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else [])
