"""The training loop: resumes exactly, says where it broke, follows its written rule."""

import multiprocessing
import os
import time

import numpy as np
import pytest
import torch

from lib.base import weights
from lib.networks import zoo
from lib.training import classifiers, loop, make_zoo
from lib.worlds import cutouts

TINY = classifiers.Recipe(images=256, epoch=128, validation=64, batch=32, epochs=4, warmup=2)


def train(build) -> None:
    os.environ |= {"COMPANION_BUILD": str(build), "COMPANION_WEIGHTS": str(build / "weights")}
    torch.set_num_threads(1)
    recipe = TINY._replace(epochs=12, plateaus=99)
    make_zoo.one("cutouts/lenet-0", "lenet", "label", 0, recipe)


def run(build, stop_after=None):
    """Train in a process of its own, killed after so many epochs."""
    process = multiprocessing.get_context("fork").Process(target=train, args=(build,))
    process.start()
    if stop_after:
        while not (found := list((build / "weights").rglob("*.ckpt"))) and process.is_alive():
            time.sleep(0.005)
        while loop.load_checkpoint(found[0])["course"]["state"]["epoch"] < stop_after and process.is_alive():
            time.sleep(0.01)
        process.kill()
    process.join()


def test_a_killed_training_resumes_to_the_same_bits(tmp_path):
    run(tmp_path / "whole")
    run(tmp_path / "killed", stop_after=2)
    assert not (tmp_path / "killed/weights/cutouts/lenet-0.json").exists()
    assert list((tmp_path / "killed/weights").rglob("*.ckpt"))
    run(tmp_path / "killed")
    name = "weights/cutouts/lenet-0.safetensors"
    assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not list((tmp_path / "killed").rglob("*.ckpt"))


def fit(recipe, data=None, **options):
    batch = cutouts.render(cutouts.World(), "train", range(128))
    model = zoo.build("lenet", seed=recipe.seed)
    data = data or (lambda epoch: (batch.images, batch.labels))
    return classifiers.fit(model, data, (batch.images[:64], batch.labels[:64]), zoo.preprocess, recipe, **options)


def test_training_learns_and_repeats_to_the_bit():
    recipe = TINY._replace(epochs=10, plateaus=99)
    best, history = fit(recipe)
    again, _ = fit(recipe)
    assert all(torch.equal(a, b) for a, b in zip(best.values(), again.values(), strict=True))
    assert history["train_loss"][-1] < history["train_loss"][0] and len(history["rate"]) == 10
    other, _ = fit(recipe._replace(seed=1))
    assert not torch.equal(best["fc8.weight"], other["fc8.weight"])


def test_a_loss_that_is_not_finite_is_reported_with_its_step(monkeypatch):
    losses = iter([1.0, 1.0, float("nan")])
    real = torch.nn.functional.cross_entropy
    monkeypatch.setattr(classifiers.F, "cross_entropy", lambda x, y, **k: real(x, y, **k) * next(losses))
    with pytest.raises(FloatingPointError, match="step 2 "):
        fit(TINY)


def test_the_plateau_rule_by_hand():
    state = {"reference": np.inf, "waited": 0, "plateaus": 0, "rate": 1.0}
    recipe = TINY._replace(patience=2, factor=0.1)
    for loss, expected in [
        (1.0, (0, 0)),
        (0.995, (1, 0)),
        (0.98, (0, 0)),
        (0.98, (1, 0)),
        (0.975, (0, 1)),
        (0.97, (1, 1)),
        (0.5, (0, 1)),
    ]:
        classifiers.plateau_rule(state, loss, recipe)
        assert (state["waited"], state["plateaus"]) == expected
    assert state["rate"] == pytest.approx(0.1)


