"""A network and photographs of the reader's: what they are asked, notebook by notebook, what is left out and why."""

import json
import os
import re
import subprocess
import sys

import nbformat
import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image
from torch import nn

from lib.base import paths
from lib.drawing import grids
from lib.experiments.n08_codes import measures as codes
from lib.experiments.n09_occlusion import plots as occlusion_plots
from lib.experiments.n10_saliency import measures as saliency
from lib.experiments.n10_saliency import plots as saliency_plots
from lib.experiments.shared import own_network, own_pictures
from lib.jobs import mine
from lib.methods.occlusion import sweeps
from lib.networks import interface, readers
from lib.record import claims, credits
from lib.running import execution, params, results, runner
from lib.running.run import Run
from lib.worlds import imagenet_classes, photos

NET = """
import torch
from torch import nn


def build():
    torch.manual_seed(1)
    maps = [nn.Conv2d(3, 8, 5, stride=2), nn.{activation}(), nn.Conv2d(8, 12, 3), nn.{activation}()]
    return nn.Sequential(*maps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, {classes}))
"""


@pytest.fixture
def spec(tmp_path):
    """Writes a spec file and returns its path."""

    def write(name="mine", activation="ReLU", classes=10, more=""):
        (tmp_path / f"{name}.py").write_text(NET.format(activation=activation, classes=classes))
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"factory: {name}.py:build\nsize: 48\n{more}\n")
        return str(path)

    return write


