"""Run every committed notebook again with nbval, in an empty temporary root, and compare with the committed outputs.

--lax     cells tagged nbval-check-output (verdicts, shapes, names, orders) but for measured numbers, which differ
          between processors: those of claims are compared in the ledgers, each within its claim's tolerance; every
          other cell must run without an error
--strict  every output but pictures; only where the processor is the one recorded in figures/processor.json
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lib.base import paths, processor  # noqa: E402
from lib.record import claims  # noqa: E402
from lib.running import params, runner  # noqa: E402


def stages() -> list[list[Path]]:
    """Written notebooks, in two groups: those that stand alone, and those that read the ledgers of others."""
    entries = {name: entry for name, entry in params.index().items() if not entry["planned"]}
    first = [paths.notebooks() / f"{name}.ipynb" for name in entries if not entries[name]["after"]]
    last = [paths.notebooks() / f"{name}.ipynb" for name in entries if entries[name]["after"]]
    return [stage for stage in (first, last) if stage]


def pytest_command(stage: list[Path], strict: bool, processes: int) -> list[str]:
    """nbval over one group; one process takes a whole notebook, and cells keep their order."""
    workers = ["-n", str(min(processes, len(stage))), "--dist", "loadscope"] if min(processes, len(stage)) > 1 else []
    return [
        *(sys.executable, "-m", "pytest", "--nbval" if strict else "--nbval-lax", "--nbval-current-env"),
        *("--nbval-cell-timeout", "900", "--nbval-kernel-startup-timeout", "120"),
        *(
            "--nbval-sanitize-with",
            str(ROOT / "tests" / ("sanitize.cfg" if strict else "sanitize_lax.cfg")),
            "-p",
            "no:cacheprovider",
            "-q",
            "--durations=5",
        ),
        *workers,
        *map(str, stage),
    ]


def recorded_here() -> str:
    """Empty if the committed outputs were made on this kind of processor; else a sentence."""
    path = paths.ROOT / "figures" / "processor.json"
    known = json.loads(path.read_text()).get("embedded") if path.exists() else None
    if known == processor.kind():
        return ""
    return f"the committed outputs were made on {known}, and this is {processor.kind()}: the bytes may differ"


def moved(profile: str = "embedded") -> list[str]:
    """What the run recorded otherwise than the committed ledgers, beyond a claim's tolerance: a line a number."""
    lines = []
    for path in sorted((paths.committed_figures() / profile).glob("*_ledger.json")):
        new = paths.figures() / profile / path.name
        if not new.exists():
            lines.append(f"{path.name}: not written")
            continue
        lines += map(str, claims.compare(json.loads(path.read_text()), json.loads(new.read_text())))
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--lax", action="store_true")
    kind.add_argument("--strict", action="store_true")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    elsewhere = recorded_here() if options.strict else ""
    if elsewhere:
        print(f"skipped: {elsewhere}; `make test` compares what must be the same everywhere")
        return 0
    with tempfile.TemporaryDirectory(prefix="companion-notebooks-") as root:
        os.environ["COMPANION_FIGURES"], os.environ["COMPANION_BUILD"] = f"{root}/figures", f"{root}/build"
        environment = os.environ | runner.child_environment()
        for variable in ("IPYTHONDIR", "MPLCONFIGDIR"):
            os.makedirs(environment[variable])
        plan = runner.plan("embedded")
        plan.folder.mkdir(parents=True)
        shared = runner.snakemake(plan, options.processes) + [f"done/{job}.json" for job in plan.jobs]
        subprocess.run(shared, env=environment, cwd=ROOT, check=True)
        codes = [
            subprocess.run(
                pytest_command(stage, options.strict, options.processes), env=environment, cwd=ROOT
            ).returncode
            for stage in stages()
        ]
        lines = moved()
        print(f"{len(lines)} numbers of claims left the committed ones by more than their tolerance", *lines, sep="\n")
        return max(*codes, bool(lines))


if __name__ == "__main__":
    raise SystemExit(main())
