"""Training inside notebooks, in small, through the real runner: those that the smoke profile gives `retrain: true`.

Everything else that the smoke profile runs is run in full by tests/validate_notebooks.py.
"""

import os
import subprocess
import sys

from lib.base import paths
from lib.record import claims, ledger
from lib.running import params


def test_notebooks_train_what_they_read_from_nothing_to_claims(tmp_path, monkeypatch):
    values, entries = params.profile("smoke"), params.index()
    names = [name for name, entry in entries.items() if not entry["planned"] and values[name]["retrain"]]
    assert names
    figures, build = tmp_path / "figures", tmp_path / "build"
    environment = os.environ | {"COMPANION_FIGURES": str(figures), "COMPANION_BUILD": str(build)}
    command = [sys.executable, "-m", "lib.running.runner", "run", *names, "--profile", "smoke", "--cores", "2"]
    run = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    monkeypatch.setenv("COMPANION_FIGURES", str(figures))
    for name in names:
        written = ledger.read(name, "smoke")
        assert set(written["figures"]) == set(entries[name]["figures"])
        assert not claims.missing(name, "smoke")
    trained = sorted(path.stem for path in (build / "smoke/weights/01/cutouts").glob("*.safetensors"))
    assert {"lenet-0", "lenet-1", "alexnet-1", "reader-hue"} <= set(trained)
    again = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True)
    assert again.returncode == 0 and "begins" not in again.stdout + again.stderr  # nothing to do
