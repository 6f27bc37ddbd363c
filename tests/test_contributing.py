"""What CONTRIBUTING.md and the answers say: their links lead somewhere, their examples do what the text says."""

import importlib.util
import json
import re
import textwrap

import numpy as np
import pytest
import torch
from conftest import ROOT

from lib.networks import zoo
from lib.record import claims
from lib.worlds import cutouts

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ANSWERS = (ROOT / "notebooks" / "answers.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def block(beginning: str) -> str:
    """The fenced block that holds `beginning`, without its fence and its indentation."""
    found = [one for one in re.findall(r"```\w+\n(.*?)```", TEXT, re.S) if beginning in one]
    return textwrap.dedent(found[0])


def run(source: str, namespace: dict) -> dict:
    exec(compile(source, "CONTRIBUTING.md", "exec"), namespace)
    return namespace


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "notebooks/answers.md"])
def test_every_link_leads_somewhere(name):
    for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", (ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / name).parent.joinpath(target).exists(), target


def test_every_place_on_this_page_that_is_pointed_to_is_there():
    heads = {
        re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", TEXT, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= heads


def test_the_picture_of_the_rooms_is_in_sight():
    assert "](figures/house.png)" in TEXT and "python -m lib.running.house" in TEXT


def test_every_command_is_there():
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"make ([a-z][a-z-]+)", " ".join(re.findall(r"`[^`]+`|^make .*$", TEXT, re.M)))) <= made
    example = {"lib.training.make_gratings"}
    for module in set(re.findall(r"python -m (lib[\w.]+)", TEXT)) - example:
        assert importlib.util.find_spec(module), module
    for path in re.findall(r"tests/test_\w+\.py", TEXT):
        assert (ROOT / path).is_file(), path


def test_it_was_tried_and_says_how_long_it_took():
    assert len(re.findall(r"^\*Tried: .*\b(second|minute)s?\b", TEXT, re.M)) == 4 and "@@" not in TEXT + ANSWERS


def test_the_example_of_a_claim_is_one_and_its_rule_decides_as_it_says(tmp_path):
    (tmp_path / "claims.yaml").write_text(block("E16:"))
    part = claims.load(tmp_path / "claims.yaml")["E16"]["parts"]["E16"]
    assert set(part["examples"]) == set(claims.VERDICTS)
    for wanted, example in part["examples"].items():
        seeds = [{"seed": seed} | example for seed in range(part["seeds"])]
        assert claims.verdict(part, example["value"], example["interval"], seeds=seeds) == wanted


def test_the_example_of_a_measure_counts_what_a_moved_picture_changes():
    namespace = run("from lib.networks import interface\n" + block("def same_answer"), {})
    pictures = cutouts.render(cutouts.World(), "test", range(20))
    net = zoo.network("lenet", 0)
    assert namespace["same_answer"](net, pictures, 0).tolist() == [1.0] * 20
    moved = namespace["same_answer"](net, pictures, 16)
    assert set(moved) <= {0.0, 1.0} and moved.mean() < 1


def test_the_example_of_a_family_has_its_layers():
    namespace = run(block("def allconv"), dict(vars(zoo)))
    model = namespace["allconv"](10).eval()
    layers = eval("{" + block('"allconv": {') + "}", dict(vars(zoo)))["allconv"]
    modules = dict(model.named_modules())
    assert set(layers.values()) <= set(modules)
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 10)
    assert isinstance(modules[layers["conv3"]], torch.nn.ReLU)


def test_the_example_of_a_world_gives_a_batch_of_its_own_for_each_split():
    namespace = run(block("Gratings, ours"), {})
    train, test = (namespace["pictures"](split, 30) for split in ("train", "test"))
    like = cutouts.render(cutouts.World(), "test", range(30))
    assert [(a.shape[1:], a.dtype) for a in test] == [(b.shape[1:], b.dtype) for b in like]
    assert np.array_equal(train.images, namespace["pictures"]("train", 30).images)
    assert not np.array_equal(train.images, test.images) and set(test.labels) <= set(range(10))


def asked() -> dict[str, list[str]]:
    """What each notebook says under "Try next", an item each, by the notebook's number."""
    found = {}
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        items = re.findall(r"^\* (.*)$", text.split("## Try next")[1], re.M)
        found[path.stem[:2]] = items
    return found


def test_every_item_of_every_try_next_has_an_answer():
    parts = re.split(r"^## (\d\d) ", ANSWERS, flags=re.M)
    answered = dict(zip(parts[1::2], parts[2::2], strict=True))
    for number, items in asked().items():
        given = re.findall(r"^\* \*\*(.*?)\*\* (.+)$", answered[number], re.M)
        assert len(given) == len(items), f"{number}: {len(items)} things to try, {len(given)} answers"
        for (question, answer), item in zip(given, items, strict=True):
            first = re.sub(r"\W+", " ", item).split()[:2]
            assert re.sub(r"\W+", " ", question).split()[:2] == first, f"{number}: {question!r} answers {item!r}"
            assert re.search(r"\d", answer) or "Not run" in answer, (
                f"{number}: no number, and not said that it was not run"
            )
