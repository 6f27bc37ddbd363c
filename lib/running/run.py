"""How a notebook starts: its parameters checked, one torch thread, one seed, one figure style, no stray warnings."""

from typing import NamedTuple

from lib.base import nearest, repeatable
from lib.running import params


class Run(NamedTuple):
    """What a notebook's figures and claims are filed under."""

    notebook: str  # "09_occlusion"
    profile: str
    parameters: dict  # the checked parameters, by name
    seed: int
    device: str


def start(notebook: str, namespace: dict) -> Run:
    """Check the parameters that `notebook` declares, taken from its `globals()`, and make the process repeatable.

    ValueError with a sentence if the notebook or a parameter is unknown, missing, of the wrong type or out of range.
    """
    entries = params.index()
    if notebook not in entries:
        raise ValueError(f"unknown notebook {notebook!r}{nearest.nearest(notebook, entries)}")
    rules = entries[notebook]["parameters"]
    for name in rules:
        if name not in namespace:
            raise ValueError(f"{notebook}: parameter {name!r} is missing from the parameters cell")
    values = params.check({name: namespace[name] for name in rules}, rules, notebook)
    repeatable.repeatable(values["seed"], values["device"])
    from lib.record import figures

    figures.style()
    return Run(notebook, values["profile"], values, values["seed"], values["device"])
