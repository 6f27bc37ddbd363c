"""The only place where paths are made.

Environment variables move the folders that are written or that a user brings (tests use them to keep off
committed files): COMPANION_FIGURES (figures and ledgers), COMPANION_BUILD (caches, executed notebooks, logs) and
COMPANION_DATA (a user's own photographs and data sets). A run sets COMPANION_FOLDER to its own folder in build/.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _folder(variable: str, default: str) -> Path:
    return Path(os.environ[variable]).resolve() if os.environ.get(variable) else ROOT / default


def figures() -> Path:
    """Folder of the figures and ledgers, one subfolder a profile."""
    return _folder("COMPANION_FIGURES", "figures")


def committed_figures() -> Path:
    """Folder of the figures and ledgers that are in the repository, wherever others are written."""
    return ROOT / "figures"


def build() -> Path:
    """Folder of everything that can be made again: caches, executed notebooks, logs, checkpoints."""
    return _folder("COMPANION_BUILD", "build")


def of_run(profile: str) -> Path:
    """Folder of what a run leaves beside its figures, such as logs: build/<profile>, or that of a run with parameters
    of its own."""
    return _folder("COMPANION_FOLDER", str(build() / profile))


def user_data() -> Path:
    """Folder of the user's own photographs and data sets; data/README.md says what goes there."""
    return _folder("COMPANION_DATA", "data")


def weights() -> Path:
    """Folder of the weights that this project trained and committed."""
    return _folder("COMPANION_WEIGHTS", "data/weights")


def notebooks() -> Path:
    """Folder of the notebooks, their index and their profiles."""
    return _folder("COMPANION_NOTEBOOKS", "notebooks")
