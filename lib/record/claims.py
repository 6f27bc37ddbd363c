"""The claims and their rules, and the verdict on what a notebook measured.

data/claims.yaml says for every claim what is measured and which interval counts as reproduced or as not reproduced; it
was written before the results. A notebook calls `record`; the verdict is computed here and kept in the ledger.
"""

import difflib
import math
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lib.base import paths, strict_yaml
from lib.record import ledger
from lib.record.ledger import tidy
from lib.record.tables import Table, number, span

VERDICTS = REPRODUCED, NOT, INCONCLUSIVE = "reproduced", "not reproduced", "inconclusive"
UNTESTABLE = "not testable here"
OTHERS = {"photos": "photos", "paper": "full_size"}  # profiles in which a claim may be asked otherwise: the entry
OWN = "mine"  # the world of a reader's network: one training, judged as those of the photos profile are
TOLERANCE = 0.01  # by how much a number may move between processors, unless its claim says otherwise


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Bounds(_Strict):
    """Conditions on an interval; all that are given must hold. `named` holds conditions on secondary quantities."""

    low_above: float | None = None
    high_below: float | None = None
    inside: tuple[float, float] | None = None
    outside: tuple[float, float] | None = None
    excludes: float | None = None
    value_at_least: float | None = None
    value_outside: tuple[float, float] | None = None
    above_null: Literal[True] | None = None
    not_above_null: Literal[True] | None = None
    named: dict[str, "Bounds"] | None = None


class Rule(_Strict):
    reproduced: Bounds
    not_reproduced: Bounds


class Example(_Strict):
    """A made-up result, and with it the verdict that its author worked out by hand."""

    value: float
    interval: tuple[float, float]
    null: tuple[float, float] | dict[str, tuple[float, float]] | None = None
    named: dict[str, tuple[float, float, float]] | None = None


class Variant(_Strict):
    """What differs where the claim is asked of other networks, or why it cannot be asked there."""

    untestable: str | None = None
    statistic: str | None = None
    unit: str | None = None
    null: str | None = None
    seeds: int | None = Field(default=None, ge=0)
    rule: Rule | None = None
    examples: dict[Literal["reproduced", "not reproduced", "inconclusive"], Example] | None = None
    settled: str = ""
    limits: str = ""


class Before(_Strict):
    """The verdict before the rule, the statistic or an arm was changed after a result, and why it was changed."""

    verdict: Literal["reproduced", "not reproduced", "inconclusive"]
    why: str


class Part(_Strict):
    statistic: str
    unit: str
    null: str
    seeds: int = Field(ge=0)  # how many must agree; 0 where nothing is trained or the seed itself is the unit
    agree: Literal["each", "sign"] = "each"  # what of each seed must lead to the same verdict: interval, or value
    tolerance: float = TOLERANCE
    rule: Rule
    examples: dict[Literal["reproduced", "not reproduced", "inconclusive"], Example]
    before: Before | None = None
    photos: Variant | None = None
    full_size: Variant | None = None


class Claim(_Strict):
    paper: str
    place: str
    statement: str
    found: str
    notebook: str
    prototype_seen: bool
    settled: str = ""
    limits: str = ""
    parts: dict[str, Part]


def load(path: str | Path | None = None, profile: str = "embedded") -> dict[str, dict]:
    """All claims by id, from data/claims.yaml; each with its `parts` (a claim without parts is its own only part), as
    they are asked in a profile: a part that cannot be asked there has `untestable`, the reason."""
    path = Path(path or paths.ROOT / "data" / "claims.yaml")
    claims = {}
    for name, entry in strict_yaml.read(path).items():
        if "parts" not in entry:
            part = {key: entry.pop(key) for key in list(entry) if key in Part.model_fields}
            entry["parts"] = {name: part}
        try:
            claims[name] = Claim.model_validate(entry).model_dump(exclude_none=True)
        except ValidationError as error:
            raise ValueError(f"{path.name}, claim {name}, {_wrong(name, error.errors()[0])}") from error
    for claim in claims.values():
        for entry in claim["parts"].values():
            others = {other: entry.pop(field, None) for other, field in OTHERS.items()}
            if profile in OTHERS:
                entry |= others[profile] or {"untestable": "nobody asked this of photographs"}
    return claims


def _wrong(name: str, error: dict) -> str:
    """What is wrong with a claim's entry: the place in it, and what was found there or is missing."""
    place = [str(step) for step in error["loc"]]
    place = ".".join(place[2:] if place[:2] == ["parts", name] else place)  # a claim without parts is its own only part
    if error["type"] == "missing":
        found = ", ".join(map(str, error["input"])) if isinstance(error["input"], dict) else repr(error["input"])
        return f"{place} is missing; found {found}"
    return f"{place}: {error['msg']}, found {error['input']!r}"


