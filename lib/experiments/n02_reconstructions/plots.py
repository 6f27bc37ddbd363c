"""The figures of notebook 02: plain arrays in, a matplotlib figure out (as lib/drawing/style.py)."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from lib.drawing import dots, grids
from lib.drawing.style import COLOURS, WIDTH
from lib.methods.signals.checkerboard import grid

STAYS, MOVES = COLOURS[0], COLOURS[5]
BOXES = {  # part of the pipeline -> left edge and width, in units of the drawing
    "picture x": (0.0, 1.2),
    "encoder": (1.9, 1.5),
    "decoder": (5.3, 1.5),
    "reconstruction A(x)": (7.5, 1.2),
    "classifier j": (9.4, 1.5),
    "cross-entropy\nwith the label": (11.6, 1.9),
}


def pipeline(picture: np.ndarray, reconstruction: np.ndarray) -> Figure:
    """Palacio et al. Fig 1 with a picture (H, W, 3) and its reconstruction: what is fixed, what is tuned, how the
    gradient runs."""
    figure, axis = plt.subplots(figsize=(WIDTH, 1.7))
    for name, (left, width) in BOXES.items():
        if name in ("picture x", "reconstruction A(x)"):
            shown = picture if name == "picture x" else reconstruction
            axis.imshow(np.clip(shown, 0, 1), extent=(left, left + 1.2, 1.0, 2.2))
            axis.text(left + 0.6, 0.85, name.replace(" A", "\nA"), ha="center", va="top")
            continue
        kind = {"decoder": MOVES, "encoder": STAYS, "classifier j": STAYS}.get(name, "0.5")
        axis.add_patch(Rectangle((left, 0.9), width, 1.4, facecolor="white", edgecolor=kind, lw=2))
        state = {"decoder": "\ntuned", "encoder": "\nfixed", "classifier j": "\nfixed"}.get(name, "")
        axis.text(left + width / 2, 1.6, name + state, ha="center", va="center", color="black" if not state else kind)
    forward = ((1.2, 1.9, 1.6), (3.4, 5.3, 1.25), (3.4, 5.3, 1.95), (6.8, 7.5, 1.8), (8.7, 9.4, 1.8), (10.9, 11.6, 1.8))
    for start, end, y in forward:
        _arrow(axis, (start, y), (end, y), "black")
    for end, start, _ in forward[3:]:
        _arrow(axis, (start, 1.35), (end, 1.35), MOVES, "--")
    axis.text(4.35, 1.15, "code", ha="center", va="top")
    axis.text(4.35, 2.05, "places of\nthe maxima", ha="center", va="bottom")
    axis.text(11.25, 0.8, "gradient", ha="center", va="top", color=MOVES)
    axis.set(xlim=(-0.1, 13.6), ylim=(0.1, 2.7), aspect="equal")
    axis.axis("off")
    return figure


def _arrow(axis, start, end, colour: str, line: str = "-") -> None:
    axis.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color=colour, ls=line))


MEASURES = {"train_loss": ("its training pictures", "-"), "stream": ("the stream", "--"), "cutouts": ("cutouts", ":")}


def learning(rows: list[dict]) -> Figure:
    """Mean squared error against pictures seen: a colour for each training set, a line style for each measure. The
    axis ends at two and a half times the largest final error.

    rows: dicts with training, measure (of MEASURES), seen, error.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.4))
    for t, training in enumerate(dict.fromkeys(row["training"] for row in rows)):
        for measure, (title, line) in MEASURES.items():
            part = [row for row in rows if (row["training"], row["measure"]) == (training, measure)]
            seen, error = [row["seen"] / 1000 for row in part], [row["error"] for row in part]
            axis.plot(seen, error, line, color=(STAYS, MOVES)[t], lw=1.3, label=f"{training}; error on {title}")
    last = max(row["error"] for row in rows if row["seen"] == max(other["seen"] for other in rows))
    axis.set(xlabel="pictures seen, thousands", ylabel="mean squared error, normalised units", ylim=(0, 2.5 * last))
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def table_one(rows: list[dict]) -> Figure:
    """Dots with intervals, a panel for each `way`, a line for each `name`, a dot for each `seed`; `paper` where there
    is one is a cross.

    rows: dicts with name, way, seed, value, low, high, paper (None where the paper has none); percentage points.
    """
    names, ways = dots.unique(rows, "name"), dots.unique(rows, "way")
    look = {way: (colour, "o") for way, colour in zip(ways, (STAYS, MOVES), strict=True)}
    rows, size = [row | {"group": row["way"]} for row in rows], (WIDTH, 0.42 * len(names) + 1.3)
    figure, axes = dots.panels(rows, "way", size=size, look=look, labels={}, step=0.18)
    known = [row[key] for row in rows for key in ("low", "high", "paper") if row[key] is not None]
    margin = 0.05 * (max(known) - min(known))
    for way, axis in axes.items():
        dots.refer(axis, {"": 0})
        paper = {names.index(row["name"]): row["paper"] for row in rows if row["way"] == way}
        there = {place: value for place, value in paper.items() if value is not None}
        axis.plot(list(there.values()), list(there), "x", color="black", ms=6, zorder=3)
        axis.set(title=way, xlabel="percentage points", xlim=(min(known) - margin, max(known) + margin))
    first = axes[ways[0]]
    first.plot([], [], "o-", color="0.5", ms=4, lw=1.2, label="here, a dot a seed")
    first.plot([], [], "x", color="black", ms=6, label="the paper (decoded)")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def gallery(rows: list[dict], across: int = 5, width: float = WIDTH, titles: dict | None = None) -> Figure:
    """Palacio et al. Fig 3, the pictures: each of `rows`, a dict {what made it: (H, W, 3)}, fills lines of `across`.
    titles: what to say below a picture in place of what made it, in at most two lines."""
    lines = []
    for row in rows:
        named = list(row.items())
        lines += [named[k : k + across] for k in range(0, len(named), across)]
    shown = [[np.clip(image, 0, 1) for _, image in line] for line in lines]
    size, said = grids.size(shown[0][0], width), titles or {}
    figure, axes = grids.grid(shown, below=2 if titles else 1, **size)
    for (r, c), axis in axes.items():
        axis.set_xlabel(said.get(lines[r][c][0], lines[r][c][0]), labelpad=2)
    return figure


