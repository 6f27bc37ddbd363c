"""What is fixed and what reconstructions cost: small pipelines, swapped tables, accuracies of the wrong classifier."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.experiments.n02_reconstructions import costs, plots, rewired
from lib.experiments.shared import through_autoencoders
from lib.jobs import comparison
from lib.networks import interface, segnet, zoo
from lib.record import claims, uncertainty
from lib.running import params
from lib.training import autoencoders
from lib.worlds import cutouts

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def made():
    autoencoder = segnet.build(segnet.Shape((4, 6), (1, 1)), seed=3)
    images = torch.rand(64, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    both = nn.ModuleDict({"encoder": autoencoder.encoder, "decoder": autoencoder.decoder}).train()
    both.decoder(*both.encoder(images))  # batch-norm statistics that are not the initial ones
    both.eval()
    return autoencoder


def test_fingerprints_tell_what_tuning_moved():
    autoencoder = segnet.build(segnet.Shape((4, 6), (1, 1)))
    names = tuple(f"class {k}" for k in range(10))
    net = interface.Network(
        "resnet", zoo.build("resnet").eval().requires_grad_(False), zoo.preprocess, 64, names, {}, ""
    )
    pictures = cutouts.render(cutouts.World(), "train", range(32))
    pair, before = (pictures.images, pictures.labels), rewired.fingerprints(autoencoder, net)
    autoencoders.tune(autoencoder, net, lambda epoch: pair, autoencoders.Recipe(epochs=1, batch=16), pair)
    after = rewired.fingerprints(autoencoder, net)
    assert [part for part in before if after[part] != before[part]] == [
        "decoder, weights",
        "decoder, batch-norm statistics",
    ]
    assert len(before) == 6 and len(set(before.values())) == 6
    next(part for name, part in net.model.named_buffers() if "running" in name)[0] += 1e-7
    next(autoencoder.encoder.parameters()).data[0, 0, 0, 0] += 1e-6
    moved = rewired.fingerprints(autoencoder, net)
    assert [part for part in moved if after[part] != moved[part]] == [
        "encoder, weights",
        "classifier, batch-norm statistics",
    ]
    plain = net._replace(model=zoo.build("lenet"))  # has no such statistics
    assert "classifier, batch-norm statistics" not in rewired.fingerprints(autoencoder, plain)


def test_rewired_takes_from_the_picture_before_what_it_does_not_keep(made):
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    whole, flat, swapped, mirrored = (rewired.rewired(made, images, keep) for keep in rewired.KEEPS)
    assert torch.equal(whole, segnet.reconstruct(made, images))
    with torch.inference_mode():
        code, places = made.encoder(made.preprocess(images))
        theirs = made.decoder(code[[1]], [part[[0]] for part in places])
        others = made.decoder(code[[0]], [part[[1]] for part in places])
    np.testing.assert_allclose(swapped[1], made.restore(theirs)[0], atol=1e-5)
    np.testing.assert_allclose(mirrored[1], made.restore(others)[0], atol=1e-5)
    twins = images[[1, 1]]
    np.testing.assert_allclose(rewired.rewired(made, twins, rewired.KEEPS[2]), whole[[1, 1]], atol=1e-5)
    different = [whole, flat, swapped, mirrored]
    assert min((a - b).abs().max() for k, a in enumerate(different) for b in different[:k]) > 0.01
    for bad in ((images, "codes"), (images[:1], rewired.KEEPS[0])):
        with pytest.raises(ValueError, match="expected one of .* and two or more pictures"):
            rewired.rewired(made, *bad)


def test_corners_are_what_pooling_says_where_the_corner_is_the_largest():
    x = torch.zeros(2, 3, 8, 12)
    x[..., ::2, ::2] = 1
    _, places = F.max_pool2d(x, 2, return_indices=True)
    somewhere = torch.randint(0, 96, places.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(rewired._corners(somewhere), places)


def test_rewired_accuracy_asks_for_the_label_of_the_picture_that_is_kept(monkeypatch):
    """A decoder that paints the code everywhere: accuracy stays with the code and goes with another's."""
    pictures = cutouts.render(cutouts.World(), "test", range(40))
    values = interface.to_tensor(pictures.images)
    values[:] = torch.from_numpy(pictures.labels / 10).float().reshape(-1, 1, 1, 1)
    flat = pictures._replace(images=(values * 250).round().byte().permute(0, 2, 3, 1).numpy())
    painter = segnet.Autoencoder(
        "painter",
        lambda x: (x, [torch.zeros(len(x), 3, 4, 4)]),
        lambda code, places: code,
        lambda x: x,
        lambda x: x,
        "",
    )

    class Reader(nn.Module):
        def forward(self, x):
            label = (x.mean((1, 2, 3)) * 255 / 25).round().long()
            return F.one_hot(label, 10).float()

    net = interface.Network("reader", Reader(), lambda x: x, 64, tuple("0123456789"), {}, "")
    monkeypatch.setattr(rewired.trained_autoencoders, "autoencoder", lambda device: painter)
    monkeypatch.setattr(rewired.through_autoencoders, "zoo_of", lambda families, seed, device: [net] * len(families))
    found = rewired.rewired_accuracy(["lenet", "vgg"], 0, flat, 24)
    before = (flat.labels[:24] == np.roll(flat.labels[:24], 1)).mean()
    assert list(found) == list(rewired.KEEPS) and before < 0.5
    assert list(found.values()) == pytest.approx([1, 1, 1, before])


