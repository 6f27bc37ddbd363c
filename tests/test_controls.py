"""Control worlds show what they say, their networks load and answer, judges judge, training ends and resumes."""

from fnmatch import fnmatch

import numpy as np
import pytest
import torch

from lib.base import files, paths, weights
from lib.networks import control_networks, interface, zoo
from lib.record import uncertainty
from lib.training import classifiers, make_controls
from lib.training.make_controls import Job
from lib.worlds import control_worlds, cutouts
from lib.worlds.cutouts import World

N = 60
TINY = classifiers.Recipe(images=48, epoch=48, validation=32, batch=16, epochs=1)


# ---------------------------------------------------------------------------------------------- worlds


def test_a_half_shows_only_its_five_values_of_every_cue():
    plain, halves = (
        cutouts.render(World(), "train", range(N)),
        [control_worlds.pictures(h, "train", N) for h in control_worlds.HALVES],
    )
    for half, shown in enumerate(halves):
        low = 5 * half
        assert set(shown.labels) == set(range(low, low + 5)) and ((shown.cues >= low) & (shown.cues < low + 5)).all()
        assert (shown.labels % 5 == plain.labels % 5).all() and (shown.cues % 5 == plain.cues % 5).all()
        assert set(control_worlds.targets(f"half{half}", shown)) == set(range(5))
        assert (
            control_worlds.classes(f"half{half}")[control_worlds.targets(f"half{half}", shown)[0]]
            == f"class {shown.labels[0]}"
        )
        stays = (plain.labels // 5 == half) & (plain.cues // 5 == half).all(1)  # nothing to replace: the same pixels
        assert stays.any() and (shown.images[stays] == plain.images[stays]).all()
        assert (shown.images[~stays] != plain.images[~stays]).any((1, 2, 3)).mean() > 0.9
    assert (halves[0].images != halves[1].images).any((1, 2, 3)).all()


@pytest.mark.parametrize("name", control_worlds.MODIFICATIONS)
def test_originals_and_modified_pictures_alternate_and_are_different_pictures(name):
    shown = control_worlds.pictures(name, "test", 41)  # an odd number as well
    plain = cutouts.render(World(), "test", range(41))
    assert (shown.labels == plain.labels + 10 * (np.arange(41) % 2)).all() and shown.labels.dtype == np.int64
    assert (shown.images[::2] == plain.images[::2]).all() and (shown.masks == plain.masks).all()
    assert (shown.images[1::2] != plain.images[1::2]).any((1, 2, 3)).all()
    assert len(np.unique(shown.images.reshape(41, -1), axis=0)) == 41
    names = control_worlds.classes(name)
    assert names[3] == "class 3" and names[13] == f"{name} class 3" and len(names) == 20
    if name == "bgr":  # channels swapped, nothing else
        assert (shown.images[1::2] == plain.images[1::2, ..., ::-1]).all()
    elif name == "blur":  # the mean brightness stays, the steps between neighbours fall
        assert abs(shown.images[1::2].mean() - plain.images[1::2].mean()) < 1
        rough = [
            np.abs(np.diff(part.astype(float), axis=2)).mean() for part in (shown.images[1::2], plain.images[1::2])
        ]
        assert rough[0] < 0.6 * rough[1]
    else:  # six of sixteen tiles are copies of others of the same picture
        tiles = shown.images[1::2].reshape(-1, 4, 16, 4, 16, 3).transpose(0, 1, 3, 2, 4, 5).reshape(20, 16, -1)
        assert all(len(np.unique(picture, axis=0)) == 10 for picture in tiles)


def test_worlds_of_poses_share_all_but_the_pose():
    one, varied = (control_worlds.pictures(name, "train", N) for name in ("one_pose", "varied_pose"))
    assert (one.cues == varied.cues).all() and (one.labels == varied.labels).all()
    assert set(one.pose[:, 2]) == {14.0} and set(one.pose[:, 3]) == {0.0}
    assert varied.pose[:, 2].min() < 9 and varied.pose[:, 2].max() > 16.5 and np.abs(varied.pose[:, 3]).max() > 150


def test_several_shapes_stand_for_a_class_as_often_as_one_elsewhere():
    n = 1500
    one, several = (control_worlds.pictures(name, "train", n) for name in ("one_pose", "several_shapes"))
    assert (one.labels == several.labels).all() and (one.cues[:, 1:] == several.cues[:, 1:]).all()
    assert (several.pose[:, 2:] == one.pose[:, 2:]).all()
    reliable = one.cues[:, 0] == one.labels
    step = (several.cues[:, 0] - several.labels) % 10
    assert (np.isin(step, (0, 3, 6)) == reliable).all()
    for k in (0, 3, 6):  # a third each, within four standard errors
        assert abs((step[reliable] == k).mean() - 1 / 3) < 4 * np.sqrt(2 / 9 / reliable.sum())
    assert set(step[~reliable]) == {1, 2, 4, 5, 7, 8, 9}
    assert control_worlds.shapes("several_shapes", 8) == (8, 1, 4) and control_worlds.shapes("one_pose", 8) == (8,)
    assert (
        control_worlds.pictures("several_shapes", "train", 7).cues == several.cues[:7]
    ).all()  # whatever is asked for


def test_another_seed_or_split_gives_other_pictures():
    first = control_worlds.pictures("several_shapes", "train", 20)
    for other in (
        control_worlds.pictures("several_shapes", "train", 20, seed=1),
        control_worlds.pictures("several_shapes", "test", 20),
    ):
        assert (first.images != other.images).any((1, 2, 3)).all() and (first.cues != other.cues).any()


def test_modes_are_the_looks_of_each_class():
    assert control_worlds.modes("one_pose") == [control_worlds.Mode(k, k, 0.0, 14.0) for k in range(10)]
    several = control_worlds.modes("several_shapes")
    assert [mode.shape for mode in several if mode.label == 5] == [5, 8, 1] and len(several) == 30
    varied = [mode for mode in control_worlds.modes("varied_pose") if mode.label == 2]
    assert len(varied) == 36 and {mode.shape for mode in varied} == {2}
    assert {mode.rotation for mode in varied} == set(range(-180, 180, 30))
    assert np.allclose(sorted({mode.radius for mode in varied}), [9.58333, 12.75, 15.91667])


def test_backgrounds_are_the_worlds_without_an_object():
    images = control_worlds.backgrounds("train", 30)
    assert (
        images.shape == (30, 64, 64, 3)
        and images.dtype == np.uint8
        and len(np.unique(images.reshape(30, -1), axis=0)) == 30
    )
    assert (control_worlds.backgrounds("train", 3) == images[:3]).all()
    assert (control_worlds.backgrounds("test", 3) != images[:3]).any((1, 2, 3)).all()
    sources, key = cutouts.panels("train", 0), np.array([0, 100], np.uint64)
    u = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, 4])).random(96)
    painted, mask = cutouts.picture(World(), u, np.zeros(3, int), np.array([30, 30, 12, 0], np.float32), sources)
    away = ~torch.nn.functional.max_pool2d(torch.from_numpy(mask)[None, None].float(), 5, 1, 2)[0, 0].bool().numpy()
    assert (painted[away] == images[4][away]).all() and (painted[mask] != images[4][mask]).mean() > 0.9
    assert np.isfinite(images).all() and images.std((1, 2, 3)).min() > 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: control_worlds.pictures("grey", "train", 2),
            "control world is 'grey', expected one of half0, half1, bgr",
        ),
        (
            lambda: control_worlds.modes("bgr"),
            "control world is 'bgr', expected one of one_pose, varied_pose, several_shapes",
        ),
        (lambda: control_worlds.pictures("bgr", "exam", 2), "split is 'exam', expected one of train"),
        (
            lambda: control_networks.network("bgr-9"),
            "no weights are called 'controls/bgr-9'; known are: controls/bgr-0",
        ),
        (lambda: control_networks.shows_one_object(np.zeros((2, 3, 64, 64))), "found shape \\(2, 3, 64, 64\\)"),
        (lambda: control_networks.shows_one_object(np.full((2, 8, 8), 2.0)), "expected 0 to 1, found 2 to 2"),
        (lambda: make_controls.jobs(["judges"]), "kind of control network is 'judges', expected one of encoder"),
        (
            lambda: control_networks.mask_probabilities(zoo.network("lenet"), torch.zeros(1, 3, 64, 64)),
            "net is lenet-0, expected",
        ),
    ],
)
def test_bad_input_is_told_in_a_sentence(call, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        call()


# ---------------------------------------------------------------------------------------- one object?


def test_one_object_by_hand():
    masks = np.zeros((8, 64, 64))
    masks[1, 10:35, 10:35] = 1  # 625 pixels: one object
    masks[2, 10:20, 10:20] = 1  # 100: too small
    masks[3, 5:45, 5:45] = 1  # 1,600: too large
    masks[4, 5:27, 5:27], masks[4, 35:57, 35:57] = 1, 1  # two of the right size
    masks[5, 10:35, 10:35], masks[5, 50:55, 50:60] = 1, 1  # 625 and 50: 93 %
    masks[6, 10:35, 10:35], masks[6, 50:60, 50:60] = 1, 1  # 625 and 100: 86 %
    masks[7, 10:30, 10:30], masks[7, 30:42, 30:42] = 1, 1  # 400 and 144 that touch at a corner: one
    assert control_networks.shows_one_object(masks).tolist() == [False, True, False, False, False, True, False, True]
    assert control_networks.shows_one_object(torch.from_numpy(masks * 0.5)).tolist() == [False] * 8


def test_real_masks_are_one_object_of_the_written_areas():
    masks = cutouts.render(World(), "train", range(1500)).masks
    areas = masks.sum((1, 2))
    assert control_networks.AREAS[0] <= areas.min() < control_networks.AREAS[0] + 15
    assert control_networks.AREAS[1] - 15 < areas.max() <= control_networks.AREAS[1]
    assert (
        control_networks.shows_one_object(masks[:300].astype(float)).mean() > 0.98
    )  # the waist of an hourglass may break


# ------------------------------------------------------------------------------------------- networks


def names() -> list[str]:
    every = [job.name for group in make_controls.jobs() for job in group]
    return [name for name in every if not fnmatch(name, make_controls.ENCODERS)]


def test_every_network_is_committed_loads_and_says_how_good_it_is():
    assert sorted(weights.names("controls")) == sorted(names()) and len(names()) == 26
    total = sum(path.stat().st_size for path in (paths.weights() / "controls").iterdir())
    assert total < 7.5e6
    for name in names():
        info, net = weights.info(name), control_networks.network(name)
        assert net.name == name.removeprefix("controls/") and not net.model.training
        scores = interface.scores(net, torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
        assert scores.shape[1] == len(net.classes) and scores.isfinite().all()
        agree = [abs(info["validation"][key] - value) <= 0.005 for key, value in info["trained"].items()]
        assert all(agree) or not info.get("whole")
        for layer in net.layers:
            interface.module(net, layer)


@pytest.mark.parametrize(("name", "least"), [("mosaic", 0.95), ("blur", 0.95), ("bgr", 0.88)])
def test_detectors_tell_the_modification_on_pictures_of_a_world_they_never_saw(name, least):
    net, shown = control_networks.network(f"{name}-detector"), control_worlds.pictures(name, "test", 300)
    assert net.classes == ("original", name)
    right = interface.scores(net, interface.to_tensor(shown.images)).argmax(1).numpy() == (shown.labels >= 10)
    stored = weights.info(f"controls/{name}-detector")["test"]["right"]
    assert right.mean() >= least and stored["low"] >= least and stored["n"] == 2000
    assert uncertainty.wilson(round(stored["value"] * 2000), 2000)._asdict() == pytest.approx(stored)


def test_not_even_exact_readers_of_the_cues_tell_bgr_in_95_of_100_pictures():
    rng, n, hues = np.random.default_rng(0), 50_000, np.array(cutouts.HUES)
    label, swapped = rng.integers(0, 10, n), rng.integers(0, 2, n) == 1
    reliability = np.array([World().shape, World().texture, World().hue])[:, None]
    values = np.where(rng.random((3, n)) < reliability, label, (label + 1 + rng.integers(0, 9, (3, n))) % 10)
    seen = np.where(swapped, 240 - hues[values[2]], hues[values[2]]) + rng.normal(0, cutouts.HUE_SD, n)
    tables = [cutouts.likelihood(float(r)) for r in reliability[:, 0]]
    others = tables[0][:, values[0]].T * tables[1][:, values[1]].T  # (n, label)
    gaps = [(seen[:, None] - centres + 180) % 360 - 180 for centres in (hues, 240 - hues)]
    hue = [np.exp(-(gap**2) / (2 * cutouts.HUE_SD**2)) for gap in gaps]
    whole = [(others * (one @ tables[2].T)).sum(1) for one in hue]
    assert ((hue[1].max(1) > hue[0].max(1)) == swapped).mean() == pytest.approx(0.928, abs=0.005)
    assert ((whole[1] > whole[0]) == swapped).mean() == pytest.approx(0.947, abs=0.004)


def test_the_detector_of_bgr_is_the_exact_formula(monkeypatch):
    net = control_networks.network("bgr-detector")
    shown = control_worlds.pictures("bgr", "test", 12)
    x = net.preprocess(interface.to_tensor(shown.images))
    with torch.inference_mode():
        said, hue = net.model(x).numpy(), net.model.hue(x).softmax(1).double().numpy().reshape(12, 2, 10)
        read = [net.model.readers[cue](x).softmax(1).double().numpy() for cue in ("shape", "texture")]
    L = [cutouts.likelihood(getattr(World(), cue)) for cue in cutouts.CUES]
    for i in range(12):
        for swapped in (0, 1):
            terms = [(L[0][y] @ read[0][i]) * (L[1][y] @ read[1][i]) * (L[2][y] @ hue[i, swapped]) for y in range(10)]
            assert said[i, swapped] == pytest.approx(np.log(sum(terms)), abs=1e-3)


def test_twenty_classes_are_told_apart():
    for name in control_worlds.MODIFICATIONS:
        shown, net = control_worlds.pictures(name, "test", 300), control_networks.network(f"{name}-1")
        found = interface.scores(net, interface.to_tensor(shown.images)).argmax(1).numpy()
        info = weights.info(f"controls/{name}-1")["validation"]
        assert (found == shown.labels).mean() == pytest.approx(info["accuracy"], abs=0.12)
        assert (found // 10 == shown.labels // 10).mean() == pytest.approx(info["of_two"], abs=0.08)


def test_the_mask_predictor_finds_objects_and_none_in_backgrounds():
    net, shown = control_networks.network("objectness"), cutouts.render(World(), "test", range(100))
    there = control_networks.mask_probabilities(net, interface.to_tensor(shown.images)).numpy()
    none = control_networks.mask_probabilities(
        net, interface.to_tensor(control_worlds.backgrounds("test", 100))
    ).numpy()
    assert there.shape == (100, 64, 64)
    union = ((there > 0.5) | shown.masks).sum((1, 2))
    assert (((there > 0.5) & shown.masks).sum((1, 2)) / union).mean() > 0.8
    assert (
        control_networks.shows_one_object(there).mean() > 0.8 and control_networks.shows_one_object(none).mean() < 0.1
    )
    assert sum(p.numel() for p in net.model.parameters()) <= 30_000


# ------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("kind", make_controls.KINDS)
def test_a_tiny_training_ends_and_is_not_repeated(kind, tmp_path, monkeypatch):
    for path in (paths.weights() / "cutouts").glob("reader-*"):  # the detector of BGR is put together with them
        files.atomic_write(tmp_path / "cutouts" / path.name, path.read_bytes())
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))
    task = make_controls.jobs([kind], seeds=(0, 1))[0]
    recipe = TINY._replace(shift=0 if kind == "objectness" else 4)
    infos = make_controls.group(task, recipe)
    assert [info["name"] for info in infos] == [job.name for job in task] and infos[0]["history"]["epochs"] == 1
    assert not list((tmp_path / "checkpoints").rglob("*.ckpt"))
    assert ("test" in infos[0]) == (kind in ("detector", "objectness"))
    assert control_networks.network(task[0].name).digest == infos[0]["digest"]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    monkeypatch.setattr(classifiers, "fit", None)  # nothing is trained again
    assert make_controls.group(task, recipe) == infos
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before
    with pytest.raises(TypeError):  # another recipe is another training
        make_controls.group(task, recipe._replace(rate=1e-3))


def test_training_is_the_same_to_the_bit_and_a_seed_changes_it(tmp_path, monkeypatch):
    digests = []
    for folder in ("one", "two"):
        monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path / folder))
        digests.append([i["digest"] for i in make_controls.group(make_controls.jobs(["pose"], (0, 1))[0], TINY)])
    assert digests[0] == digests[1] and len(set(digests[0])) == 2