def pictures(folder, count, kind=""):
    """A folder of so many small pictures, each of its own colours."""
    place = folder / kind if kind else folder
    place.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        values = np.random.default_rng([k, len(kind)]).integers(0, 255, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(values).save(place / f"{k:03d}.png")
    return str(folder)


def fitted(spec, *names):
    net = readers.catalogue.load(spec)
    return own_network.fitted(net, spec, list(names), photos.named(names, net.size))


# ------------------------------------------------------------------------------------------------- by name


def test_classes_go_by_name_and_never_by_number():
    cat = photos.Photo("p", torch.zeros(3, 8, 8), (281, 282), "a", "b", "c", True)
    known = imagenet_classes.imagenet_classes()
    assert photos.numbers(cat, known) == (281, 282)
    assert photos.numbers(cat, ("background", *known)) == (282, 283)  # a list of 1001
    assert photos.numbers(cat, tuple(f"place {k}" for k in range(365))) == ()
    assert photos.numbers(cat, ("dog", "Tiger_Cat")) == (1,)
    assert photos.numbers(cat, ("tabby, tabby cat", "bird")) == (0,)
    assert photos.numbers(cat._replace(kind="bird"), ("tabby", "Bird")) == (1,)  # its folder counts
    assert photos.numbers(cat._replace(kind=imagenet_classes.wnids()[3]), known) == (3,)


def test_two_classes_of_one_name_keep_their_numbers():
    known = imagenet_classes.imagenet_classes()
    (twice,) = [k for k in range(1000) if known[k] == "crane" and k > 500]
    assert photos.numbers(photos.Photo("p", torch.zeros(3, 8, 8), (twice,), "", "", "", True), known) == (twice,)


def test_without_a_known_class_the_network_says_what_it_sees(spec):
    net = readers.catalogue.load(spec(classes=365))
    (photo,) = photos.shipped(net.size, ["chelsea"])
    first = int(interface.scores(net, photo.image[None])[0].argmax())
    assert own_pictures.labelled(photo, net) == () and own_pictures.label(net, photo) == first


def test_the_readers_folder_is_read_with_its_classes(spec, tmp_path):
    path = spec(classes=3, more="classes: [cat, dog, owl]")
    for kind in ("cat", "dog"):
        folder = pictures(tmp_path / "own", 5, kind)
    batch = own_pictures.test("mine", 100, [path], [folder])
    assert batch.images.shape == (10, 48, 48, 3) and sorted(batch.labels) == [0] * 5 + [1] * 5
    assert len(own_pictures.test("mine", 4, [path], [folder]).labels) == 4
    parts = [own_pictures.of_classes("mine", 100, [path], [folder], split=split) for split in ("test", "validation")]
    assert [len(part.labels) for part in parts] == [6, 4]
    whole = own_pictures.of_classes("mine", 100, [path], [folder])
    together = np.concatenate([part.images for part in parts])
    assert {one.tobytes() for one in together} == {one.tobytes() for one in whole.images}
    with pytest.raises(ValueError, match="split is 'train', expected test or validation"):
        own_pictures.of_classes("mine", 9, [path], [folder], split="train")
    with pytest.raises(ValueError, match="expected the one network that reads"):
        own_pictures.test("mine", 9, [path, path], [folder])


def test_a_picture_of_the_readers_is_credited_to_nobody_else(tmp_path):
    found = photos.named(["chelsea", pictures(tmp_path / "own", 2)], 32)
    assert credits.line(photos.owed(found)) == "2 photographs of your own; chelsea: Stefan van der Walt, CC0 1.0"
    again = photos.again(found[1], 16)
    assert again.image.shape == (3, 16, 16) and again.name == found[1].name


# ------------------------------------------------------------------------------------------ what is left out


def test_four_photographs_leave_out_what_needs_many_and_say_how_many_are_expected(spec):
    found = fitted(spec(), "chelsea", "coffee", "astronaut", "rocket")
    assert set(found.values) == {*own_network.NOTEBOOKS}
    assert set(found.without["08_tsne"]) == {"plane", "trust", "purity", "probes"}
    assert found.without["10_saliency_and_deconv"] == {"scores": "there are 4 photographs, expected 8 or more"}
    assert set(found.without["09_occlusion"]) == {"minimum", "projection"} and not found.notes["09_occlusion"]
    assert found.values["06_activations_and_filters"]["layers"] == ["1", "3"]
    assert found.values["11_activation_maximisation"]["hidden_layers"] == ["0"]


def test_the_photos_profile_asks_for_all_of_its_own_pictures(spec):
    path = spec()
    net = readers.catalogue.load(path)
    found = own_network.fitted(net, path, [], photos.shipped(net.size, ["chelsea"]), "photos")
    assert set(found.values) == {*own_network.NOTEBOOKS} and not any(found.without.values())
    assert all(values["world"] == "photos" and "photographs" not in values for values in found.values.values())


def test_labelled_photographs_are_asked_for_classes(spec, tmp_path):
    for kind in ("cat", "dog"):
        folder = pictures(tmp_path / "own", 40, kind)
    found = fitted(spec(classes=2, more="classes: [cat, dog]"), folder)
    assert found.without["07_maximal_patches"] == {} and found.without["08_tsne"] == {}
    assert found.values["08_tsne"]["photo_grid"] == 1 and found.values["08_tsne"]["perplexity"] == 20
    other = fitted(spec(classes=2, more="classes: [cat, owl]"), folder)
    assert other.without["08_tsne"] == dict.fromkeys(("purity", "probes"), other.without["08_tsne"]["purity"])
    assert "40 of 80 photographs have no class" in other.without["08_tsne"]["purity"]


def test_other_activations_leave_panels_empty_and_the_rest_runs(spec):
    found = fitted(spec(activation="SiLU"), "chelsea", "coffee")
    for notebook in ("09_occlusion", "10_saliency_and_deconv"):
        assert "all" not in found.without[notebook] and "Silu" in found.notes[notebook][0]


def test_a_network_without_maps_or_gradient_is_told_what_falls_out(tmp_path):
    (tmp_path / "flat.py").write_text(
        "import torch\nfrom torch import nn\n\nclass Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.last = nn.Linear(3 * 48 * 48, 4)\n    def forward(self, x):\n        with torch.no_grad():\n"
        "            return self.last(x.flatten(1))\n\ndef build():\n    return Net()\n"
    )
    (tmp_path / "flat.yaml").write_text("factory: flat.py:build\nsize: 48\n")
    found = fitted(str(tmp_path / "flat.yaml"), "chelsea", "coffee")
    assert set(found.values) == {"06_activations_and_filters", "07_maximal_patches", "08_tsne", "09_occlusion"} - {
        name for name, parts in found.without.items() if "all" in parts
    }
    assert "gradient" in found.without["10_saliency_and_deconv"]["all"]
    assert (
        "no convolution" in found.without["14_minds_eye"]["all"] or "gradient" in found.without["14_minds_eye"]["all"]
    )
    assert found.notes["09_occlusion"][0].startswith("its second and third panel stay empty")
    lines = mine.told(found)
    assert any(line.startswith("10 is not run: ") for line in lines)


def test_every_part_has_words_and_a_place_in_the_index():
    entries = params.index()
    parts = {part for entry in entries.values() for part in entry["mine"]}
    assert parts == set(mine.PARTS)
    for name, entry in entries.items():
        notebook = json.loads((paths.notebooks() / f"{name}.ipynb").read_text(encoding="utf-8"))
        tagged = {tag for cell in notebook["cells"] for tag in cell["metadata"].get("tags", []) if tag[:5] == "part-"}
        assert {tag.removeprefix("part-") for tag in tagged} <= set(entry["mine"]), name
    assert {name for name, entry in entries.items() if entry["mine"]} == set(own_network.NOTEBOOKS)


# -------------------------------------------------------------------------------------- empty panels say why


def test_panels_that_a_network_has_nothing_for_say_why():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    net = interface.wrap(model, name="silu", size=32, preprocess=nn.Identity())
    (photo,) = photos.shipped(32, ["chelsea"])
    row = sweeps.panels(net, photo.image, 0, 16, 16)
    assert isinstance(row["projection"], str) and "Silu" in row["projection"]
    assert row["activation"].shape == row["probability"].shape == (2, 2)
    figure = occlusion_plots.occlusion([row])
    assert any("Silu" in " ".join(text.get_text().split()) for axis in figure.axes for text in axis.texts)
    found = saliency.photograph(net, photo, 8)
    texts = [text.get_text() for text in saliency_plots.maps([[found]]).texts]
    assert sum("Silu" in " ".join(text.split()) for text in texts) == 2  # deconvnet, guided backpropagation


def test_occlusion_needs_no_maps():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 5), nn.ReLU(), nn.Linear(5, 3))
    net = interface.wrap(model, name="dense", size=16, preprocess=nn.Identity())
    image = torch.rand(3, 16, 16)
    row = sweeps.panels(net, image, 1, 8, 8)
    assert isinstance(row["activation"], str) and isinstance(row["projection"], str)
    rows = occlusion_plots.table([row], "square")
    assert len(rows) == 4 and all(np.isnan(one["activity"]) for one in rows)
    covered = image.clone()
    covered[:, :8, :8] = 0.5
    expected = interface.scores(net, covered[None]).softmax(1)[0, 1]
    assert rows[0]["probability"] == pytest.approx(float(expected), abs=1e-6)
    occlusion_plots.occlusion([row])


