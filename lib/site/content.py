"""What the page shows, read from a copy of the repository into plain data: notebooks with their outputs, claims and
what was measured, figures with their sidecars, references, terms."""

import json
import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

import nbformat

from lib.base import paths, strict_yaml
from lib.record import claims, ledger, review

PROFILES = {"embedded": "cutouts", "photos": "photographs"}  # committed profiles, and what is read in them
HERE = Path(__file__).parent
FIELD = re.compile(r"(\w+)\s*=\s*\{(.*)\},?\s*$")
ENTRY = re.compile(r"@(\w+)\{(\w+),\n(.*?)\n\}", re.S)
ACCENT = re.compile(r"\\([\"'`^~]|k(?=\{))\{?(\w)")
ACCENTS = {'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", "k": "\u0328"}
FRAMES = {"parameter", "values", "captions"}


class Figure(NamedTuple):
    """A committed figure: profile, name, its sidecar, and the steps of its slider, if it has one."""

    profile: str
    name: str
    sidecar: dict
    frames: dict | None

    @property
    def key(self) -> str:
        return f"{self.profile}-{self.name}"

    @property
    def place(self) -> str:
        """Its files without their ending, from the root."""
        return f"figures/{self.profile}/{self.name}"


class Content(NamedTuple):
    """Everything that the page is made from; claims and rows by profile, figures by (profile, name)."""

    root: Path
    index: dict[str, dict]
    notebooks: dict[str, nbformat.NotebookNode]
    claims: dict[str, dict[str, dict]]
    rows: dict[str, dict[str, dict]]
    figures: dict[tuple[str, str], Figure]
    references: dict[str, dict]
    terms: dict[str, dict]


def read(root: Path | None = None) -> Content:
    """The content of the repository at `root`, by default this one; ValueError names a file that is not as expected."""
    root = root or paths.ROOT
    index = strict_yaml.read(root / "notebooks/index.yaml")
    index = {
        name: {"claims": []} | entry
        for name, entry in sorted(index.items())
        if "title" in entry and not entry.get("planned")
    }
    for name in index:
        if not (root / f"notebooks/{name}.ipynb").exists():
            raise ValueError(f"notebooks/index.yaml names {name}, and notebooks/{name}.ipynb is not there")
    return Content(
        root,
        index,
        {name: nbformat.read(root / f"notebooks/{name}.ipynb", as_version=4) for name in index},
        {profile: claims.load(root / "data/claims.yaml", profile) for profile in PROFILES},
        {profile: ledger.recorded(profile, root / "figures") for profile in PROFILES},
        {(one.profile, one.name): one for profile in PROFILES for one in _figures(root, profile)},
        references((root / "references.bib").read_text(encoding="utf-8")),
        strict_yaml.read(HERE / "terms.yaml"),
    )


def _figures(root: Path, profile: str) -> list[Figure]:
    folder = root / "figures" / profile
    names = [path.stem for path in sorted(folder.glob("*.json")) if not path.stem.endswith("_ledger")]
    for place in sorted(folder.glob("*.frames")):
        if place.stem not in names:
            raise ValueError(f"{place.relative_to(root)} has no figure {place.stem} beside it: save the figure, too")
    return [
        Figure(profile, name, json.loads((folder / f"{name}.json").read_text(encoding="utf-8")), frames(folder, name))
        for name in names
    ]


def frames(folder: Path, name: str) -> dict | None:
    """The steps of a figure's slider from NAME.frames: {"parameter": ..., "values": [...], "captions": [...],
    "files": [names of the pictures, in order]}; None where there are none. ValueError if they do not fit together."""
    place = folder / f"{name}.frames"
    if not place.is_dir():
        return None
    try:
        found = json.loads((place / "frames.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError) as error:
        raise ValueError(f"{folder.name}/{place.name}: frames.json is missing or no JSON ({error})") from error
    files = sorted(path.name for path in place.glob("*.webp"))
    if not isinstance(found, dict) or not found.keys() >= FRAMES:
        raise ValueError(f"{folder.name}/{place.name}: frames.json holds {found!r}, expected {sorted(FRAMES)}")
    counts = {"pictures": len(files)} | {key: len(found[key]) for key in ("values", "captions")}
    if len(set(counts.values())) > 1 or not files:
        raise ValueError(f"{folder.name}/{place.name}: {counts}, expected as many of each, and at least one")
    return found | {"files": files}


def references(text: str) -> dict[str, dict]:
    """The entries of a BibTeX file by key, each a dict of its fields; braces and the TeX of accents are undone."""
    found = {}
    for kind, key, body in ENTRY.findall(text):
        fields = {hit[1]: _plain(hit[2]) for line in body.splitlines() if (hit := FIELD.match(line.strip()))}
        found[key] = {"kind": kind} | fields
    return found


def _plain(text: str) -> str:
    text = re.sub(ACCENT, lambda hit: hit[2] + ACCENTS[hit[1]], text)
    return unicodedata.normalize("NFC", re.sub("[{}]", "", text).replace("--", "–"))


def cited(entry: dict) -> str:
    """Authors and year of a reference, short: 'Palacio et al. 2018'."""
    authors = [one.split(",")[0].strip() for one in entry.get("author", "").split(" and ")]
    names = authors[0] if len(authors) == 1 else " and ".join(authors) if len(authors) == 2 else f"{authors[0]} et al."
    return f"{names} {entry.get('year', '')}".strip()


def verdict(claim: dict, rows: dict) -> str:
    """The verdict of a claim as it is asked in a profile, from that profile's rows."""
    parts = [part_verdict(entry, rows.get(part)) for part, entry in claim["parts"].items()]
    return review.PENDING if review.PENDING in parts else claims.together(parts)


def part_verdict(entry: dict, row: dict | None) -> str:
    """The verdict of one part."""
    return claims.UNTESTABLE if "untestable" in entry else row["verdict"] if row else review.PENDING


def deciding(notebook, parts) -> dict[str, str]:
    """{part of a claim: id of the notebook's cell that records it}; of several, the last that shows its row."""
    found = {}
    for part in parts:
        call = re.compile(rf"""claims\.record\(\s*["']{part}["']""")
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and call.search(cell.source)]
        shown = [cell for cell in cells if any(_shows(output, part) for output in cell.outputs)]
        if shown or cells:
            found[part] = (shown or cells)[-1].id
    return found


def _shows(output, part: str) -> bool:
    return f">{part}</td>" in "".join(output.get("data", {}).get("text/html", ""))
