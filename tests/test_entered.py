"""A reader's network enters the total order: who may, where its decoder lies, when it is tuned again, its place."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lib.base import paths, weights
from lib.experiments.n02_reconstructions import costs
from lib.experiments.n03_order import lattices, measures, plots
from lib.experiments.n04_information import plots as of_information
from lib.experiments.n05_noise import noise
from lib.experiments.shared import placed, through_autoencoders, tunings
from lib.methods.signals import total_order
from lib.networks import catalogue, interface, own_decoders, photo_networks, readers, trained_autoencoders
from lib.running import params
from lib.training import autoencoders, make_mine
from lib.worlds import batches, cutouts, imagenet_classes

SHARED = Path(os.environ.get("COMPANION_DATA") or Path(__file__).resolve().parents[2] / "shared")
PHOTOGRAPHS = all((SHARED / "photos" / f"{name}.zip").exists() for name in ("imagenet-sample", "nips2017-photos"))
photographs = pytest.mark.skipif(not PHOTOGRAPHS, reason="no photographs in COMPANION_DATA or ../shared")
NET = """
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 8, 5, 4, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, {}))
"""


@pytest.fixture(autouse=True)
def build(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path / "build"))


def spec(folder: Path, stem: str = "mine", outputs: int = 10, **more) -> Path:
    """A spec file with a small network of random weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(NET.format(outputs))
    lines = {"factory": "net.py:build", "size": 64 if outputs == 10 else 224} | more
    path = folder / f"{stem}.yaml"
    path.write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
    return path


# ---------------------------------------------------------------------------------------------------- who may enter


def test_a_network_enters_by_its_classes(tmp_path):
    ten, all_of_them = (catalogue.load(spec(tmp_path / str(n), outputs=n)) for n in (10, 1000))
    assert make_mine.world(ten) == "cutouts"
    assert make_mine.world(all_of_them._replace(classes=imagenet_classes.imagenet_classes())) == "photos"
    places = catalogue.load(spec(tmp_path / "365", outputs=365))
    with pytest.raises(ValueError, match="it has 365 classes, expected ImageNet's 1000; nor that of the cutouts world"):
        make_mine.world(places)
    with pytest.raises(ValueError, match="its class 0 is 'class 0', expected 'tench'"):
        make_mine.world(all_of_them)
    turned = all_of_them._replace(classes=(*imagenet_classes.imagenet_classes()[1:], "tench"))
    with pytest.raises(ValueError, match="its class 0 is 'goldfish', expected 'tench'"):
        readers.comparable(turned)


def test_the_order_of_photographs_refuses_before_anything_runs(tmp_path):
    other = spec(tmp_path, outputs=365)
    with pytest.raises(ValueError, match="365 classes, expected ImageNet's 1000"):
        tunings.chosen("default", ["all", str(other)], [0], world="photos")
    known = spec(tmp_path, "known", 1000, classes="imagenet")
    with pytest.raises(FileNotFoundError, match=r"families: known has no decoder .*make_mine .*known.yaml"):
        tunings.chosen("default", ["all", str(known)], [0], world="photos")
    with pytest.raises(ValueError, match="world is cutouts, whose notebooks compare the zoo"):
        tunings.chosen("default", ["all", str(known)], [1])
    with pytest.raises(ValueError, match="families: found .*known.yaml, expected of lenet_224"):
        tunings.chosen("default", [str(known)], [0], world="paper")
    assert tunings.chosen("default", ["all"], [0], world="photos")[0] == list(photo_networks.NETWORKS)