def test_words_are_broken_to_fit():
    assert max(map(len, grids.wrapped("a " * 50, 1.0, 7).split("\n"))) <= 18


def test_photographs_of_other_kinds_have_frames_of_their_own(spec, tmp_path):
    for kind, count in (("cat", 3), ("dog", 2), ("eel", 1)):
        folder = pictures(tmp_path / "own", count, kind)
    net = readers.catalogue.load(spec())
    found = codes.photographs(net, [folder], 1)
    assert found.names == ["cat", "dog", "eel", "another"] and list(found.values) == [0, 0, 0, 1, 1, 2]


# --------------------------------------------------------------------------------------------------- the run


def job(given, name="10_saliency_and_deconv"):
    return runner.plan("smoke", [f"{name}.{one}" for one in given], [name], "mine").notebooks[name]


def test_a_part_that_is_left_out_takes_its_cells_figures_and_claims_along():
    whole = job(['world="mine"', "seeds=[0]"])
    assert {"10_hidden", "10_step", "10_photographs"} <= set(results.figures(whole))
    some = job(['world="mine"', "seeds=[0]", "without=[hidden, scores]"])
    assert results.figures(some) == ["10_photographs"] and "without" not in some.values
    assert {"part-hidden", "part-scores", "not-mine", "not-photos"} <= results.left_out(some)
    assert some.key != whole.key
    with pytest.raises(ValueError, match="without.0. is 'maps'.*expected one of scores, signals, hidden"):
        job(["without=[maps]"])


def test_the_copy_says_what_was_changed_and_what_was_left_out():
    some = job(['world="mine"', "steps=4", "without=[hidden]"])
    text = execution.preface(some)
    assert "`steps` = 4" in text and "`world` = 'mine'" in text and "Left out" in text and "hidden" in text
    assert execution.preface(runner.plan("smoke").notebooks["10_saliency_and_deconv"]) == ""


