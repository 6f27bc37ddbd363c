"""One identity, one key: whatever decides an answer is in the key of the cache, derived and never typed."""

import functools
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import nn

from lib.base import cache, closure, files, identity, paths
from lib.experiments.shared import answers, through_autoencoders
from lib.networks import catalogue, interface, segnet, zoo
from lib.worlds import cutouts

NET = """
import torch
from torch import nn
from beside import factor

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.flat, self.fc = nn.Flatten(), nn.Linear(3 * 64 * 64, 10)

    def forward(self, x):
        return self.fc(self.flat(x)) * factor()

def build():
    torch.manual_seed(0)
    return Net()
"""
SPEC = "factory: net.py:build\nsize: 64\nmean: [0.5, 0.5, 0.5]\nstd: [0.2, 0.2, 0.2]\n"


@pytest.fixture
def pictures() -> cutouts.Batch:
    return cutouts.batch(cutouts.World(), "test", 4)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path / "build"))
    for name, text in (("net.py", NET), ("mine.yaml", SPEC), ("beside.py", "def factor():\n    return 1.0\n")):
        (tmp_path / name).write_text(text)
    return tmp_path


def load(folder) -> interface.Network:
    sys.modules.pop("beside", None)
    return catalogue.load(folder / "mine.yaml")


def kept(folder, kind: str) -> int:
    return len(list((folder / "build/cache" / kind).glob("*.arrays")))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("mine.yaml", "mean: [0.5, 0.5, 0.5]", "mean: [0.4, 0.5, 0.5]"),
        ("mine.yaml", "std: [0.2, 0.2, 0.2]", "std: [0.2, 0.2, 0.3]"),
        ("net.py", "* factor()", "* factor() * 2"),
        ("beside.py", "return 1.0", "return 2.0"),
        ("net.py", "manual_seed(0)", "manual_seed(1)"),
    ],
)
def test_an_edited_network_is_asked_again(mine, pictures, file, old, new):
    """Only weights and repr(model) used to count: an edited mean, forward pass or neighbour got the old answers."""
    before = answers.probabilities(load(mine), pictures)
    np.testing.assert_array_equal(before, answers.probabilities(load(mine), pictures))
    assert kept(mine, "answers") == 1
    (mine / file).write_text((mine / file).read_text().replace(old, new))
    after = answers.probabilities(load(mine), pictures)
    assert kept(mine, "answers") == 2
    assert not np.array_equal(before, after)


def test_an_edited_network_reads_every_signal_again(mine, pictures):
    made = segnet.build(segnet.Shape((4,), (1,)))
    before = through_autoencoders.answers(made, [load(mine)], pictures)[0]
    (mine / "mine.yaml").write_text(SPEC.replace("0.5, 0.5, 0.5", "0.1, 0.2, 0.3"))
    after = through_autoencoders.answers(made, [load(mine)], pictures)[0]
    assert kept(mine, "signals") == 2 and not np.array_equal(before, after)


def test_class_names_size_and_layers_count(mine):
    net = load(mine)
    other = net._replace(classes=tuple("abcdefghij"))
    assert identity.digest(net) == identity.digest(load(mine)) != identity.digest(other)
    assert identity.digest(net) != identity.digest(net._replace(layers={"conv1": "fc"}))


def run_in(folder, code: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(folder), "COMPANION_BUILD": str(folder / "build")}
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True)


def test_an_edited_regulariser_makes_the_images_again(tmp_path):
    """In a copy of lib, since the code of this process stays what it was when the process began."""
    shutil.copytree(ROOT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "from lib.experiments.shared import class_images as made; from lib.networks import zoo; "
        "net = zoo.network('lenet', stage='step0'); "
        "made.make(net, made.SINGLES[0]._replace(progress=2.0), made.SELECTION, 1, 1, 0)"
    )
    run_in(tmp_path, code)
    run_in(tmp_path, code)
    assert kept(tmp_path, "class_images") == 1
    path = tmp_path / "lib/methods/ascent/regularisers.py"
    path.write_text(path.read_text() + "\nCHANGED = True\n")
    run_in(tmp_path, code)
    assert kept(tmp_path, "class_images") == 2
    path = tmp_path / "lib/networks/zoo.py"
    path.write_text(path.read_text().replace("(images - 0.5) / 0.25", "(images - 0.5) / 0.3"))
    run_in(tmp_path, code)
    assert kept(tmp_path, "class_images") == 3


def test_another_version_of_torch_is_another_key(monkeypatch):
    cache._ours.cache_clear()
    before = cache.code_of(answers.probabilities)
    assert before["torch"] == importlib.metadata.version("torch") and "lib/networks/interface.py" in before
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9" if name == "torch" else version(name))
    cache._ours.cache_clear()
    assert cache.code_of(answers.probabilities) == before | {"torch": "9.9"}
    cache._ours.cache_clear()


def test_the_key_covers_what_a_function_is_bound_to():
    def scaled(factor):
        return lambda images: images * factor

    assert identity.digest(scaled(1)) == identity.digest(scaled(1)) != identity.digest(scaled(2))
    one, two = (functools.partial(torch.clamp, max=top) for top in (1.0, 2.0))
    assert identity.digest(one) != identity.digest(two)
    assert identity.digest(lambda x: x + 1) != identity.digest(lambda x: x + 2)


