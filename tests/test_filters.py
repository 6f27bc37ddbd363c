"""First-layer filters: their colours against gradients, their spectrum against sums written out, Gabor fits against
another optimiser; the short runs behind E2 and E3, and what is counted in them."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from scipy.optimize import differential_evolution
from torch import nn

from lib.base import identity, weights
from lib.experiments.n06_filters import measures, plots
from lib.methods.layers import first_layer, sparseness
from lib.networks import catalogue, interface, zoo
from lib.record import claims
from lib.training import classifiers, make_short_runs
from lib.training.make_short_runs import Job
from lib.worlds import cutouts

EIGHT = [*zoo.FAMILIES, "squeezenet1_1", "efficientnet_lite0"]
TINY = classifiers.Recipe(images=64, epoch=128, validation=32, batch=32, epochs=1, warmup=2, patience=1000)


def loaded(name):
    return zoo.network(name) if name in zoo.FAMILIES else catalogue.load(name)


@pytest.mark.parametrize("name", EIGHT)
def test_kernels_are_the_gradient_of_the_first_layer_in_the_picture(name):
    net = loaded(name)
    found, convolution = first_layer.kernels(net), first_layer.stem(net)[1]
    picture = torch.full((1, 3, net.size, net.size), 0.5, requires_grad=True)
    answers = []
    with convolution.register_forward_hook(lambda *inside: answers.append(inside[2])):
        net.model(net.preprocess(picture))
    answer = answers[0]
    for c in (0, answer.shape[1] - 1):
        (gradient,) = torch.autograd.grad(answer[0, c, 4, 4], picture, retain_graph=True)
        rows, columns = (torch.nonzero(gradient[0].abs().sum((0, k))).ravel() for k in (2, 1))
        seen = gradient[0, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].numpy()
        assert seen.shape == found[c].shape == (3, *convolution.kernel_size)
        assert seen == pytest.approx(found[c], abs=1e-4 * np.abs(found[c]).max())


def test_a_network_that_reads_blue_first_shows_its_colours_right():
    model = nn.Sequential(nn.Conv2d(3, 1, 3)).requires_grad_(False)
    model[0].weight[:] = torch.tensor([1.0, 2.0, 3.0])[None, :, None, None]
    net = interface.Network("bgr", model, lambda x: 255 * x.flip(1) - 104, 8, (), {}, "")
    assert first_layer.kernels(net)[0, :, 0, 0] == pytest.approx(np.array([3, 2, 1]) * 255, rel=1e-5)


def test_networks_without_colour_filters_are_refused_with_a_sentence():
    grey = interface.Network("grey", nn.Conv2d(1, 2, 3), lambda x: x.mean(1, keepdim=True), 8, (), {}, "")
    with pytest.raises(ValueError, match=r"grey: .* reads 1 channels in 1 groups; expected 3 channels"):
        first_layer.kernels(grey)
    dense = interface.Network("dense", nn.Linear(3, 2), lambda x: x, 8, (), {}, "")
    with pytest.raises(ValueError, match="dense has no convolution"):
        first_layer.kernels(dense)
    ramp = torch.linspace(0, 1, 8)
    uneven = interface.Network("uneven", nn.Conv2d(3, 2, 3), lambda x: x * ramp, 8, (), {}, "")
    with pytest.raises(ValueError, match="treats places differently"):
        first_layer.kernels(uneven)


def test_pictures_show_zero_as_grey_and_use_the_whole_range():
    kernels = np.zeros((2, 3, 3, 3))
    kernels[0, 1, 2, 0], kernels[0, 0, 0, 0] = -4, 2
    shown = first_layer.pictures(kernels)
    assert shown.shape == (2, 3, 3, 3) and (shown[1] == 0.5).all()
    assert shown[0, 2, 0, 1] == 0 and shown[0, 0, 0, 0] == 0.75 and (shown[0] == 0.5).sum() == 25


# ------------------------------------------------------------------------------------------ smoothness


def written_out(kernels, size=64) -> float:
    """Smoothness by the sum of a Fourier transform written out, frequency by frequency."""
    k = kernels.shape[-1]
    low = total = 0.0
    for u in range(-size // 2, size // 2):
        for v in range(-size // 2, size // 2):
            wave = np.exp(-2j * np.pi * (u * np.arange(k)[:, None] + v * np.arange(k)[None]) / size)
            power = (np.abs((kernels * wave).sum((-2, -1))) ** 2).sum()
            total += power
            low += power if np.hypot(u, v) / size <= 0.25 else 0
    return low / total


@pytest.mark.parametrize("side", [3, 4, 11])
def test_smoothness_equals_the_sum_written_out(side):
    kernels = np.random.default_rng(side).normal(size=(2, 3, side, side)) + 0.3
    assert first_layer.smoothness(kernels) == pytest.approx(written_out(kernels), abs=1e-12)


def test_smoothness_of_noise_and_of_waves():
    rng = np.random.default_rng(0)
    assert first_layer.smoothness(first_layer.noise((400, 3, 11, 11), rng)) == pytest.approx(np.pi / 16, abs=0.01)
    x = np.arange(33)
    for frequency, expected in ((0.1, 1), (0.2, 1), (0.3, 0), (0.45, 0)):
        wave = np.tile(np.cos(2 * np.pi * frequency * x), (33, 1))
        assert first_layer.smoothness(wave[None, None]) == pytest.approx(expected, abs=0.08), frequency
    diagonal = np.cos(2 * np.pi * 0.2 * (x[:, None] + x[None]))  # 0.2 along each axis, 0.28 along its own direction
    assert first_layer.smoothness(diagonal[None, None]) < 0.1


def test_smoothness_pools_the_filters_and_minds_no_scale():
    rng = np.random.default_rng(1)
    kernels = rng.normal(size=(4, 3, 7, 7))
    assert first_layer.smoothness(7 * kernels) == pytest.approx(first_layer.smoothness(kernels))
    flat = np.ones((1, 3, 7, 7))
    pooled = first_layer.smoothness(np.concatenate([100 * flat, kernels]))
    assert pooled == pytest.approx(first_layer.smoothness(flat), abs=1e-3)  # the strong filter has nearly all the power
    with pytest.raises(ValueError, match="not all of them 0"):
        first_layer.smoothness(np.zeros((2, 3, 5, 5)))
    with pytest.raises(ValueError, match="expected finite weights"):
        first_layer.smoothness(np.full((2, 3, 5, 5), np.nan))


# ---------------------------------------------------------------------------------------------- Gabor


def gabor(size, x0, y0, direction, frequency, along, across, phase):
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    u = (x - x0) * np.cos(direction) + (y - y0) * np.sin(direction)
    v = (y - y0) * np.cos(direction) - (x - x0) * np.sin(direction)
    return np.exp(-(u**2 / along**2 + v**2 / across**2) / 2) * np.cos(2 * np.pi * frequency * u + phase)


def test_gabor_functions_are_found_again():
    rng, found = np.random.default_rng(0), []
    for _ in range(20):
        truth = [*rng.uniform(-1.5, 1.5, 2), rng.uniform(0, np.pi), rng.uniform(0.08, 0.4), *rng.uniform(1.2, 4, 2)]
        fit = first_layer.gabor(3 * gabor(11, *truth, rng.uniform(0, 2 * np.pi)))
        found.append(fit.r2)
    assert np.median(found) > 0.9999 and min(found) > 0.95


def test_r2_is_the_share_of_squares_that_the_fit_takes_away():
    values = np.random.default_rng(2).normal(size=(9, 9)) + gabor(9, 0, 0, 1, 0.15, 2, 2, 0)
    fit = first_layer.gabor(values)
    assert fit.r2 == pytest.approx(1 - ((values - fit.fitted) ** 2).sum() / (values**2).sum())
    assert first_layer.gabor(-5 * values).r2 == pytest.approx(fit.r2, abs=1e-6)


@pytest.mark.parametrize("k", range(4))
def test_another_optimiser_finds_hardly_anything_better(k):
    values = first_layer.pattern(first_layer.kernels(zoo.network("alexnet"))[k])

    def rest(p):
        basis = np.stack([gabor(11, *p, phase).ravel() for phase in (0, np.pi / 2)], 1)
        weights, *_ = np.linalg.lstsq(basis, values.ravel(), rcond=None)
        return ((values.ravel() - basis @ weights) ** 2).sum() / (values**2).sum()

    bounds = [(-5, 5), (-5, 5), (0, np.pi), (0, 0.5), (0.5, 12), (0.5, 12)]
    other = differential_evolution(rest, bounds, rng=0, maxiter=60, popsize=10, polish=False)
    assert first_layer.gabor(values).r2 > 1 - other.fun - 0.1
    assert first_layer.gabor(values).r2 <= 1.0


def test_kernels_too_small_for_a_gabor_function_are_refused_and_empty_ones_fit_nothing():
    with pytest.raises(ValueError, match="at least 5 pixels a side, since a Gabor function has eight parameters"):
        first_layer.gabor(np.ones((3, 3)))
    assert first_layer.gabor(np.zeros((7, 7))).r2 == 0
    row = first_layer.summary(zoo.network("vgg"), np.random.default_rng(0))
    assert np.isnan(row["gabor"]) and (row["side"], row["stride"], row["filters"]) == (3, 1, 12)


def test_the_pattern_of_a_colour_filter_is_its_strongest():
    shape = gabor(7, 0, 0, 0.5, 0.1, 2, 2, 0)
    kernel = np.array([1.0, -2, 0.5])[:, None, None] * shape
    found = first_layer.pattern(kernel)
    assert abs(np.sum(found * shape)) == pytest.approx(np.linalg.norm(shape))


def test_another_order_of_the_maps_is_the_same_function():
    net, images = zoo.network("alexnet"), torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    other = first_layer.reordered(net, np.random.default_rng(0))
    assert torch.allclose(interface.scores(net, images), interface.scores(other, images), atol=1e-4)
    assert not torch.equal(net.model.conv2.conv.weight, other.model.conv2.conv.weight)
    assert identity.state_digest(net.model) != other.digest
    with pytest.raises(ValueError, match="without normalisation between them, as in AlexNet"):
        first_layer.reordered(zoo.network("vgg"), np.random.default_rng(0))


# ------------------------------------------------------------------------------------- the short runs


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))
    return tmp_path


def test_a_run_repeats_to_the_bit_and_is_not_trained_twice(elsewhere, monkeypatch):
    job = Job("fixed", 1.0, 0)
    first = make_short_runs.one(job, TINY)
    content = {path.name: path.read_bytes() for path in (elsewhere / "filters").iterdir()}
    for path in (elsewhere / "filters").iterdir():
        path.unlink()
    assert make_short_runs.one(job, TINY)["digest"] == first["digest"]
    assert {path.name: path.read_bytes() for path in (elsewhere / "filters").iterdir()} == content
    monkeypatch.setattr(classifiers, "fit", None)
    assert make_short_runs.one(job, TINY)["digest"] == first["digest"]
    assert not list((elsewhere / "checkpoints").rglob("*.ckpt"))


def test_runs_of_one_seed_differ_in_one_setting_only(elsewhere):
    for jobs, key in (
        ([Job("rate", 1, 0), Job("rate", 10, 0)], "rate"),
        ([Job("fixed", 1.0, 0), Job("fixed", 0.0, 0)], "decay"),
    ):
        one, other = (make_short_runs.one(job, TINY)["made_by"]["recipe"] for job in jobs)
        assert {name for name in one if one[name] != other[name]} == {key}
    assert weights.info("filters/alexnet-rate10-0")["made_by"]["recipe"]["rate"] == pytest.approx(0.02)


def test_a_run_that_diverges_is_kept_and_says_so(elsewhere):
    info = make_short_runs.one(Job("rate", 1e20, 1), TINY._replace(epochs=3))
    assert "loss is" in info["diverged"] and "step" in info["diverged"]
    state = weights.load("filters/alexnet-rate1e+20-1")[0]
    assert all((state[f"{layer}.silent"] <= 32).all() for layer in make_short_runs.UNITS)
    with pytest.raises(ValueError, match="rates is .* expected the pair that claim E2 compares, 1 and 10"):
        measures.rate_runs([1, 3])


def test_silence_counts_pictures_in_which_a_map_is_zero():
    net, images = zoo.network("alexnet"), torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    kept = make_short_runs.silence(net.model, images)
    maps = interface.features(net, images, ["conv5"])["conv5"]
    assert kept["conv5.silent"].tolist() == (maps.flatten(2).sum(2) == 0).sum(0).tolist()
    assert kept["conv5.peak"].tolist() == maps.amax((0, 2, 3)).tolist()


def test_committed_runs_are_what_the_recipes_say():
    for kind, recipe in (("rate", make_short_runs.RATE), ("fixed", make_short_runs.FIXED)):
        for job in make_short_runs.jobs():
            if job.kind == kind:
                made = weights.info(job.name)["made_by"]
                own = {"rate": recipe.rate * job.value} if kind == "rate" else {"decay": job.value}
                expected = recipe._asdict() | own | {"seed": job.seed, "precision": made["recipe"]["precision"]}
                assert made["recipe"] == expected and made["job"] == list(job) or made["job"] == job._asdict()
    assert len(make_short_runs.jobs()) == len(set(make_short_runs.jobs())) == 48


def test_the_counts_of_the_run_that_is_shown_follow_from_its_weights():
    pictures = interface.to_tensor(cutouts.batch(cutouts.World(), "validation", 1000).images)
    counted = weights.load("filters/alexnet-rate10-0")[0]
    peaks = sparseness.peaks(measures.fast(10), pictures, list(make_short_runs.MAPS))
    for layer, peak in peaks.items():
        difference = (peak == 0).sum(0) - counted[f"{layer}.silent"]
        assert difference.abs().float().mean() < 20, layer  # of 1,000; weights are in half precision
        assert abs(int((peak == 0).all(0).sum()) - int((counted[f"{layer}.silent"] == 1000).sum())) <= 1, layer


def run(dead, maps=10, diverged=None):
    silent = {layer: np.where(np.arange(maps) < dead, 1.0, 0.999) for layer in make_short_runs.UNITS}
    return {"silent": silent, "accuracy": 0.5, "diverged": diverged}


def test_dead_maps_are_counted_in_pairs_of_one_seed():
    found = {(1, s): run(s % 2) for s in range(8)} | {(10, s): run(s % 2 + 3) for s in range(8)}
    found |= {(3, s): run(s % 2 + 1, diverged="step 3" if s == 5 else None) for s in range(8)}
    result = measures.deadlier(found, np.random.default_rng(0))
    assert result["value"] == pytest.approx(0.3) and result["n"] == 8
    assert result["named"]["3 times"][0] == pytest.approx(0.1)
    assert result["note"].startswith("1 of 24 runs")
    assert claims.verdict("E2", result["value"], result["interval"]) == "reproduced"


def test_smoothness_is_compared_before_and_after_and_between_twins():
    rows = [
        {"arm": arm, "seed": s, "step": step, "gabor": 0.5,
         "smoothness": 0.2 + 0.001 * s + (step == 744) * (0.3 if arm == "without weight decay" else 0.4)}
        for arm in measures.ARMS for s in range(8) for step in (0, 64, 744)
    ]  # fmt: skip
    generator = np.random.default_rng(0)
    after, between = measures.smoother(rows, generator), measures.decayed(rows, generator)
    assert after["value"] == pytest.approx(0.4) and after["named"]["without weight decay"][0] == pytest.approx(0.3)
    assert between["value"] == pytest.approx(0.1) and between["n"] == 8


def test_what_is_left_of_the_start_is_what_adamw_leaves_of_a_weight_without_gradients():
    recipe = {"rate": 0.01, "warmup": 5, "decay": 2.0}
    weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimiser = torch.optim.AdamW([weight], recipe["rate"], weight_decay=recipe["decay"])
    for step in range(30):
        optimiser.param_groups[0]["lr"] = recipe["rate"] * min(1, (step + 1) / recipe["warmup"])
        weight.grad = torch.zeros_like(weight)
        optimiser.step()
    assert measures.remaining(recipe, 30) == pytest.approx(weight.item())
    assert measures.remaining(recipe | {"decay": 0.0}, 30) == 1


def test_change_is_last_minus_first_of_each_image():
    found = {("alexnet", s, step): {"Gini": np.array([0.1, 0.2]) * (step + 1) + s} for s in (0, 1) for step in (0, 2)}
    found["alexnet", 0, 1] = {"Gini": np.array([9.0, 9.0])}  # a state on the way does not matter
    assert measures.change(found, "Gini", [0, 1]) == pytest.approx([0.2, 0.4])


@pytest.mark.parametrize("name", EIGHT)
def test_every_network_is_drawn(name):
    net, generator = loaded(name), np.random.default_rng(0)
    row = first_layer.summary(net, generator)
    drawn = plots.filters([plots.sheet(net, row)], across=1)
    assert 0 < row["smoothness"] < 1 and len(drawn.axes) == 1
    images = torch.rand(1, 3, net.size, net.size, generator=torch.Generator().manual_seed(0))
    layer = interface.last_conv(net)
    rows = plots.shown(net, images, ["conv1", layer])
    listed = plots.map_rows(rows)
    assert len(plots.maps(rows).axes) == 3
    assert len(listed) == sum(len(values) for values in rows[0]["maps"].values())
    plt.close("all")


def test_a_mosaic_holds_every_tile_at_its_place():
    tiles = np.arange(5 * 4).reshape(5, 2, 2)
    found = plots.mosaic(tiles, 3)
    assert found.shape == (5, 8) and (found[3:, 3:5] == tiles[4]).all() and np.isnan(found[2]).all()
    assert np.isnan(found[3:, 6:]).all() and (found[:2, 6:] == tiles[2]).all()


def test_states_on_the_way_are_listed_in_order():
    assert list(measures.stages("alexnet", 0).values()) == ["step0", "step64", "step256", "step1024", ""]
    assert list(measures.stages("vgg", 1).values()) == ["step0", ""]
    assert measures.tuned().digest == zoo.network("alexnet", 0, stage="step256").digest
