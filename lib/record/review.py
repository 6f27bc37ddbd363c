"""The review: every claim's verdict, every figure, what is wrong with the record and what moved since it was committed.

`python -m lib.record.review --profile embedded` prints it; `--readme` also puts the verdict table into README.md.
With `--folder build/<run>` it prints what a run with other parameters recorded, and compares it with nothing.
"""

import argparse
import csv
import io
import json
import subprocess
from pathlib import Path
from typing import NamedTuple

from lib.base import files, paths
from lib.record import claims, credits, figures, ledger
from lib.record.tables import Table

PENDING = "not yet computed"
MARKS = "<!-- verdicts:start -->", "<!-- verdicts:end -->"
HEAD = ("claim", "statement", "measured", "verdict", "on photographs", "notebook")
OWN = ("claim", "statement", "measured in this run", "verdict of this run", "notebook")
OTHER = "photos"  # the profile that stands beside every other


class Gallery(NamedTuple):
    """Every figure of a profile: name, notebook, caption, alt, and address seen from a notebook (None: unpublished)."""

    rows: list[dict]

    def _repr_html_(self):
        return "".join(
            figures.picture(row["name"], row["caption"], row["alt"], row["address"])
            for row in self.rows
            if row["address"]
        )

    def markdown(self) -> str:
        shown = [row for row in self.rows if row["address"]]
        return "\n\n".join(f"![{row['alt']}]({row['address']})\n\n**{row['name']}.** {row['caption']}" for row in shown)

    def __repr__(self):
        return "\n".join(f"{row['name']}: {row['caption']}" for row in self.rows)


def verdicts(profile: str) -> dict[str, str]:
    """Every claim's verdict by id; a claim with parts has one when all its parts are recorded."""
    rows, found = _recorded(profile), {}
    for name, claim in claims.load(profile=profile).items():
        parts = [_verdict(rows.get(part), entry) for part, entry in claim["parts"].items()]
        found[name] = PENDING if PENDING in parts else claims.together(parts)
    return found


def _recorded(profile: str) -> dict[str, dict]:
    """The rows of a profile; of the photos profile, which may not have been run here, those that are committed too."""
    committed = ledger.recorded(profile, paths.committed_figures()) if profile == OTHER else {}
    return committed | ledger.recorded(profile)


def _verdict(row: dict | None, entry: dict) -> str:
    return claims.UNTESTABLE if "untestable" in entry else row["verdict"] if row else PENDING


def table(profile: str) -> Table:
    """One row a claim, below it one for each of its parts; what is not recorded names the notebook that will do it.
    Beside the verdict stands that of the photos profile."""
    rows, total, lines = ledger.recorded(profile), verdicts(profile), []
    there, others = verdicts(OTHER), _parts(OTHER)
    for name, claim in claims.load(profile=profile).items():
        parts, home = claim["parts"], claim["notebook"]
        alone = rows.get(name) if name in parts else None
        lines.append(
            (name, claim["statement"], claims.measured(alone) if alone else "", total[name], there[name], home)
        )
        for part in parts if name not in parts else ():
            row = rows.get(part)
            text = claims.measured(row) if row else parts[part].get("untestable", "")
            lines.append((part, "", text, _verdict(row, parts[part]), others[part], home))
    return Table(HEAD, lines)


def own(profile: str, folder: Path, numbers: list[str] | None = None) -> Table:
    """The claims that a run with parameters of its own recorded, and nothing else: one row for each part of a claim.

    folder: where its figures and ledgers lie, in a subfolder `profile`. numbers: of its notebooks ("09"); None: all.
    """
    known, lines = claims.load(profile=profile), []
    for number, book in ledger.read_all(profile, folder).items():
        for name, row in sorted(book["claims"].items()) if numbers is None or number in numbers else ():
            claim, _ = claims.part(name, known)
            measured = "; ".join(filter(None, (claims.measured(row), row.get("note"))))
            lines.append((name, known[claim]["statement"], measured, row["verdict"], known[claim]["notebook"]))
    return Table(OWN, lines)


