"""One thread, and temporary folders for all that tests write: committed figures and caches stay as they are."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ |= {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**27)}  # as the runner does
SCRATCH = Path(tempfile.mkdtemp(prefix="companion-tests-"))
os.environ["COMPANION_FIGURES"] = str(SCRATCH / "figures")
os.environ["COMPANION_BUILD"] = str(SCRATCH / "build")
for variable in ("NOTEBOOKS", "WEIGHTS", "RUN", "FOLDER", "P", "FROM"):
    os.environ.pop(f"COMPANION_{variable}", None)

import lib.running  # noqa: E402, F401, I001 (first, since nbformat then loads in half the time)
import matplotlib  # noqa: E402
import nbformat  # noqa: E402
import pytest  # noqa: E402
import yaml  # noqa: E402
from forked import Interpreter  # noqa: E402

matplotlib.use("agg")
ROOT = Path(__file__).resolve().parent.parent
PARAMETERS = """
profile = "embedded"  # set of parameters
seed = 0  # seed
device = "cpu"  # where tensors live
retrain = False  # train from scratch
"""


LONG = ("test_runner", "test_runs", "test_faults", "test_train", "test_signals")  # files that the workers take first


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem not in LONG)


def pytest_sessionfinish():
    if RUNNER:
        RUNNER.pop().close()
    shutil.rmtree(SCRATCH, ignore_errors=True)


@pytest.fixture(autouse=True)
def plain_matplotlib():
    """What a test sets for drawing (the companion's style, say) ends with it: the order of tests decides nothing."""
    with matplotlib.rc_context():
        yield


def heed_interrupts() -> None:
    """In a child: Ctrl-C works even where the tests themselves run in a background that ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


RUNNER: list[Interpreter] = []  # a Python with the runner and papermill loaded, made by the first test that wants it


def runner_process() -> Interpreter:
    if not RUNNER:
        first = "import lib.running.runner, lib.running.execution, lib.record.claims, papermill, os\n"
        (SCRATCH / "runner").mkdir()
        RUNNER.append(Interpreter(first, SCRATCH / "runner", os.environ | {"PYTHONPATH": str(ROOT)}))
    return RUNNER[0]


class Project:
    """A project of tiny notebooks in a temporary folder, run by the real runner in real processes."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.notebooks, self.build, self.figures = folder / "notebooks", folder / "build", folder / "figures"
        (self.notebooks / "profiles").mkdir(parents=True)
        common = yaml.safe_load((ROOT / "notebooks" / "index.yaml").read_text())["every_notebook"]
        self.index = {"every_notebook": common}
        every = {"seed": 0, "device": "cpu", "retrain": False}
        self.profiles = {name: {"every_notebook": {"profile": name} | every} for name in ("embedded", "smoke")}
        self.save()

    def save(self):
        (self.notebooks / "index.yaml").write_text(yaml.safe_dump(self.index))
        for name, values in self.profiles.items():
            (self.notebooks / "profiles" / f"{name}.yaml").write_text(yaml.safe_dump(values))

    def add(self, name: str, cells: list[str], parameters: dict | None = None, **entry) -> Path:
        """A notebook: a parameters cell, the given code cells (prose where a text begins with '#:'), and its entry."""
        lines = "".join(f"{key} = {value!r}  # a number\n" for key, value in (parameters or {}).items())
        new = nbformat.v4
        first = new.new_code_cell((PARAMETERS.lstrip() + lines).strip(), metadata={"tags": ["parameters"]})
        rest = [new.new_markdown_cell(text[2:]) if text.startswith("#:") else new.new_code_cell(text) for text in cells]
        book = new.new_notebook(cells=[first, *rest])
        for place, cell in enumerate(book.cells):
            cell["id"] = f"cell-{place}"
        path = self.notebooks / f"{name}.ipynb"
        nbformat.write(book, path)
        rules = {
            key: {"type": type(value).__name__, "meaning": "a number"} for key, value in (parameters or {}).items()
        }
        self.index[name] = {"title": name, "reproduces": "nothing", "parameters": rules} | entry
        self.profiles["embedded"][name] = dict(parameters or {})
        self.save()
        return path

    def environment(self) -> dict:
        folders = {"FIGURES": self.figures, "BUILD": self.build, "NOTEBOOKS": self.notebooks}
        return os.environ | {f"COMPANION_{name}": str(folder) for name, folder in folders.items()}

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        command = [sys.executable, "-m", "lib.running.runner", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        options = pipes | {"preexec_fn": heed_interrupts} | options
        return subprocess.Popen(command, cwd=ROOT, **({"env": self.environment()} | options))

    def run(self, *arguments: str, **options) -> tuple[int, str]:
        """(exit code, what was printed) of `python -m lib.running.runner run ...`."""
        process = self.start("run", "--cores", "2", *arguments, **options)
        text, _ = process.communicate(timeout=120)
        return process.returncode, text

    def here(self, *arguments: str) -> tuple[int, str]:
        """As the command line of the runner, in a fork of a Python that has loaded it: for what needs no Snakemake."""
        code = f"os.environ.update({self.environment()!r})\nos.chdir({str(ROOT)!r})\n"
        done = runner_process().run(f"import os\n{code}raise SystemExit(lib.running.runner.main({list(arguments)!r}))")
        return done.returncode, done.stdout + done.stderr

    def contents(self) -> dict[str, bytes]:
        """Every file of the figures and notebooks folders, to see that nothing changed."""
        found = [path for folder in (self.figures, self.notebooks) for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def ledger(self, number: str, profile: str = "embedded") -> dict:
        return json.loads((self.figures / profile / f"{number}_ledger.json").read_text())


@pytest.fixture(autouse=True)
def kernels_of_any_kind_afterwards():
    """A test that makes this process repeatable does not forbid kernels to the next one."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_deterministic_debug_mode("default")


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)
