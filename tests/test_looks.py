"""Checkerboards and colours: signals made by hand, Fourier sums written out, the published CIELAB of red and blue."""

import numpy as np
import pytest
import torch

from lib.base import weights
from lib.experiments.n02_reconstructions import costs, patterns_and_colours, plots
from lib.methods.signals import checkerboard
from lib.networks import interface
from lib.worlds import cutouts

ROWS, COLUMNS = np.mgrid[:64, :64]
RNG = np.random.default_rng


def three(picture) -> np.ndarray:
    """One picture (1, 3, H, W) with the same values in all channels."""
    return np.broadcast_to(np.asarray(picture, float), (1, 3, *np.shape(picture)))


def lattice(period: int) -> np.ndarray:
    return ((ROWS % period == 0) | (COLUMNS % period == 0)).astype(float)


def wave(fy: float, fx: float, shape=(64, 64)) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.cos(2 * np.pi * (fy * y + fx * x) + 0.3)


# ------------------------------------------------------------------------------------------ checkerboards


def test_grids_of_two_and_four_pixels_are_all_and_noise_is_nothing():
    assert checkerboard.checkerboard(three(lattice(4))) == pytest.approx(1, abs=1e-9)
    assert checkerboard.checkerboard(three(lattice(2))) == pytest.approx(1, abs=1e-9)
    assert abs(checkerboard.checkerboard(RNG(0).normal(size=(50, 3, 64, 64)))) < 5e-4
    for period in (3, 5, 7):
        assert -0.1 < checkerboard.checkerboard(three(lattice(period))) < 0.02


@pytest.mark.parametrize("direction", [(1, 0), (0, 1), (1, 1), (1, -1), (2, 0), (0, 2), (2, 2), (1, 2), (2, 1)])
def test_every_direction_counts_and_one_step_beside_it_does_not(direction):
    fy, fx = np.array(direction) / 4
    assert checkerboard.checkerboard(three(wave(fy, fx))) == pytest.approx(1, abs=1e-9)
    assert checkerboard.checkerboard(three(wave(fy + (fy != 0) / 64, fx))) <= 0 or fy == 0
    assert checkerboard.checkerboard(three(wave(fy, fx + (fx != 0) / 64))) <= 0 or fx == 0


def test_equals_fourier_sums_written_out_on_a_picture_that_is_not_square():
    """The definition of C7, summed term by term: share at the 15 frequencies less the mean of their neighbours."""
    height, width = 16, 12
    pictures = RNG(1).normal(size=(2, 3, height, width)) + three(wave(0.25, 0.5, (height, width)))
    y, x = np.mgrid[:height, :width]

    def power(picture, v, u):
        wave = np.exp(-2j * np.pi * (v * y / height + u * x / width))
        return sum(abs((channel * wave).sum()) ** 2 for channel in picture)

    for picture, found in zip(pictures, checkerboard.grid_shares(pictures), strict=True):
        table = np.array([[power(picture, v, u) for u in range(width)] for v in range(height)])
        excess = 0
        for v in (0, 4, 8, 12):
            for u in (0, 3, 6, 9):
                if (v, u) != (0, 0):
                    steps = [(a, b) for a in range(-2, 3) for b in range(-2, 3) if (a, b) != (0, 0)]
                    steps = [(a, b) for a, b in steps if (v or not a) and (u or not b)]
                    excess += table[v, u] - np.mean([table[(v + a) % height, (u + b) % width] for a, b in steps])
        assert found == pytest.approx(excess / (table.sum() - table[0, 0]), abs=1e-12) and found > 0.1


def test_is_the_share_of_the_variance_that_the_pattern_has():
    noise = RNG(2).normal(size=(40, 3, 64, 64))
    for amplitude in (0.2, 1.0, 3.0):
        share = amplitude**2 / 2 / (amplitude**2 / 2 + 1)
        assert checkerboard.checkerboard(noise + amplitude * three(wave(0.25, 0))) == pytest.approx(share, abs=0.01)