def part(name: str, claims: dict | None = None) -> tuple[str, dict]:
    """Id of the claim to which the recordable id `name` belongs ('C4a' -> 'C4'), and the rule's entry."""
    claims = claims or load()
    known = {part: claim for claim, entry in claims.items() for part in entry["parts"]}
    if name in known:
        return known[name], claims[known[name]]["parts"][name]
    if name in claims:
        raise ValueError(f"claim {name!r} is recorded by its parts: {', '.join(claims[name]['parts'])}")
    near = difflib.get_close_matches(str(name).upper(), [k.upper() for k in known], n=1, cutoff=0)
    nearest = next(k for k in known if k.upper() == near[0])
    raise ValueError(f"claim {name!r} is unknown; the nearest known one is {nearest!r}")


def _holds(bounds: dict, value, interval, null, named) -> bool:
    low, high = interval
    top = max(r[1] for r in (null.values() if isinstance(null, dict) else [null])) if null else None
    if top is None and (bounds.get("above_null") or bounds.get("not_above_null")):
        raise ValueError("this claim's rule compares with a null: pass null=(low, high), its 95 % range")
    tests = {
        "low_above": lambda b: low > b,
        "high_below": lambda b: high < b,
        "inside": lambda b: b[0] <= low and high <= b[1],
        "outside": lambda b: high < b[0] or low > b[1],
        "excludes": lambda b: not low <= b <= high,
        "value_at_least": lambda b: value >= b,
        "value_outside": lambda b: not b[0] <= value <= b[1],
        "above_null": lambda b: low > top,
        "not_above_null": lambda b: high <= top,
        "named": lambda b: all(_holds(c, v[0], v[1:], null, None) for v, c in _secondary(b, named)),
    }
    held = [tests[key](bound) for key, bound in bounds.items()]  # all are asked, so that what is missing is always said
    return all(held)


def _secondary(bounds: dict, named: dict | None):
    for name, conditions in bounds.items():
        if name not in (named or {}):
            raise ValueError(f"this claim's rule needs {name!r}: pass named={{{name!r}: (value, low, high)}}")
        yield named[name], conditions


def verdict(entry: str | dict, value, interval, null=None, named=None, seeds=None) -> str:
    """'reproduced', 'not reproduced' or 'inconclusive' by the bounds of `entry`, a recordable id or its part of load().

    `null` is a 95 % range, or several by name (the interval must then stand above all); `named` maps secondary
    quantities to (value, low, high). Where the rule asks for seeds, each of `seeds` ({seed, value, interval}) is judged
    alone as well, by its interval or, where the entry says `agree: sign`, by its value only: the verdict stands only if
    there are enough of them and all agree.
    """
    entry = part(entry)[1] if isinstance(entry, str) else entry
    rule = entry["rule"]

    def judge(value, interval, null=null, named=named, **_):
        yes, no = (_holds(rule[side], value, interval, null, named) for side in ("reproduced", "not_reproduced"))
        if yes and no:
            raise ValueError(f"the rule contradicts itself: {interval} is both reproduced and not reproduced")
        return REPRODUCED if yes else NOT if no else INCONCLUSIVE

    alone = list(seeds or ())
    if entry.get("agree") == "sign":
        alone = [seed | {"interval": (seed["value"],) * 2} for seed in alone]
    each = [judge(**seed) for seed in alone]
    whole = judge(value, interval)
    agree = len(each) >= entry["seeds"] and all(one == whole for one in each)
    apart = rule["not_reproduced" if whole == NOT else "reproduced"].get("excludes")
    if apart is not None and whole != INCONCLUSIVE:  # on one side of it, not on both
        agree &= all((seed["value"] > apart) == (value > apart) for seed in alone)
    return whole if agree else INCONCLUSIVE


def _spread(value, interval, where: str) -> tuple[float, list]:
    value, interval = tidy(value, where), tidy(interval, f"{where}, interval")
    if not isinstance(interval, list) or len(interval) != 2 or not interval[0] <= value <= interval[1]:
        raise ValueError(f"{where}: expected an interval (low, high) round the value {value}, found {interval}")
    return value, interval


