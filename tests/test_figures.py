"""A figure is saved whole, with its provenance, the same bytes each time; figures, sidecars, rows belong together."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections import namedtuple

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from lib.base import paths
from lib.record import figures, ledger

Run = namedtuple("Run", "notebook profile parameters seed device")
CAPTION, ALT = "A line that rises, with its numbers.", "A straight line rises from 0 to 9."


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_FIGURES", str(tmp_path / "figures"))
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path / "build"))
    figures.style()
    yield Run("09_occlusion", "smoke", {"window": 12, "device": "cpu", "retrain": False}, 3, "cpu")
    plt.close("all")
    mpl.rcdefaults()


def draw():
    figure, axes = plt.subplots(1, 2)
    axes[0].plot(range(10), label="line")
    axes[0].legend()
    axes[1].imshow(np.arange(64.0).reshape(8, 8))
    return figure


def save(run, name="09_line", data=None, **more):
    data = {"x": np.arange(3), "y": [0.1, 1 / 3, float("nan")], "kind": ["a", "b, c", None]} if data is None else data
    return figures.save(draw(), name, data, run=run, **({"caption": CAPTION, "alt": ALT} | more))


def test_save_writes_picture_vector_numbers_sidecar_and_row(run):
    save(run, weights=("b" * 64, "a" * 64), sources="c" * 64)
    place = paths.figures() / "smoke"
    assert sorted(p.name for p in place.iterdir()) == [
        "09_ledger.json", "09_line.csv", "09_line.json", "09_line.png", "09_line.svg",
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO((place / "09_line.csv").read_text())))
    assert rows[1] == {"x": "1", "y": "0.333333", "kind": "b, c"} and rows[2] == {"x": "2", "y": "", "kind": ""}
    sidecar = json.loads((place / "09_line.json").read_text())
    assert sidecar["parameters"] == {"window": 12} and sidecar["seed"] == 3 and sidecar["notebook"] == "09_occlusion"
    assert sidecar["weights"] == ["a" * 64, "b" * 64] and sidecar["sources"] == ["c" * 64]
    assert sidecar["versions"]["matplotlib"] == mpl.__version__ and sidecar["caption"] == CAPTION
    assert set(sidecar["files"]) == {"09_line.png", "09_line.svg", "09_line.csv"}
    row = ledger.read("09_occlusion", "smoke")["figures"]["09_line"]
    assert row["alt"] == ALT and row["files"] == sidecar["files"]
    assert figures.check("smoke") == []


def test_the_same_figure_gives_the_same_bytes(run):
    save(run)
    first = {p.name: p.read_bytes() for p in (paths.figures() / "smoke").iterdir()}
    save(run)
    assert {p.name: p.read_bytes() for p in (paths.figures() / "smoke").iterdir()} == first


def test_clips_that_differ_in_the_last_bit_give_the_same_vector_file():
    def drawn(nudge):
        figure, axes = plt.subplots(1, 2)
        for axis in axes:
            axis.set_position([axis.get_position().x0 + nudge, 0.1, 0.3, 0.8])
            axis.plot([0, 1], [0, 1], "o-")
        svg = figures._svg(figure)
        plt.close(figure)
        return svg

    one, other = drawn(0.0), drawn(1e-15)
    assert one == other and b"url(#p3)" in one
    used = set(re.findall(rb"url\(#(\w+)\)", one)) | set(re.findall(rb'href="#(\w+)"', one))
    assert used and used <= set(re.findall(rb'id="(\w+)"', one))  # nothing points nowhere


def test_another_process_gives_the_same_bytes(run):
    save(run)
    first = {p.name: p.read_bytes() for p in (paths.figures() / "smoke").iterdir()}
    code = "from tests.test_figures import *; figures.style(); save(Run(*eval(input())))"
    environment = os.environ | {"PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "", "MPLBACKEND": "agg"}
    environment.pop("SOURCE_DATE_EPOCH")
    subprocess.run(
        [sys.executable, "-c", code], input=repr(tuple(run)), text=True, cwd=paths.ROOT, env=environment, check=True
    )
    assert {p.name: p.read_bytes() for p in (paths.figures() / "smoke").iterdir()} == first


def test_nothing_in_a_file_tells_the_time_or_the_machine(run):
    save(run)
    place = paths.figures() / "smoke"
    with Image.open(place / "09_line.png") as picture:
        assert set(picture.info) <= {"dpi"} and picture.info["dpi"][0] <= 150.5
    svg = (place / "09_line.svg").read_text()
    assert "<dc:date>" not in svg and "Matplotlib" not in svg
    assert "cpu" not in (place / "09_line.json").read_text()
    log = (paths.build() / "smoke" / "logs" / "09_figures.log").read_text()
    assert json.loads(log.splitlines()[0])["device"] == "cpu" and "cpu_seconds" in log


def test_the_style_sets_all_that_the_bytes_depend_on(run):
    for key, value in {
        "svg.hashsalt": "companion",
        "image.interpolation": "none",
        "font.family": ["DejaVu Sans"],
    }.items():
        assert mpl.rcParams[key] == value
    mpl.rcParams["axes.grid"], mpl.rcParams["axes.linewidth"] = True, 7.0  # one is in our file, one is not
    figures.style()
    assert not mpl.rcParams["axes.grid"] and mpl.rcParams["axes.linewidth"] < 7  # what was set before does not leak in
    assert mpl.rcParams["axes.prop_cycle"].by_key()["color"][0].lstrip("#") == "0072B2"


def test_a_large_picture_is_saved_at_a_lower_resolution(run, monkeypatch):
    monkeypatch.setattr(figures, "LARGEST", 40_000)
    figure, axes = plt.subplots(figsize=(3, 3))
    axes.imshow(np.random.default_rng(0).random((300, 300, 3)))
    figures.save(figure, "09_noise", {"x": [1]}, run=run, caption=CAPTION, alt=ALT)
    assert json.loads((paths.figures() / "smoke/09_noise.json").read_text())["dpi"] == figures.RESOLUTIONS[-1]
    save(run)
    assert json.loads((paths.figures() / "smoke/09_line.json").read_text())["dpi"] == figures.RESOLUTIONS[0]


def test_pictures_keep_their_resolution_and_are_shown_as_jpeg(run, monkeypatch):
    monkeypatch.setattr(figures, "LARGEST", 40_000)
    figure, axes = plt.subplots(figsize=(3, 3))
    axes.imshow(np.random.default_rng(0).random((300, 300, 3)))
    shown = figures.save(figure, "09_noise", {"x": [1]}, run=run, caption=CAPTION, alt=ALT, pictures=True)
    png, sidecar = (paths.figures() / "smoke/09_noise.png"), (paths.figures() / "smoke/09_noise.json")
    assert json.loads(sidecar.read_text())["dpi"] == figures.RESOLUTIONS[0] and png.stat().st_size > 40_000
    with Image.open(png) as stored, Image.open(io.BytesIO(shown.content)) as seen:
        assert seen.format == "JPEG" and seen.size == stored.size
        assert np.abs(np.asarray(seen, float) - np.asarray(stored.convert("RGB"), float)).mean() < 8
    calls = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: calls.append((a, k)))
    shown._ipython_display_()
    assert calls[0][1]["metadata"] == {"image/jpeg": {"alt": ALT}}


def test_the_figure_is_closed_and_shown_once_with_its_alt_text(run, monkeypatch):
    shown = save(run)
    assert plt.get_fignums() == []
    calls = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: calls.append((a, k)))
    shown._ipython_display_()
    assert len(calls) == 2 and calls[0][1]["metadata"] == {"image/png": {"alt": ALT}}
    assert calls[0][0][0]["text/plain"] == f"[09_line: {ALT}]" == repr(shown)
    assert CAPTION in calls[1][0][0].data
    assert shown.content == (paths.figures() / "smoke/09_line.png").read_bytes()


def test_jupyter_shows_one_picture_and_one_caption(run):
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    shell = InteractiveShell.instance()
    with capture_output() as seen:
        shell.display_formatter.format(save(run))
    assert [list(output.data) for output in seen.outputs] == [
        ["image/png", "text/plain"],
        ["text/plain", "text/markdown"],
    ]


def test_what_is_not_published_stays_in_build(run):
    save(run, "09_photo")  # published at first, by mistake
    save(run, "09_photo", publish=False)
    assert [p.name for p in (paths.figures() / "smoke").iterdir()] == ["09_ledger.json"]
    assert (paths.build() / "smoke/figures/09_photo.png").exists()
    assert ledger.read("09_occlusion", "smoke")["figures"]["09_photo"]["published"] is False
    assert figures.check("smoke") == []


@pytest.mark.parametrize(
    "changes, sentence",
    [({"name": "08_line"}, "expected 09_"), ({"name": "09_a/b"}, "expected 09_"), ({"name": "line"}, "expected 09_")]
    + [
        ({"caption": ""}, "caption is ''"),
        ({"alt": None}, "alt is None"),
        ({"data": {"x": [1], "y": [1, 2]}}, "lengths"),
    ]
    + [({"data": []}, "at least one row"), ({"data": [{"x": 1}, {"y": 1}]}, "same columns")]
    + [({"data": {"x": [float("inf")]}}, "column x is inf"), ({"data": {"x": [object()]}}, "column x is a object")],
)
def test_save_refuses_with_a_sentence_and_writes_nothing(run, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        save(run, **changes)
    assert not paths.figures().exists()


def test_save_wants_a_figure(run):
    with pytest.raises(ValueError, match="fig is a int"):
        figures.save(3, "09_line", {"x": [1]}, run=run, caption=CAPTION, alt=ALT)


def test_a_folder_that_cannot_be_written_gets_one_sentence(run, monkeypatch):
    def refuse(path, content):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("lib.base.files.atomic_write", refuse)
    with pytest.raises(PermissionError, match="09_line cannot be written to .*COMPANION_FIGURES"):
        save(run)


def test_a_file_where_the_folder_should_be_gets_the_same_sentence(run):
    paths.figures().write_text("not a folder")
    with pytest.raises(OSError, match="09_line cannot be written to .*make that folder writable"):
        save(run)


def spoil_png(place):
    (place / "09_line.png").write_bytes(b"something else")


def spoil_caption(place):
    text = (place / "09_line.json").read_text()
    (place / "09_line.json").write_text(text.replace("A line that rises", "A line that falls"))


def drop_row(place):
    book = json.loads((place / "09_ledger.json").read_text()) | {"figures": {}}
    (place / "09_ledger.json").write_text(json.dumps(book))


@pytest.mark.parametrize(
    "spoil, sentence",
    [(lambda p: (p / "09_line.json").unlink(), "a figure without its sidecar")]
    + [(lambda p: (p / "09_line.csv").unlink(), "a sidecar without its figure 09_line.csv")]
    + [(lambda p: (p / "09_other.png").write_bytes(b""), "09_other: a figure without its sidecar")]
    + [(drop_row, "a sidecar without its row"), (spoil_png, "not the file that its sidecar describes")]
    + [(lambda p: [f.unlink() for f in p.glob("09_line.*")], "a row in the ledger without its sidecar")]
    + [(spoil_caption, "its sidecar and its row in the ledger differ")],
)
def test_check_names_every_way_in_which_they_can_part(run, spoil, sentence):
    save(run)
    assert figures.check("smoke") == []
    spoil(paths.figures() / "smoke")
    assert any(sentence in problem for problem in figures.check("smoke"))


def test_every_committed_figure_has_its_row_and_every_row_its_figure():
    for place in (paths.ROOT / "figures").glob("*"):
        assert figures.check(place.name) == []


def test_few_colours_make_a_small_picture_of_the_same_size(run):
    def made(**options):
        figure, axis = plt.subplots()
        axis.scatter(*np.random.default_rng(0).random((2, 300)), c=np.arange(300), s=6)
        return figures.save(figure, "09_dots", {"x": [1]}, run=run, caption=CAPTION, alt=ALT, **options).content

    every, few = made(), made(colours=64)
    assert len(few) < 0.7 * len(every)
    assert Image.open(io.BytesIO(few)).size == Image.open(io.BytesIO(every)).size


def test_captions_come_from_the_table_beside_the_notebook(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_NOTEBOOKS", str(tmp_path))
    name = f"{run.notebook[:2]}_plain"
    table = tmp_path / "captions" / f"{run.notebook}.yaml"
    table.parent.mkdir()
    table.write_text(f"{name}: {{caption: 'A figure of {{n}} dots.', alt: 'Dots, in a row.'}}\n")
    shown = figures.save(plt.figure(), name, [{"x": 1}], run=run, facts={"n": 3})
    assert (shown.caption, shown.alt) == ("A figure of 3 dots.", "Dots, in a row.")
    with pytest.raises(ValueError, match="asks for 'n'"):
        figures.save(plt.figure(), name, [{"x": 1}], run=run)
    table.write_text(f"{name}: {{caption: 'A figure of dots.'}}\n")
    with pytest.raises(ValueError, match="expected its caption and its alt text"):
        figures.save(plt.figure(), name, [{"x": 1}], run=run)
