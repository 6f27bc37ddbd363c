"""`python -m lib.running.runner`: run numbered notebooks through Snakemake and papermill, only where something changed.

run      the notebooks of a profile, jobs side by side          execute  one notebook, in this process
status   which notebooks are fresh, stale or missing, and why   job      one shared artefact, lib.<job>

`make reproduce P="..."` hands its values over whole in COMPANION_P, in which lists and paths may hold spaces
(lib/running/given.py), and the folder in which it was called, where relative paths begin, in COMPANION_FROM.
"""

import argparse
import json
import os
import runpy
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from lib.base import files, locks, nearest, paths, processor
from lib.running import custom, given, identities, params, progress, results, staleness

OTHERS = ("photos", "paper")  # profiles of those notebooks alone that read photographs in them
LONG_AGO = 10**9  # seconds since 1970: the date of every key
OURS = "\x1f"  # begins the lines that notebooks write, among those of Snakemake


class Plan(NamedTuple):
    """What a run of a profile consists of."""

    profile: str
    given: list[str]  # what differs from the profile by -p of the command line, each as notebook.name=value
    label: str  # names the folder of a run with parameters of its own; empty: what was changed does
    folder: Path  # build/<profile>, or that of a run with parameters of its own (lib/running/custom.py)
    notebooks: dict[str, results.Job]  # by name, in reading order
    jobs: dict[str, dict]  # keys of the shared artefacts, by name
    needs: dict[str, list[str]]  # number of a notebook -> markers that must be there before it
    contents: dict[str, str]  # networks, files and folders that parameters name -> digests (lib/running/identities.py)

    @property
    def own(self) -> bool:
        """Whether its results go to a folder of their own, since its parameters are not the profile's."""
        return self.folder.name != self.profile


def plan(
    profile: str,
    given: list[str] | None = None,
    chosen: list[str] | None = None,
    label: str = "",
    folders: list[Path] | None = None,
) -> Plan:
    """Everything checked, nothing run: ValueError with a sentence for an unknown or wrong profile, notebook, parameter.

    Where a `given` parameter is not the profile's, or with a `label`, results stay in a folder of their own in build/,
    which the label names, and no committed file is touched. folders: where relative paths in `given` are looked for, by
    default the current one.
    """
    entries = params.index()
    values = params.profile(profile, entries)
    written = {name: entry for name, entry in entries.items() if not entry["planned"]}
    for name in written:
        if not (paths.notebooks() / f"{name}.ipynb").is_file():
            raise ValueError(f"notebooks/{name}.ipynb is missing; its entry in the index does not say 'planned: true'")
    chosen = [params.resolve(name, entries) for name in chosen or written]
    for name in chosen:
        if name not in written:
            raise ValueError(f"{name} is planned but not written yet; written: {', '.join(written)}")
    changed = params.overrides(given or [], chosen, entries, folders)
    changed = {name: differing for name in changed if (differing := custom.differing(changed[name], values[name]))}
    for name in changed:
        values[name] |= changed[name]
    given = [
        f"{name}.{key}={json.dumps(value, ensure_ascii=False)}"
        for name in changed
        for key, value in changed[name].items()
    ]
    folder = paths.build() / custom.folder_name(profile, changed, label)
    own = folder.name != profile
    figures = (folder / "figures" if own else paths.figures()) / profile
    for name in written:
        written[name] = written[name] | {params.WITHOUT: values[name].pop(params.WITHOUT, [])}
    for name, entry in written.items():  # what only cutouts ask for
        if values[name].get("world", "cutouts") == "cutouts":
            written[name] = entry | {field: entry[field] + entry[f"cutouts_{field}"] for field in ("jobs", "inputs")}
    named = {name: identities.named(values[name], name) for name in written}
    contents = _contents({text: place for name in reversed(named) for text, place in named[name].items()})
    users = {}
    for name, entry in written.items():
        for job in entry["jobs"]:
            users.setdefault(job, {})[name] = entry
    inside = {name: {text: contents[text] for text in named[name]} for name in written}
    jobs = {job: staleness.job_key(job, users[job], values, inside) for job in users}
    notebooks, needs = {}, {}
    for name, entry in written.items():
        entry = entry | {"after": [other for other in entry["after"] if other in written]}
        path = paths.notebooks() / f"{name}.ipynb"
        needed = {job: jobs[job] for job in entry["jobs"]}
        key = staleness.notebook_key(path, entry, values[name], needed, inside[name])
        publish = profile == "embedded" and not own
        notebooks[name] = results.Job(name, profile, entry, values[name], key, folder, figures, publish)
        needs[name[:2]] = [f"done/{job}.json" for job in entry["jobs"]] + [f"done/{n[:2]}.json" for n in entry["after"]]
    return Plan(profile, given, label, folder, notebooks, jobs, needs, contents)


