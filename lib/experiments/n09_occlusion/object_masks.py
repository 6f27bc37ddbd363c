"""Maps scored against the objects' masks: the ground truth that no photograph has.

A square counts as lying on an object if the pixel at its centre does. The tables are (N, N): row i is image i's map,
column k the mask of image k, so that the diagonal is the score and the rest its null (lib.record.uncertainty.matched).
"""

import numpy as np


def on_masks(boxes: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Whether the centre of each square (P, 4) lies on each mask (N, S, S): (N, P)."""
    rows, columns = (boxes[:, 0] + boxes[:, 2] - 1) // 2, (boxes[:, 1] + boxes[:, 3] - 1) // 2
    return np.asarray(masks, dtype=bool)[:, rows, columns]


def lowest_on(values: np.ndarray, boxes: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Does the lowest value lie on the object? values (N, P), one a square. Table (N, N) of 0 and 1, and the share of
    the tied squares where several are lowest. Claim E5."""
    lowest = values == values.min(1, keepdims=True)
    return lowest.astype(np.float64) @ on_masks(boxes, masks).T / lowest.sum(1, keepdims=True)


def drop_on(drops: np.ndarray, boxes: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The mean of `drops` (N, P) over the squares on the object minus its mean over the others, table (N, N). NaN
    where a mask holds the centre of no square or of all. Claim E5, area."""
    inside = on_masks(boxes, masks).astype(np.float64)
    count, squares = inside.sum(1), inside.shape[1]
    within = drops @ inside.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return within / count - (drops.sum(1, keepdims=True) - within) / (squares - count)


def projected_square(projections: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The square (its number, (N,)) that holds most of the absolute value of each projection (N, 3, S, S)."""
    energy = np.abs(projections).sum(1, dtype=np.float64)
    table = np.pad(energy.cumsum(1).cumsum(2), ((0, 0), (1, 0), (1, 0)))
    top, left, bottom, right = boxes.T
    held = table[:, bottom, right] - table[:, top, right] - table[:, bottom, left] + table[:, top, left]
    return held.argmax(1)


def overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The share of each of `boxes` (P, 4) that `box` (4,) covers, (P,)."""
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    return np.clip(sides, 0, None).prod(1) / (boxes[:, 2:] - boxes[:, :2]).prod(1)


def lost(activity: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """The share of a map's clean activation (N,) that is gone under each square, (N, P), from its activations (N,
    P)."""
    return 1 - activity / clean[:, None]


def lost_where_projected(
    shares: np.ndarray, projections: np.ndarray, boxes: np.ndarray, masks: np.ndarray, most: float = 0.25
) -> tuple[np.ndarray, np.ndarray]:
    """The share lost under the square that holds most of the projection, and the mean share lost under the other
    squares of its size on the object, (N,) each. Claim E6.

    shares (N, P): see `lost`. An 'other' square has its centre on the mask and overlaps the first by at most `most`
    of its area. NaN where there is none, and where the map is silent on the clean image.
    """
    chosen, inside = projected_square(projections, boxes), on_masks(boxes, masks)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    reference = np.full(len(shares), np.nan)
    for number, square in enumerate(chosen):
        others = inside[number] & (overlap(boxes[square], boxes) <= most) & (area == area[square])
        if others.any():
            reference[number] = shares[number, others].mean()
    return shares[np.arange(len(shares)), chosen], reference
