"""The set-up: one list of pins, the torchvision guard, and a .venv that `make` finishes from any state."""

import importlib.metadata
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from forked import Interpreter
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MISSING = "operator torchvision::nms does not exist"


def name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def pins(lines) -> dict[str, str]:
    rows = [line.split("#")[0].strip() for line in lines]
    return {name(row.split("==")[0]): row.split("==")[1] for row in rows if row}


DIRECT = pins(PROJECT["dependencies"])
EXTRAS = {extra: pins(rows) for extra, rows in PROJECT["optional-dependencies"].items()}
CONSTRAINTS = pins((ROOT / "constraints.txt").read_text().splitlines())


def test_every_requirement_is_pinned_exactly_and_once():
    rows = PROJECT["dependencies"] + [row for extra in PROJECT["optional-dependencies"].values() for row in extra]
    rows += [row for row in (ROOT / "constraints.txt").read_text().splitlines() if not row.startswith("#")]
    assert [row for row in rows if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", row)] == []
    names = [name(row.split("==")[0]) for row in rows]
    assert sorted(names) == sorted(set(names))


def needed() -> set[str]:
    """Every package that `pip install -e .[test]` brings, followed through what is installed."""
    todo, seen = [(one, "") for one in DIRECT | EXTRAS["test"]], set()
    while todo:
        package, extra = todo.pop()
        if (package, extra) in seen or re.match(r"nvidia-|triton$|cuda-", package):  # pinned by torch's own wheel
            continue
        seen.add((package, extra))
        for row in importlib.metadata.requires(package) or []:
            need = Requirement(row)
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                todo += [(name(need.name), one) for one in need.extras | {""}]
    return {one for one, _ in seen}


def test_what_is_installed_is_what_is_pinned():
    """Pins that only an extra needs may be absent; where they are there, they are those."""
    known = CONSTRAINTS | DIRECT | {name: pin for rows in EXTRAS.values() for name, pin in rows.items()}
    there = {name(one.name): one.version.split("+")[0] for one in importlib.metadata.distributions()}
    assert {one: there.get(one) for one in needed()} == {one: known.get(one) for one in needed()}
    wrong = {one: version for one, version in there.items() if one in known and version != known[one]}
    assert {one for one in wrong if one != "setuptools"} == set()


def test_constraints_leave_no_dependency_open():
    known = DIRECT | EXTRAS["test"] | CONSTRAINTS
    assert needed() - set(known) == set()
    assert needed() >= set(DIRECT)


def test_environment_yml_installs_from_the_same_two_files():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *plain, pip = environment["dependencies"]
    assert pip == {"pip": ["-c constraints.txt", "-e .[test]"]}
    assert plain == ["python=3.11", "pip"] and PROJECT["requires-python"] == "==3.11.*"
    assert environment["name"] == PROJECT["name"]


@pytest.mark.parametrize(
    "file",
    ["pyproject.toml", "constraints.txt", "environment.yml", "Makefile", ".ci/run", "Snakefile", "data/weights.txt"],
)
def test_no_address_of_a_registry_and_no_absolute_path(file):
    text = (ROOT / file).read_text().replace("#!/usr/bin/env", "").replace("/path/to/", "").replace("/dev/null", "")
    assert not re.search(r"https?://|--index-url|--extra-index|--find-links|(^|[\s'\"=])/[a-z]+/", text)


def test_ci_runs_make_test_and_nothing_else():
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash" and lines[-1] == "make test" and "set -e" in lines[1]
    assert (ROOT / ".ci/run").stat().st_mode & stat.S_IXUSR


def test_code_and_notebooks_are_clean_to_ruff():
    for arguments in (["check"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *arguments, "."], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


# --- the torchvision guard


ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory):
    """A Python that knows torch, and neither lib nor torchvision."""
    found = Interpreter("import torch\n", tmp_path_factory.mktemp("guard"), ENVIRONMENT)
    yield found
    found.close()


def stub(folder: Path, compiled: bool = False) -> str:
    """Code that finds a false torchvision, whose import fails like the real one's unless its operators are there."""
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text(
        "import torch\n"
        "for name in ('nms', 'qnms'):\n"
        "    if not hasattr(torch.ops.torchvision, name):\n"
        "        raise RuntimeError(f'operator torchvision::{name} does not exist')\n"
    )
    if compiled:
        (folder / "torchvision" / "_C.so").write_bytes(b"not a library")
    return f"import sys; sys.path.insert(0, {str(folder)!r})\n"


def test_guard_declares_missing_operators(tmp_path, interpreter):
    path = stub(
        tmp_path, compiled=True
    )  # a compiled file that cannot be loaded, as with the CUDA build beside a CPU torch
    assert MISSING in interpreter.run(path + "import torchvision").stderr
    done = interpreter.run(path + "import lib, torchvision\nprint(lib._TorchvisionGuard.schemas is not None)")
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


def test_guard_declares_nothing_where_the_operators_are_present(tmp_path, interpreter):
    own = (
        "import torch\nlibrary = torch.library.Library('torchvision', 'DEF')\n"
        "for name in ('nms', 'qnms'):\n"
        "    library.define(name + '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
    )
    done = interpreter.run(stub(tmp_path) + own + "import lib, torchvision\nprint(lib._TorchvisionGuard.schemas)")
    assert (done.stdout, done.returncode) == ("None\n", 0), done.stderr


def test_real_torchvision_works_after_lib_and_lib_alone_imports_nothing():
    code = (
        "import sys, lib\nassert 'torch' not in sys.modules\n"
        "import torch, torchvision\nfrom torchvision.transforms import v2\n"
        "net = torchvision.models.squeezenet1_1(weights=None).eval()\n"
        "shape = tuple(net(v2.Resize(64)(torch.zeros(1, 3, 70, 70))).shape)\n"
        "print(shape, any('Guard' in str(hook) for hook in sys.meta_path))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("(1, 1000) False\n", 0), done.stderr


def test_guard_leaves_other_failures_alone(tmp_path, interpreter):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("raise RuntimeError('something else')\n")
    done = interpreter.run(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport lib, torchvision")
    assert "RuntimeError: something else" in done.stderr


# --- make, from any state, with a stand-in for Python that only keeps a diary


@pytest.fixture
def clone(tmp_path):
    """A folder with the files that `make install` reads, and a false python3.11 that makes a false .venv."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for file in ("Makefile", "pyproject.toml", "constraints.txt", "data/weights.txt"):
        (folder / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    false = tmp_path / "python3.11"
    inner = '#!/bin/sh\ncase "$*" in *weights.txt*) echo weights >>diary; test ! -e offline;;\n'
    inner += "*pip*install*) echo pip >>diary; test ! -e broken;; esac\n"
    false.write_text(
        "#!/bin/sh\nif [ \"$1 $2\" = '-m venv' ]; then echo venv >>diary; mkdir -p .venv/bin; "
        f"cat >.venv/bin/python <<'END'\n{inner}END\nchmod +x .venv/bin/python; fi\n"
    )
    false.chmod(0o755)
    return folder


def make(folder: Path) -> tuple[int, list[str]]:
    """(exit code, what was done) of `make install`."""
    diary = folder / "diary"
    diary.write_text("")
    command = ["make", "-s", "install", "PYTHON=../python3.11"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.returncode, diary.read_text().split()


def test_make_installs_once_and_again_when_pins_change(clone):
    assert make(clone) == (0, ["venv", "pip", "weights"])
    assert make(clone) == (0, [])
    (clone / "constraints.txt").write_text("other==1\n")
    assert make(clone) == (0, ["pip", "weights"])
    assert make(clone) == (0, [])


def test_make_starts_over_after_an_interrupted_installation(clone):
    (clone / "broken").touch()
    assert make(clone) == (2, ["venv", "pip"])
    (clone / "broken").unlink()
    assert make(clone) == (0, ["venv", "pip", "weights"])
    (clone / "pyproject.toml").write_text("# changed\n")
    (clone / "broken").touch()
    assert make(clone) == (2, ["pip"])  # an update that breaks off leaves no mark of a finished environment
    (clone / "broken").unlink()
    assert make(clone) == (0, ["venv", "pip", "weights"])


def test_make_repairs_a_half_made_or_moved_environment(clone):
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "lib").touch()
    assert make(clone) == (0, ["venv", "pip", "weights"])
    moved = clone.rename(clone.with_name("moved"))
    assert make(moved) == (0, ["pip", "weights"])
    assert make(moved) == (0, [])


def test_make_goes_on_without_the_weights_that_do_not_come(clone):
    (clone / "offline").touch()
    assert make(clone) == (0, ["venv", "pip", "weights"])
    assert make(clone) == (0, [])


def test_make_says_when_there_is_no_python(clone):
    done = subprocess.run(["make", "-s", "install", "PYTHON="], cwd=clone, capture_output=True, text=True)
    assert done.returncode and "Python 3.11 was not found" in done.stdout


def test_make_help_names_every_command():
    text = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert [command for command in phony if not re.search(rf"^make {command} +\w", text, re.M)] == []


def test_a_start_does_not_load_the_compiler_of_torch(interpreter):
    done = interpreter.run(
        "import sys\nfrom lib.base.repeatable import repeatable\nfrom lib.networks import segnet\n"
        "repeatable(0)\nx = torch.zeros(1, 2, 2, 2)\n"
        "segnet.unpool(x, torch.arange(8).reshape(1, 2, 2, 2) % 4)\n"
        "print(torch.are_deterministic_algorithms_enabled(), 'torch._dynamo' in sys.modules)"
    )
    assert (done.stdout, done.returncode) == ("True False\n", 0), done.stderr
