"""Figures with their provenance: PNG, SVG, the numbers behind them as CSV, a sidecar, a row in the notebook's ledger.

The same figure gives the same bytes: no dates, no salts that change, no seconds; those go to a log in build/.
"""

import base64
import csv
import io
import json
import math
import re
import time
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from lib.base import files, paths
from lib.record import captions, credits, ledger

STYLE = paths.ROOT / "lib/drawing/companion.mplstyle"
RESOLUTIONS = (150, 110, 90, 72)  # dots per inch, tried downwards until the PNG is small enough
LARGEST = 1_500_000  # bytes of a PNG: a notebook with its figures stays under 5 MB
QUALITY = 92  # of the JPEG that a notebook holds of pictures
PACKAGES = ("matplotlib", "numpy", "pillow", "scipy", "torch")
PARTS = ("png", "svg", "csv")
REMEDY = "run its notebook again, or restore it with `git checkout figures`"


class Shown(NamedTuple):
    """A saved figure: Jupyter shows its picture (PNG, or JPEG) with the alt text, and its caption below."""

    name: str
    content: bytes
    caption: str
    alt: str

    def _ipython_display_(self):
        from IPython.display import Markdown, display

        kind = "image/png" if self.content.startswith(b"\x89PNG") else "image/jpeg"
        content = {kind: base64.b64encode(self.content).decode(), "text/plain": f"[{self.name}: {self.alt}]"}
        display(content, raw=True, metadata={kind: {"alt": self.alt}})
        display(Markdown(f"**{self.name}.** {self.caption}"))

    def __repr__(self):
        return f"[{self.name}: {self.alt}]"


def style() -> None:
    """Draw everything from here on in the style (lib/drawing/companion.mplstyle), whatever was set before."""
    plt.switch_backend("agg")  # figures are shown by what `save` returns, and only by that
    mpl.rcdefaults()
    plt.style.use(STYLE)


def folder(profile: str, publish: bool = True) -> Path:
    """Where figures go: figures/<profile>, or build/<profile>/figures for pictures that must not be published."""
    return paths.figures() / profile if publish else paths.of_run(profile) / "figures"


