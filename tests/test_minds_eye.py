"""The Mind's Eye: robust loss against closed forms, terms by hand, passes counted, rows alone, every network."""

from collections import Counter
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from scipy import integrate, special
from skimage import restoration

from lib.experiments.n14_minds_eye import from_noise, image_sets, measures, operations
from lib.experiments.n14_minds_eye import plots as plots_of
from lib.methods.ascent import parameterisations, regularisers
from lib.methods.minds_eye import facets, synthesis
from lib.methods.minds_eye.robust_loss import adaptive, log_partition, robust
from lib.methods.minds_eye.synthesis import Recipe
from lib.networks import catalogue, interface, zoo
from lib.record import uncertainty
from lib.worlds import cutouts, photos


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


# ------------------------------------------------------------------------------------------------- the robust loss


def test_robust_loss_has_the_published_special_cases():
    x, c = torch.linspace(-6, 6, 49, dtype=torch.float64), double(1.7)
    r = (x / c) ** 2
    published = {2: r / 2, 1: (r + 1).sqrt() - 1, 0: torch.log(r / 2 + 1), -2: 2 * r / (r + 4)}
    published[-np.inf] = 1 - torch.exp(-r / 2)
    for shape, expected in published.items():
        assert torch.allclose(robust(x, double(shape), c), expected, rtol=1e-12, atol=1e-14), shape
    for near, exact in ((2 - 1e-7, 2), (1e-7, 0), (-1e7, -np.inf)):
        assert torch.allclose(robust(x, double(near), c), published[exact], atol=1e-5)


def test_robust_loss_and_its_gradients_are_finite_where_its_formula_is_not():
    for shape in (2.0, 0.0, 1.0, -np.inf):
        x = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        (gradient,) = torch.autograd.grad(robust(x, double(shape), double(1)).sum(), x)
        assert torch.equal(gradient, torch.zeros(3, dtype=torch.float64))
    x = double(-3, 0.5, 8).requires_grad_()
    parts = (x, double(0.7, 1.3, 1.9).requires_grad_(), double(0.4, 1, 3).requires_grad_())
    assert torch.autograd.gradcheck(robust, parts)


def test_partition_function_against_closed_forms_and_quadrature():
    closed = {0: np.pi * np.sqrt(2), 1: 2 * np.e * special.k1(1), 2: np.sqrt(2 * np.pi)}
    for shape, value in closed.items():
        assert float(log_partition(double(shape))) == pytest.approx(np.log(value), abs=1e-6)
    for shape in (0.3, 0.77, 1.5):
        one = lambda x, s=shape: np.exp(-float(robust(double(x), double(s), double(1))))  # noqa: E731
        value = 2 * integrate.quad(one, 0, np.inf, limit=400)[0]
        assert float(log_partition(double(shape))) == pytest.approx(np.log(value), abs=2e-4)


def test_shape_and_scale_persist_and_learn_towards_the_residuals():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 4000, generator=generator)
    noise[1] = 0.1 * torch.distributions.Cauchy(0.0, 1.0).icdf(torch.rand(4000, generator=generator))
    loss, state = adaptive(2)
    assert [one.tolist() for one in state()] == [[1.0, 1.0], [1.0, 1.0]]
    for _ in range(1200):
        loss(noise)
    shape, scale = state()
    assert shape[0] > 1.7 and scale[0] == pytest.approx(1.0, abs=0.12)  # normal residuals: shape 2, scale = sd
    assert shape[1] < 0.3 and scale[1] == pytest.approx(0.1 / np.sqrt(2), rel=0.2)  # Cauchy: shape 0, sqrt(2) * scale
    x = noise.clone().requires_grad_()
    assert loss(x).shape == (2,) and torch.autograd.grad(loss(x).sum(), x)[0].abs().max() > 0


# -------------------------------------------------------------------------------------- parts of the shared core


