"""Fused networks answer like the plain ones, for every family, and whatever is not known to be safe is left alone."""

import pytest
import torch
from torch import nn

from lib.networks import fused, interface, zoo


def images(n: int) -> torch.Tensor:
    made = torch.rand(n, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    return made.permute(0, 3, 1, 2)


@pytest.mark.parametrize("family", [*zoo.FAMILIES, "vgg_stride2", "vgg_stride4"])
def test_every_family_answers_the_same(family):
    net = zoo.network(family, 0)
    before = {name: value.clone() for name, value in net.model.state_dict().items()}
    x, quick = net.preprocess(images(40)), fused.fused(net.model)
    assert quick is not net.model and not any(isinstance(part, nn.BatchNorm2d) for part in quick.modules())
    with torch.inference_mode():
        expected = net.model(x)
        for shown in (x, x.contiguous()):
            found = quick(shown)
            torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
            assert torch.equal(found.argmax(1), expected.argmax(1))
    assert all(torch.equal(value, before[name]) for name, value in net.model.state_dict().items())


def test_the_maximum_of_windows_is_that_of_torch_to_the_bit():
    for shape in ((2, 3, 8, 8), (1, 5, 9, 7)):
        x = torch.randn(shape)
        assert torch.equal(fused.Halving()(x), nn.functional.max_pool2d(x, 2))


@pytest.mark.parametrize("size", [1, 4, 5])
def test_local_response_normalisation_is_that_of_torch(size):
    norm, x = nn.LocalResponseNorm(size, 0.5, 0.75, 2.0), 3 * torch.randn(2, 9, 5, 4)
    found = fused.fused(nn.Sequential(norm).eval())[0]
    assert type(found) is fused.Response
    torch.testing.assert_close(found(x), norm(x))


def test_many_images_are_read_as_few():
    net = zoo.network("vgg", 0)
    many = images(interface.FEW + 10)
    with torch.inference_mode():
        expected = torch.cat([net.model(net.preprocess(part)) for part in many.split(64)])
    torch.testing.assert_close(interface.scores(net, many), expected, rtol=0, atol=2e-5)


class Own(nn.Sequential):
    """A reader's own module, which may call its parts as it likes."""


def test_what_is_not_known_to_be_safe_is_left_alone():
    chain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval().requires_grad_(False)
    assert fused.fused(chain) is not chain
    watched, double, learning = (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval() for _ in range(3))
    watched[0].register_forward_hook(lambda *_: None)
    for one in (watched, double.double(), learning.train(), Own(nn.Conv2d(3, 4, 3)).eval()):
        assert fused.fused(one) is one
