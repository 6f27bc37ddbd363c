"""The smoke profile through a real batch system: one node of SLURM on this machine (Debian: slurm-wlm, munge)."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.base import paths

CONF = Path("/etc/slurm/slurm.conf")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
OPTIONS = (
    "--executor slurm --jobs 2 --default-resources mem_mb=2000 runtime=30 --slurm-no-account "
    "--slurm-status-command squeue --slurm-init-seconds-before-status-checks 5"
)
SETTINGS = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
MinJobAge=300
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=here Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture
def node(tmp_path):
    """One node of SLURM while the test runs, by the rules of Debian's packages; skips where that is not possible."""
    if lacking := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"no {', '.join(lacking)}: apt-get install slurm-wlm munge")
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("no snakemake-executor-plugin-slurm: pip install -c constraints.txt -e '.[slurm]'")
    if os.geteuid() != 0:
        pytest.skip("SLURM's daemons are started as root, and this is another user")
    if CONF.exists():
        pytest.skip(f"{CONF} belongs to a cluster of this machine's, which is left alone")
    folder = Path(f"/run/companion-slurm-{os.getpid()}")  # munge wants a folder that others cannot write into
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    names = {"key-file": key} | {f"{what}-file": folder / f"munge.{what}" for what in ("pid", "log", "seed")}
    options = [f"--{name}={path}" for name, path in names.items()]
    CONF.write_text(SETTINGS.format(host=socket.gethostname(), folder=folder))
    try:
        subprocess.run(["munged", "--force", f"--socket={folder}/munge.socket", *options], check=True, timeout=60)
        for daemon in ("slurmctld", "slurmd"):
            subprocess.run([daemon], check=True, timeout=60)
        for _ in range(60):
            found = subprocess.run(["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, timeout=60)
            if found.stdout.strip() == "idle":
                break
            time.sleep(0.5)
        else:
            pytest.skip(f"SLURM's node did not become idle here: {found.stdout}{found.stderr}")
        yield
    finally:
        for file in ("slurmd.pid", "slurmctld.pid", "munge.pid"):
            if (folder / file).exists():
                subprocess.run(["kill", (folder / file).read_text().strip()], timeout=60)
        CONF.unlink()
        shutil.rmtree(folder, ignore_errors=True)


def test_notebooks_run_as_jobs_of_a_cluster(node, tmp_path):
    environment = os.environ | {"COMPANION_BUILD": str(tmp_path / "build"), "COMPANION_FIGURES": str(tmp_path / "f")}
    command = [sys.executable, "-m", "lib.running.runner", "run", "00", "09", "--profile", "smoke"]
    command.append(f"--snakemake={OPTIONS}")
    done = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 notebooks of smoke are up to date" in done.stderr
    assert (tmp_path / "f" / "smoke" / "09_ledger.json").exists()
    log = (tmp_path / "build" / "smoke" / "logs" / "snakemake.log").read_text()
    assert log.count("has been submitted with SLURM jobid") == 2
