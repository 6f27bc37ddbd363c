"""The runner on tiny notebooks: what runs, what does not and why, what is copied where, and what it says."""

import json
import os
import time
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT

from lib.base import closure, locks, processor
from lib.running import execution, notebook_bytes, runner, staleness

LIGHT = 'from lib.running.run import Run\nrun = Run("{}", profile, {{}}, seed, device)'
FIGURE = """
from lib.record import figures
from matplotlib import pyplot as plt
fig, ax = plt.subplots()
line = ax.plot([1, 2, size])
data = {"x": [1, 2, size]}
figures.save(fig, "09_line", data, run=run, caption="A line of three points.", alt="a line that goes up")
"""
CSV = """
from lib.base import files, paths
from lib.record import ledger
place = paths.figures() / profile / "09_line.csv"
files.write_json(place.with_suffix(".json"), {})
files.atomic_write(place, f"x 1 2 {size}")
ledger.enter(run, "figures", "09_line", {})
print("drawn")
"""
CLAIM = 'from lib.record import claims\nclaims.record("E6", 0.4, (0.3, 0.5), run=run)'
READER = """
from lib.record import ledger
print(sorted(ledger.recorded(profile)), sorted(ledger.read("09", profile)["figures"]))
""".strip()


def tiny(project, *cells: str, figure: str = CSV):
    """09 saves a figure and records a claim; 15 reads its ledger."""
    cells = ["#:# A title", LIGHT.format("09_tiny"), figure.strip(), "#:A sentence.", CLAIM, *cells]
    project.add("09_tiny", cells, {"size": 3}, claims=["E6"], figures=["09_line"])
    project.add("15_last", [LIGHT.format("15_last"), READER], after=["all"])
    return project


def edit(path, change) -> None:
    book = nbformat.read(path, as_version=4)
    change(book)
    nbformat.write(book, path)


def ran(text: str) -> list[str]:
    return [line.split(":")[0] for line in text.splitlines() if line.endswith(": begins")]


# --- whole runs


def test_a_run_its_repetition_and_what_makes_it_stale(project):
    path = project.notebooks / "09_tiny.ipynb"
    tiny(project, figure=FIGURE)
    code, text = project.run()
    assert (code, ran(text)) == (0, ["09_tiny", "15_last"]), text
    assert sorted(file.name for file in (project.figures / "embedded").iterdir()) == sorted(
        ["09_ledger.json", "09_line.csv", "09_line.json", "09_line.png", "09_line.svg"]
    )
    assert project.ledger("09")["claims"]["E6"]["value"] == 0.4
    book = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in book.cells if cell.cell_type == "code"] == [1, 2, 3, 4]
    assert book.cells[3].outputs[0]["data"]["image/png"]
    last = nbformat.read(project.notebooks / "15_last.ipynb", as_version=4)
    assert last.cells[-1].outputs[0]["text"] == "['E6'] ['09_line']\n"

    before = project.contents()
    for file in [*project.notebooks.rglob("*"), *project.figures.rglob("*")]:
        os.utime(file)  # as `git checkout` may do
    edit(path, lambda book: book.cells[1].update(source="# Another title"))
    code, text = project.run()
    assert (code, ran(text)) == (0, []), text
    after = project.contents()
    assert {name for name in after if after[name] != before[name]} == {"notebooks/09_tiny.ipynb"}
    assert after["notebooks/09_tiny.ipynb"] == before["notebooks/09_tiny.ipynb"].replace(b"A title", b"Another title")

    project.index["09_tiny"]["parameters"]["size"]["min"] = 2  # another range, the same value: nothing to compute again
    project.profiles["embedded"]["09_tiny"]["size"] = 5
    project.save()
    code, text = project.run()
    assert "09_tiny: to run, since parameters changed: size" in text
    assert (code, ran(text)) == (0, ["09_tiny", "15_last"]), text
    assert (project.figures / "embedded" / "09_line.csv").read_text().split() == ["x", "1", "2", "5"]

    (project.figures / "embedded" / "09_line.json").unlink()
    code, text = project.run()
    assert (code, ran(text)) == (0, ["09_tiny"]), text  # the same results again, so 15 has nothing new to read


