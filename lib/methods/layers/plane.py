"""Codes drawn in the plane: t-SNE and its baseline PCA (both scikit-learn's), how far an embedding can be trusted, and
pictures placed at their points."""

import warnings

import numpy as np
from PIL import Image
from scipy.spatial import distance
from sklearn import decomposition, manifold

from lib.methods.layers import codes


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


def ranks(rows: np.ndarray) -> np.ndarray:
    """ranks[i, j]: which neighbour of i is j (1: the nearest; the image itself: 0)."""
    distances = distance.squareform(distance.pdist(np.asarray(rows, dtype=np.float64)))
    np.fill_diagonal(distances, -1)
    ranks = np.empty(distances.shape, dtype=np.int32)
    np.put_along_axis(ranks, distances.argsort(1, kind="stable"), np.arange(len(ranks))[None], 1)
    return ranks


def trusted(ranks: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    n, k = neighbours.shape
    excess = np.maximum(np.take_along_axis(ranks, neighbours, 1) - k, 0).sum(1)
    return 1 - excess * 2 / (k * (2 * n - 3 * k - 1))


def trust(rows: np.ndarray, points: np.ndarray, k: int = codes.NEIGHBOURS) -> np.ndarray:
    """Each image's trustworthiness (N,), whose mean is sklearn.manifold.trustworthiness (Venna & Kaski 2001).

    1 where the k nearest points are the k nearest codes; a false neighbour costs by how far down it really ranks.
    """
    if not 1 <= k < len(rows) / 2:
        raise ValueError(f"k is {k} for {len(rows)} images, expected 1 to less than half their number")
    return trusted(ranks(rows), codes.nearest(points, k))


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
