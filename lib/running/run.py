"""How a notebook starts: its parameters checked, one torch thread, one seed, one figure style, no stray warnings.

A notebook that is run by hand with other parameters than its profile's (JupyterLab, papermill) writes into a folder of
its own, as a run with such parameters does, and says so: figures/<profile> holds the profile's results alone.
"""

import os
import sys
from pathlib import Path
from typing import NamedTuple

from lib.base import nearest, paths, repeatable
from lib.running import custom, given, identities, params

STAGED = "COMPANION_STAGED"  # of the environment: the notebook that a run executes, whose results the run itself places

BEFORE = "COMPANION_FIGURES_BEFORE"  # where they went before this process ran with other parameters
SHOWN = 5  # names of changed parameters that the sentence lists


class Run(NamedTuple):
    """What a notebook's figures and claims are filed under."""

    notebook: str  # "09_occlusion"
    profile: str
    parameters: dict  # the checked parameters, by name
    seed: int
    device: str
    changed: dict | None = None  # those that are not the profile's, by name
    contents: dict | None = None  # networks, files and folders that parameters name -> digests, where a run found them


def start(notebook: str, namespace: dict) -> Run:
    """Check the parameters that `notebook` declares, taken from its `globals()`, and make the process repeatable.

    Outside a run, with parameters that are not the profile's, figures and ledger go to a folder of their own from here
    on, and a sentence below the cell names it. ValueError with a sentence if the notebook or a parameter is unknown,
    missing, of the wrong type or out of range, or if a spec file is not there.
    """
    entries = params.index()
    if notebook not in entries:
        raise ValueError(f"unknown notebook {notebook!r}{nearest.nearest(notebook, entries)}")
    rules = entries[notebook]["parameters"]
    for name in rules:
        if name not in namespace:
            raise ValueError(f"{notebook}: parameter {name!r} is missing from the parameters cell")
    values = params.check({name: namespace[name] for name in rules}, rules, notebook)
    whole = {name: given.located(values[name], rules[name], [Path.cwd()], f"{notebook}: {name}") for name in rules}
    changed = custom.differing(whole, params.profile(values["profile"], entries)[notebook])
    repeatable.repeatable(values["seed"], values["device"])
    from lib.record import figures

    figures.style()
    if os.environ.get(STAGED) != notebook:
        _back()
        if changed:
            _apart(notebook, values["profile"], changed)
    named, known = identities.named(whole, notebook), identities.known()
    contents = {text: known[text] for text in named if text in known}
    return Run(notebook, values["profile"], values, values["seed"], values["device"], changed, contents)


def _apart(notebook: str, profile: str, changed: dict) -> None:
    """Send what this process writes to a folder of its own, and say so where a notebook shows it."""
    folder = paths.build() / custom.folder_name(profile, {notebook: changed})
    os.environ[BEFORE] = os.environ.get("COMPANION_FIGURES", "")
    os.environ |= {"COMPANION_FIGURES": str(folder / "figures"), "COMPANION_FOLDER": str(folder)}
    names = ", ".join([*list(changed)[:SHOWN], *([f"{len(changed) - SHOWN} more"] if len(changed) > SHOWN else [])])
    if "IPython" in sys.modules:
        from IPython.display import Markdown, display

        place = os.path.relpath(folder, paths.ROOT) if folder.is_relative_to(paths.ROOT) else folder
        display(Markdown(f"Other parameters than profile {profile}'s ({names}): this run's results go to `{place}`."))


def _back() -> None:
    """Where the same process ran with other parameters before: figures go again where they went before that."""
    if BEFORE in os.environ:
        before = os.environ.pop(BEFORE)
        del os.environ["COMPANION_FOLDER"], os.environ["COMPANION_FIGURES"]
        os.environ |= {"COMPANION_FIGURES": before} if before else {}
