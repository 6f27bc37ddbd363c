"""The page: what it must hold is asked of its files, and how it behaves of Debian's Chromium, where there is one."""

import base64
import hashlib
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
import yaml
from conftest import ROOT
from PIL import Image

from lib.base import files
from lib.record import claims, ledger
from lib.site import build, claim_pages, content, formulas, notebook_pages, prose, work
from lib.site.content import PROFILES

VOID = {"img", "br", "hr", "meta", "link", "input", "path"}


class Page(HTMLParser):
    """What a page of the site is made of: ids, links, pictures, headings and what else tests ask for."""

    def __init__(self, text: str):
        super().__init__()
        self.ids, self.links, self.pictures, self.headings = [], [], [], []
        self.tags, self.loaded, self.labels, self.texts, self.open = Counter(), [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags[tag] += 1
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.headings += [tag] if re.fullmatch("h[1-6]", tag) else []
        if tag == "a" and "href" in attrs:
            self.links.append(attrs["href"])
            self.texts.append(attrs.get("aria-label", ""))
        if tag == "img":
            self.pictures.append(attrs)
            self.handle_data(attrs.get("alt", ""))
        if tag in ("script", "link", "img", "iframe", "source") and (attrs.get("src") or attrs.get("href")):
            self.loaded.append(attrs.get("src") or attrs.get("href"))
        self.labels += [attrs.get("aria-label")] if tag == "nav" else []
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "a" in self.open and self.texts:
            self.texts[-1] += data


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The page of this repository, 200 MB that go when the tests are done."""
    folder = tmp_path_factory.mktemp("page") / "site"
    build.build(folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pages(site) -> dict[str, Page]:
    return {
        path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
    }


# --- a made-up repository: one notebook, one claim, two figures, one of them with a slider

CLAIM = """
C1:
  paper: someone2020
  place: Table 1 (section not verified)
  statement: Squares are read better than discs.
  found: "1.5 points (decoded)"
  notebook: 01_small
  prototype_seen: false
  statistic: a difference
  unit: image
  seeds: 2
  "null": none
  rule: {reproduced: {low_above: 0.0}, not_reproduced: {high_below: 0.0}}
  photos: {untestable: "photographs have no squares"}
  examples:
    reproduced: {value: 0.1, interval: [0.05, 0.2]}
    not reproduced: {value: -0.1, interval: [-0.2, -0.05]}
    inconclusive: {value: 0.0, interval: [-0.1, 0.1]}
"""
ROW = {"claim": "C1", "value": 0.1, "interval": [0.05, 0.15], "null": None, "named": {}, "n": 100, "unit": "image"}
ROW |= {"note": "", "verdict": "reproduced", "seeds": [{"seed": k, "value": 0.1, "interval": [0, 0.2]} for k in (1, 2)]}
README = "# A small one\n\nWhat it is.\n\n![A square](figures/embedded/01_square.png)\n\n"
README += "*A square ([01](notebooks/01_small.ipynb)).*\n\nSee [below](#how-to-run-it-c).\n\n## How to *run* it (C)!\n"
BIB = '@article{someone2020,\n  author = {M{\\"u}ller, Ada and Ost, B.},\n  title = {{S}quares},\n  year = {2020}\n}\n'
TEXT = """## What it is

A classifier and its RRC, at $t=0.8$; the RRC again, [someone2020]. See [`square`](../lib/shapes.py) and C1.

$$y=\\frac{a}{b},\\quad z=\\sqrt{x}$$"""
CODE = "import shapes\n\nclaims.record('C1', 0.1, (0.05, 0.15), run=run)"


@pytest.fixture
def small(tmp_path) -> Path:
    """The made-up repository."""
    root = tmp_path / "repository"
    texts = {"README.md": README, "references.bib": BIB, "data/claims.yaml": CLAIM}
    texts["lib/shapes.py"] = '"""Shapes."""\n\n\ndef square():\n    """A square."""\n'
    texts["notebooks/index.yaml"] = yaml.safe_dump({"01_small": {"title": "Small", "claims": ["C1"]}})
    for name, text in texts.items():
        files.atomic_write(root / name, text)
    for profile in PROFILES:
        figure(root, profile, "01_square", "blue")
        figure(root, profile, "01_disc", "red", pictures=True)
        rows = {"C1": ROW} if profile == "embedded" else {}
        files.write_json(root / f"figures/{profile}/01_ledger.json", {"claims": rows, "figures": {}})
    for step, colour in enumerate(("red", "green", "blue")):
        picture(root / f"figures/embedded/01_square.frames/{step}.webp", colour)
    steps = {"parameter": "threshold t", "values": [0.1, 0.5, 0.9], "captions": ["low", "half way", "high"]}
    files.write_json(root / "figures/embedded/01_square.frames/frames.json", steps)
    book = nbformat.v4.new_notebook()
    row = '<table><tr><th style="text-align:left">claim</th></tr><tr><td>C1</td></tr></table>'
    book.cells = [
        nbformat.v4.new_markdown_cell("# 01 · Small\n\n**Are squares read?**", id="top"),
        nbformat.v4.new_markdown_cell(TEXT, id="text"),
        nbformat.v4.new_code_cell(
            "figures.save(...)", id="drawn", outputs=[shown(root, "01_square"), caption("01_square")]
        ),
        nbformat.v4.new_code_cell(CODE, id="decides", outputs=[output({"text/html": row})]),
        nbformat.v4.new_code_cell("odd", id="odd", outputs=[other()]),
    ]
    files.atomic_write(root / "notebooks/01_small.ipynb", nbformat.writes(book))
    return root


def picture(path: Path, colour: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 20), colour).save(path, lossless=True)


def figure(root: Path, profile: str, name: str, colour: str, **more) -> None:
    place = root / "figures" / profile
    picture(place / f"{name}.png", colour)
    (place / f"{name}.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (place / f"{name}.csv").write_text(f"{profile}\n1\n")
    sidecar = {
        "name": name,
        "notebook": "01_small",
        "profile": profile,
        "caption": f"A {name}.",
        "alt": f"{name}, drawn",
    }
    sidecar |= {"parameters": {"steps": 3}, "seed": 0, "weights": [], "sources": [], "versions": {"numpy": "2"}}
    files.write_json(place / f"{name}.json", sidecar | more)


def output(data: dict, **metadata):
    return nbformat.v4.new_output("display_data", data, metadata=metadata)


def shown(root: Path, name: str):
    png = base64.b64encode((root / f"figures/embedded/{name}.png").read_bytes()).decode()
    return output({"image/png": png, "text/plain": f"[{name}: x]"}, **{"image/png": {"alt": f"{name}, drawn"}})


def caption(name: str):
    return output({"text/markdown": f"**{name}.** A {name}.", "text/plain": "..."})


def other():
    """A picture that is no figure of the record."""
    buffer = base64.b64encode(b"\x89PNG no figure").decode()
    return output({"image/png": buffer, "text/plain": "[odd: an odd one]"}, **{"image/png": {"alt": "an odd one"}})


def digests(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): files.file_digest(p) for p in folder.rglob("*") if p.is_file()}


# --- the page of this repository, from its files


def outside(address: str) -> bool:
    return bool(re.match(r"[a-z]+:|//", address))


def test_every_link_and_every_picture_leads_somewhere(site, pages):
    ids = {name: set(page.ids) for name, page in pages.items()}
    wrong = []
    for name, page in pages.items():
        for target in [*page.links, *page.loaded]:
            if outside(target):
                continue
            path, _, anchor = target.partition("#")
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(path))) if path else name
            there = path in ids if path.endswith(".html") else (site / path).is_file()
            place = unquote(anchor)
            if not there or (anchor and path in ids and place not in ids[path]):
                wrong.append(f"{name}: {target}")
    assert wrong == []


def test_nothing_is_asked_of_another_host(site, pages):
    assert [(n, one) for n, page in pages.items() for one in page.loaded if outside(one) and one[:5] != "data:"] == []
    for path in (site / "assets").iterdir():
        if path.name != "found.js":
            assert not re.search(r"https?://|@import|url\((?!data:)", path.read_text()), path.name


def test_each_picture_lies_there_once_and_none_inside_a_page(site, pages):
    pictures = [path for path in site.rglob("*") if path.suffix in (".png", ".svg", ".webp", ".jpg")]
    twice = [d for d, count in Counter(map(files.file_digest, pictures)).items() if count > 1]
    repeated = {path.relative_to(site).as_posix() for path in pictures if files.file_digest(path) in twice}
    known = {path for path in repeated if (ROOT / path).exists()}  # two figures of the record may be alike
    assert repeated == known
    assert [name for name, page in pages.items() for one in page.pictures if one["src"].startswith("data:")] == []
    assert not (site / "pictures").exists()  # every picture of a notebook is a figure of the record


def test_every_picture_says_what_it_shows(pages):
    for name, page in pages.items():
        assert [one["src"] for one in page.pictures if len(one.get("alt", "").split()) < 3] == [], name
    for profile in PROFILES:
        for path in (ROOT / "figures" / profile).glob("*.png"):
            alt = json.loads(path.with_suffix(".json").read_text())["alt"]
            found = [
                one["alt"] for one in pages["gallery.html"].pictures if one["src"].endswith(f"{profile}/{path.name}")
            ]
            assert found == [alt]


def test_pages_are_built_for_those_who_hear_them(pages):
    for name, page in pages.items():
        assert page.tags["h1"] == page.tags["main"] == page.tags["title"] == 1, name
        assert page.headings[0] == "h1" or name == "index.html", name
        levels = [int(one[1]) for one in page.headings]
        assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False)), (name, page.headings)
        assert len(page.ids) == len(set(page.ids)), (name, [one for one, k in Counter(page.ids).items() if k > 1])
        assert all(page.labels), name
        assert all(text.strip() for text, link in zip(page.texts, page.links, strict=True) if link[0] != "#"), name


def test_every_notebook_has_its_page_with_contents_and_folded_code(site, pages):
    index = list(content.read().index)
    for name in index:
        text, page = (site / f"notebooks/{name}.html").read_text(), pages[f"notebooks/{name}.html"]
        assert '<details class="code">' in text and "<details open" not in text.split("<main")[1]
        assert 'aria-label="On this page"' in text and page.tags["figure"] >= (name[:2] not in ("00", "15"))
    steps = [re.findall(r'rel="(prev|next)"', (site / f"notebooks/{name}.html").read_text()) for name in index]
    assert steps == [["next"], *[["prev", "next"]] * (len(index) - 2), ["prev"]]


def test_every_claim_has_its_page_with_all_that_was_recorded(site, pages):
    for profile in PROFILES:
        rows = ledger.recorded(profile, ROOT / "figures")
        for name, claim in claims.load(profile=profile).items():
            text = (site / f"claims/{name}.html").read_text()
            for part, entry in claim["parts"].items():
                assert part in pages[f"claims/{name}.html"].ids
                assert f'id="{part}-{profile}"' in text
                if part in rows and "untestable" not in entry:
                    section = text.split(f'id="{part}-{profile}"')[1].split("<h3")[0]
                    assert rows[part]["verdict"] in section.split("</h3>")[0]
                    assert section.count("seed ") >= len(rows[part]["seeds"])
            assert "cell-id=" in text and "<figure" in text, name
            assert " ".join(claim["statement"].split()) in " ".join(prose.soup(text).h1.get_text().split())


def test_the_cell_that_decides_is_the_one_that_records(site):
    what = content.read()
    for name, claim in what.claims["embedded"].items():
        cells = content.deciding(what.notebooks[claim["notebook"]], claim["parts"])
        assert cells.keys() == claim["parts"].keys()
        for part, cell in cells.items():
            (found,) = [one for one in what.notebooks[claim["notebook"]].cells if one.id == cell]
            assert part in found.source and "record(" in found.source
            assert f"{claim['notebook']}.html#cell-id={cell}" in (site / f"claims/{name}.html").read_text()


def test_every_figure_is_in_the_gallery_with_its_files(site, pages):
    links = Counter(pages["gallery.html"].links)
    for profile in PROFILES:
        for path in sorted((ROOT / "figures" / profile).glob("*.json")):
            if not path.stem.endswith("_ledger"):
                assert f"{profile}-{path.stem}" in pages["gallery.html"].ids
                for kind in ("png", "svg", "csv", "json"):
                    place = f"figures/{profile}/{path.stem}.{kind}"
                    assert links[place] and files.file_digest(site / place) == files.file_digest(ROOT / place)


def test_terms_are_linked_where_they_first_appear(site):
    tree = prose.soup((site / "notebooks/03_total_order.html").read_text())
    for term in ("rrc", "extent", "readability"):
        assert len(tree.select(f'a.term[href="../glossary.html#{term}"]')) == 1, term
    text = tree.main.get_text()
    assert text.index("RRC") <= text.index(tree.select_one('a.term[href$="#rrc"]').parent.get_text()[:40]) + 400
    glossary = set(Page((site / "glossary.html").read_text()).ids)
    assert {work.place_of(term) for term in content.read().terms} <= glossary
    assert not prose.soup((site / "notebooks/10_saliency_and_deconv.html").read_text()).select(
        'a.term[href$="#signal"]'
    )


def test_every_term_is_used_and_names_a_notebook():
    what = content.read()
    cells = [cell for book in what.notebooks.values() for cell in book.cells if cell.cell_type == "markdown"]
    texts = " ".join([*(cell.source for cell in cells), (ROOT / "data/claims.yaml").read_text()]).lower()
    numbers = {name[:2] for name in what.index}
    for term, entry in what.terms.items():
        assert entry["more"] in numbers and set(entry.get("but_in", ())) <= numbers, term
        assert any(form.lower().strip("*") in " ".join(texts.split()) for form in entry.get("forms", [term])), term


def test_how_this_differs_has_every_notebooks_table_and_every_claims_fact(site, pages):
    text = (site / "differences.html").read_text()
    for name, notebook in content.read().notebooks.items():
        assert (f'id="of-{name}"' in text) == bool(notebook_pages.different_here(notebook))
    words = " ".join(prose.soup(text).get_text().split())
    for name, claim in claims.load().items():
        assert f'href="claims/{name}.html"' in text
        assert claim_pages.trusted(claim) in words
    for heading in ("What was easy", "What was difficult", "Which facts could not be checked"):
        assert heading in text


def test_colours_can_be_told_from_their_ground():
    """WCAG's contrast of text, 4.5, in both themes."""
    css = (ROOT / "lib/site/static/companion.css").read_text()
    pairs = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", css))
    plain = dict(re.findall(r"--([\w-]+): (#\w{6});", css))
    assert {name: pair[:7] for name, pair in pairs.items()} == plain
    for theme in (0, 1):
        colour = {name: pair.split(", ")[theme] for name, pair in pairs.items()}
        for ground in ("paper", "panel"):
            for name in ("ink", "soft", "link", "yes", "no", "open", "word", "text", "remark", "figure", "call"):
                assert contrast(colour[name], colour[ground]) >= 4.5, (theme, name, ground)
        for name in ("yes", "no", "open", "none"):
            assert contrast(colour[name], colour[f"{name}-back"]) >= 4.5, (theme, name)


def contrast(one: str, two: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((light(one), light(two)))
    return (high + 0.05) / (low + 0.05)


# --- the made-up one


def test_the_same_files_give_the_same_bytes_and_no_trace_of_where(small, tmp_path):
    build.build(tmp_path / "one", small)
    code = f"from pathlib import Path; from lib.site import build; build.build(Path('two'), Path({str(small)!r}))"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    for path in (tmp_path / "one").rglob("*.html"):
        assert str(tmp_path) not in path.read_text()


def test_a_second_build_keeps_what_is_there_and_removes_what_went(small, tmp_path):
    first = build.build(tmp_path / "site", small)
    assert digests(tmp_path / "site").keys() == set(first)
    before = (tmp_path / "site/figures/embedded/01_disc.png").stat().st_mtime_ns
    for path in small.glob("figures/photos/01_disc.*"):
        path.unlink()
    second = build.build(tmp_path / "site", small)
    assert {"figures/photos/01_disc.png"} <= set(first) - set(second)
    assert digests(tmp_path / "site").keys() == set(second)
    assert (tmp_path / "site/figures/embedded/01_disc.png").stat().st_mtime_ns == before


def test_a_notebook_becomes_a_page(small, tmp_path):
    build.build(tmp_path / "site", small)
    tree = prose.soup((tmp_path / "site/notebooks/01_small.html").read_text())
    (img,) = [one for one in tree("img") if "square.png" in one["src"]]
    assert (img["src"], img["alt"], img["width"]) == ("../figures/embedded/01_square.png", "01_square, drawn", "40")
    assert tree.get_text().count("A 01_square.") == 1  # the caption stands in the figure and not again below it
    assert len(tree.select(".formula svg[role=img]")) == 3 and "$" not in tree.main.get_text()
    assert len(tree.select('a.term[href$="#rrc"]')) == 1
    assert tree.select_one("a.work")["href"] == "../references.html#someone2020"
    assert tree.find("a", string="C1", class_="id")["href"] == "../claims/C1.html"
    assert tree.find("code", string="square").parent["href"] == "../lib/shapes.py.html#L-4"
    (odd,) = [one for one in tree("img") if "pictures/" in one["src"]]
    assert (
        odd["alt"] == "an odd one" and (tmp_path / "site/notebooks" / odd["src"]).read_bytes() == b"\x89PNG no figure"
    )
    claim = prose.soup((tmp_path / "site/claims/C1.html").read_text())
    assert claim.select_one(".decided a")["href"] == "../notebooks/01_small.html#cell-id=decides"
    assert "Decoded from page images" in claim.get_text() and "could not be verified" in claim.get_text()
    assert "photographs have no squares" in claim.get_text()
    assert [one["src"][-13:] for one in claim("img")[:1]] == ["01_square.png"]
    readme = prose.soup((tmp_path / "site/README.md.html").read_text())
    assert readme.find("a", string="below")["href"] == "#" + readme.h2["id"] == "#how-to-run-it-c"
    assert "Müller, Ada" in (tmp_path / "site/references.html").read_text()


def test_steps_of_a_figure_stand_under_a_slider_and_the_middle_one_without(small, tmp_path):
    written = build.build(tmp_path / "site", small)
    assert {f"figures/embedded/01_square.frames/{k}.webp" for k in range(3)} <= set(written)
    for page in ("notebooks/01_small.html", "gallery.html", "claims/C1.html"):
        box = prose.soup((tmp_path / "site" / page).read_text()).select_one(".frames")
        assert box.img["src"].endswith("01_square.frames/1.webp") and box.img["alt"] == "half way"
        assert box.input.has_attr("hidden") and box.input["max"] == "2" and box.output.get_text() == "0.5"
        assert json.loads(box["data-steps"])["files"] == ["0.webp", "1.webp", "2.webp"]


def spoilt_frames(root: Path) -> str:
    (root / "figures/embedded/01_square.frames/2.webp").unlink()
    return "embedded/01_square.frames.*'pictures': 2.*expected as many"


def unnamed_frames(root: Path) -> str:
    files.write_json(root / "figures/embedded/01_square.frames/frames.json", {"values": []})
    return "01_square.frames: frames.json holds .* expected .*captions"


def no_frames_file(root: Path) -> str:
    (root / "figures/embedded/01_square.frames/frames.json").unlink()
    return "01_square.frames: frames.json is missing"


def frames_alone(root: Path) -> str:
    shutil.copytree(root / "figures/embedded/01_square.frames", root / "figures/embedded/01_more.frames")
    return "figures/embedded/01_more.frames has no figure 01_more"


def link_to_nothing(root: Path) -> str:
    text = (root / "README.md").read_text()
    (root / "README.md").write_text(f"{text}\nSee [this](notebooks/09_gone.ipynb).\n")
    return "README.md links to notebooks/09_gone.ipynb, and the repository has no notebooks/09_gone.ipynb"


def unreadable_formula(root: Path) -> str:
    path = root / "notebooks/01_small.ipynb"
    path.write_text(path.read_text().replace("t=0.8", "\\\\nosuch{x}"))
    return r"the formula \$\\nosuch\{x\}\$ cannot be drawn"


def no_notebook(root: Path) -> str:
    (root / "notebooks/01_small.ipynb").unlink()
    return "index.yaml names 01_small, and notebooks/01_small.ipynb is not there"


def claim_without_notebook(root: Path) -> str:
    (root / "data/claims.yaml").write_text(CLAIM.replace("01_small", "02_gone"))
    return "claims.yaml, claim C1: notebook 02_gone is not in the index"


SPOILT = (
    spoilt_frames,
    unnamed_frames,
    no_frames_file,
    frames_alone,
    link_to_nothing,
    unreadable_formula,
    no_notebook,
    claim_without_notebook,
)


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda one: one.__name__)
def test_what_is_not_as_expected_is_named_and_nothing_is_written(small, tmp_path, spoil):
    with pytest.raises(ValueError, match=spoil(small)):
        build.build(tmp_path / "site", small)
    assert not (tmp_path / "site").exists()


def test_a_folder_with_other_files_is_left_alone(small, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="mine holds files that are no page"):
        build.build(tmp_path / "mine", small)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_rules_in_words_name_every_kind_of_bound():
    for claim in claims.load().values():
        for entry in claim["parts"].values():
            for side in claim_pages.SIDES:
                assert len(claim_pages.in_words(entry["rule"][side])) == len(entry["rule"][side])
    assert set(claims.Bounds.model_fields) <= set(re.findall(r'^        "(\w+)": lambda', source("claim_pages"), re.M))


def source(name: str) -> str:
    return (ROOT / f"lib/site/{name}.py").read_text()


def test_the_drawing_of_an_interval_keeps_its_places_and_its_ticks_are_true():
    entry = {"rule": {"reproduced": {"low_above": 0.0}, "not_reproduced": {"high_below": 0.0}}}
    row = {"value": 0.3, "interval": [0.1, 0.55], "null": [-0.1, 0.1], "verdict": "reproduced", "seeds": []}
    drawn = claim_pages.drawing(entry, row)
    (line,) = drawn.lines
    low, high = drawn.ticks[0], drawn.ticks[-1]
    width = float(high[1]) - float(low[1])
    for place, value in [
        (line.low, 0.1),
        (line.value, 0.3),
        (line.high, 0.55),
        (drawn.bounds[0][0], 0.0),
        *drawn.ticks,
    ]:
        assert place == pytest.approx(100 * (float(value) - float(low[1])) / width, abs=0.02)
    assert drawn.nulls == [(pytest.approx(line.low - 100 * 0.2 / width, abs=0.02), pytest.approx(20 / width, abs=0.02))]
    assert line.text == "0.300 [0.100, 0.550]"


@pytest.mark.parametrize(
    ("found", "place", "says"),
    [
        ("1.2 points (decoded)", "Table 1", "Decoded from page images"),
        ("worse (summary; no numbers)", "results (figure number not verified)", "no number of it is known. Where in"),
        ("nothing; the question is ours", "not in the paper", "Not a claim of the paper"),
        (".067 +- .007", "Table 1", "does not say how it was checked"),
    ],
)
def test_how_far_a_number_is_trusted(found, place, says):
    assert says in claim_pages.trusted({"found": found, "place": place})


def test_a_formula_is_drawn_in_the_colour_of_its_text_and_says_what_it_is():
    drawn = formulas.svg(r"a < \frac{1}{2}")
    assert 'aria-label="a &lt; \\frac{1}{2}"' in drawn and "fill=" not in drawn and re.search(r'd="M[\d. ]+', drawn)
    assert formulas.svg("x", block=True).count("<svg") == 1
    assert hashlib.sha256(drawn.encode()).digest() == hashlib.sha256(formulas.svg(r"a < \frac{1}{2}").encode()).digest()


# --- in a browser

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
LEFT = "ERR_ABORTED"  # a picture that was still on its way when the page was left
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (the extra `site`)")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is there")
    with playwright.sync_playwright() as started:
        one = started.chromium.launch(executable_path=path, args=FLAGS)
        yield one
        one.close()


