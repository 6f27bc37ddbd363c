"""Folders of photographs too large to be read at once: ImageNet, a folder a class, and any pictures without classes.

What is trained on and tested in the paper profile. Pictures are decoded when they are asked for, and never shown.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lib.base import paths
from lib.worlds import imagenet_classes, photos

WORKERS = 4  # threads that decode: Pillow lets others run meanwhile
HELP = "data/README.md says what belongs there"


def pictures(folder: Path) -> list[Path]:
    """Every picture below a folder, in a fixed order. FileNotFoundError where there is none."""
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in photos.ENDINGS)
    if not found:
        raise FileNotFoundError(f"{folder} has no pictures, expected some ({', '.join(photos.ENDINGS[:4])}); {HELP}")
    return found


def imagenet(split: str, folder: Path | None = None) -> list[tuple[Path, int]]:
    """(file, class index) of ImageNet's pictures of a split, "train" or "val", in order; the folder, by default
    `imagenet` of the user's data, has a sub-folder a split, and in it one a class, named by its WordNet id.

    FileNotFoundError where it is not there or a class folder is empty; ValueError for a folder that is no class.
    """
    folder = (folder or paths.user_data() / "imagenet") / split
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no {folder}; expected ImageNet's folders n01440764 ...; {HELP}")
    place, found = {wnid: label for label, wnid in enumerate(imagenet_classes.wnids())}, []
    for part in sorted(one for one in folder.iterdir() if one.is_dir()):
        if part.name not in place:
            raise ValueError(f"{part} is not named after a class of ImageNet, expected a WordNet id such as n01440764")
        found += [(file, place[part.name]) for file in pictures(part)]
    if not found:
        raise FileNotFoundError(f"{folder} has no class folders, expected n01440764 ...; {HELP}")
    return found


def centred(files: list[Path], size: int) -> np.ndarray:
    """(n, size, size, 3) uint8: pictures as networks are tested on them (photos.fit)."""
    with ThreadPoolExecutor(WORKERS) as pool:
        images = torch.stack(list(pool.map(lambda file: photos.fit(photos.opened(file), size), files)))
    return images.mul(255).round().byte().permute(0, 2, 3, 1).numpy()


class Crops:
    """`n` random crops of random `files`, (n, size, size, 3) uint8, each decoded when its row is asked for.

    A crop is a square of an `area` (low, high) of the largest one that fits, anywhere, half of them mirrored.
    `crops[rows]` takes an array of row numbers; the same seed gives the same crops, whatever rows are asked for.
    """

    def __init__(self, files: list[Path], n: int, size: int, seed, area: tuple[float, float] = (0.25, 1.0)):
        generator = np.random.default_rng(seed)
        self.chosen, self.draws = generator.integers(0, len(files), n), generator.random((n, 4))
        self.files, self.size, self.area = files, size, area

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        with ThreadPoolExecutor(WORKERS) as pool:
            return np.stack(list(pool.map(self._crop, np.asarray(rows))))

    def _crop(self, row: int) -> np.ndarray:
        image, (share, x, y, mirrored) = photos.opened(self.files[self.chosen[row]]), self.draws[row]
        side = min(image.size) * np.sqrt(self.area[0] + share * (self.area[1] - self.area[0]))
        left, top = x * (image.width - side), y * (image.height - side)
        box = (left, top, left + side, top + side)
        crop = np.asarray(image.resize((self.size, self.size), Image.Resampling.BILINEAR, box=box))
        return crop[:, ::-1] if mirrored < 0.5 else crop


def epoch(files: list[Path], n: int, size: int, seed: int, number: int) -> Crops:
    """The `n` crops of an epoch: others in every epoch, and with every seed."""
    return Crops(files, n, size, [seed, number])
