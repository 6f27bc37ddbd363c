"""The review reads the ledgers: 40 claims, what is wrong, what moved, and the table in README.md."""

import subprocess
from collections import namedtuple

import pytest
from matplotlib import pyplot as plt

from lib.base import paths
from lib.record import claims, figures, ledger, review

Run = namedtuple("Run", "notebook profile parameters seed device")
SEEDS = [{"seed": s, "value": 0.3, "interval": (0.2, 0.4)} for s in range(3)]
TOP = [{"seed": s, "value": 0.0, "interval": (-0.01, 0.01)} for s in range(3)]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_FIGURES", str(tmp_path / "repo" / "figures"))
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path / "build"))
    run = Run("09_occlusion", "smoke", {}, 0, "cpu")
    claims.record("E6", 0.3, (0.2, 0.4), run=run, seeds=SEEDS, n=40)
    claims.record("E10a", 0.3, (0.2, 0.4), run=run, seeds=SEEDS)
    figure, axes = plt.subplots()
    axes.plot([0, 1])
    figures.save(figure, "09_line", {"x": [0.5, 1.5]}, run=run, caption="A rising <line>.", alt="A line that rises.")
    return run


def git(run, *words):
    place = paths.figures().parent
    command = [
        "git",
        "-C",
        str(place),
        "-c",
        "user.name=n",
        "-c",
        "user.email=n@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    return subprocess.run([*command, *words], check=True, capture_output=True, text=True).stdout


def test_the_table_has_all_claims_and_names_the_notebook_to_come(run):
    rows = {row[0]: row for row in review.table("smoke").rows}
    assert set(review.verdicts("smoke")) == set(claims.load()) and set(review.verdicts("smoke")) <= set(rows)
    assert rows["E6"][3] == "reproduced" and rows["E6"][2] == "0.300 [0.200, 0.400]"
    assert (rows["C1"][3], rows["C1"][5]) == ("not yet computed", "02_reconstruction_comparison")
    assert rows["E10a"][4] == claims.UNTESTABLE  # on photographs, from what is committed
    count = len(claims.load())
    assert (
        f"{count} claims, profile smoke: 1 reproduced, 0 not reproduced, 0 inconclusive, {count - 1} not"
        in review.summary("smoke")
    )


def test_a_claim_waits_for_all_of_its_parts(run):
    assert review.verdicts("smoke")["E10"] == "not yet computed"
    claims.record("E10b", 0.0, (-0.01, 0.01), run=run, seeds=TOP)
    assert review.verdicts("smoke")["E10"] == "reproduced"
    claims.record("E10b", 0.3, (0.2, 0.4), run=run, seeds=SEEDS)
    assert review.verdicts("smoke")["E10"] == "not reproduced"
    rows = {row[0]: row[3] for row in review.table("smoke").rows}
    assert (rows["E10"], rows["E10a"], rows["E10b"]) == ("not reproduced", "reproduced", "not reproduced")


def test_an_empty_profile_has_every_claim_to_come(run):
    assert set(review.verdicts("nothing").values()) == {"not yet computed"}
    assert review.check("nothing") == [] and review.moved("nothing") is None and review.gallery("nothing").rows == []


def test_the_gallery_shows_published_figures_only(run):
    plt.figure()
    figures.save(
        plt.gcf(), "09_secret", {"x": [1]}, run=run, caption="A kept picture.", alt="Not ours to show.", publish=False
    )
    gallery = review.gallery("smoke")
    assert [row["address"] for row in gallery.rows] == ["../figures/smoke/09_line.png", None]
    html = gallery._repr_html_()
    assert 'src="../figures/smoke/09_line.png"' in html and "secret" not in html and "A rising &lt;line&gt;." in html
    assert "![A line that rises.](../figures/smoke/09_line.png)" in gallery.markdown()


def test_check_finds_a_verdict_that_the_rule_does_not_give(run):
    assert review.check("smoke") == []
    book = ledger.read(run.notebook, "smoke")
    book["claims"]["E6"]["verdict"] = "not reproduced"
    ledger.files.write_json(ledger.path_of(run.notebook, "smoke"), book)
    assert any("E6: recorded as not reproduced" in problem for problem in review.check("smoke"))


def test_check_finds_a_claim_that_is_no_more(run):
    book = ledger.read(run.notebook, "smoke")
    book["claims"]["E99"] = book["claims"].pop("E6")
    ledger.files.write_json(ledger.path_of(run.notebook, "smoke"), book)
    assert any("'E99' is unknown" in problem for problem in review.check("smoke"))


def test_the_readme_gets_the_table_between_its_markers_and_nowhere_else(run, tmp_path):
    path = tmp_path / "README.md"
    before, after = "# Title\n\nText | with a bar.\n", "\n\n## Next\n"
    path.write_text(f"{before}{review.MARKS[0]}\nstale words\n{review.MARKS[1]}{after}")
    review.readme("smoke", path)
    text = path.read_text()
    assert text.startswith(before + review.MARKS[0]) and text.endswith(review.MARKS[1] + after)
    assert "stale words" not in text
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) == len(claims.load()) + 2 and any(
        line.startswith("| E6 |") and "**reproduced**" in line for line in lines
    )
    assert any(line.startswith("| E10 |") and "E10a: 0.300 [0.200, 0.400] (reproduced)" in line for line in lines)
    review.readme("smoke", path)
    assert path.read_text() == text