@pytest.fixture
def visit(browser):
    """Opens a page of a site: visit(folder, "index.html", width=..., theme=..., script=...). Nothing may go wrong on it
    until the test ends: no error, no request to anywhere but the folder."""
    opened, wrong = [], []

    def open_page(folder: Path, address: str, width: int = 1280, theme: str = "light", script: bool = True):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme,
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        opened.append(context)
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda one: None if LEFT in one.failure else wrong.append(f"{one.failure}: {one.url}"))
        here = folder.as_uri()
        page.on("request", lambda one: None if one.url.startswith((here, "data:")) else wrong.append(one.url))
        page.goto(f"{here}/{address}")
        return page

    yield open_page
    for context in opened:
        context.close()
    assert wrong == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_fits_a_phone_and_has_no_error(site, pages, visit, theme):
    read = [name for name in pages if not name.startswith("lib/")]
    read += ["lib/index.html", "lib/methods/index.html", "lib/methods/signals/total_order.py.html"]
    page, wide = visit(site, "index.html", width=380, theme=theme), []
    for name in read:
        page.goto(f"{site.as_uri()}/{name}")
        widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        wide += [name] if widths[0] > widths[1] else []
    assert wide == []


def visible(page, what: str) -> int:
    return page.locator(f"{what}:visible").count()


