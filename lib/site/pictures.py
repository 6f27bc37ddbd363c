"""Figures as the site shows them: each picture lies there once, and a notebook's output that is one of the committed
figures is that file and no copy of it."""

import base64
import posixpath
import re

import nbformat
from PIL import Image

from lib.base import files
from lib.record import figures
from lib.site.content import PROFILES, Content, Figure

IMAGES = {"image/png": "png", "image/jpeg": "jpg"}
LABEL = re.compile(r"\[(\w+)(?:, on photographs)?:")
KINDS = ("png", "svg", "csv", "json")


def files_of(content: Content) -> list[str]:
    """Every file of the committed figures, from the root of the repository."""
    found = []
    for one in content.figures.values():
        found += [f"{one.place}.{kind}" for kind in KINDS if (content.root / f"{one.place}.{kind}").exists()]
        found += [f"{one.place}.frames/{name}" for name in (one.frames or {}).get("files", ())]
    return found


def digests(content: Content) -> dict[str, Figure]:
    """The figures by the digest of their PNG; of two that are alike, the first."""
    found = {}
    for one in content.figures.values():
        found.setdefault(files.file_digest(content.root / f"{one.place}.png"), one)
    return found


def size(content: Content, path: str) -> tuple[int, int]:
    """Width and height of a picture of the repository, in pixels."""
    with Image.open(content.root / path) as picture:
        return picture.size


def known(output, content: Content, by_digest: dict[str, Figure]) -> Figure | None:
    """The committed figure that a notebook's output shows: byte by byte its PNG, or the JPEG that a notebook holds of
    it; None where the picture is another."""
    kind = next((kind for kind in IMAGES if kind in output.get("data", {})), None)
    picture = base64.b64decode(output.data[kind])
    if (figure := by_digest.get(files.sha256(picture))) is not None:
        return figure
    label = LABEL.match(output.data.get("text/plain", ""))
    for profile in PROFILES:
        figure = content.figures.get((profile, label[1])) if label else None
        if figure is not None and figure.sidecar.get("pictures"):
            png = (content.root / f"{figure.place}.png").read_bytes()
            if figures.shown(figure.name, png, figure.sidecar).content == picture:
                return figure
    return None


def placed(notebook, content: Content, by_digest: dict, draw) -> tuple[nbformat.NotebookNode, dict[str, bytes], dict]:
    """A copy of a notebook whose pictures are the site's, the pictures that are no figure of the record by their
    address from the site's root, and {id of a cell: figures in it}.

    draw: makes HTML of a `Figure`, or of {"src", "alt"}.
    """
    copy, others, shown = nbformat.from_dict(notebook), {}, {}
    for cell in copy.cells:
        outputs, last = [], ""  # the figure that was shown last, whose caption may follow
        for output in cell.get("outputs", []):
            kind = next((kind for kind in IMAGES if kind in output.get("data", {})), None)
            if kind is None:
                outputs += [] if last and _captions(output, last) else [output]
                last = ""
                continue
            figure = known(output, content, by_digest)
            if figure is not None:
                shown.setdefault(cell.id, []).append(figure)
                html, last = draw(figure), figure.name
            else:
                picture = base64.b64decode(output.data[kind])
                address = posixpath.join("pictures", f"{files.sha256(picture)[:16]}.{IMAGES[kind]}")
                others[address] = picture
                alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
                html, last = draw({"src": address, "alt": alt or output.data.get("text/plain", "A picture")}), ""
            outputs.append(nbformat.v4.new_output("display_data", {"text/html": html}))
        if "outputs" in cell:
            cell.outputs = outputs
    return copy, others, shown


def _captions(output, name: str) -> bool:
    """Whether an output is the caption below the figure `name`, which the figure of the site has inside."""
    return (
        re.match(rf"\*\*{name}(, on photographs)?\.\*\* ", output.get("data", {}).get("text/markdown", "")) is not None
    )
