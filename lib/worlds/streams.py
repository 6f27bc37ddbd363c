"""What the autoencoder A_S learns from: a stream that never repeats, or a few pictures again and again."""

import numpy as np

from lib.worlds import cutouts


def diverse(epoch: int, n: int = 2_000, split: str = "train", first: int = 1_000) -> np.ndarray:
    """Slice `epoch` of the large diverse stream: pictures (n, 64, 64, 3) that never come again.

    The counterpart of the paper's YFCC100m: every 500 pictures are drawn from another world, with other sizes, turns,
    clutter, backgrounds and colours, and with cues that say nothing about a label.
    """
    parts = []
    for k in range(epoch * n // 500, (epoch + 1) * n // 500 or 1):
        low = 4 + 10 * (k % 5) / 5
        world = cutouts.World(0.1, 0.1, 0.1, radius=(low, 17.5), rotation=180.0, clutter=k % 9, seed=first + k)
        world = world._replace(photographs=(0.7, 0.0, 1.0)[k % 3], modification=("none", "bgr")[k % 2])
        parts.append(cutouts.render(world, split, range(min(n, 500))).images)
    return np.concatenate(parts)


def repeated(epoch: int, n: int, pictures: np.ndarray) -> np.ndarray:
    """Slice `epoch` of a few `pictures` seen again and again, in a new order every time."""
    places = np.arange(epoch * n, (epoch + 1) * n)
    orders = {p: np.random.default_rng(p).permutation(len(pictures)) for p in np.unique(places // len(pictures))}
    return pictures[[orders[p // len(pictures)][p % len(pictures)] for p in places]]
