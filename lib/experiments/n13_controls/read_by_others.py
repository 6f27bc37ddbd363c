"""Whose images do other networks recognise? As Feather et al. 2023 ask of metamers, beside the readability of notebook
03's signals (notebook 13)."""

import csv

import numpy as np

from lib.base import paths
from lib.experiments.shared import recognised
from lib.experiments.shared.class_images import Made
from lib.networks import zoo
from lib.record.seeds import student


def readability(name: str = "03_explained") -> dict[str, float]:
    """By family how well the others read its signal, as notebook 03 measured and the repository keeps it: their mean
    accuracy on A_i as a share of that on A_S, mean over seeds. FileNotFoundError where the figure is missing."""
    path, letters = paths.committed_figures() / "embedded" / f"{name}.csv", {v: k for k, v in zoo.LETTERS.items()}
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    known = dict.fromkeys(line["signal"] for line in lines)
    return {letters[s]: float(np.mean([float(x["readability"]) for x in lines if x["signal"] == s])) for s in known}


def shares(made: Made, family: str, families, seed: int) -> np.ndarray:
    """The share of the other families that assign an image to its class, by class, (classes,); seed: of the readers."""
    others = [one for one in families if one != family]
    return recognised.by_class(recognised.others(made.pictures, made.targets, others, seed), made.targets)


def rows(found: dict[str, dict[str, Made]], families, seed: int) -> list[dict]:
    """By way to make images ({way: {family driven: images}}) and family: readability of its signal, and the share of
    the others that recognise its images, with Student's interval over classes."""
    read = readability()
    return [
        {"way": way, "family": zoo.TITLES[family], "readability": read[family]}
        | student(shares(made, family, families, seed))._asdict()
        for way, of in found.items()
        for family, made in of.items()
    ]
