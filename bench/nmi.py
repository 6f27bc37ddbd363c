"""nMI of 192 pairs of 64x64 channels at 32 and at 256 bins, one thread, against a loop over scikit-learn. The bar: 5x.

Pairs are channels of test cutouts and of noisy copies; the loop gets levels that are sorted into bins beforehand.
"""

import numpy as np
from sklearn.metrics import normalized_mutual_info_score

from bench._timing import Row, interleaved, ratio, spread
from lib.methods.signals import mutual_information
from lib.worlds import cutouts

PICTURES, BINS, REPEATS = 64, (32, 256), 7


def run() -> list[Row]:
    pictures = cutouts.render(cutouts.World(), "test", range(PICTURES)).images
    noisy = np.clip(pictures + np.random.default_rng(0).normal(0, 16, pictures.shape).round(), 0, 255).astype(np.uint8)
    x, y = (images.transpose(0, 3, 1, 2).reshape(3 * PICTURES, -1) for images in (pictures, noisy))
    rows = [Row("loop over scikit-learn", 1.0, "the reference, binning not counted")]
    for bins in BINS:
        pairs = list(zip(mutual_information.level(x, bins), mutual_information.level(y, bins), strict=True))

        def loop(pairs=pairs) -> list[float]:
            return [normalized_mutual_info_score(a, b, average_method="geometric") for a, b in pairs]

        seconds = interleaved({"loop": loop, "batched": lambda bins=bins: mutual_information.nmi(x, y, bins)}, REPEATS)
        off = np.abs(mutual_information.nmi(x, y, bins) - loop()).max()
        note = f"{spread(seconds['loop'], seconds['batched'])}; differs by at most {off:.0e}"
        rows.append(Row(f"batched, {bins} bins", ratio(seconds["loop"], seconds["batched"]), note))
    return rows