def record(
    name: str, value, interval, null=None, *, run, seeds=None, n=None, named=None, detectable=None, note: str = ""
) -> "Row":
    """Keep what was measured for claim `name` in the ledger of `run`'s notebook, and return the row with its verdict.

    value: float; interval: (low, high); null: (low, high), or {name: (low, high)}; seeds: list of
    {seed, value, interval} and, where they differ, {null, named, n}; n: number of units; named: {secondary quantity:
    (value, low, high)}, shown, and judged where the rule says so; detectable: the smallest effect that could have been
    told from chance, shown beside the value (where a rule asks for absence: by default half the interval).
    A second call with the same name replaces the first. Numbers are kept, and judged, to six significant digits.
    """
    own = (getattr(run, "parameters", None) or {}).get("world") == OWN
    claims = load(profile="photos" if own else run.profile)
    claim, entry = part(name, claims)
    if "untestable" in entry:
        raise ValueError(f"claim {name} is not asked in profile {run.profile}: {entry['untestable']}")
    home = claims[claim]["notebook"]
    if run.notebook[:2] != home[:2]:
        raise ValueError(f"claim {name} belongs to notebook {home}, and this is {run.notebook}")
    value, interval = _spread(value, interval, name)
    seeds = [dict(tidy(seed, f"{name}, seeds")) for seed in seeds or ()]
    for seed in seeds:
        if not {"seed", "value", "interval"} <= seed.keys():
            raise ValueError(f"{name}, seeds: expected {{seed, value, interval}} in each, found {sorted(seed)}")
        _spread(seed["value"], seed["interval"], f"{name}, seed {seed['seed']}")
    if len({seed["seed"] for seed in seeds}) < len(seeds):
        raise ValueError(f"{name}, seeds: the same seed appears twice in {[seed['seed'] for seed in seeds]}")
    null, named = tidy(null, f"{name}, null"), tidy(named or {}, name)
    for key, triple in named.items():
        if not isinstance(triple, list) or len(triple) != 3:
            raise ValueError(f"{name}, named {key}: expected (value, low, high), found {triple}")
        _spread(triple[0], triple[1:], f"{name}, named {key}")
    row = {"value": value, "interval": interval, "null": null, "named": named, "seeds": seeds}
    row |= {"claim": claim, "verdict": verdict(entry, **row), "n": tidy(n, name), "unit": entry["unit"], "note": note}
    if len(seeds) < entry["seeds"]:
        row["note"] = f"{note} {len(seeds)} of {entry['seeds']} seeds: at most inconclusive".strip()
    if detectable is None and "inside" in entry["rule"]["reproduced"]:
        detectable = (interval[1] - interval[0]) / 2
    if detectable is not None and math.isfinite(detectable):
        row["detectable"] = tidy(detectable, name)
    ledger.enter(run, "claims", name, row)
    return Row(name, claims[claim]["statement"], row)


def measured(row: dict) -> str:
    """Value, interval and null of a ledger row, in one line."""
    text = f"{number(row['value'])} {span(row['interval'])}{_null_text(row['null'])}"
    if "detectable" in row:
        text += f"; smallest detectable effect {number(row['detectable'])}"
    return text


def _null_text(null: tuple | dict | None) -> str:
    nulls = null.items() if isinstance(null, dict) else [("null", null)] if null else []
    return "; " + ", ".join(f"{name} {span(limits)}" for name, limits in nulls) if nulls else ""


class Row(NamedTuple):
    """What `record` kept; `row` is the ledger's entry."""

    name: str
    statement: str
    row: dict

    def table(self) -> Table:
        each = [(f"seed {seed['seed']}", "", self._seed(seed), "") for seed in self.row["seeds"]]
        each += [(k, "", f"{number(v[0])} {span(v[1:])}", "") for k, v in self.row["named"].items()]
        first = (self.name, self.statement, measured(self.row), self.row["verdict"].upper())
        units = (f"n = {self.row['n']}" if self.row["n"] else "", f"unit: {self.row['unit']}", self.row["note"], "")
        return Table(("claim", "statement", "measured", "verdict"), [first, *each, units])

    def _seed(self, seed: dict) -> str:
        """A training seed's own value and interval, and its own null where that differs from the pooled one."""
        null = seed.get("null") if seed.get("null") != self.row["null"] else None
        return f"{number(seed['value'])} {span(seed['interval'])}{_null_text(null)}"

    def _repr_html_(self):
        return self.table()._repr_html_()

    def __repr__(self):
        return repr(self.table())


def missing(notebook: str, profile: str) -> list[str]:
    """Recordable ids ('C4a', 'E5') that belong to a notebook and are not in its ledger."""
    rows = ledger.read(notebook, profile)["claims"]
    mine = [entry for entry in load(profile=profile).values() if entry["notebook"][:2] == notebook[:2]]
    asked = {name for entry in mine for name, one in entry["parts"].items() if "untestable" not in one}
    return [name for entry in mine for name in entry["parts"] if name in asked - set(rows)]


def together(verdicts: list[str]) -> str:
    """Verdict of a claim from those of its parts: all must be reproduced; one that is not decides against it. Parts
    that cannot be tested say nothing, unless none can."""
    if set(verdicts) == {UNTESTABLE}:
        return UNTESTABLE
    verdicts = [one for one in verdicts if one != UNTESTABLE]
    return NOT if NOT in verdicts else REPRODUCED if set(verdicts) == {REPRODUCED} else INCONCLUSIVE


def compare(old: dict, new: dict, tolerance: float | None = None) -> list[ledger.Moved]:
    """What moved between two ledgers of a notebook: beyond `tolerance`, or by default beyond each claim's own."""
    own = {name: entry["tolerance"] for claim in load().values() for name, entry in claim["parts"].items()}
    ids = old["claims"] | new["claims"]
    return ledger.compare(old, new, {k: own.get(k, TOLERANCE) if tolerance is None else tolerance for k in ids})
