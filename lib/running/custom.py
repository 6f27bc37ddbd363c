"""Runs with other parameters than the profile's: what differs, and the folder of their own that their results get.

So that no two of them share a folder, and none is taken for the profile's.
"""

import re

from lib.base import files

LONGEST = 72  # characters of a folder's name before the digest at its end


def differing(values: dict, usual: dict) -> dict:
    """{name: value} of the parameters in `values` that are not those of the profile, `usual`."""
    return {name: value for name, value in values.items() if name not in usual or usual[name] != value}


def folder_name(profile: str, changed: dict[str, dict], label: str = "") -> str:
    """The name of a run's folder in build/: the profile's own where nothing is changed and no label given, else it goes
    on with the label, or with what was changed, and ends in a digest: "embedded-window=8-1a2b3c4d".

    changed: {notebook: {parameter: value}}. Only letters, digits and . _ = + - are in it.
    """
    if not label and not any(changed.values()):
        return profile
    words = label or "-".join(dict.fromkeys(f"{k}={_short(v)}" for one in changed.values() for k, v in one.items()))
    words = re.sub(r"[^A-Za-z0-9._=+-]+", "_", words)[: LONGEST - len(profile)].strip("._-")
    return "-".join(part for part in (profile, words, files.key_digest(changed)[:8]) if part)


def _short(value) -> str:
    """A value in few letters: of a path the file's name, of a list its items."""
    if isinstance(value, list | tuple):
        return "+".join(map(_short, value))
    text = str(value).rstrip("/").rpartition("/")[2]
    return re.sub(r"\.ya?ml$", "", text)
