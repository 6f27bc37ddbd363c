"""Faults of the runner with real processes: killed, refused, failing. Nothing is lost, nothing half-written counts."""

import ctypes
import errno
import json
import os
import resource
import shutil
import signal
import time
from pathlib import Path

import nbformat
import pytest
from conftest import Project

from lib.base import files, processor

SIZES = {"size": 3}
CELLS = [
    "#:# A title",
    'from lib.running.run import Run\nrun = Run("09_tiny", profile, {}, seed, device)',
    """
import json, os, time
from lib.base import files, paths
from lib.record import ledger
place = paths.figures() / profile / "09_line.csv"
files.write_json(place.with_suffix(".json"), {"size": size})
files.atomic_write(place, f"x {size}")
ledger.enter(run, "figures", "09_line", {"size": size})
""".strip(),
    """
pids = paths.build() / "pids"
if (paths.build() / "wait").exists():
    files.atomic_write(pids, json.dumps([os.getpid(), os.getppid()]))
    time.sleep(100)
""".strip(),
    'print("to the end")',
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a project that ran once, with size 3."""
    project = Project(tmp_path_factory.mktemp("finished"))
    project.add("09_tiny", CELLS, SIZES, figures=["09_line"])
    code, text = project.run()
    assert code == 0, text
    return project.folder


@pytest.fixture
def once(finished, tmp_path):
    """A project that ran once, with size 3."""
    project = Project(tmp_path / "project")
    shutil.copytree(finished, project.folder, dirs_exist_ok=True)
    project.add("09_tiny", CELLS, SIZES, figures=["09_line"])
    shutil.copytree(finished / "notebooks", project.notebooks, dirs_exist_ok=True)
    return project


@pytest.fixture
def waiting(once):
    """A project that ran once with size 3; its next run, with size 4, waits in code cell 4 with its figure drawn."""
    project = once
    project.before = project.contents()
    project.profiles["embedded"]["09_tiny"]["size"] = 4
    project.save()
    (project.build / "wait").touch()
    process = project.start("run", "--cores", "2", start_new_session=True)
    pids = wait_for(lambda: (project.build / "pids").exists() and json.loads((project.build / "pids").read_text()))
    yield project, process, pids
    process.kill()
    process.communicate(timeout=60)


def wait_for(look, seconds: float = 60):
    """The first true value of `look()`; fails when there is none within `seconds`."""
    limit = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < limit, "nothing happened in time"
        time.sleep(0.1)
    return found


def gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False


def nothing_changed(project) -> None:
    changed = {name for name, content in project.contents().items() if project.before.get(name) != content}
    assert changed == {"notebooks/profiles/embedded.yaml"}
    assert project.ledger("09")["figures"]["09_line"] == {"size": 3}


def finishes(project) -> None:
    (project.build / "wait").unlink()
    code, text = project.run()
    assert code == 0 and "09_tiny: done" in text, text
    assert project.ledger("09")["figures"]["09_line"] == {"size": 4}
    assert "to the end" in (project.notebooks / "09_tiny.ipynb").read_text()
    assert not [path for folder in (project.figures, project.notebooks) for path in folder.rglob("*.part")]
    assert project.here("status") == (0, "09_tiny: fresh\n")


def test_kill_of_the_run_leaves_no_process_and_loses_nothing(waiting):
    project, process, pids = waiting
    process.kill()
    wait_for(lambda: all(map(gone, pids)), 20)
    nothing_changed(project)
    finishes(project)


def test_kill_of_everything_at_once_loses_nothing(waiting):
    project, process, pids = waiting
    os.killpg(process.pid, signal.SIGKILL)
    for pid in pids:
        if not gone(pid):
            os.kill(pid, signal.SIGKILL)
    nothing_changed(project)
    finishes(project)


def test_kill_of_the_kernel_is_told_and_loses_nothing(waiting):
    project, process, (kernel, _) = waiting
    os.kill(kernel, signal.SIGKILL)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "DeadKernelError" in text and "failed in code cell 4 of 5" in text, text
    nothing_changed(project)


def test_a_second_run_beside_the_first_is_refused(waiting):
    project, _, _ = waiting
    code, text = project.run()
    assert code == 1 and "another run of embedded is at work" in text and "Traceback" not in text, text
    nothing_changed(project)


def test_interrupt_ends_every_process(waiting):
    project, process, pids = waiting
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does
    process.communicate(timeout=60)
    assert process.returncode != 0
    wait_for(lambda: all(map(gone, pids)), 20)
    nothing_changed(project)


def test_failing_cell_says_which_with_what_and_leaves_its_copy(once):
    project = once
    before = project.contents()
    cells = [*CELLS[:4], 'print("seen")\nraise ValueError(f"{size} is too large")']
    project.add("09_tiny", cells, {"size": 4}, figures=["09_line"])
    code, text = project.run()
    assert code == 1 and "Traceback" not in text
    assert "09_tiny with" in text and "size=4" in text
    assert 'failed in code cell 5 of 5 (`print("seen")`): ValueError: 4 is too large' in text
    copy = nbformat.read(project.build / "embedded" / "09_tiny.failed.ipynb", as_version=4)
    assert "seen" in str(copy.cells) and "4 is too large" in str(copy.cells)
    after = project.contents()
    assert {name for name in before if after[name] != before[name]} == {
        "notebooks/09_tiny.ipynb",  # the edit itself
        "notebooks/profiles/embedded.yaml",
    }
    assert project.ledger("09")["figures"]["09_line"] == {"size": 3}


def test_one_failure_does_not_stop_the_others(project):
    project.add("01_bad", ["1 / 0"])
    project.add("02_good", ["print(seed)"])
    project.add("15_last", ["print(seed)"], after=["all"])
    code, text = project.run("--cores", "1")
    assert code == 1 and "02_good: done" in text and "15_last: not run, since 01 failed" in text
    assert "1 of 3 notebooks of embedded are up to date" in text
    assert (project.build / "embedded" / "02_good.ipynb").exists()


def no_root_rights() -> None:
    """Give up root's right to write anywhere, for tests that run as root in a container."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP; takes effect when the child starts


def test_read_only_figures_folder_is_told_before_anything_runs(project):
    project.add("09_tiny", CELLS, SIZES, figures=["09_line"])
    (project.figures / "embedded").mkdir(parents=True)
    (project.figures / "embedded").chmod(0o555)
    try:
        code, text = project.run(preexec_fn=no_root_rights)
    finally:
        (project.figures / "embedded").chmod(0o755)
    assert code == 1 and "figures/embedded cannot be written" in text and "Traceback" not in text, text
    assert "failed in" not in text and not (project.build / "embedded" / "09_tiny.failed.ipynb").exists()
    assert project.run()[0] == 0


def test_unknown_parameter_is_told_before_anything_runs(project):
    project.add("09_tiny", CELLS, SIZES, figures=["09_line"])
    project.profiles["smoke"]["09_tiny"] = {"sizes": 3}
    project.save()
    code, text = project.here("run", "--profile", "smoke")
    assert code == 1 and "unknown parameter 'sizes'; the nearest known name is 'size'" in text, text
    assert "Traceback" not in text and not project.build.exists()


def test_code_edited_during_the_run_is_not_overwritten(waiting):
    project, _, _ = waiting
    path = project.notebooks / "09_tiny.ipynb"
    book = nbformat.read(path, as_version=4)
    book.cells[-1].source = 'print("edited")'
    nbformat.write(book, path)
    os.kill(waiting[2][0], signal.SIGINT)  # interrupts the sleep: the cell fails, as when a reader presses stop
    waiting[1].communicate(timeout=60)
    assert 'print(\\"edited\\")' in path.read_text()


def test_a_damaged_memory_of_the_last_run_means_run_again(once):
    assert once.here("status") == (0, "09_tiny: fresh\n")
    (once.build / "embedded" / "last" / "09.json").write_text("{half")
    code, text = once.run()
    assert code == 0 and "09_tiny: done" in text, text


# --- results are checked, not remembered


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def raise_value(path: Path) -> None:
    book = json.loads(path.read_text())
    book["figures"]["09_line"]["size"] = 123.0
    path.write_text(json.dumps(book))


def garbage(path: Path) -> None:
    path.write_bytes(b"\xff{no JSON")


@pytest.mark.parametrize(
    ("file", "spoil", "reason"),
    [
        ("figures/embedded/09_line.csv", truncate, "09_line.csv is not as it was written"),
        ("figures/embedded/09_line.csv", Path.unlink, "09_line.csv is missing"),
        ("figures/embedded/09_line.csv", Path.touch, ""),
        ("figures/embedded/09_more.csv", Path.touch, "09_more.csv was not written by its last run"),
        ("figures/embedded/09_ledger.json", raise_value, "09_ledger.json is not as it was written"),
        ("figures/embedded/09_ledger.json", garbage, "09_ledger.json is not as it was written"),
        ("build/embedded/09_tiny.ipynb", garbage, "09_tiny.ipynb is not as it was written"),
        ("build/embedded/last/09.json", garbage, "last/09.json cannot be read"),
        ("build/embedded/last/09.json", lambda path: path.write_text("[]"), "last/09.json cannot be read"),
        ("build/embedded/last/09.json", lambda path: path.write_text('{"key": 3}'), "last/09.json cannot be read"),
    ],
)
def test_a_spoilt_result_makes_its_notebook_stale_and_the_reason_is_told(once, file, spoil, reason):
    spoil(once.folder / file)
    code, text = once.here("status")
    assert code == 0 and reason in text and ("to run, since" in text) == bool(reason), text


def test_what_was_spoilt_is_made_again_and_nothing_is_blocked(once):
    before = once.contents()
    build = once.build / "embedded"
    raise_value(once.figures / "embedded" / "09_ledger.json")
    (once.figures / "embedded" / "09_line.csv").unlink()
    for name in ("09_tiny.ipynb", "keys/09.key", "done/09.json", "last/09.json", "identities.json", "seconds/09"):
        garbage(build / name)
    code, text = once.run()
    assert code == 0 and "Traceback" not in text and "09_tiny: done" in text, text
    assert once.contents() == before
    assert once.here("status") == (0, "09_tiny: fresh\n")
    garbage(build / "keys/09.key")
    garbage(build / "done/09.json")
    code, text = once.run()
    assert code == 0 and "begins" not in text, text


def test_an_edited_number_is_not_read_by_the_notebook_that_reads_all(project):
    cell = 'from lib.record import ledger\nprint(ledger.read("09", profile)["figures"]["09_line"])'
    project.add("09_tiny", CELLS, SIZES, figures=["09_line"])
    project.add("15_last", [cell], after=["all"])
    assert project.run()[0] == 0
    before = project.contents()
    raise_value(project.figures / "embedded" / "09_ledger.json")
    code, text = project.run("15")
    assert code == 0 and "09_tiny: done" in text and project.contents() == before, text


def test_a_clock_that_was_ahead_once_neither_blocks_nor_spoils_later_runs(project):
    project.add("09_tiny", CELLS, SIZES, figures=["09_line"], jobs=["__init__"])
    project.add("15_last", ["print(seed)"], after=["all"])
    assert project.run()[0] == 0
    later = time.time() + 10**6
    for path in (path for folder in (project.build, project.figures, project.notebooks) for path in folder.rglob("*")):
        os.utime(path, (later, later))
    code, text = project.run()
    assert code == 0 and "begins" not in text, text
    project.profiles["embedded"]["09_tiny"]["size"] = 4
    project.save()
    os.utime(project.build / "embedded" / "keys" / "09.key", (later, later))
    os.utime(project.build / "embedded" / "done" / "09.json", (later, later))
    code, text = project.run()
    assert code == 0 and "09_tiny: done" in text and project.ledger("09")["figures"]["09_line"] == {"size": 4}, text
    code, text = project.run()
    assert code == 0 and "begins" not in text, text


def test_a_notebook_that_is_none_gets_a_sentence(once):
    for content in (b"\xff{", b"<<<<<<< HEAD", b"[]", b'{"metadata": {}}'):
        (once.notebooks / "09_tiny.ipynb").write_bytes(content)
        code, text = once.here("status")
        assert code == 1 and "Traceback" not in text, text
        assert text.count("\n") == 1 and "09_tiny.ipynb is not a notebook" in text and "git checkout" in text, text


def test_a_damaged_record_of_processors_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_FIGURES", str(tmp_path))
    for content in (b"\xff", b"[]", b"{half"):
        (tmp_path / "processor.json").write_bytes(content)
        processor.record("embedded")
        assert json.loads((tmp_path / "processor.json").read_text()) == {"embedded": processor.kind()}


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "a.json cannot be written: there is no space left on its disk"),
        (errno.EDQUOT, "a.json cannot be written: the quota of its disk is used up"),
        (errno.EROFS, "a.json cannot be written: the disk of .* is read-only"),
        (errno.EACCES, "a.json cannot be written: the folder .* is read-only for this user"),
        (errno.EIO, "a.json cannot be written: Input/output error"),
    ],
)
def test_a_full_or_read_only_disk_is_told_with_the_file(tmp_path, monkeypatch, number, sentence):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(OSError, match=sentence):
        files.write_json(tmp_path / "a.json", {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "embedded", "embedded/done"])
def test_a_read_only_folder_of_results_is_told_before_anything_runs(once, name):
    (once.build / "embedded" / "last" / "09.json").unlink()
    if not name:
        shutil.rmtree(once.build / "embedded")
    (once.build / name).chmod(0o555)
    try:
        code, text = once.run(preexec_fn=no_root_rights)
    finally:
        (once.build / name).chmod(0o755)
    assert code == 1 and "Traceback" not in text and "begins" not in text, text
    assert str(once.build / name) in text and ("writable" in text or "read-only" in text), text


def test_a_full_disk_is_told_in_a_run(once):
    """A file of more than a few kilobytes cannot be written here: the run says which."""
    once.profiles["embedded"]["09_tiny"]["size"] = 10**5
    edited = [*CELLS[:2], CELLS[2].replace('f"x {size}"', '"x" * size'), *CELLS[3:]]
    once.add("09_tiny", edited, {"size": 10**6}, figures=["09_line"])

    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    code, text = once.run(preexec_fn=small_files)
    assert code == 1 and "09_line.csv cannot be written: File too large" in text and "Traceback" not in text, text
    assert once.ledger("09")["figures"]["09_line"] == {"size": 3}
