"""nMI against scikit-learn, against sums by hand, and against versions of it that are wrong on purpose."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score, normalized_mutual_info_score

from lib.methods.signals import mutual_information
from lib.worlds import cutouts

BINS = (8, 32, 256)


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Ten test cutouts, (10, 3, 64, 64)."""
    return np.ascontiguousarray(cutouts.render(cutouts.World(), "test", range(10)).images.transpose(0, 3, 1, 2))


def flat(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(-1, pictures[0, 0].size)


def few_values(generator, pairs: int = 40, pixels: int = 4096) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of channels with two to four values, some of them at one pixel only."""
    x, y = np.zeros((2, pairs, pixels), np.uint8)
    for k in range(pairs):
        values = generator.choice([8, 40, 96, 160, 255], 1 + k % 3, replace=False)
        x[k], y[k] = generator.choice(np.r_[0, values], pixels), generator.choice(np.r_[values, 0], pixels)
        if k % 4 == 0:  # almost constant
            x[k] = 0
            x[k, k] = 255
    return x, y


def oracle(x, y, bins, score=normalized_mutual_info_score, **options) -> np.ndarray:
    width = 256 // bins
    return np.array([score(a // width, b // width, **options) for a, b in zip(x, y, strict=True)])


@pytest.mark.parametrize("bins", BINS)
def test_equals_scikit_learn(pictures, bins):
    generator = np.random.default_rng(bins)
    noisy = np.clip(pictures + generator.normal(0, 20, pictures.shape), 0, 255).astype(np.uint8)
    half = np.roll(pictures, 1, 0) // 3 + 90  # other pictures, with fewer values: unequal entropies
    for other in (noisy, half, mutual_information.shuffled(pictures, generator), pictures):
        x, y = flat(pictures), flat(other)
        assert np.abs(mutual_information.nmi(x, y, bins) - oracle(x, y, bins, average_method="geometric")).max() < 1e-10
        assert np.abs(mutual_information.nmi(y, x, bins) - oracle(x, y, bins, average_method="geometric")).max() < 1e-10


def test_equals_scikit_learn_on_pictures_of_very_few_values():
    x, y = few_values(np.random.default_rng(0))
    for bins in (32, 256):
        found = mutual_information.nmi(x, y, bins)
        assert np.isfinite(found).all()
        assert np.abs(found - oracle(x, y, bins, average_method="geometric")).max() < 1e-10


def test_the_mean_of_the_entropies_is_geometric(pictures):
    x = flat(pictures)
    y = np.where(x > np.median(x, 1, keepdims=True), 200, 10).astype(np.uint8)  # all it knows is in x
    found = mutual_information.nmi(x, y)
    for other in ("arithmetic", "min", "max"):
        assert np.abs(found - oracle(x, y, 32, average_method=other)).mean() > 0.05, other


def test_by_hand():
    def pair(x, y) -> float:
        return mutual_information.nmi(np.array([x], np.uint8), np.array([y], np.uint8))[0]

    assert pair([0, 0, 255, 255], [0, 255, 0, 255]) == 0
    assert pair([0, 0, 255, 255], [9, 9, 200, 200]) == 1
    assert pair([0, 0, 0, 255], [0, 0, 255, 255]) == pytest.approx(  # counts 3, 1 and 2, 2; joint 2, 1, 1
        (np.log(4) - 0.75 * np.log(3) + np.log(2) - (0.5 * np.log(2) + 0.5 * np.log(4)))
        / np.sqrt((np.log(4) - 0.75 * np.log(3)) * np.log(2)),
        abs=1e-12,
    )


def test_many_pairs_at_once_are_each_for_itself(pictures):
    x, y = flat(pictures), flat(np.roll(pictures, 3, 0))
    assert len(x) > mutual_information.AT_ONCE // (256**2 + x.shape[1])  # more than one part
    for bins in (32, 256):
        assert np.array_equal(
            mutual_information.nmi(x, y, bins),
            np.concatenate([mutual_information.nmi(x[[k]], y[[k]], bins) for k in range(len(x))]),
        )


def test_entropy_is_that_of_the_counts():
    cells = np.array([[0, 0, 1, 2], [3, 3, 3, 3], [0, 1, 2, 3]])
    assert mutual_information.entropy(cells, 4) == pytest.approx([1.5 * np.log(2), 0, 2 * np.log(2)], abs=1e-12)


def test_levels_are_of_equal_width():
    assert mutual_information.level(np.array([0, 7, 8, 15, 247, 248, 255], np.uint8), 32).tolist() == [
        0,
        0,
        1,
        1,
        30,
        31,
        31,
    ]
    assert np.array_equal(mutual_information.level(np.arange(256).astype(np.uint8), 256), np.arange(256))
    assert (np.bincount(mutual_information.level(np.arange(256).astype(np.uint8), 2)) == 128).all()


def test_the_joint_histogram_has_the_first_picture_in_its_rows():
    x = np.array([[0, 0, 0, 100], [255, 0, 0, 0]], np.uint8)
    y = np.array([[200, 200, 9, 9], [0, 0, 0, 0]], np.uint8)
    found = mutual_information.joint(x, y, 8)
    assert found.shape == (2, 8, 8) and found.sum((1, 2)).tolist() == [4, 4]
    assert (found[0, 0, 6], found[0, 0, 0], found[0, 3, 0], found[0, 6, 0]) == (2, 1, 1, 0)
    assert found[0].sum(1).tolist() == [3, 0, 0, 1, 0, 0, 0, 0] and found[0].sum(0).tolist() == [2, 0, 0, 0, 0, 0, 2, 0]
    assert (found[1, 7, 0], found[1, 0, 0]) == (1, 3)
    assert (
        np.abs(
            found - np.array([np.histogram2d(a, b, np.arange(0, 257, 32))[0] for a, b in zip(x, y, strict=True)])
        ).max()
        == 0
    )


@pytest.mark.parametrize("bins", (32, 256))
def test_the_joint_histogram_gives_the_same_nmi(pictures, bins):
    x, y = flat(pictures), flat(np.roll(pictures, 1, 0) // 2)
    p = mutual_information.joint(x, y, bins) / x.shape[1]
    one, two = p.sum(2), p.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.nansum(p * np.log(p / (one[:, :, None] * two[:, None])), (1, 2))
        h_x, h_y = (-np.nansum(part * np.log(part), 1) for part in (one, two))
    assert information == pytest.approx(
        [mutual_info_score(a // (256 // bins), b // (256 // bins)) for a, b in zip(x, y, strict=True)]
    )
    assert mutual_information.nmi(x, y, bins) == pytest.approx(information / np.sqrt(h_x * h_y), abs=1e-10)


def test_a_one_to_one_recolouring_goes_unnoticed_and_merging_levels_does_not(pictures):
    dealt = np.random.default_rng(0).permutation(256).astype(np.uint8)
    for other in (255 - pictures, dealt[pictures]):
        assert mutual_information.of_pictures(pictures, other, 256).values == pytest.approx(1, abs=1e-12)
    assert mutual_information.of_pictures(pictures, 255 - pictures, 32).values == pytest.approx(1, abs=1e-12)
    assert mutual_information.of_pictures(pictures, dealt[pictures], 32).values.max() < 0.9  # it takes 32 levels apart
    assert mutual_information.of_pictures(pictures, pictures // 64 * 64, 256).values.max() < 0.9
    assert (
        mutual_information.of_pictures(pictures, pictures[:, [1, 2, 0]]).values.min() < 0.9
    )  # channels are not recoloured


def test_mismatched_pictures_score_less(pictures):
    noisy = np.clip(pictures.astype(int) + 3, 0, 255).astype(np.uint8)
    right, wrong = (
        mutual_information.intra(pictures, noisy).values,
        mutual_information.intra(pictures, np.roll(noisy, 1, 0)).values,
    )
    assert right.min() > 0.6 and wrong.max() < 0.3


def test_inter_pairs_are_consecutive_and_used_once(pictures):
    found = mutual_information.inter(pictures[:7])
    assert found.values.shape == (3, 3)
    expected = oracle(flat(pictures[0:6:2]), flat(pictures[1:6:2]), 32, average_method="geometric")
    assert found.values.ravel() == pytest.approx(expected, abs=1e-10)
    with pytest.raises(ValueError, match="1 picture is too few for pairs, expected at least 2"):
        mutual_information.inter(pictures[:1])


def test_shuffled_pixels_keep_their_colours_and_nothing_else(pictures):
    generator = np.random.default_rng(0)
    mixed = mutual_information.shuffled(pictures, generator)
    assert mixed.shape == pictures.shape and not np.array_equal(mixed, pictures)
    for one, two in zip(pictures, mixed, strict=True):
        code = [(part.reshape(3, -1).astype(int) * [[1], [256], [65536]]).sum(0) for part in (one, two)]
        assert np.array_equal(*map(np.sort, code))
    assert mutual_information.of_pictures(pictures, mixed, 32).values.max() < 0.1
    twice = mutual_information.shuffled(np.repeat(pictures[:1], 2, 0), generator)
    assert not np.array_equal(twice[0], twice[1])


def test_adjusted_is_zero_for_shuffled_pixels_however_many_bins(pictures):
    few = pictures[:2]
    mixed = mutual_information.shuffled(few, np.random.default_rng(0))
    assert mutual_information.of_pictures(few, mixed, 256).values.min() > 0.15
    assert np.abs(mutual_information.adjusted(few, mixed, 256).values).max() < 0.01
    half = np.roll(few, 1, 0) // 3
    expected = oracle(flat(few), flat(half), 32, adjusted_mutual_info_score, average_method="geometric")
    assert mutual_information.adjusted(few, half).values.ravel() == pytest.approx(expected, abs=1e-10)


# --------------------------------------------------------------------------------------------- bad input


def test_a_constant_channel_is_refused_by_name(pictures):
    x = flat(pictures[:2]).copy()
    x[4] = 17
    with pytest.raises(ValueError, match=r"x is constant at 32 bins in row 4 \(1 of 6 rows\).*undefined"):
        mutual_information.nmi(x, flat(pictures[2:4]))
    with pytest.raises(ValueError, match="y is constant at 32 bins in row 4"):
        mutual_information.nmi(flat(pictures[2:4]), x)
    x[4, 0] = 16  # two values, but one level of 32
    with pytest.raises(ValueError, match="constant at 32 bins in row 4"):
        mutual_information.nmi(x, flat(pictures[2:4]))
    assert np.isfinite(mutual_information.nmi(x, flat(pictures[2:4]), 256)).all()


def test_a_mean_says_what_it_does_with_constant_channels(pictures):
    made = pictures[:4].copy()
    made[1, 2], made[3] = 90, 0
    found = mutual_information.intra(pictures[:4], made)
    assert np.isfinite(found.values).all()
    assert np.argwhere(~found.defined).tolist() == [[1, 2], [3, 0], [3, 1], [3, 2]]
    with pytest.raises(ValueError, match=r"channel 2 of picture 1 is constant.*\(4 channels in all\)"):
        mutual_information.per_picture(found, constant="refuse")
    assert mutual_information.per_picture(found, constant="zero") == pytest.approx([1, 2 / 3, 1, 0])
    assert mutual_information.per_picture(found, constant="omit") == pytest.approx([1, 1, 1])
    with pytest.raises(TypeError):
        mutual_information.per_picture(found)
    with pytest.raises(ValueError, match="constant is 'ignore', expected one of refuse, omit, zero"):
        mutual_information.per_picture(found, constant="ignore")
    assert np.array_equal(mutual_information.intra(made, pictures[:4]).defined, found.defined)
    assert np.array_equal(mutual_information.adjusted(made, pictures[:4]).defined, found.defined)
    nothing = mutual_information.intra(pictures[:2], np.zeros_like(pictures[:2]))
    with pytest.raises(ValueError, match="every channel of every picture is constant"):
        mutual_information.per_picture(nothing, constant="omit")
    assert mutual_information.per_picture(nothing, constant="zero").tolist() == [0, 0]
    some = mutual_information.adjusted(pictures[:4], made)
    assert np.array_equal(some.defined, found.defined) and np.isfinite(some.values).all()
    assert mutual_information.per_picture(
        mutual_information.intra(pictures, pictures), constant="refuse"
    ) == pytest.approx(np.ones(10))


@pytest.mark.parametrize(
    "x, y, bins, message",
    [
        (np.zeros((2, 9)), np.zeros((2, 9), np.uint8), 32, "x is float64, expected 8-bit values"),
        (np.zeros((2, 9), np.uint8), np.zeros((2, 9), np.int64), 32, "y is int64, expected 8-bit values"),
        (
            np.zeros((2, 9), np.uint8),
            np.zeros((3, 9), np.uint8),
            32,
            r"shapes \(2, 9\) and \(3, 9\), expected two equal",
        ),
        (np.zeros((0, 9), np.uint8), np.zeros((0, 9), np.uint8), 32, "with at least one pixel"),
        (np.zeros((2, 9), np.uint8), np.zeros((2, 9), np.uint8), 7, "bins is 7, expected a power of two from 2 to 256"),
        (np.zeros((2, 9), np.uint8), np.zeros((2, 9), np.uint8), 512, "bins is 512, expected a power of two"),
    ],
)
def test_bad_input_is_named(x, y, bins, message):
    for function in (mutual_information.nmi, mutual_information.joint):
        with pytest.raises(ValueError, match=message):
            function(x, y, bins)
    with pytest.raises(ValueError, match=r"pictures have shape \(2, 9\), expected \(N, C, H, W\)"):
        mutual_information.of_pictures(np.zeros((2, 9), np.uint8), np.zeros((2, 9), np.uint8))
