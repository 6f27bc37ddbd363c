"""Tables of hits: rows are autoencoders, columns classifiers; every picture is reconstructed once per autoencoder;
weights that do not belong together are refused. And the jobs that train all of it, in small."""

import shutil

import numpy as np
import pytest
import torch

from lib.base import paths, weights
from lib.experiments.shared import through_autoencoders
from lib.networks import interface, segnet, trained_autoencoders, zoo
from lib.running.run import Run
from lib.training import autoencoders, classifiers
from lib.training import make_autoencoders as jobs
from lib.worlds import cutouts, streams

FAMILIES = ("lenet", "alexnet")
SHAPE = segnet.Shape((4, 6), (1, 1))
TINY = autoencoders.Recipe(epoch=32, validation=32, batch=16, epochs=2, warmup=1)
FIRST = autoencoders.PRETRAIN._replace(epoch=32, validation=16, batch=16, epochs=2, warmup=1)


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """A zoo of two families, and A_S and two decoders drawn at random, in a folder of their own."""
    (tmp_path / "weights/cutouts").mkdir(parents=True)
    for family in FAMILIES:
        for path in (paths.ROOT / "data/weights/cutouts").glob(f"{family}-[01].*"):
            shutil.copy(path, tmp_path / "weights/cutouts")
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path / "build"))
    write("pretrained", segnet.build(SHAPE, 0))
    for place, family in enumerate(FAMILIES, 1):
        write(f"{family}-0", segnet.build(SHAPE, place), base="pretrained")
    return tmp_path


def write(name: str, made: segnet.Autoencoder, base: str = "") -> dict:
    halves = {"encoder": made.encoder, "decoder": made.decoder}
    chosen = ("decoder",) if base else ("encoder", "decoder")
    state = {f"{half}.{key}": value for half in chosen for key, value in halves[half].state_dict().items()}
    made_by = {"shape": SHAPE}
    if base:
        made_by |= {"base": base, "base_digest": weights.info(f"autoencoders/{base}")["digest"]}
    return weights.save(f"autoencoders/{name}", state, {"made_by": made_by, "history": {"epochs": 5}}, half=False)


@pytest.fixture
def pictures() -> cutouts.Batch:
    found = cutouts.render(cutouts.World(), "test", range(60))
    return found


def test_rows_are_autoencoders_and_columns_classifiers(pictures):
    found = through_autoencoders.table(FAMILIES, 0, pictures)
    images = interface.to_tensor(pictures.images)
    for i, row in enumerate(FAMILIES):
        made = segnet.build(SHAPE)
        base, tuned = segnet.build(SHAPE, 0), segnet.build(SHAPE, i + 1)
        made = segnet.assemble("by hand", base.encoder, tuned.decoder)
        with torch.inference_mode():
            rebuilt = 0.5 + 0.25 * made.decoder(*made.encoder((images - 0.5) / 0.25))
            for j, column in enumerate(FAMILIES):
                model = zoo.network(column, 0).model
                expected = model((rebuilt - 0.5) / 0.25).argmax(1).numpy() == pictures.labels
                assert (found[i, j] == expected).mean() > 0.98, (row, column)
    assert found.shape == (2, 2, 60) and not np.array_equal(found[0, 1], found[1, 0])


def test_every_picture_is_reconstructed_once_per_autoencoder(pictures, monkeypatch):
    seen, reconstruct = [], segnet.reconstruct

    def counted(made, images, **options):
        seen.append((made.name, len(images)))
        return reconstruct(made, images, **options)

    monkeypatch.setattr(segnet, "reconstruct", counted)
    through_autoencoders.table(FAMILIES, 0, pictures)
    assert seen == [("lenet-0", 60), ("alexnet-0", 60)]
    through_autoencoders.table(FAMILIES, 0, pictures)  # from the cache
    assert len(seen) == 2


