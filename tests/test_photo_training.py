"""The networks, the crops and the trainings of the photos profile, and what of a claim is asked of photographs."""

import importlib.util
import json
import os
import re
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lib.base import paths, strict_yaml, weights
from lib.experiments.n03_order import plots, repeated
from lib.experiments.n07_patches import measures as patches
from lib.experiments.n09_occlusion import measures as occlusion
from lib.experiments.shared import through_autoencoders, tunings
from lib.networks import catalogue, imagenet, photo_networks, readers, segnet, trained_autoencoders
from lib.record import both_worlds, captions, claims, credits, ledger, review, seeds
from lib.running import params, runner
from lib.training import autoencoders, make_photos
from lib.worlds import batches, cutouts, imagenet_classes, photo_crops, photos

SHARED = Path(os.environ.get("COMPANION_DATA") or Path(__file__).resolve().parents[2] / "shared")
STRANGERS = {"googlenet": ("bvlc_googlenet", "build"), "mobilenet_v1": ("mobilenets", "mobilenet_v1")}
STRANGERS["mobilenet_v2"] = ("mobilenets", "mobilenet_v2")


# ------------------------------------------------------------------------------------------------------- networks


@pytest.mark.parametrize("name", STRANGERS)
@pytest.mark.parametrize("size", [224, 160])
def test_rebuilt_networks_answer_as_their_originals(name, size, monkeypatch):
    file, factory = STRANGERS[name]
    if not (path := SHARED / "nets" / f"{file}.py").exists():
        pytest.skip(f"no nets/{file}.py in COMPANION_DATA or ../shared")
    monkeypatch.setenv("COMPANION_DATA", str(SHARED))
    spec = importlib.util.spec_from_file_location(file, path)
    stranger = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stranger)
    original, net = getattr(stranger, factory)(), catalogue.load(name)
    images = torch.rand(2, 3, size, size, generator=torch.manual_seed(0))
    with torch.inference_mode():
        expected = original(images if name == "googlenet" else 2 * images - 1)
        assert torch.allclose(net.model(net.preprocess(images)), expected, atol=1e-4)


@pytest.mark.parametrize("name", STRANGERS)
def test_their_layers_are_modules_and_halve_the_side(name):
    net = catalogue.load(name, weights=False)
    modules, sides = dict(net.model.named_modules()), []
    for layer in ("conv1", "conv2", "conv3", "conv4", "conv5"):
        assert net.layers[layer] in modules and net.layers[f"{layer}_pre"] in modules
        modules[net.layers[layer]].register_forward_hook(lambda _, __, out: sides.append(out.shape[-1]))
    with torch.inference_mode():
        assert net.model(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)
    assert sides == [112, 56, 28, 14, 7]


def test_missing_and_damaged_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="mobilenet_v2.safetensors .* is neither in .*nets nor in"):
        catalogue.load("mobilenet_v2")
    (tmp_path / "mobilenet_v2.safetensors").write_bytes(b"half of it")
    with pytest.raises(ValueError, match="has the digest .* expected 0c1c215fcbcc9c50...: get it again"):
        imagenet.mobilenet(2)


def test_networks_of_other_sizes_read_the_same_pictures():
    net, own = (
        photo_networks.load("efficientnet_lite0", weights=False),
        catalogue.load("efficientnet_lite0", weights=False),
    )
    assert net.size == own.size == 224
    wide = photo_networks.load("efficientnet_lite2", weights=False)
    assert wide.size == 224 and wide.preprocess(torch.rand(1, 3, 224, 224)).shape == (1, 3, 260, 260)
    grey = torch.full((1, 3, 224, 224), 0.3)
    before = catalogue.load("efficientnet_lite2", weights=False).preprocess
    assert torch.allclose(wide.preprocess(grey), before(torch.full((1, 3, 260, 260), 0.3)), atol=1e-5)
    assert set(photo_networks.TITLES) == set(photo_networks.NETWORKS) == set(photo_networks.FAMILIES)
    assert set(readers.TITLES) == set(readers.LETTERS) and len(readers.LETTERS) >= 20
    for names in readers.WORLDS.values():  # a letter tells a network within its world
        assert (
            len({readers.LETTERS[name] for name in names})
            == len({readers.TITLES[name] for name in names})
            == len(names)
        )