def save(
    fig: Figure,
    name: str,
    data,
    *,
    run,
    caption: str | None = None,
    alt: str | None = None,
    facts: dict | None = None,
    publish: bool = True,
    weights=(),
    sources=(),
    photographs=(),
    colours: int | None = None,
    pictures: bool = False,
) -> Shown:
    """Write `fig` as <name>.png and .svg, the numbers behind it as .csv, its origin as .json; close it and show it.

    data: dict of columns of equal length, or a list of dicts, one a row. caption, alt (what a reader who cannot see
    it must know): by default those of the notebook's table of captions (lib/record/captions.py), where {words}
    stand for the notebook's parameters and for `facts`. weights, sources: digests of what it was computed from.
    photographs: those that it shows, as the photographs' own module lists them (dicts with title, name, author,
    licence, source); they are kept in the sidecar, and {credits} stands for them in the caption. publish=False
    keeps everything in build/ (pictures that are not ours). colours: as many, 2 to 256, in the PNG, which makes
    drawings of many small marks two or three times smaller. pictures: it shows photographs or the like, so that the
    PNG keeps its full resolution whatever its size, and the notebook holds a JPEG of it. ValueError on a name without
    the notebook's number, no caption or alt text, or ragged data.
    """
    if not name.startswith(f"{run.notebook[:2]}_") or not name.replace("_", "").isalnum() or name != name.lower():
        raise ValueError(
            f"figure name {name!r}: expected {run.notebook[:2]}_ and lower-case words, as in notebook {run.notebook}"
        )
    changed, named = (getattr(run, field, None) for field in ("changed", "contents"))
    if caption is None and alt is None:
        facts = run.parameters | {"credits": credits.line(photographs)} | (facts or {})
        caption, alt = captions.of(name, run.notebook, facts, run.profile, changed)
    for key, text in (("caption", caption), ("alt", alt)):
        if not isinstance(text, str) or len(text.split()) < 3:
            raise ValueError(f"figure {name}: {key} is {text!r}, expected a sentence")
    if not isinstance(fig, Figure):
        raise ValueError(f"figure {name}: fig is a {type(fig).__name__}, expected a matplotlib Figure")
    rows = _rows(data, name)
    png, dpi = _png(fig, colours, RESOLUTIONS[:1] if pictures else RESOLUTIONS)
    contents = {"png": png, "svg": _svg(fig), "csv": _csv(rows)}
    plt.close(fig)
    digests = {f"{name}.{kind}": files.sha256(content) for kind, content in contents.items()}
    row = {"caption": caption, "alt": alt, "published": publish, "files": digests}
    sidecar = row | {
        "name": name,
        "notebook": run.notebook,
        "profile": run.profile,
        "parameters": {key: value for key, value in run.parameters.items() if key not in ("device", "retrain")},
        "seed": run.seed,
        "weights": _digests(weights),
        "sources": _digests(sources),
        "versions": {package: version(package).split("+")[0] for package in PACKAGES},
        "dpi": dpi,
        "rows": len(rows),
    }
    sidecar |= {"photographs": [dict(one) for one in photographs]} if photographs else {}
    sidecar |= {"pictures": True} if pictures else {}
    sidecar |= {"changed": changed, "contents": named or {}} if changed else {}
    place = folder(run.profile, publish)
    try:
        for kind, content in contents.items():
            files.atomic_write(place / f"{name}.{kind}", content)
        files.write_json(place / f"{name}.json", ledger.tidy(sidecar, f"figure {name}"))
        ledger.enter(run, "figures", name, row)
        _drop(name, folder(run.profile, not publish))
    except OSError as error:
        raise type(error)(
            f"figure {name} cannot be written to {place} ({files.why(error, place)}); "
            "make that folder writable, or name another in COMPANION_FIGURES"
        ) from error
    _log(run, name)
    return shown(name, png, sidecar)


