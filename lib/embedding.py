"""Codes drawn in the plane: t-SNE and its baseline PCA (both scikit-learn's), how far an embedding can be trusted, and
pictures placed at their points."""

import warnings

import numpy as np
import torch
from PIL import Image
from scipy import stats as scipy_stats
from scipy.spatial import distance
from sklearn import decomposition, manifold
from torch.nn import functional

from lib import codes, networks, photos


def tsne(rows: np.ndarray, perplexity: float, seed: int = 0) -> np.ndarray:
    """t-SNE (van der Maaten & Hinton 2008, Barnes-Hut) of codes (N, features): points (N, 2) float32.

    It starts from PCA, so that the seed hardly matters; on one thread the same codes give the same points to the bit.
    perplexity: roughly the number of neighbours that each point cares for, from 2 to below N / 3.
    """
    if len(rows) < 8 or not 2 <= perplexity < len(rows) / 3:
        raise ValueError(
            f"perplexity is {perplexity} for {len(rows)} images, expected at least 8 images and a perplexity from 2 to "
            f"below a third of their number"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an embedding that did not come out well must not pass in silence
        method = manifold.TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1, method="barnes_hut")
        return method.fit_transform(np.asarray(rows, dtype=np.float32))


def pca(rows: np.ndarray) -> np.ndarray:
    """The two directions of largest variance: points (N, 2)."""
    return decomposition.PCA(2, svd_solver="full").fit_transform(np.asarray(rows, dtype=np.float64))


# ---------------------------------------------------------------------------------- how far to trust it


def _ranks(rows: np.ndarray) -> np.ndarray:
    """ranks[i, j]: which neighbour of i is j (1: the nearest; the image itself: 0)."""
    distances = distance.squareform(distance.pdist(np.asarray(rows, dtype=np.float64)))
    np.fill_diagonal(distances, -1)
    ranks = np.empty(distances.shape, dtype=np.int32)
    np.put_along_axis(ranks, distances.argsort(1, kind="stable"), np.arange(len(ranks))[None], 1)
    return ranks