def test_signals_of_two_worlds_are_told_apart(monkeypatch):
    assert readers.autoencoder("vgg", 1, "rate1") == "vgg-1-rate1"
    assert readers.autoencoder("googlenet", 0, "rate1") == "photos-googlenet-0-rate1"
    monkeypatch.setattr(trained_autoencoders, "autoencoder", lambda name, device="cpu": name)
    assert through_autoencoders.first(["vgg", "vit"]) == "pretrained"
    assert through_autoencoders.first(["googlenet"]) == "photos"
    with pytest.raises(ValueError, match="vgg, googlenet, expected networks of one world"):
        through_autoencoders.first(["vgg", "googlenet"])
    with pytest.raises(ValueError, match="world is photos, whose networks are one training each; expected seeds"):
        readers.chosen("photos", ["all"], [0, 1])
    with pytest.raises(ValueError, match="families: found vgg, and world is photos; expected of squeezenet1_1"):
        readers.chosen("photos", ["vgg"], [0])
    with pytest.raises(ValueError, match="no network is called 'gogle'"):
        readers.network("gogle")


# ---------------------------------------------------------------------------------------------------------- crops


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder with tiny collections: eight 'ImageNet' pictures of one colour each, six of 'Tiny-ImageNet'."""
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))

    def picture(colour, size, form):
        buffer = BytesIO()
        Image.new("RGB", size, colour).save(buffer, form)
        return buffer.getvalue()

    with zipfile.ZipFile(tmp_path / "imagenet-sample.zip", "w") as archive:
        for k in range(8):
            archive.writestr(f"s/{10 * k:04d}_n{k:08d}_x.jpg", picture((30 * k, 0, 0), (90 + k, 70), "PNG"))
    with zipfile.ZipFile(tmp_path / "tiny-imagenet-50.zip", "w") as archive:
        for k in range(6):
            archive.writestr(f"t/train/n{k:08d}/images/n_{k}.JPEG", picture((0, 40 * k, 0), (64, 64), "PNG"))
    for cached in (make_photos._tiny, make_photos._tuning):
        cached.cache_clear()
    yield tmp_path
    for cached in (make_photos._tiny, make_photos._tuning):
        cached.cache_clear()


def test_what_judges_is_not_trained_on(data):
    pictures = photo_crops.tuning()
    images, labels = photo_crops.judging(32)
    assert pictures.labels.tolist() == [10, 20, 30, 50, 60, 70] and labels.tolist() == [0, 40]
    assert images.shape == (2, 32, 32, 3) and images[1, 0, 0].tolist() == [120, 0, 0]
    made, classes = photo_crops.crops(pictures, 50, 16, np.random.default_rng(0))
    assert made.shape == (50, 16, 16, 3) and set(classes) <= set(pictures.labels.tolist())
    assert (made[:, 0, 0, 0] == 3 * classes).all()  # each crop is of the picture whose class it has
    again, _ = photo_crops.crops(pictures, 50, 16, np.random.default_rng(0))
    assert np.array_equal(made, again)


def test_crops_cover_the_share_that_is_asked_for():
    ramp = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (100, 1, 3))
    pictures = photo_crops.Pictures([Image.fromarray(ramp)], np.array([7]))
    made, _ = photo_crops.crops(pictures, 200, 50, np.random.default_rng(1), (0.25, 0.25))
    spans = np.ptp(made[:, 0, :, 0].astype(int), axis=1)
    assert (abs(spans - 49) <= 2).all()  # half of the shorter side, 100 pixels wide
    assert 60 < (made[:, 0, 0, 0] > made[:, 0, -1, 0]).sum() < 140  # mirrored half of the time
    assert made.min() < 10 and made.max() > 190


def test_test_pictures_of_both_worlds_have_one_form():
    rendered = batches.test("cutouts", 3)
    assert np.array_equal(rendered.images, cutouts.batch(cutouts.World(), "test", 3).images)
    with pytest.raises(ValueError, match="world is 'photo', expected cutouts or photos or paper"):
        batches.test("photo", 3)
    assert batches.owed("cutouts", [3]) == [] and batches.may_show("cutouts")


# ------------------------------------------------------------------------------------------------------ trainings


def test_a_s_and_a_decoder_are_trained_on_photographs(data, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(make_photos, "SHAPES", {"three": segnet.Shape((4, 6), (1, 1))})
    monkeypatch.setattr(make_photos, "CROP", 64)
    monkeypatch.setattr(photo_networks, "load", lambda name, device="cpu": catalogue.load(name, weights=False))
    first = autoencoders.PRETRAIN._replace(epoch=8, batch=4, epochs=2, warmup=1)
    info = make_photos.base("photos", "three", first)
    assert len(info["history"]["photographs"]) == 2 and info["made_by"]["recipe"]["fall"] == 4
    job = make_photos.Job("squeezenet1_1", 0.003, 2)
    assert job.name == "photos-squeezenet1_1-2-rate0.003"
    recipe = make_photos.RECIPE._replace(epoch=4, batch=4, epochs=1, fall=2, warmup=1, validation=2)
    info = make_photos.tuned(job, recipe)
    assert info["made_by"]["recipe"]["seed"] == 2 and len(info["own"]) == 2
    assert set(weights.names("autoencoders")) == {"autoencoders/photos", f"autoencoders/{job.name}"}
    made = trained_autoencoders.autoencoder(job.name)
    base = trained_autoencoders.autoencoder("photos")
    assert not torch.equal(made.decoder.final.weight, base.decoder.final.weight)
    assert all(torch.equal(a, b) for a, b in zip(made.encoder.parameters(), base.encoder.parameters(), strict=True))


def test_the_stream_takes_both_collections_in_turn(data):
    recipe = autoencoders.PRETRAIN._replace(epoch=5)
    large, small = (make_photos.stream(recipe, epoch) for epoch in (0, 1))
    assert large.shape == (5, 96, 96, 3) and small.shape == (5, 64, 64, 3)
    assert large[..., 1].max() == 0 and small[..., 0].max() == 0  # red ones, green ones
    assert not np.array_equal(large, make_photos.stream(recipe, 2))


def test_the_command_line_names_what_it_trains():
    def names(*arguments):
        groups = make_photos.tasks(make_photos.options(["--precision", "32-true", *arguments]))
        return [[getattr(task.args[0], "name", task.args[0]) for task in group] for group in groups]

    assert names("a_s") == [["photos-three", "photos-four", "photos-wide", "photos"], []]
    some = ["--networks", "googlenet", "squeezenet1_1", "--rate", "0.01"]
    assert names("signals", *some) == [[], ["photos-googlenet-0-rate0.01", "photos-squeezenet1_1-0-rate0.01"]]
    assert names("trials", "--networks", "googlenet") == [
        [],
        [f"photos-googlenet-3-rate{rate:g}-times0.25" for rate in make_photos.RATES + make_photos.LOWER],
    ]
    rate = "rate0.01"
    longer, again = f"photos-squeezenet1_1-0-{rate}-times3", [f"photos-squeezenet1_1-{s}-{rate}" for s in (1, 2)]
    assert names("more", *some) == [[], [longer, *again, "photos-squeezenet1_1-0-rate0.001"]]


def test_the_decoders_that_were_tuned_again_are_those_that_notebook_03_reads():
    read = {readers.autoencoder(family, seed, how) for family, some in tunings.AGAIN.items() for _, seed, how in some}
    assert read == {job.name for job in make_photos.more()}
    assert {f"autoencoders/{name}" for name in read} <= set(weights.names("autoencoders"))
    assert set(tunings.AGAIN) <= set(photo_networks.NETWORKS)


def test_a_row_that_moved_is_told_from_one_that_did_not(monkeypatch):
    families, n = ["squeezenet1_1", "googlenet", "efficientnet_lite0"], 64
    hits = np.zeros((3, 3, n), bool)
    hits[0, 0, :32] = hits[0, 1] = True  # signal, reader, picture
    hits[2, 1, :16] = True
    again = [repeated.Row("squeezenet1_1", repeated.USUAL, hits[0]), repeated.Row("squeezenet1_1", "seed 1", hits[0])]
    lost = hits[0].copy()
    lost[1, :48] = False  # googlenet loses three quarters
    again.append(repeated.Row("squeezenet1_1", "longer", lost))
    again.append(repeated.Row("efficientnet_lite0", repeated.USUAL, hits[2]))
    again.append(repeated.Row("efficientnet_lite0", "seed 1", hits[2]))
    every = repeated.moved(again, families, np.random.default_rng(0))
    found = {(row["family"], row["name"], row["group"]): row for row in every}
    assert found["squeezenet1_1", "seed 1", "others"]["value"] == 0 == found["squeezenet1_1", "seed 1", "own"]["value"]
    longer = found["squeezenet1_1", "longer", "others"]
    assert longer["value"] == pytest.approx(-0.75 / 2) and longer["high"] < 0  # the mean of two others
    assert found["squeezenet1_1", "longer", "own"]["value"] == 0
    figure = plots.again(again, every, families)
    assert [axis.get_title() for axis in figure.axes[::2]] == ["the signal $A_{Q}$", "the signal $A_{E0}$"]
    rows = plots.again_rows(again, every, families)
    assert {len(row) for row in rows} == {7} and len(rows) == 5 * 3 + len(found)


def test_the_boldest_rate_within_a_point_of_the_best_is_taken():
    assert make_photos.boldest({0.003: 0.70, 0.01: 0.695, 0.03: 0.66}) == 0.01
    assert make_photos.boldest({0.003: 0.60, 0.01: 0.695, 0.03: 0.69}) == 0.03


# ------------------------------------------------------------------------------------------------- the profile


def test_the_profile_runs_the_notebooks_that_have_photographs():
    plan = runner.plan("photos")
    asked = {name[:2] for name, job in plan.notebooks.items() if job.entry["photos"]}
    assert asked == {"02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "14"}
    for name in ("02_reconstruction_comparison", "03_total_order", "04_nmi", "05_noise_and_literature"):
        assert plan.notebooks[name].values["world"] == "photos" and plan.notebooks[name].values["seeds"] == [0]


@pytest.mark.parametrize("number", ["02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "14"])
def test_what_the_profile_leaves_out_is_all_that_needs_cutouts(number):
    path = next(Path(__file__).resolve().parents[1].joinpath("notebooks").glob(f"{number}_*.ipynb"))
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    away = {"not-photos", "not-profile-photos"}
    kept = [cell for cell in cells if not away & set(cell["metadata"].get("tags", []))]
    text = "".join(line for cell in kept for line in cell["source"])
    if number < "06":
        assert "zoo.network(" not in text and "cutouts.batch(" not in text and "cutouts.World(" not in text
    entry = params.index()[path.stem]
    saved = re.findall(rf'figures.save\(fig, "({number}_[a-z_]+)"', text)
    assert sorted(saved) == sorted(entry["photos"] + entry["only_photos"])
    recorded = set(re.findall(r'claims.record\(\s*"([A-Z]\w+)"', text))
    asked = claims.load(profile="photos")
    parts = {part: one for name in entry["claims"] for part, one in asked[name]["parts"].items()}
    assert recorded == {part for part, one in parts.items() if "untestable" not in one}


def test_what_prototypes_had_not_seen_is_named_beside_all():
    values = np.r_[np.zeros(250), np.ones(450)][None]
    found = seeds.shares(values, float, [0], np.random.default_rng(0), beyond=batches.seen("photos"))
    assert found["value"] == pytest.approx(450 / 700) and found["named"] == {"the same on the last 450": (1, 1, 1)}
    assert "named" not in seeds.shares(values, float, [0], np.random.default_rng(0), beyond=batches.seen("cutouts"))


def test_captions_say_what_photographs_show():
    facts = {"credits": "a: b, c"}
    here = captions.of("02_reconstructions", "02_reconstruction_comparison", facts)
    there = captions.of("02_reconstructions", "02_reconstruction_comparison", facts, "photos")
    assert "test pictures" in here[0] and "photographs" in there[0] and "a: b, c" in there[0]
    assert captions.of("03_paper", "03_total_order", {}) == captions.of("03_paper", "03_total_order", {}, "photos")


def test_every_network_has_a_stride_and_a_size():
    assert {name: readers.stride(name) for name in photo_networks.NETWORKS} == dict.fromkeys(photo_networks.NETWORKS, 2)
    assert readers.parameters("squeezenet1_1") == 1_235_496  # torchvision's count


def test_there_is_one_way_to_tune_on_photographs():
    families, how = tunings.chosen("default", ["all"], [0], world="photos")
    assert families == list(photo_networks.NETWORKS) and how == f"rate{photo_networks.RATE:g}"
    for given, sentence in (
        (("gentle", ["all"], [0]), "tuning is 'gentle' and world is photos"),
        (("default", ["all"], [0], True), "retrain is true and world is photos"),
        (("default", ["vgg"], [0]), "families: found vgg, expected of squeezenet1_1"),
        (("default", ["all"], [1]), "seeds: found 1, expected of 0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            tunings.chosen(*given, world="photos")


# --------------------------------------------------------------------------------------------------------- claims


def test_a_claim_may_be_asked_of_photographs_in_another_way_or_not_at_all():
    here, there = claims.load(), claims.load(profile="photos")
    assert "photos" not in here["C5"]["parts"]["C5a"] and here["C5"]["parts"]["C5a"]["seeds"] == 3
    entry = there["C5"]["parts"]["C5a"]
    assert entry["seeds"] == 0 and entry["rule"]["reproduced"]["inside"] == (-0.714, 0.714)
    assert entry["statistic"] == here["C5"]["parts"]["C5a"]["statistic"]
    assert "one training" in there["C10"]["parts"]["C10a"]["untestable"]
    assert (
        there["G1"]["parts"]["G1"]["untestable"]
        == "no generator of photographs was trained: codes are inverted on cutouts"
    )
    reproduced, untestable = claims.REPRODUCED, claims.UNTESTABLE
    assert claims.together([untestable, untestable]) == untestable
    assert claims.together([reproduced, untestable]) == reproduced
    assert claims.together([claims.INCONCLUSIVE, untestable]) == claims.INCONCLUSIVE


@pytest.mark.parametrize("part", ["C1", "C2a", "C2b", "C3", "C4a", "C5a", "C5b", "C6", "C7", "C8a", "C8b"])
def test_rules_for_photographs_give_the_verdicts_that_their_authors_worked_out(part):
    _, entry = claims.part(part, claims.load(profile="photos"))
    assert set(entry["examples"]) == set(claims.VERDICTS)
    for verdict, example in entry["examples"].items():
        assert claims.verdict(entry, **example) == verdict


# -------------------------------------------------------------------------- classes that hold many, marked objects


@pytest.fixture
def marked(tmp_path, monkeypatch):
    """Tiny-ImageNet's layout: two classes, three training and three validation pictures each, boxes of two sizes."""
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))
    lines = []
    with zipfile.ZipFile(tmp_path / "tiny-imagenet-50.zip", "w") as archive:
        archive.writestr("t/wnids.txt", "n01443537\nn02124075\nn99999999\n")
        archive.writestr("t/words.txt", "n01443537\tgoldfish, Carassius auratus\nn02124075\tEgyptian cat\n")
        for k, wnid in enumerate(("n01443537", "n02124075")):
            for n in range(3):
                buffer = BytesIO()
                Image.new("RGB", (64, 64), (100 * k, 50 * n, 0)).save(buffer, "PNG")
                archive.writestr(f"t/train/{wnid}/images/{wnid}_{n}.JPEG", buffer.getvalue())
                archive.writestr(f"t/val/images/val_{3 * k + n}.JPEG", buffer.getvalue())
                box = "0\t0\t63\t63" if n == 0 else "16\t0\t31\t63"
                lines.append(f"val_{3 * k + n}.JPEG\t{wnid}\t{box}")
        archive.writestr("t/val/val_annotations.txt", "\n".join(lines))


