"""One notebook, executed in a process of its own, so that a run that fails or is killed leaves everything as it was.

Figures and ledger are written to a staging folder and take the place of the old ones only when the declared figures and
claims are all there. Success means that, and not an exit code.
"""

import ast
import fcntl
import json
import os
import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import nbformat

from lib import claims, files, ledger, normalise, paths

CELL_SECONDS = 1800  # a cell that is silent for longer is taken for stuck, except while it trains


class Job(NamedTuple):
    """One notebook of a run: where its copy, its figures and its marker go."""

    notebook: str  # "09_occlusion"
    profile: str
    entry: dict  # its entry in the index
    values: dict  # its checked parameters
    key: dict  # lib.staleness
    folder: Path  # build/<profile>
    figures: Path  # figures/<profile>
    publish: bool  # whether the outputs go into notebooks/ as well

    @property
    def number(self) -> str:
        return self.notebook[:2]

    @property
    def copy(self) -> Path:
        return self.folder / f"{self.notebook}.ipynb"

    @property
    def failed(self) -> Path:
        return self.folder / f"{self.notebook}.failed.ipynb"

    @property
    def marker(self) -> Path:
        return self.folder / "done" / f"{self.number}.json"  # Snakemake's: it removes it before it starts the job

    @property
    def memory(self) -> Path:
        return self.folder / "last" / f"{self.number}.json"  # ours: what the last finished run was made from


class Failed(Exception):
    """A notebook did not do what it declares; the message is one sentence for the reader."""


def execute(job: Job, log) -> None:
    """Run the notebook and put its results into place; Failed says which cell, with which parameters.

    `log` takes lines of progress. PermissionError before anything runs if the figures folder cannot be written.
    """
    with _alone(job):
        job.marker.unlink(missing_ok=True)
        job.memory.unlink(missing_ok=True)
        _check_writable(job.figures)
        staging = job.folder / "staging" / job.number
        shutil.rmtree(staging, ignore_errors=True)
        (staging / "figures" / job.profile).mkdir(parents=True)
        if job.entry["after"]:
            _lend_others(job, staging / "figures" / job.profile)
        os.environ["COMPANION_FIGURES"] = str(staging / "figures")
        started = time.monotonic()
        executed = _papermill(job, staging, log)
        missing = _missing(job)
        if missing:
            files.atomic_write(job.failed, nbformat.writes(executed))
            raise Failed(f"{_called(job)} ran to its end, but {missing}; its executed copy: {job.failed}")
        _install(staging / "figures" / job.profile, job)
        same = {name: value for name, value in _defaults(executed).items() if name in job.values}
        copy = normalise.plain(executed, keep_injected=same != job.values)
        files.atomic_write(job.copy, normalise.text(copy))
        job.failed.unlink(missing_ok=True)
        files.write_json(job.memory, state(job))
        mark(job)
        publish(job, log)
        log(f"{job.notebook}: done in {time.monotonic() - started:.0f} s")
        shutil.rmtree(staging, ignore_errors=True)


def state(job: Job) -> dict:
    """What a run of this notebook is made from: its key, and the results of the notebooks whose ledgers it reads."""
    return {"key": job.key, "after": {other[:2]: _results(job, other[:2]) for other in job.entry["after"]}}


def remembered(job: Job) -> dict:
    """The `state` of the last finished run; empty if there is none that can be read."""
    try:
        return json.loads(job.memory.read_text())
    except (OSError, ValueError):
        return {}


def fresh(job: Job) -> bool:
    """Whether the last finished run was made from just this, and all that it left is still there."""
    return remembered(job) == state(job) and present(job)


def mark(job: Job) -> None:
    """Write the marker that tells Snakemake that the notebook is done; its content follows the results."""
    files.write_json(job.marker, {"results": _results(job, job.number)})


