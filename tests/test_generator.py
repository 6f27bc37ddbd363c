"""The generator and how it is trained: shapes, losses by hand, the guard, to the same bits after an interruption."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lib.base import paths, weights
from lib.methods.ascent import generator_prior
from lib.networks import catalogue, control_networks, generator_network, interface, zoo
from lib.training import generators, make_generators
from lib.training.generators import Losses, Recipe
from lib.worlds import cutouts, photo_crops

PICTURES = cutouts.batch(cutouts.World(), "train", 48).images
TINY = Recipe(losses=Losses(adversarial=0.05), images=32, epoch=32, epochs=2, batch=8, rate=2e-3)
COMPARATOR = ("conv1", "pool5")


@pytest.fixture(scope="module")
def net():
    return zoo.network("lenet", 0)


def fit(net, recipe=TINY, layer="fc6", data=lambda epoch: (PICTURES[:32],), seed=0, **options):
    code = tuple(interface.features(net, torch.zeros(1, 3, 64, 64), [layer])[layer].shape[1:])
    made = generator_network.build(code, seed, width=6)
    state, history = generators.fit(made, net, layer, COMPARATOR, data, (PICTURES[32:],), recipe, **options)
    return made, state, history


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one) and set(one) == set(other)


# ------------------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize("code", [(12,), (5, 2, 2), (5, 4, 4), (5, 8, 8), (5, 16, 16)])
def test_every_code_becomes_an_image_and_a_seed_gives_its_weights_to_the_bit(code):
    made, again, other = (generator_network.build(code, seed, width=6) for seed in (3, 3, 4))
    assert same(made.state_dict(), again.state_dict()) and not same(made.state_dict(), other.state_dict())
    images = made.eval()(torch.rand(2, *code))
    assert images.shape == (2, 3, 64, 64) and images.isfinite().all() and images[0].std() > 1e-3


@pytest.mark.parametrize("code", [(), (3, 4), (3, 4, 8), (3, 3, 3), (3, 1, 1), (3, 32, 32)])
def test_a_code_of_another_shape_is_refused(code):
    with pytest.raises(ValueError, match=r"code has shape .*expected \(units,\) or \(maps, side, side\)"):
        generator_network.build(code)


def test_building_leaves_the_global_random_stream_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    generator_network.build((4,), 1, width=6)
    assert torch.equal(torch.rand(3), expected)


def test_the_code_is_read_in_units_of_its_size_and_the_bounds_are_measured(net):
    made = generator_network.build((120,), 0, width=6).eval()
    code = torch.rand(2, 120)
    plain = made(code)
    generators.bound(made, net, "fc6", PICTURES[:20])
    with torch.inference_mode(), interface.record(net, ["fc6"]) as maps:
        net.model(zoo.preprocess(interface.to_tensor(PICTURES[:20])))
    found = maps["fc6"].double().numpy()
    np.testing.assert_allclose(made.bound_mean, found.mean(0), rtol=1e-5)
    np.testing.assert_allclose(made.bound_sd, found.std(0, ddof=1), rtol=1e-5)
    assert float(made.norm) == pytest.approx(np.linalg.norm(found, axis=1).mean(), rel=1e-5)
    assert float(made.unit) == pytest.approx(np.sqrt((found**2).mean()), rel=1e-5)
    torch.testing.assert_close(made(code * made.unit), plain)


def test_the_discriminator_gives_a_score_a_picture():
    assert generators.discriminator(8)(torch.rand(5, 3, 64, 64)).shape == (5,)
    assert generators.discriminator(8, 128)(torch.rand(5, 3, 128, 128)).shape == (5,)


# -------------------------------------------------------------------------------------------------------- losses


def test_errors_are_shares_of_answering_zero():
    real, found = torch.tensor([[3.0, -4.0]]), torch.tensor([[3.0, 0.0]])
    assert generators.relative(found, real) == pytest.approx(16 / 25)
    assert generators.relative(torch.zeros(1, 2), real) == 1
    images, grey = torch.rand(2, 3, 8, 8), torch.full((2, 3, 8, 8), 0.5)
    assert generators.relative(grey, images) == pytest.approx(1)  # what the networks see of grey is zero
    shown, wanted = zoo.preprocess(0.5 * images), zoo.preprocess(images)
    expected = (shown - wanted).square().mean() / wanted.square().mean()
    assert generators.relative(0.5 * images, images) == pytest.approx(float(expected), rel=1e-5)


class Told(nn.Module):
    """A generator that ignores the code and answers with the images it was given."""

    def __init__(self, images):
        super().__init__()
        self.images, self.own = images, nn.Parameter(torch.zeros(1))

    def forward(self, code):
        return self.images[: len(code)]


def test_losses_of_the_true_pictures_are_zero_and_of_others_as_computed_by_hand(net):
    pictures = PICTURES[:6]
    images, other = interface.to_tensor(pictures), interface.to_tensor(PICTURES[6:12])
    for value in generators.losses(Told(images), net, "fc6", COMPARATOR, pictures).values():
        assert value == pytest.approx(0, abs=1e-6)
    found = generators.losses(Told(other), net, "fc6", COMPARATOR, pictures)
    maps = [interface.features(net, x, ["conv1", "pool5", "fc6"]) for x in (images, other)]

    def share(name):
        return float((maps[1][name] - maps[0][name]).square().mean() / maps[0][name].square().mean())

    assert found["feature"] == pytest.approx((share("conv1") + share("pool5")) / 2, rel=1e-5)
    assert found["code"] == pytest.approx(share("fc6"), rel=1e-5)
    assert found["image"] == pytest.approx(
        float((4 * (other - images)).square().mean() / (4 * images - 2).square().mean()), rel=1e-5
    )


def test_an_object_on_grey_is_what_is_wanted_where_there_are_masks(net):
    batch = cutouts.batch(cutouts.World(), "train", 6)
    images = interface.to_tensor(batch.images)
    wanted = np.where(batch.masks[..., None], batch.images, 127.5) / 255
    wanted = torch.from_numpy(wanted).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(generators.on_grey(images, torch.from_numpy(batch.masks)[:, None].float()), wanted)
    found = generators.losses(Told(wanted), net, "fc6", COMPARATOR, batch.images, batch.masks)
    assert found["image"] == pytest.approx(0, abs=1e-6) == found["feature"]
    assert found["code"] > 0.01  # the code is that of the whole picture
    whole = generators.losses(Told(wanted), net, "fc6", COMPARATOR, batch.images)
    assert whole["image"] > 0.1  # without masks the ground is wanted too


def test_with_masks_training_comes_nearer_to_objects_on_grey(net):
    batch = cutouts.batch(cutouts.World(), "train", 48)
    made = generator_network.build((120,), 0, width=6)
    held_out = (batch.images[32:], batch.masks[32:])
    before = generators.losses(made, net, "fc6", COMPARATOR, *held_out)
    data = lambda epoch: (batch.images[:32], batch.masks[:32])  # noqa: E731
    _, history = generators.fit(made, net, "fc6", COMPARATOR, data, held_out, TINY._replace(epochs=6))
    assert history["image"][-1] < 0.9 * before["image"]


# ------------------------------------------------------------------------------------------------------ training


def test_training_lowers_the_losses_and_repeats_to_the_bit(net):
    recipe = TINY._replace(epochs=6)
    made, state, history = fit(net, recipe)
    start = generators.losses(generator_network.build((120,), 0, width=6), net, "fc6", COMPARATOR, PICTURES[32:])
    assert history["feature"][-1] < 0.8 * start["feature"] and history["image"][-1] < start["image"]
    names = {"image", "feature", "code", "discriminator", "adversarial", "frozen"}
    assert set(history) == names and {len(values) for values in history.values()} == {6}
    assert same(state, made.state_dict())
    assert history == fit(net, recipe)[2]
    assert history != fit(net, recipe._replace(seed=1))[2]


@pytest.mark.parametrize("layer", ["pool5", "fc7"])
def test_an_interrupted_training_goes_on_to_the_same_bits(net, layer, tmp_path):
    recipe = TINY._replace(epochs=3)
    whole = fit(net, recipe, layer)

    def stops(epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        return (PICTURES[:32],)

    checkpoint = tmp_path / "half.ckpt"
    with pytest.raises(KeyboardInterrupt):
        fit(net, recipe, layer, data=stops, checkpoint=checkpoint)
    torch.manual_seed(99)  # whatever ran in between
    made, state, history = fit(net, recipe, layer, seed=7, checkpoint=checkpoint)
    assert same(state, whole[1]) and history == whole[2]
    with pytest.raises(ValueError, match="another recipe"):
        fit(net, recipe._replace(rate=1e-3), layer, checkpoint=checkpoint)


def test_the_guard_freezes_the_discriminator_while_it_is_too_good(net, monkeypatch):
    """Never at guard 0; at a huge guard from the second step on, and then D's weights stay as they are."""
    made = []
    build = generators.discriminator
    monkeypatch.setattr(generators, "discriminator", lambda size: made.append(build(4)) or made[-1])
    first = {name: value.clone() for name, value in _after(net, made, TINY._replace(epochs=1, guard=1e9)).items()}
    *_, history = fit(net, TINY._replace(guard=1e9))
    assert history["frozen"] == [pytest.approx(3 / 4), 1.0]
    assert fit(net, TINY._replace(guard=0.0))[2]["frozen"] == [0.0, 0.0]
    later = made[1].state_dict()  # one epoch more, all of it frozen
    assert all(torch.allclose(first[name], later[name], atol=5e-3) for name in first)
    free = made[2].state_dict()
    assert max((free[name] - later[name]).abs().max() for name in free) > 1e-3


