"""The photos profile beside the embedded one: what was measured on real networks, read from committed figures and
ledgers, so that a fresh clone without photographs shows it too."""

import json

from lib.base import paths
from lib.record import claims, figures, ledger
from lib.record.tables import Table

HERE, THERE = "embedded", "photos"
HEAD = ("claim", "cutouts, the zoo", "", "photographs, ImageNet networks", "")


def figure(name: str, profile: str = THERE) -> figures.Shown:
    """A committed figure of the photos profile, as `figures.save` shows one; FileNotFoundError that says what to run
    where there is none."""
    folder = paths.committed_figures() / profile
    try:
        sidecar = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        content = (folder / f"{name}.png").read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"figures/{profile} has no {name}: run `git checkout figures`, or `make reproduce PROFILE={profile}`"
        ) from error
    return figures.shown(f"{name}, on photographs", content, sidecar)


def table(notebook: str) -> Table:
    """One row for each part of the notebook's claims: measured and judged on cutouts, and on photographs."""
    mine = [claim for claim in claims.load(profile=HERE).values() if claim["notebook"][:2] == notebook[:2]]
    return _table([part for claim in mine for part in claim["parts"]])


def _table(parts: list[str]) -> Table:
    known, rows = [claims.load(profile=profile) for profile in (HERE, THERE)], []
    for part in parts:
        cells = [said(claims.part(part, k)[1], r.get(part)) for k, r in zip(known, _recorded(), strict=True)]
        rows.append((part, *cells[0], *cells[1]))
    return Table(HEAD, rows)


def said(entry: dict, row: dict | None) -> tuple[str, str]:
    """What was measured of a part of a claim and its verdict; or why it cannot be tested."""
    if "untestable" in entry:
        return entry["untestable"], claims.UNTESTABLE
    return (claims.measured(row), row["verdict"]) if row else ("", "not yet computed")


def _recorded() -> tuple[dict, dict]:
    """What was recorded of claims in this run, or what is committed, and what is committed of photographs."""
    committed = paths.committed_figures()
    return ledger.recorded(HERE, committed) | ledger.recorded(HERE), ledger.recorded(THERE, committed)


def differing() -> Table:
    """`table` for the parts of claims that have one verdict on cutouts and another on photographs."""
    here, there = _recorded()
    apart = [part for part, row in here.items() if part in there and there[part]["verdict"] != row["verdict"]]
    return _table(apart)
