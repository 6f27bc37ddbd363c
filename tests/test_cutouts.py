"""The cutouts world: pure, split cleanly, with ground truth that is true."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import skimage
from matplotlib.colors import rgb_to_hsv

from lib.worlds import cutouts
from lib.worlds.cutouts import World


def test_a_picture_depends_on_its_index_alone():
    together = cutouts.render(World(), "train", [3, 900, 12])
    alone = cutouts.render(World(), "train", [900])
    assert np.array_equal(together.images[1], alone.images[0])
    assert np.array_equal(together.pose[1], alone.pose[0])
    assert not np.array_equal(cutouts.render(World(seed=1), "train", [900]).images, alone.images)


def test_splits_use_different_streams():
    pictures = [cutouts.render(World(photographs=0.5), split, range(40)) for split in cutouts.SPLITS]
    for a, b in itertools.combinations(pictures, 2):
        assert not np.intersect1d(a.pose[:, 0], b.pose[:, 0]).size


def test_no_background_pixel_is_shared_between_splits():
    folder = Path(skimage.__file__).parent / "data"
    shapes = [skimage.io.imread(folder / name).shape for name in cutouts.PHOTOGRAPHS] + [(900, 500, 3)]
    for shape in shapes:
        axis = int(shape[1] >= shape[0])  # the longer side is cut
        parts = [cutouts.region(shape, split) for split in cutouts.REGIONS]
        for one, after in itertools.pairwise(parts):
            assert after[axis].start - one[axis].stop >= 8  # disjoint, with a gap
        for part in parts:
            assert part[axis].stop - part[axis].start >= cutouts.SIZE
            assert (part[1 - axis].start, part[1 - axis].stop) == (0, shape[1 - axis])
    for split in cutouts.REGIONS:
        photographs, procedural = cutouts.panels(split, 0)
        assert all(min(photo.shape[:2]) >= cutouts.SIZE for photo in photographs)
        assert len(photographs) == len(cutouts.PHOTOGRAPHS) and len(procedural) == 8
    assert not set(cutouts.PHOTOGRAPHS) & set(cutouts.NEW_PHOTOGRAPHS)
    assert len(cutouts.panels("new_background", 0)[0]) == 2 and not cutouts.panels("new_background", 0)[1]
    first = [cutouts.panels(split, 0)[1][0] for split in cutouts.REGIONS]
    assert all(not np.isclose(one, other).all() for one, other in itertools.combinations(first, 2))


def test_cues_agree_with_the_label_as_often_as_their_reliability_says():
    batch = cutouts.render(World(shape=0.8, texture=0.7, hue=0.3), "train", range(3000))
    agreement = (batch.cues == batch.labels[:, None]).mean(0)
    assert np.all(np.abs(agreement - [0.8, 0.7, 0.3]) < 0.035)
    wrong = batch.cues[:, 2][batch.cues[:, 2] != batch.labels]
    assert np.bincount((wrong - batch.labels[batch.cues[:, 2] != batch.labels]) % 10, minlength=10)[1:].min() > 170


def test_the_mask_is_where_the_object_is():
    cues = np.tile([[1, 0, 0]], (30, 1))
    other = np.tile([[1, 0, 5]], (30, 1))
    a = cutouts.render(World(clutter=0), "test", range(30), cues)
    b = cutouts.render(World(clutter=0), "test", range(30), other)
    changed = np.abs(a.images.astype(int) - b.images).sum(-1) > 60
    for mask, difference in zip(a.masks, changed, strict=True):
        assert (difference & ~mask).sum() < 0.12 * mask.sum()  # only the antialiased rim
        assert (difference & mask).sum() > 0.97 * mask.sum()
    area = a.masks.sum((1, 2)) / (np.pi * a.pose[:, 2] ** 2)
    assert np.allclose(area, 1, atol=0.06)


def test_hue_is_the_hue_of_the_object_and_far_from_every_mirror_image():
    batch = cutouts.render(World(clutter=0), "test", range(80))
    inside = [image[mask].mean(0) / 255 for image, mask in zip(batch.images, batch.masks, strict=True)]
    found = rgb_to_hsv(np.array(inside))[:, 0] * 360
    error = (found - np.array(cutouts.HUES)[batch.cues[:, 2]] + 180) % 360 - 180
    assert np.abs(error).max() < 18
    for hue in cutouts.HUES:
        mirrored = (240 - hue) % 360
        nearest = min(abs((mirrored - other + 180) % 360 - 180) for other in cutouts.HUES)
        assert nearest >= 3 * cutouts.HUE_SD


def test_landmarks_lie_on_the_outline_and_follow_the_pose():
    cues = np.repeat(np.arange(10), 6)[:, None] * [1, 0, 0]
    batch = cutouts.render(World(), "test", range(60), cues)
    marks = cutouts.landmarks(batch.cues[:, 0], batch.pose)
    round_shapes = np.isin(batch.cues[:, 0], [0, 8])
    assert np.isnan(marks[round_shapes]).all() and not np.isnan(marks[~round_shapes]).any()
    for mask, points in zip(batch.masks[~round_shapes], marks[~round_shapes], strict=True):
        for x, y in points:
            column, row = int(round(x)), int(round(y))
            near = mask[max(row - 4, 0) : row + 5, max(column - 4, 0) : column + 5]
            assert near.any() and not near.all()  # a rim; a crescent's horn is thinner than a pixel at its very tip


def test_modifications_change_what_they_say():
    plain = cutouts.render(World(), "test", range(4)).images
    assert np.array_equal(cutouts.render(World(modification="bgr"), "test", range(4)).images, plain[..., ::-1])
    mosaic = cutouts.render(World(modification="mosaic"), "test", range(4)).images
    tiles = (mosaic == plain).all(-1).reshape(4, 4, 16, 4, 16).all((2, 4))
    assert np.all((tiles.sum((1, 2)) >= 10) & (tiles.sum((1, 2)) < 16))
    blurred = cutouts.render(World(modification="blur"), "test", range(4)).images
    assert (
        np.abs(np.diff(blurred.astype(float), axis=2)).mean()
        < 0.6 * np.abs(np.diff(plain.astype(float), axis=2)).mean()
    )


def test_bayes_accuracy_against_a_simulated_reader():
    world = World()
    exact = cutouts.bayes_accuracy(world)
    assert exact == pytest.approx(0.8733, abs=1e-4)
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=40_000)
    score = np.zeros((40_000, 10))
    for reliability in (world.shape, world.texture, world.hue):
        wrong = (labels + rng.integers(1, 10, 40_000)) % 10
        value = np.where(rng.random(40_000) < reliability, labels, wrong)
        score += np.where(value[:, None] == np.arange(10), np.log(reliability), np.log((1 - reliability) / 9))
    assert (score.argmax(1) == labels).mean() == pytest.approx(exact, abs=0.006)


def test_perfect_single_cue_readers_reach_the_bayes_accuracy():
    world = World()
    batch = cutouts.render(world, "test", range(2500))
    combined = cutouts.combine(world, [np.eye(10)[batch.cues[:, c]] for c in range(3)])
    assert np.allclose(combined.sum(1), 1)
    assert (combined.argmax(1) == batch.labels).mean() == pytest.approx(cutouts.bayes_accuracy(world), abs=0.02)
    swapped = cutouts.combine(world, [np.eye(10)[batch.cues[:, c]] for c in (2, 1, 0)])  # reliabilities mixed up
    assert (swapped.argmax(1) == batch.labels).mean() < (combined.argmax(1) == batch.labels).mean()


def test_conflict_pictures_have_three_different_cues():
    batch = cutouts.conflict(World(), 50)
    assert all(len(set(row)) == 3 for row in batch.cues.tolist())


def test_the_cache_gives_what_rendering_gives(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path))
    cached = cutouts.batch(World(), "validation", 20)
    again = cutouts.batch(World(), "validation", 20)
    fresh = cutouts.render(World(), "validation", range(20))
    for a, b, c in zip(cached, again, fresh, strict=True):
        assert a.dtype == c.dtype and np.array_equal(a, b) and np.array_equal(a, c)


@pytest.mark.parametrize(
    "wrong, word",
    [
        ({"hue": 1.2}, "hue"),
        ({"radius": (3, 9)}, "radius"),
        ({"rotation": 200}, "rotation"),
        ({"modification": "sepia"}, "sepia"),
    ],
)
def test_bad_parameters_are_named(wrong, word):
    with pytest.raises(ValueError, match=word):
        cutouts.render(World(**wrong), "test", [0])
    with pytest.raises(ValueError, match="tets"):
        cutouts.render(World(), "tets", [0])
