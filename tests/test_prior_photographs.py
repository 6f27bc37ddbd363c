"""ImageNet networks through a generator of photographs, natural paths, and images read by others."""

import numpy as np
import pytest
import torch

from lib.base import paths
from lib.experiments.n07_patches import measures as patches
from lib.experiments.n12_prior import natural_paths, of_photographs
from lib.experiments.n13_controls import other_data_and_networks, plots, read_by_others
from lib.experiments.shared.class_images import Made
from lib.experiments.shared.recognised import Judged
from lib.methods.ascent import generator_prior
from lib.methods.receptive.strongest_patches import Peaks
from lib.networks import catalogue, generator_network, interface, zoo
from lib.record.seeds import stream
from lib.worlds import cutouts

NAMES = ["goldfish", "lemon"]


def prior(size: int) -> generator_prior.Prior:
    made = generator_network.build((6, 4, 4), 0, 6, size)
    made.norm.fill_(5.0)
    return generator_prior.wrap(made, "mine", "encoder-0", "pool5")


@pytest.mark.parametrize("size", [64, 128])
def test_a_readers_networks_are_driven_through_a_generator_of_any_size(size):
    nets = [catalogue.load(name) for name in ("squeezenet1_1", "efficientnet_lite0")]
    found = of_photographs.paint(nets, prior(size), NAMES, steps=2)
    assert list(found) == ["SqueezeNet 1.1", "EfficientNet-Lite0"]
    for one in found.values():
        assert one.chosen in of_photographs.TRIED and set(one.made) == set(of_photographs.WAYS)
        assert one.made[of_photographs.G].pictures.shape == (2, size, size, 3)
        assert one.made["Fourier"].pictures.shape == (2, 224, 224, 3)
        assert all(read.shape == (1, 2) and (read > 0).all() for read in one.read.values())
    shown = of_photographs.shown(found)
    assert len(shown) == 6 and {rows.shape for rows in shown.values()} == {(2, 224, 224, 3)}
    lines = of_photographs.rows(found, NAMES)
    assert len(lines) == 12 and all(np.isfinite(line["score"]) for line in lines)
    assert len(of_photographs.table(found, NAMES).rows) == 6


def test_one_network_alone_is_refused_and_an_unknown_class_is_named():
    net = catalogue.load("squeezenet1_1")
    with pytest.raises(ValueError, match="networks holds 1, expected at least two"):
        of_photographs.paint([net], prior(64), NAMES)
    with pytest.raises(ValueError, match="has no class 'goldfsh'; nearest: .*goldfish"):
        of_photographs.paint([net, net], prior(64), ["goldfsh"])


def test_what_another_network_finds_likely_is_its_probability_of_the_own_class():
    net = catalogue.load("squeezenet1_1")
    pictures = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    made = Made(pictures, np.array([1, 1, 951, 951]), None, None)
    large = torch.nn.functional.interpolate(interface.to_tensor(pictures), size=(224, 224), mode="bilinear")
    expected = interface.scores(net, large.clamp(0, 1)).softmax(1)
    numbers = [net.classes.index(name) for name in NAMES]
    own = expected[np.arange(4), [numbers[0], numbers[0], numbers[1], numbers[1]]]
    np.testing.assert_allclose(of_photographs.likely(net, made, NAMES), own, rtol=0.05, atol=1e-6)


def test_generators_of_files_are_called_by_their_names_and_two_of_one_name_are_refused(tmp_path):
    net, search = catalogue.load("squeezenet1_1"), other_data_and_networks.Search(starts=1, steps=2)
    for ending in ("safetensors", "json"):
        content = (paths.weights() / "generators" / f"photos-alexnet-pool5.{ending}").read_bytes()
        (tmp_path / f"mine.{ending}").write_bytes(content)
    mine = str(tmp_path / "mine.safetensors")
    assert list(other_data_and_networks.several(net, [mine], NAMES, search)) == ["mine"]
    with pytest.raises(ValueError, match="generators holds two that are called 'mine'"):
        other_data_and_networks.several(net, [mine, str(tmp_path / "b" / "mine.safetensors")], NAMES, search)


