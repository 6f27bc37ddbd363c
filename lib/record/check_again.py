"""What was computed here against what is committed: verdicts, numbers, the data behind every figure, its pixels.

`python -m lib.record.check_again` (`make review-check`) says what differs, and fails where a verdict changed, a claim
or a figure is gone, a figure's data left the committed ones or its picture changed its size. Numbers of claims that
moved, and pixels that differ while the data are the same, are told and do not fail.
"""

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from lib.base import paths, processor
from lib.record import claims, ledger, review
from lib.record.ledger import Moved

ORIGINS = ("parameters", "seed", "sources", "versions", "weights")  # of a sidecar: what made the figure


class Compared(NamedTuple):
    """What differs between two folders of figures, a sentence each. The first four fail, the other two are told."""

    verdicts: list[str]  # of claims, also where there is none any more
    gone: list[str]  # claims and figures that were there before
    data: list[str]  # numbers and words behind figures
    sizes: list[str]  # pictures of another width or height
    numbers: list[str]  # numbers of claims beyond their tolerance; claims and figures that are new
    pixels: list[str]  # pictures that differ otherwise, and by how much
    claims: int  # how many recordable claims were compared
    figures: int  # and how many figures

    @property
    def fails(self) -> list[str]:
        return [*self.verdicts, *self.gone, *self.data, *self.sizes]


@contextmanager
def committed(profile: str, folder: Path | None = None):
    """For a while, a folder like figures/ with this profile as it is in the last commit of the repository that
    `folder` (by default where figures are written, else the project) lies in; ValueError if none is committed."""
    for place in [folder] if folder else [paths.figures(), paths.committed_figures()]:
        if archive := _archive(place, profile):
            break
    else:
        raise ValueError(
            f"no figures of profile {profile!r} are committed, or there is no git here: "
            "name a folder to compare with, --against FOLDER (one that holds a folder for each profile)"
        )
    with tempfile.TemporaryDirectory(prefix="companion-committed-") as root:
        with tarfile.open(fileobj=io.BytesIO(archive)) as file:
            file.extractall(Path(root) / profile, filter="data")
        yield Path(root)


def _archive(folder: Path, profile: str) -> bytes:
    """A profile's folder in the last commit of the repository that `folder` lies in, as tar; empty if there is none."""
    try:
        found = _git(folder, "rev-parse", "--show-toplevel", f"HEAD:./{profile}").split()
        return _git(Path(found[0].decode()), "archive", "--format=tar", found[1].decode()) if len(found) == 2 else b""
    except (OSError, subprocess.SubprocessError):
        return b""


def _git(folder: Path, *words: str) -> bytes:
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=True, timeout=300).stdout


def compare(profile: str, old: Path, new: Path | None = None, only: list[str] | None = None) -> Compared:
    """What differs in `new`, by default where figures are written, from `old`, both folders like figures/.

    only: numbers of notebooks ('09'); by default all that `old` has. Verdicts are those that the rules of
    data/claims.yaml give now for the numbers of `new`. ValueError if one of the two has no ledger of the profile, or
    not that of a notebook named in `only`.
    """
    new = new or paths.figures()
    before, after = (ledger.read_all(profile, folder) for folder in (old, new))
    for books, folder in ((before, old), (after, new)):
        if not books:
            raise ValueError(f"{folder / profile} holds no ledger (NN_ledger.json); `make reproduce` makes them")
    for number in only or ():
        if number not in before:
            raise ValueError(f"notebook {number} has no ledger in {old / profile}; there are {', '.join(before)}")
    found = Compared([], [], [], [], [], [], 0, 0)
    known = claims.load(profile=profile)
    for number in only or before:
        if number not in after:
            found.gone.append(f"notebook {number}: no ledger, it did not run")
            continue
        asked = _claims(before[number], after[number], known, found)
        drawn = _figures(profile, before[number], after[number], old, new, found)
        found = found._replace(claims=found.claims + asked, figures=found.figures + drawn)
    found.numbers.extend(f"notebook {number}: new" for number in after if not only and number not in before)
    return found


def _claims(before: dict, after: dict, known: dict, found: Compared) -> int:
    for name, row in before["claims"].items():
        now = after["claims"].get(name)
        if now is None:
            found.gone.append(f"claim {name}: {row['verdict']} before, not recorded now")
            continue
        try:
            again = _judged(claims.part(name, known)[1], now)
        except ValueError as error:  # the claim is no more, or its rule asks for what was not measured
            found.verdicts.append(f"claim {name}: {row['verdict']} before, none now: {error}")
            continue
        if again != row["verdict"]:
            found.verdicts.append(
                f"claim {name}: {row['verdict']} before, {again} now ({claims.measured(row)} before, "
                f"{claims.measured(now)} now)"
            )
        elif again != now["verdict"]:
            found.verdicts.append(f"claim {name}: recorded as {now['verdict']}, and its rule gives {again}")
    both = {name: row for name, row in after["claims"].items() if name in before["claims"]}
    old = {name: row for name, row in before["claims"].items() if name in both}
    moved = claims.compare({"claims": old}, {"claims": both})
    found.numbers.extend(str(one) for one in moved if not one.where.endswith("verdict"))
    found.numbers.extend(f"claim {name}: new, {after['claims'][name]['verdict']}" for name in _new(before, after))
    return len(both)


def _judged(entry: dict, row: dict) -> str:
    """The verdict that a rule gives on a ledger's row."""
    if "untestable" in entry:
        return claims.UNTESTABLE
    return claims.verdict(entry, *(row[key] for key in ("value", "interval", "null", "named", "seeds")))


