"""Parameters: the index, the profiles and the notebooks' own cells agree, and a wrong value gets a sentence."""

import ast
import json
import os
import re
from subprocess import CompletedProcess

import papermill
import pytest
import yaml
from conftest import ROOT
from forked import Interpreter

from lib.networks import zoo
from lib.record import claims
from lib.running import execution, params, run

ENTRIES = params.index()
WRITTEN = {name: entry for name, entry in ENTRIES.items() if not entry["planned"]}
FILES = {name: ROOT / "notebooks" / f"{name}.ipynb" for name in WRITTEN}
RULES = {
    "window": {"type": "int", "min": 1, "max": 64, "meaning": "pixels"},
    "share": {"type": "float", "min": 0, "max": 1, "meaning": "share"},
    "family": {"type": "str", "choices": ["vgg", "resnet"], "meaning": "family"},
    "fast": {"type": "bool", "meaning": "fast"},
    "seeds": {"type": "list", "items": {"type": "int", "min": 0}, "min_items": 1, "unique": True, "meaning": "seeds"},
}


# --- the three places where a parameter is written


def test_index_holds_notebooks_in_reading_order_without_a_gap():
    assert [name[:2] for name in ENTRIES] == [f"{number:02d}" for number in range(max(16, len(ENTRIES)))]
    assert list(yaml.safe_load((ROOT / "notebooks/index.yaml").read_text())) == [params.COMMON, *ENTRIES]


def test_index_and_claims_file_agree_on_whose_claim_is_whose():
    by_notebook = {name: [] for name in ENTRIES}
    for claim, entry in claims.load().items():
        by_notebook[entry["notebook"]].append(claim)
    assert {name: sorted(entry["claims"]) for name, entry in ENTRIES.items()} == {
        name: sorted(found) for name, found in by_notebook.items()
    }


def test_index_names_figures_by_their_notebook():
    assert [
        (name, fig) for name, entry in ENTRIES.items() for fig in entry["figures"] if fig[:3] != f"{name[:2]}_"
    ] == []


def test_notebooks_on_disk_are_those_that_are_written():
    assert sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")) == sorted(WRITTEN)


def parameters_cell(name: str) -> str:
    cells = json.loads(FILES[name].read_text())["cells"]
    (cell,) = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    return "".join(cell["source"])


@pytest.mark.parametrize("name", WRITTEN)
def test_parameters_cell_profile_and_index_agree(name):
    found = papermill.inspect_notebook(str(FILES[name]))
    rules = WRITTEN[name]["parameters"]
    assert set(found) == set(rules)
    cell = execution.literals(parameters_cell(name))
    assert cell == params.profile("embedded")[name]
    for parameter, one in found.items():
        assert ast.literal_eval(one["default"]) == cell[parameter]
        assert one["inferred_type_name"] in ("None", rules[parameter]["type"])
        assert len(one["help"].split()) >= 2, f"{parameter} has no comment that says what it means"


@pytest.mark.parametrize("name", WRITTEN)
def test_parameters_cell_is_flat_literals_with_a_comment_each(name):
    for line in parameters_cell(name).splitlines():
        code, _, comment = line.partition("  # ")
        assert comment and code.count("=") == 1, line
        execution.literals(code)


@pytest.mark.parametrize("name", WRITTEN)
def test_embedded_profile_gives_every_own_parameter(name):
    values = yaml.safe_load((ROOT / "notebooks/profiles/embedded.yaml").read_text())
    assert set(values.get(name) or {}) == set(WRITTEN[name]["own"])
    assert values[params.COMMON] == {"profile": "embedded", "seed": 0, "device": "cpu", "retrain": False}


@pytest.mark.parametrize("profile", params.profiles())
def test_every_profile_is_valid_and_complete(profile):
    assert profile in ENTRIES["00_overview"]["parameters"]["profile"]["choices"]
    for name, values in params.profile(profile).items():
        assert values["profile"] == profile
        if name in WRITTEN:
            assert set(values) == set(WRITTEN[name]["parameters"])


