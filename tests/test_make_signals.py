"""Decoders in the paper's regime: pictures that never come twice, own readings that can be checked, other shapes."""

from functools import partial

import numpy as np
import pytest
import torch

from lib.base import paths, weights
from lib.experiments.shared import regime
from lib.networks import fused, interface, segnet, trained_autoencoders, zoo
from lib.running.run import Run
from lib.training import autoencoders, make_signals, store
from lib.worlds import cutouts

TINY = autoencoders.Recipe(epoch=500, batch=100, epochs=2, fall=10, validation=100, improvement=0.0)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of weights with what the trainings start from."""
    for pattern in ("cutouts/lenet-0*", "autoencoders/pretrained.*"):
        for path in paths.weights().glob(pattern):
            target = tmp_path / path.relative_to(paths.weights())
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))


def test_own_readings_are_those_of_the_decoder_that_is_kept(here):
    job = make_signals.Job("lenet", 0, trained_autoencoders.RATE)
    info = make_signals.tuned(job, TINY, keep=(1,), own=300)
    assert job.name == f"lenet-0-rate{job.rate:g}" and info["made_by"]["recipe"]["rate"] == job.rate
    held_out = cutouts.batch(cutouts.World(), "validation", 300, first=make_signals.UNSEEN)
    made, net = trained_autoencoders.autoencoder(job.name), zoo.network("lenet")
    scores = interface.scores(net, segnet.reconstruct(made, interface.to_tensor(held_out.images)))
    right = scores.argmax(1).numpy() == held_out.labels
    found = regime.own(f"autoencoders/{job.name}")
    assert found.shape == (300,) and (found != right).mean() < 0.01  # half precision may turn a reading
    assert round(float(found.mean()), 6) == round(info["validation"]["accuracy"], 6)
    assert len(info["history"]["train_loss"]) == 2 and info["history"]["steps"] == 10
    assert f"autoencoders/{job.name}-epoch1" in weights.names("autoencoders")
    assert make_signals.tuned(job, TINY, keep=(1,), own=300)["digest"] == info["digest"]  # not trained again


def test_fresh_pictures_are_new_in_every_epoch_and_to_every_classifier():
    world, recipe = cutouts.World(), TINY
    first, second = (make_signals.fresh(world, recipe, epoch)[0] for epoch in (0, 1))
    known = cutouts.render(world, "train", range(make_signals.FIRST, make_signals.FIRST + 2)).images
    assert (first[:2] == known).all() and make_signals.FIRST == 60_000
    both = {one.tobytes() for one in np.concatenate([first, second])}
    assert len(both) == 1000
    within = cutouts.batch(world, "train", 500, first=60_100)  # across two files of the cache
    assert (within.images == np.concatenate([first[100:], second[:100]])).all()


def test_a_decoder_that_is_not_told_the_places_repeats_values(here):
    code, places = torch.arange(16.0).reshape(1, 1, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.long)
    blind, told = (segnet.Decoder(segnet.Shape((1,), (1,)), places=p) for p in (False, True))
    for decoder in (blind, told):
        decoder.stages[0] = torch.nn.Identity()
        torch.nn.init.ones_(decoder.final.weight), torch.nn.init.zeros_(decoder.final.bias)
    assert blind(code, [places])[0, 0].tolist() == code[0, 0].repeat_interleave(2, 0).repeat_interleave(2, 1).tolist()
    assert told(code, [places])[0, 0, 1:].abs().sum() == 0  # all at the place that is named
    recipe = autoencoders.PRETRAIN._replace(epoch=100, validation=20, epochs=1)
    assert make_signals.base("blind", recipe)["made_by"]["places"] is False
    make_signals.tuned(make_signals.Job("lenet", 0, 0.01, "blind"), TINY._replace(epochs=1), own=50)
    made = trained_autoencoders.autoencoder("lenet-0-rate0.01-blind")
    assert made.decoder.places is False
    images = interface.to_tensor(cutouts.render(cutouts.World(), "test", range(2)).images)
    code, places = made.encoder(made.preprocess(images))
    assert torch.equal(made.decoder(code, places), made.decoder(code, [place.flip(0) for place in places]))


@pytest.mark.parametrize("family", ["mobilenet", "vit"])
def test_newcomers_keep_what_distinguishes_them(family):
    model = zoo.build(family).eval()
    assert sum(part.numel() for part in model.parameters()) < 500_000
    x = torch.rand(3, 3, 64, 64, generator=torch.manual_seed(0))
    with torch.inference_mode():
        scores = model(x)
        assert scores.shape == (3, 10) and torch.allclose(fused.fused(model)(x), scores, atol=1e-4)
    assert torch.equal(model(x[:1])[0], zoo.build(family).eval()(x[:1])[0])
    modules = dict(model.named_modules())
    assert all(place in modules for place in zoo.layers(family).values())
    depthwise = [part for part in model.modules() if isinstance(part, torch.nn.Conv2d) and part.groups > 1]
    assert bool(depthwise) == (family == "mobilenet")
    if family == "vit":  # attention: after one block every place has seen every other
        seen = x[:1].clone().requires_grad_(True)
        block = torch.nn.Sequential(model.conv1, model.conv2)
        block(seen)[0, :, 0, 0].sum().backward()
        assert (seen.grad[0].abs().sum(0).reshape(8, 8, 8, 8).amax((1, 3)) > 0).all()
        assert not any(isinstance(part, torch.nn.ReLU) for part in model.modules())


def test_everything_is_each_decoder_once():
    jobs = make_signals.everything()
    names = [job.name for job in jobs]
    assert len(names) == len(set(names)) == 6 * 3 + 8 * 4 + 2 * 4 + 2 * 2
    rate = f"rate{trained_autoencoders.RATE:g}"
    assert {f"vit-3-{rate}", "vgg-0-rate0.001", f"alexnet-0-{rate}-blind", f"vgg_stride4-1-{rate}"} <= set(names)
    assert "vit-0-rate0.001" not in names and f"vgg_stride4-2-{rate}" not in names
    bases, tunings = make_signals.tasks(jobs, autoencoders.PRETRAIN, TINY)
    assert [task.args[0] for task in bases] == list(make_signals.SHAPES) and len(tunings) == len(jobs)


def test_a_notebook_can_train_its_signals_first(here, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(make_signals.make_autoencoders, "here", lambda *arguments: asked.append(arguments))
    monkeypatch.setattr(make_signals, "base", lambda but, recipe, **_: asked.append((but, recipe.epochs)))
    monkeypatch.setattr(make_signals, "tuned", lambda job, recipe, **options: asked.append((job.name, recipe, options)))
    run = Run("03_total_order", "smoke", {}, 0, "cpu")
    make_signals.here(run, ["lenet", "vit"], [1, 2], ["lenet", "vgg"], images=64, epochs=2)
    assert asked[0] == (run, ["lenet", "vit", *zoo.FAMILIES[1:]], [0, 1, 2], 64, 2)
    assert asked[1:4] == [(but, 2) for but in make_signals.SHAPES]
    names = [name for name, *_ in asked[4:]]
    rate = f"rate{trained_autoencoders.RATE:g}"
    assert len(names) == len(set(names)) == 2 * 3 + 6 * 4 - 1 + 4 + 4 and f"vit-2-{rate}" in names
    assert "alexnet-0-rate0.001" in names and f"lenet-0-{rate}-own" in names and f"vgg-0-{rate}-own" not in names
    _, recipe, options = asked[-1]
    assert (recipe.epoch, recipe.epochs, recipe.fall) == (64, 2, 4) and (options["own"], options["first"]) == (64, 64)


def test_states_beyond_the_end_are_the_end(here):
    job = make_signals.Job("lenet", 0, trained_autoencoders.RATE)
    make_signals.tuned(job, TINY, keep=(1, 5), own=50)
    first, last, end = (weights.load(f"autoencoders/{job.name}{tail}")[0] for tail in ("-epoch1", "-epoch5", ""))
    # one may be stored in half precision, and then its tensors come in another order
    same = [all(torch.allclose(one[key].float(), end[key].float(), 1e-2, 2e-3) for key in end) for one in (first, last)]
    assert same == [False, True]


def test_the_command_line_trains_and_puts_in_place(here, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path / "build"))
    monkeypatch.setattr(make_signals, "RECIPE", TINY._replace(epochs=1))
    monkeypatch.setattr(make_signals, "tuned", partial(make_signals.tuned, own=50, keep=()))
    monkeypatch.setattr(store, "side_by_side", lambda tasks, *_: (task() for task in tasks))
    make_signals.main(["--families", "lenet", "--rates", "0.003", "--quiet", "--precision", "32-true"])
    assert "lenet-0-rate0.003: train loss" in capsys.readouterr().out
    assert weights.info("autoencoders/lenet-0-rate0.003")["made_by"]["recipe"]["rate"] == 0.003