@pytest.mark.parametrize("text", ["nothing", "{1}\n{0}", "{0}\n{0}\n{1}", "{0}"])
def test_a_readme_without_its_markers_is_left_alone(run, tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text.format(*review.MARKS))
    with pytest.raises(ValueError, match="expected one line <!-- verdicts:start -->"):
        review.readme("smoke", path)
    assert path.read_text() == text.format(*review.MARKS)


def test_what_moved_since_the_commit_is_named(run, capsys):
    git(run, "init", "-q")
    assert review.moved("smoke") is None
    git(run, "add", "-A")
    git(run, "commit", "-q", "-m", "figures")
    assert review.moved("smoke") == []
    claims.record("E6", 0.305, (0.2, 0.4), run=run, seeds=SEEDS, n=40)  # within the tolerance
    assert review.moved("smoke") == []
    claims.record("E6", 0.35, (0.2, 0.4), run=run, seeds=SEEDS, n=40)
    path = paths.figures() / "smoke" / "09_line.csv"
    path.write_text(path.read_text().replace("1.5", "1.6"))
    assert sorted(move.where for move in review.moved("smoke")) == ["09_line.csv, row 2, x", "E6.value"]
    assert review.main(["--profile", "smoke"]) == 1  # the CSV is not the one that the sidecar describes
    printed = capsys.readouterr().out
    assert "2 numbers moved" in printed and "E6.value: 0.3 before, 0.35 now" in printed and "Problems:" in printed


def test_main_prints_the_verdicts_and_succeeds_whatever_they_are(run, capsys):
    assert review.main(["--profile", "smoke"]) == 0
    printed = capsys.readouterr().out
    assert "E6" in printed and "1 reproduced" in printed and "No committed ledger to compare with." in printed


def test_without_git_there_is_nothing_to_compare_with(run, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert review.moved("smoke") is None


@pytest.mark.parametrize(
    "new, wheres",
    [("x,y\n1,a\n2,b\n", []), ("x,y\n1.005,a\n2,b\n", []), ("x,y\n1.2,a\n2,b\n", ["f, row 1, x"])]
    + [("x,y\n1,a\n2,c\n", ["f, row 2, y"]), ("x,y\n1,a\n", ["f"]), ("x,z\n1,a\n2,b\n", ["f"])]
    + [("x,y\n,a\n2,b\n", ["f, row 1, x"])],
)
def test_numbers_behind_a_figure_are_compared_cell_by_cell(new, wheres):
    assert [move.where for move in review.compare_csv("x,y\n1,a\n2,b\n", new, 0.01, "f")] == wheres


def test_the_table_reads_the_same_everywhere(run):
    table = review.table("smoke")
    assert table.markdown().count("\n") == len(table.rows) + 1
    assert table._repr_html_().count("<tr>") == len(table.rows) + 1
    assert max(map(len, repr(table).splitlines())) < 200


def test_changed_verdicts_stand_beside_what_they_were(run):
    rows = {row[0]: row for row in review.changed("smoke").rows}
    assert rows["E10a"][1:3] == ("not reproduced", "reproduced") and "three times as much" in rows["E10a"][3]
    assert rows["E10b"][2] == review.PENDING and "E5" not in rows


def test_a_run_of_its_own_is_told_by_its_own_ledgers_alone(run, capsys, monkeypatch, tmp_path):
    own = tmp_path / "build" / "smoke-window=8-1a2b3c4d"
    with monkeypatch.context() as there:
        there.setenv("COMPANION_FIGURES", str(own / "figures"))
        claims.record("E6", 0.0, (-0.1, 0.1), run=run, seeds=SEEDS[:1], n=40)
    assert review.main(["--folder", str(own)]) == 0
    text = capsys.readouterr().out
    rows = [line for line in text.splitlines() if line.startswith("E6 ")]
    assert len(rows) == 1 and "0.000 [-0.100, 0.100]" in rows[0] and "verdict of this run" in text
    assert "1 of 3 seeds" in text and "C1" not in text
    assert review.own("smoke", own / "figures", ["10"]).rows == []
    assert review.main(["--folder", str(tmp_path / "none")]) == 1
    assert "none/figures has no ledger" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["{half", "[]", "{}"])
def test_a_damaged_ledger_or_sidecar_gets_a_sentence(run, capsys, content):
    place = paths.figures() / "smoke"
    (place / "09_line.json").write_text(content)
    assert review.main(["--profile", "smoke"]) == 1
    printed = capsys.readouterr().out
    assert "09_line.json" in printed and "git checkout figures" in printed
    (place / "09_ledger.json").write_text(content)
    assert review.main(["--profile", "smoke"]) == 1
    printed = capsys.readouterr().out
    assert "09_ledger.json is not a ledger" in printed and "run notebook 09 again" in printed
