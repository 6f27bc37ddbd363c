"""Every written notebook under the smoke profile, through the real runner: retraining paths included."""

import os
import subprocess
import sys

from lib.base import paths
from lib.record import claims, ledger
from lib.running import params


def test_the_smoke_profile_runs_from_training_to_review(tmp_path, monkeypatch):
    figures, build = tmp_path / "figures", tmp_path / "build"
    environment = os.environ | {"COMPANION_FIGURES": str(figures), "COMPANION_BUILD": str(build)}
    command = [sys.executable, "-m", "lib.running.runner", "run", "--profile", "smoke", "--cores", "2"]
    run = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    monkeypatch.setenv("COMPANION_FIGURES", str(figures))
    for name, entry in params.index().items():
        if not entry["planned"]:
            written = ledger.read(name, "smoke")
            assert set(written["figures"]) == set(entry["figures"])
            assert not claims.missing(name, "smoke") or name in ("00_overview", "15_review")
    trained = sorted(path.stem for path in (build / "smoke/weights/01/cutouts").glob("*.safetensors"))
    assert {"lenet-0", "lenet-1", "alexnet-1", "reader-hue"} <= set(trained)
    again = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True)
    assert again.returncode == 0 and "begins" not in again.stdout + again.stderr  # nothing to do