def test_untrained_twins_of_readers_networks_are_drawn_again(spec):
    path = spec()
    net, twin = readers.network(path, size=48), readers.untrained(path, size=48)
    assert net.size == twin.size == 48 and net.digest != twin.digest
    assert not torch.equal(net.model[0].weight, twin.model[0].weight)
    assert torch.equal(twin.model[0].weight, readers.untrained(path, size=48).model[0].weight)


def command(arguments, folder, tmp_path):
    environment = os.environ | {
        "COMPANION_BUILD": str(tmp_path / "build"), "COMPANION_FIGURES": str(tmp_path / "figures"),
        "COMPANION_FROM": str(folder), "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    line = [sys.executable, "-m", "lib.jobs.mine", *arguments]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_make_mine_takes_a_network_through_a_notebook(spec, tmp_path):
    spec(classes=365)
    pictures(tmp_path / "my pictures", 3)
    given = ["mine.yaml", "--photographs", "my pictures", "--profile", "smoke", "--only", "09"]
    done = command(given, tmp_path, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 photographs, of which 0 have a class that mine knows" in done.stderr
    assert "Verdicts of this run alone" in done.stdout and "09_occlusion.ipynb" in done.stdout
    (sidecar,) = (tmp_path / "build").glob("smoke-mine-*/figures/smoke/09_photographs.json")
    told = json.loads(sidecar.read_text())
    assert "3 photographs of your own" in told["caption"] and len(told["photographs"]) == 3
    assert not (tmp_path / "figures").exists()
    copy = next((tmp_path / "build").glob("smoke-mine-*/09_occlusion.ipynb")).read_text()
    assert "A run of its own" in copy and "SqueezeNet's probability" not in copy


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "which network\\? make mine SPEC=mine.yaml"),
        (["none.yaml"], "there is no none.yaml in "),
        (["mine.yaml", "--photographs", "nowhere"], "there is no nowhere in "),
        (["mine.yaml", "--profile", "smoke", "--only", "03"], "nothing is left to run: ONLY is '03'"),
        (["mine.yaml", "--profile", "photos", "--photographs", "x"], "PHOTOS is given and PROFILE is photos"),
        (["alexnetz"], "no classifier is called 'alexnetz'"),
    ],
)
def test_make_mine_says_what_is_wrong_before_anything_runs(given, sentence, spec, tmp_path, monkeypatch, capsys):
    spec()
    monkeypatch.setenv("COMPANION_FROM", str(tmp_path))
    for variable in ("COMPANION_SPEC", "COMPANION_PHOTOS"):
        monkeypatch.delenv(variable, raising=False)
    before = dict(os.environ)
    try:
        assert mine.main(given) == 1
    finally:
        os.environ.clear()
        os.environ.update(before)
    said = capsys.readouterr().err
    assert re.search(sentence, said), said


def test_links_of_a_run_of_its_own_lead_somewhere_from_its_folder():
    cells = [nbformat.v4.new_markdown_cell(t) for t in ("# T", "[a](../lib/x.py) [b](11_act.ipynb) [c](https://x.y)")]
    kept = execution.kept_of(cells, job(["steps=4"]))
    assert kept[2].source == "[a](../../lib/x.py) [b](../../notebooks/11_act.ipynb) [c](https://x.y)"
    assert "`steps` = 4" in kept[1].source


def test_one_training_decides_for_a_readers_network(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_FIGURES", str(tmp_path))
    named = dict.fromkeys(("deconvnet", "guided", "random direction"), (0.5, 0.4, 0.6))
    for world, verdict in (("mine", "reproduced"), ("cutouts", "inconclusive")):
        run = Run("10_saliency_and_deconv", "embedded", {"world": world}, 0, "cpu")
        row = claims.record("E13", 0.99, (0.98, 1.0), run=run, named=named, seeds=[])
        assert row.row["verdict"] == verdict


def test_a_network_that_answers_everything_alike_is_told():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4))
    shown = photos.shipped(16, ["chelsea", "coffee"])
    net = interface.wrap(model, name="net", size=16, preprocess=nn.Identity())
    assert not own_pictures.indifferent(net, shown) and not own_pictures.indifferent(net, shown[:1])
    nn.init.zeros_(model[1].weight)
    assert own_pictures.indifferent(interface.wrap(model, name="net", size=16, preprocess=nn.Identity()), shown)