def _parts(profile: str) -> dict[str, str]:
    """The verdict of every part of a claim."""
    rows, known = _recorded(profile), claims.load(profile=profile)
    return {part: _verdict(rows.get(part), one) for claim in known.values() for part, one in claim["parts"].items()}


def unasked(profile: str = OTHER) -> Table:
    """Which parts of claims cannot be tested in a profile, by the reason."""
    reasons = {}
    for claim in claims.load(profile=profile).values():
        for part, entry in claim["parts"].items():
            if "untestable" in entry:
                reasons.setdefault(entry["untestable"], []).append(part)
    return Table(("claims", "why not"), [(", ".join(parts), reason) for reason, parts in reasons.items()])


def changed(profile: str) -> Table:
    """Which verdicts rest on a rule, a statistic or an arm that was changed after a result: before, now, and why."""
    rows, lines = _recorded(profile), []
    for claim in claims.load(profile=profile).values():
        for name, entry in claim["parts"].items():
            if before := entry.get("before"):
                lines.append((name, before["verdict"], _verdict(rows.get(name), entry), before["why"]))
    return Table(("claim", "before", "now", "what was changed, and why"), lines)


def summary(profile: str) -> str:
    """How many of the claims have which verdict, in one line."""
    found = list(verdicts(profile).values())
    kinds = (*claims.VERDICTS, *([claims.UNTESTABLE] if claims.UNTESTABLE in found else []), PENDING)
    kinds = [f"{found.count(kind)} {kind}" for kind in kinds]
    return f"{len(found)} claims, profile {profile}: {', '.join(kinds)}"


def markdown(profile: str) -> str:
    """The verdict table for README.md: one row a claim, its parts' measurements side by side, notebooks as links."""
    rows, total, there, lines = ledger.recorded(profile), verdicts(profile), verdicts(OTHER), []
    others = _recorded(OTHER)
    for name, claim in claims.load().items():
        texts, found = [], []
        for part in claim["parts"]:
            for known, cells in ((rows, texts), (others, found)):
                if part in known:
                    label = "" if part == name else f"{part}: "
                    ending = "" if part == name else f" ({known[part]['verdict']})"
                    cells.append(label + claims.measured(known[part]) + ending)
        beside = "<br>".join([f"**{there[name]}**" if found else there[name], *found])
        verdict = f"**{total[name]}**" if total[name] != PENDING else PENDING
        link = f"[{claim['notebook']}](notebooks/{claim['notebook']}.ipynb)"
        lines.append((name, claim["statement"], "<br>".join(texts), verdict, beside, link))
    return f"{summary(profile)}.\n\n{summary(OTHER)}.\n\n" + Table(HEAD, lines).markdown()


def readme(profile: str, path: str | Path | None = None) -> Path:
    """Put the verdict table between its two markers in README.md, leaving the rest as it is."""
    path = Path(path or paths.ROOT / "README.md")
    text = path.read_text()
    if any(text.count(mark) != 1 for mark in MARKS) or text.index(MARKS[0]) > text.index(MARKS[1]):
        raise ValueError(f"{path}: expected one line {MARKS[0]} and, below it, one line {MARKS[1]}")
    before, after = text.split(MARKS[0])[0], text.split(MARKS[1])[1]
    new = f"{before}{MARKS[0]}\n{markdown(profile)}\n{MARKS[1]}{after}"
    return files.atomic_write(path, new) if new != text else path


def gallery(profile: str) -> Gallery:
    """Every figure in the ledgers, in the order of the notebooks."""
    found = []
    for book in ledger.read_all(profile).values():
        for name, row in sorted(book["figures"].items()):
            address = f"../figures/{profile}/{name}.png" if row["published"] else None
            entry = {"name": name, "notebook": book["notebook"], "caption": row["caption"], "alt": row["alt"]}
            found.append(entry | {"address": address})
    return Gallery(found)


