"""Noise is what it says it is, and claim C8 counts the right classifiers, curves and levels."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats

from lib.base import files, weights
from lib.experiments.n05_noise import noise, plots
from lib.experiments.shared import through_autoencoders
from lib.jobs import noise as jobs_noise
from lib.networks import catalogue, interface, segnet
from lib.record import claims
from lib.running import params
from lib.worlds import cutouts

IMAGES = np.random.default_rng(5).integers(60, 200, (6, 64, 64, 3), np.uint8)


@pytest.fixture
def generator():
    return np.random.default_rng(0)


# ------------------------------------------------------------------------------------------------------- the noise


def test_noise_is_uniform_and_symmetric_and_independent_from_value_to_value():
    drawn = noise.patterns(IMAGES, 0).numpy().astype(float)
    assert drawn.shape == (6, 3, 64, 64) and drawn.min() >= -1 and drawn.max() < 1
    assert scipy_stats.kstest(drawn.ravel(), "uniform", (-1, 2)).pvalue > 1e-3
    assert abs(drawn.mean()) < 4 * np.sqrt(1 / 3 / drawn.size)
    flat = drawn.transpose(1, 0, 2, 3).reshape(3, -1)
    neighbours = np.corrcoef(drawn[..., :-1].ravel(), drawn[..., 1:].ravel())[0, 1]
    assert np.abs(np.corrcoef(flat) - np.eye(3)).max() < 0.03 and abs(neighbours) < 0.03
    assert np.abs(np.corrcoef(drawn.reshape(6, -1)) - np.eye(6)).max() < 0.05  # every picture has its own


@pytest.mark.parametrize("level", [0.1, 0.6, 1.0])
def test_noise_has_the_amplitude_asked_for_and_is_not_clipped(level):
    added = (noise.noisy(IMAGES, level, 0) - interface.to_tensor(IMAGES)).numpy()
    assert 0.99 * level < np.abs(added).max() <= level * (1 + 1e-5)
    assert added.std() == pytest.approx(level / np.sqrt(3), rel=0.02)
    mixed = noise.noisy(IMAGES, level, 0)
    assert (mixed.min() < 0 and mixed.max() > 1) == (level > 0.3)


def test_noise_belongs_to_the_picture_and_grows_with_the_level():
    whole = noise.noisy(IMAGES, 0.4, 3)
    assert torch.equal(whole, noise.noisy(IMAGES, 0.4, 3)) and torch.equal(whole[2:3], noise.noisy(IMAGES[2:3], 0.4, 3))
    assert torch.equal(whole.flip(0), noise.noisy(IMAGES[::-1].copy(), 0.4, 3))
    assert not torch.equal(whole, noise.noisy(IMAGES, 0.4, 4))
    clean = interface.to_tensor(IMAGES)
    assert torch.allclose(2 * (whole - clean), noise.noisy(IMAGES, 0.8, 3) - clean, atol=1e-6)
    assert torch.equal(noise.noisy(IMAGES, 0, 3), clean)
    for level in (-0.1, 1.5):
        with pytest.raises(ValueError, match="expected a number from 0 to 1"):
            noise.noisy(IMAGES, level, 0)


def test_as_many_pictures_of_each_label(monkeypatch):
    labels = np.random.default_rng(0).integers(0, 10, 400)
    many = cutouts.Batch(np.zeros((400, 2, 2, 3), np.uint8), labels, labels, labels, np.arange(400))
    monkeypatch.setattr(cutouts, "batch", lambda world, split, n: cutouts.Batch(*(part[:n] for part in many)))
    chosen = noise.balanced(60)
    assert np.bincount(chosen.labels).tolist() == [6] * 10 and np.array_equal(labels[chosen.pose], chosen.labels)
    assert (np.diff(chosen.pose) > 0).all()
    assert (chosen.labels == 3).mean() == noise.CHANCE  # one constant answer is right by chance, exactly
    for n in (0, 55):
        with pytest.raises(ValueError, match="multiple of 10"):
            noise.balanced(n)
    with pytest.raises(ValueError, match="fewer than 40"):
        noise.balanced(400)


# ------------------------------------------------------------------------------------------------- who reads what


def tiny(name: str, seed: int = 0):
    return segnet.build(segnet.Shape((4,), (1,)), seed, name)


def test_answers_are_those_of_each_network_to_each_reconstruction(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path))
    one, two = (catalogue.load(family, weights=False, seed=seed) for family, seed in (("lenet", 0), ("alexnet", 1)))
    small, other, count, levels = tiny("small"), tiny("other", 1), [], (0.0, 0.5, 1.0)
    decode = segnet.reconstruct
    monkeypatch.setattr(segnet, "reconstruct", lambda *arguments: count.append(1) or decode(*arguments))
    pairs = [(None, one), (small, one), (small, two), (other, one), (None, two)]
    said, twin = noise.answers(pairs, IMAGES, levels, 4), catalogue.load("lenet", weights=False, seed=5)
    noise.answers([(None, one), (None, twin)], IMAGES, levels, 4)
    assert said.shape == (5, 3, 6) and len(count) == 2 * 3  # once for each autoencoder and level
    for found, (autoencoder, net) in zip(said, pairs, strict=True):
        for k, level in enumerate(levels):
            shown = noise.noisy(IMAGES, level, 4)
            shown = decode(autoencoder, shown) if autoencoder else shown
            assert np.array_equal(found[k], interface.scores(net, shown).argmax(1))
    assert len({found.tobytes() for found in said}) >= 4
    monkeypatch.setattr(interface, "scores", lambda *a, **k: pytest.fail("computed again"))
    for same in (slice(None), slice(None, None, -1), slice(1, 3)):  # whoever joins or leaves, the others are kept
        assert np.array_equal(noise.answers(pairs[same], IMAGES, levels, 4), said[same])
    changes = [(pairs, IMAGES, levels, 1), (pairs, IMAGES[::-1].copy(), levels, 4), (pairs, IMAGES, (0.0, 0.5, 0.9), 4)]
    for changed in [*changes, ([*pairs, (other, two)], IMAGES, levels, 4), ([(small, twin)], IMAGES, levels, 4)]:
        with pytest.raises(BaseException, match="computed again"):
            noise.answers(*changed)


def test_a_shared_encoder_encodes_a_level_once(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path))
    monkeypatch.setattr(segnet, "_kept", type(segnet._kept)())
    net, one, calls = catalogue.load("lenet", weights=False), tiny("shared", 5), []
    tuned = segnet.assemble("tuned", one.encoder, tiny("two", 1).decoder)
    one.encoder.register_forward_hook(lambda *_: calls.append(1))
    noise.answers([(one, net), (tuned, net)], IMAGES, (0.0, 0.6), 0)
    assert len(calls) == 2


@pytest.fixture
def pretend(monkeypatch):
    """Readings without networks: alone right in the first 2 pictures, by A_S in 3, by the own A_i in 5 and by another's
    in none, one more for each level; families and seeds tell by their names."""
    asked = []

    def answers(pairs, images, levels, seed):
        said = np.full((len(pairs), len(levels), 20), -1)
        for i, (autoencoder, net) in enumerate(pairs):
            name = autoencoder.name if autoencoder else ""
            asked.append((name, net.name, seed))
            first = {"": 2, "pretrained": 3, "pretrained-clean": 4}.get(name, 5 if name.startswith(net.name) else 0)
            for k in range(len(levels)):
                said[i, k, : first + k + (10 if net.name == "vgg-1" else 0)] = 0
        return said

    def thing(name):
        return SimpleNamespace(name=name, digest=f"digest of {name}")

    monkeypatch.setattr(noise, "answers", answers)
    monkeypatch.setattr(
        through_autoencoders, "zoo_of", lambda families, seed, device: [thing(f"{f}-{seed}") for f in families]
    )
    monkeypatch.setattr(
        through_autoencoders, "tuned", lambda f, s, how="", device="cpu": thing(f"{f}-{s}" + (f"-{how}" if how else ""))
    )
    monkeypatch.setattr(noise.trained_autoencoders, "autoencoder", lambda name="pretrained", device="cpu": thing(name))
    return SimpleNamespace(asked=asked, batch=SimpleNamespace(images=None, labels=np.zeros(20, int)))


def test_every_classifier_reads_its_own_autoencoder(pretend):
    found = noise.read(["lenet", "vgg"], [0, 1], pretend.batch, [0, 0.5], 7)
    assert found.alone.shape == (2, 2, 2, 20) and found.families == ("lenet", "vgg") and found.seeds == (0, 1)
    assert found.alone.sum(-1).tolist() == [[[2, 3], [2, 3]], [[2, 3], [12, 13]]]  # families, seeds, levels
    assert (found.pretrained.sum(-1) - found.alone.sum(-1) == 1).all()
    assert (found.own.sum(-1) - found.alone.sum(-1) == 3).all()
    tuned = [(name, net) for name, net, _ in pretend.asked if name not in ("", "pretrained")]
    assert sorted(tuned) == [(name, name) for name in ("lenet-0", "lenet-1", "vgg-0", "vgg-1")]
    assert {seed for *_, seed in pretend.asked} == {7}
    assert {"digest of vgg-1", "digest of pretrained"} <= set(found.digests)
    one = noise.only(found, 1)
    assert one.seeds == (1,) and np.array_equal(one.own, found.own[:, 1:]) and one.alone[1].sum() == 25


def test_another_a_s_takes_the_place_of_the_first_and_of_nothing_else(pretend):
    found = noise.read(["lenet"], [1], pretend.batch, [0.5], 3, "rate1")
    assert {name for name, *_ in pretend.asked} == {"", "pretrained", "lenet-1-rate1"}
    other = noise.through("pretrained-clean", found, pretend.batch, 3)
    assert found.pretrained.sum() == 3 and other.pretrained.sum() == 4
    assert np.array_equal(other.own, found.own) and np.array_equal(other.alone, found.alone)
    assert pretend.asked[-1] == ("pretrained-clean", "lenet-1", 3) and other.digests[0] == "digest of pretrained-clean"


@pytest.mark.parametrize("levels", [[], [0.2, 0.1], [0.1, 0.1]])
def test_levels_ascend(pretend, levels):
    with pytest.raises(ValueError, match="ascending order"):
        noise.read(["lenet"], [0], pretend.batch, levels)


# -------------------------------------------------------------------------------------------------------- claim C8

N, RULES = 200, claims.load()["C8"]["parts"]
LEVELS = np.array([0.0, 0.2, 0.5, 1.0])
# families lenet, vgg, resnet; levels as above. At 0.5 vgg is at chance, at 1.0 everyone is.
ALONE = np.array([[0.80, 0.70, 0.50, 0.10], [0.90, 0.60, 0.11, 0.12], [0.85, 0.80, 0.30, 0.09]])
OWN = np.array([[0.70, 0.78, 0.56, 0.05], [0.70, 0.74, 0.02, 0.05], [0.70, 0.82, 0.40, 0.04]])
BASE = np.array([[0.95, 0.60, 0.45, 0.30], [0.95, 0.58, 0.80, 0.50], [0.95, 0.77, 0.26, 0.30]])


def hits(shares: np.ndarray, shift: int = 0) -> np.ndarray:
    """Hits with exactly these shares of N pictures: (..., N) bool."""
    return np.roll(np.arange(N) < np.round(shares * N)[..., None], shift, -1)


def readings(own=OWN, base=BASE, alone=ALONE, seeds=3) -> noise.Readings:
    parts = [np.stack([hits(shares, s) for s in range(seeds)], 1) for shares in (alone, base, own)]
    return noise.Readings(("lenet", "vgg", "resnet"), tuple(range(seeds)), LEVELS, *parts, ("digest",))


def judged(name: str, result: dict) -> str:
    return claims.verdict(RULES[name], result["value"], result["interval"], seeds=result["seeds"])


def test_the_smallest_gain_by_the_own_autoencoder_is_claim_c8a(generator):
    result = noise.smallest_gain(readings(), generator)
    # at 0.2: (0.08 + 0.14 + 0.02) / 3; at 0.5 without vgg: (0.06 + 0.10) / 2; at 1.0 nobody; e = 0 does not count
    assert result["value"] == pytest.approx(0.08) and judged("C8a", result) == "reproduced"
    assert result["n"] == N and [one["seed"] for one in result["seeds"]] == [0, 1, 2]
    assert result["interval"][0] <= result["value"] <= result["interval"][1] < 0.14
    assert {k: v[0] for k, v in result["named"].items()} == {
        "gain at e = 0.2, of 3 classifiers": pytest.approx(0.08),
        "gain at e = 0.5, of 2 classifiers": pytest.approx(0.08),
    }
    assert "VGG-BN at e = 0.5, 1;" in result["note"] and "LeNet-5 at e = 1;" in result["note"]


def test_the_largest_gain_by_a_s_is_claim_c8b(generator):
    result = noise.largest_gain(readings(), generator)
    # at 0.2: (-0.10 - 0.02 - 0.03) / 3; at 0.5 without vgg: (-0.05 - 0.04) / 2, the largest
    assert result["value"] == pytest.approx(-0.045) and judged("C8b", result) == "reproduced"


def test_wrong_versions_of_c8_do_not_pass(generator):
    whole = readings()
    exchanged = whole._replace(own=whole.pretrained, pretrained=whole.own)
    assert judged("C8a", noise.smallest_gain(exchanged, generator)) == "not reproduced"
    wrong_way = whole._replace(alone=whole.own, own=whole.alone)
    assert judged("C8a", noise.smallest_gain(wrong_way, generator)) != "reproduced"
    other_reader = readings(own=np.full_like(OWN, 0.1))  # a classifier that cannot read another's reconstructions
    assert judged("C8a", noise.smallest_gain(other_reader, generator)) == "not reproduced"
    mixed = readings(own=ALONE + [0, 0.1, -0.1, 0], base=ALONE + [0, -0.1, 0.1, 0])  # up at one level, down at another
    assert noise.smallest_gain(mixed, generator)["value"] == pytest.approx(-0.1)  # the largest would be 0.1
    assert noise.largest_gain(mixed, generator)["value"] == pytest.approx(0.1)
    everyone = (whole.own - whole.alone.astype(float)).mean((0, 1, 3))[1:].min()  # chance levels kept
    assert everyone < 0


def test_each_seed_is_judged_by_its_own_pictures_and_by_who_counts_there(generator):
    whole = readings()
    whole.own[:, 1] = hits(np.clip(ALONE - 0.3, 0, 1))
    whole.alone[1, 2, 2] = hits(np.array(0.6))  # vgg at e = 0.5 counts in seed 2 alone ...
    whole.alone[1, 0, 2], whole.alone[1, 1, 2] = hits(np.array(0.1)), hits(np.array(0.1))  # ... and so in the mean
    result = noise.smallest_gain(whole, generator)
    values = [one["value"] for one in result["seeds"]]
    assert values[0] == pytest.approx(0.08) and values[1] < -0.2
    assert values[2] == pytest.approx((0.06 + 0.02 - 0.60 + 0.10) / 3)
    assert "of 3 classifiers" in list(result["named"])[1] and judged("C8a", result) == "inconclusive"


def test_two_points_from_chance_are_left_out_and_a_little_more_is_not():
    kept = noise.counted(np.array([0.08, 0.12, 0.079, 0.121, 0.1, 0.0]))
    assert kept.tolist() == [False, False, True, True, False, True]


def test_nobody_reads_anything(generator):
    for claim in (noise.smallest_gain, noise.largest_gain):
        with pytest.raises(ValueError, match="every classifier is within two points of chance"):
            claim(readings(alone=np.full_like(ALONE, 0.11)), generator)
    start = readings(alone=np.column_stack([np.full(3, 0.8), np.full((3, 3), 0.1)]))  # e = 0 is not enough
    with pytest.raises(ValueError, match="every level above 0"):
        noise.smallest_gain(start, generator)


def test_intervals_are_over_pictures_that_both_curves_share(generator):
    alone, through = hits(np.array([[0.5]])), hits(np.array([[0.6]]))  # right where alone is, and in 10 % more
    same = noise.extreme_gain(alone, through, np.array([0.5]), np.min, generator)
    apart = noise.extreme_gain(alone, np.roll(through, N // 2, -1), np.array([0.5]), np.min, generator)
    assert same.interval == pytest.approx((0.058, 0.142), abs=0.01)  # 0.1 +- 1.96 sqrt(0.1 * 0.9 / 200)
    assert same.value == apart.value == pytest.approx(0.1) and apart.low < 0.03


# ------------------------------------------------------------------------------------------------ rows and crossings


def test_rows_hold_a_panel_a_family_and_the_right_shares(generator):
    rows = noise.rows(readings())
    assert len(rows) == 3 * 3 * 3 * 4
    picked = {(row["panel"], row["name"], row["x"]): row["value"] for row in rows if row["seed"] == 2}
    assert picked["VGG-BN", "through A_S", 0.5] == pytest.approx(0.80)
    assert picked["ResNet", "through its own A_i", 0.2] == pytest.approx(0.82)
    assert picked["LeNet-5", "alone", 1.0] == pytest.approx(0.10)
    only = noise.gain_rows(readings(), "here", generator, [noise.BASE])
    assert [row["panel"] for row in only] == ["gain by A_S"] * 2
    gains = noise.gain_rows(readings(), "here", generator)
    assert [(row["panel"], row["x"], row["classifiers"]) for row in gains] == [
        ("gain by A_S", 0.2, 3),
        ("gain by A_S", 0.5, 2),
        ("gain by A_i", 0.2, 3),
        ("gain by A_i", 0.5, 2),
    ]
    assert gains[0]["value"] == pytest.approx(-0.05) and gains[0]["low"] <= -0.05 <= gains[0]["high"]


def test_crossings_are_interpolated():
    levels = np.array([0.0, 0.2, 0.6, 1.0])
    assert noise.crossing(levels, np.array([0.1, 0.3, -0.1, 0.2])) == pytest.approx(0.2 + 0.4 * 0.75)
    assert noise.crossing(levels, np.array([-0.3, 0.1, 0.2, 0.2])) == pytest.approx(0.15)
    assert noise.crossing(levels, np.array([0.0, 0.1, 0.0, 0.2])) is None
    assert noise.crossing(levels, np.array([0.0, 0.1, 0.0, -0.1])) == pytest.approx(0.6)  # from 0.2 to 1.0
    assert noise.crossing(levels, np.zeros(4)) is None


def test_crossings_are_told_in_words_with_an_interval(generator):
    def met(one, two, shift=0):
        return noise.met(LEVELS, hits(np.array(one)), hits(np.array(two), shift), generator)

    one, two = [0.8, 0.65, 0.25, 0.1], [0.6, 0.45, 0.45, 0.1]
    down, up = met(one, two, N // 2), met(two, one, N // 2)
    assert down.startswith("falls below at 0.35 [0.") and up.startswith("rises above at 0.35 [0.")
    low, high = (float(part) for part in down.split("[")[1].split("]")[0].split(", "))
    assert 0.2 <= low < 0.34 and 0.36 < high <= 0.5
    assert met([0.9] * 4, [0.3] * 4) == "above throughout" and met([0.3] * 4, [0.9] * 4) == "below throughout"
    assert met(one, one) == "never told apart" and met([0.1] * 4, [0.11] * 4) == "both at chance"
    assert met([0.5] * 4, [0.505] * 4, N // 2) == "never told apart"  # less than the pictures can tell
    assert met([0.5, 0.5, 0.7, 0.6], [0.505, 0.49, 0.3, 0.3], N // 2) == "above at e = 0.5, 1"
    assert met([0.8, 0.6, 0.3, 0.1], [0.6, 0.4, 0.1, 0.12]) == "above throughout"  # at the end both guess
    twice = met([0.9, 0.5, 0.9, 0.5], [0.5, 0.9, 0.5, 0.9])
    assert twice.count(" at ") == 3 and twice.startswith("falls below at 0.10") and "; rises above at 0.35" in twice


def test_the_table_of_crossings_compares_each_with_the_named_family(generator):
    table = noise.crossings(readings(), generator)
    assert [row[0] for row in table.rows] == ["LeNet-5", "VGG-BN", "ResNet"] and "LeNet-5" in table.head[3]
    lenet, vgg, resnet = table.rows
    assert lenet[3:] == ("its own curve",) * 2
    assert lenet[1].startswith("falls below at 0.12") and lenet[2].startswith("rises above at 0.11")
    assert vgg[3].startswith("falls below at 0.10") and resnet[3].startswith("falls below at 0.30")
    assert vgg[4] == "below at e = 0.2, 0.5" and resnet[4].startswith("falls below at 0.26")
    other = noise.crossings(readings(), generator, against="resnet")
    assert other.rows[2][3:] == ("its own curve",) * 2 and other.rows[0][3].startswith("rises above")


def test_examples_are_clipped_for_display_only(monkeypatch):
    model = tiny("small")
    shown, numbers = noise.examples(IMAGES[:2], [0.0, 1.0], {"noisy": None, "A_S": model}, 0)
    assert len(shown) == 2 and len(shown[0]) == 4 and shown[0][0].shape == (64, 64, 3)
    assert np.allclose(shown[0][2], IMAGES[1] / 255, atol=1e-6)  # second picture, no noise
    assert shown[0][1].min() == 0 and shown[0][1].max() == 1
    assert [(row["row"], row["picture"], row["level"]) for row in numbers][:3] == [
        ("noisy", 0, 0.0),
        ("noisy", 0, 1.0),
        ("noisy", 1, 0.0),
    ]
    assert numbers[0]["error"] == 0 and numbers[1]["error"] == pytest.approx(1 / np.sqrt(3), rel=0.02)
    expected = segnet.reconstruct(model, noise.noisy(IMAGES[1:2], 1.0, 0))[0].clamp(0, 1).permute(1, 2, 0).numpy()
    assert np.allclose(shown[1][3], expected, atol=1e-5)


def test_the_job_reads_what_the_notebook_reads(monkeypatch):
    asked = []
    values = {
        "retrain": False,
        "n_pictures": 50,
        "families": ["lenet", "vgg"],
        "seeds": [0, 1],
        "levels": [0.0],
        "seed": 4,
        "tuning": "gentle",
        "world": "cutouts",
    }
    notebook = "05_noise_and_literature"
    monkeypatch.setattr(params, "profile", lambda name: {notebook: values | {"name": name}})
    monkeypatch.setattr(noise, "test", lambda world, n: n)
    monkeypatch.setattr(noise, "read", lambda *arguments: asked.append(arguments) or "found")
    monkeypatch.setattr(noise, "only", lambda found, seed: (found, seed))
    monkeypatch.setattr(noise, "through", lambda *arguments: asked.append(arguments))
    jobs_noise.main(["--profile", "smoke"])
    assert asked == [(["lenet", "vgg"], [0, 1], 50, [0.0], 4, ""), ("pretrained-clean", ("found", 0), 50, 4)]
    jobs_noise.main(["--profile", "smoke", "-p", f"{notebook}.n_pictures=60", "-p", "04_nmi.n_test=32"])
    assert asked[2][2] == 60  # of this notebook's values, those that the command line gives
    values["retrain"] = True
    jobs_noise.main(["--profile", "smoke"])
    assert len(asked) == 4


def test_the_notebook_tells_what_noise_a_s_saw(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))
    for name, level in (("pretrained", 0.1), ("pretrained-clean", 0.0)):
        told = {"name": f"autoencoders/{name}", "digest": "d", "made_by": {"recipe": {"noise": level}}}
        files.write_json(tmp_path / f"autoencoders/{name}.json", told)
    assert noise.trained_with(["vgg"]) == {"pretrained": 0.1, "pretrained-clean": 0.0}
    assert weights.names("autoencoders")


def test_chance_is_that_of_the_networks_own_classes():
    found = readings()
    assert found.chance == noise.CHANCE == 0.1
    found = found._replace(families=("googlenet", "mobilenet_v1", "squeezenet1_1"))
    assert found.chance == 0.001
    assert noise.counted(np.array([0.1, 0.02]), found.chance).tolist() == [True, False]  # far from one in a thousand


def test_small_multiples_have_a_panel_a_family_and_a_band_over_seeds():
    figure = plots.multiples(noise.rows(readings()), "e", "accuracy", across=2, base=0.1)
    axes = figure.axes
    assert [axis.get_visible() for axis in axes] == [True, True, True, False]
    assert len(axes[1].lines) == 3 + 1 and axes[0].get_ylim() == axes[1].get_ylim()
    assert np.allclose(axes[1].lines[0].get_ydata(), ALONE[1]) and np.allclose(axes[1].lines[2].get_ydata(), OWN[1])
    assert len(axes[1].collections) == 3
    plots.plt.close("all")


def test_curves_are_drawn_for_every_panel_name_group_and_seed():
    rows = [
        {"panel": p, "name": n, "group": g, "seed": s, "x": x, "value": x + s + 10 * (n == "b") + 5 * (g == "solid")}
        for p in ("left", "right") for n in ("a", "b") for g in ("solid", "dashed") for s in (0, 1) for x in (0.0, 1.0)
    ]  # fmt: skip
    axes = plots.lines(rows, "e", "accuracy", base=0.1).axes
    assert len(axes) == 2 and axes[0].get_ylim() == axes[1].get_ylim()
    assert len(axes[1].lines) == 2 * 2 * (1 + 2) + 1
    thick = [line for line in axes[1].lines if line.get_marker() == "o"]
    solid, dashed = ([line for line in thick if line.get_linestyle() == style] for style in ("-", "--"))
    assert np.allclose(solid[1].get_ydata(), [15.5, 16.5]) and np.allclose(dashed[0].get_ydata(), [0.5, 1.5])
    words = [{"panel": p, "name": p, "x": x, "value": 1.0} for p in ("a", "b", "c") for x in (p, "z", "y")]
    axes = plots.lines(words, "part", "lost").axes
    assert [label.get_text() for label in axes[1].get_xticklabels()] == ["b", "z", "y"]
    assert not axes[3].get_visible() and axes[2].get_visible()
    plots.plt.close("all")
