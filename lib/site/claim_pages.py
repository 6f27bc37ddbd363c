"""A page a claim: what the record says of it, how far the paper's number is trusted, the rule in words, and a drawing
of the intervals between their bounds."""

from typing import NamedTuple

from matplotlib.ticker import MaxNLocator

from lib.record.tables import number, span
from lib.site import content, notebook_pages, work
from lib.site.content import PROFILES
from lib.site.work import Work

SOURCES = {  # what `found` says of where it comes from -> how far that goes
    "(decoded": "Decoded from page images of the paper, not read from its text.",
    "read off figure": "Read off a figure of the paper, to about ±0.01.",
    "the decoded table": "Computed here from what was decoded of page images of the paper.",
    "digits uncertain": "Some digits are uncertain.",
    "question is ours": "Not a claim of the paper: the question is this companion's own.",
    "summar": "From summaries that others wrote; the paper's text was not at hand, and no number of it is known.",
    "the follow-up": "From notes on a later paper: there is no number.",
    "course notes": "From the course's notes: there is no number.",
    "of the list": "A sentence of the lecture's list, or our reading of one: there is no number.",
}
PLACES = {  # what `place` says
    "abstract": "The abstract was at hand, the paper's text was not.",
    "released code": "Read in the released code.",
    "released toolbox": "Read in the released code, which documents the paper's table.",
    "not verified": "Where in the work it stands could not be verified.",
}
EVIDENCE = {  # what `found` says of the evidence
    "shown": "The work shows it in pictures and measures nothing.",
    "no measure": "The work shows it in pictures and measures nothing.",
    "no numbers": "No number to compare with is known.",
    "an identity": "Stated in words, and exact.",
}
UNSAID = "Quoted as it stands; the claim's entry does not say how it was checked."
SIDES = {"reproduced": "reproduced", "not_reproduced": "not reproduced"}


def add(made: Work, pages: dict[str, dict]) -> None:
    """Add a page a claim. pages: the notebooks', as `notebook_pages.add` gives them. ValueError names a claim whose
    notebook is not there."""
    claims = made.content.claims["embedded"]
    steps = [None, *((f"claims/{name}.html", name) for name in claims), None]
    for (name, claim), before, after in zip(claims.items(), steps, steps[2:], strict=False):
        home = pages.get(claim["notebook"])
        if home is None:
            raise ValueError(f"data/claims.yaml, claim {name}: notebook {claim['notebook']} is not in the index")
        at, said = f"claims/{name}.html", work.said(made, name)
        data = {"claim_id": name, "claim": claim, "said": said, "trusted": trusted(claim), "home": home["heading"]}
        data |= {"cited": content.cited(made.content.references[claim["paper"]]), "before": before, "after": after}
        data |= {"asked": [_asked(made, name, part, home) for part in claim["parts"]]}
        data |= {"pictured": _pictured(made, claim, home)}
        work.render(made, "claim.html.j2", at, f"{name}: {claim['statement']}", **data)
        work.finish(made, at, own=name)
        text = f"{claim['found']} {' '.join(said.values())} {' '.join(claim['parts'])}"
        work.note(made, "claim", f"{name}: {claim['statement']}", at, text)


def _asked(made: Work, name: str, part: str, home: dict) -> dict:
    """A part of a claim as its page shows it, in every profile; what is as in the first is said once."""
    shown, first = [], {}
    for profile, label in PROFILES.items():
        entry, row = made.content.claims[profile][name]["parts"][part], made.content.rows[profile].get(part)
        one = {"profile": profile, "label": label, "entry": entry, "row": row}
        one["said"] = content.part_verdict(entry, row)
        if row and "untestable" not in entry:
            facts = _facts(entry, row)
            one["facts"] = {key: text for key, text in facts.items() if text and first.get(key) != text}
            one["same"] = [key for key in facts if key not in one["facts"] and facts[key]]
            first = first or facts
            seeds = [(f"seed {seed['seed']}", {"null": row["null"]} | seed) for seed in row["seeds"]]
            one |= {"drawn": drawing(entry, row), "lines": [("all", row), *seeds]}
        shown.append(one)
    cell = home["cells"].get(part)
    return {"name": part, "profiles": shown, "cell": f"{home['page']}#cell-id={cell}" if cell else None}


def _facts(entry: dict, row: dict) -> dict[str, str]:
    sides = {f"{said} if".capitalize(): ", and ".join(in_words(entry["rule"][side])) for side, said in SIDES.items()}
    detectable = number(row["detectable"]) if "detectable" in row else ""
    return {
        "Statistic": entry["statistic"],
        "Interval over": row["unit"] + (f" (n = {row['n']})" if row["n"] else ""),
        "Null": entry["null"],
        **sides,
        "Trainings": agreement(entry),
        "Smallest detectable effect": detectable,
        "Note": row["note"],
        "Limits": entry.get("limits", ""),
        "Settled": entry.get("settled", ""),
    }