def test_two_runs_give_the_same_bytes_and_an_interactive_mess_is_cleared(project):
    tiny(project, "import sys\nprint('a', flush=True)\nprint('b', flush=True)\nprint('noise', file=sys.stderr)")
    assert project.run()[0] == 0
    before = project.contents()
    messy = project.notebooks / "09_tiny.ipynb"
    edit(messy, lambda book: [cell.update(execution_count=77, outputs=[]) for cell in book.cells if "outputs" in cell])
    code, text = project.run()
    assert (code, ran(text)) == (0, []) and project.contents() == before
    (project.build / "embedded" / "last" / "09.json").unlink()
    code, text = project.run()
    assert (code, ran(text)) == (0, ["09_tiny"]) and project.contents() == before
    outputs = [cell.get("outputs") for cell in nbformat.read(messy, as_version=4).cells]
    assert "noise" not in str(outputs) and outputs[-1] == [
        {"output_type": "stream", "name": "stdout", "text": "a\nb\n"}
    ]


def test_another_profile_has_its_own_folders(project):
    tiny(project)
    project.profiles["smoke"]["09_tiny"] = {"size": 4}
    project.save()
    notebooks = {path.name: path.read_bytes() for path in project.notebooks.glob("*.ipynb")}
    code, text = project.here("execute", "09", "--profile", "smoke")
    assert code == 0, text
    assert (project.figures / "smoke" / "09_line.csv").read_text().split() == ["x", "1", "2", "4"]
    assert project.ledger("09", "smoke")["profile"] == "smoke" and not (project.figures / "embedded").exists()
    assert {path.name: path.read_bytes() for path in project.notebooks.glob("*.ipynb")} == notebooks


def test_success_is_what_is_declared_and_not_the_exit_code(project):
    tiny(project)
    project.index["09_tiny"] |= {"claims": ["E6", "E10"], "figures": ["09_line", "09_panels"]}
    project.save()
    code, text = project.here("execute", "09")
    assert code == 1 and not (project.figures / "embedded" / "09_line.png").exists()
    assert "ran to its end, but claim E10a was not recorded, claim E10b was not recorded, figure 09_panels" in text
    assert (project.build / "embedded" / "09_tiny.failed.ipynb").exists()


def test_a_job_is_computed_once_before_the_notebooks_that_need_it(project):
    for name in ("01_one", "02_two"):
        project.add(name, ["print(seed)"], jobs=["__init__"])  # the package of the jobs does nothing when it is run
    code, text = project.run()
    assert code == 0 and [line for line in text.splitlines() if line == "__init__: begins"] == ["__init__: begins"], (
        text
    )
    assert text.index("__init__: begins") < text.index("01_one: begins")
    assert "begins" not in project.run()[1]


def test_planned_notebooks_are_left_out(project):
    project.add("01_one", ["print(seed)"])
    project.index["02_two"] = {"title": "two", "reproduces": "x", "planned": True}
    project.save()
    code, text = project.run()
    assert (code, ran(text)) == (0, ["01_one"])
    assert "02_two is planned but not written yet; written: 01_one" in project.here("run", "02")[1]


# --- keys


@pytest.fixture
def library(tmp_path):
    """A folder like lib: a imports b inside a function, b names a data file, c is nobody's."""
    for name, text in {
        "__init__.py": "",
        "a.py": "def f():\n    from lib.b import g\n    return g",
        "b.py": "import lib.d\nSTYLE = 'look.mplstyle'",
        "c.py": "x = 1",
        "d.py": "from . import e",
        "e.py": "",
        "look.mplstyle": "",
    }.items():
        (tmp_path / "lib").mkdir(exist_ok=True)
        (tmp_path / "lib" / name).write_text(text)
    return tmp_path / "lib"


