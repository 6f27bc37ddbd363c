"""Parameters of the notebooks: what each is allowed to be, and the sentence a reader gets when it is not.

notebooks/index.yaml declares every parameter; notebooks/profiles/<profile>.yaml holds the values of a whole run. Both
are checked before any cell runs, and `lib.running.run.start` checks again inside the notebook.
"""

import ast
import functools
import math
import re
from pathlib import Path

from lib.base import nearest, paths, strict_yaml
from lib.running import given as from_line

COMMON = "every_notebook"  # the entry of the index and of a profile that stands for all notebooks
TYPES = {"int": int, "float": (int, float), "str": str, "bool": bool, "list": list}
FIELDS = {"title", "reproduces", "claims", "figures", "inputs", "jobs", "after", "planned"}
FIELDS |= {"parameters", "photos", "only_photos", "cutouts_jobs", "cutouts_inputs", "mine"}
WITHOUT = "without"  # beside a notebook's parameters: parts of it (`mine` in the index) that a run leaves out
OWN = r"(?s)torchvision:.+|.+\.ya?ml"  # a reader's network, where the choices are readers
RULES = {"type", "meaning", "min", "max", "choices", "pattern", "items", "min_items", "max_items", "unique"}


def index(folder: Path | None = None) -> dict[str, dict]:
    """The table of notebooks without its common entry: {notebook: entry}, each entry's parameters with the common ones.

    ValueError names the entry and the field if the file does not keep to its own rules.
    """
    path = (folder or paths.notebooks()) / "index.yaml"
    table = strict_yaml.read(path)
    common = table.pop(COMMON, {}).get("parameters", {})
    entries = {}
    for name, entry in table.items():
        for field in set(entry) - FIELDS:
            raise ValueError(f"{path.name}, {name}: unknown field {field!r}{nearest.nearest(field, FIELDS)}")
        entry = {"claims": [], "figures": [], "inputs": [], "jobs": [], "after": [], "planned": False} | entry
        entry = {"photos": [], "only_photos": [], "cutouts_jobs": [], "cutouts_inputs": [], "mine": {}} | entry
        entry["own"] = list(entry.get("parameters") or {})
        entry["parameters"] = common | (entry.get("parameters") or {})
        for parameter, rule in entry["parameters"].items():
            _check_rule(f"{path.name}, {name}, {parameter}", rule)
        entry["parameters"] = {parameter: _with_families(rule) for parameter, rule in entry["parameters"].items()}
        entries[name] = entry
    return {name: entries[name] | {"after": _after(name, entries)} for name in sorted(entries)}


def _with_families(rule: dict) -> dict:
    """`choices: families` as the names of the zoo's families, `choices: readers` as these and the networks of the
    photos profile, or a reader's own (OWN); a list of them may also be ["all"]."""
    known = {"families": families, "readers": readers}
    if (kind := rule.get("choices")) in ("families", "readers"):
        return rule | {"choices": known[kind]()} | ({"or": OWN} if kind == "readers" else {})
    if (kind := rule.get("items", {}).get("choices")) in ("families", "readers"):
        more = {"or": OWN} if kind == "readers" else {}
        return rule | {"items": rule["items"] | {"choices": ["all", *known[kind]()]} | more}
    return rule


@functools.cache
def families() -> list[str]:
    """The zoo's families, from the one list of them, lib/networks/zoo.py: read and not imported, since parameters are
    checked before anything loads torch."""
    return _keys("lib/networks/zoo.py", "LETTERS")


def readers() -> list[str]:
    """The families and the networks of the other worlds, of which there is one list each in lib/networks as well."""
    others = (_keys(f"lib/networks/{world}_networks.py", "NETWORKS") for world in ("photo", "paper"))
    return [*families(), *(name for names in others for name in names)]


def _keys(file: str, name: str) -> list[str]:
    path = paths.ROOT / file
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return list(ast.literal_eval(node.value))
    raise ValueError(f"{path} has no {name}, expected networks with their letters")


def _after(name: str, entries: dict) -> list[str]:
    after = entries[name]["after"]
    for other in after:
        if other != "all" and other not in entries:
            raise ValueError(
                f"index.yaml, {name}: 'after' names an unknown notebook {other!r}{nearest.nearest(other, entries)}"
            )
    return sorted(set(entries) - {name}) if after == ["all"] else after


def _check_rule(place: str, rule: dict) -> None:
    for field in set(rule) - RULES:
        raise ValueError(f"{place}: unknown field {field!r}{nearest.nearest(field, RULES)}")
    if rule.get("type") not in TYPES:
        raise ValueError(f"{place}: type is {rule.get('type')!r}, expected one of {', '.join(TYPES)}")
    if not rule.get("meaning"):
        raise ValueError(f"{place}: 'meaning' is missing, expected one line with the unit")


def resolve(name: str, entries: dict) -> str:
    """The full name of a notebook given as '09', '09_occlusion' or '09_occlusion.ipynb'."""
    short = Path(str(name)).name.removesuffix(".ipynb")
    found = [full for full in entries if short in (full, full[:2])]
    if not found:
        raise ValueError(f"unknown notebook {name!r}{nearest.nearest(short, entries)}")
    return found[0]


def profiles(folder: Path | None = None) -> list[str]:
    """Names of the profiles that exist."""
    return sorted(path.stem for path in ((folder or paths.notebooks()) / "profiles").glob("*.yaml"))


