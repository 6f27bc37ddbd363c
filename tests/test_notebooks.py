"""Every committed notebook keeps to the house rules: short cells, enough prose, its method in sight, clean outputs."""

import json
import re
import statistics

import pytest
import yaml
from conftest import ROOT

from lib.record import captions
from lib.running import notebook_bytes, params

PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
METHOD = "method"  # the tag of a cell whose lines are what the notebook is about
notebooks = pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])


def cells(path, kind: str | None = None) -> list[dict]:
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell | {"text": "".join(cell["source"])} for cell in found if kind in (None, cell["cell_type"])]


def lines(cell: dict) -> int:
    return sum(bool(line.strip()) for line in cell["text"].splitlines())


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def outputs(path) -> list[dict]:
    return [output for cell in cells(path, "code") for output in cell["outputs"]]


@notebooks
def test_was_executed_from_top_to_bottom_without_errors(path):
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert [out for out in outputs(path) if out["output_type"] == "error" or out.get("name") == "stderr"] == []


@notebooks
def test_file_is_in_its_normal_form(path):
    import nbformat

    text = path.read_text(encoding="utf-8")
    assert text == notebook_bytes.text(notebook_bytes.plain(nbformat.reads(text, as_version=4)))
    assert path.stat().st_size < 8_000_000  # where a page opens slowly; 11 and 14 hold a hundred whole images each
    book = json.loads(text)
    assert book["metadata"] == notebook_bytes.METADATA and (book["nbformat"], book["nbformat_minor"]) == (4, 5)


@notebooks
def test_has_one_parameters_cell_and_no_injected_one(path):
    assert sum("parameters" in tags(cell) for cell in cells(path)) == 1
    assert not any(notebook_bytes.INJECTED in tags(cell) for cell in cells(path))


@notebooks
def test_code_is_short_and_prose_is_enough(path):
    sizes = [lines(cell) for cell in cells(path, "code")]
    assert sum(sizes) <= 150 and statistics.median(sizes) <= 4, (
        f"lines of the code cells: {sizes}, of 150; half up to 4"
    )
    own = [lines(cell) for cell in cells(path, "code") if "parameters" not in tags(cell)]
    assert max(own) <= 20
    words = sum(len(cell["text"].split()) for cell in cells(path, "markdown"))
    assert 6 * sum(sizes) <= words, f"{words} words of prose for {sum(sizes)} lines of code, expected six for each"


@notebooks
def test_shows_its_method(path):
    if "02" <= path.stem[:2] <= "14":
        code = cells(path, "code")
        shown = [cell for cell in code if METHOD in tags(cell) or "source.show(" in cell["text"]]
        assert shown, f"expected a cell tagged {METHOD} or a call of source.show"
        assert not any(notebook_bytes.COLLAPSED in tags(cell) for cell in shown)


@notebooks
def test_bookkeeping_is_out_of_sight(path):
    for cell in cells(path, "code"):
        hidden = cell["metadata"].get("jupyter", {}).get("source_hidden", False)
        assert hidden == (notebook_bytes.COLLAPSED in tags(cell)), cell["text"]
        if "parameters" in tags(cell):
            assert not hidden, "what a reader changes stays in sight"
        if "import start" in cell["text"] or re.search(r"^if retrain:", cell["text"], re.M):
            assert hidden, cell["text"]


@notebooks
def test_captions_stand_in_the_table_beside_it(path):
    for cell in cells(path, "code"):
        assert not re.search(r"\b(caption|alt)\s*=", cell["text"]), cell["text"]
    table, entry = captions.path_of(path.stem), params.index()[path.stem]
    entries = (yaml.safe_load(table.read_text(encoding="utf-8")) or {}) if table.exists() else {}
    assert sorted(entries) == sorted(entry["figures"] + entry["only_photos"])


@notebooks
def test_links_to_files_lead_somewhere(path):
    for cell in cells(path, "markdown"):
        for target in re.findall(r"\]\(([^)#:]+)\)", cell["text"]):
            assert (path.parent / target).exists(), target


