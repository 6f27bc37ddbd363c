"""What moves the order: every question asked of the right network, on made-up answers."""

import numpy as np
import pytest
import torch

from lib.base import weights
from lib.experiments.n03_order import what_moves_it
from lib.experiments.shared import through_autoencoders
from lib.networks import segnet, zoo
from lib.worlds import cutouts

rng = np.random.default_rng


def hits(accuracies, n: int = 400) -> np.ndarray:
    """(..., n) bool with exactly these shares of hits, spread evenly."""
    accuracies = np.asarray(accuracies)
    return (np.arange(n) + 0.5) / n < accuracies[..., None]


@pytest.fixture
def pictures():
    return cutouts.render(cutouts.World(), "test", range(8))


@pytest.fixture
def decoders(monkeypatch):
    """Decoders that say who they are instead of reconstructing, and readers that say who read what."""
    monkeypatch.setattr(
        through_autoencoders, "tuned", lambda f, s, how="", epoch=None, device="cpu": (f, s, how, epoch)
    )
    monkeypatch.setattr(zoo, "network", lambda f, s=0, device="cpu", *, stage="": f"{f}-{s}{stage}")
    asked = []

    def hits(made, nets, pictures):
        asked.append((made, list(nets)))
        return np.full((len(nets), len(pictures.labels)), True)

    monkeypatch.setattr(through_autoencoders, "hits", hits)
    return asked


def test_cues_are_read_by_their_own_reader(monkeypatch, decoders, pictures):
    def answers(made, readers, pictures):
        said = [np.eye(10)[(pictures.cues[:, k] + (k == 1)) % 10] for k in range(3)]  # the texture is never right
        return said if made[0] == "vgg" else [np.roll(one, 5, 1) for one in said]

    monkeypatch.setattr(through_autoencoders, "answers", answers)
    found = what_moves_it.readings(["vgg", "lenet"], [0, 1], pictures)
    assert [one.tolist() for one in found.values()] == [[[1, 0]] * 2, [[0, 0]] * 2, [[1, 0]] * 2, [1, 1]]
    assert [title.split()[0] for title in found] == ["shape", "texture", "hue", "stride"]


def test_growth_ends_with_the_default_decoders(monkeypatch, pictures):
    def table(families, seed, pictures, *, epoch, device):
        return hits(np.full((2, 2), 0.5) - 0.25 * seed * (epoch / 20) * ~np.eye(2, dtype=bool), 8)

    lengths = {"autoencoders/a-0": 10, "autoencoders/b-0": 20, "autoencoders/a-1": 30, "autoencoders/b-1": 40}
    monkeypatch.setattr(through_autoencoders, "table", table)
    monkeypatch.setattr(weights, "info", lambda name: {"history": {"epochs": lengths[name]}})
    default = hits(np.tile([[0.5, 0.125], [0.125, 0.5]], (2, 1, 1)), 8)
    rows = what_moves_it.by_epoch(["a", "b"], [0, 1], np.concatenate([default, ~default], -1), pictures)
    kept, stopped = ([row for row in rows if row["state"] == state] for state in ("kept", "default"))
    assert [row["epoch"] for row in kept if row["seed"] == 1] == list(what_moves_it.EPOCHS) == [0, 2, 6, 20]
    assert {row["seed"]: row["epoch"] for row in stopped} == {0: 15, 1: 35, "mean": 25}
    last = {row["seed"]: row["readability"] for row in kept if row["epoch"] == 20}
    assert last == {0: 1, 1: 0.5, "mean": 0.75}
    assert {row["readability"] for row in kept if row["epoch"] == 0} == {1}
    assert {row["readability"] for row in stopped} == {0.25}
    assert all(row["widest"] <= row["summed"] <= 1 for row in rows)


def test_fast_tuning_is_shown_for_the_seeds_that_have_all_of_it(monkeypatch, decoders, pictures):
    there = [f"autoencoders/{name}" for name in ("lenet-0-fast", "vgg-0-fast", "lenet-1-fast")]
    monkeypatch.setattr(weights, "names", lambda folder: there)
    monkeypatch.setattr(weights, "info", lambda name: {"history": {"epochs": 5}})
    found = through_autoencoders.fast(["lenet", "vgg"], [0, 1], pictures)
    assert list(found) == [0] and found[0].shape == (2, 2, 8)
    assert decoders == [((family, 0, "fast", None), ["lenet-0", "vgg-0"]) for family in ("lenet", "vgg")]
    monkeypatch.setattr(through_autoencoders, "table", lambda *_, **__: np.ones((2, 2, 8), bool))
    half = hits([[0.5, 0.25], [0.25, 0.5]], 8)
    for seeds in ([0, 1], [0]):
        monkeypatch.setattr(through_autoencoders, "fast", lambda *_: {0: half})
        rows = what_moves_it.by_epoch(["lenet", "vgg"], seeds, np.ones((len(seeds), 2, 2, 8), bool), pictures)
        fast = {row["seed"]: (row["epoch"], row["readability"]) for row in rows if row["state"] == "fast"}
        assert fast == ({0: (20, 0.5), "mean": (20, 0.5)} if seeds == [0] else {0: (20, 0.5)})


def test_the_stride_sweep_puts_the_variant_in_the_place_of_vgg(monkeypatch, decoders, pictures):
    there = [f"autoencoders/vgg_stride{stride}-0" for stride in (2, 4)]
    monkeypatch.setattr(weights, "names", lambda folder: there)
    families = ["lenet", "vgg", "alexnet"]
    found = what_moves_it.variants(families, [0, 1], pictures)
    assert list(found) == [(0, 2), (0, 4)]
    assert decoders[1] == (("vgg_stride4", 0, "", None), ["lenet-0", "vgg_stride4-0", "alexnet-0"])
    assert what_moves_it.variants(["lenet", "alexnet"], [0], pictures) == {}
    tables = hits(np.tile(np.where(np.eye(3), 0.75, 0.5), (2, 1, 1)), 8)
    read = {2: [0.25, 0.5, 0.375], 4: [0.125, 1, 0.75]}
    monkeypatch.setattr(
        what_moves_it, "variants", lambda *_: {(0, stride): hits(value, 8) for stride, value in read.items()}
    )
    checkers = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(32, 32)
    smooth = torch.linspace(0, 1, 64).repeat(64, 1)
    change = {"vgg": smooth + checkers, "vgg_stride2": smooth, "vgg_stride4": smooth + checkers}

    def reconstruct(made, images):
        return images * 0 + (change[made[0]] if made[3] is None else smooth)  # at epoch 0 no family has left A_S

    monkeypatch.setattr(segnet, "reconstruct", reconstruct)
    rows = what_moves_it.by_stride(families, [0, 1], tables, pictures, pictures)
    assert [(row["seed"], row["stride"]) for row in rows] == [(0, 1), (0, 2), (0, 4)]
    expected = [0.5 / 0.75, (0.25 / 0.5 + 0.375 / 0.5) / 2, (0.125 / 0.75 + 1) / 2]
    assert [row["readability"] for row in rows] == pytest.approx(expected)
    assert [round(row["checkerboard"], 6) for row in rows] == [1, 0, 1]


def test_what_a_family_is_made_of():
    strides = {"lenet": 1, "alexnet": 4, "vgg": 1, "resnet": 2, "inception": 2, "convnext": 4}
    assert {family: what_moves_it.stem_stride(family) for family in strides} == strides
    assert what_moves_it.parameters("lenet") == sum(p.numel() for p in zoo.build("lenet").parameters())