def test_one_unit_through_several_generators():
    net = catalogue.load("squeezenet1_1")
    search = other_data_and_networks.Search(starts=2, steps=2)
    found = other_data_and_networks.several(net, ["photos-alexnet-pool5", "alexnet-0-fc6"], NAMES, search)
    own = [net.classes.index(name) for name in ("goldfish", "goldfish", "lemon", "lemon")]
    assert all(made.targets.tolist() == own for made in found.values())
    assert not np.array_equal(*(made.pictures for made in found.values()))
    assert len(plots.several(found)) == 4
    rows = other_data_and_networks.several_rows(found, net, NAMES)
    assert [row["class"] for row in rows] == NAMES * 2


# ---------------------------------------------------------------------------------------------------- natural paths


def judged(pictures, targets) -> Judged:
    return Judged(pictures, targets, None, None, np.zeros((3, len(targets), 10)))


def test_pictures_of_a_class_lie_at_one_and_of_others_at_zero():
    batch = cutouts.batch(cutouts.World(), "test", 600)
    held = cutouts.batch(cutouts.World(), "validation", 600)
    net = zoo.network("alexnet", 0)
    order = np.argsort(held.labels, kind="stable")
    same = natural_paths.along(net, judged(held.images[order], held.labels[order]), batch, ["conv1", "fc7"])
    assert same["fc7"].mean() == pytest.approx(1, abs=0.15)
    wrong = natural_paths.along(net, judged(held.images[order], (held.labels[order] + 1) % 10), batch, ["fc7"])
    assert abs(wrong["fc7"].mean()) < 0.25


def test_likeness_is_the_cosine_about_the_centre():
    one, centre = np.array([[3.0, 1.0]]), np.array([1.0, 1.0])
    found = natural_paths.likeness(one, np.array([[2.0, 1.0], [1.0, 5.0], [0.0, 1.0]]), centre)
    np.testing.assert_allclose(found, [[1, 0, -1]], atol=1e-12)


# ------------------------------------------------------------------------------------------- images read by others


def test_readability_is_that_of_notebook_03_and_readers_leave_out_the_family_itself(monkeypatch):
    read = read_by_others.readability()
    assert set(read) >= set(zoo.FAMILIES) and all(0.2 < value < 1.5 for value in read.values())
    asked = []

    def others(pictures, targets, families, seed):
        asked.append((tuple(families), seed))
        return np.ones((len(families), len(targets)), bool)

    monkeypatch.setattr(read_by_others.recognised, "others", others)
    made = Made(np.zeros((20, 64, 64, 3), np.uint8), np.repeat(np.arange(10), 2), None, None)
    rows = read_by_others.rows({"way": {"lenet": made}}, ["lenet", "alexnet", "vgg"], 1)
    assert asked == [(("alexnet", "vgg"), 1)] and rows[0]["value"] == 1 and rows[0]["family"] == "LeNet-5"


# --------------------------------------------------------------------------------------------- untrained networks


def test_units_that_agree_no_more_than_untrained_ones_are_not_reproduced():
    from lib.record import claims

    cues = np.random.default_rng(0).integers(0, 10, (400, 3))

    def peaks(learnt: bool) -> list[Peaks]:
        values = np.random.default_rng(1).random((400, 60)).astype(np.float32)
        if learnt:
            values += (cues[:, :1] == np.arange(60) % 10).astype(np.float32)
        return [Peaks(values, None)] if len(Peaks._fields) == 2 else [Peaks(values, *[None] * (len(Peaks._fields) - 1))]

    for trained, untrained, expected in ((True, False, "reproduced"), (True, True, "not reproduced")):
        found = patches.alike(peaks(trained), cues, stream(0, "a"))
        found["seeds"] = [{"seed": k} | {key: found[key] for key in ("value", "interval", "null")} for k in range(3)]
        both = patches.beside_untrained(found, peaks(untrained), cues, stream(0, "b"))
        assert set(both["null"]) == {"dealt at random", "untrained networks"}
        said = claims.verdict("E15", both["value"], both["interval"], both["null"], None, both["seeds"])
        assert said == expected
