"""Values given on the command line: how a line of them is split, how each is read, and where relative paths begin.

A list may hold spaces and so may a path: `window=8 networks=[a.yaml, my nets/b.yaml] network=~/new nets/c.yaml`. What
holds a comma, a bracket, ': ', ' #', or what looks like the next name=, goes in quotes.
"""

import os
import re
from pathlib import Path

import yaml

from lib.base import strict_yaml

NAME = re.compile(r"([\w-]+\.)?[A-Za-z_]\w*\s*=")
SPEC = (".yaml", ".yml")
CLEARLY = ("/", "./", "../", "~")  # how a text begins that can only be a path


def split(line: str) -> list[str]:
    """'window=8 seeds=[0, 1]' as ['window=8', 'seeds=[0, 1]']; ValueError where it does not begin with name=."""
    starts, depth, quote, begins = [], 0, "", False
    for place, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote and line[place - 1] != "\\" else quote
        elif begins and letter in "\"'":
            quote = letter
        elif begins and letter in "[{":
            depth += 1
        elif depth and letter in "]}":
            depth -= 1
        elif not depth and (place == 0 or line[place - 1].isspace()) and NAME.match(line, place):
            starts.append(place)
        begins = letter in "=[{" or bool(depth) and letter in ",:" or begins and letter.isspace()
    if line[: (starts or [len(line)])[0]].strip():
        raise ValueError(f"{line!r}: expected name=value, or several of them, as in window=8 networks=[a.yaml, b.yaml]")
    ends = [*starts[1:], len(line)]
    return [line[begin:end].strip() for begin, end in zip(starts, ends, strict=False)]


def read(text: str, rule: dict, place: str):
    """The value that a text means to a parameter with this rule: YAML, but a plain text (a path, a name) as it stands.

    ValueError that begins with `place` where it is no YAML.
    """
    text = text.strip()
    if rule.get("type") == "str" and text and text[0] not in "\"'[{":
        return text
    try:
        return yaml.load(text, Loader=strict_yaml.Loader)
    except yaml.YAMLError as error:
        raise ValueError(
            f"{place} is {text!r}, which is not valid YAML ({' '.join(str(error).split())}); "
            "a text with a comma, a bracket, ': ' or ' #' in it needs quotes of its own"
        ) from error


def located(value, rule: dict, folders: list[Path], place: str):
    """`value` with every path in it made absolute, looked for in `folders` in their order, and ~ expanded.

    A path is what names a spec file (*.yaml, *.yml), what begins like one (/, ./, ../, ~), and what holds a slash or a
    dot and is there. Where the rule asks for certain names, these are no paths, but what holds one of / . ~ is.
    ValueError that begins with `place` and names the folders for the first two kinds where nothing is there.
    """
    if isinstance(value, list):
        items = rule.get("items", {})
        return [located(one, items, folders, f"{place}[{number}]") for number, one in enumerate(value)]
    names = ("choices" in rule and "or" not in rule) or re.fullmatch(rule.get("pattern", "(?!)"), str(value))
    if not isinstance(value, str) or (names and not ("pattern" in rule and any(mark in value for mark in "/.~"))):
        return value
    path = os.path.expanduser(value)
    must = value.lower().endswith(SPEC) or value.startswith(CLEARLY)
    if not must and "/" not in value and "." not in value:
        return value
    candidates = [Path(os.path.abspath(folder / path)) for folder in folders]
    for candidate in candidates if value else ():
        if candidate.exists():
            return str(candidate)
    if not must:
        return value
    where = "" if os.path.isabs(path) else f" in {' or '.join(dict.fromkeys(str(folder) for folder in folders))}"
    raise ValueError(f"{place}: there is no file {path}{where}")