def test_turned_shifted_scaled_and_brightened_pictures_have_the_same_index():
    difference = RNG(3).normal(size=(4, 3, 64, 48)) + three(wave(0.25, 0.5, (64, 48))) * 0.4
    found = checkerboard.grid_shares(difference)
    assert found.min() > 0.02
    np.testing.assert_allclose(checkerboard.grid_shares(difference.swapaxes(2, 3)), found, atol=1e-12)
    np.testing.assert_allclose(checkerboard.grid_shares(difference[..., ::-1, :]), found, atol=1e-12)
    np.testing.assert_allclose(checkerboard.grid_shares(np.roll(difference, (3, 5), (2, 3))), found, atol=1e-12)
    colour = np.array([5.0, -2, 1]).reshape(3, 1, 1)
    np.testing.assert_allclose(checkerboard.grid_shares(-7 * difference + colour), found, atol=1e-9)
    np.testing.assert_allclose(checkerboard.grid_shares(difference[:, [2, 0, 1]]), found, atol=1e-12)
    assert checkerboard.checkerboard(torch.from_numpy(difference).float()) == pytest.approx(found.mean(), abs=1e-6)


def test_borders_and_soft_shapes_are_no_checkerboards():
    """A ramp does not close at the picture's borders and raises both axes of the spectrum; neighbours share that."""
    ramps = [three(COLUMNS), three(ROWS), three(COLUMNS + 2.0 * ROWS), three(np.hypot(ROWS - 30, COLUMNS - 20))]
    for ramp in ramps:
        assert abs(checkerboard.checkerboard(ramp)) < 0.003
    pictures = interface.to_tensor(cutouts.render(cutouts.World(), "test", range(24)).images)
    assert abs(checkerboard.checkerboard(pictures)) < 0.003


def test_every_picture_counts_the_same_however_much_it_changes():
    weak, strong = 1e-3 * three(lattice(4)), 1e3 * RNG(4).normal(size=(1, 3, 64, 64))
    assert checkerboard.checkerboard(np.concatenate([weak, strong])) == pytest.approx(0.5, abs=0.01)


def test_nothing_that_varies_is_zero():
    assert checkerboard.checkerboard(np.zeros((2, 3, 64, 64))) == 0
    assert checkerboard.checkerboard(np.full((2, 3, 64, 64), 0.1)) == 0
    assert checkerboard.checkerboard(np.full((1, 3, 36, 44), 1 / 7)) == 0  # its transform is zero but for rounding
    shares = checkerboard.grid_shares(np.concatenate([three(np.full((64, 64), 0.1)), three(lattice(4))]))
    assert shares.tolist() == pytest.approx([0, 1])


@pytest.mark.parametrize(
    "shape", [(3, 64, 64), (2, 64, 64, 3), (2, 1, 64, 64), (2, 3, 62, 64), (2, 3, 64, 66), (2, 3, 8, 64)]
)
def test_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"difference: found shape .* multiples of 4 and at least 12"):
        checkerboard.checkerboard(np.ones(shape))


def test_refuses_nothing_and_what_is_not_finite():
    with pytest.raises(ValueError, match="found 0 pictures"):
        checkerboard.checkerboard(np.ones((0, 3, 64, 64)))
    with pytest.raises(ValueError, match="finite numbers"):
        checkerboard.checkerboard(np.full((1, 3, 64, 64), np.nan))


def test_patterns_compare_with_a_s_and_name_family_and_seed(monkeypatch):
    """All add a wave of four pixels, as A_S does; A_lenet also a grid that grows with the seed, A_alexnet noise."""
    noise = torch.from_numpy(RNG(5).normal(size=(12, 3, 64, 64))).float()
    grid, common = torch.from_numpy(lattice(4)).float(), torch.from_numpy(3 + 9 * wave(0.25, 0)).float()

    def reconstruct(autoencoder, images):
        family, seed = autoencoder
        return images + common + {"A_S": 0, "lenet": (seed or 0) * grid + noise, "alexnet": noise}[family]

    monkeypatch.setattr(patterns_and_colours.trained_autoencoders, "autoencoder", lambda name, device: ("A_S", None))
    monkeypatch.setattr(
        patterns_and_colours.through_autoencoders, "tuned", lambda family, seed, how, device: (family, seed)
    )
    monkeypatch.setattr(patterns_and_colours.segnet, "reconstruct", reconstruct)
    images = interface.to_tensor(cutouts.render(cutouts.World(), "test", range(12)).images)
    found = patterns_and_colours.patterns(["lenet", "alexnet"], [0, 2], images, RNG(0))
    rows = {(row["name"], row["seed"]): row for row in found.rows}
    expected, share = 255 * checkerboard.amplitude(2 * grid + noise), checkerboard.checkerboard(2 * grid + noise)
    assert rows["LeNet-5", 2]["value"] == pytest.approx(expected, abs=1e-3) and expected > 100
    assert rows["LeNet-5", 2]["share"] == pytest.approx(share, abs=1e-6) and share > 0.3
    assert abs(rows["LeNet-5", 0]["share"]) < 0.003 and rows["AlexNet", 2]["value"] < 0.1 * expected
    assert rows["LeNet-5", 2]["low"] < expected < rows["LeNet-5", 2]["high"]
    assert rows["AlexNet", 0]["group"].endswith(": 4") and rows["LeNet-5", 0]["group"].endswith(": 1")
    assert found.spectra["LeNet-5"][16, 0] > 20 * found.spectra["AlexNet"][16, 0] > 0
    assert found.spectra["LeNet-5"][0, 0] < 1e-3
    assert found.baselines["the pictures themselves"] == 255 * checkerboard.amplitude(images)
    wave_alone = 255 * checkerboard.amplitude(common.expand(12, 3, 64, 64))
    assert found.baselines["A_S minus the picture"] == pytest.approx(wave_alone, rel=1e-3)