def test_total_variation_denoising_is_that_of_skimage():
    images = torch.rand(2, 3, 12, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = regularisers.denoise(0.1, rounds=15)(images, None, 0)
    for mine, image in zip(found, images, strict=True):
        theirs = restoration.denoise_tv_chambolle(image.numpy(), 0.1, eps=0, max_num_iter=15, channel_axis=0)
        assert np.allclose(mine, theirs, atol=1e-10)


def test_blended_operators_leave_what_the_mask_leaves():
    mask = regularisers.centre(8, 0.5)
    x = torch.ones(1, 3, 8, 8)
    zero = lambda x, gradient, step: x * 0  # noqa: E731
    assert torch.allclose(regularisers.blended(zero, mask, 3)(x, x, 3), 1 - mask.expand(1, 3, 8, 8))
    assert torch.equal(regularisers.blended(zero, mask, 3)(x, x, 4), x)


def test_centre_is_a_gaussian_of_the_given_width():
    mask = regularisers.centre(9, 1 / 3)
    assert mask[4, 4] == 1 and mask[4, 7] == pytest.approx(np.exp(-0.5)) and mask[1, 1] == pytest.approx(np.exp(-1))


def test_windows_wander_inside_and_are_drawn_anew_only_when_due():
    rows = torch.arange(12.0)[:, None].expand(12, 12)
    image = torch.stack([rows, rows.T, rows])[None]
    moves, generator = regularisers.window(6, every=3), torch.Generator().manual_seed(1)
    seen = [moves(image, generator) for _ in range(60)]
    corners = [(int(one[0, 0, 0, 0]), int(one[0, 1, 0, 0])) for one in seen]
    assert all(one.shape == (1, 3, 6, 6) for one in seen) and {c for pair in corners for c in pair} <= set(range(7))
    assert all(corners[3 * k] == corners[3 * k + 1] == corners[3 * k + 2] for k in range(20)) and len(set(corners)) > 8
    with pytest.raises(ValueError, match="window: size is 13, expected at most the side"):
        regularisers.window(13)(image, generator)


# ---------------------------------------------------------------------------------------------------- the method


@pytest.fixture(scope="module")
def net():
    return zoo.network("alexnet", 0)


def some(net, layer, n=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, 3, net.size, net.size, generator=generator)
    targets = torch.from_numpy(facets.pooled(net, images, layer))
    return facets.Aim(targets, images, [[k] for k in range(n)])


def test_terms_are_those_of_the_formula(net):
    aim, units = some(net, "conv5"), (0.3, 0.7)
    channels = facets.informative(aim.targets, 16)
    recipe = Recipe(activation=0.4, penalty=(0.2, 0.6), steps=2)
    terms, history, _ = synthesis.objective(net, "conv5", "conv4", aim.targets, channels, units, recipe)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(9))
    loss, _ = adaptive(2)
    with torch.no_grad():
        maps = interface.features(net, images, ["conv4", "conv5"])
        z, t = maps["conv5"].mean((2, 3)) / 0.3, aim.targets / 0.3
        rise = torch.stack(
            [(z[k, channels[k]] * t[k, channels[k]]).sum() / t[k, channels[k]].square().sum() for k in (0, 1)]
        )
        cost = maps["conv4"].abs().mean((1, 2, 3)) / 0.7
        for strength in (0.2, 0.6):  # two calls: the penalty rises, the loss learns along
            expected = 0.4 * rise - loss(z - t) - strength * cost
            assert torch.allclose(terms(images), expected, atol=1e-5)
    assert torch.allclose(history[0][0], rise, atol=1e-5) and torch.allclose(history[1][2], cost, atol=1e-5)
    assert torch.allclose(history[0][1], (z - t).square().mean(1).sqrt(), atol=1e-5)
    at_target, seen, _ = synthesis.objective(net, "conv5", None, aim.targets, channels, units, recipe)
    at_target(aim.starts)
    assert torch.allclose(seen[0][0], torch.ones(2), atol=1e-4) and torch.allclose(
        seen[0][1], torch.zeros(2), atol=1e-4
    )


