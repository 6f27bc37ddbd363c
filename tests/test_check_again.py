"""What was computed against what is committed: a verdict, a number, the data behind a figure, its pixels, its size."""

import io
import json
import shutil
import subprocess
from collections import namedtuple

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from lib.base import paths
from lib.record import check_again, claims, figures, ledger

Run = namedtuple("Run", "notebook profile parameters seed device")
RUN = Run("09_occlusion", "smoke", {"window": 12}, 0, "cpu")
SEEDS = [{"seed": s, "value": 0.3, "interval": (0.2, 0.4)} for s in range(3)]
BELOW = [{"seed": s, "value": -0.3, "interval": (-0.4, -0.2)} for s in range(3)]


def record(value=0.3, interval=(0.2, 0.4), seeds=SEEDS):
    return claims.record("E6", value, interval, run=RUN, seeds=seeds, n=40)


def draw(end=1.5, colour="k", size=(4, 3), window=12):
    figure, axes = plt.subplots(figsize=size)
    axes.plot([0, 1], color=colour)
    run = RUN._replace(parameters={"window": window})
    data = {"x": [0.5, end], "who": ["a", "b"]}
    figures.save(figure, "09_line", data, run=run, caption="A line that rises.", alt="A straight line that rises.")


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A folder of figures that was put aside, and the same one in which everything is computed again."""
    monkeypatch.setenv("COMPANION_FIGURES", str(tmp_path / "repo" / "figures"))
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path / "build"))
    record()
    draw()
    shutil.copytree(paths.figures(), tmp_path / "old")
    return tmp_path / "old"


def check(old, capsys, *more):
    code = check_again.main(["--profile", "smoke", "--against", str(old), *more])
    return code, capsys.readouterr().out


def test_the_same_again_is_said_in_one_line(old, capsys):
    record()
    draw()
    told = "1 results of claims and 1 figures of profile smoke compared: all as committed.\n"
    assert check(old, capsys) == (0, told)


def test_a_changed_verdict_fails_and_is_named_with_old_and_new(old, capsys):
    record(-0.3, (-0.4, -0.2), BELOW)
    code, told = check(old, capsys)
    assert code == 1 and "claim E6: reproduced before, not reproduced now" in told
    assert check(old, capsys, "--verdicts")[0] == 1


def test_a_verdict_that_stands_in_the_ledger_and_that_its_rule_does_not_give_fails(old, capsys):
    path = ledger.path_of(RUN.notebook, "smoke")
    book = json.loads(path.read_text())
    book["claims"]["E6"] |= {"value": -0.3, "interval": [-0.4, -0.2], "seeds": BELOW}  # the verdict stays as it was
    path.write_text(json.dumps(book))
    assert check(old, capsys)[0] == 1


def test_a_changed_rule_fails_though_no_number_moved(old, capsys, monkeypatch):
    known = claims.load(profile="smoke")
    known["E6"]["parts"]["E6"]["rule"]["reproduced"] = {"low_above": 0.9}
    monkeypatch.setattr(claims, "load", lambda *_, **__: known)
    code, told = check(old, capsys)
    assert code == 1 and "claim E6: reproduced before, inconclusive now" in told


@pytest.mark.parametrize("rule", [{"named": {"area": {"low_above": 0}}}, None])
def test_a_claim_that_cannot_be_judged_any_more_fails_and_is_named(old, capsys, monkeypatch, rule):
    known = claims.load(profile="smoke")
    if rule:
        known["E6"]["parts"]["E6"]["rule"]["reproduced"] = rule
    else:
        del known["E6"]
    monkeypatch.setattr(claims, "load", lambda *_, **__: known)
    code, told = check(old, capsys)
    assert code == 1 and "claim E6: reproduced before, none now" in told


def test_a_number_within_its_tolerance_is_not_told(old, capsys):
    record(0.305)
    assert check(old, capsys)[1].endswith("all as committed.\n")


def test_a_number_beyond_its_tolerance_is_told_and_does_not_fail(old, capsys):
    record(0.35)
    code, told = check(old, capsys)
    assert code == 0 and "E6.value: 0.3 before, 0.35 now" in told and "0 failed, 1 told" in told


def test_a_changed_cell_fails_and_names_figure_row_and_column(old, capsys):
    draw(end=1.6, window=8)
    code, told = check(old, capsys)
    assert code == 1 and "09_line.csv, row 2, x: 1.5 before, 1.6 now (other parameters)" in told
    assert check(old, capsys, "--verdicts")[0] == 0
    draw(end=1.505)
    assert check(old, capsys)[0] == 0


def test_other_pixels_of_the_same_data_are_told_with_a_measure_and_do_not_fail(old, capsys):
    draw(colour="r")
    code, told = check(old, capsys)
    assert code == 0 and "figure 09_line:" in told and "% of its pixels differ, by at most 255 of 255 levels" in told


def test_a_picture_of_another_size_fails(old, capsys):
    draw(size=(5, 3))
    code, told = check(old, capsys)
    assert code == 1 and "figure 09_line: its picture had" in told


@pytest.mark.parametrize("kind", ["png", "csv"])
def test_a_figure_without_its_file_fails(old, capsys, kind):
    (paths.figures() / "smoke" / f"09_line.{kind}").unlink()
    code, told = check(old, capsys)
    assert code == 1 and f"figure 09_line: no 09_line.{kind}" in told


def test_what_is_gone_fails_and_what_is_new_is_told(old, capsys, tmp_path):
    claims.record("E10a", 0.3, (0.2, 0.4), run=RUN, seeds=SEEDS)
    code, told = check(old, capsys)
    assert code == 0 and "claim E10a: new, reproduced" in told
    newer = tmp_path / "newer"
    shutil.copytree(paths.figures(), newer)
    path = ledger.path_of(RUN.notebook, "smoke")
    book = json.loads(path.read_text()) | {"claims": {}, "figures": {}}
    path.write_text(json.dumps(book))
    code, told = check(newer, capsys)
    assert code == 1 and "claim E6: reproduced before, not recorded now" in told and "09_line: not drawn" in told


def test_a_notebook_that_did_not_run_fails_unless_others_are_asked_for(old, capsys):
    claims.record("E5", 0.3, (0.2, 0.4), run=RUN, seeds=SEEDS, null=(-0.1, 0.1), named={"area": (0.1, 0.05, 0.15)})
    shutil.copy(ledger.path_of("09", "smoke"), old / "smoke" / "08_ledger.json")
    code, told = check(old, capsys)
    assert code == 1 and "notebook 08: no ledger, it did not run" in told
    assert check(old, capsys, "--only", "09")[0] == 0
    assert check_again.main(["--profile", "smoke", "--against", str(old), "--only", "03"]) == 2
    assert "notebook 03 has no ledger" in capsys.readouterr().err


def test_the_last_commit_is_what_is_compared_with(old, capsys):
    place = paths.figures().parent
    assert check_again.main(["--profile", "smoke"]) == 2  # neither there nor in the project
    assert "--against FOLDER" in capsys.readouterr().err
    who = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "figures"]):
        subprocess.run(["git", "-C", str(place), *words], check=True, capture_output=True)
    assert check_again.main(["--profile", "smoke"]) == 0
    record(-0.3, (-0.4, -0.2), BELOW)
    assert check_again.main(["--profile", "smoke"]) == 1
    assert "claim E6: reproduced before, not reproduced now" in capsys.readouterr().out


def test_a_notebook_that_is_new_is_told(old, capsys):
    shutil.copy(ledger.path_of("09", "smoke"), paths.figures() / "smoke" / "16_ledger.json")
    code, told = check(old, capsys)
    assert code == 0 and "notebook 16: new" in told


def test_another_kind_of_processor_is_said_where_numbers_moved(old, capsys, monkeypatch):
    known = json.dumps({"smoke": {"model": "another one"}})
    monkeypatch.setattr(check_again.review, "committed", lambda path: known)
    assert "another one" not in check(old, capsys)[1]
    draw(end=1.6)
    code, told = check(old, capsys)
    assert code == 1 and told.startswith("The committed figures were made on another one, and this is ")


def test_a_folder_without_ledgers_is_said(old, capsys, tmp_path):
    assert check_again.main(["--profile", "smoke", "--against", str(tmp_path / "nowhere")]) == 2
    assert "holds no ledger" in capsys.readouterr().err


def test_pixels_say_how_many_differ_and_by_how_much():
    def png(array):
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, format="png")
        return buffer.getvalue()

    one = np.zeros((10, 10, 3), np.uint8)
    two = one.copy()
    two[0, :5, 1] = 8
    assert check_again.pixels(png(one), png(one)) == ("", "")
    assert check_again.pixels(png(one), png(two))[1].startswith("5 % of its pixels differ, by at most 8 of 255 levels")
    assert "10 by 10 pixels, and has 5 by 10" in check_again.pixels(png(one), png(one[:, :5]))[0]