def _pictured(made: Work, claim: dict, home: dict) -> list:
    """The figures nearest to the cells that decide a claim, and the same figures of the other profile."""
    figures, notebook = made.content.figures, made.content.notebooks[home["name"]]
    mine = [home["cells"][part] for part in claim["parts"] if part in home["cells"]]
    near = [one for cell in mine for one in notebook_pages.figures_near(notebook, home["shown"], cell)]
    names = dict.fromkeys(one.name for one in near)
    return [figures[profile, name] for name in names for profile in PROFILES if (profile, name) in figures]


def trusted(claim: dict) -> str:
    """How far what the paper found can be trusted, in sentences, from what the claim's `found` and `place` say."""
    found, place = (" ".join(claim[field].lower().split()) for field in ("found", "place"))
    source = [says for mark, says in SOURCES.items() if mark in found]
    source += [says for mark, says in PLACES.items() if mark in place]
    silent = "no number" in " ".join(source)  # said already
    evidence = [says for mark, says in EVIDENCE.items() if mark in found and not silent]
    return " ".join(dict.fromkeys(source + evidence)) or UNSAID


def in_words(bounds: dict) -> list[str]:
    """Conditions of a rule as phrases, in the order of the entry."""
    words = {
        "low_above": lambda b: f"the whole interval lies above {b:g}",
        "high_below": lambda b: f"the whole interval lies below {b:g}",
        "inside": lambda b: f"the whole interval lies between {b[0]:g} and {b[1]:g}",
        "outside": lambda b: f"the whole interval lies below {b[0]:g} or above {b[1]:g}",
        "excludes": lambda b: f"the interval does not hold {b:g}",
        "value_at_least": lambda b: f"the value is {b:g} or more",
        "value_outside": lambda b: f"the value lies below {b[0]:g} or above {b[1]:g}",
        "above_null": lambda _: "the whole interval lies above what chance gives",
        "not_above_null": lambda _: "the upper end of the interval is not above what chance gives",
        "named": lambda b: "; ".join(f"{name}: {' and '.join(in_words(one))}" for name, one in b.items()),
    }
    return [words[key](bound) for key, bound in bounds.items()]


def agreement(entry: dict) -> str:
    """How many trainings must agree, and how, in a sentence."""
    if not entry["seeds"]:
        return "No training decides here: one interval is judged."
    how = "value must lie on the verdict's side" if entry["agree"] == "sign" else "own interval must give that verdict"
    return f"At least {entry['seeds']} trainings; of each, the {how}."


class Line(NamedTuple):
    """One interval of a drawing: what it is called, its places in per cent of the width, and its text."""

    label: str
    low: float
    value: float
    high: float
    text: str


class Drawing(NamedTuple):
    """Intervals on one axis: lines, ticks and bounds as (place in per cent, text), the null's band as (left, width)."""

    lines: list[Line]
    ticks: list[tuple[float, str]]
    bounds: list[tuple[float, str]]
    nulls: list[tuple[float, float]]


def drawing(entry: dict, row: dict) -> Drawing:
    """The interval of a recorded row, those of its seeds, its bounds and its null, placed on one axis."""
    rows = [("all", row)] + [(f"seed {one['seed']}", one) for one in row["seeds"]]
    nulls = list(row["null"].values()) if isinstance(row["null"], dict) else [row["null"]] if row["null"] else []
    bounds = sorted({bound for side in SIDES for bound in _numbers(entry["rule"][side])})
    numbers = [end for _, one in rows for end in one["interval"]] + [end for pair in nulls for end in pair]
    ticks = MaxNLocator(nbins=5, steps=[1, 2, 5, 10]).tick_values(min(numbers + bounds), max(numbers + bounds))
    ticks = [round(float(tick), 9) for tick in ticks]
    low, high = ticks[0], ticks[-1]

    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    return Drawing(
        [
            Line(label, *(place(x) for x in (one["interval"][0], one["value"], one["interval"][1])), _text(one))
            for label, one in rows
        ],
        [(place(tick), f"{tick:g}") for tick in ticks],
        [(place(bound), f"{bound:g}") for bound in bounds],
        [(place(one[0]), round(place(one[1]) - place(one[0]), 2)) for one in nulls],
    )


def _numbers(bounds: dict) -> list[float]:
    single = [bounds[key] for key in ("low_above", "high_below", "excludes", "value_at_least") if key in bounds]
    return single + [end for key in ("inside", "outside", "value_outside") for end in bounds.get(key, ())]


def _text(one: dict) -> str:
    return f"{number(one['value'])} {span(one['interval'])}"
