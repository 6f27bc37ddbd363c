"""The autoencoder: its shape is VGG16-BN's, its pooling is torch's, and a wrong input is refused with a sentence."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lib.networks import segnet  # first: it makes `import torchvision` work where it would not

import torchvision  # isort: skip  # noqa: E402


def sizes(module) -> list[tuple]:
    return [tuple(part.weight.shape) for part in module.modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d)]


@pytest.fixture(scope="module")
def original():
    with torch.device("meta"):
        return segnet.Encoder(segnet.ORIGINAL), segnet.Decoder(segnet.ORIGINAL)


def test_the_original_encoder_is_vgg16_with_batch_normalisation(original):
    with torch.device("meta"):
        features = torchvision.models.vgg16_bn().features
    assert sizes(original[0]) == sizes(features) and len(sizes(features)) == 26


def test_the_original_decoder_mirrors_it_and_ends_in_a_linear_1x1_convolution(original):
    ours = [size for size in sizes(original[1]) if len(size) == 4]
    assert [(size[1], size[0]) for size in reversed(ours[:-1])] == [
        (size[1], size[0]) if k else (64, 64)
        for k, size in enumerate([(s[1], s[0]) + s[2:] for s in sizes(original[0]) if len(s) == 4])
    ]
    assert ours[-1] == (3, 64, 1, 1) and list(original[1].children())[-1] is original[1].final


def test_the_original_reconstructs_256_pixels():
    made = segnet.build(segnet.ORIGINAL)
    assert segnet.reconstruct(made, torch.rand(1, 3, 256, 256)).shape == (1, 3, 256, 256)


def test_unpooling_equals_torch_and_is_allowed_where_only_deterministic_kernels_are():
    x = torch.randn(3, 5, 8, 12).relu()
    pooled, places = F.max_pool2d(x, 2, return_indices=True)
    values = torch.randn_like(pooled)
    before = torch.are_deterministic_algorithms_enabled()
    expected = nn.MaxUnpool2d(2)(values, places) if not before else None
    torch.use_deterministic_algorithms(True)
    try:
        found = segnet.unpool(values, places)
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(before)
    by_hand = torch.zeros_like(x).flatten(2).scatter(2, places.flatten(2), values.flatten(2)).view_as(x)
    assert torch.equal(found, by_hand) and (expected is None or torch.equal(found, expected))


def test_the_places_reach_the_decoder_from_the_stage_of_their_own():
    made = segnet.build(segnet.Shape((4, 6, 8), (1, 1, 1)))
    x = torch.randn(2, 3, 16, 16)
    with torch.inference_mode():
        code, places = made.encoder(x)
        assert [tuple(p.shape[1:]) for p in places] == [(4, 8, 8), (6, 4, 4), (8, 2, 2)]
        moved = [*places[:1], places[1] ^ 1, places[2]]  # the neighbour in the window
        assert not torch.equal(made.decoder(code, places), made.decoder(code, moved))


def test_reconstructions_are_rgb_unclipped_and_do_not_depend_on_the_batch():
    made = segnet.build(segnet.Shape((4, 6), (1, 2)), seed=3)
    images = torch.rand(7, 3, 16, 8)
    found = segnet.reconstruct(made, images, batch=3)
    assert torch.allclose(found, segnet.reconstruct(made, images), atol=1e-6)
    with torch.inference_mode():
        raw = made.decoder(*made.encoder((images - 0.5) / 0.25))
    assert torch.allclose(found, 0.5 + 0.25 * raw, atol=1e-6) and (found.min() < 0 or found.max() > 1)


def test_what_an_encoder_gave_is_kept_and_changes_no_bit(monkeypatch):
    monkeypatch.setattr(segnet, "_kept", type(segnet._kept)())
    base, calls = segnet.build(seed=1), []
    others = [segnet.build(seed=k) for k in (2, 3)]
    tuned = [segnet.assemble("tuned", base.encoder, other.decoder) for other in others]
    base.encoder.register_forward_hook(lambda *_: calls.append(1))
    images = torch.rand(70, 64, 64, 3).permute(0, 3, 1, 2)
    for made in (*tuned, base):
        found = segnet.reconstruct(made, images)
        with torch.inference_mode():
            parts = [made.decoder(*base.encoder.forward((part - 0.5) / 0.25)) for part in images.split(32)]
        assert torch.equal(found, torch.cat(parts) * 0.25 + 0.5)
    segnet.reconstruct(base, images[:32])
    assert len(calls) == 3  # batches of 32, 32 and 6
    other = images.clone()
    other[0, 0, 0, 0] += 0.5
    segnet.reconstruct(base, other)
    assert len(calls) == 4  # one of the three batches is new
    foreign = segnet.assemble("other", others[0].encoder, base.decoder)
    assert not torch.equal(segnet.reconstruct(foreign, images), segnet.reconstruct(base, images)) and len(calls) == 4


def test_places_in_windows_are_an_eighth_and_come_back():
    _, places = torch.nn.functional.max_pool2d(torch.rand(3, 2, 10, 14), 2, return_indices=True)
    small = segnet.in_window(places)
    assert small.dtype == torch.uint8 and set(small.unique().tolist()) == {0, 1, 2, 3}
    assert torch.equal(segnet.in_map(small), places) and not torch.equal(segnet.in_map(3 - small), places)


def test_little_is_kept(monkeypatch):
    monkeypatch.setattr(segnet, "_kept", type(segnet._kept)())
    monkeypatch.setattr(segnet, "KEPT_BYTES", 1 << 22)
    segnet.reconstruct(segnet.build(), torch.rand(128, 3, 64, 64))
    assert 0 < sum(map(segnet._bytes, segnet._kept.values())) <= 1 << 22


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    assert segnet.build(seed=1).digest == segnet.build(seed=1).digest != segnet.build(seed=2).digest


@pytest.mark.parametrize("shape", [(0, 3, 16, 16), (2, 1, 16, 16), (2, 3, 12, 16), (3, 16, 16)])
def test_pictures_that_do_not_fit_are_refused(shape):
    made = segnet.build(segnet.Shape((4, 4, 4), (1, 1, 1)))
    if shape[0] == 0:
        pytest.raises((ValueError, RuntimeError), segnet.reconstruct, made, torch.zeros(0, 3, 12, 16))
        return
    with pytest.raises(ValueError, match=r"multiples of 8, since it pools 3 times"):
        segnet.reconstruct(made, torch.zeros(shape))


@pytest.mark.parametrize(
    "shape, message",
    [
        (segnet.Shape((4, 8), (1,)), "2 widths and 1 depths"),
        (segnet.Shape((), ()), "0 widths and 0 depths"),
        (segnet.Shape((4, 0), (1, 1)), r"widths are \(4, 0\)"),
        (segnet.Shape((4, 4), (1, 0)), r"depths are \(1, 0\)"),
    ],
)
def test_shapes_that_make_no_network_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        segnet.build(shape)


def test_a_vgg16_can_be_transplanted_into_the_original_encoder_only():
    torch.manual_seed(0)
    features = torchvision.models.vgg16_bn().features
    for part in features.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(), part.running_var.uniform_(0.5, 2)
    encoder = segnet.Encoder(segnet.ORIGINAL)
    segnet.transplant_vgg16(encoder, features)
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        code, places = encoder.eval()(x)
        assert torch.allclose(code, features.eval()(x), atol=1e-5) and len(places) == 5
    with pytest.raises(ValueError, match="expected an encoder of segnet.ORIGINAL"):
        segnet.transplant_vgg16(segnet.Encoder(segnet.SMALL), features)
