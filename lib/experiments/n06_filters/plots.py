"""The figures of notebook 06: mosaics of maps and filters, sparseness through training, dead maps, smoothness."""

from itertools import product

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from lib.drawing.style import COLOURS
from lib.methods.layers import first_layer
from lib.networks import interface
from lib.networks.zoo import TITLES

SILENT = "0.72"  # grey of a map that is zero everywhere
MARKS = "osD^v"


def mosaic(tiles, across: int, gap: float = np.nan) -> np.ndarray:
    """Tiles (n, H, W) or (n, H, W, 3) in rows of `across`, lines of `gap` between them, a sixteenth of a tile wide."""
    tiles = np.asarray(tiles, dtype=float)
    n, height, width = tiles.shape[:3]
    line = max(1, height // 16)
    rows, rest = -(-n // across), tiles.shape[3:]
    sheet = np.full((rows * (height + line) - line, across * (width + line) - line, *rest), gap)
    for k, tile in enumerate(tiles):
        top, left = k // across * (height + line), k % across * (width + line)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def maps(rows: list[dict], most: int = 16, width: float = 7.0) -> Figure:
    """Activation maps: a row a network, a column a layer, each a grid of the layer's first `most` maps.

    rows: {"title", "image" (H, W, 3), "maps": {layer: (C, H, W)}}. Black is 0, white the layer's largest answer;
    maps that are zero everywhere are grey. Pictures of more than 75 and maps of more than 64 pixels a side are shown in
    means of blocks."""
    across = 1 + max(len(row["maps"]) for row in rows)
    figure, axes = plt.subplots(
        len(rows), across, figsize=(width, width / across * 1.1 * len(rows) + 0.1), squeeze=False
    )
    for line, row in zip(axes, rows, strict=True):
        line[0].imshow(_blocks(row["image"], 75))
        line[0].set_title(row["title"])
        for axis, (layer, values) in zip(line[1:], row["maps"].items(), strict=False):
            shown = np.array(values[:most], dtype=float)
            side = int(np.ceil(np.sqrt(len(shown))))
            shown = np.where(shown.max((1, 2), keepdims=True) == 0, -1, shown / max(shown.max(), 1e-12))
            shown = np.array([_blocks(one, 64) for one in shown])
            axis.imshow(mosaic(shown, side), cmap=_map_colours(), vmin=0, vmax=1)
            quiet = int((values.max((1, 2)) == 0).sum())
            axis.set_title(f"{layer}: {len(shown)} of {len(values)},\n{quiet} of {len(values)} silent")
        for axis in line:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
    return figure


def shown(net: interface.Network, images: torch.Tensor, layers: list[str], title: str = "") -> list[dict]:
    """Rows for `maps`: a network reading each of a few pictures (N, 3, size, size) in [0, 1]. layers: names
    that interface.named knows. title: what it is called there, if not as in the zoo."""
    read = interface.features(net, images, [interface.named(net, layer) for layer in layers])
    found = {layer: read[interface.named(net, layer)].cpu().numpy() for layer in layers}
    title, pictures = title or TITLES.get(net.name.split("-")[0], net.name), images.permute(0, 2, 3, 1).cpu().numpy()
    return [
        {"title": title, "image": image, "maps": {layer: values[k] for layer, values in found.items()}}
        for k, image in enumerate(pictures)
    ]


def titles(nets: list[interface.Network]) -> list[str]:
    """What figures call these networks, a line each; two that would be called alike are told apart by their names."""
    found = [TITLES.get(net.name.split("-")[0], net.name) for net in nets]
    return [
        f"{title} ({net.name})" if found.count(title) > 1 else title for title, net in zip(found, nets, strict=True)
    ]


def map_rows(rows: list[dict]) -> list[dict]:
    """The numbers behind `maps`: for every map its largest and mean answer and its share of zeros."""
    return [
        {"row": k, "network": row["title"], "layer": layer, "map": c, "largest": one.max(), "mean": one.mean()}
        | {"zeros": (one == 0).mean()}
        for k, row in enumerate(rows)
        for layer, values in row["maps"].items()
        for c, one in enumerate(values)
    ]


def _blocks(image: np.ndarray, most: int) -> np.ndarray:
    """(H, W, ...) by means of whole blocks of pixels, at most `most` a side."""
    k = -(-max(image.shape[:2]) // most)
    height, width = (side // k for side in image.shape[:2])
    return image[: height * k, : width * k].reshape(height, k, width, k, *image.shape[2:]).mean((1, 3))


def _map_colours():
    return plt.get_cmap("magma", 24).with_extremes(under=SILENT, bad="white")  # few levels: noise stays a small file


def evolution(found: dict[tuple, dict], width: float = 5.8) -> Figure:
    """Measures of sparseness through training, {(family, seed, step): {measure: (N,)}}: a panel a measure, means over
    images; the line is the seed with most states, dots are the others."""
    measures = list(next(iter(found.values())))
    families = list(dict.fromkeys(family for family, *_ in found))
    figure, axes = plt.subplots(2, 3, figsize=(width, 3.5), sharex=True)
    places = {step: k for k, step in enumerate(_shared_steps(found))}
    for axis, measure in zip(axes.flat, measures, strict=False):
        for f, family in enumerate(families):
            for seed in sorted({seed for one, seed, _ in found if one == family}):
                steps = sorted(step for one, other, step in found if (one, other) == (family, seed))
                x = [places.get(step, len(places)) for step in steps]
                y = [np.nanmean(found[family, seed, step][measure]) for step in steps]
                line = "-" if len(steps) > 2 or len(steps) == len(places) + 1 else ""
                axis.plot(x, y, MARKS[f] + line, color=COLOURS[f], mfc=COLOURS[f] if line else "none")
        axis.set_title(measure)
        axis.set_xticks(range(len(places) + 1), [*map(str, places), "end"])
    for f, family in enumerate(families):
        axes.flat[-1].plot([], [], MARKS[f] + "-", color=COLOURS[f], label=f"{TITLES[family]}, first seed")
        axes.flat[-1].plot([], [], MARKS[f], color=COLOURS[f], mfc="none", label=f"{TITLES[family]}, other seeds")
    axes.flat[-1].legend(loc="center")
    axes.flat[-1].set_axis_off()
    axes[0, 2].xaxis.set_tick_params(labelbottom=True)
    for axis in (*axes[1, :2], axes[0, 2]):
        axis.set_xlabel("step of training")
    return figure


def _shared_steps(found: dict[tuple, dict]) -> list[int]:
    """The steps at which states were kept on the way, the untrained first; the last state of each network is `end`."""
    last = {(family, seed): max(s for a, b, s in found if (a, b) == (family, seed)) for family, seed, _ in found}
    return sorted({step for family, seed, step in found if step != last[family, seed]})


def silence(panels: dict[str, dict[str, np.ndarray]], width: float = 7.0) -> Figure:
    """Which map is silent in which picture: a panel a run, {title: {layer: (N, C) bool}}; black: zero everywhere."""
    figure, axes = plt.subplots(1, len(panels), figsize=(width, 4.2), sharey=True, squeeze=False)
    for axis, (title, layers) in zip(axes[0], panels.items(), strict=True):
        table, ends = np.concatenate(list(layers.values()), 1).T, np.cumsum([v.shape[1] for v in layers.values()])
        axis.imshow(table, cmap="gray_r", vmin=0, vmax=1, aspect="auto")
        for end in ends[:-1]:
            axis.axhline(end - 0.5, color=COLOURS[5], lw=1)
        axis.set(yticks=(np.r_[0, ends[:-1]] + ends) / 2, yticklabels=list(layers), title=title, xlabel="picture")
        axis.tick_params(axis="y", length=0)
    return figure


def silence_rows(panels: dict[str, dict[str, np.ndarray]]) -> list[dict]:
    """The numbers behind `silence`: in which share of the pictures each map is silent."""
    return [
        {"run": title, "layer": layer, "map": c, "silent": share}
        for title, layers in panels.items()
        for layer, table in layers.items()
        for c, share in enumerate(table.mean(0))
    ]


def dead(rows: list[dict], maps: tuple, width: float = 6.0) -> Figure:
    """Dead maps by learning rate: left the share of all `maps` for every run, lines join the runs of a seed; right the
    share in each layer, mean over runs. rows: measures.dead_rows."""
    rates, layers = sorted({row["rate"] for row in rows}), list(dict.fromkeys(row["layer"] for row in rows))
    figure, (left, right) = plt.subplots(1, 2, figsize=(width, 2.9), width_ratios=(1, 1.25))
    for seed in sorted({row["seed"] for row in rows}):
        share = []
        for rate in rates:
            mine = [r for r in rows if (r["rate"], r["seed"]) == (rate, seed) and r["layer"] in maps]
            share.append(sum(r["dead"] for r in mine) / sum(r["maps"] for r in mine))
        left.plot(range(len(rates)), share, "o-", color=COLOURS[0], lw=0.7)
    left.set(xticks=range(len(rates)), xticklabels=[f"{rate:g}×" for rate in rates], ylim=(-0.03, 1.03))
    left.set(xlabel="learning rate, times the zoo's", ylabel="share of maps that are dead")
    table = np.zeros((len(rates), len(layers)))
    for (r, rate), (c, layer) in product(enumerate(rates), enumerate(layers)):
        table[r, c] = np.mean(
            [row["dead"] / row["maps"] for row in rows if (row["rate"], row["layer"]) == (rate, layer)]
        )
    right.imshow(table, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    count = {row["layer"]: row["maps"] for row in rows}
    for (r, c), value in np.ndenumerate(table):
        right.text(c, r, f"{value * count[layers[c]]:.3g}", ha="center", va="center", color="w" if value > 0.5 else "k")
    right.set(yticks=range(len(rates)), yticklabels=[f"{rate:g}×" for rate in rates], xticks=range(len(layers)))
    right.set(xticklabels=[f"{layer}\nof {count[layer]}" for layer in layers], title="dead maps or units, mean of runs")
    right.spines[:].set_visible(False)
    return figure


def filters(
    panels: list[tuple], across: int = 4, most: int = 32, tiles: int = 8, width: float = 7.0, levels: int = 16
) -> Figure:
    """First layers as pictures, (title, (C, k, k, 3) in [0, 1]) each: `across` panels a row, `tiles` filters a line.
    levels: of each colour; few, so that a picture of noise stays small."""
    width, across = width * min(1, max(0.5, len(panels) / across)), min(across, len(panels))  # sheets keep their size
    rows, lines = -(-len(panels) // across), max(title.count("\n") for title, _ in panels) + 1
    height = 0.16 * lines + 0.1 + width / across * -(-most // tiles) / tiles
    figure, axes = plt.subplots(rows, across, figsize=(width, rows * height), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (title, values) in zip(axes.flat, panels, strict=False):
        side = values.shape[1] + 1
        coarse = np.round((levels - 1) * values[:most]) / (levels - 1)
        axis.imshow(np.clip(mosaic(coarse, tiles, 1.0), 0, 1), vmin=0, vmax=1)
        axis.set(xlim=(-0.5, tiles * side - 1.5), ylim=(-(-most // tiles) * side - 1.5, -0.5))
        axis.set_title(title, fontsize=8)
    return figure


def sheet(net: interface.Network, row: dict, name: str = "") -> tuple:
    """A network's panel for `filters`, from its row of first_layer.summary. name: what it is called there, if not as
    in the zoo."""
    name = name or TITLES.get(net.name.split("-")[0], net.name)
    fit = "no Gabor fit" if np.isnan(row["gabor"]) else f"R² {row['gabor']:.2f} (noise {row['gabor of noise']:.2f})"
    kernel = f"{row['side']}×{row['side']}, stride {row['stride']}"
    title = f"{name}\n{kernel}, smooth {row['smoothness']:.2f}\n{fit}"
    return title, first_layer.pictures(first_layer.kernels(net))


def through(rows: list[dict], noise: dict[str, float], width: float = 5.8) -> Figure:
    """Smoothness and Gabor fit of first layers through training: a line a run where states were kept, a dot else.

    rows: measures.filter_rows; noise: what white noise of the same shape gives, by the rows' names.
    """
    figure, axes = plt.subplots(1, 2, figsize=(width, 2.7))
    arms, steps = (sorted({row[key] for row in rows}) for key in ("arm", "step"))
    labels = {"smoothness": "smoothness of the first layer", "gabor": "R² of the best Gabor, median filter"}
    for axis, (measure, label) in zip(axes, labels.items(), strict=True):
        for a, arm in enumerate(sorted(arms, reverse=True)):
            for seed in sorted({row["seed"] for row in rows}):
                mine = sorted((r["step"], r[measure]) for r in rows if (r["arm"], r["seed"]) == (arm, seed))
                x, y = [steps.index(step) + 0.12 * (a - 0.5) for step, _ in mine], [value for _, value in mine]
                axis.plot(x, y, MARKS[a] + ("-" if len(mine) > 2 else ""), color=COLOURS[a], ms=4, lw=1,
                          mfc="none", label=arm if seed == 0 else None)  # fmt: skip
        axis.axhline(noise[measure], color="0.35", lw=1, ls=":", label="white noise")
        axis.set_xticks(range(len(steps)), list(map(str, steps)))
        axis.set(xlabel="step of training", ylabel=label)
    axes[0].legend(loc="upper left")
    return figure


def weights(nets: dict[str, interface.Network], most: int = 12, width: float = 7.0) -> Figure:
    """The first `most` filters of conv2 of each network {title: network} as grey tiles: a row a filter, a column a map
    of the layer below, each filter with its own contrast."""
    figure, axes = plt.subplots(1, len(nets), figsize=(width, width / len(nets) * 0.42 + 0.45), squeeze=False)
    for axis, (title, net) in zip(axes[0], nets.items(), strict=True):
        kernels = _second(net)[:most]
        top = np.abs(kernels).max((1, 2, 3), keepdims=True)
        tiles = (kernels / np.where(top > 0, top, 1)).reshape(-1, *kernels.shape[2:])
        axis.imshow(mosaic(tiles, kernels.shape[1]), cmap=plt.get_cmap("gray", 16), vmin=-1, vmax=1)
        axis.set(xticks=[], yticks=[], title=title, xlabel="maps of the layer below", ylabel="filters")
    return figure


def _second(net: interface.Network) -> np.ndarray:
    return net.model.get_submodule("conv2.conv").weight.detach().cpu().numpy()


def weight_rows(nets: dict[str, interface.Network], most: int = 12) -> list[dict]:
    """The numbers behind `weights`: the size of every tile."""
    return [
        {"sheet": title, "filter": row, "map below": column, "size": float(np.linalg.norm(kernel))}
        for title, net in nets.items()
        for row, kernels in enumerate(_second(net)[:most])
        for column, kernel in enumerate(kernels)
    ]