# --- sentences


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"windw": 3}, "here: unknown parameter 'windw'; the nearest known name is 'window'; known: family, fast, "),
        ({"window": True}, "here: window is True (bool), expected int from 1 up to 64"),
        ({"window": 3.0}, "here: window is 3.0 (float), expected int from 1 up to 64"),
        ({"window": "3"}, "here: window is '3' (str), expected int"),
        ({"window": 0}, "here: window is 0 (int), expected int from 1 up to 64"),
        ({"window": 65}, "here: window is 65 (int), expected int from 1 up to 64"),
        ({"share": float("nan")}, "here: share is nan (float), expected float from 0 up to 1"),
        ({"share": False}, "here: share is False (bool), expected float"),
        ({"family": "vg"}, "here: family is 'vg' (str), expected one of vgg, resnet"),
        ({"fast": 1}, "here: fast is 1 (int), expected bool"),
        ({"fast": None}, "here: fast is None (NoneType), expected bool"),
        ({"seeds": []}, "here: seeds is [] (list), expected list of 1 or more items, each int from 0, none twice"),
        ({"seeds": [1, 1]}, "here: seeds is [1, 1] (list), expected list"),
        ({"seeds": [0, -1]}, "here: seeds[1] is -1 (int), expected int from 0"),
        ({"seeds": (0, 1)}, "here: seeds is (0, 1) (tuple), expected list"),
    ],
)
def test_wrong_values_get_a_sentence(values, sentence):
    with pytest.raises(ValueError) as caught:
        params.check(values, RULES, "here")
    assert str(caught.value).startswith(sentence)


def test_right_values_pass_unchanged():
    values = {"window": 1, "share": 1, "family": "vgg", "fast": False, "seeds": [0, 2]}
    assert params.check(values, RULES, "here") == values


TWO = {"01_one": {"parameters": RULES}, "09_two": {"parameters": {"window": RULES["window"]}}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("windw=3", "unknown parameter 'windw' of 09_two; the nearest known name is 'window'"),
        ("seeds=[1]", "unknown parameter 'seeds' of 09_two"),
        ("window", "-p 'window': expected name=value"),
        ("17.window=3", "unknown notebook '17'"),
        ("profile=smoke", "-p profile=...: a profile is chosen with --profile"),
        ("09.window=yes", "09_two: window is True (bool)"),
    ],
)
def test_wrong_overrides_get_a_sentence(text, sentence):
    with pytest.raises(ValueError) as caught:
        params.overrides([text], ["09_two"], TWO)
    assert str(caught.value).startswith(sentence)


def test_overrides_reach_the_notebooks_that_declare_the_name():
    given = params.overrides(["seeds=[4]", "window=2", "09.window=3", "family=vgg"], list(TWO), TWO)
    assert given == {"01_one": {"seeds": [4], "window": 2, "family": "vgg"}, "09_two": {"window": 3}}


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        ("a: {titel: x}", "index.yaml, a: unknown field 'titel'; the nearest known name is 'title'"),
        (
            "a: {parameters: {x: {type: integer, meaning: m}}}",
            "index.yaml, a, x: type is 'integer', expected one of int",
        ),
        ("a: {parameters: {x: {type: int, maximum: 3, meaning: m}}}", "index.yaml, a, x: unknown field 'maximum'"),
        ("a: {parameters: {x: {type: int}}}", "index.yaml, a, x: 'meaning' is missing"),
        ("a: {after: [b]}", "index.yaml, a: 'after' names an unknown notebook 'b'"),
    ],
)
def test_a_wrong_index_gets_a_sentence(tmp_path, index, sentence):
    (tmp_path / "index.yaml").write_text(index)
    with pytest.raises(ValueError) as caught:
        params.index(tmp_path)
    assert str(caught.value).startswith(sentence)


def test_a_wrong_profile_gets_a_sentence(project):
    project.add("09_tiny", ["1"], {"size": 3})
    entries = params.index(project.notebooks)
    with pytest.raises(ValueError, match="unknown profile 'embeded'; the nearest known name is 'embedded'"):
        params.profile("embeded", entries, project.notebooks)
    project.profiles["smoke"] = {"09_tny": {}}
    project.save()
    with pytest.raises(ValueError, match="smoke.yaml: unknown notebook '09_tny'; the nearest known name is '09_tiny'"):
        params.profile("smoke", entries, project.notebooks)
    (project.notebooks / "profiles" / "smoke.yaml").write_text("09_tiny: {size: 1}\n09_tiny: {size: 2}\n")
    with pytest.raises(ValueError, match="smoke.yaml is not valid YAML.*'09_tiny' is given twice"):
        params.profile("smoke", entries, project.notebooks)