# ------------------------------------------------------------------------------------- Table 1, and C1, C2


ACCURACY = np.array([[0.80, 0.70, 0.90], [0.76, 0.69, 0.87], [0.82, 0.75, 0.86]])  # ways x families


def some_hits(accuracy, n=400, seeds=3) -> np.ndarray:
    """(seeds, ..., n): the first pictures are right; the same in every seed."""
    hits = np.arange(n) < np.round(np.asarray(accuracy)[..., None] * n)
    return np.repeat(hits[None], seeds, 0)


def test_statistics_by_hand():
    assert costs.largest_cost(ACCURACY) == pytest.approx(0.04)
    assert costs.mean_gain(ACCURACY) == pytest.approx((0.06 + 0.06 - 0.01) / 3)
    assert costs.median_surplus(ACCURACY) == pytest.approx(0.02)
    assert costs.decoder_lead(np.array([0.8, 0.7, 0.75, 0.2])) == pytest.approx(0.05)
    named = costs.costs(["lenet", "vgg", "resnet"])
    assert [round(f(ACCURACY), 3) for f in named.values()] == [0.04, 0.01, 0.03]
    assert list(named) == ["LeNet-5", "VGG-BN", "ResNet"]
    found = {name: f(np.array([0.8, 0.7, 0.75, 0.2])) for name, f in costs.leads().items()}
    assert found == pytest.approx(
        {"decoder minus encoder": 0.1, "decoder minus both": 0.05, "decoder minus fresh decoder": 0.6}
    )


@pytest.mark.parametrize(
    ("claim", "statistic", "accuracy", "wrong"),
    [
        ("C1", costs.largest_cost, [[0.8, 0.7], [0.79, 0.5], [0.81, 0.69]], "not reproduced"),
        ("C1", costs.largest_cost, [[0.8, 0.7], [0.78, 0.68], [0.7, 0.7]], "reproduced"),
        ("C2a", costs.mean_gain, [[0.8, 0.8], [0.7, 0.6], [0.78, 0.78]], "reproduced"),
        ("C2a", costs.mean_gain, [[0.6, 0.6], [0.7, 0.7], [0.69, 0.69]], "not reproduced"),
        ("C2b", costs.median_surplus, [[0.7, 0.7, 0.8], [0.6, 0.6, 0.6], [0.75, 0.74, 0.7]], "reproduced"),
        ("C2b", costs.median_surplus, [[0.8, 0.8, 0.7], [0.5, 0.5, 0.5], [0.75, 0.75, 0.8]], "not reproduced"),
        ("C9", costs.decoder_lead, [0.8, 0.7, 0.75, 0.3], "reproduced"),
        ("C9", costs.decoder_lead, [0.8, 0.7, 0.85, 0.3], "not reproduced"),
    ],
)
def test_verdicts_follow_the_rule_and_swapped_ways_do_not(claim, statistic, accuracy, wrong):
    """Tables in which two ways are exchanged, or the wrong classifier is read, change the verdict."""
    accuracy = np.array(accuracy)
    result = costs.measured(some_hits(accuracy), [0, 1, 2], statistic, RNG(0))

    def judged(result):
        return claims.verdict(claim, result["value"], result["interval"], seeds=result["seeds"])

    assert judged(result) == wrong and result["value"] == pytest.approx(statistic(accuracy), abs=1e-6)
    exchanged = accuracy[[1, 0, 2]] if claim == "C1" else accuracy[[0, 2, 1]] if claim == "C2a" else accuracy[::-1]
    if claim == "C1" and wrong == "reproduced":
        exchanged = accuracy[[0, 2, 1]]  # the tuned autoencoder's cost is not A_S's
    if claim == "C9" and wrong == "not reproduced":
        exchanged = accuracy[[2, 0, 1, 3]]
    swapped = costs.measured(some_hits(exchanged), [0, 1, 2], statistic, RNG(0))
    assert judged(swapped) != wrong