def test_classes_take_turns_and_boxes_are_masks(marked):
    found = batches.of_classes("photos", 4, largest=0.5)
    assert found.labels.tolist() == [1, 285, 1, 285] and found.cues.tolist() == [[1], [285], [1], [285]]
    assert found.images.shape == (4, 224, 224, 3) and found.masks.mean() == 0.25
    assert found.masks[0, :, 56:112].all() and not found.masks[0, :, :56].any()
    train = batches.of_classes("photos", 5, "validation")
    assert train.labels.tolist() == [1, 285, 1, 285, 1] and not train.masks.any()
    assert train.images[2, 0, 0].tolist() == [0, 50, 0]
    for given, sentence in (
        ((7,), "7 photographs of Tiny-ImageNet .* at most the 6"),
        ((2, "train"), "split is 'train'"),
    ):
        with pytest.raises(ValueError, match=sentence):
            batches.of_classes("photos", *given)


def test_pictures_that_no_network_names_are_left_out(marked, monkeypatch):
    net = catalogue.load("squeezenet1_1", weights=False)
    answers = iter((np.array([1, 0, 0, 0]), np.array([0, 0, 1, 1])))
    monkeypatch.setattr(readers, "network", lambda name, seed, device: net)
    monkeypatch.setattr(occlusion.interface, "scores", lambda *_: torch.eye(1000)[next(answers)])
    kept = occlusion.named(batches.of_classes("photos", 4), ["a", "b"])
    assert len(kept.labels) == 2 and kept.labels.tolist() == [1, 1]