def _contents(asked: dict[str, str]) -> dict[str, str]:
    """Digests of what parameters name: those that the run to which this process belongs has found, or found here."""
    known = identities.known()
    if asked.keys() <= known.keys():
        return {text: known[text] for text in asked}
    return identities.of(asked, os.environ | child_environment())


def write_keys(plan: Plan) -> None:
    """Write build/<profile>/keys and what parameters name; forget markers that no longer hold.

    Contents decide that, and not dates: every key is older than any marker, and no marker lies in the future, where a
    clock that was once ahead has put it.
    """
    files.write_json(plan.folder / identities.FILE, plan.contents)
    keys = {job.number: job.key for job in plan.notebooks.values()} | plan.jobs
    for name, key in keys.items():
        path = plan.folder / "keys" / f"{name}.key"
        text = json.dumps(key, indent=1, sort_keys=True).encode()
        if not path.exists() or path.read_bytes() != text:
            files.atomic_write(path, text)
        os.utime(path, (LONG_AGO, LONG_AGO))
    stale = [job.number for job in plan.notebooks.values() if not results.fresh(job)]
    stale += [name for name in plan.jobs if not _made(plan, name)]
    now = time.time()
    for marker in (plan.folder / "done").glob("*.json"):
        if marker.stem in stale:
            marker.unlink()
        elif marker.stat().st_mtime > now:
            os.utime(marker, (now, now))


def status(plan: Plan) -> dict[str, list[str]]:
    """{notebook: reasons why it must run}; an empty list means fresh. Nothing is written."""
    found = {}
    for name, job in plan.notebooks.items():
        last, now = results.remembered(job), results.state(job)
        if not last and job.memory.exists():
            found[name] = [f"{job.memory} cannot be read"]
            continue
        found[name] = staleness.reasons(last.get("key"), now["key"])
        found[name] += [
            f"results of {n} changed" for n in now["after"] if last and last["after"].get(n) != now["after"][n]
        ]
        found[name] = found[name] or staleness.some(results.spoilt(job))
    return found


def run(plan: Plan, chosen: list[str], cores: int, extra: str = "") -> int:
    """Run what is stale among `chosen` (if empty: all, or those whose parameters are changed); 0 if all of it is there
    at the end. extra: further options of Snakemake's, for a cluster."""
    # Snakemake shares the first lock, so that none of a killed run is left when it is free; the second is ours alone.
    alive = plan.folder / "alive.lock"
    with locks.lock(plan.folder / "run.lock", seconds=5) as held, locks.lock(alive, seconds=5) as own:
        if held is None or own is None:
            raise ValueError(
                f"another run of {plan.folder.name} is at work (its lock: {plan.folder / 'run.lock'}); wait for it"
            )
        mine = [n for n, job in plan.notebooks.items() if plan.profile not in OTHERS or results.photographs(job)]
        if changed := {text.partition(".")[0] for text in plan.given}:
            mine = [name for name in mine if name in changed]  # the others would only repeat the profile's results
        jobs = [plan.notebooks[params.resolve(name, plan.notebooks)] for name in chosen or mine]
        found = status(plan)
        for name, why in found.items():
            if why and plan.notebooks[name] in jobs:
                say(f"{name}: to run, since {'; '.join(why)}")
        left = waiting(plan, [job.notebook for job in jobs if found[job.notebook]])
        write_keys(plan)
        command = snakemake(plan, cores, extra) + [f"done/{job.number}.json" for job in jobs]
        environment = os.environ | child_environment(plan) | {"COMPANION_RUN": str(alive)}
        log = _log_file(plan, "snakemake")
        code = _supervise(command, environment, held, log, _Progress(plan, left, cores))
        for job in plan.notebooks.values():
            if job.marker.exists() and results.fresh(job) and results.publish(job, say):
                say(f"{job.notebook}: notebooks/ now holds the outputs of its last run")
        late = [job for job in jobs if not job.marker.exists()]
        failures = {job.number: plan.folder / "logs" / f"{job.number}.failure" for job in late}
        failures = {number: path.read_text().strip() for number, path in failures.items() if path.exists()}
        for job in late:
            before = [number for number in failures if f"done/{number}.json" in plan.needs[job.number]]
            waits = f"{job.notebook}: not run, since {', '.join(before)} failed"
            say(failures.get(job.number) or (waits if before else f"{job.notebook}: did not run to its end"))
        if (code or late) and not failures:
            say(f"Snakemake ended with {code}; the end of {log}:\n" + "\n".join(log.read_text().splitlines()[-15:]))
        if code == 0 and plan.profile != "smoke" and not plan.own and all(map(results.fresh, plan.notebooks.values())):
            processor.record(plan.profile)
        say(f"{len(jobs) - len(late)} of {len(jobs)} notebooks of {plan.folder.name} are up to date")
        return 1 if late or code else 0