def publish(job: Job, log) -> bool:
    """Put the outputs of the executed copy into notebooks/, where bytes differ; False if there is nothing to write."""
    if not job.publish or not job.copy.exists():
        return False
    path = paths.notebooks() / f"{job.notebook}.ipynb"
    old = path.read_text(encoding="utf-8")
    merged = normalise.merge(nbformat.reads(old, as_version=4), nbformat.read(job.copy, as_version=4))
    if merged is None:
        log(f"{job.notebook}: its code changed while it ran, so notebooks/ is left as it is; run it again")
        return False
    new = normalise.text(merged)
    if new == old:
        return False
    files.atomic_write(path, new)
    return True


def present(job: Job) -> bool:
    """Whether the executed copy and everything that the notebook declares are where a finished run puts them."""
    path = job.figures / f"{job.number}_ledger.json"
    declared = job.entry["figures"] or job.entry["claims"]
    return job.copy.exists() and (path.exists() or not declared) and not _absent_figures(job, job.figures)


def _papermill(job: Job, staging: Path, log):
    """The executed notebook (papermill's), or Failed with the cell and the parameters, its copy kept."""
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    source = normalise.cleared(nbformat.read(paths.notebooks() / f"{job.notebook}.ipynb", as_version=4))
    begin, end = staging / "source.ipynb", staging / "executed.ipynb"
    files.atomic_write(begin, normalise.text(source))
    patient = job.values.get("retrain") or job.profile not in ("smoke", "embedded")
    log(f"{job.notebook}: begins")
    try:
        return papermill.execute_notebook(
            *(str(path).replace("{", "{{").replace("}", "}}") for path in (begin, end)),
            parameters=job.values,
            kernel_name="python3",
            cwd=paths.notebooks(),
            progress_bar=False,
            stderr_file=_Lines(lambda line: log(f"{job.notebook}: {line}")),
            execution_timeout=None if patient else CELL_SECONDS,
        )
    except (papermill.PapermillExecutionError, CellTimeoutError, DeadKernelError, NoSuchKernel) as error:
        files.atomic_write(job.failed, (end if end.exists() else begin).read_bytes())
        if isinstance(error, papermill.PapermillExecutionError):
            what = f"{error.ename}: {error.evalue}"
        else:
            what = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        raise Failed(
            f"{_called(job)} failed in {_cell(job.failed)}: {what}\n  its executed copy: {job.failed}"
        ) from error


def _called(job: Job) -> str:
    values = ", ".join(f"{name}={value!r}" for name, value in job.values.items())
    return f"{job.notebook} with {values}"


