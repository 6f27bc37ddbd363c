"""A new notebook, as one command writes it: it runs, keeps to the rules of all notebooks, and overwrites nothing."""

import json
import shutil
import sys

import pytest
import test_notebooks as rules
from conftest import ROOT

import lib.experiments
from lib.base import paths
from lib.record import ledger
from lib.running import new_notebook, params, run

NAME = "97_mine"
HELD = (  # what can be asked of a notebook before it was run
    rules.test_file_is_in_its_normal_form,
    rules.test_has_one_parameters_cell_and_no_injected_one,
    rules.test_code_is_short_and_prose_is_enough,
    rules.test_bookkeeping_is_out_of_sight,
    rules.test_captions_stand_in_the_table_beside_it,
    rules.test_links_to_files_lead_somewhere,
    rules.test_opens_with_its_number_and_title_and_says_what_to_run_without_lib,
    rules.test_says_what_would_change_our_mind_and_what_to_try,
    rules.test_saves_the_figures_and_records_the_claims_that_the_index_declares,
    rules.test_source_has_no_magic_no_path_and_nothing_left_to_do,
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the index and the profiles of the project, and no notebook."""
    for part in ("index.yaml", "profiles", "captions"):
        copy = shutil.copytree if (ROOT / "notebooks" / part).is_dir() else shutil.copy
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        copy(ROOT / "notebooks" / part, tmp_path / "notebooks" / part)
    for variable, folder in {"NOTEBOOKS": "notebooks", "FIGURES": "figures", "BUILD": "build"}.items():
        monkeypatch.setenv(f"COMPANION_{variable}", str(tmp_path / folder))
    return tmp_path


def write(place, name=NAME, title="My question", question="Is it so?"):
    return new_notebook.write(name, title, question, place / "lib" / "experiments")


def cells(place) -> list[dict]:
    return json.loads((place / "notebooks" / f"{NAME}.ipynb").read_text())["cells"]


@pytest.mark.parametrize("rule", HELD, ids=lambda rule: rule.__name__)
def test_it_keeps_to_what_all_notebooks_keep_to(place, rule):
    write(place)
    rule(place / "notebooks" / f"{NAME}.ipynb")


def test_index_profile_and_cell_agree(place):
    write(place)
    values, namespace = params.profile("embedded")[NAME], {}
    (cell,) = [cell for cell in cells(place) if "parameters" in cell["metadata"].get("tags", [])]
    exec("".join(cell["source"]), namespace)
    assert values == {name: namespace[name] for name in values} and "family" in values


def test_its_cells_run_and_save_what_it_declares(place, monkeypatch):
    write(place)
    monkeypatch.setattr(lib.experiments, "__path__", [*lib.experiments.__path__, str(place / "lib" / "experiments")])
    namespace = {}
    for cell in cells(place):
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), namespace)
            if "parameters" in cell["metadata"].get("tags", []):
                namespace |= {"seeds": [0], "n_test": 100}
    assert isinstance(namespace["run"], run.Run) and namespace["rows"][0]["value"] > 0.5
    assert list(ledger.read(NAME, "embedded")["figures"]) == params.index()[NAME]["figures"] == ["97_first"]
    for name in [name for name in sys.modules if name.startswith("lib.experiments.n97_mine")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "changes, told",
    [
        ({"name": "09_mine"}, "number 09 is taken by 09_occlusion; the next free one is"),
        ({"name": "mine"}, "expected two digits and lower-case words"),
        ({"name": "97_Mine"}, "expected two digits and lower-case words"),
        ({"question": "It is so."}, "expected a question"),
        ({"title": 'A "title"'}, "expected one line without double quotes"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(place, changes, told):
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=told):
        write(place, **changes)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_a_file_that_is_there_is_kept(place):
    (place / "notebooks" / "captions" / f"{NAME}.yaml").write_text("mine: own\n")
    with pytest.raises(ValueError, match="97_mine.yaml is there already"):
        write(place)
    assert (place / "notebooks" / "captions" / f"{NAME}.yaml").read_text() == "mine: own\n"
    assert NAME not in params.index()


def test_the_command_says_what_it_wrote_and_what_was_wrong(place, monkeypatch, capsys):
    monkeypatch.setattr(new_notebook, "write", lambda *given: [paths.ROOT / "notebooks" / "97_mine.ipynb"])
    assert new_notebook.main([NAME, "My question", "--question", "Is it so?"]) == 0
    assert capsys.readouterr().out.splitlines() == ["notebooks/97_mine.ipynb", "Now run it: make reproduce ONLY=97"]
    monkeypatch.undo()
    assert new_notebook.main(["09_mine", "My question"]) == 1 and "is taken by" in capsys.readouterr().err