def test_filters_of_the_verdicts(site, visit):
    page = visit(site, "index.html")
    known = {profile: claims.load(profile=profile) for profile in PROFILES}
    rows = {profile: ledger.recorded(profile, ROOT / "figures") for profile in PROFILES}
    said = {p: {name: content.verdict(one, rows[p]) for name, one in known[p].items()} for p in PROFILES}
    all_of = len(known["embedded"])
    assert visible(page, "#claims tbody tr") == all_of
    page.select_option("select[name=paper]", "palacio2018")
    expected = [name for name, one in known["embedded"].items() if one["paper"] == "palacio2018"]
    assert page.locator("#claims tbody tr:visible th").all_inner_texts() == expected
    assert page.locator(".shown").inner_text() == f"{len(expected)} of {all_of} claims"
    page.select_option("select[name=verdict]", "reproduced")
    both = [n for n in expected if "reproduced" in (said["embedded"][n], said["photos"][n])]
    assert page.locator("#claims tbody tr:visible th").all_inner_texts() == both
    page.select_option("select[name=profile]", "photos")
    there = [n for n in expected if said["photos"][n] == "reproduced"]
    assert page.locator("#claims tbody tr:visible th").all_inner_texts() == there
    assert visible(page, "#claims .of-embedded") == 0 and visible(page, "#claims .of-photos")
    page.click("button[type=reset]")
    page.wait_for_function(f"document.querySelectorAll('#claims tbody tr:not([hidden])').length === {all_of}")
    page.select_option("select[name=profile]", "photos")
    asked = [name for name in said["photos"] if said["photos"][name] != claims.UNTESTABLE]
    assert page.locator("#claims tbody tr:visible th").all_inner_texts() == asked and len(asked) < all_of
    page.select_option("select[name=verdict]", claims.UNTESTABLE)
    assert visible(page, "#claims tbody tr") == all_of - len(asked)
    page.select_option("select[name=verdict]", "")
    page.select_option("select[name=profile]", "")
    page.select_option("select[name=notebook]", "09_occlusion")
    home = [name for name, one in known["embedded"].items() if one["notebook"] == "09_occlusion"]
    assert page.locator("#claims tbody tr:visible th").all_inner_texts() == home
    page.select_option("select[name=notebook]", "")
    page.fill("input[name=words]", "zzz")
    assert visible(page, "#claims tbody tr") == 0 and page.locator(".shown").inner_text().startswith("0 of")