def test_states_on_the_way_and_the_best_are_kept():
    best, history = fit(TINY._replace(plateaus=99), keep={0: "step0", 4: "step4"})
    assert set(history["kept"]) == {"step0", "step4"}
    assert torch.equal(history["kept"]["step0"]["fc8.weight"], zoo.build("lenet").fc8.weight)
    assert not torch.equal(history["kept"]["step4"]["fc8.weight"], best["fc8.weight"])


def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path):
    path = tmp_path / "a.ckpt"
    fit(TINY, checkpoint=path)
    with pytest.raises(ValueError, match="another recipe"):
        fit(TINY._replace(rate=0.5), checkpoint=path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="damaged"):
        fit(TINY, checkpoint=path)


def test_shifts_move_pictures_and_nothing_else():
    images = torch.rand(64, 3, 16, 16)
    moved = classifiers.shifted(images, 4, torch.randint(0, 9, (2, 64), generator=torch.Generator().manual_seed(0)))
    offsets = set()
    for before, after in zip(images, moved, strict=True):
        padded = torch.nn.functional.pad(before[None], [4] * 4, mode="reflect")[0]
        found = [(t, s) for t in range(9) for s in range(9) if torch.equal(padded[:, t : t + 16, s : s + 16], after)]
        assert len(found) == 1
        offsets.update(found)
    assert len(offsets) > 30


def test_evaluation_leaves_the_network_as_it_was():
    model = zoo.build("vgg")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batch = cutouts.render(cutouts.World(), "test", range(30))
    _, accuracy = classifiers.evaluate(model, batch.images, batch.labels, zoo.preprocess, batch=7)
    assert model.training and all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    model.eval()
    scores = model(zoo.preprocess(torch.from_numpy(batch.images).permute(0, 3, 1, 2).float() / 255))
    assert accuracy == pytest.approx((scores.argmax(1).numpy() == batch.labels).mean())


def test_every_network_of_the_zoo_has_its_job():
    names = [name for name, *_ in make_zoo.jobs()]
    assert len(names) == len(set(names)) == 4 * len(zoo.EVERY) + len(cutouts.CUES)
    batch = cutouts.render(cutouts.World(), "test", range(5))
    assert np.array_equal(make_zoo.targets(batch, "hue"), batch.cues[:, 2])
    assert np.array_equal(make_zoo.targets(batch, "label"), batch.labels)


def test_a_network_that_is_there_is_not_trained_again(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path))
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path / "weights"))
    recipe = TINY._replace(epochs=1)
    first = make_zoo.one("cutouts/lenet-0", "lenet", "label", 0, recipe)
    monkeypatch.setattr(classifiers, "fit", lambda *a, **k: pytest.fail("trained again"))
    assert make_zoo.one("cutouts/lenet-0", "lenet", "label", 0, recipe)["digest"] == first["digest"]
    assert weights.info("cutouts/lenet-0")["validation"]["accuracy"] >= 0


def test_a_validation_loss_that_is_not_finite_stops_before_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(classifiers, "evaluate", lambda *a, **k: (float("nan"), 0.1))
    with pytest.raises(FloatingPointError, match=r"validation loss is nan at step 4 .*nothing is kept"):
        fit(TINY, checkpoint=tmp_path / "a.ckpt")
    assert not (tmp_path / "a.ckpt").exists()


def test_retraining_replaces_only_what_it_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path / "build"))
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path / "weights"))
    foreign = tmp_path / "build/retrained/zoo/cutouts/vgg-0.json"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("{}")
    monkeypatch.setattr(make_zoo, "RECIPE", TINY._replace(epochs=1))
    make_zoo.main(["--families", "lenet", "--seeds", "0", "--processes", "1", "--quiet", "--precision", "32-true"])
    assert sorted(path.name for path in (tmp_path / "weights/cutouts").iterdir()) == [
        "lenet-0.json",
        "lenet-0.safetensors",
    ]
    left = [path for path in (tmp_path / "build/retrained").rglob("*") if path.is_file()]
    assert left == [foreign]  # the next call starts from scratch, and what another left half-done stays