def test_who_asks_about_fewer_pictures_reads_what_is_there(pictures, monkeypatch):
    monkeypatch.setattr(through_autoencoders, "CHUNK", 25)
    made, nets = through_autoencoders.tuned("lenet", 0), [zoo.network("lenet", 1)]
    whole = through_autoencoders.answers(made, nets, pictures)[0]
    monkeypatch.setattr(segnet, "reconstruct", None)
    fewer = cutouts.Batch(*(part[:50] for part in pictures))
    assert np.array_equal(through_autoencoders.answers(made, nets, fewer)[0], whole[:50]) and len(whole) == 60


def test_the_cache_tells_networks_and_autoencoders_apart(pictures):
    nets = [zoo.network("lenet", 0), zoo.network("lenet", 1)]
    one, other = through_autoencoders.answers(through_autoencoders.tuned("lenet", 0), nets, pictures)
    assert not np.allclose(one, other)
    third = through_autoencoders.answers(through_autoencoders.tuned("alexnet", 0), nets[:1], pictures)[0]
    assert not np.allclose(one, third)
    assert np.array_equal(
        one, through_autoencoders.answers(through_autoencoders.tuned("lenet", 0), nets[:1], pictures)[0]
    )


def test_readers_of_another_seed_are_other_networks(pictures):
    across = through_autoencoders.table(FAMILIES, 0, pictures, readers=1)
    nets = through_autoencoders.zoo_of(FAMILIES, 1)
    assert np.array_equal(
        across[1], through_autoencoders.hits(through_autoencoders.tuned("alexnet", 0), nets, pictures)
    )


def test_a_classifier_of_another_world_is_refused(pictures):
    other = interface.wrap(zoo.build("lenet", 12), name="twelve", size=64, preprocess=zoo.preprocess)
    with pytest.raises(ValueError, match="twelve has 12 classes, expected the 10 of the cutouts world"):
        through_autoencoders.hits(None, [other], pictures)


def test_weights_that_do_not_belong_together_are_refused():
    with pytest.raises(
        ValueError, match=r"'pretrained' has widths \(4, 6\) and depths \(1, 1\), expected widths \(8,\)"
    ):
        trained_autoencoders.autoencoder("pretrained", segnet.Shape((8,), (1,)))
    assert trained_autoencoders.autoencoder("lenet-0", SHAPE).name == "lenet-0"
    write("pretrained", segnet.build(SHAPE, 5))
    with pytest.raises(ValueError, match="'lenet-0' was tuned from another 'pretrained'"):
        trained_autoencoders.autoencoder("lenet-0")
    with pytest.raises(FileNotFoundError, match="no weights are called 'autoencoders/lenet-7'"):
        trained_autoencoders.autoencoder("lenet-7")


def test_loaded_autoencoders_are_frozen():
    made = trained_autoencoders.autoencoder("lenet-0")
    parts = [*made.encoder.parameters(), *made.decoder.parameters()]
    assert not any(p.requires_grad for p in parts) and not made.encoder.training and not made.decoder.training


# ------------------------------------------------------------------------------------------------- training jobs


def test_the_stream_never_repeats_and_the_small_set_is_seen_equally_often():
    first, second = streams.diverse(0, 1_000), streams.diverse(1, 1_000)
    assert first.shape == (1_000, 64, 64, 3) and len(np.unique(first.reshape(1_000, -1), axis=0)) == 1_000
    assert not (first[:500] == second[:500]).all((1, 2, 3)).any()
    assert np.array_equal(streams.diverse(1, 1_000)[:10], second[:10])
    few = np.arange(7 * 12, dtype=np.uint8).reshape(7, 2, 2, 3)
    seen = np.concatenate([streams.repeated(epoch, 5, few) for epoch in range(7)])[:, 0, 0, 0] // 12
    assert (
        np.bincount(seen).tolist() == [5] * 7
        and sorted(seen[:7]) == list(range(7))
        and list(seen[:7]) != list(seen[7:14])
    )


