"""To whom the photographs that figures show are owed: a line for a caption, and one list of all of them."""

import json
from collections.abc import Iterable
from pathlib import Path

from lib.base import files, paths

YOURS = "yours"  # whose pictures need no credit: the reader's own, which stay in build/
MOST = 8  # photographs that a caption names; of more it says where they are named
FILE = "CREDITS.md"  # in figures/
HEAD = """# Photographs in the figures

Every photograph that a figure of this project shows, with its author, licence and source, from the figures' own
sidecars (`photographs` in figures/<profile>/<figure>.json). Squares were cut out of them and resized; what a figure did
to one beyond that, its caption says.

| photograph | author | licence | source | figures |
|---|---|---|---|---|
"""


def line(photographs: Iterable[dict]) -> str:
    """What the photographs are called, their authors and licences, for a caption."""
    everything = list(photographs)
    found = [one for one in everything if one["author"] != YOURS]
    if mine := len(everything) - len(found):
        own = f"{mine} photograph{'s' * (mine > 1)} of your own"
        return f"{own}; {line(found)}" if found else own
    if len(found) <= MOST:
        return "; ".join(f"{one['title']}: {one['author']}, {one['licence']}" for one in found)
    licences = ", ".join(dict.fromkeys(one["licence"] for one in found))
    return f"{len(found)} photographs, {licences}, whose authors figures/{FILE} names"


def collected(folder: Path) -> dict[str, dict]:
    """Every photograph that a figure below `folder` shows, by name, with `figures`, those that show it."""
    found = {}
    for path in sorted(folder.glob("*/*.json")):
        try:
            sidecar = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{path} cannot be read ({error}); run its notebook again, or restore it with `git checkout figures`"
            ) from error
        for one in sidecar.get("photographs", []) if isinstance(sidecar, dict) else []:
            figures = found.setdefault(one["name"], one | {"figures": []})["figures"]
            figures.append(f"{path.parent.name}/{path.stem}")
    return dict(sorted(found.items()))


def text(found: dict[str, dict]) -> str:
    """The list of credits, in Markdown."""
    return HEAD + "".join(_row(one) for one in found.values())


def _row(one: dict) -> str:
    source = f"[{one['name']}]({one['source']})" if one["source"].startswith("http") else one["source"]
    cells = (one["title"], one["author"], one["licence"], source, ", ".join(one["figures"]))
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"


def write() -> None:
    """Bring figures/CREDITS.md up to date, where it is not."""
    content, path = text(collected(paths.figures())).encode(), paths.figures() / FILE
    if not path.exists() or path.read_bytes() != content:
        files.atomic_write(path, content)