def close(row: dict, titles: dict, across: int = 5, factor: int = 14) -> Figure:
    """Palacio et al. Fig 3 of one large picture: every version of it, and below it a part as large as the `factor`-th
    of it, enlarged. row: images {what made it: (H, W, 3)} and box (top, left, side); titles: as in `gallery`."""
    (top, left, _), named, lines = row["box"], list(row["images"].items()), []
    side = len(named[0][1]) // factor
    for k in range(0, len(named), across):
        part = [np.clip(image, 0, 1) for _, image in named[k : k + across]]
        lines += [part, [one[top : top + side, left : left + side].repeat(factor, 0).repeat(factor, 1) for one in part]]
    figure, axes = grids.grid(lines, below=1, side=len(named[0][1]) / grids.WHOLE)
    for (r, c), axis in axes.items():
        name = named[r // 2 * across + c][0]
        axis.set_xlabel((titles.get(name, name).split("\n") + [""])[r % 2], labelpad=2)
    axes[0, 0].add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec="white"))
    return figure


def zooms(rows: list[dict], side: int = 16, width: float = WIDTH) -> Figure:
    """Palacio et al. Fig 3, the zooms: the middle `side` pixels of an object in each picture, a line a picture.

    rows: dicts with images {what made it: (H, W, 3)} and box (top, left, side).
    """
    cut = []
    for row in rows:
        top, left, side = row["box"]
        cut.append([np.clip(one[top : top + side, left : left + side], 0, 1) for one in row["images"].values()])
    return grids.grid(cut, (), list(rows[0]["images"]), width=width)[0]


