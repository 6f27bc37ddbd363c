"""Signals across training seeds: made-up distances and tables whose answer is known, and wrong versions of them."""

from itertools import product

import numpy as np
import pytest

from lib.experiments.n03_order import across_seeds
from lib.experiments.shared import through_autoencoders
from lib.networks import segnet, zoo
from lib.record import claims
from lib.worlds import cutouts

rng = np.random.default_rng


def hits(accuracies, n: int = 400) -> np.ndarray:
    """(..., n) bool with exactly these shares of hits, spread evenly."""
    accuracies = np.asarray(accuracies)
    return (np.arange(n) + 0.5) / n < accuracies[..., None]


def test_family_leads_are_over_columns():
    table = np.array([[0.9, 0.1, 0.1], [0.7, 0.5, 0.3], [0.5, 0.3, 0.4]])
    assert across_seeds.family_leads(table) == pytest.approx([0.3, 0.3, 0.2])
    assert across_seeds.family_leads(table.T) != pytest.approx([0.3, 0.3, 0.2])


def test_tables_across_seeds_never_pair_a_seed_with_itself(monkeypatch):
    def table(families, seed, pictures, how, *, readers, device):
        return np.full((2, 2, 3), 10 * readers + seed)

    monkeypatch.setattr(through_autoencoders, "table", table)
    found = across_seeds.across(["a", "b"], [0, 1, 2], None)
    assert found.shape == (3, 2, 2, 2, 3)
    assert found[:, :, 0, 0, 0].tolist() == [[1, 2], [10, 12], [20, 21]]  # reader, then the seeds of the signals


def vectors(spread: float, families: int = 4, seeds: int = 3, n: int = 12) -> np.ndarray:
    """Distances between decoders whose reconstructions depend on the family, and by `spread` on seed and picture."""
    g = rng(0)
    made = g.normal(size=(1, families, 1, 30)) + spread * g.normal(size=(seeds, families, n, 30))
    return np.sqrt(((made[:, :, None, None] - made[None, None]) ** 2).mean(-1))


def test_kin_are_closer_only_where_families_matter():
    near = across_seeds.kinship(vectors(0.2), rng(0))
    assert near["value"] > 0.5 and near["interval"][0] > near["null"][1] and near["n"] == 4 and near["seeds"] == []
    assert claims.verdict("C10b", near["value"], near["interval"], near["null"]) == "reproduced"
    g = rng(3)
    other = np.abs(g.normal(1, 0.1, (3, 4, 3, 4, 12)))
    other = (other + other.transpose(2, 3, 0, 1, 4)) / 2
    assert abs(across_seeds.kinship(other, rng(0))["value"]) < 0.05
    rolled = np.stack([np.roll(vectors(0.2)[s], s, 0) for s in range(3)])  # families named wrongly in two seeds
    assert across_seeds.kinship(rolled, rng(0))["value"] < 0.2


def test_kin_of_one_seed_are_not_compared():
    apart, spoilt = vectors(0.2), vectors(0.2)
    for seed in range(3):
        spoilt[seed, :, seed] = 1e6
    assert across_seeds.kinship(spoilt, rng(0))["value"] == pytest.approx(across_seeds.kinship(apart, rng(0))["value"])
    pairs = [(s, f, t, g) for s, f, t, g in product(range(3), range(4), range(3), range(4)) if s != t]
    nearness = []
    for family in range(4):
        mine = [pair for pair in pairs if pair[1] == family]
        within = np.mean([apart[pair] for pair in mine if pair[3] == family])
        nearness.append(1 - within / np.mean([apart[pair] for pair in mine if pair[3] != family]))
    assert across_seeds.kinship(apart, rng(0))["value"] == pytest.approx(np.mean(nearness))


@pytest.fixture
def pictures():
    return cutouts.render(cutouts.World(), "test", range(8))


@pytest.fixture
def decoders(monkeypatch):
    """Decoders that say who they are instead of reconstructing, and readers that say who read what."""
    monkeypatch.setattr(through_autoencoders, "tuned", lambda f, s, how="", device="cpu": (f, s, how))
    monkeypatch.setattr(zoo, "network", lambda f, s=0, device="cpu", *, stage="": f"{f}-{s}{stage}")
    asked = []

    def hits(made, nets, pictures):
        asked.append((made, list(nets)))
        return np.full((len(nets), len(pictures.labels)), True)

    monkeypatch.setattr(through_autoencoders, "hits", hits)
    return asked


def test_distances_are_root_mean_squares_of_the_same_picture(monkeypatch, pictures, decoders):
    level = {("lenet", 0): 0.0, ("vgg", 0): 0.3, ("lenet", 1): 0.1, ("vgg", 1): 0.7}
    monkeypatch.setattr(segnet, "reconstruct", lambda made, images: images + level[made[:2]])
    found = across_seeds.distances(["lenet", "vgg"], [0, 1], pictures, batch=3)
    assert found.shape == (2, 2, 2, 2, 8)
    assert found[0, 0, 1, 1] == pytest.approx(0.7, abs=1e-5) and found[0, 1, 1, 0] == pytest.approx(0.2, abs=1e-5)
    assert found[1, 1, 1, 1] == pytest.approx(0, abs=1e-6)


def test_the_control_asks_the_untrained_network_first(decoders, pictures):
    raw = across_seeds.untrained(["lenet", "vgg"], 0, pictures)
    assert raw.shape == (2, 3, 8)
    assert decoders[1] == (("vgg", 0, "untrained"), ["vgg-0step0", "lenet-0", "vgg-0"])
    table = np.array([[0.8, 0.6, 0.4], [0.1, 0.7, 0.3], [0.1, 0.1, 0.6]])
    raw = hits([[0.5, 0.2, 0.3, 0.4], [0.5, 0.1, 0.4, 0.3], [0.25, 0.1, 0.2, 0.3]])
    rows = across_seeds.control(["lenet", "vgg", "resnet"], table, raw).rows
    assert rows[0] == ("LeNet-5", "0.800", "0.500", "0.500", "0.200", "0.350")
    assert rows[1] == ("VGG-BN", "0.700", "0.200", "0.500", "0.400", "0.200")