def test_measured_is_the_statistic_of_the_averaged_accuracies():
    """Medians and maxima do not commute with the mean over seeds."""
    each = np.array([[[0.5] * 3, [0.5, 0.4, 0.45], [0.5, 0.6, 0.9]], [[0.5] * 3, [0.3, 0.4, 0.5], [0.9, 0.5, 0.5]]])
    hits = np.stack([some_hits(one, seeds=1)[0] for one in each])
    median = costs.measured(hits, [4, 7], costs.median_surplus, RNG(0), {"first": lambda a: a[0, 0] - a[1, 0]})
    assert median["value"] == pytest.approx(0.2, abs=1e-6)  # of the averages 0.7, 0.55, 0.7; the medians are 0.1 and 0
    assert [(one["seed"], round(one["value"], 6)) for one in median["seeds"]] == [(4, 0.1), (7, 0.0)]
    assert median["n"] == 400 and median["named"]["first"][0] == pytest.approx(0.1, abs=1e-6)
    low, high = median["interval"]
    assert low < 0.2 < high and high - low < 0.12
    cost = costs.measured(hits, [4, 7], costs.largest_cost, RNG(0))
    assert cost["value"] == pytest.approx(0.1, abs=1e-6)  # the seeds' own are 0.1 and 0.2
    assert [round(one["value"], 6) for one in cost["seeds"]] == [0.1, 0.2]


def test_intervals_are_over_pictures_that_all_readers_share():
    hits = np.repeat(RNG(0).random((1, 1, 2, 900)) < 0.7, 3, 1).repeat(3, 0)
    for statistic in (costs.largest_cost, costs.mean_gain, costs.median_surplus):
        assert costs.measured(hits, [0, 1, 2], statistic, RNG(0))["interval"] == (0, 0)
    assert np.all(costs.differences(hits, RNG(0)) == 0)


def test_table_one_asks_every_classifier_about_its_own_autoencoder(monkeypatch):
    """Hits are coded by who reads what: own(i) is right only where A_i of this seed meets classifier i of this seed."""
    families, seeds = ["vgg", "lenet"], [2, 0]
    asked = []

    def reads(code):
        return lambda families, seed, pictures, name="pretrained", device="cpu": np.array(
            [np.arange(100) < code + 10 * seed + len(family) for family in families]
        )

    def hits(autoencoder, nets, pictures):
        asked.append((autoencoder, nets))
        ((family, seed, how),) = [autoencoder]
        return np.array([np.arange(100) < 50 + 10 * seed + len(family) + len(how) for _ in nets])

    monkeypatch.setattr(through_autoencoders, "alone", reads(0))
    monkeypatch.setattr(through_autoencoders, "pretrained", reads(30))
    monkeypatch.setattr(through_autoencoders, "hits", hits)
    monkeypatch.setattr(through_autoencoders, "tuned", lambda family, seed, how="", device="cpu": (family, seed, how))
    monkeypatch.setattr(
        through_autoencoders, "zoo_of", lambda families, seed, device="cpu": [(f, seed) for f in families]
    )
    found = costs.table_one(families, seeds, None)
    assert found.shape == (2, 3, 2, 100)
    expected = [[[code + 10 * seed + len(f) for f in families] for code in (0, 30, 50)] for seed in seeds]
    np.testing.assert_array_equal(found.sum(-1), expected)
    assert all(nets == [autoencoder[:2]] for autoencoder, nets in asked) and len(asked) == 4
    asked.clear()
    ways = costs.halves([1, 2], None)
    assert ways.shape == (2, 4, 100)
    np.testing.assert_array_equal(ways.sum(-1), [[50 + 10 * s + 6 + extra for extra in (0, 7, 4, 5)] for s in (1, 2)])
    assert all(nets == [("resnet", autoencoder[1])] for autoencoder, nets in asked)
    lines = costs.half_lines([1, 2], None)
    assert list(lines.values()) == pytest.approx([(16 + 26) / 200, (46 + 56) / 200])


