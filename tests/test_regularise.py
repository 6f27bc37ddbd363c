"""Regularisers against SciPy, NumPy, scikit-image, torchvision and the released code's formulas, row by row."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from lib.methods.ascent import regularisers
from lib.methods.ascent.regularisers import Combination


@pytest.fixture
def x():
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def gradient():
    return torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_penalties_by_hand():
    images = torch.full((2, 3, 2, 2), 0.5, dtype=torch.float64)
    images[0, 1, 0, 1] = 0.9
    assert regularisers.l2(10.0)(images).tolist() == pytest.approx([1.6, 0])
    assert regularisers.l2(1.0, mean=0.0)(images)[1].item() == pytest.approx(3.0)
    assert regularisers.total_variation(0.5)(images).tolist() == pytest.approx([0.4, 0])  # down once, across once


def test_total_variation_is_the_sum_of_numpys_differences(x):
    found = regularisers.total_variation(1.0)(x).numpy()
    expected = [sum(np.abs(np.diff(one, axis=axis)).sum() for axis in (1, 2)) for one in x.numpy()]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("radius", [0.3, 0.5, 1.0, 1.6])
def test_blur_equals_scipys(x, gradient, radius):
    """Each colour alone, the border reflected; the third axis (colours) and the rows of the batch are not blurred."""
    found = regularisers.blur(radius, every=1)(x, gradient, 0).numpy()
    reach = math.ceil(4 * radius)
    sampled = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * radius**2))
    expected = x.numpy()
    for axis in (2, 3):
        expected = ndimage.convolve1d(expected, sampled / sampled.sum(), axis=axis, mode="mirror")
    np.testing.assert_allclose(found, expected, atol=1e-12)
    scipys = ndimage.gaussian_filter(x.numpy(), (0, 0, radius, radius), mode="mirror", truncate=4.0)
    np.testing.assert_allclose(found, scipys, atol=2e-3)  # SciPy cuts its kernel at another pixel


def test_blur_comes_every_so_many_steps(x, gradient):
    operator = regularisers.blur(1.0, every=4)
    changed = [not torch.equal(operator(x, gradient, step), x) for step in range(9)]
    assert changed == [True, False, False, False, True, False, False, False, True]


@pytest.mark.parametrize("percentile", [0, 20, 50, 90, 97.3, 100])
def test_clips_equal_the_released_code_row_by_row(x, gradient, percentile):
    """numpy's percentile and the formulas of gradient_optimizer.py on each image alone; rows differ a hundredfold."""
    x = x * torch.tensor([1.0, 100.0, 0.01]).double()[:, None, None, None]
    norm = regularisers.clip_norm(percentile)(x, gradient, 0).numpy()
    contribution = regularisers.clip_contribution(percentile)(x, gradient, 0).numpy()
    for k, (one, slope) in enumerate(zip(x.numpy(), gradient.numpy(), strict=True)):
        norms = np.linalg.norm(one, axis=0)
        np.testing.assert_array_equal(norm[k], one * ~(norms < np.percentile(norms, percentile)))
        benefit = np.abs((slope * -one).sum(0))
        np.testing.assert_array_equal(contribution[k], one * ~(benefit < np.percentile(benefit, percentile)))


def test_clips_of_images_with_many_equal_pixels():
    x = torch.zeros(1, 3, 4, 4)
    x[0, :, 0, 0] = 1.0
    assert torch.equal(regularisers.clip_norm(50)(x, x, 0), x)  # no pixel is below the percentile, which is zero
    assert regularisers.clip_norm(100)(x, x, 0).sum() == 3


def test_decay_and_box(x, gradient):
    torch.testing.assert_close(regularisers.decay(0.3)(x, gradient, 5), 0.7 * x)
    inside = regularisers.box()(x, gradient, 5)
    assert inside.min() == -0.5 and inside.max() == 0.5
    assert regularisers.box(mean=0.2)(x, gradient, 5).max() == 0.8