def _cell(path: Path) -> str:
    """'code cell 3 of 14 (`x = f()`)': the cell at which an executed copy stopped, counted as in the source."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    own = [cell for cell in cells if normalise.INJECTED not in cell.metadata.get("tags", [])]
    marks = [cell.metadata.get("papermill", {}) for cell in cells]
    failed = [cell for cell, mark in zip(cells, marks, strict=True) if mark.get("status") == "failed"]
    begun = [cell for cell, mark in zip(cells, marks, strict=True) if mark.get("start_time")]
    for cell in failed[:1] or begun[-1:]:  # a kernel that died marks nothing as failed
        place = f"code cell {own.index(cell) + 1} of {len(own)}" if cell in own else "the cell of the parameters"
        return f"{place} (`{cell.source.strip().partition(chr(10))[0]}`)"
    return "no particular cell"


def _defaults(notebook) -> dict:
    """Values in the parameters cell of a notebook."""
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            return literals(cell.source)
    return {}


def literals(source: str) -> dict:
    """{name: value} of the assignments in a parameters cell; ValueError if a line is anything but `name = literal`."""
    found = {}
    for node in ast.parse(source).body:
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        if not isinstance(target, ast.Name) or node.value is None:
            raise ValueError(f"parameters cell: {ast.unparse(node)!r}, expected name = value")
        found[target.id] = ast.literal_eval(node.value)
    return found


def _missing(job: Job) -> str:
    """What this run should have written and did not, as the end of a sentence; empty if everything is there."""
    book = ledger.read(job.notebook, job.profile)
    known = claims.load() if job.entry["claims"] else {}
    parts = [part for name in job.entry["claims"] for part in known.get(name, {"parts": [name]})["parts"]]
    lost = [f"claim {name} was not recorded" for name in parts if name not in book["claims"]]
    lost += [f"figure {name} was not saved" for name in job.entry["figures"] if name not in book["figures"]]
    lost += [f"the file of figure {name} is missing" for name in _absent_figures(job, paths.figures() / job.profile)]
    return ", ".join(dict.fromkeys(lost))


def _absent_figures(job: Job, folder: Path) -> list[str]:
    private = paths.build() / job.profile / "figures"  # figures that hold pictures of others stay there
    return [n for n in job.entry["figures"] if not any((place / f"{n}.json").exists() for place in (folder, private))]


def _results(job: Job, number: str) -> dict[str, str]:
    """Digests of the figures and the ledger of a notebook of this profile."""
    return {path.name: files.file_digest(path) for path in sorted(job.figures.glob(f"{number}_*.*"))}


def _install(staged: Path, job: Job) -> None:
    """Move a finished run's figures into place, the ledger last; what the notebook no longer makes goes."""
    new = [path for path in sorted(staged.iterdir()) if not path.is_symlink()]
    for path in new:
        if not path.name.startswith(f"{job.number}_"):
            raise Failed(f"{job.notebook} saved {path.name}, expected a name that begins with {job.number}_")
    for path in sorted(new, key=lambda path: path.name.endswith("_ledger.json")):
        place = job.figures / path.name
        if not place.exists() or place.read_bytes() != path.read_bytes():
            files.atomic_write(place, path.read_bytes())
    for path in job.figures.glob(f"{job.number}_*.*"):
        if path.name not in {one.name for one in new}:
            path.unlink()


def _lend_others(job: Job, staged: Path) -> None:
    """Let a notebook that reads the others' ledgers see them in the staging folder."""
    for path in job.figures.glob("*"):
        if path.is_file() and not path.name.startswith(f"{job.number}_"):
            (staged / path.name).symlink_to(path)


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.atomic_write(folder / ".writable.part", b"").unlink()
    except OSError as error:
        raise PermissionError(f"{folder} cannot be written ({error.strerror or error}): figures go there") from error


@contextmanager
def _alone(job: Job, seconds: float = 30):
    """Hold this notebook's lock, which dies with the process; wait for a predecessor that is just being ended."""
    with lock(job.folder / "locks" / job.number, seconds) as held:
        if not held:
            raise Failed(f"{job.notebook} is being executed by another run of profile {job.profile}; wait for it")
        yield


@contextmanager
def lock(path: Path, seconds: float = 0):
    """Yield the open file of an advisory lock, or None if another process keeps it for longer than `seconds`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    limit = time.monotonic() + seconds
    with open(path, "w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= limit:
                    file = None
                    break
                time.sleep(0.2)
        yield file


def leave_with(lock_of_run: str) -> None:
    """End this process within a second after the run that started it has gone, which frees `lock_of_run`.

    So a killed run leaves no notebook behind that goes on computing. The kernel watches this process in the same way.
    """

    def watch():
        while True:
            with open(lock_of_run) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    os._exit(1)
                except BlockingIOError:
                    time.sleep(0.5)

    if Path(lock_of_run).exists():  # it is not where a cluster runs this job on another machine
        threading.Thread(target=watch, daemon=True).start()


class _Lines:
    """A file to write to that hands on whole lines."""

    def __init__(self, take):
        self.take, self.rest = take, ""

    def write(self, text: str) -> None:
        *lines, self.rest = (self.rest + text.replace("\r", "\n")).split("\n")
        for line in filter(str.strip, lines):
            self.take(line)

    def flush(self) -> None:
        """Nothing is held back but an unfinished line."""