def test_closure_of_imports_is_transitive_and_by_content(library):
    sources = ["%matplotlib inline\nfrom lib import a", "import numpy"]
    found = closure.closure(sources, library.parent)
    assert list(found) == [f"lib/{name}" for name in ("__init__.py", "a.py", "b.py", "d.py", "e.py", "look.mplstyle")]
    (library / "c.py").write_text("x = 2")
    os.utime(library / "a.py", (1, 1))
    assert closure.closure(sources, library.parent) == found
    for name in found:
        file = library.parent / name
        old = file.read_text()
        file.write_text(old + "\n# changed\n")
        changed = closure.closure(sources, library.parent)
        assert [one for one in found if found[one] != changed[one]] == [name]
        file.write_text(old)


def test_key_of_a_notebook_follows_code_inputs_and_claims_but_not_prose_or_outputs(project, monkeypatch):
    path = tiny(project).notebooks / "09_tiny.ipynb"
    for name, value in project.environment().items():
        monkeypatch.setenv(name, value)

    def key():
        return runner.plan("embedded").notebooks["09_tiny"].key

    first = key()
    edit(path, lambda book: book.cells[1].update(source="# Prose"))
    edit(path, lambda book: book.cells[2].update(outputs=[nbformat.v4.new_output("stream", text="x")]))
    assert key() == first
    edit(path, lambda book: book.cells[-1].update(source=book.cells[-1].source + "  # more"))
    assert staleness.reasons(first, key()) == ["code changed"]
    second = key()
    project.index["09_tiny"]["inputs"] = ["data/claims.yaml"]
    project.save()
    assert staleness.reasons(second, key()) == ["inputs changed: data/claims.yaml"]
    assert staleness.reasons(None, second) == ["it has not run yet"]
    names = {Path(name).name for name in first["lib"]}
    assert {"run.py", "claims.py", "figures.py", "companion.mplstyle"} <= names
    assert not {"runner.py", "execution.py", "review.py"} & names


# --- copies


def book(*cells):
    made = nbformat.v4.new_notebook(cells=list(cells), metadata={"papermill": {"duration": 3}, "widgets": {}})
    return made


def code(source, count=None, outputs=(), **metadata):
    return nbformat.v4.new_code_cell(source, execution_count=count, outputs=list(outputs), metadata=metadata)


def test_plain_copy_has_nothing_of_the_clock_or_of_chance():
    stream = [{"output_type": "stream", "name": name, "text": text} for name, text in zip("oeo", "abc", strict=True)]
    stream = [one | {"name": {"o": "stdout", "e": "stderr"}[one["name"]]} for one in stream]
    result = nbformat.v4.new_output("execute_result", {"text/plain": "1"}, execution_count=9)
    copy = notebook_bytes.plain(
        book(
            nbformat.v4.new_markdown_cell("text", metadata={"papermill": {"duration": 1}}),
            code("x = 1", 7, tags=["parameters"], papermill={"duration": 1}, execution={"iopub.status.busy": "now"}),
            code("x = 2", 8, tags=["injected-parameters"]),
            code("x", 9, [*stream, result], scrolled=True),
        )
    )
    assert [cell.source for cell in copy.cells] == ["text", "x = 1", "x"]
    assert [dict(cell.metadata) for cell in copy.cells] == [{}, {"tags": ["parameters"]}, {}]
    assert copy.cells[1].execution_count == 1 and copy.cells[2].execution_count == 2
    assert [dict(one) for one in copy.cells[2].outputs[:1]] == [
        {"output_type": "stream", "name": "stdout", "text": "ac"}
    ]
    assert copy.cells[2].outputs[1]["execution_count"] == 2 and len(copy.cells[2].outputs) == 2
    assert copy.metadata == notebook_bytes.METADATA and copy.metadata.kernelspec.name == "python3"
    nbformat.validate(copy)
    assert notebook_bytes.text(copy) == notebook_bytes.text(notebook_bytes.plain(copy))