def test_published_combinations_are_those_of_the_released_documentation(x, gradient):
    """Operators in the released order: decay, blur, small norm, small contribution; another order differs."""
    one, two, three, four = regularisers.PUBLISHED
    assert (one.radius, one.every, one.norm, one.decay) == (0.5, 4, 50, 0)
    assert (two.radius, two.norm, two.decay) == (0, 20, 0.3)
    assert (three.radius, three.every, three.decay, three.norm) == (1.0, 4, 1e-4, 0)
    assert (four.radius, four.every, four.contribution, four.norm) == (0.5, 4, 90, 0)
    assert [c.iterations for c in regularisers.PUBLISHED] == [500, 750, 1000, 1000]
    everything, found = Combination(0.3, 1.0, 1, 50, 90), x
    for operator in everything.operators():
        found = operator(found, gradient, 0)
    expected = regularisers.blur(1.0)(0.7 * x, gradient, 0)
    expected = regularisers.clip_contribution(90)(regularisers.clip_norm(50)(expected, gradient, 0), gradient, 0)
    assert torch.equal(found, expected.clamp(-0.5, 0.5))
    other = regularisers.blur(1.0)(regularisers.clip_norm(50)(0.7 * x, gradient, 0), gradient, 0)
    assert not torch.equal(found, regularisers.clip_contribution(90)(other, gradient, 0).clamp(-0.5, 0.5))
    assert len(Combination().operators()) == 1  # only the range of a pixel


def test_progress_raises_a_linear_value_by_what_was_asked(gradient):
    gradient = gradient * torch.tensor([1.0, 100.0, 0.01]).double()[:, None, None, None]
    moved = (regularisers.progress(2.0)(gradient) * gradient).sum((1, 2, 3))
    assert moved.tolist() == pytest.approx([2, 2, 2])
    capped = regularisers.progress(2.0, most=1.0)(gradient)
    torch.testing.assert_close(capped[2], gradient[2])
    assert (capped[1] * gradient[1]).sum().item() == pytest.approx(2)


def test_unit_rms_is_one_in_every_row_and_zero_stays_zero(gradient):
    gradient[1] = 0
    found = regularisers.unit_rms(gradient).square().mean((1, 2, 3)).sqrt()
    assert found.tolist() == pytest.approx([1, 0, 1])


def test_jitter_is_a_crop_of_the_reflected_image(x):
    transform, generator = regularisers.jitter(3), torch.Generator().manual_seed(0)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), mode="reflect")
    crops = [padded[..., r : r + 16, c : c + 16] for r in range(7) for c in range(7)]
    seen = set()
    for _ in range(60):
        found = transform(x, generator).numpy()
        (match,) = [k for k, crop in enumerate(crops) if np.array_equal(crop, found)]
        seen.add(match)
    assert len(seen) > 25 and torch.equal(regularisers.jitter(0)(x, generator), x)


def test_turn_equals_scipys_rotation_in_the_middle(x):
    smooth = torch.from_numpy(ndimage.gaussian_filter(x.numpy(), (0, 0, 2, 2)))

    class Fixed:
        device = "cpu"

    draws = torch.tensor([1.0, 0.0])
    original, torch.rand = torch.rand, lambda *args, **options: (draws + 1) / 2
    try:
        found = regularisers.turn(30.0, 1.5)(smooth, Fixed()).numpy()
    finally:
        torch.rand = original
    turned = ndimage.rotate(smooth.numpy(), 30.0, axes=(2, 3), reshape=False, order=1)
    other = ndimage.rotate(smooth.numpy(), -30.0, axes=(2, 3), reshape=False, order=1)
    middle = (..., slice(5, 11), slice(5, 11))
    off = [np.abs(found[middle] - one[middle]).max() for one in (turned, other)]
    assert min(off) < 1e-6 < max(off)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regularisers.l2(-1), "l2: strength is -1"),
        (lambda: regularisers.jitter(-1), "jitter: distance is -1"),
        (lambda: regularisers.turn(-5), "turn: degrees is -5"),
        (lambda: regularisers.turn(5, 0.5), "turn: zoom is 0.5, expected a number of at least 1"),
        (lambda: regularisers.decay(1.5), "decay: share is 1.5, expected a number from 0 to 1"),
        (lambda: regularisers.blur(0.05), "blur: radius .* is 0.05"),
        (lambda: regularisers.blur(1.0, 0), "blur: every is 0"),
        (lambda: regularisers.clip_norm(101), "clip_norm: percentile is 101, expected a number from 0 to 100"),
        (lambda: regularisers.clip_contribution(math.nan), "percentile is nan"),
        (lambda: regularisers.progress(-2.0), "progress: desired is -2"),
    ],
)
def test_bad_input_is_told_in_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_does_not_fit_an_image_is_told_in_a_sentence():
    images, generator = torch.rand(1, 3, 8, 8), torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match="jitter: distance is 8, expected less than the side of the images, 8"):
        regularisers.jitter(8)(images, generator)
    with pytest.raises(ValueError, match="jitter: distance is 1.5, expected a whole number"):
        regularisers.jitter(1.5)
    with pytest.raises(ValueError, match="blur: four times the radius is 12, expected less"):
        regularisers.blur(3.0)(images - 0.5, images, 0)