def test_all_jobs_train_in_small_and_are_not_done_twice(folders, monkeypatch):
    monkeypatch.setattr(jobs, "SIMPLE", "alexnet")
    shutil.rmtree(folders / "weights/autoencoders")
    for name in ("pretrained", "pretrained-clean"):
        jobs.pretrained(name, FIRST, SHAPE)
    assert weights.info("autoencoders/pretrained-clean")["made_by"]["recipe"]["noise"] == 0
    for how in ("", "encoder", "both", "fresh", "untrained"):
        jobs.tuned(jobs.Job("alexnet", 0, how), TINY, images=64)
    names = set(weights.names("autoencoders"))
    assert names == {f"autoencoders/{n}" for n in (
        "pretrained", "pretrained-clean", "alexnet-0", "alexnet-0-encoder", "alexnet-0-both", "alexnet-0-fresh",
        "alexnet-0-untrained")}  # fmt: skip
    halves = {name: {key.split(".")[0] for key in weights.load(name)[0]} for name in names}
    assert halves["autoencoders/alexnet-0-encoder"] == {"encoder"} and halves["autoencoders/alexnet-0"] == {"decoder"}
    assert halves["autoencoders/alexnet-0-both"] == {"encoder", "decoder"}
    info = {how: weights.info(f"autoencoders/alexnet-0{how}") for how in ("", "-both", "-untrained")}
    assert info["-both"]["history"]["steps"] == info[""]["history"]["steps"]
    assert info["-untrained"]["made_by"]["network"] != info[""]["made_by"]["network"]
    monkeypatch.setattr(autoencoders, "tune", lambda *_, **__: pytest.fail("trained again"))
    jobs.tuned(jobs.Job("alexnet", 0), TINY, images=64)


def test_a_notebook_can_train_everything_it_needs_first(folders, monkeypatch):
    for name, value in {"SIMPLE": "alexnet", "STRIDES": (), "WIDENED": ("alexnet_x4",)}.items():
        monkeypatch.setattr(jobs, name, value)
    run = Run("02_reconstruction_comparison", "smoke", {}, 0, "cpu")
    jobs.here(run, ["alexnet"], [0], images=64, epochs=1)
    assert weights.names("autoencoders")[0].startswith("autoencoders/alexnet-0")
    folder = folders / "build/smoke/weights/02"
    found = {path.stem for path in (folder / "autoencoders").glob("*.safetensors")}
    assert {"pretrained", "pretrained-clean", "pretrained-small", "alexnet-0"} <= found
    assert {f"alexnet-0-{how}" for how in ("encoder", "both", "fresh", "untrained")} <= found
    assert (folder / "answers/alexnet_x4-0.safetensors").exists()
    assert through_autoencoders.tuned("alexnet", 0).digest != trained_autoencoders.autoencoder("pretrained").digest


def test_a_decoder_from_random_weights_keeps_the_encoder(folders):
    jobs.tuned(jobs.Job("alexnet", 0), TINY, images=64)
    jobs.tuned(jobs.Job("alexnet", 0, "fresh"), TINY._replace(rate=0.0), images=64)
    made = trained_autoencoders.autoencoder("alexnet-0-fresh")
    base, fresh = trained_autoencoders.autoencoder("pretrained"), segnet.build(SHAPE, 0)
    same = lambda one, two: all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))  # noqa: E731
    assert same(made.encoder, base.encoder)
    assert torch.allclose(made.decoder.final.weight, fresh.decoder.final.weight, atol=1e-3)


def test_a_widened_network_leaves_its_answers_only(folders, monkeypatch):
    short = classifiers.Recipe(images=64, epoch=64, epochs=1, validation=64)
    info = jobs.answer("alexnet_x4", 0, short, n_test=50)
    said = weights.load("answers/alexnet_x4-0")[0]["probabilities"]
    assert said.shape == (50, 10) and torch.allclose(said.sum(1), torch.ones(50), atol=2e-3)
    model = zoo.build("alexnet_x4")
    model.load_state_dict(weights.load("large/alexnet_x4-0")[0])
    test = cutouts.batch(cutouts.World(), "test", 50)
    expected = model.eval()(zoo.preprocess(interface.to_tensor(test.images))).softmax(1)
    assert torch.allclose(said, expected, atol=2e-3) and info["parameters"] > 800_000
    assert jobs.answer("alexnet_x4", 0, short, n_test=50)["digest"] == info["digest"]