def test_objects_that_hold_no_square_are_left_out():
    masks = np.zeros((3, 64, 64), bool)
    masks[0, 20:44, 20:44], masks[1, 0:2, 0:2], masks[2] = True, True, True
    batch = cutouts.Batch(np.zeros((3, 64, 64, 3), np.uint8), np.arange(3), masks, np.zeros((3, 3)), np.zeros((3, 4)))
    assert occlusion.marked(batch, 16, 8).labels.tolist() == [0]


def test_units_that_are_capped_are_read_before_their_cap():
    assert patches.last(catalogue.load("mobilenet_v1", weights=False)) == "conv5_pre"
    assert patches.last(catalogue.load("googlenet", weights=False)) == "conv5"


def test_every_class_is_of_one_kind():
    found = imagenet_classes.kinds(range(1000))
    names, classes = list(imagenet_classes.KINDS), imagenet_classes.imagenet_classes()
    kinds = {"flamingo": "bird", "tabby": "other vertebrate", "monarch": "invertebrate", "espresso": "food, plant"}
    kinds |= {"alp": "landscape", "teapot": "made by people"}
    assert {name: names[found[classes.index(name)]] for name in kinds} == kinds
    with pytest.raises(ValueError, match="1000 is no class of ImageNet"):
        imagenet_classes.kinds([1000])


