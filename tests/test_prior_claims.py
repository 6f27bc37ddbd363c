"""Judges, indices and claims of the generator prior: by hand, on made-up readings, and on variants broken
on purpose."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from scipy import stats as scipy_stats

from lib.experiments.n12_prior import generators_seen, judges, measures, plots, searches
from lib.experiments.n12_prior.judges import Judges
from lib.experiments.n12_prior.measures import Pixels, Through
from lib.experiments.n12_prior.searches import Pair, Setting
from lib.experiments.shared import class_images, recognised
from lib.experiments.shared.class_images import Made
from lib.experiments.shared.recognised import Judged
from lib.methods.ascent import generator_prior, objectives
from lib.networks import control_networks, generator_network, interface, single_cue_readers, zoo
from lib.record import claims
from lib.worlds import cutouts

SEEDS, STARTS = (0, 1, 2), 4
TARGETS = np.repeat(np.arange(10), STARTS)


@pytest.fixture
def draws():
    return np.random.default_rng(0)


def readings(shares, certain=0.9):
    """A Judged of ten classes, each recognised in the given share of its four starts by all three readers."""
    right = np.tile(np.arange(STARTS), 10) < np.repeat(np.broadcast_to(shares, 10), STARTS) * STARTS - 1e-9
    named = np.where(right, TARGETS, (TARGETS + 1) % 10)
    read = np.full((3, len(TARGETS), 10), (1 - certain) / 9)
    read[:, np.arange(len(TARGETS)), named] = certain
    pictures = np.zeros((len(TARGETS), 64, 64, 3), np.uint8)
    return Judged(pictures, TARGETS, None, np.zeros((len(TARGETS), 10)), read)


def through(default, conv3=0.25, none=0.25, one=0.5, two=0.5, undecayed=0.25):
    rows = {"clipped at 3 sd": default, "clipped at 2 sd": two, "clipped at 1 sd": one, "not clipped": none}
    rows |= {"3 sd, no decay": undecayed, "fc6": default, "conv3": conv3}
    made = {name: {s: readings(share) for s in SEEDS} for name, share in rows.items()}
    made[measures.UNTRAINED] = {s: readings(0.25) for s in SEEDS}
    tried = {"fc6": {Setting(0.1): 0.2, Setting(0.3): 0.5}, "conv3": {Setting(0.1): 0.4, Setting(0.3): 0.3}}
    chosen = {"fc6": Setting(0.3), "conv3": Setting(0.1)}
    return Through(tried, chosen, made, {s: [readings(0.5)] for s in SEEDS}, {})


@pytest.fixture
def of(monkeypatch):
    """Judges whose families say nothing, so that made-up pictures need no network."""
    monkeypatch.setattr(recognised, "others", lambda pictures, targets, *_: np.zeros((1, len(targets)), bool))
    monkeypatch.setattr(judges, "outlines", lambda of, one: one.hits[0])
    return Judges(("lenet",), None, {}, {}, np.arange(10))


def at_worst():
    return {"G, random codes": {s: readings(0.0) for s in SEEDS}}


def verdict(name, row):
    rest = {"null": None, "named": row["named"], "seeds": row["seeds"]}
    return claims.verdict(name, value=row["value"], interval=row["interval"], **rest)


UNEVEN = np.array([0.75, 1.0] * 5)  # by class, so that there is an interval


# ------------------------------------------------------------------------------------------------------- the judges


def test_readings_are_those_of_the_primary_judge():
    batch = cutouts.batch(cutouts.World(), "test", 60)
    made = Made(batch.images, batch.labels, None, None)
    one = recognised.judged(made)
    images, readers = interface.to_tensor(batch.images), [single_cue_readers.reader(cue) for cue in cutouts.CUES]
    said = np.stack([interface.scores(reader, images).argmax(1).numpy() for reader in readers])
    assert np.array_equal(one.hits, said == batch.labels)
    assert np.array_equal(one.hits, recognised.judge(batch.images, batch.labels))
    assert one.read.shape == (3, 60, 10) and np.allclose(one.read.sum(2), 1, atol=1e-5)
    assert np.isnan(one.activation).all()
    expected = np.mean([[one.read[k, i, batch.labels[i]] for i in range(60)] for k in range(3)], 0)
    np.testing.assert_allclose(judges.certainty(one), expected)
    scores = np.arange(600.0).reshape(60, 10)
    assert one._replace(after=scores).activation[7] == 70 + batch.labels[7]


def test_judges_share_no_seed_with_the_network_excited():
    assert [judges.other_seed(s) for s in SEEDS] == [1, 2, 0]
    batch = cutouts.batch(cutouts.World(), "test", 60)
    found = Judges((), None, {2: zoo.network("resnet", 0)}, {}, batch.labels)
    assert found.readers[2].digest == zoo.network("resnet", judges.other_seed(2)).digest


def test_distances_and_spreads_by_hand(monkeypatch):
    """Features in a plane: test pictures of each class on a line one apart, images three above the line."""
    real = np.array([[float(k), 10.0 * label] for label in range(10) for k in range(5)])
    labels = np.repeat(np.arange(10), 5)
    images = np.array([[1.0 + 2 * (i % 2), 10.0 * label + 3.0] for label in range(10) for i in range(STARTS)])
    monkeypatch.setattr(judges, "pool", lambda net, pictures: images)
    of, one = Judges((), None, {0: None}, {0: real}, labels), readings(0.5)
    np.testing.assert_allclose(judges.distances(of, one, 0), 3.0)  # to the nearest: 3; between real ones: 1
    apart, usual = 2 * 4 / 6, np.mean([1] * 4 + [2] * 3 + [3] * 2 + [4])  # four of six pairs are two apart
    np.testing.assert_allclose(judges.spreads(of, one, 0), apart / usual)
    monkeypatch.setattr(judges, "pool", lambda net, pictures: np.repeat(real[::5], STARTS, 0))
    np.testing.assert_allclose(judges.distances(of, one, 0), 1.0)  # a test picture is not its own neighbour
    np.testing.assert_allclose(judges.spreads(of, one, 0), 0.0, atol=1e-12)  # one image from all starts


def naive_peak(picture):
    """The definition, written out: correlation of the overlapping parts at every shift, its highest local maximum."""
    x = picture / 255.0 - (picture / 255.0).mean((0, 1))
    half = len(x) // 2
    found = np.zeros((2 * half + 1, 2 * half + 1))
    for down in range(-half, half + 1):
        for across in range(-half, half + 1):
            one = x[max(0, -down) : len(x) - max(0, down), max(0, -across) : len(x) - max(0, across)]
            other = x[max(0, down) : len(x) + min(0, down), max(0, across) : len(x) + min(0, across)]
            size = np.sqrt((one**2).sum() * (other**2).sum())
            found[down + half, across + half] = (one * other).sum() / max(size, 1e-12)
    best = 0.0
    for i in range(1, 2 * half):
        for j in range(1, 2 * half):
            around = np.delete(found[i - 1 : i + 2, j - 1 : j + 2].ravel(), 4)
            if (i, j) != (half, half) and found[i, j] > around.max():
                best = max(best, found[i, j])
    return best


def test_repetition_is_the_highest_peak_of_the_autocorrelation(draws):
    noise = draws.integers(0, 256, (2, 12, 12, 3)).astype(np.uint8)
    np.testing.assert_allclose(judges.repetition(noise), [naive_peak(one) for one in noise], atol=1e-9)
    tile = draws.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    tiled, plain = np.tile(tile, (4, 4, 1))[None], draws.integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    assert judges.repetition(tiled) > 0.95 and judges.repetition(plain) < 0.3
    blob = np.exp(-((np.arange(64) - 32) ** 2) / 50)
    single = (255 * blob[:, None] * blob)[None, :, :, None].repeat(3, 3).astype(np.uint8)
    assert judges.repetition(single) < 0.1
    assert judges.repetition(np.full((2, 64, 64, 3), 80, np.uint8)).tolist() == [0, 0]


# ------------------------------------------------------------------------------------------------------- the claims


def test_with_a_prior_against_pixels_on_made_up_readings(of, draws):
    rows = {
        "regularised pixels": {s: readings(0.5) for s in SEEDS},
        "Fourier, jitter": {s: readings(0.25) for s in SEEDS},
    }
    without = Pixels({}, rows, "regularised pixels")
    row = measures.prior_gain(through(UNEVEN), without, of, at_worst())
    assert row["value"] == pytest.approx(0.375) and row["n"] == 10 and len(row["seeds"]) == 3
    assert row["named"]["primary judge, minus Fourier, jitter"][0] == pytest.approx(0.625)
    assert row["named"][judges.OUTLINE][0] == pytest.approx(0.375)
    assert row["named"]["primary judge, minus G, untrained network"][0] == pytest.approx(0.625)
    assert row["named"]["primary judge, minus G, random codes"][0] == pytest.approx(0.875)
    assert "regularised pixels" in row["note"] and verdict("G1", row) == "reproduced"
    none = measures.prior_gain(through(0.5), without, of, at_worst())  # no prior: pixels against pixels
    assert none["value"] == 0 and verdict("G1", none) == "not reproduced"


def test_images_judged_as_the_next_classs_are_recognised_where_the_next_class_is_shown():
    found = measures.controls(through(UNEVEN), at_worst())[measures.SHUFFLED]
    shown = recognised.by_class(found[0].hits, found[0].targets)
    assert shown.sum() == pytest.approx((1 - UNEVEN).sum())  # `readings` names the next class where it is not right


def test_rates_and_caps_are_chosen_by_a_judge_that_does_not_report(monkeypatch):
    monkeypatch.setattr(searches, "make", lambda pair, setting, stream, *options: (setting, stream))
    best = Setting(0.7, norm=1.3)

    def judge(made, seed):
        setting, stream = made
        return (setting == best) * (stream == "selection") * (1 + seed)

    tried = searches.tried(dict.fromkeys(SEEDS), judge, 2)
    assert len(tried) == len(searches.RATES) * len(searches.NORMS) and searches.best(tried) == best
    assert tried[best] == 2 and sum(tried.values()) == 2


def test_the_reader_of_shape_reads_shape_alone():
    """Real pictures and spoilt ones: what it must read, and what it must not."""
    batch = cutouts.batch(cutouts.World(), "test", 200)
    net = control_networks.network("silhouette")
    said = {
        name: (interface.scores(net, interface.to_tensor(pictures)).argmax(1).numpy() == batch.cues[:, 0]).mean()
        for name, pictures in judges.spoilt(batch).items()
    }
    assert said["test pictures"] > 0.8 and said["their objects on grey"] > 0.9 and said["these, blurred"] > 0.9
    assert said["discs of their colour and size"] < 0.2 and said["grounds without them"] < 0.2


def test_layers_clipping_and_decay_take_their_own_rows(of, draws):
    found = through(UNEVEN, conv3=0.5, none=0.25, one=0.75, two=0.25, undecayed=1.0)
    layers = measures.layer_gain(found, of)
    assert layers["value"] == pytest.approx(0.375) and verdict("G2", layers) == "reproduced"
    clipped = measures.clipping_gain(found, of)
    assert clipped["value"] == pytest.approx(0.625) and verdict("G3", clipped) == "reproduced"
    assert clipped["named"]["clipped at 1 sd minus not clipped"][0] == pytest.approx(0.5)
    assert clipped["named"]["clipped at 2 sd minus not clipped"][0] == pytest.approx(0.0)
    decay = measures.decay_gain(found, of)
    assert decay["value"] == pytest.approx(-0.125) and verdict("G4", decay) == "not reproduced"
    same = measures.clipping_gain(through(0.5, none=0.5), of)  # no clipping on either side
    assert same["value"] == 0 and verdict("G3", same) == "not reproduced"


def test_the_repetition_index_is_early_minus_late(of, draws):
    tile = np.tile(draws.integers(0, 256, (16, 16, 3)), (4, 4, 1)).astype(np.uint8)
    found = through(UNEVEN)
    for s in SEEDS:
        found.made["conv3"][s] = found.made["conv3"][s]._replace(pictures=np.repeat(tile[None], 40, 0))
    assert measures.layer_gain(found, of)["named"]["repetition index, early minus late"][0] > 0.9


def test_order_within_a_class_is_kendalls_and_ignores_differences_between_classes(draws):
    one = readings(0.5)
    after, sure = draws.normal(size=40), draws.random(40)
    one = one._replace(after=np.tile((after + 100 * TARGETS)[:, None], 10), read=np.zeros((3, 40, 10)))
    one.read[:, np.arange(40), TARGETS] = sure
    expected = [scipy_stats.kendalltau(after[k == TARGETS], sure[k == TARGETS]).statistic for k in range(10)]
    np.testing.assert_allclose(measures.order([one]), expected)
    both = measures.order([one, one._replace(after=one.after + 1)])
    assert both.shape == (10,) and not np.allclose(both, expected)
    assert (measures.order([one._replace(after=np.zeros((40, 10)))]) == 0).all()  # all tied: no order


def test_activation_that_tells_recognisability_is_told_from_one_that_does_not(draws):
    def found(linked):
        made = through(UNEVEN)
        for rows in (
            [made.made[name][s] for name in made.made for s in SEEDS],
            [of[0] for of in made.choosing.values()],
        ):
            for one in rows:
                one.read[:, np.arange(40), TARGETS] = sure = draws.random(40)
                after = sure + 0.05 * draws.normal(size=40) if linked else draws.normal(size=40)
                one.after[:] = after[:, None]
        return made

    row = measures.activation_order(found(True))
    assert row["value"] > 0.7 and verdict("G9", row) == "not reproduced"
    assert row["named"]["the default setting alone"][0] > 0.5
    row = measures.activation_order(found(False))
    assert abs(row["value"]) < 0.2 and verdict("G9", row) in ("reproduced", "inconclusive")


def test_settings_that_differ_make_no_order_where_there_is_none_within_them(draws):
    made = through(UNEVEN)
    for k, name in enumerate(searches.SETTINGS):  # the later a setting, the higher both: in one heap they go together
        for s in SEEDS:
            one = made.made[name][s]
            one.read[:, np.arange(40), TARGETS] = 0.1 * k + 0.01 * draws.random(40)
            one.after[:] = (k + 0.1 * draws.normal(size=40))[:, None]
    row = measures.activation_order(made)
    assert abs(row["value"]) < 0.2 < 0.5 < row["named"]["all settings and rates together"][0]


def test_each_setting_gets_the_rate_that_families_like_and_the_other_bounds_that_of_the_first(monkeypatch):
    monkeypatch.setattr(searches, "make", lambda pair, setting, stream, *options: (setting, stream))
    liked = {"clipped at 3 sd": 0.7, "not clipped": 0.1, "3 sd, no decay": 1.5}

    def judge(made, seed):
        setting, stream = made
        (name,) = [name for name, one in searches.SETTINGS.items() if one._replace(rate=setting.rate) == setting]
        return (setting.rate == liked[name]) * (stream == "selection") * (1 + seed)

    tried = searches.own_rates(dict.fromkeys(SEEDS), judge, 2)
    assert {name: searches.best(found) for name, found in tried.items()} == liked
    assert tried["not clipped"] == {0.001: 0, 0.003: 0, 0.01: 0, 0.03: 0, 0.1: 2}
    rates = {name: one.rate for name, one in searches.settings(liked).items()}
    assert rates == liked | {"clipped at 2 sd": 0.7, "clipped at 1 sd": 0.7}
    assert searches.settings(liked)["not clipped"].sds is None


def test_all_images_of_the_prior_are_pooled_once():
    groups = measures.pooled(through(UNEVEN))
    assert [len(of) for of in groups[0].values()] == [1, 4, 1]  # the default, four other settings, what was tried


def test_diversity_is_low_for_one_image_from_all_starts(monkeypatch, draws):
    real = np.random.default_rng(1).normal(size=(200, 6))
    of = Judges((), None, dict.fromkeys(SEEDS), dict.fromkeys(SEEDS, real), np.repeat(np.arange(10), 20))
    found, without = through(UNEVEN), Pixels({}, {}, "")
    for spread, expected in ((0.2, "reproduced"), (1.0, "not reproduced")):
        made = np.random.default_rng(2).normal(size=(40, 6)) * spread
        monkeypatch.setattr(judges, "pool", lambda net, pictures, made=made: made)
        assert verdict("G10", measures.diversity(found, without, of)) == expected


def test_the_baseline_is_chosen_on_the_starts_for_choosing(monkeypatch):
    best = class_images.GRID[5]
    shares = {best: 0.6} | dict.fromkeys(searches.FOURIER, 0.5)
    monkeypatch.setattr(class_images, "make", lambda net, recipe, stream, *_: (recipe, stream))
    family = lambda made, seed: shares.get(made[0], 0.1) if made[1] == "selection" else 1 / 0  # noqa: E731
    monkeypatch.setattr(judges, "family_share", family)
    monkeypatch.setattr(measures, "judged", lambda made: made)
    found = measures.pixels(dict.fromkeys(SEEDS), 2, 4, 3, 0)
    assert found.best == "regularised pixels" and found.made["regularised pixels"][1] == (best, "evaluation")
    assert found.made["Fourier, jitter"][0] == (searches.FOURIER[0], "evaluation")
    shares[searches.FOURIER[2]] = 0.7
    found = measures.pixels(dict.fromkeys(SEEDS), 2, 4, 3, 0)
    assert found.best == "Fourier, jitter" and found.made[found.best][0][0] == searches.FOURIER[2]


# ------------------------------------------------------------------------------------- on networks, with few steps


@pytest.fixture(scope="module")
def trained():
    return {s: zoo.network("alexnet", s) for s in (0,)}


def committed(name="alexnet-0-fc6"):
    try:
        return generator_prior.load(name)
    except FileNotFoundError:
        pytest.skip(f"{name} is not trained yet")


def test_a_trained_prior_is_told_from_an_untrained_one_and_clipped_codes_from_free_ones(trained):
    """The broken variants of G1 and G3 on the real networks: what the claims compare must differ."""
    prior, net = committed(), trained[0]
    made = generator_network.build(prior.code, 0)
    none = prior._replace(generator=generator_prior.folded(made).requires_grad_(False), digest="untrained")
    options = ("evaluation", 1, 12, 0)
    pairs = (Pair(prior, net), Pair(none, net))
    with_prior, without = (recognised.judged(searches.make(pair, Setting(), *options)).hits.mean() for pair in pairs)
    assert with_prior > without + 0.1
    clipped, free = (searches.make(Pair(prior, net), Setting(sds=sds), *options) for sds in (1.0, None))
    own = clipped.targets
    assert (free.after[range(10), own] > clipped.after[range(10), own]).mean() > 0.7


def test_references_hold_the_pictures_and_the_random_codes_they_say(trained):
    prior = committed()
    batch = cutouts.batch(cutouts.World(), "test", 60)
    found = judges.references(trained, batch, 1, torch.Generator().manual_seed(0))
    assert list(found) == ["G, random codes", "G, codes of test pictures", "test pictures"]
    real, again = found["test pictures"][0], found["G, codes of test pictures"][0]
    assert real.targets.tolist() == list(range(10))
    assert all((batch.images == one).all((1, 2, 3)).any() for one in real.pictures)
    codes = generator_prior.encode(prior, searches.encoder(prior), interface.to_tensor(real.pictures))
    assert np.array_equal(again.pictures, interface.to_pictures(prior.generator(codes)))
    assert real.hits.mean() > found["G, random codes"][0].hits.mean()


def test_a_search_that_is_watched_is_the_search(trained):
    prior = committed()
    pair, code = Pair(prior, trained[0]), generator_prior.form(prior).start(1, torch.Generator().manual_seed(3))
    found = generators_seen.watch(pair, 4, code, [0, 2, 5], Setting())
    made = generator_prior.search(prior, objectives.score(trained[0], 4), code, steps=5)
    assert found.steps == [0, 2, 5] and np.array_equal(found.pictures[-1:], interface.to_pictures(made.images))
    np.testing.assert_allclose(found.values[:2], made.values[[0, 2], 0], rtol=1e-5)
    least = generators_seen.watch(pair, 4, code, [0, 5], Setting(), -1)
    assert least.values[0] == pytest.approx(found.values[0], rel=1e-5) and least.values[1] < least.values[0]


def test_units_find_the_pictures_they_answer_to_most(trained):
    pair, batch = Pair(committed(), trained[0]), cutouts.batch(cutouts.World(), "test", 30)
    found = generators_seen.units(pair, "conv4_pre", range(3), batch, 2, Setting(), 0)
    maps = interface.features(trained[0], interface.to_tensor(batch.images), ["conv4_pre"])["conv4_pre"][:, :3, 4, 4]
    assert found.best.tolist() == pytest.approx(maps.max(0).values.tolist())
    assert np.array_equal(found.top[0, 2], batch.images[int(maps[:, 2].argmax())])
    rows = generators_seen.unit_rows(found, range(3))
    assert rows[1]["most"] == pytest.approx(float(found.most.values[-1, 1])) and rows[0]["least"] < rows[0]["most"]
    with pytest.raises(ValueError, match="no layer 'conv9'"):
        generators_seen.units(pair, "conv9", range(3), batch, 2, Setting(), 0)
    with pytest.raises(ValueError, match="whole numbers from 0 to 79"):
        generators_seen.units(pair, "conv4_pre", [99], batch, 2, 0.3, 0)


def test_jobs_are_what_the_notebook_reads():
    names = [job.name for job in generators_seen.jobs([1])]
    assert set(names) == {
        "alexnet-1-fc6",
        "alexnet-1-conv3",
        *generators_seen.LAYERS.values(),
        *generators_seen.ABLATED.values(),
    }


def test_figures_are_drawn_from_made_up_numbers():
    found = through(UNEVEN)
    figure, data = plots.grid({"one": found.made["fc6"][0], "other": found.made["conv3"][0]}, ["a", "b"])
    assert len(data) == 4 and data[0]["class"] == "a" and data[0]["probability"] == pytest.approx(0.9)
    figure, data = plots.activation(measures.pooled(found), dict.fromkeys(SEEDS, 0.1))
    assert len(data) == 3 * 6 * 40 and len(figure.axes) == 3
    rows = [{"name": "a", "group": g, "value": 0.5, "low": 0.4, "high": 0.6} for g in ("x", "y", "z")]
    assert len(plots.judged(rows).axes) == 2
    plt.close("all")