@pytest.mark.parametrize(("layer", "penalised", "runs", "silent"), [
    ("conv5", "conv4", "conv1 conv2 conv3 conv4 conv5", "pool5 fc6 fc8"),
    ("conv2", "conv1", "conv1 conv2", "conv3 fc6"),
    ("conv2", "conv4", "conv1 conv2 conv3 conv4", "conv5 fc6"),  # the deeper of the two
])  # fmt: skip
def test_one_forward_and_one_backward_pass_to_the_deeper_layer_a_step(net, layer, penalised, runs, silent):
    forward, backward, steps = Counter(), Counter(), 5
    aim = some(net, layer)

    def count(name, module, inputs, output):
        forward[name] += 1
        if output.requires_grad:
            output.register_hook(lambda gradient: backward.update([name]))

    handles = [
        interface.module(net, n).register_forward_hook(partial(count, n)) for n in (*runs.split(), *silent.split())
    ]
    try:
        facets.extent(net, layer)  # one whole pass of a grey image, which `synthesise` asks once too
        asked = dict(forward)
        synthesis.synthesise(net, layer, aim, (1.0, 1.0), Recipe(steps=steps), penalised=penalised)
    finally:
        for handle in handles:
            handle.remove()
    assert {name: forward[name] - 2 * asked[name] for name in runs.split()} == dict.fromkeys(runs.split(), steps)
    assert {name: forward[name] - 2 * asked[name] for name in silent.split()} == dict.fromkeys(silent.split(), 0)
    assert backward == dict.fromkeys(runs.split(), steps)


def test_rows_get_what_they_would_get_alone(net):
    aim = some(net, "conv3", n=3)
    noise_free = Recipe(steps=4, noise=0.0)
    together = synthesis.synthesise(net, "conv3", aim, (0.5, 1.0), noise_free, penalised="conv2", seed=3)
    for k in range(3):
        one = facets.Aim(aim.targets[[k]], aim.starts[[k]], [aim.picked[k]])
        alone = synthesis.synthesise(net, "conv3", one, (0.5, 1.0), noise_free, penalised="conv2", seed=3)
        assert np.abs(alone.pictures[0].astype(int) - together.pictures[k]).max() <= 1
        assert np.allclose(alone.curves.distance[:, 0], together.curves.distance[:, k], rtol=1e-4)
        assert alone.shape[0] == pytest.approx(together.shape[k], abs=1e-5)
    split = synthesis.synthesise(net, "conv3", aim, (0.5, 1.0), noise_free, penalised="conv2", seed=3, batch=2)
    assert np.abs(split.pictures.astype(int) - together.pictures).max() <= 1 and split.curves.penalty.shape == (4, 3)


def test_terms_do_what_their_names_say_and_the_seed_repeats_to_the_bit(net):
    real = some(net, "conv5", n=4)
    start = facets.Aim(real.targets, torch.full_like(real.starts, 0.5), real.picked)
    units = synthesis.scales(net, "conv5", "conv4", real.targets.numpy(), real.starts)
    assert units[0] == pytest.approx(float(real.targets.square().mean().sqrt()), rel=1e-5)
    made = {}
    for name, recipe in {"rise": Recipe(distance=0.0), "near": Recipe(activation=0.0)}.items():
        run = [synthesis.synthesise(net, "conv5", start, units, recipe._replace(steps=40), seed=1) for _ in range(2)]
        assert (run[0].pictures == run[1].pictures).all() and (run[0].curves.distance == run[1].curves.distance).all()
        made[name] = run[0]
    first, last = made["near"].curves.distance[[0, -1]].mean(1)
    assert last < 0.8 * first and made["near"].shape[0] != pytest.approx(1.0, abs=1e-3)
    assert made["rise"].curves.activation[-1].mean() > 1.5 * made["near"].curves.activation[-1].mean()
    assert made["rise"].scale.tolist() == [1.0] * 4  # without a distance nothing is learnt
    other = synthesis.synthesise(net, "conv5", start, units, Recipe(steps=40, distance=0.0), seed=2)
    assert (other.pictures != made["rise"].pictures).any()


