"""Crops of photographs to train on: those of ImageNet's sample that tune, those that judge, and Tiny-ImageNet's.

Of ImageNet's photographs every fourth judges what was trained, and the others are trained on; none is ever shown. What
is reported comes from the NIPS-2017 photographs, which no training sees (lib/worlds/photos.py).
"""

from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from lib.worlds import photos

EVERY = 4  # of ImageNet's photographs, every fourth judges
TINY = 3  # of Tiny-ImageNet's, every third is used


class Pictures(NamedTuple):
    """Photographs of different sizes, and their classes."""

    images: list[Image.Image]
    labels: np.ndarray  # (n,) int64


def tuning(limit: int | None = None) -> Pictures:
    """ImageNet's photographs that are trained on, whole."""
    found = [(image.convert("RGB"), label) for k, (_, image, label) in enumerate(photos.sample_pictures()) if k % EVERY]
    images, labels = zip(*found[:limit], strict=True)
    return Pictures(list(images), np.array(labels))


def judging(size: int, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """ImageNet's photographs that judge: (n, size, size, 3) uint8, as networks are tested, and classes (n,)."""
    found = [(image, label) for k, (_, image, label) in enumerate(photos.sample_pictures()) if not k % EVERY][:limit]
    images = torch.stack([photos.fit(image, size) for image, _ in found])
    return images.mul(255).round().byte().permute(0, 2, 3, 1).numpy(), np.array([label for _, label in found])


def crops(
    pictures: Pictures, n: int, size: int, generator: np.random.Generator, area: tuple[float, float] = (0.25, 1.0)
) -> tuple[np.ndarray, np.ndarray]:
    """(n, size, size, 3) uint8 and classes (n,): squares of random photographs, an `area` (low, high) of the largest
    square that fits wide, anywhere, half of them mirrored, resized by antialiased bilinear interpolation."""
    chosen = generator.integers(0, len(pictures.images), n)
    draws = generator.random((n, 4))
    made = np.empty((n, size, size, 3), np.uint8)
    for k, (which, (share, x, y, mirrored)) in enumerate(zip(chosen, draws, strict=True)):
        image = pictures.images[which]
        side = min(image.size) * np.sqrt(area[0] + share * (area[1] - area[0]))
        left, top = x * (image.width - side), y * (image.height - side)
        box = (left, top, left + side, top + side)
        crop = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))
        made[k] = crop[:, ::-1] if mirrored < 0.5 else crop
    return made, pictures.labels[chosen]


def tiny() -> np.ndarray:
    """(n, 64, 64, 3) uint8: every third training photograph of Tiny-ImageNet, in an order without classes."""
    found = np.stack([np.asarray(image.convert("RGB")) for _, image in islice(photos.tiny_pictures(), 0, None, TINY)])
    return found[np.random.default_rng(0).permutation(len(found))]