def sidecar_of(path: Path) -> dict:
    """A figure's sidecar; ValueError that names the file where it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read ({error}); {REMEDY}") from error
    if not isinstance(found, dict) or not isinstance(found.get("files"), dict):
        raise ValueError(f"{path} is no sidecar of a figure, expected its origin and files; {REMEDY}")
    return found


def shown(name: str, png: bytes, sidecar: dict) -> Shown:
    """A figure as Jupyter shows it, from its PNG and its sidecar: pictures as JPEG, drawings as they are."""
    if sidecar.get("pictures"):
        buffer = io.BytesIO()
        Image.open(io.BytesIO(png)).convert("RGB").save(buffer, format="jpeg", quality=QUALITY, subsampling=0)
        png = buffer.getvalue()
    return Shown(name, png, sidecar["caption"], sidecar["alt"])


def rendered(fig: Figure) -> dict[str, bytes]:
    """A figure as {"png": ..., "svg": ...}, the same bytes for the same figure; it is closed."""
    contents = {"png": _png(fig)[0], "svg": _svg(fig)}
    plt.close(fig)
    return contents


def _png(fig: Figure, colours: int | None = None, resolutions=RESOLUTIONS) -> tuple[bytes, int]:
    for dpi in resolutions:
        buffer = io.BytesIO()
        fig.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None}, pil_kwargs={"optimize": True})
        if colours is not None:
            picture = Image.open(buffer).convert("RGB").quantize(colours, dither=Image.Dither.NONE)
            buffer = io.BytesIO()
            picture.save(buffer, format="png", optimize=True)
        if buffer.tell() <= LARGEST:
            break
    return buffer.getvalue(), dpi


def _svg(fig: Figure) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "companion", "svg.fonttype": "none"}):
        fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _numbered(buffer.getvalue())


def _numbered(svg: bytes) -> bytes:
    """Clips and markers by number: their names are digests of places, whose last bit depends on where objects lie in
    memory when the layout is solved."""
    found = dict.fromkeys(re.findall(rb'\bid="([a-z][0-9a-f]{10})"', svg))
    names = {old: b"%c%d" % (old[0], k) for k, old in enumerate(found)}
    return re.sub(rb'(id="|#)([a-z][0-9a-f]{10})\b', lambda hit: hit[1] + names.get(hit[2], hit[2]), svg)


def _rows(data, name: str) -> list[dict]:
    """The rows behind a figure, as a list of dicts with the same keys."""
    if isinstance(data, dict):
        lengths = {key: len(column) for key, column in data.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"figure {name}: data has columns of different lengths, {lengths}")
        columns = [column.tolist() if hasattr(column, "tolist") else list(column) for column in data.values()]
        return [dict(zip(data, values, strict=True)) for values in zip(*columns, strict=True)]
    rows = [row._asdict() if hasattr(row, "_asdict") else dict(row) for row in data]
    if not rows or any(row.keys() != rows[0].keys() for row in rows):
        raise ValueError(f"figure {name}: data must have at least one row, and the same columns in each")
    return rows


def _csv(rows: list[dict]) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _cell(value, key) for key, value in row.items()} for row in rows)
    return buffer.getvalue().encode()


def _cell(value, column: str):
    value = value.tolist() if hasattr(value, "tolist") else value
    if value is None or isinstance(value, float) and math.isnan(value):
        return ""
    return ledger.tidy(value, f"column {column}")


def _digests(given) -> list[str]:
    return sorted({given} if isinstance(given, str) else set(given))


def _log(run, name: str) -> None:
    """What may differ from run to run: when, on what, after how many seconds of computing."""
    path = paths.of_run(run.profile) / "logs" / f"{run.notebook[:2]}_figures.log"
    entry = {
        "name": name,
        "device": run.device,
        "at": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "cpu_seconds": time.process_time(),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a") as log:
            log.write(json.dumps(entry) + "\n")
    except OSError as error:
        raise type(error)(f"{path} cannot be written: {files.why(error, path.parent)}") from error


def _drop(name: str, place: Path) -> None:
    for kind in (*PARTS, "json"):
        (place / f"{name}.{kind}").unlink(missing_ok=True)


def check(profile: str) -> list[str]:
    """What is wrong with a profile's published figures, a sentence each: files, sidecars and rows that do not match."""
    place, problems = folder(profile), []
    rows = {name: row for book in ledger.read_all(profile).values() for name, row in book["figures"].items()}
    published = {name for name, row in rows.items() if row["published"]}
    there = {path.name for path in place.iterdir()} if place.is_dir() else set()
    sidecars = {Path(name).stem for name in there if name.endswith(".json") and not name.endswith("_ledger.json")}
    pictures = {Path(name).stem for name in there if name.rpartition(".")[2] in PARTS}
    problems += [f"{name}: a figure without its sidecar {name}.json" for name in sorted(pictures - sidecars)]
    problems += [f"{name}: a sidecar without its row in the ledger" for name in sorted(sidecars - published)]
    problems += [f"{name}: a row in the ledger without its sidecar" for name in sorted(published - sidecars)]
    for name in sorted(sidecars & published):
        try:
            sidecar = sidecar_of(place / f"{name}.json")
        except ValueError as error:
            problems.append(f"{name}: {error}")
            continue
        for file, digest in sidecar["files"].items():
            if file not in there:
                problems.append(f"{name}: a sidecar without its figure {file}")
            elif files.file_digest(place / file) != digest:
                problems.append(f"{name}: {file} is not the file that its sidecar describes")
        if any(sidecar.get(key) != value for key, value in rows[name].items()):
            problems.append(f"{name}: its sidecar and its row in the ledger differ")
    return problems


def picture(name: str, caption: str, alt: str, address: str) -> str:
    """HTML of a figure that lies at `address`, with its caption."""
    return (
        f'<figure><img src="{escape(address)}" alt="{escape(alt)}" style="max-width:100%">'
        f"<figcaption><b>{escape(name)}.</b> {escape(caption)}</figcaption></figure>"
    )
