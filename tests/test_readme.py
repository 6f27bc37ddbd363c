"""The examples of the README run: in small, on an untrained AlexNet described by a spec file."""

import re
import textwrap

import pytest
from conftest import ROOT

from lib.worlds import cutouts

SMALL = {  # what an example asks for -> what is enough to see that it runs
    "placed.entered(mine)": "placed.entered(mine, steps=1, n_test=40, families=['lenet'], progress=False)",
    '"train", 6000': '"train", 64',
    "Recipe()": "Recipe(epochs=1)",
    "pictures[:500], generators.Recipe(epochs=10)": "pictures[:16], generators.Recipe(epochs=1, epoch=32, batch=16)",
    "steps=100": "steps=2",
    "steps=80": "steps=2",
    "count=10": "count=2",
    "penalty=(0, 0), steps=60": "penalty=(0, 0), steps=2",
}
README = (ROOT / "README.md").read_text()


def blocks(kind: str) -> list[str]:
    return [textwrap.dedent(block) for block in re.findall(rf"```{kind}\n(.*?)```", README, re.S)]


def file(name: str) -> str:
    """The file that the README prints under this name, which its first line says."""
    return next(block for kind in ("yaml", "python") for block in blocks(kind) if block.startswith(f"# {name}"))


BLOCKS = [block for block in blocks("python") if not block.startswith("# mine.py")]


@pytest.mark.parametrize(
    "block", BLOCKS, ids=[re.search(r"\n(\w+) = ", block)[1] + str(k) for k, block in enumerate(BLOCKS)]
)
def test_example_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mine.yaml", "mine.py"):
        (tmp_path / name).write_text(file(name))
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