def results_told(plan: Plan) -> str:
    """What a run with parameters of its own came to: its verdicts, from its own ledgers, and where its results are."""
    from lib.record import review  # here, since it loads what figures are drawn with

    done = [job for job in plan.notebooks.values() if results.fresh(job)]
    table = review.own(plan.profile, plan.folder / "figures", [job.number for job in done])
    what = plan.label or f"with {', '.join(plan.given) or 'nothing changed'}"
    lines = [f"Verdicts of this run alone, profile {plan.profile}, {what}:"]
    lines += ["", repr(table) if table.rows else "It recorded no claim.", ""]
    lines += [f"notebook  {job.copy}" for job in done]
    shown = sorted(plan.folder.glob("figures/*/*.png")) + sorted(plan.folder.glob("figures/*.png"))
    lines += [f"figures   {folder}" for folder in dict.fromkeys(path.parent for path in shown)]
    return "\n".join(lines)


def waiting(plan: Plan, stale: list[str]) -> dict[str, list[str]]:
    """{number of a notebook or name of a job: those that must be done before it} of all that the `stale` notebooks ask
    for and that is not there yet."""
    left, todo = {}, [name[:2] for name in stale]
    while todo:
        name = todo.pop()
        before = [Path(marker).stem for marker in plan.needs.get(name, [])]
        left[name] = before
        late = {other[:2] for other in stale} | {job for job in plan.jobs if not _made(plan, job)}
        todo += [one for one in before if one in late and one not in left]
    return left


def _made(plan: Plan, job: str) -> bool:
    try:
        return json.loads((plan.folder / "done" / f"{job}.json").read_text(encoding="utf-8")) == {"key": plan.jobs[job]}
    except (OSError, ValueError):
        return False


class _Progress:
    """Counts what begins and ends, and says after each end how much is left."""

    def __init__(self, plan: Plan, left: dict[str, list[str]], cores: int):
        self.left, self.all, self.cores, self.begun = dict(left), len(left), cores, {}
        self.seconds = progress.known(plan.folder, plan.profile)
        if left:
            say(f"{self.all} jobs to do, {progress.told(progress.rest(self.left, self.seconds, cores, {}))}")

    def hear(self, line: str) -> str:
        """The line of a job or a notebook, with the count behind it where it tells an end."""
        name, _, rest = line.partition(": ")
        name = name if name in self.left else name[:2]
        if name not in self.left:
            return line
        if rest == "begins":
            self.begun[name] = time.monotonic()
        if not rest.startswith("done in"):
            return line
        del self.left[name]
        running = {one: time.monotonic() - since for one, since in self.begun.items() if one in self.left}
        over = progress.rest(self.left, self.seconds, self.cores, running)
        behind = f", {progress.told(over)} left" if self.left else ""
        return f"{line} ({self.all - len(self.left)} of {self.all} jobs done{behind})"