# --------------------------------------------------------------------------------------- what a reader meets


def test_photographs_that_figures_show_are_credited():
    owed = photos.owed(photos.shipped(8))
    assert credits.line(owed[:1]) == "chelsea: Stefan van der Walt, CC0 1.0" and credits.line([]) == ""
    assert credits.line(owed * 3) == "12 photographs, CC0 1.0, public domain, whose authors figures/CREDITS.md names"
    hidden = photos.Photo("x", torch.zeros(3, 8, 8), (1,), "unknown", "unknown", "ImageNet", False)
    with pytest.raises(ValueError, match="photograph x must not be shown"):
        photos.owed([hidden])


def test_the_list_of_credits_holds_every_photograph_that_is_shown():
    found = credits.collected(paths.committed_figures())
    assert (paths.committed_figures() / credits.FILE).read_text() == credits.text(found)
    assert {one["licence"] for one in found.values()} <= {photos.CC0, photos.PUBLIC, photos.BY}
    for path in paths.committed_figures().glob("*/[0-9]*.json"):
        sidecar = json.loads(path.read_text())
        if "{credits}" in json.dumps(captions_of(sidecar.get("notebook", ""), path.stem, path.parent.name)):
            assert sidecar.get("photographs"), f"{path.name} shows photographs and credits none"