def test_ids_are_kept_and_made_from_the_position_where_they_are_missing_or_double():
    made = book(code("a"), code("b"), code("c"))
    made.cells[0]["id"], made.cells[1]["id"] = "same", "same"
    del made.cells[2]["id"]
    assert [cell.id for cell in notebook_bytes.plain(made).cells] == ["same", "cell-02", "cell-03"]


def test_merge_takes_prose_from_the_source_and_outputs_from_the_run():
    out = [nbformat.v4.new_output("stream", text="1\n")]
    prose = nbformat.v4.new_markdown_cell
    run = book(prose("old"), code("x = 1", 1, tags=["parameters"]), code("x = 2", 2, tags=["injected-parameters"]))
    run.cells.append(code("print(x)", 3, out))
    source = book(code("x = 1", tags=["parameters"]), prose("new"), code("print(x)"), prose("more"))
    merged = notebook_bytes.merge(source, run)
    assert [cell.source for cell in merged.cells] == ["x = 1", "new", "print(x)", "more"]
    assert merged.cells[2].outputs == out and merged.cells[2].execution_count == 2
    source.cells[2].source = "print(x + 1)"
    assert notebook_bytes.merge(source, run) is None


@pytest.mark.parametrize("cell", ["x = f(1)", "import os", "x += 1", "x: int", "a, b = 1, 2", "x.y = 1"])
def test_a_parameters_cell_holds_literals_only(cell):
    with pytest.raises(ValueError):
        execution.literals(cell)
    assert execution.literals("x: int = 1  # a\ny = [0.5, 'a']  # b") == {"x": 1, "y": [0.5, "a"]}


# --- the rest


def test_lines_are_handed_on_whole():
    seen = []
    lines = execution._Lines(seen.append)
    for piece in ("one\ntw", "o\r", "\n\nthree"):
        lines.write(piece)
    assert seen == ["one", "two"]


def test_lock_is_held_by_one_and_goes_with_its_holder(tmp_path):
    with locks.lock(tmp_path / "x") as first:
        assert first is not None
        began = time.monotonic()
        with locks.lock(tmp_path / "x", seconds=0.3) as second:
            assert second is None and time.monotonic() - began >= 0.3
    with locks.lock(tmp_path / "x") as third:
        assert third is not None


def test_wrong_command_lines_get_a_sentence(project):
    tiny(project)
    for arguments, sentence in (
        (["--profile", "smok"], "unknown profile 'smok'; the nearest known name is 'smoke'"),
        (["9"], "unknown notebook '9'"),
        (["09", "-p", "siz=3"], "unknown parameter 'siz' of 09_tiny; the nearest known name is 'size'"),
        (["09", "-p", "size=true"], "09_tiny: size is True (bool), expected int"),
    ):
        code, text = project.here("run", *arguments)
        assert code == 1 and sentence in text and "Traceback" not in text, text
    assert not project.build.exists()


def test_processor_is_plain_data_and_the_same_twice():
    assert json.loads(json.dumps(processor.kind())) == processor.kind()
    assert processor.kind()["machine"]


def test_snakefile_runs_by_itself(project):
    import subprocess
    import sys

    project.add("01_one", ["print(seed)"])
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", "--dry-run"]
    done = subprocess.run(command, cwd=ROOT, env=project.environment(), capture_output=True, text=True)
    assert done.returncode == 0 and "done/01.json" in done.stdout + done.stderr, done.stderr


def test_notebooks_side_by_side_do_not_spoil_each_others_check_of_the_figures_folder(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    from lib.running import results

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: [results.check_writable(tmp_path / "figures") for _ in range(50)], range(8)))
    assert not list((tmp_path / "figures").iterdir())
