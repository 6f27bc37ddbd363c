"""Runs with other parameters than the profile's: folders of their own, their own verdicts, and nothing taken for the
profile's."""

import re

import nbformat
from test_runner import edit, ran, tiny

from lib.running import custom


def folder_of(project, start: str = "embedded-"):
    """The one folder in build/ of a run with parameters of its own."""
    (found,) = [path for path in project.build.iterdir() if path.name.startswith(start)]
    return found


# --- folders


def test_a_folder_is_named_by_what_was_changed_and_told_apart_by_all_of_it():
    def name(label="", **changed):
        return custom.folder_name("embedded", {"09_tiny": changed}, label)

    assert name() == "embedded" and custom.folder_name("smoke", {}) == "smoke"
    assert re.fullmatch(r"embedded-window=8-[0-9a-f]{8}", name(window=8))
    assert re.fullmatch(r"embedded-window=8-networks=a\+b-[0-9a-f]{8}", name(window=8, networks=["/x/a.yaml", "b.yml"]))
    assert re.fullmatch(r"embedded-mine-googlenet-[0-9a-f]{8}", name("mine-googlenet", window=8))
    assert re.fullmatch(r"embedded-mine-[0-9a-f]{8}", name("mine"))
    assert name(networks=["/x/a.yaml"]) != name(networks=["/y/a.yaml"])  # the same words, another network
    odd = name(networks=["/x/a b; rm -rf *.yaml", "ü" * 300, "../.."], text="x" * 500)
    assert re.fullmatch(r"[A-Za-z0-9._=+-]+", odd) and len(odd) < 100 and not odd.startswith(".")


def test_what_is_not_changed_does_not_make_a_run_of_its_own():
    assert custom.differing({"a": 1, "b": [2.0]}, {"a": 1, "b": [2]}) == {}
    assert custom.differing({"a": 1, "b": 3}, {"a": 2, "b": 3}) == {"a": 1}


def test_given_parameters_stay_away_from_committed_files_and_from_each_other(project):
    tiny(project)
    before = project.contents()
    for size in (7, 8):
        code, text = project.here("execute", "09", "-p", f"size={size}")
        assert code == 0, text
    assert project.contents() == before
    for size in (7, 8):
        folder = folder_of(project, f"embedded-size={size}-")
        assert (folder / "figures" / "embedded" / "09_line.csv").read_text().split() == ["x", "1", "2", str(size)]
        copy = nbformat.read(folder / "09_tiny.ipynb", as_version=4)
        injected = [cell for cell in copy.cells if "injected-parameters" in cell.metadata.get("tags", [])]
        assert len(injected) == 1 and f"size = {size}" in injected[0].source  # the reader sees with what it ran


def test_the_profiles_own_value_given_again_is_the_profiles_run(project):
    tiny(project)
    assert project.here("execute", "09", "-p", "size=3")[0] == 0
    assert [path.name for path in project.build.iterdir() if path.name.startswith("embedded")] == ["embedded"]
    assert project.ledger("09")["claims"]["E6"]["value"] == 0.4


def test_a_run_of_its_own_prints_its_own_verdicts_and_where_its_results_are(project):
    """A claim that the profile's run found to be something else is told as this run found it."""
    tiny(project)
    edit(
        project.notebooks / "09_tiny.ipynb",
        lambda book: book.cells[-1].update(
            source='from lib.record import claims\nclaims.record("E6", size / 10, (0.1, 0.9), run=run)'
        ),
    )
    assert project.run()[0] == 0
    before = project.contents()
    code, text = project.run("09", "-p", "size=7", "--label", "mine-x")
    folder = folder_of(project, "embedded-mine-x-")
    assert code == 0 and ran(text) == ["09_tiny"], text
    assert project.contents() == before
    assert f"{folder / '09_tiny.ipynb'}" in text
    rows = [line for line in text.splitlines() if line.startswith("E6 ")]
    assert len(rows) == 1 and "0.700 [0.100, 0.900]" in rows[0] and "inconclusive" in rows[0], text
    assert "C1" not in text and "not yet computed" not in text
    code, text = project.run("09", "-p", "size=7", "--label", "mine-x")
    assert (code, ran(text)) == (0, []) and "0.700 [0.100, 0.900]" in text
    edit(project.notebooks / "09_tiny.ipynb", lambda book: book.cells[-1].update(source="1 / 0"))
    code, text = project.run("09", "-p", "size=7", "--label", "mine-x")
    assert code == 1 and "It recorded no claim" in text and "0.700" not in text, text  # an older run's is not told
