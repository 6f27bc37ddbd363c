"""Captions and alt texts of a notebook's figures, in a table beside it: notebooks/captions/<notebook>.yaml.

    12_inverted:
      caption: Test pictures, and what generators make of their codes at three layers of AlexNet.
      alt: Six test pictures and, below each, three reconstructions.

A figure that shows something else in the photos profile has an entry `photos` with what differs, and one whose text
holds for the profile's parameters alone (it names networks, photographs, numbers) an entry `custom` with what to say in
a run with others; without one, the text is followed by what was changed. Words in braces are filled in from the
notebook's parameters ({steps}) or from what `figures.save` is given; in `custom` also {changed}, and lists and paths
read as words ({networks}: "mine and squeezenet1_1").
"""

import re
from pathlib import Path

from lib.base import paths, strict_yaml

FIELDS = {"caption", "alt"}
OTHER = "photos"  # the profile in which a figure may have another caption, or another alt text
SPEC = (".yaml", ".yml")
CUSTOM = "custom"  # and the runs whose parameters are not their profile's


def path_of(notebook: str) -> Path:
    """The table of a notebook ("12_generator_prior"), which need not exist."""
    return paths.notebooks() / "captions" / f"{notebook}.yaml"


def of(
    name: str, notebook: str, facts: dict, profile: str = "embedded", changed: dict | None = None
) -> tuple[str, str]:
    """Caption and alt text of the figure `name` in a profile, with `facts` filled in; ValueError with a sentence if
    they are not there. changed: {name: value} of the parameters that are not the profile's."""
    path = path_of(notebook)
    table = strict_yaml.read(path) if path.exists() else {}
    entry, own = table.get(name), False
    if isinstance(entry, dict):
        others = {kind: entry.pop(kind, {}) for kind in (OTHER, CUSTOM)}
        asked = [others[OTHER]] if profile == OTHER else []
        asked += [others[CUSTOM]] if changed else []
        own = bool(changed and others[CUSTOM])
        for other in asked:
            entry |= other if isinstance(other, dict) else {CUSTOM: other}
    if not isinstance(entry, dict) or set(entry) != FIELDS or not all(isinstance(text, str) for text in entry.values()):
        raise ValueError(
            f"figure {name}: captions/{path.name} holds {entry!r} for it, expected its caption and its alt text"
        )
    if changed:
        facts = {key: said(value) for key, value in facts.items()} | {"changed": differences(changed)}
    try:
        texts = entry["caption"].format_map(facts), entry["alt"].format_map(facts)
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(
            f"figure {name}: captions/{path.name} asks for {error}, expected one of {', '.join(sorted(facts))}"
        ) from error
    if changed and not own:
        note = f"(Here with {facts['changed']}; the text is that of the profile's own parameters.)"
        owed = facts.get("credits") if "{credits}" not in entry["caption"] else ""
        return f"{texts[0]} {note}" + (f" Photographs: {owed}." if owed else ""), f"{texts[1]} {note}"
    return texts


def said(value):
    """A value as a sentence says it: a list as "a, b and c", of a path the file's or folder's name."""
    if isinstance(value, list | tuple):
        *first, last = map(str, map(said, value)) if value else ("none",)
        return f"{', '.join(first)} and {last}" if first else last
    if isinstance(value, str) and (value.endswith(SPEC) or value.startswith(("/", "./", "../", "~"))):
        return re.sub(r"\.ya?ml$", "", value.rstrip("/").rpartition("/")[2])
    return value


def differences(changed: dict) -> str:
    """What was changed, in words: "window = 8, networks = mine and squeezenet1_1"."""
    return ", ".join(f"{name} = {said(value)}" for name, value in changed.items())