@notebooks
def test_opens_with_its_number_and_title_and_says_what_to_run_without_lib(path):
    first, entry = cells(path)[0], params.index()[path.stem]
    assert first["cell_type"] == "markdown"
    assert first["text"].splitlines()[0] == f"# {path.stem[:2]} · {entry['title']}"
    assert re.search(r"^\*\*.*\?", first["text"], re.M), "the question of the notebook, in bold"
    (start,) = [cell for cell in cells(path, "code") if "import start" in cell["text"]]
    assert "except ImportError" in start["text"] and "make lab" in start["text"]
    assert f'run = start("{path.stem}", globals())' in start["text"]


@notebooks
def test_says_what_would_change_our_mind_and_what_to_try(path):
    headings = re.findall(r"^## (.*)$", "\n".join(cell["text"] for cell in cells(path, "markdown")), re.M)
    assert headings[-2:] == ["What would change our mind", "Try next"]


@notebooks
def test_every_figure_is_followed_by_a_sentence(path):
    every = cells(path)
    for cell, after in zip(every, [*every[1:], None], strict=True):
        if any({"image/png", "image/jpeg"} & {*output.get("data", {})} for output in cell.get("outputs", [])):
            assert after and after["cell_type"] == "markdown", cell["text"]
            assert re.search(r"[.!?]", after["text"]) and len(after["text"].split()) >= 5, after["text"]


@notebooks
def test_claims_cells_are_checked_by_nbval(path):
    for cell in cells(path, "code"):
        if "claims.record(" in cell["text"]:
            assert "nbval-check-output" in tags(cell), cell["text"]


@notebooks
def test_saves_the_figures_and_records_the_claims_that_the_index_declares(path):
    text, entry = "\n".join(cell["text"] for cell in cells(path, "code")), params.index()[path.stem]
    declared = sorted(entry["figures"] + entry["only_photos"])
    assert sorted(re.findall(r'figures\.save\(\s*\w+,\s*"(\w+)"', text)) == declared
    recorded = {re.match(r"[A-Z]\d+", name)[0] for name in re.findall(r'claims\.record\(\s*"(\w+)"', text)}
    assert recorded == set(entry["claims"])


@notebooks
def test_outputs_hold_nothing_of_one_machine_or_one_moment(path):
    shown = [text for out in outputs(path) for text in plain(out)]
    for text in shown:
        assert not re.search(r"(?<![\w.])/(home|root|tmp|work|usr|Users|var|opt|mnt)/", text), text[:200]
        assert not re.search(r"\b\d{1,2}:\d{2}:\d{2}\b|\b20\d\d-\d\d-\d\d[T ]\d\d", text), text[:200]
        assert not re.search(r" at 0x[0-9a-f]{6,}|\bit/s\b|%\|", text), text[:200]


def plain(output: dict) -> list[str]:
    data = output.get("data", {})
    texts = [output.get("text", ""), *(data[kind] for kind in data if not kind.startswith(("image/png", "image/jpeg")))]
    return ["".join(text) if isinstance(text, list) else str(text) for text in texts]


@notebooks
def test_source_has_no_magic_no_path_and_nothing_left_to_do(path):
    for cell in cells(path):
        assert not re.search(r"@@|TODO|FIXME|XXX", cell["text"]), cell["text"]
        if cell["cell_type"] == "code":
            assert not re.search(r"^\s*[%!]|['\"]/(home|root|tmp|work|usr)/|sys\.path", cell["text"], re.M), cell[
                "text"
            ]


def test_measured_numbers_are_masked_between_processors_and_verdicts_and_counts_are_not():
    import configparser

    rules = configparser.ConfigParser()
    rules.read(ROOT / "tests" / "sanitize_lax.cfg", encoding="utf-8")

    def masked(text: str) -> str:
        for name in rules.sections():
            text = re.sub(rules[name]["regex"], rules[name]["replace"], text)
        return text

    row = "E4a {0} [{1}, 0.460]; null [{2}, 0.506] REPRODUCED 800"
    assert masked(row.format("0.439", "0.417", "0.499")) == masked(row.format("0.443", "-0.001", "1.2e-05"))
    assert masked(row.format("0.439", "0.417", "0.5")) != masked(row.format("0.439", "0.417", "0.5")[:-3] + "900")
    assert "REPRODUCED 800" in masked(row.format("0.439", "0.417", "0.499"))