def test_names_are_told_apart_and_short(tmp_path):
    one, two = spec(tmp_path / "one"), spec(tmp_path / "two")
    with pytest.raises(ValueError, match="are both called 'mine' in figures; give one of them another `name:`"):
        readers.apart(["googlenet", str(one), str(two)])
    named = spec(tmp_path / "two", name="a_second network")
    assert readers.apart(["googlenet", str(one), str(named)]) == ["googlenet", str(one), str(named)]
    assert (readers.title(str(named)), readers.letter(str(named))) == ("a_second network", "ase…ork")
    for taken in ("Q", "S", "GoogLeNet"):
        with pytest.raises(ValueError, match="both called"):
            readers.apart([*photo_networks.NETWORKS, str(spec(tmp_path / "two", name=taken))])
    assert readers.title("torchvision:resnet18") == "resnet18" and readers.letter("torchvision:resnet50") == "res…t50"
    assert readers.letter("googlenet") == "G" and readers.title("vgg-0") == "VGG-BN"
    figure = plots.table(np.ones((1, 2, 2, 9), bool), ["googlenet", str(named)])
    figure.canvas.draw()  # the short name is mathematical text there


def test_ten_networks_find_room_in_the_figures():
    names = [*photo_networks.NETWORKS, "torchvision:resnet18", "torchvision:vit_b_16", "torchvision:swin_t"]
    letters = [readers.letter(name) for name in names]
    assert len(set(letters)) == 10
    rows = [{"letter": one, "seed": "all", "coarse": k % 2, "x": k, "y": -k} for k, one in enumerate(letters)]
    grids = [{"letter": one, "amplitude": k, "value": 0.1} for k, one in enumerate(letters)]
    line = [{"amplitude": k, "value": 0.1 * k, "sd": 0.01} for k in range(3)]
    hits = np.random.default_rng(0).random((1, 10, 10, 30)) < 0.7
    relative = total_order.rrc(hits.mean((0, -1)))
    drawn = [
        of_information.agreement(rows, [{"x": "x", "y": "y", "xlabel": "", "ylabel": "", "title": ""}]),
        of_information.stamp(line, grids, 0.05),
        plots.table(hits, names),
        plots.sorted_rrc({"": relative}, names),
        lattices.lattices(relative, [np.median(relative)], names),
    ]
    for figure in drawn:
        figure.canvas.draw()


def test_parameters_take_a_spec_file_where_they_take_readers():
    rules = params.index()["03_total_order"]["parameters"]
    for names in (["all", "my folder/mine.yaml"], ["torchvision:resnet18", "googlenet"], ["./x.yml"]):
        assert params.check({"families": names}, rules, "03") == {"families": names}
    for name in ("mine.yamlx", "mine", "torchvision:", ".py"):
        with pytest.raises(ValueError, match="torchvision:<name>, or the path of a spec file"):
            params.check({"families": ["all", name]}, rules, "03")
    with pytest.raises(ValueError, match="expected one of"):
        params.check({"changed": ["mine.yaml"]}, rules, "03")  # families of the zoo


# ------------------------------------------------------------------------------------------- tuned, and but once


