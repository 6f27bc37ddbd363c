"""The search through a generator prior: against the released code's loop by hand, its bounds, starts and errors."""

import numpy as np
import pytest
import torch
from torch import nn

from lib.base import paths, weights
from lib.experiments.n12_prior import searches
from lib.experiments.n12_prior.searches import Pair, Setting
from lib.experiments.shared.class_images import EVALUATION, SELECTION
from lib.methods.ascent import generator_prior, objectives
from lib.networks import catalogue, generator_network, interface, zoo


def toy(code=(6,), seed=0):
    """A prior with a small linear generator of 8 x 8 images, in double precision."""
    torch.manual_seed(seed)
    size = int(np.prod(code))
    made = nn.Sequential(nn.Flatten(), nn.Linear(size, 192), nn.Unflatten(1, (3, 8, 8))).double().requires_grad_(False)
    mean, sd = torch.rand(*code).double(), torch.rand(*code).double()
    return generator_prior.Prior("toy", made, code, mean, sd, "net-0", "fc6", "")


def score(seed=1):
    weight = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(seed)).double()
    return lambda images: (weight * images.tanh()).sum((1, 2, 3))


def draw(prior, n=3, seed=2):
    return torch.randn((n, *prior.code), generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("code", [(6,), (2, 2, 2)])
@pytest.mark.parametrize(("sds", "decay"), [(3.0, 0.01), (1.0, 0.0), (None, 0.01), (None, 0.0)])
def test_a_search_is_the_released_loop_written_out(code, sds, decay):
    """Step of lr / mean|g| times g, clip to [0, mean + sds sd], times 0.99; the rate falls linearly to 1e-10."""
    prior, objective, steps, rate = toy(code), score(), 7, 0.4
    start = draw(prior)
    made = generator_prior.search(prior, objective, start, steps=steps, rate=rate, sds=sds, decay=decay)
    first = rate * (prior.mean + 3 * prior.sd).mean().item()
    for row in range(3):
        y = start[row : row + 1].clone()
        for step in range(steps):
            y.requires_grad_(True)
            (g,) = torch.autograd.grad(objective(prior.generator(y)).sum(), y)
            lr = first + (1e-10 - first) * step / (steps - 1)
            y = y.detach() + lr / g.abs().mean() * g
            if sds is not None:
                y = torch.minimum(y.clamp(min=0), prior.mean + sds * prior.sd)
            y = y * (1 - decay)
        torch.testing.assert_close(made.parameters[row], y[0], rtol=0, atol=1e-9)
        torch.testing.assert_close(made.images[row], prior.generator(y)[0], rtol=0, atol=1e-9)


def test_codes_stay_within_their_bounds_and_leave_them_without_clipping():
    prior = toy()
    top = prior.mean + 3 * prior.sd
    clipped = generator_prior.search(prior, score(), draw(prior), steps=30, rate=1.0).parameters
    free = generator_prior.search(prior, score(), draw(prior), steps=30, rate=1.0, sds=None).parameters
    assert (clipped >= 0).all() and (clipped <= top).all() and (clipped == 0).any()
    assert (free < 0).any() and (free > top).any()
    assert torch.equal(generator_prior.clip(prior, 0)(torch.full((1, 6), 9.0).double(), None, 0)[0], prior.mean)


def test_a_search_climbs_and_a_unit_without_gradient_stays():
    prior = toy()
    made = generator_prior.search(prior, score(), draw(prior), steps=40, rate=0.1, sds=None, decay=0.0)
    assert (made.values[-1] > made.values[0]).all() and not made.stuck.any()
    flat = generator_prior.search(prior, lambda x: 0 * x.sum((1, 2, 3)), draw(prior), steps=3, sds=None, decay=0.0)
    assert torch.equal(flat.parameters, draw(prior)) and flat.stuck.all()


def test_the_last_image_is_kept_and_not_the_best():
    prior = toy()
    made = generator_prior.search(prior, score(), draw(prior), steps=25, rate=3.0)
    last = score()(made.images)
    assert (made.values.max(0).values > last).any()


def test_starts_are_noise_of_a_twelfth_of_the_bounds():
    prior = toy((4000,))
    start = generator_prior.form(prior).start(3, torch.Generator().manual_seed(0))
    assert start.shape == (3, 4000) and float(start.std()) == pytest.approx(
        (prior.mean + 3 * prior.sd).mean().item() / 12, rel=0.03
    )
    assert abs(float(start.mean())) < 0.02


# --------------------------------------------------------------------------------------------------------- errors


def test_a_start_that_does_not_fit_is_refused_before_anything_is_computed():
    def untouched(images):
        raise AssertionError("computed")

    with pytest.raises(ValueError, match=r"start has shape \(2, 5\), expected codes \(n, 6\)"):
        generator_prior.search(toy(), untouched, torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"start has shape \(2, 8\), expected codes \(n, 2, 2, 2\)"):
        generator_prior.search(toy((2, 2, 2)), untouched, torch.zeros(2, 8))
    for rate in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="rate is .*expected a positive share"):
            generator_prior.search(toy(), untouched, draw(toy()), rate=rate)
    for sds in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="sds is .*expected the number of standard deviations"):
            generator_prior.search(toy(), untouched, draw(toy()), sds=sds)
    with pytest.raises(ValueError, match="decay"):
        generator_prior.search(toy(), untouched, draw(toy()), decay=2.0)