def _new(before: dict, after: dict) -> list[str]:
    return sorted(after["claims"].keys() - before["claims"].keys())


def _figures(profile: str, before: dict, after: dict, old: Path, new: Path, found: Compared) -> int:
    published = {name for name, row in before["figures"].items() if row["published"]}
    for name in sorted(published):
        one, two = old / profile / name, new / profile / name
        if name not in after["figures"]:
            found.gone.append(f"figure {name}: not drawn")
            continue
        absent = [kind for kind in ("csv", "png") if not two.with_suffix(f".{kind}").exists()]
        if absent:
            found.gone.append(f"figure {name}: no {' and no '.join(f'{name}.{kind}' for kind in absent)}")
            continue
        tables = [path.with_suffix(".csv").read_text(encoding="utf-8") for path in (one, two)]
        cells = review.compare_csv(*tables, claims.TOLERANCE, f"{name}.csv")
        if cells:
            found.data.append(_told(cells, name) + _origins(one, two))
        size, measure = pixels(*(path.with_suffix(".png").read_bytes() for path in (one, two)))
        if size:
            found.sizes.append(f"figure {name}: {size}")
        elif measure:
            found.pixels.append(f"figure {name}: {measure}" + ("" if cells else _origins(one, two)))
    drawn = sorted(name for name, row in after["figures"].items() if row["published"] and name not in published)
    found.numbers.extend(f"figure {name}: new" for name in drawn)
    return len(published)


def _told(cells: list[Moved], name: str, most: int = 3) -> str:
    rest = f"; and {len(cells) - most} more" if len(cells) > most else ""
    return f"figure {name}: its data differ: " + "; ".join(map(str, cells[:most])) + rest


def _origins(one: Path, two: Path) -> str:
    """What the two sidecars say made the figure otherwise."""
    if not all(path.with_suffix(".json").exists() for path in (one, two)):
        return ""
    old, new = (json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) for path in (one, two))
    other = [key for key in ORIGINS if old.get(key) != new.get(key)]
    return f" (other {', '.join(other)})" if other else ""


def pixels(old: bytes, new: bytes) -> tuple[str, str]:
    """(how the size of a PNG changed, how far its pixels differ), each a few words, empty where nothing did.

    A pixel differs if one of its colours does; the mean is over all pixels and colours, in levels of 0 to 255.
    """
    if old == new:
        return "", ""
    one, two = (Image.open(io.BytesIO(content)).convert("RGBA") for content in (old, new))
    if one.size != two.size:
        return "its picture had {} by {} pixels, and has {} by {}".format(*one.size, *two.size), ""
    apart = np.abs(np.asarray(one, np.int16) - np.asarray(two, np.int16))
    if not apart.any():
        return "", ""
    share, mean = 100 * float(apart.any(-1).mean()), float(apart.mean())
    return "", f"{share:.2g} % of its pixels differ, by at most {apart.max()} of 255 levels, {mean:.2g} on average"


def text(found: Compared, profile: str) -> str:
    """What a reader is told: what fails, what is only told, and a last line that says which it is."""
    heads = {
        "verdicts": "Verdicts that changed:",
        "gone": "Gone:",
        "data": f"Figures whose data left the committed ones (numbers by more than {claims.TOLERANCE}, words at all):",
        "sizes": "Pictures of another size:",
        "numbers": "Told only: numbers of claims beyond their tolerance, and what is new:",
        "pixels": "Told only: pictures that differ in their pixels:",
    }
    lines = []
    for field, head in heads.items():
        if rows := getattr(found, field):
            lines += [head, *(f"  {row}" for row in rows), ""]
    what = f"{found.claims} results of claims and {found.figures} figures of profile {profile} compared"
    fails, told = len(found.fails), len(found.numbers) + len(found.pixels)
    end = f"{fails} failed, {told} told" if fails or told else "all as committed"
    return "\n".join([*lines, f"{what}: {end}."])


def _elsewhere(profile: str) -> str:
    """A sentence where the committed figures were made on another kind of processor."""
    known = json.loads(review.committed(paths.committed_figures() / "processor.json") or "{}").get(profile)
    if known in (None, processor.kind()):
        return ""
    return (
        f"The committed figures were made on {known['model']}, and this is {processor.kind()['model']}: numbers behind "
        "figures may move (--verdicts fails on verdicts and on what is gone alone)."
    )


def main(arguments: list[str] | None = None) -> int:
    """Print what differs; 1 if something fails, 2 if there is nothing to compare, else 0."""
    parser = argparse.ArgumentParser(prog="python -m lib.record.check_again", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="embedded", help="whose figures and ledgers: embedded, photos, ...")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="compare with this, not with the last commit")
    parser.add_argument("--only", nargs="*", metavar="NN", help="numbers of notebooks; by default all")
    parser.add_argument("--verdicts", action="store_true", help="fail on verdicts and on what is gone alone")
    options = parser.parse_args(arguments)
    only = [number[:2] for number in options.only or ()]
    try:
        if options.against:
            found = compare(options.profile, options.against, only=only)
        else:
            with committed(options.profile) as old:
                found = compare(options.profile, old, only=only)
    except ValueError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is the command's output
        return 2
    if (found.data or found.numbers) and (apart := _elsewhere(options.profile)):
        print(apart, end="\n\n")  # noqa: T201
    print(text(found, options.profile))  # noqa: T201
    fails = found.verdicts + found.gone if options.verdicts else found.fails
    return 1 if fails else 0


if __name__ == "__main__":
    raise SystemExit(main())