def _after(net, made, recipe):
    fit(net, recipe)
    return made[-1].state_dict()


@pytest.mark.parametrize("kind", ["image", "feature"])
def test_a_loss_of_weight_zero_is_left_out(net, kind, monkeypatch):
    losses = make_generators.ABLATIONS[kind]
    if not losses.feature:  # then nothing is asked of the comparator while G learns
        asked, forward = [], interface.forward_to
        monkeypatch.setattr(interface, "forward_to", lambda *args: asked.append(args[2]) or forward(*args))
        monkeypatch.setattr(generators, "losses", lambda *args: {"image": 0.0, "feature": 0.0, "code": 0.0})
    *_, history = fit(net, TINY._replace(epochs=1, losses=losses))
    assert history["adversarial"] == history["frozen"] == history["discriminator"] == [0.0]
    if not losses.feature:
        assert asked and all(layers == ["fc6"] for layers in asked)


def test_a_loss_that_is_not_finite_stops_with_its_step(net):
    with pytest.raises(FloatingPointError, match=r"loss is (nan|inf) at step 1 \(epoch 1, .*try a lower rate"):
        fit(net, TINY._replace(rate=1e30))


@pytest.mark.parametrize(
    "changes", [{"batch": 64}, {"batch": 0}, {"epochs": 0}, {"losses": Losses(0, 0, 0)}, {"losses": Losses(image=-1)}]
)
def test_a_recipe_that_cannot_be_followed_is_refused_before_anything_is_computed(net, changes):
    def untouched(epoch):
        raise AssertionError("pictures were asked for")

    with pytest.raises(ValueError, match="expected 1 <= batch <= epoch, epochs >= 1"):
        fit(net, TINY._replace(**changes), data=untouched)