def test_the_encoder_must_be_the_priors_own():
    prior = toy()._replace(encoder="alexnet-0")
    net = zoo.network("alexnet", 1)
    with pytest.raises(ValueError, match="encoder is alexnet-1, but toy inverts layer fc6 of alexnet-0"):
        generator_prior.encode(prior, net, torch.zeros(1, 3, 64, 64))
    codes = generator_prior.encode(prior, zoo.network("alexnet", 0), torch.rand(2, 3, 64, 64))
    assert codes.shape == (2, 128) and (codes >= 0).all()


def test_an_unknown_generator_is_refused():
    with pytest.raises(FileNotFoundError, match="nobody-0-fc6"):
        generator_prior.load("nobody-0-fc6")


@pytest.mark.parametrize("name", ["squeezenet1_1", "efficientnet_lite0"])
def test_a_network_of_larger_pictures_reads_what_the_prior_paints_at_its_own_size(name):
    net = catalogue.load(name)
    pair = searches.pair("alexnet-0-fc6", net)
    assert pair.net.size == pair.prior.size == 64
    images, draws = torch.rand(2, 3, 64, 64), torch.Generator().manual_seed(0)
    large = torch.nn.functional.interpolate(images, size=(224, 224), mode="bilinear")
    assert torch.allclose(interface.scores(pair.net, images), interface.scores(net, large), atol=1e-3)
    found = searches.run(pair, searches.Setting(), 4, generator_prior.form(pair.prior).start(2, draws), [3, 4])
    assert found.images.shape == (2, 3, 64, 64) and found.images.isfinite().all()


# ----------------------------------------------------------------------------------------------- stored generators


def test_a_generator_without_batch_normalisation_is_the_same_function():
    made = generator_network.build((7,), 0, width=6)
    for _ in range(3):
        made(torch.rand(8, 7))  # moves the running statistics
    made.eval()
    code = torch.rand(4, 7)
    expected, folded = made(code), generator_prior.folded(made)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    torch.testing.assert_close(folded(code), expected, rtol=1e-4, atol=1e-5)


def test_what_is_stored_is_loaded_with_its_bounds(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))
    made = generator_network.build((2, 4, 4), 0, width=6)
    made.bound_mean.copy_(torch.arange(32.0)), made.bound_sd.fill_(2.0), made.unit.fill_(3.0)
    info = {"made_by": {"code": [2, 4, 4], "width": 6, "encoder": "lenet-0", "layer": "pool5"}}
    weights.save("generators/some", made.state_dict(), info, whole=True)
    prior = generator_prior.load("some")
    assert prior.code == (2, 4, 4) and (prior.encoder, prior.layer) == ("lenet-0", "pool5")
    assert prior.mean.flatten().tolist() == list(range(32)) and (prior.sd == 2).all()
    assert generator_prior.upper(prior, 2.0).flatten().tolist() == [k + 4 for k in range(32)]
    assert not any(p.requires_grad for p in prior.generator.parameters())
    code = torch.rand(2, 2, 4, 4) * 10
    torch.testing.assert_close(prior.generator(code), made.eval()(code), rtol=0, atol=0.05)  # eight bits


# ------------------------------------------------------------------------------------------------- the cached runs


@pytest.fixture(scope="module")
def prior():
    """An untrained generator for fc6 of AlexNet, with bounds as those of a trained one."""
    made = generator_prior.folded(generator_network.build((128,), 0, width=6)).requires_grad_(False)
    return generator_prior.Prior(
        "none", made, (128,), torch.full((128,), 0.5), torch.full((128,), 0.5), "", "", "digest"
    )


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_runs_for_every_family_repeat_and_streams_share_no_start(family, prior):
    pair = Pair(prior, zoo.network(family, 0))
    options = {"starts": 1, "steps": 3, "seed": 4}
    one, two = (searches.make(pair, Setting(0.03), stream, **options) for stream in (SELECTION, EVALUATION))
    again = searches.make(pair, Setting(0.03), SELECTION, **options)
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert one.pictures.shape == (10, 64, 64, 3) and one.targets.tolist() == list(range(10))
    assert not np.isclose(one.before, two.before).all()
    assert (one.after[range(10), range(10)] > one.before[range(10), range(10)]).mean() > 0.5


