"""Where the results of a notebook lie, whether they are all there, and how they take the place of older ones."""

import json
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from lib.base import files, paths
from lib.record import claims, ledger


class Job(NamedTuple):
    """One notebook of a run: where its copy, its figures and its marker go."""

    notebook: str  # "09_occlusion"
    profile: str
    entry: dict  # its entry in the index
    values: dict  # its checked parameters
    key: dict  # lib.running.staleness
    folder: Path  # build/<profile>, or that of a run with parameters of its own
    figures: Path  # figures/<profile>, or in that folder
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


def state(job: Job) -> dict:
    """What a run of this notebook is made from: its key, and the results of the notebooks whose ledgers it reads."""
    return {"key": job.key, "after": {other[:2]: _results(job, other[:2]) for other in job.entry["after"]}}


def remember(job: Job) -> None:
    """Keep what a finished run was made from, and the digests of all that it wrote."""
    files.write_json(job.memory, state(job) | {"written": written(job)})


def remembered(job: Job) -> dict:
    """What the last finished run was made from and wrote; empty if there is none that can be read."""
    try:
        found = json.loads(job.memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(found, dict) and all(isinstance(found.get(part), dict) for part in ("key", "after", "written"))
    return found if whole else {}


def written(job: Job) -> dict[str, str]:
    """{file: digest} of all that a run of the notebook leaves: its executed copy, its figures and its ledger."""
    places = [job.copy, *job.figures.glob(f"{job.number}_*.*"), *(job.folder / "figures").glob(f"{job.number}_*.*")]
    found = {path: _digest(path) for path in sorted(places)}
    return {os.path.relpath(path, job.folder.parent): digest for path, digest in found.items() if digest}


def _digest(path: Path) -> str:
    """Of a file's bytes; empty where it is none or cannot be read."""
    try:
        return files.file_digest(path)
    except OSError:
        return ""


def spoilt(job: Job) -> list[str]:
    """Why what the last finished run wrote cannot be used, in words; empty if it is all there as it was written."""
    before, now = remembered(job).get("written", {}), written(job)
    lost = [f"{Path(name).name} is missing" for name in sorted(before.keys() - now.keys())]
    lost += [f"{Path(name).name} was not written by its last run" for name in sorted(now.keys() - before.keys())]
    lost += [
        f"{Path(name).name} is not as it was written"
        for name in sorted(before)
        if now.get(name, before[name]) != before[name]
    ]
    if not lost and not present(job):
        lost = ["something that it declares is missing from its outputs"]
    return lost


def fresh(job: Job) -> bool:
    """Whether the last finished run was made from just this, and all that it wrote is there, as it was written."""
    last, now = remembered(job), state(job)
    return all(last.get(part) == now[part] for part in now) and not spoilt(job)


def mark(job: Job) -> None:
    """Write the marker that tells Snakemake that the notebook is done; its content follows the results."""
    files.write_json(job.marker, {"results": _results(job, job.number)})


def publish(job: Job, log) -> bool:
    """Put the outputs of the executed copy into notebooks/, where bytes differ; False if there is nothing to write."""
    if not job.publish or not job.copy.exists():
        return False
    import nbformat  # here, since it takes longer to load than a plan to make

    from lib.running import notebook_bytes

    path = paths.notebooks() / f"{job.notebook}.ipynb"
    old = path.read_text(encoding="utf-8")
    merged = notebook_bytes.merge(nbformat.reads(old, as_version=4), nbformat.read(job.copy, as_version=4))
    if merged is None:
        log(f"{job.notebook}: its code changed while it ran, so notebooks/ is left as it is; run it again")
        return False
    new = notebook_bytes.text(merged)
    if new == old:
        return False
    files.atomic_write(path, new)
    return True


def present(job: Job) -> bool:
    """Whether the executed copy and everything that the notebook declares are where a finished run puts them."""
    path = job.figures / f"{job.number}_ledger.json"
    declared = figures(job) or job.entry["claims"]
    return job.copy.exists() and (path.exists() or not declared) and not _absent_figures(job, job.figures)


def missing(job: Job) -> str:
    """What this run should have written and did not, as the end of a sentence; empty if everything is there."""
    book = ledger.read(job.notebook, job.profile)
    known = claims.load(profile=job.profile) if job.entry["claims"] else {}
    parts = {}
    for name in job.entry["claims"]:
        parts |= known.get(name, {"parts": {name: {}}})["parts"]
    asked = [part for part, entry in parts.items() if "untestable" not in entry and _asked(job, part)]
    lost = [f"claim {name} was not recorded" for name in asked if name not in book["claims"]]
    lost += [f"figure {name} was not saved" for name in figures(job) if name not in book["figures"]]
    lost += [f"the file of figure {name} is missing" for name in _absent_figures(job, paths.figures() / job.profile)]
    return ", ".join(dict.fromkeys(lost))


def figures(job: Job) -> list[str]:
    """The figures that a run of the notebook in its profile must save."""
    if not photographs(job):
        return job.entry["figures"]
    if mine(job):
        return [name for part in job.entry["mine"].values() for name in part if name[0].isdigit() and _asked(job, name)]
    found = job.entry["photos"] + (job.entry["only_photos"] if job.profile == "photos" else [])
    return [name for name in found if _asked(job, name)]


def photographs(job: Job) -> bool:
    """Whether the notebook reads photographs and not cutouts: its cells tagged not-photos are left out then."""
    return job.values.get("world", "cutouts") != "cutouts"


def mine(job: Job) -> bool:
    """Whether a network of the reader's reads photographs that the reader named: of the notebook that is asked which
    its index lists under `mine`, and texts that speak of the project's own run are left out."""
    return job.values.get("world") == "mine"


def left_out(job: Job) -> set[str]:
    """Tags of the cells that this run leaves out."""
    away = {f"not-profile-{job.profile}", *(f"part-{name}" for name in job.entry["without"])}
    return away | ({"not-photos"} if photographs(job) else set()) | ({"not-mine"} if mine(job) else set())


def _asked(job: Job, name: str) -> bool:
    """Whether a figure, or a claim, belongs to no part that is left out; of a reader's network, to one that is not."""
    parts = [part for part, names in job.entry["mine"].items() if name in names]
    return not set(parts) & set(job.entry["without"]) and (bool(parts) or not mine(job))


def _absent_figures(job: Job, folder: Path) -> list[str]:
    private = job.folder / "figures"  # figures that hold pictures of others stay there
    return [n for n in figures(job) if not any((place / f"{n}.json").exists() for place in (folder, private))]


def _results(job: Job, number: str) -> dict[str, str]:
    """Digests of the figures and the ledger of a notebook of this profile."""
    return {path.name: _digest(path) for path in sorted(job.figures.glob(f"{number}_*.*"))}


def install(staged: Path, job: Job) -> None:
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


def lend_others(job: Job, staged: Path) -> None:
    """Let a notebook that reads the others' ledgers see them in the staging folder."""
    for path in job.figures.glob("*"):
        if path.is_file() and not path.name.startswith(f"{job.number}_"):
            (staged / path.name).symlink_to(path)


def check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # a name of its own: notebooks run side by side
            pass
    except OSError as error:
        raise PermissionError(f"{folder} cannot be written ({error.strerror or error}): figures go there") from error