def test_layers_that_the_encoder_lacks_are_named_with_those_it_has(net):
    made = generator_network.build((120,), 0, width=6)
    with pytest.raises(ValueError, match="has no layer 'conv9'.*conv1, "):
        generators.fit(made, net, "conv9", COMPARATOR, lambda epoch: (PICTURES,), (PICTURES,), TINY)
    with pytest.raises(ValueError, match="has no layer 'conv9'"):
        generators.fit(made, net, "fc6", ("conv9",), lambda epoch: (PICTURES,), (PICTURES,), TINY)


@pytest.mark.parametrize(("code", "size"), [((12,), 128), ((6, 4, 4), 128), ((6, 4, 4), 256)])
def test_a_generator_of_larger_images_learns_from_an_encoder_that_reads_another_size(net, code, size):
    made = generator_network.build(code, 0, width=6, size=size).eval()
    assert made(torch.rand(2, *code)).shape == (2, 3, size, size)
    layer = "pool5" if len(code) == 3 else "fc6"
    reader = interface.resized(net, size)
    code = tuple(interface.features(reader, torch.rand(1, 3, size, size), [layer])[layer].shape[1:])
    made, pictures = generator_network.build(code, 0, 6, size), np.zeros((8, size, size, 3), np.uint8) + 90
    pictures += np.random.default_rng(0).integers(0, 60, pictures.shape, np.uint8)
    tiny = TINY._replace(epoch=8, batch=4, epochs=1)
    _, history = generators.fit(made, reader, layer, ("conv1",), lambda epoch: (pictures,), (pictures,), tiny)
    assert np.isfinite(history["image"]).all() and np.isfinite(history["adversarial"]).all()


@pytest.mark.parametrize("size", [32, 96])
def test_a_size_that_doubling_does_not_reach_is_refused(size):
    with pytest.raises(ValueError, match=f"size is {size}, expected 64 pixels or a larger power of two"):
        generator_network.build((8,), 0, 6, size)


@pytest.mark.parametrize("name", ["squeezenet1_1", "efficientnet_lite0"])
def test_an_encoder_of_larger_images_is_refused(name):
    net = catalogue.load(name)
    with pytest.raises(ValueError, match=f"encoder {name} reads 224 pixels, expected 64"):
        generators.fit(
            generator_network.build((8,), 0, 6), net, "conv1", ("conv1",), lambda epoch: (PICTURES,), (PICTURES,), TINY
        )