def captions_of(notebook: str, name: str, profile: str) -> dict:
    entry = strict_yaml.read(captions.path_of(notebook)).get(name, {}) if captions.path_of(notebook).exists() else {}
    other = entry.pop("photos", {})
    return entry | (other if profile == "photos" else {})


def test_both_worlds_stand_side_by_side(tmp_path, monkeypatch):
    table = both_worlds.table("09")
    assert [row[0] for row in table.rows] == ["E5", "E6", "E10a", "E10b"]
    assert table.rows[2][3:] == ("no landmarks are known on the photographs", claims.UNTESTABLE)
    with pytest.raises(FileNotFoundError, match="figures/photos has no 09_nothing: run `git checkout figures`"):
        both_worlds.figure("09_nothing")
    assert {row[0] for row in both_worlds.differing().rows} <= set(ledger.recorded("photos", paths.committed_figures()))
    reasons = review.unasked()
    assert any(row[0] == "E10a, E10b" for row in reasons.rows)


def test_of_trials_their_infos_are_kept_and_not_their_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(make_photos, "kept_trials", lambda: tmp_path / "kept.json")
    jobs = make_photos.trials(["googlenet"], [0.1, 0.2])
    for k, job in enumerate(jobs):
        own = np.packbits([k, 1, 1, 0]).tobytes().hex()
        weights.save(
            f"autoencoders/{job.name}", {"a": torch.ones(2)}, {"own": own, "made_by": {"recipe": {"validation": 4}}}
        )
    make_photos.keep_trials(jobs[:1])
    make_photos.keep_trials(jobs[1:])
    assert not list((tmp_path / "autoencoders").iterdir())
    monkeypatch.setattr(make_photos, "TRIALS", ("googlenet",))
    monkeypatch.setattr(
        make_photos, "trials", lambda rates: [make_photos.Job("googlenet", r, **make_photos.TRIAL) for r in rates]
    )
    assert make_photos.tried([0.1, 0.2]) == {0.1: 0.5, 0.2: 0.75}
    with pytest.raises(ValueError, match="kept.json has no photos-googlenet-3-rate0.3-times0.25: `python -m"):
        make_photos.tried([0.3])


def test_the_rule_chooses_the_rate_again_from_the_trials():
    assert make_photos.boldest(make_photos.tried()) == photo_networks.RATE
    own = make_photos.tried(make_photos.RATES + make_photos.LOWER)
    assert make_photos.boldest(own) == 0.001  # had the lower rates been among them
    assert [round(own[rate], 2) for rate in (3e-4, 1e-3, 3e-3)] == [0.70, 0.70, 0.67]  # as notebook 02 says
