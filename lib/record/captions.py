"""Captions and alt texts of a notebook's figures, in a table beside it: notebooks/captions/<notebook>.yaml.

    12_inverted:
      caption: Test pictures, and what generators make of their codes at three layers of AlexNet.
      alt: Six test pictures and, below each, three reconstructions.

A figure that shows something else in the photos profile has an entry `photos` with what differs. Words in braces are
filled in from the notebook's parameters ({steps}) or from what `figures.save` is given.
"""

from pathlib import Path

from lib.base import paths, strict_yaml

FIELDS = {"caption", "alt"}
OTHER = "photos"  # the profile in which a figure may have another caption, or another alt text


def path_of(notebook: str) -> Path:
    """The table of a notebook ("12_generator_prior"), which need not exist."""
    return paths.notebooks() / "captions" / f"{notebook}.yaml"


def of(name: str, notebook: str, facts: dict, profile: str = "embedded") -> tuple[str, str]:
    """Caption and alt text of the figure `name` in a profile, with `facts` filled in; ValueError with a sentence if
    they are not there."""
    path = path_of(notebook)
    table = strict_yaml.read(path) if path.exists() else {}
    entry = table.get(name)
    if isinstance(entry, dict) and isinstance(other := entry.pop(OTHER, {}), dict) and profile == OTHER:
        entry |= other
    if not isinstance(entry, dict) or set(entry) != FIELDS or not all(isinstance(text, str) for text in entry.values()):
        raise ValueError(
            f"figure {name}: captions/{path.name} holds {entry!r} for it, expected its caption and its alt text"
        )
    try:
        return entry["caption"].format_map(facts), entry["alt"].format_map(facts)
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(
            f"figure {name}: captions/{path.name} asks for {error}, expected one of {', '.join(sorted(facts))}"
        ) from error