# ------------------------------------------------------------------------------------------- jobs and their weights


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    (tmp_path / "cutouts").symlink_to(paths.weights() / "cutouts")
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(
        make_generators, "pictures",
        lambda job, split, n: (lambda b: (b.images, b.masks))(cutouts.batch(cutouts.World(), split, n)),
    )  # fmt: skip
    monkeypatch.setattr(make_generators, "encoder", lambda job, device="cpu": zoo.network(job.family, job.seed, device))


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_a_generator_for_every_family_is_trained_stored_and_loaded(family, elsewhere):
    layer = "conv3" if "conv3" in zoo.layers(family) else "pool5"
    job = make_generators.Job(family, 0, layer)
    recipe = Recipe(images=16, epoch=16, epochs=1, batch=8)
    info = make_generators.one(job, recipe, width=6, validation=8)
    assert info["made_by"]["encoder"] == f"{family}-0" and set(info["rounded"]) == {"image", "feature", "code"}
    assert make_generators.one(job, recipe, width=6, validation=8)["digest"] == info["digest"]  # nothing again
    prior, net = generator_prior.load(job.name), zoo.network(family, 0)
    images = interface.to_tensor(PICTURES[:3])
    code = generator_prior.encode(prior, net, images)
    assert tuple(code.shape[1:]) == prior.code and prior.generator(code).shape == (3, 3, 64, 64)
    assert not (paths.weights() / "checkpoints").exists() or not list((paths.weights() / "checkpoints").glob("*.ckpt"))


def test_a_pooled_row_of_maps_is_no_code(elsewhere):
    with pytest.raises(ValueError, match=r"code has shape \(72, 1, 1\), expected"):
        make_generators.one(make_generators.Job("resnet", 0, "pool5"), TINY, width=6)


def test_committed_generators_are_those_of_the_jobs_and_as_good_as_their_info_says():
    names = {job.name for job in make_generators.jobs()}
    there = {path.stem for path in (paths.weights() / "generators").glob("*.json")}
    assert there - {"photos-alexnet-pool5"} == names
    for name in sorted(there & {"alexnet-0-fc6", "alexnet-0-conv3"}):
        info = weights.info(f"generators/{name}")
        prior, net = generator_prior.load(name), control_networks.network("alexnet-encoder-0")
        assert info["made_by"]["network"] == net.digest and info["made_by"]["encoder"] == net.name == prior.encoder
        held_out = cutouts.batch(cutouts.World(), "validation", 60)
        shown = (held_out.images, held_out.masks)
        found = generators.losses(prior.generator, net, prior.layer, info["made_by"]["comparator"], *shown)
        assert found == {key: pytest.approx(value, rel=0.2) for key, value in info["rounded"].items()}


def test_a_generator_of_photographs_inverts_alexnets_pool5(tmp_path, monkeypatch):
    from lib.training import make_photo_generator as photo

    monkeypatch.setattr(
        catalogue, "load", lambda name, device="cpu", load=catalogue.load: load(name, device=device, weights=False)
    )
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))
    draws = np.random.default_rng(0)
    tiny = draws.integers(0, 255, (6, 64, 64, 3), np.uint8)
    whole = photo_crops.Pictures([Image.fromarray(tiny[k].repeat(2, 0).repeat(3, 1)) for k in range(4)], np.arange(4))
    monkeypatch.setattr(photo, "_sources", lambda: (whole, tiny))
    monkeypatch.setattr(photo_crops, "judging", lambda size, n: (tiny[:2], np.zeros(2)))
    recipe = photo.RECIPE._replace(epoch=4, batch=2, epochs=2)
    assert photo.crops(recipe, 64, 0).shape == (4, 64, 64, 3) and photo.crops(recipe, 128, 1).shape == (4, 128, 128, 3)
    even = photo.crops(recipe, 64, 1)
    assert all(any(np.array_equal(one, t) or np.array_equal(one, t[:, ::-1]) for t in tiny) for one in even)
    info = photo.one(recipe, 64, width=6, validation=2)
    assert info["made_by"]["code"] in ([256, 4, 4], (256, 4, 4)) and np.isfinite(info["history"]["image"]).all()
    prior = generator_prior.load("photos-alexnet-pool5")
    assert prior.size == 64 and prior.generator(torch.rand(1, 256, 4, 4)).shape == (1, 3, 64, 64)