def histograms(histograms: dict[str, dict], ranges: dict) -> Figure:
    """Palacio et al. Fig 3, the colours: a line for each autoencoder, drawn over the originals (grey).

    histograms: {name: {channel: shares}}, the originals first; ranges: {channel: (low, high)}. Heights are square
    roots of shares, so that rare colours are seen.
    """
    (first, originals), *others = histograms.items()
    figure, axes = plt.subplots(
        len(others), len(ranges), figsize=(WIDTH, 0.62 * len(others) + 0.5), sharex="col", squeeze=False
    )
    figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.0)
    for c, (channel, limits) in enumerate(ranges.items()):
        top = 1.05 * max(np.sqrt(shares[channel].max()) for shares in histograms.values())
        axes[0, c].set_title(channel, loc="center")
        for r, (_, shares) in enumerate(others):
            edges, axis = np.linspace(*limits, len(shares[channel]) + 1), axes[r, c]
            axis.stairs(np.sqrt(originals[channel]), edges, fill=True, color="0.8", label=first)
            axis.stairs(np.sqrt(shares[channel]), edges, color=MOVES, lw=1)
            axis.set(yticks=[], xlim=limits, ylim=(0, top), xticks=[0, 50, 100] if limits[0] == 0 else [-80, 0, 80])
    for axis, (name, _) in zip(axes[:, 0], others, strict=True):
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


def checkerboards(spectra: dict[str, np.ndarray], rows: list[dict], lines: dict) -> Figure:
    """Mean spectra of what tuning changed, the counted frequencies ringed, above the grid's amplitude of each
    autoencoder.

    spectra: {title: (H, W), zero frequency first}; rows: dicts with name, group, seed, value,
    low, high; lines: {label: value}.
    """
    down = -(-len(spectra) // 4)
    figure = plt.figure(figsize=(WIDTH, 3.4 + 1.9 * down))
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.9 * down, 3.4))
    shares = {name: np.log10(np.maximum(power / power.sum(), 1e-6)) for name, power in spectra.items()}
    limits = min(part.min() for part in shares.values()), max(part.max() for part in shares.values())
    axes = top.subplots(down, min(4, len(spectra)), squeeze=False).ravel()
    for axis in axes[len(spectra) :]:
        axis.set_visible(False)
    for axis, (name, part) in zip(axes, shares.items(), strict=False):
        height, width = part.shape
        image = axis.imshow(np.fft.fftshift(part), cmap="magma", vmin=limits[0], vmax=limits[1])
        for (y, x), _ in grid(part):
            place = (x + width // 2) % width, (y + height // 2) % height
            axis.add_patch(plt.Circle(place, 3.5, fill=False, color="white", lw=0.6))
        axis.set(xticks=[], yticks=[])
        axis.set_title(name, loc="center")
    top.colorbar(image, ax=axes, label="share of the spectrum, log10", shrink=0.7)
    look = dots.looks(sorted(dots.unique(rows, "group")))
    _, parts = dots.panels(rows, size=None, figure=bottom, look=look, upright=True, spread=0, step=0.12, ms=5)
    dots.refer(parts[None], lines, upright=True)
    parts[None].set_ylabel("amplitude of the grid, 8-bit steps")
    bottom.legend(loc="outside upper center", ncols=3)
    return figure


def halves(histories: dict[int, dict[str, list]], rows: list[dict], lines: dict) -> Figure:
    """The supplement's Table 1: validation accuracy by epoch (left, a line a seed) and final test accuracy (right), the
    latter only of the ways that do not start afresh, on an axis of its own.

    histories: {seed: {way: accuracies}}; rows: dicts with name (the way), seed, value, low, high; lines: {label: value}
    drawn across the right panel.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.4), width_ratios=(1.5, 1))
    names = dots.unique(rows, "name")
    styles = dict(zip(names, ("-", "--", ":", "-."), strict=False))
    look = dots.looks(names)
    for ways in histories.values():
        for name in names:
            epochs = range(1, len(ways[name]) + 1)
            dots.curve(left, epochs, ways[name], colour=look[name][0], ls=styles[name], lw=1.2)
    close = [row | {"group": row["name"]} for row in rows if "fresh" not in row["name"]]
    dots.mark(right, close, look, upright=True, spread=0, step=0.15, ms=5)
    dots.refer(right, lines, upright=True)
    for name, (colour, shape) in look.items():
        left.plot([], [], styles[name], color=colour, marker=shape, label=name)
    left.set(xlabel="epochs of tuning", ylabel="accuracy", title="validation pictures")
    left.xaxis.get_major_locator().set_params(integer=True)
    right.set(title="test pictures, three ways", ylabel="accuracy")
    figure.legend(loc="outside upper center", ncols=6)
    return figure
