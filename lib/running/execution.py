"""One notebook, executed in a process of its own, so that a run that fails or is killed leaves everything as it was.

Figures and ledger are written to a staging folder and take the place of the old ones only when the declared figures and
claims are all there. Success means that, and not an exit code.
"""

import ast
import os
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat

from lib.base import files, locks, paths
from lib.running import custom, notebook_bytes, params, progress, results, run
from lib.running.results import Failed, Job

LINKS = {True: "](../../", False: "](../../notebooks/"}  # to the project's files, and from notebook to notebook
CELL_SECONDS = 1800  # a cell that is silent for longer is taken for stuck, except while it trains


def execute(job: Job, log) -> None:
    """Run the notebook and put its results into place; Failed says which cell, with which parameters.

    `log` takes lines of progress. PermissionError before anything runs if the figures folder cannot be written.
    """
    with _alone(job):
        job.marker.unlink(missing_ok=True)
        job.memory.unlink(missing_ok=True)
        results.check_writable(job.figures)
        staging = job.folder / "staging" / job.number
        shutil.rmtree(staging, ignore_errors=True)
        (staging / "figures" / job.profile).mkdir(parents=True)
        if job.entry["after"]:
            results.lend_others(job, staging / "figures" / job.profile)
        own = {"COMPANION_FIGURES": str(staging / "figures"), "COMPANION_FOLDER": str(job.folder)}
        os.environ |= own | {run.STAGED: job.notebook}
        started = time.monotonic()
        executed = _papermill(job, staging, log)
        missing = results.missing(job)
        if missing:
            files.atomic_write(job.failed, nbformat.writes(executed))
            raise Failed(f"{_called(job)} ran to its end, but {missing}; its executed copy: {job.failed}")
        results.install(staging / "figures" / job.profile, job)
        same = {name: value for name, value in _defaults(executed).items() if name in job.values}
        copy = notebook_bytes.plain(executed, keep_injected=same != job.values)
        files.atomic_write(job.copy, notebook_bytes.text(copy))
        job.failed.unlink(missing_ok=True)
        results.remember(job)
        results.mark(job)
        results.publish(job, log)
        progress.keep(job.folder, job.number, time.monotonic() - started)
        log(f"{job.notebook}: done in {time.monotonic() - started:.0f} s")
        shutil.rmtree(staging, ignore_errors=True)


def _papermill(job: Job, staging: Path, log):
    """The executed notebook (papermill's), or Failed with the cell and the parameters, its copy kept."""
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    source = notebook_bytes.cleared(nbformat.read(paths.notebooks() / f"{job.notebook}.ipynb", as_version=4))
    source.cells = kept_of(source.cells, job)
    begin, end = staging / "source.ipynb", staging / "executed.ipynb"
    files.atomic_write(begin, notebook_bytes.text(source))
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


def kept_of(cells: list, job: Job) -> list:
    """The cells of a notebook that this run has: texts that speak of the project's own run are none of a reader's. A
    run with other parameters than its profile's says so below the title."""
    away, own = results.left_out(job), results.mine(job)
    told = lambda cell: cell.cell_type != "markdown" or "mine" in cell.metadata.get("tags", [])  # noqa: E731
    kept = [c for c in cells if not away & set(c.metadata.get("tags", [])) and (not own or told(c))]
    if not (text := preface(job)):
        return kept
    for cell in kept:
        if cell.cell_type == "markdown":  # its links, seen from the folder of such a run
            cell.source = re.sub(r"\]\((?:(\.\./)|(?=\d\d_\w+\.ipynb))", lambda m: LINKS[bool(m[1])], cell.source)
    return [*kept[:1], nbformat.v4.new_markdown_cell(text, id="of-this-run"), *kept[1:]]


def preface(job: Job) -> str:
    """What the copy of a run with other parameters than its profile's says below its title; empty for the profile's."""
    if not job.figures.is_relative_to(job.folder):
        return ""
    usual = params.profile(job.profile)[job.notebook]
    changed = custom.differing(job.values, usual)
    lines = [f"* `{name}` = {value!r}" for name, value in changed.items()] or ["* none"]
    text = f"**A run of its own.** Parameters that are not those of the profile `{job.profile}`:\n\n" + "\n".join(lines)
    if job.entry["without"]:
        text += (
            f"\n\nLeft out, since there is nothing to ask: {', '.join(job.entry['without'])} (`make mine` says why)."
        )
    whose = "Figures, captions, tables and verdicts are of this run"
    more = "" if results.mine(job) else "; sentences that read a figure speak of the project's own run"
    return f"{text}\n\n{whose}{more}."


def _called(job: Job) -> str:
    values = ", ".join(f"{name}={value!r}" for name, value in job.values.items())
    return f"{job.notebook} with {values}"


def _cell(path: Path) -> str:
    """'code cell 3 of 14 (`x = f()`)': the cell at which an executed copy stopped, counted as in the source."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    own = [cell for cell in cells if notebook_bytes.INJECTED not in cell.metadata.get("tags", [])]
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


@contextmanager
def _alone(job: Job, seconds: float = 30):
    """Hold this notebook's lock, which dies with the process; wait for a predecessor that is just being ended."""
    with locks.lock(job.folder / "locks" / job.number, seconds) as held:
        if not held:
            raise Failed(f"{job.notebook} is being executed by another run of profile {job.profile}; wait for it")
        yield


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
