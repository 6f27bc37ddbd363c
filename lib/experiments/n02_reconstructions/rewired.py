"""The pipeline of Palacio et al. 2018 (Figure 1) taken apart: what tuning moves, and what the decoder is told.

Encoder -> code and places of the maxima -> decoder -> classifier. Only the decoder is tuned; the places reach it beside
the code and are a wide channel of their own.
"""

import numpy as np
import torch
from torch import Tensor

from lib.base import files
from lib.experiments.shared import through_autoencoders
from lib.networks import interface, segnet, trained_autoencoders
from lib.worlds import cutouts


def fingerprints(autoencoder: segnet.Autoencoder, network: interface.Network) -> dict[str, str]:
    """SHA-256 of the weights, and of the batch-norm statistics where there are any, of the three parts."""
    parts = {"encoder": autoencoder.encoder, "decoder": autoencoder.decoder, "classifier": network.model}
    found = {}
    for name, part in parts.items():
        for kind, tensors in (("weights", part.parameters()), ("batch-norm statistics", part.buffers())):
            if content := b"".join(value.detach().cpu().numpy().tobytes() for value in tensors):
                found[f"{name}, {kind}"] = files.sha256(content)
    return found


KEEPS = ("code and places", "code, places all the same", "code, another picture's places", "places, another's code")


def rewired(autoencoder: segnet.Autoencoder, images: Tensor, keep: str, batch: int = 32) -> Tensor:
    """Reconstructions of pictures (N, 3, H, W), N >= 2, of which the decoder gets only what `keep` (of KEEPS) says.

    The rest comes from the picture before, of the first from the last; "all the same" puts every maximum into its
    window's corner. Not clipped; no gradients.
    """
    if keep not in KEEPS or len(images) < 2:
        raise ValueError(
            f"keep is {keep!r} for {len(images)} pictures, expected one of {KEEPS} and two or more pictures"
        )
    parts = []
    with torch.inference_mode():
        for own, before in zip(images.split(batch), images.roll(1, 0).split(batch), strict=True):
            code, places = autoencoder.encoder(autoencoder.preprocess(own))
            if keep == KEEPS[1]:
                places = [_corners(place) for place in places]
            elif keep == KEEPS[2]:
                places = autoencoder.encoder(autoencoder.preprocess(before))[1]
            elif keep == KEEPS[3]:
                code = autoencoder.encoder(autoencoder.preprocess(before))[0]
            parts.append(autoencoder.restore(autoencoder.decoder(code, places)))
    return torch.cat(parts)


def _corners(places: Tensor) -> Tensor:
    """The place of the upper left pixel of every 2x2 window, in the shape of max_pool2d's indices (N, C, h, w)."""
    height, width = places.shape[2:]
    rows, columns = torch.arange(height)[:, None] * 2, torch.arange(width) * 2
    return (rows * 2 * width + columns).to(places).expand_as(places)


def rewired_accuracy(families, seed: int, pictures: cutouts.Batch, n: int, device: str = "cpu") -> dict[str, float]:
    """The zoo's mean accuracy on A_S's reconstructions of the first `n` pictures, for each of KEEPS."""
    made, images = trained_autoencoders.autoencoder(device=device), interface.to_tensor(pictures.images[:n]).to(device)
    nets, found = through_autoencoders.zoo_of(families, seed, device), {}
    for keep in KEEPS:
        shown = rewired(made, images, keep)
        said = [interface.scores(net, shown).argmax(1).cpu().numpy() for net in nets]
        found[keep] = float(np.mean([one == pictures.labels[:n] for one in said]))
    return found