def test_filters_of_the_figures(site, visit):
    page = visit(site, "gallery.html")
    page.select_option("select[name=notebook]", "03_total_order")
    page.select_option("select[name=profile]", "photos")
    names = sorted(path.stem for path in (ROOT / "figures/photos").glob("03_*.png"))
    assert sorted(page.locator(".card:visible h3").all_inner_texts()) == names
    assert visible(page, "#figures section") == 1


def test_search_finds_claims_terms_and_sections(site, visit):
    page = visit(site, "claims/C4.html")
    page.keyboard.press("/")
    page.keyboard.type("total order")
    page.wait_for_selector("#results li")
    assert "found" in page.locator("#search-said").inner_text()
    links = page.locator("#results a").evaluate_all("all => all.map((one) => one.href)")
    assert any("claims/C4.html" in one for one in links) and any("notebooks/03_total_order" in one for one in links)
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('#results') !== null")
    page.keyboard.press("Escape")
    assert page.locator("#results").is_hidden()
    page.fill("#search", "facet")
    page.locator("#results a", has_text=re.compile("^facet$")).click()
    assert page.url.endswith("glossary.html#facet")
    page.fill("#search", "qqqq")
    page.wait_for_function("document.getElementById('search-said').textContent.startsWith('0 ')")


def test_light_and_dark_by_the_system_and_by_the_switch(site, visit):
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = (visit(site, "index.html", theme=theme).evaluate(ground) for theme in ("light", "dark"))
    assert light != dark
    page = visit(site, "index.html")
    seen = []
    for _ in range(3):
        page.click("button.theme")
        seen.append((page.locator("button.theme").inner_text(), page.evaluate(ground)))
    assert seen == [("Theme: light", light), ("Theme: dark", dark), ("Theme: system", light)]
    page.click("button.theme")
    page.click("button.theme")
    page.goto(f"{site.as_uri()}/notebooks/03_total_order.html")
    assert page.evaluate(ground) == dark  # kept from page to page