def _trusted(ranks: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    n, k = neighbours.shape
    excess = np.maximum(np.take_along_axis(ranks, neighbours, 1) - k, 0).sum(1)
    return 1 - excess * 2 / (k * (2 * n - 3 * k - 1))


def trust(rows: np.ndarray, points: np.ndarray, k: int = codes.NEIGHBOURS) -> np.ndarray:
    """Each image's trustworthiness (N,), whose mean is sklearn.manifold.trustworthiness (Venna & Kaski 2001).

    1 where the k nearest points are the k nearest codes; a false neighbour costs by how far down it really ranks.
    """
    if not 1 <= k < len(rows) / 2:
        raise ValueError(f"k is {k} for {len(rows)} images, expected 1 to less than half their number")
    return _trusted(_ranks(rows), codes.nearest(points, k))


def trustworthiness(found: list[codes.Spaces], space: str, generator, draws: int = 500) -> dict:
    """Mean trustworthiness of the embeddings of `space`, networks pooled; readings of an image are one cluster.

    Claim E12. null: the embedded points dealt to the images at random, in one order for all networks. named: PCA.
    """
    estimate = codes.pooled([trust(one.codes[space], one.points[space]) for one in found], generator)
    plain = codes.pooled([trust(one.codes[space], pca(one.codes[space])) for one in found], generator)
    tables = [(_ranks(one.codes[space]), one.near_points[space]) for one in found]
    null = np.zeros(draws)
    for draw in range(draws):
        owner = generator.permutation(len(tables[0][0]))  # point p now belongs to image owner[p]
        for ranks, neighbours in tables:
            null[draw] += _trusted(ranks[owner], owner[neighbours]).mean() / len(tables)
    result = {"value": estimate.value, "interval": estimate.interval, "n": estimate.n, "named": {"PCA": plain[:3]}}
    return result | {"null": tuple(np.quantile(null, [0.025, 0.975]))}


def agreement(rows: np.ndarray, points: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """What an embedding keeps of the large: Kendall's tau-b between code space and plane of the distances between the
    centres of the classes, and of the sizes of the classes (mean distance to the centre)."""
    measured = []
    for table in (np.asarray(rows, dtype=np.float64), np.asarray(points, dtype=np.float64)):
        parts = [table[labels == value] for value in np.unique(labels)]
        sizes = [np.linalg.norm(part - part.mean(0), axis=1).mean() for part in parts]
        measured.append((distance.pdist(np.array([part.mean(0) for part in parts])), sizes))
    pairs = zip(("distances", "sizes"), *measured, strict=True)
    return {name: float(scipy_stats.kendalltau(one, other).statistic) for name, one, other in pairs}


def described(rows: np.ndarray, points: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Trustworthiness of an embedding, the share of a point's ten nearest that are among the ten (and the fifty)
    nearest codes, class purity of the ten nearest points, and `agreement`."""
    trusted, near = trust(rows, points).mean(), codes.nearest(points)
    found = {"trust": float(trusted), "purity": float(codes.shared(near, labels).mean())}
    for name, k in (("kept", codes.NEIGHBOURS), ("kept among fifty", min(50, len(rows) - 1))):
        own = codes.nearest(rows, k)
        found[name] = float(np.mean([np.isin(one, other).mean() for one, other in zip(near, own, strict=True)]))
    return found | agreement(rows, points, labels)


# --------------------------------------------------------------------------- pictures at their points


def snap(points: np.ndarray, across: int, down: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pictures are shown, and in which cell (row, column) of a grid, so that none covers another.

    The points (N, 2) are stretched to fill a grid of `across` x `down` cells (each axis by itself: they have no units);
    each goes to the cell it lies in, and of several in one cell that nearest its centre stays. Returns numbers (M,) and
    cells (M, 2); no picture is moved by more than half a cell, and those that find no place are left out.
    """
    if across < 2 or down < 2:
        raise ValueError(f"the grid is {across} x {down} cells, expected at least 2 x 2")
    places = (points - points.min(0)) / np.maximum(np.ptp(points, axis=0), 1e-12) * [across - 1, down - 1]
    cells = np.rint(places).astype(int)
    order = np.argsort(np.linalg.norm(places - cells, axis=1), kind="stable")
    _, first = np.unique(cells[order], axis=0, return_index=True)
    shown = np.sort(order[first])
    return shown, np.stack([down - 1 - cells[shown, 1], cells[shown, 0]], 1)


def mosaic(images: np.ndarray, cells: np.ndarray, grid: tuple, frames: np.ndarray, side: int = 40, colours: int = 24):
    """One picture (down * side, across * side, 3) uint8 of pictures (M, H, W, 3) uint8 in their cells (M, 2), each in a
    frame of its colour (M, 3) uint8; grid: (across, down). The pictures keep `colours`
    colours, without dithering."""
    across, down = grid
    canvas, framed = np.full((down * side, across * side, 3), 255, np.uint8), np.zeros((side, side), bool)
    framed[1:-1, 1:-1], framed[4:-4, 4:-4] = True, False
    corners = [
        (slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)) for row, column in cells
    ]
    for image, corner in zip(images, corners, strict=True):
        small = Image.fromarray(image).resize((side - 8, side - 8), Image.Resampling.BOX)
        canvas[corner][4:-4, 4:-4] = np.asarray(small)
    reduced = Image.fromarray(canvas).quantize(colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    canvas = np.array(reduced.convert("RGB"))
    for frame, corner in zip(frames, corners, strict=True):
        canvas[corner][framed] = frame
    return canvas


def tiles(images: np.ndarray, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (P, 3, H, W) cut into grid x grid tiles that do not overlap: (P * grid * grid, 3, H / grid, W / grid),
    and the number of the picture that each is from. H and W must be multiples of `grid`."""
    number, channels, height, width = images.shape
    if height % grid or width % grid:
        raise ValueError(f"grid is {grid}, expected a divisor of {height} and {width}, the sides of the pictures")
    parts = images.reshape(number, channels, grid, height // grid, grid, width // grid)
    parts = parts.transpose(0, 2, 4, 1, 3, 5).reshape(-1, channels, height // grid, width // grid)
    return np.ascontiguousarray(parts), np.repeat(np.arange(number), grid * grid)


def table(points: dict[str, np.ndarray]) -> list[dict]:
    """The numbers behind a figure of embeddings {space: (N, 2)}: a row a point."""
    return [{"space": s, "image": k, "x": x, "y": y} for s, part in points.items() for k, (x, y) in enumerate(part)]


def photographs(net: networks.Network, grid: int, device="cpu", side: int = 32) -> tuple:
    """The photographs that scikit-image ships, cut into grid x grid tiles of the network's size, and their codes.

    Returns tiles (N, size, size, 3) uint8, the number of each tile's photograph (N,), a line of credits, and two spaces
    {name: (N, features)}: pixels averaged to side x side, and the layer that serves as the last hidden one
    (networks.hidden), averaged to one number a channel.
    """
    shipped = photos.shipped(net.size * grid, crop=1.0)
    parts, origin = tiles(photos.stack(shipped).numpy(), grid)
    credits = photos.credits(shipped)
    images, last = torch.from_numpy(parts), networks.hidden(net)[0]
    read = {codes.PIXELS: codes.pixels(functional.interpolate(images, (side, side), mode="area"))}
    read |= codes.read(net, images.to(device), [last], most=1)
    return np.round(255 * parts.transpose(0, 2, 3, 1)).clip(0, 255).astype(np.uint8), origin, credits, read
