"""What every network of the zoo says about the test pictures, computed once and kept by content.

`python -m lib.jobs.answers --profile embedded` is the job that fills the cache before the notebooks that share it run;
a notebook that finds the cache empty computes the same numbers itself.
"""

import numpy as np

from lib.base import cache
from lib.networks import interface
from lib.worlds import cutouts


def probabilities(net: interface.Network, pictures: cutouts.Batch) -> np.ndarray:
    """Class probabilities (n, classes) of a network on a batch of pictures, float32, cached by the content of both."""

    def compute() -> dict[str, np.ndarray]:
        scores = interface.scores(net, interface.to_tensor(pictures.images), batch=250)
        return {"probabilities": scores.softmax(1).numpy()}

    return cache.cached("answers", {"network": net, "pictures": pictures.images}, compute)["probabilities"]