def test_steps_fill_epochs():
    usual = make_mine.usual("photos")
    assert (usual.epochs * (usual.epoch // usual.batch), usual.fall, usual.rate) == (3000, 3000, photo_networks.RATE)
    kept = weights.info("autoencoders/photos-googlenet-0-rate0.003")["made_by"]["recipe"]
    assert usual._replace(precision="")._asdict() == kept | {"precision": ""}  # the seven's
    zoo = weights.info("autoencoders/lenet-1-rate0.03")["made_by"]["recipe"]
    assert make_mine.usual("cutouts")._replace(precision="")._asdict() == zoo | {"precision": ""}


@pytest.mark.parametrize("steps", [0, -1, 126, 1001])
def test_other_steps_are_refused(tmp_path, steps):
    net = catalogue.load(spec(tmp_path))
    with pytest.raises(ValueError, match=f"steps is {steps}, expected 1 to 125, or a multiple of 125"):
        make_mine.planned(net, steps)


@pytest.fixture
def small(tmp_path) -> interface.Network:
    return catalogue.load(spec(tmp_path))


def test_a_decoder_is_tuned_once_and_lies_under_what_the_network_is(small, tmp_path, monkeypatch):
    before = sorted(path.name for path in (paths.weights() / "autoencoders").iterdir())
    plan = make_mine.planned(small, 2, judges=20)
    assert make_mine.found(plan) is None and make_mine.expected(plan) > 0
    one = make_mine.tuned(plan)
    assert one.steps == 2 and one.info["made_by"]["recipe"]["fall"] == 2 and one.info["made_by"]["base"] == "pretrained"
    assert one.path.is_relative_to(tmp_path / "build" / "mine") and one.path.parent.name.startswith("mine-")
    assert not list(one.path.parent.glob("*.ckpt"))
    assert sorted(path.name for path in (paths.weights() / "autoencoders").iterdir()) == before
    made, base = own_decoders.made(small, one), trained_autoencoders.autoencoder()
    halves = [(part.encoder.state_dict(), part.decoder.state_dict()) for part in (made, base)]
    assert all(torch.equal(halves[0][0][key], value) for key, value in halves[1][0].items())
    assert not all(torch.equal(halves[0][1][key], value) for key, value in halves[1][1].items())
    monkeypatch.setattr(autoencoders, "tune", lambda *a, **k: pytest.fail("tuned again"))
    assert make_mine.tuned(plan).info == one.info
    again = make_mine.planned(small._replace(name="other", layers={}), 2, judges=20, precision="bf16-mixed")
    assert own_decoders.folder(again.net).name.rpartition("-")[2] == one.path.parent.name.rpartition("-")[2]
    for change in (
        lambda net: net._replace(preprocess=lambda x: x - 0.25),
        lambda net: net._replace(classes="abcdefghij"),
    ):
        assert not own_decoders.kept(change(small), "cutouts")
    with pytest.raises(BaseException, match="tuned again"):
        make_mine.tuned(make_mine.planned(small, 3, judges=20))


def test_a_killed_tuning_goes_on_where_it_was(small, monkeypatch):
    plan = make_mine.planned(small, 4, judges=20)
    plan = plan._replace(recipe=plan.recipe._replace(epoch=64, epochs=2))
    whole = make_mine.tuned(plan).info
    for path in own_decoders.folder(small).iterdir():
        path.unlink()
    fresh, calls = plan.fresh, []

    def killed(recipe, epoch):
        calls.append(epoch)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fresh(recipe, epoch)

    with pytest.raises(KeyboardInterrupt):
        make_mine.tuned(plan._replace(fresh=killed))
    assert make_mine.found(plan) is None
    resumed = make_mine.tuned(plan._replace(fresh=killed))
    assert calls == [0, 1, 1] and resumed.info["history"] == whole["history"]
    assert resumed.info["digest"] == whole["digest"]


@pytest.mark.parametrize("damage", ["truncated", "no json", "empty", "tensors gone", "other base"])
def test_a_damaged_decoder_is_tuned_again(small, damage):
    plan = make_mine.planned(small, 1, judges=20)
    one = make_mine.tuned(plan)
    arrays, content = one.path.with_suffix(".arrays"), one.path.read_text()
    if damage == "truncated":
        arrays.write_bytes(arrays.read_bytes()[:-9])
    elif damage == "tensors gone":
        arrays.unlink()
    else:
        base = one.info["made_by"]["base_digest"]
        one.path.write_text({"no json": content[:50], "empty": "{}", "other base": content.replace(base, "0")}[damage])
    assert own_decoders.kept(small, "cutouts") == []
    with pytest.raises(FileNotFoundError, match="mine has no decoder of its own for cutouts yet"):
        own_decoders.best(small, "cutouts")
    assert make_mine.tuned(plan).info == one.info


# ------------------------------------------------------------------------------------------------ its place, in words


def test_places_count_who_is_better():
    assert placed.places([0.5, 0.9, 0.7]).tolist() == [3, 1, 2]
    assert placed.places([[0.5, 0.5, 0.7]]).tolist() == [[2, 2, 1]]


def test_a_range_of_places_covers_what_pictures_decide():
    generator = np.random.default_rng(0)
    sure = np.zeros((3, 3, 200), bool)
    for i, share in enumerate((0.9, 0.6, 0.3)):  # the last signal is the worst for certain
        sure[i] = generator.random((3, 200)) < share
    sure[range(3), range(3)] = generator.random((3, 200)) < 0.95
    assert placed.drawn(sure, generator) == (3, 3)
    equal = generator.random((3, 3, 40)) < 0.5
    low, high = placed.drawn(equal, generator)
    assert low < high


def test_the_lattice_is_told_with_its_lines():
    rrc = np.array([[1.0, 0.9, 0.9], [0.2, 1.0, 0.9], [0.2, 0.2, 1.0]])  # j reads A_i: a chain
    names = ("L", "A", "mine")
    text = placed.lattice(rrc, names, 0.5)
    assert "lattice at t = 0.500: 3 concepts, a chain" in text
    assert "1: mine read A_L A_A A_mine" in text and "lower < upper: 1 < 2, 2 < 3" in text
    assert placed.threshold(rrc) == total_order.telling(rrc) and "a total order" in placed.chains(rrc)
    apart = np.eye(4)
    assert "for no t" in placed.chains(apart) and placed.threshold(apart) == 0.0
    assert "no chain" in placed.lattice(apart, "abcd", 0.5) and "nobody reads all of" in placed.lattice(
        apart, "abcd", 0.5
    )


def test_a_classifier_of_the_cutouts_gets_rrc_lattice_and_place(small):
    found = placed.entered(small, steps=2, families=["lenet", "alexnet"], n_test=60, progress=False)
    assert found.names == ("L", "A", "mine") and found.hits.shape == (3, 3, 60)
    test = cutouts.batch(cutouts.World(), "test", 60)
    two = through_autoencoders.table(["lenet", "alexnet"], 1, test, tunings.TUNINGS["default"].how)
    assert np.array_equal(found.hits[:2, :2], two)  # the zoo's own, as everywhere
    made = own_decoders.made(small, found.tuned)
    assert np.array_equal(found.hits[-1, -1], through_autoencoders.hits(made, [small], test)[0])
    assert np.allclose(found.rrc, total_order.rrc(found.hits.mean(-1))) and 1 <= found.place <= 3
    text = placed.said(found)
    for part in (
        f"mine: place {found.place} of 3 by readability",
        "RRC ",
        "A_mine",
        "lattice at t = ",
        "lower < upper",
    ):
        assert part in text
    assert "tuned for 2 steps, the others' for 10,000: no fair comparison" in text
    with pytest.raises(ValueError, match="Q would be called 'Q' in tables|L would be called 'L' in tables"):
        placed.entered(small._replace(name="L"), steps=2, n_test=60)


def test_a_network_that_reads_nothing_is_told_so(small):
    blind = interface.wrap(nn.Sequential(nn.Flatten(), Never()), name="blind", size=64, preprocess=lambda x: x)
    with pytest.raises(ValueError, match="blind reads none of 20 test pictures through its own decoder"):
        placed.entered(blind, steps=1, families=["lenet"], n_test=20, progress=False)


class Never(nn.Module):
    """Names the first class of ten whatever it sees, of which the first 20 test pictures hold none."""

    def __init__(self):
        super().__init__()
        test = cutouts.batch(cutouts.World(), "test", 20)
        absent = next(k for k in range(10) if k not in test.labels)
        self.bias = nn.Parameter(torch.eye(10)[absent] * 9)

    def forward(self, x):
        return self.bias + 1e-6 * x[:, :10]


def test_the_command_says_the_time_and_tunes_but_once(tmp_path, capsys, monkeypatch):
    path = str(spec(tmp_path))
    real = make_mine.planned
    monkeypatch.setattr(make_mine, "planned", lambda *a, **k: real(*a, **k, judges=20))
    make_mine.main([path, "--steps", "2", "--quiet"])
    said = capsys.readouterr().out
    assert "mine: a decoder of its own is tuned for 2 steps of 32 pictures (cutouts); this takes about" in said
    assert "through its own decoder" in said
    make_mine.main([path, "--steps", "2", "--quiet"])
    assert capsys.readouterr().out == "mine: its decoder is there, tuned for 2 steps.\n"
    for command in (make_mine, placed):
        with pytest.raises(SystemExit, match="there is no spec file"):
            command.main([str(tmp_path / "none.yaml")])
        with pytest.raises(SystemExit, match="it has 7 classes, expected ImageNet's 1000; nor that of the cutouts"):
            command.main([str(spec(tmp_path / "seven", outputs=7))])


def test_durations_in_words():
    words = ["2 seconds", "40 seconds", "10 minutes", "2.0 hours"]
    assert [make_mine.duration(s) for s in (0.2, 40, 600, 7200)] == words


# ------------------------------------------------------------------------------------------------------ photographs

WRAPPED = """
from lib.networks import catalogue

net = catalogue.load("squeezenet1_1")

def build():
    return net.model

def preprocess(images):
    return net.preprocess(images)
"""


@photographs
def test_a_network_under_another_name_stands_where_it_stood(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", str(SHARED))
    (tmp_path / "squeeze.py").write_text(WRAPPED)
    path = tmp_path / "again.yaml"
    path.write_text("factory: squeeze.py:build\nsize: 224\npreprocess: squeeze.py:preprocess\nclasses: imagenet\n")
    plan = make_mine.planned(make_mine.load(str(path)), 2, judges=8)
    assert plan.world == "photos" and "enlarged" not in plan.made_by
    one = make_mine.tuned(plan)
    usual = trained_autoencoders.autoencoder("photos-squeezenet1_1-0-rate0.003")  # in its place, to see the row
    state = {f"decoder.{key}": value for key, value in usual.decoder.state_dict().items()}
    own_decoders.save(plan.net, "photos", state, one.info)
    families, how = tunings.chosen("default", ["squeezenet1_1", "efficientnet_lite0", str(path)], [0], world="photos")
    assert families[-1] == str(path)
    pictures = batches.test("photos", 16)
    found = measures.measure(families, [0], pictures, how)
    hits = found.hits[0]
    assert np.array_equal(hits[0], hits[2]) and np.array_equal(hits[:, 0], hits[:, 2])  # SqueezeNet's row and column
    assert not np.array_equal(hits[0], hits[1])
    rows = measures.table_two(found.hits, families).rows
    assert [row[0] for row in rows] == ["A_Q", "A_E0", "A_again"] and rows[0][1:] == rows[2][1:]
    assert len(costs.digests(families, [0], [how])) == 1 + 2 + 2
    read = noise.read(families, [0], batches.test("photos", 4), [0.0, 0.2], 0, how)
    assert read.chance == 1 / 1000 and np.array_equal(read.own[0], read.own[2])
    assert readers.stride(str(path)) == 2 and readers.parameters(str(path)) == readers.parameters("squeezenet1_1")


@photographs
def test_a_network_of_one_fixed_side_reads_enlarged_crops(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", str(SHARED))
    line = "return nn.Sequential(nn.AvgPool2d(28), nn.Flatten(), nn.Linear(192, 1000))"
    (tmp_path / "net.py").write_text(f"from torch import nn\n\ndef build():\n    {line}\n")
    path = tmp_path / "fixed.yaml"
    path.write_text("factory: net.py:build\nsize: 224\nclasses: imagenet\n")
    plan = make_mine.planned(make_mine.load(str(path)), 1, judges=8)
    assert plan.made_by["enlarged"] == 224
    assert make_mine.tuned(plan).steps == 1
    assert "which is chance" in make_mine.said(plan, 60)
    with pytest.raises(ValueError, match="fixed reads none of the 8 photographs that judge"):
        tunings.entered(str(path))
