"""What made each figure, for an archive: the crate follows from the sidecars, and the committed one is that of now."""

import json
import subprocess

import pytest
from conftest import ROOT

from lib.base import strict_yaml
from lib.record import crate

ABOUT = strict_yaml.read(ROOT / "CITATION.cff")
SIDECAR = {
    "name": "09_line",
    "notebook": "09_occlusion",
    "profile": "smoke",
    "caption": "A line that rises.",
    "files": {"09_line.png": "a" * 64, "09_line.csv": "b" * 64},
    "parameters": {"window": 12, "families": ["all"], "world": "cutouts"},
    "weights": ["c" * 64, "d" * 64],
    "sources": ["e" * 64],
    "versions": {"torch": "2.0", "numpy": "1.0"},
    "photographs": [{"title": "t", "author": "n", "licence": "CC0", "source": "https://example.org/1", "name": "x"}],
}


def by_id(found: list[dict]) -> dict[str, dict]:
    assert len({one["@id"] for one in found}) == len(found)
    return {one["@id"]: one for one in found}


def named(value) -> list[str]:
    """Every @id that a value refers to."""
    if isinstance(value, dict):
        return [value["@id"]] if value.keys() == {"@id"} else [name for one in value.values() for name in named(one)]
    return [name for one in value for name in named(one)] if isinstance(value, list) else []


def test_an_action_names_notebook_packages_parameters_weights_photographs_and_files():
    known = by_id(crate.entities([SIDECAR], {"c" * 64: "data/weights/cutouts/one-0.safetensors"}))
    action = known["#smoke-09_line"]
    instruments, objects, results = (
        [known[one["@id"]] for one in action[key]] for key in ("instrument", "object", "result")
    )
    assert action["@type"] == "CreateAction" and action["description"] == "A line that rises."
    assert instruments[0]["@id"] == "notebooks/09_occlusion.ipynb" and "SoftwareSourceCode" in instruments[0]["@type"]
    assert [(one["name"], one["softwareVersion"]) for one in instruments[1:]] == [("numpy", "1.0"), ("torch", "2.0")]
    values = {one["name"]: one["value"] for one in objects if one["@type"] == "PropertyValue"}
    assert values == {"window": "12", "families": '["all"]', "world": "cutouts"}
    assert [one["@id"] for one in objects if one["@type"] == "File"] == ["data/weights/cutouts/one-0.safetensors"]
    assert {one["sha256"] for one in objects if "sha256" in one} == {"c" * 64, "d" * 64, "e" * 64}
    assert [one["creditText"] for one in objects if one["@type"] == "Photograph"] == ["n, CC0"]
    assert {one["@id"]: one["sha256"] for one in results} == {
        "figures/smoke/09_line.png": "a" * 64,
        "figures/smoke/09_line.csv": "b" * 64,
    }


def test_figures_of_one_notebook_with_other_parameters_keep_their_own():
    other = SIDECAR | {"name": "09_other", "parameters": {"window": 8}}
    known = by_id(crate.entities([SIDECAR, other], {}))
    values = [
        [known[one["@id"]].get("value") for one in known[f"#smoke-{name}"]["object"]]
        for name in ("09_line", "09_other")
    ]
    assert "12" in values[0] and "8" in values[1] and "8" not in values[0] and "12" not in values[1]


def test_the_committed_crate_is_that_of_the_committed_figures():
    """But for the digests of files where a run on another kind of processor has just made them anew."""
    made = json.loads((ROOT / crate.NAME).read_text())
    known = by_id(made["@graph"])
    same = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "figures"], cwd=ROOT).returncode == 0
    for one in crate.entities():
        there = dict(known.get(one["@id"], {}))
        if not same and one["@id"].startswith("figures/"):
            one, there = ({k: v for k, v in entity.items() if k != "sha256"} for entity in (one, there))
        assert there == one, f"{one['@id']}: `make crate` writes {crate.NAME} again"
    actions = {one["@id"] for one in made["@graph"] if one["@type"] == "CreateAction"}
    assert actions == {one["@id"] for one in crate.entities() if one["@type"] == "CreateAction"}


def test_the_committed_crate_has_the_shape_of_one():
    made = json.loads((ROOT / crate.NAME).read_text())
    known = by_id(made["@graph"])
    assert made["@context"][0] == f"https://w3id.org/ro/crate/{crate.VERSION}/context"
    about, root = known[crate.NAME], known["./"]
    assert about["about"] == {"@id": "./"} and about["conformsTo"]["@id"].endswith(f"/crate/{crate.VERSION}")
    assert root["@type"] == "Dataset"
    assert {"name", "description", "license", "datePublished"} <= root.keys()
    assert root["datePublished"] == ABOUT["date-released"] and root["name"] == ABOUT["title"]
    outside = ("http://schema.org/", "https://w3id.org/ro/crate/")
    assert [name for name in named(made["@graph"]) if name not in known and not name.startswith(outside)] == []
    listed = {one["@id"] for one in root["hasPart"]}
    files = {name for name, one in known.items() if "File" in one["@type"]}
    assert files == listed and all((ROOT / name).is_file() for name in files)
    assert {one["@id"] for one in root["mentions"]} == {k for k, one in known.items() if one["@type"] == "CreateAction"}
    apart = [name for name in known if not name.startswith(("#", "figures/", "notebooks/", "data/", "http"))]
    assert sorted(apart) == ["./", crate.NAME] and not any(" " in name for name in known)


def test_the_crate_is_what_the_package_makes_and_reads(tmp_path):
    library = pytest.importorskip("rocrate.rocrate", reason="no rocrate: pip install -c constraints.txt -e '.[crate]'")
    assert crate.main(["--into", str(tmp_path)]) == 0
    assert (tmp_path / crate.NAME).read_bytes() == (ROOT / crate.NAME).read_bytes()
    read = library.ROCrate(str(ROOT))
    assert read.name == ABOUT["title"] and read.root_dataset["conformsTo"][0].id == crate.PROFILE
    actions = [one for one in read.get_entities() if one.type == "CreateAction"]
    assert len(actions) == len(crate.sidecars()) and all(one["instrument"] and one["result"] for one in actions)


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "rocrate.rocrate", None)
    assert crate.main(["--into", str(tmp_path)]) == 1 and not list(tmp_path.iterdir())
    assert "pip install -c constraints.txt -e '.[crate]'" in capsys.readouterr().err


def test_the_citation_names_the_project_and_says_how_to_cite():
    assert ABOUT["cff-version"] == "1.2.0" and ABOUT["authors"][0]["name"].endswith("deep-networks-like-to-see")
    assert "How to cite" in (ROOT / "CITATION.cff").read_text().splitlines()[0] and ABOUT["message"]