def test_the_stride_is_tried_on_vgg_alone(monkeypatch):
    grid, asked = torch.from_numpy(lattice(4)).float(), []

    def autoencoder(name="pretrained", device="cpu"):
        asked.append(name)
        return name.split("-")[0], None

    def reconstruct(autoencoder, images):
        return images + {"pretrained": 0, "vgg": 0.1, "vgg_stride2": 0.2, "vgg_stride4": 0.4}[autoencoder[0]] * grid

    monkeypatch.setattr(patterns_and_colours.trained_autoencoders, "autoencoder", autoencoder)
    monkeypatch.setattr(patterns_and_colours.segnet, "reconstruct", reconstruct)
    rows = patterns_and_colours.strided([0, 1], torch.zeros(8, 3, 64, 64), RNG(0), "rate0.03").rows
    assert [row[0] for row in rows] == ["1", "2", "4"] and asked[4] == "vgg_stride2-1-rate0.03"
    assert {f"autoencoders/{name}" for name in asked} <= {*weights.names("autoencoders")}
    amplitudes = [float(row[1].split()[0]) for row in rows]
    assert amplitudes == pytest.approx([amplitudes[0] * factor for factor in (1, 2, 4)], rel=0.01)
    assert all(row[2].endswith("; 1.000") for row in rows)


# ------------------------------------------------------------------------------------------------ colours


def test_colours_are_those_of_cielab():
    black, red = torch.zeros(1, 3, 4, 4), torch.tensor([1.0, 0, 0]).reshape(1, 3, 1, 1).expand(1, 3, 4, 4)
    rows = patterns_and_colours.colours({"black": black, "both": torch.cat([black, red])}).rows
    assert rows[0] == ("black", "0", "100.0 %", "+0.0", "+0.0", "0")
    assert rows[1] == ("both", "27", "50.0 %", "+40.0", "+33.6", "52")  # half of L 53.2, a 80.1, b 67.2