def test_a_profile_is_completed_from_the_embedded_one(project):
    project.add("09_tiny", ["1"], {"size": 3, "step": 2})
    project.profiles["smoke"] = {"09_tiny": {"size": 1}}
    project.save()
    values = params.profile("smoke", folder=project.notebooks)["09_tiny"]
    assert values == {"profile": "smoke", "seed": 0, "device": "cpu", "retrain": False, "size": 1, "step": 2}


# --- inside a notebook


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    found = Interpreter("import lib.record.figures, torch\n", tmp_path_factory.mktemp("start"), environment)
    yield found
    found.close()


def start(interpreter: Interpreter, name: str, **changes) -> CompletedProcess:
    """lib.running.run.start in a process of its own, since it sets threads and seeds for the whole process."""
    values = params.profile("embedded")[name] | changes
    code = (
        f"from lib.running.run import start\nglobals().update({values!r})\nrun = start({name!r}, globals())\n"
        "import numpy, torch\nprint(run.notebook, run.profile, run.seed, run.device, len(run.parameters))\n"
        "print(torch.get_num_threads(), torch.get_deterministic_debug_mode() == 2, torch.rand(1), numpy.random.rand(1))"
    )
    return interpreter.run(code)


def test_start_checks_and_makes_the_process_repeatable(interpreter):
    one, two, other = (start(interpreter, "09_occlusion", seed=seed) for seed in (3, 3, 4))
    assert one.returncode == 0, one.stderr
    assert one.stdout.splitlines()[0] == f"09_occlusion embedded 3 cpu {len(ENTRIES['09_occlusion']['parameters'])}"
    assert one.stdout.splitlines()[1].startswith("1 True") and one.stdout == two.stdout
    assert one.stdout.splitlines()[1] != other.stdout.splitlines()[1]


def test_start_refuses_with_a_sentence():
    values = params.profile("embedded")["09_occlusion"]
    with pytest.raises(ValueError, match="unknown notebook '09_oclusion'; the nearest known name is '09_occlusion'"):
        run.start("09_oclusion", values)
    with pytest.raises(ValueError, match="09_occlusion: parameter 'window' is missing from the parameters cell"):
        run.start("09_occlusion", {name: value for name, value in values.items() if name != "window"})
    with pytest.raises(ValueError, match=r"09_occlusion: window is 0 \(int\), expected int from 1 up to 224"):
        run.start("09_occlusion", values | {"window": 0})
    for device, sentence in (("gpu", "expected cpu, cuda"), ("cuda:99", "torch finds [0-9]+ CUDA devices here")):
        with pytest.raises(ValueError, match=f"device is '{device}'.*{sentence}"):
            run.start("09_occlusion", values | {"device": device})


def test_families_are_those_of_the_zoo_and_listed_once():
    assert params.families() == list(zoo.EVERY)
    rule = params.index()["01_worlds_and_classifiers"]["parameters"]["families"]
    assert params.check({"families": ["all"]}, {"families": rule}, "01")
    with pytest.raises(ValueError, match=r"families\[0\] is 'vggg' .* one of all, lenet"):
        params.check({"families": ["vggg"]}, {"families": rule}, "01")
    assert zoo.chosen(["all"]) == list(zoo.FAMILIES) and zoo.chosen(["vgg", "lenet"]) == ["vgg", "lenet"]
    assert zoo.chosen(["all"], zoo.EVERY) == list(zoo.EVERY) and zoo.chosen(["vit"]) == ["vit"]
    with pytest.raises(ValueError, match="families holds 'all', expected lenet"):
        zoo.chosen(["all", "vgg"])
    texts = [path.read_text() for path in sorted((ROOT / "notebooks").rglob("*.yaml"))]
    texts += [path.read_text() for path in (ROOT / "lib").rglob("*.py") if path.name != "zoo.py"]
    assert not any(re.search(r"\W+".join(zoo.FAMILIES), text) for text in texts)