def test_steps_are_kept_and_pictures_are_the_middle(net):
    aim = some(net, "conv5")
    made = synthesis.synthesise(net, "conv5", aim, (1.0, 1.0), Recipe(steps=3), keep=(0, 2, 3))
    assert sorted(made.strip) == [0, 2, 3] and made.strip[0].shape == made.pictures.shape == (2, 64, 64, 3)
    assert (made.strip[3] == made.pictures).all() and (made.strip[0] != made.strip[2]).any()


def test_the_layer_below():
    assert synthesis.below(zoo.network("alexnet", 0), "conv5") == "conv4"
    assert synthesis.below(zoo.network("lenet", 0), "conv2_pre") == "conv1"
    assert synthesis.below(zoo.network("lenet", 0), "conv1") is None
    assert synthesis.below(zoo.network("resnet", 0), "pool5") is None


@pytest.mark.parametrize("name", [*zoo.FAMILIES, "squeezenet1_1", "efficientnet_lite0"])
def test_every_network_by_name_alone(name):
    net = catalogue.load(name)
    layer = interface.last_conv(net)
    below, aim = synthesis.below(net, layer), some(net, layer)
    units = synthesis.scales(net, layer, below, aim.targets.numpy(), aim.starts)
    made = synthesis.synthesise(net, layer, aim, units, Recipe(steps=2), penalised=below)
    assert made.pictures.shape == (2, net.size, net.size, 3) and np.isfinite(made.curves).all()
    assert operations.iteration(net, layer, below) <= 1.001 * operations.whole(net)


def test_layers_without_places_are_refused(net):
    with pytest.raises(ValueError, match="128 numbers an image and no places"):
        synthesis.synthesise(net, "fc6", some(net, "conv5"), (1.0, 1.0), Recipe(steps=1))


# ---------------------------------------------------------------------------------------------------- what is measured


def test_multiply_adds_are_those_of_a_hand_count():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(256, 2))
    small = interface.wrap(model, name="small", size=8, preprocess=lambda x: x)
    conv, dense = 8 * 8 * 4 * 3 * 9, 256 * 2
    assert operations.whole(small) == 2 * (conv + dense)  # forward, and backward to the image
    assert operations.iteration(small, "0") == 2 * conv


def test_a_generator_prior_costs_more(net):
    found, table = operations.cost([net], (net, "fc6"), ())
    assert 0.9 < found["value"] <= 1.0 and found["named"]["a step of the generator prior"][0] > 1.5
    assert len(table.rows) == 2


def test_own_facet_and_how_far_apart():
    table = np.array([[1.0, 3, 0], [2, 4, 9], [9, 9, 1]])
    groups = np.array([0, 0, 1])
    assert image_sets.own(table).tolist() == [False, False, True]
    assert image_sets.own(table, groups).tolist() == [True, False, True]
    pair = np.array([0, 0])
    assert measures.apart(table[:2, :2], pair).tolist() == [2 / 3, -1.0]
    assert measures.apart(table[:2, :2], pair, np.array([[1, 0], [0, 1]])).tolist() == [[-2, 0.5], [2 / 3, -1]]


def test_jaccard_by_hand():
    one, other = np.array([[1, 1, 0, 0]], bool), np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1]], bool)
    assert np.allclose(measures.jaccard(one, other), [[1 / 3, 1, 0]])


