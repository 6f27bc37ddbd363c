"""What goes with the order: every question asked of the right network, on made-up answers."""

import numpy as np
import pytest

from lib.experiments.n03_order import what_moves_it
from lib.experiments.shared import through_autoencoders
from lib.networks import readers, zoo
from lib.worlds import cutouts


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


def test_cues_are_read_by_their_own_reader(monkeypatch, decoders, pictures):
    def answers(made, readers, pictures):
        said = [np.eye(10)[(pictures.cues[:, k] + (k == 1)) % 10] for k in range(3)]  # the texture is never right
        return said if made[0] == "vgg" else [np.roll(one, 5, 1) for one in said]

    monkeypatch.setattr(through_autoencoders, "answers", answers)
    found = what_moves_it.readings(["vgg", "lenet"], [0, 1], pictures)
    assert [one.tolist() for one in found.values()] == [[[1, 0]] * 2, [[0, 0]] * 2, [[1, 0]] * 2, [1, 1]]
    assert [title.split()[0] for title in found] == ["shape", "texture", "hue", "stride"]


def test_what_a_family_is_made_of():
    strides = {"lenet": 1, "alexnet": 4, "vgg": 1, "resnet": 2, "inception": 2, "convnext": 4, "mobilenet": 2, "vit": 8}
    assert {family: readers.stride(family) for family in strides} == strides
    assert readers.parameters("lenet") == sum(p.numel() for p in zoo.build("lenet").parameters())