def test_code_is_folded_until_a_key_or_the_button_unfolds_it(site, visit):
    page = visit(site, "notebooks/03_total_order.html")
    count = page.locator("details.code").count()
    opened = "document.querySelectorAll('details.code[open]').length"
    assert count > 20 and page.evaluate(opened) == 0
    page.keyboard.press("c")
    assert page.evaluate(opened) == count
    assert page.locator("button.unfold").get_attribute("aria-pressed") == "true"
    page.click("button.unfold")
    assert page.evaluate(opened) == 0
    page.focus("#search")
    page.keyboard.type("c")
    assert page.evaluate(opened) == 0  # a letter that is typed is a letter


def test_everything_can_be_reached_by_the_keyboard(site, visit):
    page = visit(site, "notebooks/03_total_order.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().width") > 50  # seen once it has the focus
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.focus("details.code summary")
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelectorAll('details.code[open]').length") == 1
    page.focus("a.enlarge")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.locator("dialog.large").is_visible()
    assert page.locator("dialog.large img").get_attribute("alt") == page.locator("a.enlarge img").first.get_attribute(
        "alt"
    )
    page.keyboard.press("Escape")
    assert page.locator("dialog.large").is_hidden()
    assert page.evaluate("document.activeElement.className") == "enlarge"


def test_a_slider_shows_the_picture_of_its_step(small, tmp_path, visit):
    build.build(tmp_path / "site", small)
    page = visit(tmp_path / "site", "notebooks/01_small.html")
    page.focus(".frames input")
    page.keyboard.press("ArrowRight")
    assert page.locator(".frames img").get_attribute("src").endswith("01_square.frames/2.webp")
    assert page.locator(".frames img").get_attribute("alt") == page.locator(".step-caption").inner_text() == "high"
    assert page.locator(".frames output").inner_text() == "0.9"
    assert page.locator(".frames input").get_attribute("aria-valuetext") == "0.9"
    page.keyboard.press("Home")
    assert page.locator(".frames img").get_attribute("src").endswith("/0.webp")


def test_without_a_script_everything_is_there(site, small, tmp_path, visit):
    page = visit(site, "index.html", script=False)
    assert visible(page, "#claims tbody tr") == len(claims.load()) and visible(page, ".needs-script") == 0
    page = visit(site, "notebooks/03_total_order.html", script=False)
    page.locator("details.code summary").first.click()
    assert page.locator("details.code .highlight").first.is_visible()
    build.build(tmp_path / "site", small)
    page = visit(tmp_path / "site", "notebooks/01_small.html", script=False)
    assert page.locator(".frames img").is_visible() and page.locator(".frames input").is_hidden()