def profile(name: str, entries: dict | None = None, folder: Path | None = None) -> dict[str, dict]:
    """Checked values of a profile for every notebook: {notebook: {parameter: value}}, common values included.

    What a profile leaves out has the value of the embedded profile, which is that of the notebooks' own cells.
    """
    folder = folder or paths.notebooks()
    entries = index(folder) if entries is None else entries
    if name not in profiles(folder):
        raise ValueError(f"unknown profile {name!r}{nearest.nearest(name, profiles(folder))}")
    complete = {notebook: {} for notebook in entries}
    for layer in dict.fromkeys(("embedded", name)):
        path = folder / "profiles" / f"{layer}.yaml"
        values = strict_yaml.read(path)
        common = (values.pop(COMMON, None) or {}) | {"profile": name}
        for notebook in set(values) - set(entries):
            raise ValueError(f"profiles/{path.name}: unknown notebook {notebook!r}{nearest.nearest(notebook, entries)}")
        for notebook, entry in entries.items():
            given = common | (values.get(notebook) or {})
            complete[notebook] |= check(given, entry["parameters"], f"profiles/{path.name}, {notebook}")
    return complete


def overrides(
    texts: list[str], notebooks: list[str], entries: dict, folders: list[Path] | None = None
) -> dict[str, dict]:
    """Values given on the command line: 'name=value' for every notebook in `notebooks` that declares the name, or
    'notebook.name=value' for one. Values are read as YAML, so `[1, 2]`, `0.5`, `true` and `text` mean what they say.
    Relative paths are looked for in `folders` (default: the current one) and made absolute; what is missing is told.
    """
    folders, given = folders or [Path.cwd()], {}
    for text in texts:
        name, sign, value = text.partition("=")
        name = name.strip()
        if not sign or not name:
            raise ValueError(f"-p {text!r}: expected name=value or notebook.name=value")
        chosen = notebooks
        if "." in name:
            notebook, _, name = name.rpartition(".")
            chosen = [resolve(notebook, entries)]
        if name == "profile":
            raise ValueError("-p profile=...: a profile is chosen with --profile (make: PROFILE=...)")
        rules_of = {notebook: _with_parts(entries[notebook]) for notebook in chosen}
        holders = [notebook for notebook in chosen if name in rules_of[notebook]]
        if not holders:
            known = {known for notebook in chosen for known in entries[notebook]["parameters"]}
            raise ValueError(f"unknown parameter {name!r} of {', '.join(chosen)}{nearest.nearest(name, known)}")
        for notebook in holders:
            rules = {name: rules_of[notebook][name]}
            found = from_line.read(value, rules[name], f"{notebook}: {name}")
            found = from_line.located(found, rules[name], folders, f"{notebook}: {name}")
            given.setdefault(notebook, {}).update(check({name: found}, rules, notebook))
    return given


def _with_parts(entry: dict) -> dict[str, dict]:
    """A notebook's parameters and, where it has parts that can be left out, their names."""
    parts = {"type": "list", "items": {"type": "str", "choices": list(entry.get("mine", {}))}, "unique": True}
    return entry["parameters"] | ({WITHOUT: parts} if entry.get("mine") else {})


def check(values: dict, rules: dict[str, dict], place: str) -> dict:
    """`values` if every one has a declared name, the right type and an allowed value; else a sentence (ValueError)."""
    for name, value in values.items():
        if name not in rules:
            raise ValueError(f"{place}: unknown parameter {name!r}{nearest.nearest(name, rules)}")
        _check_value(f"{place}: {name}", value, rules[name])
    return dict(values)


def allowed(rule: dict) -> str:
    """What a rule allows, in words: 'int from 1 to 64'."""
    if "choices" in rule:
        more = ", torchvision:<name>, or the path of a spec file (*.yaml)" if "or" in rule else ""
        return f"one of {', '.join(map(str, rule['choices']))}{more}"
    if "pattern" in rule:
        return f"a name that fits {rule['pattern']}"
    text = rule.get("type", "value")
    if "min" in rule:
        text += f" from {rule['min']}"
    if "max" in rule:
        text += f" up to {rule['max']}"
    if "items" in rule:
        text += f" of {rule.get('min_items', 0)} or more items, each {allowed(rule['items'])}"
    if "max_items" in rule:
        text += f", at most {rule['max_items']} items"
    return text + (", none twice" if rule.get("unique") else "")


def _check_value(name: str, value, rule: dict) -> None:
    wrong = ValueError(f"{name} is {value!r} ({type(value).__name__}), expected {allowed(rule)}")
    kind = rule.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "bool")):
        raise wrong
    if isinstance(value, float) and not math.isfinite(value):
        raise wrong
    if "choices" in rule and value not in rule["choices"] and not re.fullmatch(rule.get("or", "(?!)"), str(value)):
        raise wrong
    if "pattern" in rule and not re.fullmatch(rule["pattern"], value):
        raise wrong
    if ("min" in rule and value < rule["min"]) or ("max" in rule and value > rule["max"]):
        raise wrong
    if kind == "list":
        if not rule.get("min_items", 0) <= len(value) <= rule.get("max_items", math.inf):
            raise wrong
        if rule.get("unique") and any(one in value[:place] for place, one in enumerate(value)):
            raise wrong
        for place, one in enumerate(value):
            _check_value(f"{name}[{place}]", one, rule.get("items", {}))
