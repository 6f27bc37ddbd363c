"""`python -m lib.running.house`: draws the rooms of lib and who imports whom, from the sources, for the README."""

from collections import Counter
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from lib.base import closure, files, paths
from lib.drawing import style
from lib.record import figures

ROOMS = ("base", "drawing", "record", "running", "site", "worlds", "networks", "methods", "training")
ROOMS += ("experiments", "jobs")
PLACE = "house"  # figures/house.png, .svg and .json


def measured(folder: Path | None = None) -> dict:
    """{"rooms": {room: its modules and folders; of the methods, what is in each},
    "imports": {"room -> room": number of imported names}}."""
    root = folder or paths.ROOT / "lib"
    rooms, arrows = {}, Counter()
    for room in ROOMS:
        inside = sorted(root.joinpath(room).iterdir())
        rooms[room] = [one.stem for one in inside if one.suffix == ".py" and one.stem != "__init__"]
        for one in (one for one in inside if (one / "__init__.py").is_file()):
            modules = sorted(path.stem for path in one.glob("*.py") if path.stem != "__init__")
            rooms[room].append(f"{one.name}: {' '.join(modules)}" if room == "methods" else f"{one.name}/")
        for path in sorted(root.joinpath(room).rglob("*.py")):
            arrows.update(f"{room} -> {other}" for other in _imports(path) if other != room)
    return {"rooms": rooms, "imports": dict(sorted(arrows.items()))}


def _imports(path: Path) -> list[str]:
    names = (name.split(".") for _, name in closure.imports(path.read_text(encoding="utf-8")))
    return [parts[1] for parts in names if parts[0] == "lib" and len(parts) > 1]


def draw(house: dict) -> Figure:
    """A band for each room, the highest on top, and an arrow for every pair of rooms of which one imports the other;
    the wider the arrow, the more names."""
    figure, axis = plt.subplots(figsize=(style.WIDTH, 7.2))
    height = {room: k + 0.6 * (np.sign(k - ROOMS.index("methods")) + 1) for k, room in enumerate(ROOMS)}
    for room, y in height.items():
        tall = 0.96 if room == "methods" else 0.36
        colour = "#cfe8f7" if room == "methods" else "0.93"
        axis.add_patch(FancyBboxPatch((0, y - tall), 7, 2 * tall, "round,pad=0.02", facecolor=colour, edgecolor="0.4"))
        axis.text(0.12, y, room, va="center", fontsize=11, fontweight="bold")
        axis.text(
            1.65,
            y,
            _wrapped(house["rooms"][room], 0 if room == "methods" else 84),
            va="center",
            fontsize=6.6,
            linespacing=1.15,
        )
    for k, (arrow, count) in enumerate(house["imports"].items()):
        above, below = (height[room] for room in arrow.split(" -> "))
        start = 7.08, above - 0.12 + 0.02 * (k % 8)
        bend = {"connectionstyle": f"arc3,rad={-0.1 - 0.07 * (above - below)}", "shrinkA": 0, "shrinkB": 0}
        look = {"arrowstyle": "-|>", "mutation_scale": 8, "lw": 0.5 + 0.25 * count**0.5, "color": "0.35", "alpha": 0.7}
        axis.add_patch(FancyArrowPatch(start, (7.08, below + 0.12), **bend, **look))
    axis.set(xlim=(-0.1, 9.9), ylim=(-0.6, max(height.values()) + 0.6))
    axis.axis("off")
    return figure


def _wrapped(names: list[str], width: int) -> str:
    lines = [""]
    for name in names:
        if lines[-1] and len(lines[-1]) + len(name) > width:
            lines.append("")
        lines[-1] += ("  " if lines[-1] else "") + name
    return "\n".join(lines)


def main() -> None:
    """Write the picture and what it was drawn from."""
    figures.style()
    house = measured()
    figure = draw(house)
    for kind, content in figures.rendered(figure).items():
        files.atomic_write(paths.figures() / f"{PLACE}.{kind}", content)
    files.write_json(paths.figures() / f"{PLACE}.json", house)


if __name__ == "__main__":
    main()