def made_up(shift, seed=0, width=12, k=3, classes=10):
    """A Tried whose facets lie apart in the judge's features, and whose images lie `shift` of the way to their own."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((classes * k, width))
    groups = np.repeat(np.arange(classes), k)
    middle = np.repeat(centres.reshape(classes, k, width).mean(1), k, 0)
    read = {
        name: middle + s * (centres - middle) + 0.01 * rng.standard_normal(centres.shape) for name, s in shift.items()
    }
    labels = np.tile(np.repeat(np.arange(k), 4), classes)
    judged = np.repeat(centres, 4, 0) + 0.05 * rng.standard_normal((4 * k * classes, width))
    members = {c: np.arange(4 * k * c, 4 * k * (c + 1)) for c in range(classes)}
    parts = {c: facets.Facets(labels[own], np.zeros((4 * k, k)), judged[own]) for c, own in members.items()}
    sets = image_sets.Sets(None, judged, parts, members, groups, judged, centres, np.full((classes * k, 3), -1))
    return image_sets.Tried(sets, {}, read)


def test_separation_is_seen_where_it_is_and_not_where_facets_are_dealt():
    start = {image_sets.START: 0.0}
    near = {s: made_up({image_sets.BOTH: 0.8} | start, s) for s in range(3)}
    far = {s: made_up({image_sets.BOTH: 0.0} | start, s) for s in range(3)}
    found = measures.separation(near, np.random.default_rng(0))
    assert found["interval"][0] > 0.3 > found["null"][1] and len(found["seeds"]) == 3
    assert found["named"]["the sets' own images"][0] > 0.7
    assert abs(found["named"]["the start images"][0]) < 0.05
    lost = measures.separation(far, np.random.default_rng(0))
    assert lost["null"][0] < lost["value"] < lost["null"][1] + 0.05 and abs(lost["value"]) < 0.05


def test_selection_takes_off_what_other_images_of_the_facet_give():
    names = (image_sets.BOTH, image_sets.RESTART, image_sets.FARTHEST, image_sets.RELEASED)
    names = (*names, image_sets.OTHERS)
    tried = {}
    for s in range(3):
        one = made_up(dict.fromkeys(names, 0.8), s)
        base = one.read[names[0]]
        moves = {names[0]: 0.0, names[1]: 1.0, names[2]: 1.5, names[3]: 3.0, names[4]: 1.2}
        jolt = 1 + 0.01 * np.random.default_rng(s).random((30, 1))
        read = {name: base + move / np.sqrt(12) * (jolt if move > 1 else 1) for name, move in moves.items()}
        tried[s] = one._replace(read=read)
    found = measures.selection(tried)
    assert found["value"] == pytest.approx(0.3, abs=0.02) and found["interval"][0] > 0.29
    assert found["named"][image_sets.FARTHEST][0] == pytest.approx(0.5, abs=0.02)
    assert found["named"][image_sets.RELEASED][0] == pytest.approx(2.0, abs=0.04)
    assert found["named"]["random others"][0] == pytest.approx(0.2, abs=0.02)


def test_reference_leaves_each_image_out_of_its_own_centre():
    one = made_up({}, 0)
    found = measures.reference(one.sets)
    assert found["own class"].tolist() == [1.0] * 10 and found["all"].tolist() == [1.0] * 10
    assert (found["apart"] > 0.5).all()
    alone = one.sets._replace(judged=one.sets.judged * 0, centres=one.sets.centres)
    assert measures.reference(alone)["own class"].mean() < 1.0


def test_reference_counts_facets_alike_whatever_their_sizes():
    judged = np.array([[0.0], [0.2], [0.1], [3.1], [3.2], [3.0], [0.05]])  # the last is of the second facet, and lost
    labels = np.array([0, 0, 0, 1, 1, 1, 1])
    part = {0: facets.Facets(labels, np.zeros((7, 2)), judged)}
    centres = facets.centres(judged, labels)
    groups, cues = np.array([0, 0]), np.full((2, 3), -1)
    found = image_sets.Sets(None, judged, part, {0: np.arange(7)}, groups, judged, centres, cues)
    assert measures.reference(found)["own class"].tolist() == [(1 + 3 / 4) / 2]  # and not 6 of 7


def test_by_angle_a_faint_row_counts_like_a_strong_one():
    centres = np.array([[1.0, 0], [0, 4.0]])
    rows = np.array([[0.1, 0], [0, 0.1]])
    assert image_sets.own(image_sets.distances(rows, centres)).tolist() == [True, False]
    assert image_sets.own(image_sets.distances(rows, centres, angle=True)).tolist() == [True, True]
    assert image_sets.distances(rows, centres, angle=True)[0, 1] == pytest.approx(np.sqrt(2))


def test_both_terms_are_compared_with_the_better_single_one(monkeypatch):
    monkeypatch.setattr(measures, "shown", lambda pictures, cues: pictures)
    shifts = {image_sets.BOTH: 0.8, image_sets.EQUAL: 0.8, "activation alone": 0.8, "distance alone": -0.8}
    shifts[image_sets.START] = -0.8
    tried = {}
    for s in range(3):
        one = made_up(shifts, s)
        share = np.tile([1.0, np.nan, 0.5], 10)  # a facet without cues is left out
        cues = {name: Pictures(share * (name not in ("distance alone", image_sets.START))) for name in shifts}
        tried[s] = one._replace(seen=cues)
    found = measures.gain(tried)
    assert found["value"] == 0 and "better single term: activation alone" in found["note"]
    assert found["named"]["the share itself, both terms"][0] == 1
    assert found["named"]["the share itself, distance alone"][0] < 0.2
    assert found["named"]["the share itself, start images"][0] < 0.2
    assert not any(found["named"]["equal weights minus activation alone"])
    assert found["named"]["the share itself by angle, both terms"][0] > 0.9
    rows = measures.judged_rows(tried, np.random.default_rng(0))
    assert [r["value"] for r in rows if r["name"].startswith("shows")] == [0.75, 0.75, 0.75, 0.0, 0.0] and len(
        rows
    ) == 17


class Pictures(NamedTuple):
    pictures: np.ndarray


def test_sets_of_cutouts_and_what_their_facets_share(net):
    pictures = cutouts.batch(cutouts.World(), "validation", 200)
    setting = image_sets.Setting(net, "conv2", zoo.network("lenet", 1), n_facets=2, n_nearest=3, steps=2)
    found = image_sets.sets(setting, pictures)
    assert found.groups.tolist() == np.repeat(range(10), 2).tolist() and found.centres.shape == (20, 16)
    aim = image_sets.aims(found, 3)
    assert aim.targets.shape == (20, 80) and aim.starts.shape == (20, 3, 64, 64)
    rows = measures.recovered({"conv2": {0: found}}, pictures, np.random.default_rng(0))
    value = {row["name"]: row["value"] for row in rows}
    assert value["hue"] > 0.15 > value["shape"]  # an early layer groups by colour
    made = image_sets.try_all(setting, found, {name: Recipe(steps=2) for name in image_sets.WAYS})
    more = {"another start", "others of the facet", "farthest of the facet", "farthest of the set", "start images"}
    assert set(made.seen) == {*image_sets.WAYS, *more} == set(made.read)
    assert (made.seen["start images"].pictures == made.seen["both terms"].strip[0]).all()
    assert (made.seen["others of the facet"].pictures != made.seen["both terms"].pictures).any()
    overlap = measures.overlap({0: made}, {0: net}, "conv2", 0.25)
    own, others = (overlap["named"][name][0] for name in ("own", "others of its class"))
    assert 1 > own > others > 0 and overlap["value"] == pytest.approx(own - others)
    assert overlap["named"]["k/C"] == (0.25,) * 3
    with pytest.raises(ValueError, match="judge is 'alexnet', the family looked into; expected another one"):
        image_sets.checked({0: net}, ("conv5",), "alexnet", "alexnet", "vgg")
    with pytest.raises(ValueError, match="layer is 'fc6': .*no places"):
        image_sets.checked({0: net}, ("conv5", "fc6"), "alexnet", "resnet", "vgg")
    assert image_sets.checked({0: net}, ("conv5", "conv2"), "alexnet", "resnet", "vgg") == {0: net}
    with pytest.raises(ValueError, match="chooser is 'resnet', the family that reports; expected a third one"):
        image_sets.checked({0: net}, ("conv5",), "alexnet", "resnet", "resnet")
    with pytest.raises(ValueError, match="judge is alexnet.*expected one that takes no part"):
        image_sets.sets(setting._replace(judge=net), pictures)
    with pytest.raises(ValueError, match="class 'disc': facets: the set has [0-9]+ images, expected at least.* 40"):
        image_sets.sets(setting._replace(n_facets=40), pictures)


def test_overlap_is_compared_with_the_other_facets_of_the_class():
    table = np.arange(16.0).reshape(4, 4)
    own, others = measures.within(table, np.array([0, 0, 1, 1]))
    assert own.tolist() == [0, 5, 10, 15] and others.tolist() == [1, 4, 11, 14]


def test_each_way_gets_the_setting_that_a_third_network_likes_best(net, monkeypatch):
    pictures = cutouts.batch(cutouts.World(), "validation", 200)
    setting = image_sets.Setting(net, "conv2", zoo.network("lenet", 1), n_facets=2, n_nearest=3, steps=2)
    found = image_sets.sets(setting, pictures)
    good, asked = found.centres, []

    def judged(judge, images):  # the largest rate is right for the distance, the smallest for the rest
        *_, recipe = asked
        right = recipe.rate[0] == (0.01 if recipe.activation == 0 else 0.001) and recipe.activation in (0, 0.3, 1)
        return good if right else good[::-1]

    def made(setting, found, recipe, *_, **__):
        asked.append(recipe)
        return Pictures(None)

    monkeypatch.setattr(image_sets, "sets", lambda *_: found)
    monkeypatch.setattr(image_sets, "synthesise", made)
    monkeypatch.setattr(image_sets, "judgement", judged)
    best, table = image_sets.choose(setting, pictures)
    assert [(one.activation, one.distance, one.rate[0]) for one in best.values()] == [
        (0.3, 1, 0.001), (1, 0, 0.001), (0, 1, 0.01)
    ]  # fmt: skip
    assert len(asked) == 30 == len(table.rows) and sum(row[-1] == "chosen" for row in table.rows) == 3


@pytest.fixture(scope="module")
def four():
    return photos.stack(photos.named(photos.SHIPPED, 224))


def test_from_noise_each_row_is_what_it_is_alone_and_both_terms_do_what_they_say(four):
    reader = catalogue.load("squeezenet1_1")
    part = from_noise.grouped(reader, "conv3", four, 4, 1)
    made = {name: from_noise.paint(part, way, 12) for name, way in from_noise.USUAL.items()}
    ends = {name: (one.curves.activation[-1].mean(), one.curves.distance[-1].mean()) for name, one in made.items()}
    first = made[image_sets.BOTH].curves.distance[0].mean()
    assert ends[image_sets.DISTANCE][1] < 0.75 * first  # from noise it comes near the target
    assert ends[image_sets.ACTIVATION][0] > ends[image_sets.DISTANCE][0]
    assert ends[image_sets.ACTIVATION][1] > ends[image_sets.DISTANCE][1]
    form = parameterisations.fourier(224)
    starts = form.start(4, torch.Generator().manual_seed(0))
    alone = from_noise.paint(
        part, from_noise.USUAL[image_sets.BOTH], 12, only=[2],
        form=lambda size: form._replace(start=lambda n, generator: starts[[2]]),
    )  # fmt: skip
    apart = np.abs(alone.pictures[0].astype(float) - made[image_sets.BOTH].pictures[2]).mean()
    assert apart < 2 < np.abs(alone.pictures[0].astype(float) - made[image_sets.BOTH].pictures[1]).mean()


def test_from_noise_keeps_what_is_asked_for_and_repeats(four):
    reader = catalogue.load("squeezenet1_1")
    part = from_noise.grouped(reader, "conv2", four, 2, 2)
    options = {"rate": 0.05, "transforms": from_noise.MOVES, "keep": (0, 2), "batch": 1}
    form, recipe = parameterisations.fourier(224), from_noise.USUAL[image_sets.BOTH].recipe(3)
    one, two = (synthesis.from_noise(reader, "conv2", part.aim, part.units, recipe, form, **options) for _ in "ab")
    assert (one.pictures == two.pictures).all() and one.curves.distance.shape == (3, 2)
    assert sorted(one.strip) == [0, 2] and one.strip[0].shape == one.pictures.shape == (2, 224, 224, 3)


def test_single_photographs_come_in_their_own_order(four, monkeypatch):
    reader = catalogue.load("squeezenet1_1")

    def painted(part, way, steps, seed):  # each facet gets its own photograph
        order = [int(picked[0]) for picked in part.aim.picked]
        return Pictures(interface.to_pictures(four[order]))

    monkeypatch.setattr(from_noise, "paint", painted)
    pictures = from_noise.single(reader, "conv2", four, from_noise.USUAL[image_sets.BOTH], 2)
    assert (pictures == interface.to_pictures(four)).all()


def test_photographs_are_judged_by_a_network_that_took_no_part(four, monkeypatch):
    reader = catalogue.load("squeezenet1_1")
    witness = image_sets.witness(reader)
    assert witness.name == "efficientnet_lite0" and image_sets.witness(witness).name == "squeezenet1_1"
    part = from_noise.grouped(reader, "conv5", torch.cat([four, four.flip(3)]), 4, 2)
    right = part.images[[int(facets.pick(part.found, k, 1)[0]) for k in range(4)]]
    ask = from_noise.ranks(witness, part)
    assert not ask(interface.to_pictures(right)).any() and ask(interface.to_pictures(right[[1, 0, 3, 2]])).all()
    with pytest.raises(ValueError, match="the judge is squeezenet1_1, the network looked into; expected one that"):
        from_noise.ranks(reader, part)

    good, bad = (Pictures(interface.to_pictures(one)) for one in (right, right[[1, 0, 3, 2]]))
    half = Pictures(interface.to_pictures(right[[0, 1, 3, 2]]))
    monkeypatch.setattr(uncertainty, "FEWEST_UNITS", 2)
    made = {image_sets.BOTH: good, image_sets.ACTIVATION: bad, image_sets.DISTANCE: half}
    found = from_noise.gain(made, witness, part, np.random.default_rng(0))
    assert found["value"] == 0.5 and found["n"] == 4 and "distance alone" in found["note"]
    assert found["named"]["chance"][0] == 0.25 and found["named"]["the share itself, both terms"][0] == 1

    worse = Pictures(interface.to_pictures(right[[0, 3, 1, 2]]))  # as few are right, and others are nearer
    tried = iter([bad, half, bad, good, half, half, half, half, bad, worse, half, bad, bad, worse, half])
    monkeypatch.setattr(from_noise, "paint", lambda *_: next(tried))
    best, table = from_noise.choose(part, witness, 2)
    assert best[image_sets.BOTH] == from_noise.Way(0.3, 1, 0.05)
    assert {best[image_sets.ACTIVATION].rate, best[image_sets.DISTANCE].rate} == {0.05, 0.1}
    assert len(table.rows) == 15 and [row[3] for row in table.rows[:4]] == ["0.00", "0.50", "0.00", "1.00"]


def test_the_figure_of_photographs_shows_the_facets_that_were_asked_for(four):
    part = from_noise.grouped(catalogue.load("squeezenet1_1"), "conv2", four, 4, 1)
    way = from_noise.USUAL[image_sets.BOTH]
    every, some = from_noise.paint(part, way, 1), from_noise.paint(part, way, 1, only=[3])
    figure, rows = plots_of.photographs(photos.named(photos.SHIPPED, 224), part, {"all": every, "some": some}, [3])
    assert [row["facet"] for row in rows] == [4, 4] and [row["way"] for row in rows] == ["all", "some"]
    assert rows[0]["distance"] == every.curves.distance[-1, 3] and rows[1]["distance"] == some.curves.distance[-1, 0]
    (member,) = np.flatnonzero(part.found.labels == 3)
    assert list(photos.SHIPPED)[member] in [text.get_text() for text in figure.texts]
    assert plots_of.used(part, [3]) == [member]
    plt.close(figure)