def test_variants_are_costs_averaged_over_seeds(monkeypatch):
    share = {"pretrained-clean": 60, "pretrained-small": 50}

    def read(families, seed, pictures, name, device):
        return np.array([np.arange(100) < share[name] + seed + 10 * (f == "vgg") for f in families])

    monkeypatch.setattr(through_autoencoders, "pretrained", read)
    found = costs.variants(["lenet", "vgg"], [0, 2], None)
    assert {title: hits.shape for title, hits in found.items()} == {
        "without noise": (2, 2, 100),
        "from the small set": (2, 2, 100),
    }
    hits = np.zeros((2, 3, 2, 300), bool)  # beyond the pictures of the variants nobody is right
    hits[:, 0] = np.arange(300) < np.array([[80], [95]])
    hits[:, 1] = np.arange(300) < np.array([[76], [93]])
    table = costs.variant_costs(hits, found)
    assert table.rows == [
        ("A_S", "0.030", "0.040"),
        ("without noise", "0.215", "0.240"),
        ("from the small set", "0.315", "0.340"),
    ]


def test_differences_are_paired_and_in_points():
    hits = RNG(1).random((2, 3, 2, 2000)) < np.array([0.8, 0.7, 0.85]).reshape(3, 1, 1)
    found = costs.differences(hits, RNG(0))
    assert found.shape == (2, 2, 2, 3)
    np.testing.assert_allclose(found[..., 0], 100 * (hits[:, 1:].mean(-1) - hits[:, :1].mean(-1)))
    change = hits[1, 2, 1].astype(float) - hits[1, 0, 1]
    error = 100 * change.std() / np.sqrt(2000)
    assert found[1, 1, 1, 1:] == pytest.approx(found[1, 1, 1, 0] + np.array([-1.96, 1.96]) * error, abs=0.5)
    rows = costs.table_one_rows(["lenet", "convnext"], [3, 5], hits, RNG(0))
    row = next(r for r in rows if (r["name"], r["seed"], r["way"]) == ("LeNet-5", 5, "on own A_i minus original"))
    assert row["value"] == pytest.approx(found[1, 1, 0, 0]) and row["paper"] == pytest.approx(2.55)
    assert [r["paper"] for r in rows if r["name"] == "ConvNeXt"] == [None] * 4 and len(rows) == 8
    table = costs.table_one_table(["inception", "convnext"], hits, RNG(0))
    first, second = table.rows
    assert first[-1] == "-2.70, -0.41" and second[-1] == "none" and second[0] == "ConvNeXt"
    assert first[1] == f"{100 * hits[:, 0, 0].mean():.1f}" and first[4] == f"{100 * hits[:, 2, 0].mean():.1f}"
    assert second[2] == f"{100 * hits[:, 1, 1].mean():.1f}"
    assert first[3].startswith(f"{found[:, 0, 0, 0].mean():+.1f} [") and second[5].startswith(
        f"{found[:, 1, 1, 0].mean():+.1f} ["
    )


