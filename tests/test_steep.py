"""Searches' own form of a network answers the same to the bit, and its gradients equal those of PyTorch's convolutions,
for every family and for strides that leave a border."""

import pytest
import torch
from torch import nn

from lib.networks import interface, steep, zoo


@pytest.mark.parametrize("size, stride, padding, side", [(11, 4, 5, 64), (7, 2, 3, 64), (11, 4, 2, 37), (7, 3, 0, 21)])
def test_the_gradient_is_that_of_the_plain_convolution(size, stride, padding, side):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, size, stride, padding).double().requires_grad_(False)
    x = torch.randn(2, 3, side, side + 1, dtype=torch.double, requires_grad=True)
    expected = conv(x)
    signal = torch.randn_like(expected)
    found = steep.Strided(conv)(x)
    (one,), (other,) = (torch.autograd.grad(y, x, signal) for y in (expected, found))
    assert torch.equal(found, expected) and torch.allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_every_family_answers_the_same_and_has_the_same_gradients(family):
    net = zoo.network(family, 0)
    before = repr(net.model)
    quick = steep.steep(net)
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = []
    for one in (net, quick):
        scores = one.model(one.preprocess(images))
        found.append((scores, *torch.autograd.grad(scores[:, 3].sum(), images)))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-4, atol=1e-5)
    changed = [part for part in quick.model.modules() if isinstance(part, steep.Strided)]
    assert len(changed) == (family in ("alexnet", "resnet")) and repr(net.model) == before
    assert torch.equal(interface.scores(quick, images.detach()), interface.scores(net, images.detach()))


def test_a_network_that_learns_is_left_alone():
    net = zoo.network("alexnet", 0)
    net.model.requires_grad_(True)
    assert not any(isinstance(part, steep.Strided) for part in steep.steep(net).model.modules())