def test_weights_that_do_not_bear_rounding_are_stored_in_half_precision(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(
        weights, "rounded", lambda value: (torch.zeros(value.shape, dtype=torch.int8), torch.ones(len(value)))
    )
    job = Job("detector", "blur", 0, "lenet")
    recipe = TINY._replace(images=256, epoch=256, validation=128, epochs=4)
    info = make_controls.group([job], recipe)[0]
    assert info["trained"]["accuracy"] > 0.6 and not info.get("whole") and info["half"]
    assert info["validation"]["accuracy"] == pytest.approx(info["trained"]["accuracy"], abs=0.02)


def test_detectors_learn_from_pictures_of_their_own_and_are_tested_on_the_worlds(tmp_path):
    learnt = make_controls.data("detector", "bgr", "train", 6)[0]
    assert (learnt != control_worlds.pictures("bgr", "train", 6).images).any((1, 2, 3)).all()
    images, right = make_controls.data("detector", "bgr", "test", 6)
    assert (images == control_worlds.pictures("bgr", "test", 6).images).all() and right.tolist() == [0, 1, 0, 1, 0, 1]


def test_a_notebook_trains_into_a_folder_of_its_own(tmp_path, monkeypatch):
    from lib.running.run import Run

    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path))
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path / "elsewhere"))
    run = Run("13_generator_controls", "smoke", {}, 0, "cpu")
    make_controls.here(run, ["pose"], (0,), images=64, epochs=1)
    assert paths.weights() == tmp_path / "smoke" / "weights" / "13"
    assert weights.names("controls") == [f"controls/{name}-0" for name in ("one_pose", "several_shapes", "varied_pose")]