def test_the_key_covers_attributes_buffers_and_structure():
    class Scaled(nn.Module):
        def __init__(self, factor, stride=1, table=0.0):
            super().__init__()
            self._factor, self.conv = factor, nn.Conv2d(1, 1, 1, stride)
            self.register_buffer("table", torch.tensor(table), persistent=False)
            nn.init.ones_(self.conv.weight), nn.init.zeros_(self.conv.bias)

    plain = identity.digest(Scaled(2.0))
    assert plain == identity.digest(Scaled(2.0))
    assert len({plain, *map(identity.digest, (Scaled(3.0), Scaled(2.0, stride=2), Scaled(2.0, table=1.0)))}) == 4
    hooked = Scaled(2.0)
    hooked.conv.register_forward_hook(lambda *_: None)
    assert identity.digest(hooked) != plain


def test_arrays_differ_by_content_shape_and_type():
    values = [np.zeros(4, np.float32), np.zeros(4, np.float64), np.zeros((2, 2), np.float32), np.ones(4, np.float32)]
    values += [torch.from_numpy(one) for one in values]
    assert len({identity.digest(one) for one in values}) == len(values)


def test_what_has_no_content_is_refused():
    with pytest.raises(TypeError, match="generator has no identity"):
        identity.of({"rows": (row for row in [])})


def test_a_thing_that_holds_itself_ends():
    class Loop:
        pass

    loop = Loop()
    loop.me = loop
    assert identity.of(loop)["me"] == "itself"


def test_the_state_digest_is_that_of_the_committed_weights():
    net = zoo.network("lenet", 0)
    model = zoo.build("lenet", seed=0)
    assert identity.state_digest(model) != identity.state_digest(net.model)
    model.load_state_dict(net.model.state_dict())
    assert identity.state_digest(model) == identity.state_digest(net.model)


def test_closure_follows_imports_wherever_they_stand(tmp_path):
    for name, text in {
        "__init__": "",
        "a/__init__": "",
        "a/one": "def f():\n    from lib.a import two\n",
        "a/two": "from lib.b.three import x\nSTYLE = 'look.mplstyle'\n",
        "a/other": "",
        "b/__init__": "import lib.a.other\n",
        "b/three": "x = 1\n",
    }.items():
        (tmp_path / "lib" / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lib" / f"{name}.py").write_text(text)
    (tmp_path / "lib/a/look.mplstyle").write_text("figure.dpi: 100")
    found = closure.closure(["from lib.a import one\n%matplotlib inline"], tmp_path)
    every = ["__init__.py", "a/__init__.py", "a/look.mplstyle", "a/one.py", "a/other.py", "a/two.py", "b/__init__.py"]
    assert list(found) == [f"lib/{name}" for name in [*every, "b/three.py"]]
    (tmp_path / "lib/b/three.py").write_text("x = 20\n")
    assert closure.closure(["from lib.a import one"], tmp_path)["lib/b/three.py"] == files.sha256(b"x = 20\n")


def test_every_module_of_lib_has_a_closure_that_exists():
    for path in (ROOT / "lib").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found = closure.of_modules(name)
        assert str(path.relative_to(ROOT)) in found and all((paths.ROOT / one).is_file() for one in found)


TYPED = """
import torch
from torch import nn

MEAN = 0.5

def inner(x):
    return x * 1.0

def preprocess(images):
    return inner(images) - MEAN

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(12, 2)
        nn.init.ones_(self.fc.weight), nn.init.zeros_(self.fc.bias)

    def forward(self, x):
        return self.fc(x.flatten(1)) * 1.0
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("MEAN = 0.5", "MEAN = 0.4"),
        ("return x * 1.0", "return x * 3.0"),
        (".flatten(1)) * 1.0", ".flatten(1)) * 2.0"),
        ("inner(images) - MEAN", "inner(images) + MEAN"),
    ],
)
def test_what_is_typed_into_a_notebook_is_known_by_what_it_says(old, new, monkeypatch):
    """It stands in no file: two cells with the same names and weights used to be one network."""

    def wrapped(text: str) -> str:
        cell = {"__name__": "typed"}  # a module without a file, as a notebook's own
        exec(compile(text, "<cell>", "exec"), cell)
        return identity.digest(interface.wrap(cell["Net"](), name="mine", size=2, preprocess=cell["preprocess"]))

    assert old in TYPED and wrapped(TYPED) == wrapped(TYPED) != wrapped(TYPED.replace(old, new))


def test_a_function_from_elsewhere_depends_on_all_of_lib():
    found = cache.code_of(dict)
    assert found.keys() >= closure.everything().keys() | {"function", "torch"}


def test_attributes_in_slots_count_and_strange_ones_by_their_content():
    class Slotted:
        __slots__ = ("factor",)

        def __init__(self, factor):
            self.factor = factor

    class Holds(nn.Module):
        def __init__(self, held):
            super().__init__()
            self.held = held

    assert identity.digest(Slotted(1)) == identity.digest(Slotted(1)) != identity.digest(Slotted(2))
    kinds = [Holds(Slotted(1)), Holds(Slotted(2)), Holds(re.compile("a")), Holds(re.compile("b"))]
    assert len({*map(identity.digest, kinds)}) == len(kinds)
