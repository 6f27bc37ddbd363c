"""The ledger of a notebook, figures/<profile>/NN_ledger.json: a row for each claim and figure, and what moved."""

import json
import math
from pathlib import Path
from typing import NamedTuple

from lib.base import files, paths


class Moved(NamedTuple):
    """A number, or a verdict, that differs between two ledgers by more than its tolerance."""

    where: str
    before: object
    after: object

    def __str__(self):
        return f"{self.where}: {self.before} before, {self.after} now"


def tidy(value, where: str):
    """`value` as plain JSON, six significant digits; ValueError on NaN or infinity, with `where` as its name."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): tidy(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [tidy(item, where) for item in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}: expected a finite number")
        return float(f"{value:.6g}") + 0.0
    if value is None or isinstance(value, (int, str, bool)):
        return value
    raise ValueError(f"{where} is a {type(value).__name__}: expected a number")


def path_of(notebook: str, profile: str) -> Path:
    """Where a notebook's ledger lies: figures/<profile>/NN_ledger.json."""
    return paths.figures() / profile / f"{notebook[:2]}_ledger.json"


def read(notebook: str, profile: str, folder: Path | None = None) -> dict:
    """A notebook's ledger: {'claims': {id: row}, 'figures': {name: row}, ...}; empty ones if nothing is there yet.
    folder: of all figures, by default the one that is written into."""
    path = (folder or paths.figures()) / profile / f"{notebook[:2]}_ledger.json"
    if not path.exists():
        return {"claims": {}, "figures": {}}
    try:
        book = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} is not a ledger ({error}); delete it and run notebook {notebook[:2]} again"
        ) from error
    if not isinstance(book, dict) or not all(isinstance(book.get(kind), dict) for kind in ("claims", "figures")):
        raise ValueError(
            f"{path} is not a ledger, expected claims and figures; delete it and run notebook {notebook[:2]} again"
        )
    return book


def enter(run, kind: str, key: str, row: dict) -> None:
    """Put a row ('claims' or 'figures') into the notebook's ledger, in place of an older one of the same key."""
    book = read(run.notebook, run.profile) | {
        "notebook": run.notebook,
        "profile": run.profile,
        "rounding": "six significant digits",
    }
    book[kind][key] = row
    files.write_json(path_of(run.notebook, run.profile), book)


def read_all(profile: str, folder: Path | None = None) -> dict[str, dict]:
    """Every ledger of a profile, by the number of its notebook ('09'); folder: as for `read`."""
    found = sorted(((folder or paths.figures()) / profile).glob("[0-9][0-9]_ledger.json"))
    return {path.name[:2]: read(path.name, profile, folder) for path in found}


def recorded(profile: str, folder: Path | None = None) -> dict[str, dict]:
    """Every recorded row of a profile by its id ('E5', 'C4a'); folder: as for `read`."""
    return {name: row for book in read_all(profile, folder).values() for name, row in book["claims"].items()}


def far(before, after, tolerance: float) -> bool:
    """Whether two numbers differ by more than `tolerance`, absolute up to 1 and relative beyond."""
    return abs(before - after) > tolerance * max(1.0, abs(before), abs(after))


def compare(old: dict, new: dict, tolerances: dict[str, float]) -> list[Moved]:
    """Every number of the claims' rows, and every verdict, that moved between two ledgers of a notebook.

    `tolerances` says by id how far a number may move; figures are compared by the CSV behind them (lib.record.review).
    """
    moved = []
    for name in sorted(old["claims"] | new["claims"]):
        before, after = (dict(_leaves(book["claims"].get(name, {}), name)) for book in (old, new))
        for where in sorted(before | after):
            one, two = before.get(where), after.get(where)
            numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in (one, two))
            matters = one is None or two is None or where.endswith("verdict")
            if far(one, two, tolerances[name]) if numbers else one != two and matters:
                moved.append(Moved(where, one, two))
    return moved


def _leaves(value, where: str):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield where, value
    else:
        for key, item in items:
            yield from _leaves(item, f"{where}.{key}")