def test_histograms_are_of_the_clipped_picture_in_cielab():
    """sRGB red is L 53.2, a 80.1, b 67.2, blue L 32.3, a 79.2, b -107.9 (CIE, D65); red and blue swapped fails."""
    red = torch.tensor([1.4, -0.3, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, 8, 8)
    blue = torch.tensor([0.0, 0.0, 1.0]).reshape(1, 3, 1, 1).expand(3, 3, 8, 8)
    found = patterns_and_colours.lab_histograms(torch.cat([red, blue]), 50)
    for channel, (first, second) in {"L": (53.2, 32.3), "a": (80.1, 79.2), "b": (67.2, -107.9)}.items():
        low, high = patterns_and_colours.RANGES[channel]
        where = [int((value - low) / (high - low) * 50) for value in (first, second)]
        assert found[channel].sum() == pytest.approx(1) and len(found[channel]) == 50
        expected = np.zeros(50)
        np.add.at(expected, where, [0.25, 0.75])
        np.testing.assert_allclose(found[channel], expected)
    rows = patterns_and_colours.histogram_rows({"A_S": found})
    assert len(rows) == 150 and rows[50]["channel"] == "a" and rows[50]["from"] == patterns_and_colours.RANGES["a"][0]
    assert sum(row["share"] for row in rows) == pytest.approx(3)


def test_no_colour_lies_beyond_the_ranges():
    values = torch.tensor(np.stack(np.meshgrid(*3 * [np.linspace(0, 1, 9)]))).reshape(1, 3, 27, 27)
    lab = patterns_and_colours.rgb2lab(values[0].permute(1, 2, 0).numpy())
    for k, (low, high) in enumerate(patterns_and_colours.RANGES.values()):
        assert low <= lab[..., k].min() and lab[..., k].max() <= high + 1e-6


def test_shots_zoom_on_the_object(monkeypatch):
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 0.5
    pose = np.array([[10, 50, 12, 0], [0, 0, 12, 0], [63, 30, 12, 0]], np.float32)
    first, second, third = patterns_and_colours.shots({"original": images, "A_S": 1 - images}, [0, 1, 2], pose)
    assert first["box"] == (43, 3, 15) and second["box"] == (0, 0, 15) and third["box"] == (23, 49, 15)
    np.testing.assert_allclose(first["images"]["original"][5, 7], images[0, :, 5, 7].clamp(0, 1))
    np.testing.assert_allclose(third["images"]["A_S"][5, 7], (1 - images[2, :, 5, 7]).clamp(0, 1))
    monkeypatch.setattr(patterns_and_colours.trained_autoencoders, "autoencoder", lambda name, device: 0.1)
    monkeypatch.setattr(
        patterns_and_colours.through_autoencoders,
        "tuned",
        lambda family, seed, how, device: {"lenet": 1, "vgg": 2}[family] + seed,
    )
    monkeypatch.setattr(patterns_and_colours.segnet, "reconstruct", lambda autoencoder, images: images + autoencoder)
    found = patterns_and_colours.gallery(["vgg", "lenet"], 5, images)
    assert list(found) == ["original", "A_S", "A_V", "A_L"]
    added = [float((part - images).mean()) for part in found.values()]
    assert added == pytest.approx([0, 0.1, 7, 6], abs=1e-5)


def test_figures_show_what_they_are_given():
    picture = RNG(0).random((64, 64, 3))
    assert "tuned" in " ".join(text.get_text() for text in plots.pipeline(picture, picture * 2).axes[0].texts)
    spread = {"value": 1.0, "low": 0.5, "high": 1.5}
    rows = [
        {"name": name, "way": way, "seed": seed, "paper": None if name == "b" else -1.0} | spread
        for name in "ab"
        for way in ("on A_S minus original", "on own A_i minus original")
        for seed in (0, 1)
    ]
    figure = plots.table_one(rows)
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in crosses] == [[-1]] and len(figure.axes) == 2
    histograms = {
        name: {c: np.full(50, 0.02) for c in patterns_and_colours.RANGES} for name in ("original", "A_S", "A_L")
    }
    names = [f"A_{k}" for k in range(7)]
    figure = plots.gallery([dict.fromkeys(names, picture)] * 2, across=5)
    labels = [axis.get_xlabel() for axis in figure.axes]
    assert labels == names * 2 and np.ptp([axis.get_position().width for axis in figure.axes]) < 1e-9
    figure = plots.zooms([{"images": dict.fromkeys(names, picture), "box": (3, 9, 15)}] * 2)
    assert len(figure.axes) == 14
    np.testing.assert_array_equal(figure.axes[3].images[0].get_array(), picture[3:18, 9:24])
    figure = plots.histograms(histograms, patterns_and_colours.RANGES)
    assert [axis.get_ylabel() for axis in figure.axes[::3]] == ["A_S", "A_L"]
    found = {axis.get_title(): axis.get_xlim() for axis in figure.axes[:3]}
    assert found == patterns_and_colours.RANGES
    rows = [{"name": name, "group": "g", "seed": seed} | spread for name in "ab" for seed in (0, 1)]
    spectra = {name: checkerboard.spectrum(three(lattice(4)) + 0.1)[0] for name in "ab"}
    figure = plots.checkerboards(spectra, rows, {"originals": 0.1})
    rings = [patch.center for patch in figure.axes[0].patches]
    assert len(rings) == 15 and (32, 32) not in rings  # not the mean
    shown = figure.axes[0].images[0].get_array()
    assert all(shown[y, x] > shown.min() for x, y in rings)  # this pattern has power at all of them
    histories = {seed: {way: [0.1, 0.2] for way in costs.HALVES} for seed in (0, 1)}
    rows = [{"name": way, "seed": seed} | spread for way in costs.HALVES for seed in (0, 1)]
    figure = plots.halves(histories, rows, {"original": 0.9})
    assert len([line for line in figure.axes[0].lines if len(line.get_xdata())]) == 8
    assert [tick.get_text() for tick in figure.axes[1].get_xticklabels()] == ["decoder", "encoder", "both"]
    intervals = [part for one in figure.axes[1].collections for part in one.get_segments()]
    assert len(intervals) == 6 and len(figure.axes[1].lines) == 3 + 1
