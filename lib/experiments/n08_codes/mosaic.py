"""Pictures placed at their points of a plane, so that none covers another: a picture of pictures for notebook 08."""

import numpy as np
from PIL import Image


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


def mosaic(images: np.ndarray, cells: np.ndarray, grid: tuple, frames: np.ndarray, side: int = 40):
    """One picture (down * side, across * side, 3) uint8 of pictures (M, H, W, 3) uint8 in their cells (M, 2), each in a
    frame of its colour (M, 3) uint8; grid: (across, down)."""
    across, down = grid
    canvas, framed = np.full((down * side, across * side, 3), 255, np.uint8), np.zeros((side, side), bool)
    framed[1:-1, 1:-1], framed[4:-4, 4:-4] = True, False
    corners = [
        (slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)) for row, column in cells
    ]
    for image, corner in zip(images, corners, strict=True):
        small = Image.fromarray(image).resize((side - 8, side - 8), Image.Resampling.BOX)
        canvas[corner][4:-4, 4:-4] = np.asarray(small)
    for frame, corner in zip(frames, corners, strict=True):
        canvas[corner][framed] = frame
    return canvas
