"""The loop of activation maximisation, its parameterisations and objectives: by hand, and each row alone."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from lib.methods.ascent import maximise, objectives, parameterisations, regularisers
from lib.networks import catalogue, interface, zoo

SGD, ADAM = partial(torch.optim.SGD, lr=0.1), partial(torch.optim.Adam, lr=0.05)
EIGHT = (*zoo.FAMILIES, "squeezenet1_1", "efficientnet_lite0")


def network(model, size=12, layers=None, classes=3):
    names = tuple(f"class {k}" for k in range(classes))
    model = model.double().eval().requires_grad_(False)
    return interface.Network("toy", model, lambda x: (x - 0.5) * 4, size, names, layers or {}, "")


@pytest.fixture
def net():
    torch.manual_seed(0)
    parts = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return network(nn.Sequential(*parts, nn.Linear(128, 3)), layers={"conv1": "1", "conv2": "3", "conv2_pre": "2"})


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def test_plain_ascent_on_a_linear_network_equals_the_closed_form():
    """Score w.x - lambda |x|^2: x_t = (1 - 2 r lambda)^t x_0 + r w (1 - (1 - 2 r lambda)^t) / (2 r lambda)."""
    flat = nn.Sequential(nn.Flatten(), nn.Linear(48, 2, bias=False))
    net = network(flat, 4, classes=2)
    form = parameterisations.pixels(4, noise=0.1, dtype=torch.float64)
    start, rate, weight, steps = form.start(2, generator()), 0.03, 0.7, 9
    made = maximise.maximise(
        form.image, objectives.score(net, [1, 0]), start, steps=steps, optimiser=partial(torch.optim.SGD, lr=rate),
        penalties=[regularisers.l2(weight)],
    )  # fmt: skip
    w, left = 4 * flat[1].weight[[1, 0]].reshape(2, 3, 4, 4), (1 - 2 * rate * weight) ** steps
    expected = left * start + rate * w * (1 - left) / (2 * rate * weight)
    torch.testing.assert_close(made.parameters, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(made.images, 0.5 + expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(made.values[0], (w * start).sum((1, 2, 3)), rtol=0, atol=1e-12)
    assert made.values.shape == (steps, 2)


RECIPES = {
    "plain": {"optimiser": SGD},
    "adam, jitter": {"optimiser": ADAM, "transforms": [regularisers.jitter(2), regularisers.turn(5, 1.1)]},
    "progress": {"optimiser": SGD, "scale": regularisers.progress(2.0, 50.0)},
    "normalised": {"optimiser": SGD, "scale": regularisers.unit_rms, "penalties": [regularisers.total_variation(0.01)]},
} | {f"published {k}": {"optimiser": SGD, "operators": c.operators()} for k, c in enumerate(regularisers.PUBLISHED, 1)}


PAIRS = [(form, recipe) for recipe in RECIPES for form in ("pixels", "fourier")[: 1 + ("published" not in recipe)]]


@pytest.mark.parametrize(("form", "recipe"), PAIRS)
def test_a_row_of_a_batch_gets_exactly_what_it_gets_alone(net, form, recipe):
    """Four units at once against four batches of one, float64; a percentile or a norm over the batch would differ."""
    form = getattr(parameterisations, form)(12, dtype=torch.float64)
    start, units = form.start(4, generator()), [5, 0, 7, 3]
    start *= torch.tensor([1, 5, 0.2, 3], dtype=torch.float64).reshape(4, *[1] * (start.ndim - 1))

    def run(rows, units):
        objective = objectives.unit(net, "conv2", units, "centre")
        return maximise.maximise(form.image, objective, rows, steps=6, generator=generator(3), **RECIPES[recipe])

    together = run(start, units)
    for k, one in enumerate(units):
        alone = run(start[k : k + 1], [one])
        torch.testing.assert_close(alone.images[0], together.images[k], rtol=0, atol=1e-10)
        torch.testing.assert_close(alone.values[:, 0], together.values[:, k], rtol=0, atol=1e-10)
    split = maximise.in_batches(run, start, units, batch=3)
    torch.testing.assert_close(split.images, together.images, rtol=0, atol=1e-10)
    torch.testing.assert_close(split.values, together.values, rtol=0, atol=1e-10)


def test_the_network_gets_no_gradients_and_the_start_stays(net):
    net.model.requires_grad_(True)
    form = parameterisations.pixels(12, dtype=torch.float64)
    start = form.start(2, generator())
    before = start.clone()
    made = maximise.maximise(form.image, objectives.score(net, [0, 1]), start, steps=2, optimiser=SGD)
    assert all(p.grad is None for p in net.model.parameters()) and torch.equal(start, before)
    assert not made.images.requires_grad and not torch.equal(made.parameters, start)


def test_operators_come_after_the_step_in_their_order_with_the_gradient_before_it():
    seen = []

    def note(name):
        def operator(x, gradient, step):
            seen.append((name, step, x.clone(), gradient.clone()))
            return 2 * x if name == "a" else x + 1

        return operator

    start = torch.ones(1, 3, 2, 2, dtype=torch.float64)
    made = maximise.maximise(
        lambda x: x, lambda x: x.square().flatten(1).sum(1), start, steps=2, optimiser=SGD,
        operators=[note("a"), note("b")],
    )  # fmt: skip
    assert [row[:2] for row in seen] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert float(seen[0][2].mean()) == pytest.approx(1.2) and float(seen[0][3].mean()) == 2  # 1 + 0.1 * 2
    assert float(seen[1][2].mean()) == pytest.approx(2.4) and float(seen[2][3].mean()) == pytest.approx(6.8)
    assert float(made.parameters.mean()) == pytest.approx((3.4 + 0.68) * 2 + 1)


@pytest.mark.parametrize(
    ("position", "reduce", "by_hand"),
    [
        ("all", "mean", lambda maps: maps.mean((1, 2))),
        ("all", "sum", lambda maps: maps.sum((1, 2))),
        ("all", "max", lambda maps: maps.amax((1, 2))),
        ("centre", "mean", lambda maps: maps[:, 4, 4]),
        ((0, 7), "mean", lambda maps: maps[:, 0, 7]),
    ],
)
def test_units_are_read_where_they_are(net, position, reduce, by_hand):
    images = torch.rand(3, 3, 12, 12, generator=generator(), dtype=torch.float64)
    maps = net.model[:3](net.preprocess(images))[range(3), [7, 0, 2]]
    for direction in (1, -1):
        found = objectives.unit(net, "conv2_pre", [7, 0, 2], position, direction, reduce)(images)
        torch.testing.assert_close(found, direction * by_hand(maps), rtol=0, atol=0)


def test_scores_probabilities_and_sums(net):
    images = torch.rand(2, 3, 12, 12, generator=generator(), dtype=torch.float64)
    logits = net.model(net.preprocess(images))
    own, share = logits[[0, 1], [2, 0]], logits.softmax(1)[[0, 1], [2, 0]]
    torch.testing.assert_close(objectives.score(net, [2, 0])(images), own)
    torch.testing.assert_close(objectives.score(net, 2, direction=-1)(images), -logits[:, 2])
    torch.testing.assert_close(objectives.probability(net, [2, 0])(images), share)
    torch.testing.assert_close(objectives.probability(net, [2, 0], log=True)(images), share.log())
    both = objectives.weighted((2.0, objectives.score(net, [2, 0])), (-1.0, objectives.probability(net, [2, 0])))
    torch.testing.assert_close(both(images), 2 * own - share)


def test_the_pass_stops_at_the_layer(net):
    calls = []
    net.model[6].register_forward_hook(lambda *_: calls.append(1))
    objective = objectives.unit(net, "conv2", [0])
    assert calls == [1]  # the check reads one grey image to the end
    objective(torch.rand(1, 3, 12, 12, dtype=torch.float64))
    assert calls == [1]


def test_fourier_images_by_hand():
    """One coefficient is one cosine, its height 1 / frequency; the first decorrelated colour is a brightness."""
    form = parameterisations.fourier(8, dtype=torch.float64)
    one = torch.zeros(1, 3, 8, 5, 2, dtype=torch.float64)
    one[0, 0, 0, 2, 0] = 1.0  # two waves across: frequency 1/4
    wave = 2 * np.cos(2 * np.pi * 2 * np.arange(8) / 8) / 8 / 4 / (2 / 8)
    colours = np.array(parameterisations.COLOURS) / np.linalg.norm(parameterisations.COLOURS, axis=0).max()
    expected = 1 / (1 + np.exp(-colours[:, 0, None, None] * np.broadcast_to(wave, (8, 8))))
    np.testing.assert_allclose(form.image(one)[0].numpy(), expected, atol=1e-6)
    assert form.start(2, generator()).shape == one.repeat(2, 1, 1, 1, 1).shape


def test_starts_repeat_with_their_generator():
    for form in (parameterisations.pixels(8), parameterisations.fourier(8)):
        a, b, c = (form.start(3, generator(k)) for k in (1, 1, 2))
        assert torch.equal(a, b) and not torch.equal(a, c) and not torch.equal(a[0], a[1])
        assert form.image(a).shape == (3, 3, 8, 8)
    grey = parameterisations.pixels(8, noise=0.0)
    assert bool((grey.image(grey.start(1, generator())) == 0.5).all())


@pytest.mark.parametrize("name", EIGHT)
def test_works_by_name_alone(name):
    """Two steps on each of the six families and two ImageNet networks: scores rise; a unit is lowered."""
    net = catalogue.load(name)
    form = parameterisations.pixels(net.size)
    start, step = form.start(2, generator()), {"optimiser": SGD, "scale": regularisers.progress(0.1), "steps": 2}
    made = maximise.maximise(form.image, objectives.score(net, [3, 7]), start, **step)
    assert bool((made.values[1] > made.values[0]).all())
    unit = objectives.unit(net, interface.last_conv(net), [0, 1], "all", direction=-1)
    assert bool(maximise.maximise(form.image, unit, start, **step).images.isfinite().all())


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.act, self.idle, self.fc = nn.ReLU(), nn.Identity(), nn.Linear(432, 3)

    def forward(self, x):
        return self.fc(self.act(self.act(x)).flatten(1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: objectives.unit(net, "conv9", 0), r"no layer 'conv9'.*conv1, conv2"),
        (lambda net: objectives.unit(net, "fc7", 0), r"in its place could serve: conv2"),
        (lambda net: objectives.unit(net, "conv2", [0, 8]), r"channel .*'conv2'.* is 8, .* from 0 to 7"),
        (lambda net: objectives.unit(net, "conv2", -1), r"is -1, .* from 0 to 7"),
        (lambda net: objectives.unit(net, "conv2", []), r"of shape \(0,\)"),
        (lambda net: objectives.unit(net, "conv2", 0, (8, 0)), r"rows 0 to 7 and columns 0 to 7"),
        (lambda net: objectives.unit(net, "conv2", 0, "corner"), r"'corner', expected 'all', 'centre'"),
        (lambda net: objectives.unit(net, "conv2", 0, direction=0), r"direction is 0"),
        (lambda net: objectives.unit(net, "conv2", 0, reduce="median"), r"expected mean, sum or max"),
        (lambda net: objectives.unit(net, "6", 0, (0, 0)), r"has no places"),
        (lambda net: objectives.score(net, [3]), r"class of toy is 3, .* from 0 to 2"),
        (lambda net: objectives.probability(net, [1.5]), r"is 1.5, expected whole numbers"),
        (lambda net: objectives.weighted(), r"no terms"),
        (lambda net: objectives.unit(network(Twice()), "act", 0), r"runs more than once"),
        (lambda net: objectives.unit(network(Twice()), "idle", 0), r"not used"),
        (lambda net: objectives.score(net, [0, 1, 2])(torch.rand(2, 3, 12, 12).double()), r"3 units .* 2 images"),
        (lambda net: parameterisations.pixels(1), r"size is 1"),
        (lambda net: parameterisations.pixels(8, noise=-1), r"noise is -1"),
    ],
)
def test_bad_input_is_told_in_a_sentence(net, call, message):
    with pytest.raises(ValueError, match=message):
        call(net)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps = 0"),
        ({"start": torch.zeros(0, 3, 12, 12).double()}, "n >= 1"),
        ({"start": torch.zeros(2, 3, 12, 12).long()}, "int64"),
        ({"objective": lambda x: x.sum()}, r"objective gives shape \(\)"),
        ({"penalties": [lambda x: x]}, r"penalty gives shape \(2, 3, 12, 12\)"),
        ({"transforms": [regularisers.jitter(1)]}, "generator is None"),
        ({"objective": lambda x: (x[:, 0, 0, 0] - 0.5).sqrt()}, r"rows \[0, 1\] not finite at step 0; lower the rate"),
    ],
)
def test_the_loop_refuses_what_it_cannot_do(net, change, message):
    form = parameterisations.pixels(12, noise=0, dtype=torch.float64)
    options = {"objective": objectives.score(net, 0), "start": form.start(2, generator()), "steps": 1, "optimiser": SGD}
    options |= change
    with pytest.raises(ValueError, match=message):
        maximise.maximise(form.image, **options)


def test_a_unit_that_is_silent_on_its_start_is_told():
    """Below a ReLU that is off there is no gradient: the row stays where it was, and the others climb."""
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3))
    with torch.no_grad():
        model[0].bias.copy_(torch.tensor([-50.0, 50.0]))
    net = network(model, layers={"conv1": "1"})
    form = parameterisations.pixels(12, noise=0.1, dtype=torch.float64)
    start = form.start(2, generator())
    made = maximise.maximise(form.image, objectives.unit(net, "conv1", [0, 1]), start, steps=2, optimiser=ADAM)
    assert made.stuck.tolist() == [True, False]
    assert torch.equal(made.parameters[0], start[0]) and not torch.equal(made.parameters[1], start[1])


def test_classes_by_name():
    net = zoo.network("lenet", 0)
    assert objectives.numbers(net, ["class 3", "class 0"]) == [3, 0]
    with pytest.raises(ValueError, match="no class 'klass 3'; nearest: class 3"):
        objectives.numbers(net, ["klass 3"])
    with pytest.raises(ValueError, match="`numbers` gives those of classes by name"):
        objectives.score(net, "class 3")
    with pytest.raises(ValueError, match="position is None"):
        objectives.unit(net, "conv1", 0, position=None)


# --- phases of natural spectra -------------------------------------------------------------------------------------
def natural(n: int = 3, size: int = 32) -> torch.Tensor:
    """Pictures with amplitudes that fall with frequency, within (0.05, 0.95)."""
    made = parameterisations.fourier(size, noise=0.3)
    return made.image(made.start(n, torch.Generator().manual_seed(1))).clamp(0.05, 0.95)


@pytest.mark.parametrize("size", [32, 33])
def test_a_pictures_own_magnitudes_and_phases_give_it_back(size):
    shown = natural(2, size)
    spectra = parameterisations.spectra(shown)
    for k in range(2):
        made = parameterisations.phases(spectra[k].abs()).image(spectra[k : k + 1].angle())
        assert torch.allclose(made, shown[k : k + 1], atol=1e-4)
    other = parameterisations.phases(spectra[1].abs()).image(spectra[:1].angle())
    assert not torch.allclose(other, shown[:1], atol=0.05)


def test_a_search_through_phases_leaves_the_spectrum_as_it_is():
    """Its images have the magnitudes that were given, before and after 20 steps; Fourier coefficients grow."""
    magnitude = parameterisations.magnitudes(natural())
    view = parameterisations.phases(magnitude)
    start = view.start(2, torch.Generator().manual_seed(0))
    found = maximise.maximise(
        view.image, lambda x: x[:, 0, 10:20, 10:20].mean((1, 2)), start, steps=20,
        optimiser=partial(torch.optim.Adam, lr=0.3),
    )  # fmt: skip
    assert (found.values[-1] > found.values[0] + 0.1).all()
    inner = (*3 * [slice(None)], slice(1, -1))  # the first and the last column keep their real parts only
    for images in (view.image(start), found.images):
        power = torch.fft.rfft2(parameterisations._planes(images), norm="ortho").abs()
        clear = ((images > 0.021) & (images < 0.979)).flatten(1).all(1)
        assert clear.any()
        assert torch.allclose(power[clear][inner], magnitude.expand_as(power)[clear][inner], rtol=1e-2, atol=1e-3)
    assert view.start(2, torch.Generator().manual_seed(0)).equal(start) and start.abs().max() <= math.pi


def test_magnitudes_know_no_edge_between_opposite_borders():
    """A ramp meets itself at the border as a cliff: without fading, its spectrum has a cross."""
    ramp = torch.linspace(0.2, 0.8, 32).expand(1, 3, 32, 32)
    faded, raw = parameterisations.magnitudes(ramp), parameterisations.spectra(ramp).abs()[0]
    assert faded[0, 0, 8:].sum() < 0.2 * raw[0, 0, 8:].sum()


@pytest.mark.parametrize("shape", [(3, 32, 32), (32, 17), (1, 32, 17)])
def test_magnitudes_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"magnitude has shape .*, expected \(3, size, size // 2 \+ 1\)"):
        parameterisations.phases(torch.ones(shape))


def test_images_are_kept_on_the_way_and_hidden_units_cut_to_what_they_see():
    from lib.experiments.n11_ascent import painted

    view = parameterisations.pixels(16)
    keep, found = painted.kept_at([1, 3], view.image)
    start = view.start(2, torch.Generator().manual_seed(0))
    ended = maximise.maximise(
        view.image, lambda x: x.flatten(1).mean(1), start, steps=3, optimiser=partial(torch.optim.SGD, lr=1.0),
        operators=[keep],
    )  # fmt: skip
    assert sorted(found) == [1, 3] and torch.equal(found[3], ended.images) and not torch.equal(found[1], found[3])
    assert painted.strip(found, 1).shape == (2, 16, 16, 3)
    rows = painted.path(ended, ["a", "b"], [1, 3, 9])
    assert [(row["class"], row["step"]) for row in rows] == [("a", 1), ("a", 3), ("b", 1), ("b", 3)]
    assert rows[3]["score before it"] == ended.values[2, 1].item()
    net = catalogue.load("alexnet_convolutions", weights=False)
    generator = torch.Generator().manual_seed(0)
    made = painted.hidden(net, "conv2_pre", [1, 2], parameterisations.fourier, 0.05, 2, generator)
    assert made.images.shape == (2, 3, 51, 51)  # 11 + 2 * 4 + 4 * 8: the field of AlexNet's conv2
    grown = painted.enlarged({"a": made, "b": ended})
    assert {one.images.shape[-1] for one in grown.values()} == {51}