def test_runs_of_some_classes_and_of_other_settings_start_from_the_same_codes(prior):
    pair = Pair(prior, zoo.network("lenet", 0))
    some = searches.make(pair, Setting(), EVALUATION, 2, 2, 0, classes=[7, 3])
    assert some.targets.tolist() == [7, 7, 3, 3]
    other = searches.make(pair, Setting(sds=None, decay=0.0), EVALUATION, 2, 2, 0, classes=[7, 3])
    np.testing.assert_allclose(some.before, other.before)
    assert not np.array_equal(some.pictures, other.pictures)


def test_a_run_is_the_search_for_its_class(prior):
    net = zoo.network("lenet", 0)
    made = searches.make(Pair(prior, net), Setting(0.2, 2.0, 0.0), EVALUATION, 1, 3, 0)
    start = generator_prior.form(prior).start(10, torch.Generator().manual_seed(1))
    alone = generator_prior.search(prior, objectives.score(net, 6), start[6:7], steps=3, rate=0.2, sds=2.0, decay=0.0)
    found = (alone.images.clamp(0, 1) * 255).round().byte()[0].permute(1, 2, 0).numpy()
    assert np.abs(found.astype(int) - made.pictures[6]).max() <= 1


def test_a_cap_shortens_long_codes_and_leaves_the_others(prior):
    capped = generator_prior.cap(prior._replace(norm=2.0), 1.5)
    codes = torch.stack([torch.full((128,), 1.0), torch.full((128,), 0.01)])
    found = capped(codes, None, 0)
    assert found.norm(dim=1).tolist() == pytest.approx([3.0, 0.01 * 128**0.5])
    torch.testing.assert_close(found[0] / found[0].norm(), codes[0] / codes[0].norm())
    with pytest.raises(ValueError, match="norm is 0, expected a positive multiple"):
        generator_prior.cap(prior, 0)
    net = zoo.network("lenet", 0)
    made = searches.make(Pair(prior, net), Setting(3.0, norm=0.1), EVALUATION, 1, 3, 0)
    free = searches.make(Pair(prior, net), Setting(3.0), EVALUATION, 1, 3, 0)
    assert not np.array_equal(made.pictures, free.pictures)


def test_a_generator_is_loaded_by_the_path_of_its_file(tmp_path):
    for ending in ("safetensors", "json"):
        name = f"alexnet-0-conv3.{ending}"
        (tmp_path / f"mine.{ending}").write_bytes((paths.weights() / "generators" / name).read_bytes())
    mine, ours = generator_prior.load(str(tmp_path / "mine.safetensors")), generator_prior.load("alexnet-0-conv3")
    assert mine.digest == ours.digest and mine.code == ours.code
    with pytest.raises(FileNotFoundError):
        generator_prior.load(str(tmp_path / "other.safetensors"))


def test_bounds_are_read_from_text_and_from_npy(tmp_path):
    prior, bounds = toy((2, 2, 2)), np.arange(8.0) + 0.5
    np.savetxt(tmp_path / "range.txt", bounds)
    np.save(tmp_path / "range.npy", bounds.reshape(2, 2, 2))
    for name in ("range.txt", "range.npy"):
        found = generator_prior.read_bounds(tmp_path / name, prior)
        assert found.shape == (2, 2, 2) and found.flatten().tolist() == bounds.tolist()
        high = generator_prior.clip(prior, bounds=found)(torch.full((1, 2, 2, 2), 99.0), None, 0)
        assert torch.equal(high[0], found)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("1 2 3", "holds 3 numbers, expected one for each of the 6 numbers of the code of toy"),
        ("1 2 3 4 5 -6", "negative or not finite"),
        ("1 2 3 4 5 nan", "negative or not finite"),
        ("1 2 three", "is no table of numbers"),
        ("1 2 3\n4 5", "is no table of numbers"),
        (None, "bounds file range.txt does not exist"),
    ],
)
def test_a_bounds_file_that_does_not_fit_is_refused_with_its_name(tmp_path, content, sentence):
    path = tmp_path / "range.txt"
    if content:
        path.write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence) as caught:
        generator_prior.read_bounds(path, toy())
    assert "range.txt" in str(caught.value)