def _supervise(command: list[str], environment: dict, held, log: Path, count: _Progress) -> int:
    """Exit code of Snakemake; the notebooks' lines go to the reader, its own talk stays in the log. It shares our lock.

    A file lies between it and us, since Snakemake would wait forever on the pipe of a run that was killed.
    """
    with open(log, "w", encoding="utf-8") as end:
        process = subprocess.Popen(command, env=environment, pass_fds=[held.fileno()], stdout=end, stderr=end)
    for caught in (signal.SIGTERM, signal.SIGINT):
        signal.signal(caught, lambda number, _: process.send_signal(signal.SIGTERM))
    with open(log, encoding="utf-8", errors="replace") as file:
        rest = ""
        while True:
            ended = process.poll() is not None
            *lines, rest = (rest + file.read()).split("\n")
            for line in lines:
                if line.startswith(OURS):
                    say(count.hear(line.removeprefix(OURS)))
            if ended:
                return process.returncode
            time.sleep(0.1)


def snakemake(plan: Plan, cores: int, extra: str = "") -> list[str]:
    """The command that runs what is stale, with `extra` options as in a shell. Its own lock is off: ours goes with the
    process, even a killed one."""
    # Outputs appear whole or not at all, so a file that Snakemake marks as incomplete after a kill is complete.
    return [
        *(
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(paths.ROOT / "Snakefile"),
            "--directory",
            str(plan.folder),
        ),
        *("--cores", str(cores), "--scheduler", "greedy", "--rerun-triggers", "mtime", "--keep-going"),
        *("--nolock", "--ignore-incomplete", "--quiet", "progress", "rules", "reason", "host"),
        *shlex.split(extra),
        "--config",
        f"profile={plan.profile}",
        f"given={json.dumps(plan.given, ensure_ascii=False)}",
        f"label={json.dumps(plan.label, ensure_ascii=False)}",
        "--",
    ]


def command(plan: Plan, verb: str, name: str) -> str:
    """The shell command of one job of the Snakefile."""
    given = [text for one in plan.given for text in ("-p", one)]
    more = ["--if-stale"] if verb == "execute" else []
    more += ["--label", plan.label] if plan.label else []
    return shlex.join(
        [sys.executable, "-m", "lib.running.runner", verb, name, "--profile", plan.profile, *more, *given]
    )


def child_environment(plan: Plan | None = None) -> dict[str, str]:
    """What makes a notebook's process repeatable: one thread, one hash seed, no settings of the user's. With a plan,
    where its processes find what its parameters name.

    glibc is told to keep the memory of large tensors for the next ones: else a third of the time goes into getting
    fresh pages from the system. Other C libraries ignore its two variables.
    """
    threads = (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    )
    os.environ.pop("MPLBACKEND", None)  # the kernel's own choice shows figures in the notebook
    told = {identities.VARIABLE: str(plan.folder / identities.FILE)} if plan else {}
    return (
        told
        | dict.fromkeys(threads, "1")
        | {
            "MALLOC_MMAP_THRESHOLD_": str(2**30),
            "MALLOC_TRIM_THRESHOLD_": str(2**27),
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": str(paths.ROOT),
            "PYTHONUTF8": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "IPYTHONDIR": str(paths.build() / "settings" / "ipython"),
            "MPLCONFIGDIR": str(paths.build() / "settings" / "matplotlib"),
            "COMPANION_FIGURES": str(paths.figures()),
            "COMPANION_BUILD": str(paths.build()),
            "COMPANION_NOTEBOOKS": str(paths.notebooks()),
        }
    )


def execute(plan: Plan, name: str, if_stale: bool = False) -> None:
    """Run one notebook here and now, stale or not, with its log in build/<profile>/logs.

    With `if_stale` it does not run again where the notebooks it reads were run again with the same results.
    """
    from lib.running import execution  # here, since Jupyter's libraries take longer to load than a plan to make

    job = plan.notebooks[params.resolve(name, plan.notebooks)]
    if if_stale and results.fresh(job):
        return results.mark(job)
    if identities.VARIABLE not in os.environ:  # no run has done it
        os.environ[identities.VARIABLE] = str(files.write_json(plan.folder / identities.FILE, plan.contents))
    failure = plan.folder / "logs" / f"{job.number}.failure"
    failure.unlink(missing_ok=True)
    with open(_log_file(plan, job.number), "w", encoding="utf-8") as file:
        try:
            execution.execute(
                job, lambda line: (say(line), file.write(f"{time.strftime('%X')} {line}\n"), file.flush())
            )
        except (results.Failed, OSError) as error:
            files.atomic_write(failure, f"{_sentence(error)}\n")
            file.write(f"{_sentence(error)}\n")
            raise


