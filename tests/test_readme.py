"""The examples of the README run: in small, on an untrained AlexNet described by a spec file."""

import re
import textwrap

import pytest
from conftest import ROOT

from lib.worlds import cutouts

SPEC = "factory: net.py:build\nsize: 64\nlayers: {conv3: conv3.relu, conv4: conv4.relu, fc6: fc6.relu}\n"
NET = "from lib.networks import zoo\n\ndef build():\n    return zoo.build('alexnet')\n"
SMALL = {  # what an example asks for -> what is enough to see that it runs
    "placed.entered(mine)": "placed.entered(mine, steps=1, n_test=40, families=['lenet'], progress=False)",
    '"train", 6000': '"train", 64',
    "Recipe()": "Recipe(epochs=1)",
    "pictures[:500], generators.Recipe(epochs=10)": "pictures[:16], generators.Recipe(epochs=1, epoch=32, batch=16)",
    "build((256,))": "build((128,))",
    "steps=100": "steps=2",
    "steps=80": "steps=2",
    '"layer4.1"': '"conv4"',
    "count=10": "count=2",
    "penalty=(0, 0), steps=60": "penalty=(0, 0), steps=2",
}
BLOCKS = [
    textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
]


@pytest.mark.parametrize(
    "block", BLOCKS, ids=[re.search(r"\n(\w+) = ", block)[1] + str(k) for k, block in enumerate(BLOCKS)]
)
def test_example_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(SPEC)
    (tmp_path / "net.py").write_text(NET)
    for large, small in SMALL.items():
        block = block.replace(large, small)
    exec(compile(block, "README.md", "exec"), {"__name__": "example"})


def test_every_link_of_the_readme_leads_somewhere():
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target


def test_the_world_of_the_readme_is_the_default():
    assert (
        "cutouts.World(shape=0.8, texture=0.7, hue=0.6, radius=(11, 17), rotation=30, clutter=3"
        in (ROOT / "README.md").read_text()
    )
    world = cutouts.World()
    assert (world.shape, world.texture, world.hue, world.radius, world.rotation, world.clutter) == (
        0.8,
        0.7,
        0.6,
        (11, 17),
        30,
        3,
    )
