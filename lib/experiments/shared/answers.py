"""What every network of the zoo says about the test pictures, computed once and kept by content.

`python -m lib.jobs.answers --profile embedded` is the job that fills the cache before the notebooks that share it run;
a notebook that finds the cache empty computes the same numbers itself.
"""

import numpy as np
import torch

from lib.base import files
from lib.networks import interface, zoo
from lib.worlds import cutouts


def probabilities(net: interface.Network, pictures: cutouts.Batch) -> np.ndarray:
    """Class probabilities (n, classes) of a network on a batch of pictures, float32, cached by the content of both."""
    device = next(net.model.parameters()).device
    key = {"network": net.digest, "layers": files.sha256(repr(net.model).encode()), "device": str(device)}
    key |= {"pictures": files.sha256(pictures.images.tobytes()), "torch": torch.__version__}
    key["code"] = [files.file_digest(module.__file__) for module in (interface, zoo)]

    def compute() -> dict[str, np.ndarray]:
        scores = interface.scores(net, interface.to_tensor(pictures.images), batch=250)
        return {"probabilities": scores.softmax(1).numpy()}

    return files.cached("predictions", key, compute)["probabilities"]