def job(plan: Plan, name: str) -> None:
    """Compute a shared artefact: lib.jobs.<name> with the profile and the values given, then its marker."""
    if name not in plan.jobs:
        raise ValueError(f"unknown job {name!r}{nearest.nearest(name, plan.jobs)}")
    say(f"{name}: begins")
    started = time.monotonic()
    given = [part for one in plan.given for part in ("-p", one)]
    sys.argv = [f"lib.jobs.{name}", "--profile", plan.profile, *given]
    runpy.run_module(f"lib.jobs.{name}", run_name="__main__")
    files.write_json(plan.folder / "done" / f"{name}.json", {"key": plan.jobs[name]})
    progress.keep(plan.folder, name, time.monotonic() - started)
    say(f"{name}: done in {time.monotonic() - started:.0f} s")


def _log_file(plan: Plan, name: str) -> Path:
    path = plan.folder / "logs" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def say(line: str) -> None:
    """A line for the reader, on stderr; marked where a run above passes it on."""
    mark = OURS if "COMPANION_RUN" in os.environ else ""
    sys.stderr.write("".join(f"{mark}{one}\n" for one in line.splitlines()))
    sys.stderr.flush()


def _sentence(error: Exception) -> str:
    """An error in words; one of the system, such as a full or a read-only disk, with the place and what helps."""
    if not isinstance(error, OSError) or not error.errno:
        return str(error)
    place = error.filename or f"{paths.build()} or {paths.figures()}"
    help = "make room there, make it writable, or name other folders in COMPANION_BUILD and COMPANION_FIGURES"
    return f"{place}: {error.strerror}; {help}"


def _folders() -> list[Path]:
    """Where relative paths on the command line are looked for: where `make` was called, and the current folder."""
    called = os.environ.get("COMPANION_FROM", "")
    return [*([Path(called)] if os.path.isabs(called) else []), Path.cwd()]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.running.runner", description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["run", "status", "execute", "job"])
    parser.add_argument("names", nargs="*", help="numbers or names of notebooks; if none, all that -p changes")
    parser.add_argument("--profile", default="embedded", help="smoke, embedded, ... (notebooks/profiles)")
    parser.add_argument("--cores", type=int, default=min(os.cpu_count() or 1, 4), help="notebooks at the same time")
    parser.add_argument("--snakemake", default="", metavar="OPTIONS", help="more of Snakemake's, such as an executor")
    parser.add_argument("-p", dest="given", action="append", default=[], metavar="NAME=VALUE", help="another value")
    parser.add_argument("--label", default="", help="names the folder of a run whose parameters are not the profile's")
    parser.add_argument("--verdicts", action="store_true", help="run: print the profile's verdicts when all is done")
    parser.add_argument("--if-stale", action="store_true", help="execute: not if nothing changed since its last run")
    options = parser.parse_intermixed_args(arguments)
    if options.verb in ("execute", "job"):
        os.environ.update(child_environment())
        for variable in ("IPYTHONDIR", "MPLCONFIGDIR"):
            os.makedirs(os.environ[variable], exist_ok=True)
        if os.environ.get("COMPANION_RUN"):
            locks.leave_with(os.environ["COMPANION_RUN"])
    try:
        if options.verb in ("run", "status"):
            options.given += given.split(os.environ.get("COMPANION_P", ""))
        chosen = options.names if options.verb in ("run", "status") else None
        made = plan(options.profile, options.given, chosen, options.label, _folders())
        if options.verb == "run":
            code = run(made, options.names, options.cores, options.snakemake)
            if made.own:
                sys.stdout.write(f"\n{results_told(made)}\n")
            elif options.verdicts and not code:
                from lib.record import review  # here, since it loads what figures are drawn with

                return review.main(["--profile", made.profile])
            return code
        if options.verb == "status":
            for name, why in status(made).items():
                say(f"{name}: {'to run, since ' + '; '.join(why) if why else 'fresh'}")
        for name in options.names if options.verb in ("execute", "job") else []:
            execute(made, name, options.if_stale) if options.verb == "execute" else job(made, name)
    except (ValueError, OSError, results.Failed) as error:
        told = "COMPANION_RUN" in os.environ and isinstance(error, results.Failed)  # the run tells it at its end
        say(f"{options.names[0]}: failed" if told else _sentence(error))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