def test_the_papers_table_is_as_decoded():
    differences = {f: [round(b - a, 2), round(c - a, 2)] for f, (a, b, c) in costs.PAPER.items()}
    assert differences == {
        "lenet": [-1.22, 2.55],
        "alexnet": [-3.07, 1.17],
        "vgg": [-3.76, 0.3],
        "resnet": [-2.83, 0.92],
        "inception": [-2.7, -0.41],
    }


# ------------------------------------------------------------------- histories, digests, the job, figures


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A folder of weights with nothing but what is written beside them."""
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))

    def write(name, **info):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.json").write_text(json.dumps({"name": name, "digest": f"digest of {name}"} | info))

    return write


def test_learning_counts_the_pictures_seen(written):
    recipe = {"recipe": {"epoch": 500}}
    written(
        "autoencoders/pretrained", made_by=recipe, history={"train_loss": [4, 3], "stream": [2, 1], "cutouts": [9, 8]}
    )
    small = {"train_loss": [6, 5], "stream": [0.2, 0.1], "cutouts": [0.9, 0.8]}
    written("autoencoders/pretrained-small", made_by={"recipe": {"epoch": 100}}, history=small)
    rows = costs.learning()
    assert len(rows) == 12
    assert {"training": "the stream", "measure": "stream", "seen": 1000, "error": 1} in rows
    assert {"training": "the small set", "measure": "cutouts", "seen": 100, "error": 0.9} in rows
    plots.learning(rows)


WAYS = ("", "-encoder", "-both", "-fresh")


def test_histories_and_digests_are_of_the_right_weights(written):
    for k, how in enumerate(WAYS):
        written(f"autoencoders/resnet-1{how}", history={"validation_accuracy": [k, k + 0.5, 9], "epochs": 2})
    assert costs.half_history(1) == {
        "decoder": [0, 0.5],
        "encoder": [1, 1.5],
        "both": [2, 2.5],
        "fresh decoder": [3, 3.5],
    }
    written("autoencoders/pretrained")
    written("cutouts/resnet-1")
    names = [f"autoencoders/{name}" for name in ("pretrained", *(f"resnet-1{how}" for how in WAYS))]
    names += ["cutouts/resnet-1"]
    assert costs.digests(["resnet"], [1], costs.HALVES.values()) == [f"digest of {name}" for name in names]
    assert len(costs.digests(["resnet"], [1])) == 3
    written("autoencoders/pretrained-small")
    digests = costs.digests([], [], more=costs.TRAININGS.values())
    assert set(digests) == {"digest of autoencoders/pretrained", "digest of autoencoders/pretrained-small"}


def test_half_rows_hold_wilson_intervals():
    hits = np.stack([np.arange(200) < 20 * k for k in (9, 8, 7, 1)])[None].repeat(2, 0)
    rows = costs.half_rows([0, 4], hits)
    assert [row["value"] for row in rows[4:]] == [0.9, 0.8, 0.7, 0.1] and rows[7]["seed"] == 4
    assert rows[5] == {"name": "encoder", "seed": 4} | dict(
        zip(("value", "low", "high", "n"), uncertainty.wilson(160, 200), strict=True)
    )


def test_the_job_computes_what_the_notebook_asks_for_and_nothing_if_it_retrains(monkeypatch):
    chosen = {"retrain": False, "n_test": 100, "n_variants": 50, "families": ["lenet"], "seeds": [1]}
    chosen |= {"tuning": "gentle", "world": "cutouts"}
    done = []
    monkeypatch.setattr(params, "profile", lambda name: {"02_reconstruction_comparison": chosen})
    monkeypatch.setattr(comparison.batches, "test", lambda world, n: (world, n))
    for name in ("table_one", "halves"):
        monkeypatch.setattr(costs, name, lambda *arguments: done.append(arguments))
    monkeypatch.setattr(costs, "variants", lambda *arguments: done.append(arguments))
    comparison.main(["--profile", "smoke"])
    test, few = ("cutouts", 100), ("cutouts", 50)
    expected = [(["lenet"], [1], test, ""), ((0, 1, 2), test), (["lenet"], [1], few)]
    assert done == expected
    chosen["retrain"] = True
    comparison.main(["--profile", "smoke"])
    assert len(done) == 3