def check(profile: str) -> list[str]:
    """What is wrong with a profile's record, a sentence each: figures, and verdicts that the rules do not give."""
    problems, known = figures.check(profile), claims.load(profile=profile)
    for book in ledger.read_all(profile).values():
        for name, row in book["claims"].items():
            try:
                claim, entry = claims.part(name, known)
            except ValueError as error:
                problems.append(f"{book['notebook']}: {error}")
                continue
            again = claims.verdict(entry, *(row[key] for key in ("value", "interval", "null", "named", "seeds")))
            if again != row["verdict"]:
                problems.append(
                    f"{name}: recorded as {row['verdict']}, and data/claims.yaml now gives {again}; "
                    f"run notebook {known[claim]['notebook']} again"
                )
    return problems


def committed(path: Path) -> str | None:
    """A file's text as it is in the last commit; None if it is not there, or if there is no git."""
    command = ["git", "-C", str(path.parent), "show", f"HEAD:./{path.name}"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode() if done.returncode == 0 else None


def moved(profile: str, tolerance: float = claims.TOLERANCE) -> list[ledger.Moved] | None:
    """Every number and verdict that left the committed one by more than its tolerance; None if nothing is committed.

    Claims have their own tolerances (data/claims.yaml); the numbers behind figures use `tolerance`.
    """
    found, seen = [], False
    for path in sorted((paths.figures() / profile).glob("*")):
        old = committed(path) if path.name.endswith(("_ledger.json", ".csv")) else None
        seen |= old is not None
        if old is None or old == path.read_text():
            continue
        if path.suffix == ".csv":
            found += compare_csv(old, path.read_text(), tolerance, path.name)
        else:
            found += claims.compare(json.loads(old), json.loads(path.read_text()))
    return found if seen else None


def compare_csv(old: str, new: str, tolerance: float, name: str) -> list[ledger.Moved]:
    """Cells of two CSV texts that differ: numbers beyond `tolerance`, words at all; or that the shape changed."""
    before, after = ([*csv.reader(io.StringIO(text))] for text in (old, new))
    if [len(row) for row in before] != [len(row) for row in after] or before[:1] != after[:1]:
        return [ledger.Moved(name, f"{len(before)} lines", f"{len(after)} lines, or other columns")]
    found = []
    for line, (one, two) in enumerate(zip(before[1:], after[1:], strict=True), start=1):
        for column, a, b in zip(before[0], one, two, strict=True):
            try:
                differs = ledger.far(float(a), float(b), tolerance)
            except ValueError:
                differs = a != b
            if differs:
                found.append(ledger.Moved(f"{name}, row {line}, {column}", a, b))
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the review; 1 if the record has problems, else 0 (a verdict, whatever it is, is a result)."""
    parser = argparse.ArgumentParser(prog="python -m lib.record.review", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="embedded", help="whose ledgers to read: embedded, smoke, ...")
    parser.add_argument(
        "--folder", help="of a run with other parameters than the profile's, in build/: its claims alone"
    )
    parser.add_argument("--readme", action="store_true", help="also put the verdict table into README.md")
    options = parser.parse_args(arguments)
    try:
        return _print(options)
    except (ValueError, OSError) as error:  # a damaged file, which the sentence names
        print(error)  # noqa: T201
        return 1


def _print(options: argparse.Namespace) -> int:
    if options.folder:
        figures_of_run = Path(options.folder) / "figures"
        found = sorted({path.parent.name for path in figures_of_run.glob("*/[0-9][0-9]_ledger.json")})
        for profile in found:
            print(own(profile, figures_of_run))  # noqa: T201
        if not found:
            print(f"{figures_of_run} has no ledger, expected the folder of a run in build/")  # noqa: T201
        return 0 if found else 1
    problems, changes = check(options.profile), moved(options.profile)
    lines = [repr(table(options.profile)), "", summary(options.profile)]
    lines += ["", "Problems:", *problems] if problems else []
    if changes is None:
        lines += ["", "No committed ledger to compare with."]
    elif changes:
        lines += ["", f"{len(changes)} numbers moved beyond their tolerance since the last commit:", *map(str, changes)]
    else:
        lines += ["", "No number moved beyond its tolerance since the last commit."]
    print("\n".join(lines))  # noqa: T201 - this is the command's output
    if options.readme:
        readme(options.profile)
    credits.write()
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
