"""The four small experiments measure what they name, on pictures and networks whose answer is known."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from lib.experiments.n05_noise import four_findings
from lib.networks import catalogue, interface, zoo
from lib.record import uncertainty
from lib.worlds import cutouts

IMAGES = np.random.default_rng(5).integers(0, 256, (3, 64, 64, 3), np.uint8)
BATCH = cutouts.Batch(IMAGES, np.array([1, 4, 4]), None, None, None)


@pytest.fixture
def generator():
    return np.random.default_rng(0)


# ------------------------------------------------------------------------------------------------ local structure


def patches(images: np.ndarray, side: int) -> list[list[list[tuple]]]:
    """For each picture its patches, row after row, each the list of its pixels (slow and plain, the oracle)."""
    found = []
    for image in images:
        corners = [(y, x) for y in range(0, 64, side) for x in range(0, 64, side)]
        blocks = [image[y : y + side, x : x + side].reshape(-1, 3).tolist() for y, x in corners]
        found.append([[tuple(pixel) for pixel in block] for block in blocks])
    return found


@pytest.mark.parametrize("side", [2, 4, 8])
def test_pixels_are_shuffled_inside_their_patch_each_in_its_own_order(side):
    before, after = (patches(x, side) for x in (IMAGES, four_findings.shuffled(IMAGES, side, 0)))
    orders = set()
    for one, other in zip(before, after, strict=True):
        for old, new in zip(one, other, strict=True):
            assert sorted(old) == sorted(new)  # the same pixels, colours kept together
            orders.add(tuple(old.index(pixel) for pixel in new))
    assert len(orders) > (20 if side == 2 else 150)  # patches differ (four pixels have 24 orders)
    if side > 2:
        assert (
            sum(a == b for one, other in zip(before, after, strict=True) for a, b in zip(one, other, strict=True)) == 0
        )


@pytest.mark.parametrize("side", [8, 16, 32])
def test_patches_are_shuffled_whole(side):
    before, after = (patches(x, side) for x in (IMAGES, four_findings.shuffled(IMAGES, side, 0, inside=False)))
    for old, new in zip(before, after, strict=True):
        assert sorted(old) == sorted(new)
    assert before != after
    orders = [[old.index(patch) for patch in new] for old, new in zip(before, after, strict=True)]
    if side < 32:  # with four patches two pictures may well share an order
        assert len({tuple(order) for order in orders}) == 3


def test_shuffling_belongs_to_the_picture_and_leaves_what_has_one_place():
    whole = four_findings.shuffled(IMAGES, 4, 1)
    assert np.array_equal(whole[1:2], four_findings.shuffled(IMAGES[1:2], 4, 1))
    assert np.array_equal(whole[::-1], four_findings.shuffled(IMAGES[::-1], 4, 1))
    assert not np.array_equal(whole, four_findings.shuffled(IMAGES, 4, 2))
    for kind, sides in four_findings.SIDES.items():
        assert np.array_equal(four_findings.shuffled(IMAGES, sides[0], 0, kind.startswith("pixels")), IMAGES)
    for side in (0, 5, 128):
        with pytest.raises(ValueError, match="expected a divisor"):
            four_findings.shuffled(IMAGES, side, 0)


def test_shuffled_pictures_are_read_by_every_network(monkeypatch):
    nets = {(f, s): catalogue.load(f, weights=False, seed=s) for f in ("lenet", "alexnet") for s in (0, 1)}
    monkeypatch.setattr(zoo, "network", lambda family, seed, device: nets[family, seed])
    found = four_findings.local_structure(["lenet", "alexnet"], [0, 1], BATCH, 3)
    assert list(found) == [(kind, side) for kind, sides in four_findings.SIDES.items() for side in sides]
    for (kind, side), inside in ((("pixels inside patches", 4), True), (("patches among themselves", 8), False)):
        images = interface.to_tensor(four_findings.shuffled(IMAGES, side, 3, inside))
        expected = interface.scores(nets["alexnet", 1], images).argmax(1).numpy() == BATCH.labels
        assert np.array_equal(found[kind, side][1, 1], expected)
    rows = four_findings.local_rows(["lenet", "alexnet"], [0, 1], found)
    assert len(rows) == 8 * 4 and {row["x"] for row in rows if "inside" in row["panel"]} == {"1", "2", "4", "8"}


def test_alexnet_is_compared_with_the_mean_of_the_others(generator):
    found = {}
    for kind, sides in four_findings.SIDES.items():
        for k, side in enumerate(sides):
            hits = np.ones((3, 2, 40), bool)
            hits[1, :, : 10 * k] = False  # alexnet loses a quarter a step
            hits[2, :, 40 - 4 * k :] = False  # one of the others loses a tenth a step
            found[kind, side] = hits
    lines = four_findings.local_losses(["lenet", "alexnet", "vgg"], found, generator).rows
    assert [line[0] for line in lines][:2] == ["pixels inside patches, side 2", "pixels inside patches, side 4"]
    assert lines[1][1:3] == ("0.500", "0.100") and lines[1][3].startswith("0.400 [0.")
    for families in (["lenet", "vgg"], ["alexnet"]):
        with pytest.raises(ValueError, match="expected alexnet and at least one other"):
            four_findings.local_losses(families, found, generator)


# -------------------------------------------------------------------------------------------------- shallow layers


def test_parts_carry_the_papers_names():
    names = {family: [name for name, _ in zoo.build(family).named_children()] for family in zoo.FAMILIES}
    assert [four_findings.part_of(n) for n in names["vgg"] if n[-1].isdigit()][:4] == [
        "conv1",
        "conv1",
        "conv2",
        "conv2",
    ]
    assert four_findings.part_of("down3") == "conv3" and four_findings.part_of("fc8") == "fc8"
    parts = {
        family: list(four_findings.sensitivity(catalogue.load(family, weights=False), BATCH, 0.1, 1))
        for family in names
    }
    assert parts["alexnet"] == parts["vgg"] == list(four_findings.PARTS)
    assert parts["lenet"] == ["conv1", "conv2", "fc6", "fc7", "fc8"]
    assert parts["resnet"] == parts["inception"] == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc8"]
    assert parts["convnext"] == ["conv1", "conv2", "conv3", "conv4", "fc8"]


def bits(model: nn.Module) -> dict:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def test_only_the_perturbed_layer_changes_and_comes_back():
    model = zoo.build("vgg")
    before, draws = bits(model), torch.Generator().manual_seed(0)
    with four_findings.perturbed(model.conv3_2.conv, 0.5, draws):
        after = bits(model)
    assert [name for name in before if before[name] != after[name]] == ["conv3_2.conv.weight"]
    assert bits(model) == before
    with pytest.raises(RuntimeError, match="stop"), four_findings.perturbed(model.fc7.fc, 0.5, draws):
        assert bits(model) != before
        raise RuntimeError("stop")
    assert bits(model) == before


def test_noise_is_in_proportion_to_the_spread_of_each_filter():
    layer = nn.Conv2d(40, 3, 9)
    with torch.no_grad():
        layer.weight[0] *= 10
        layer.weight[1] += 5  # the mean does not count
        layer.weight[2] = 1.0  # without spread, no noise
    whole = layer.weight.detach().clone()
    with four_findings.perturbed(layer, 0.5, torch.Generator().manual_seed(0)):
        added = (layer.weight - whole).detach()
    assert added[0].std() / whole[0].std() == pytest.approx(0.5, rel=0.05)
    assert added[1].std() / whole[1].std() == pytest.approx(0.5, rel=0.05)
    assert added[2].abs().max() == 0 and abs(added[0].mean() / added[0].std()) < 0.1
    dense = nn.Linear(500, 2)
    kept = dense.weight.detach().clone()
    with four_findings.perturbed(dense, 2.0, torch.Generator().manual_seed(0)):
        assert ((dense.weight - kept).std(1) / kept.std(1)).tolist() == pytest.approx([2, 2], rel=0.2)


@pytest.mark.parametrize("family", ["lenet", "convnext"])
def test_losses_equal_those_of_a_whole_pass_for_every_layer(family):
    net = catalogue.load(family, weights=False, seed=2)
    images = np.random.default_rng(1).integers(0, 256, (24, 64, 64, 3), np.uint8)
    x = interface.to_tensor(images)
    batch = BATCH._replace(images=images, labels=interface.scores(net, x).argmax(1).numpy())
    draws, expected, before = torch.Generator().manual_seed(5), {}, bits(net.model)
    for path, layer in net.model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            for _ in range(2):
                other = copy.deepcopy(net.model)
                spread = layer.weight.flatten(1).std(1, correction=0).reshape(-1, *[1] * (layer.weight.ndim - 1))
                drawn = torch.randn(layer.weight.shape, generator=draws)
                other.get_submodule(path).weight.data += 1.5 * spread * drawn
                hit = interface.scores(net._replace(model=other), x).argmax(1).numpy() == batch.labels
                expected.setdefault(four_findings.part_of(path.split(".")[0]), []).append(1 - hit.mean())
    found = four_findings.sensitivity(net, batch, 1.5, 2, seed=5)
    assert found == pytest.approx({part: np.mean(lost) for part, lost in expected.items()}, abs=0.02)
    assert max(found.values()) > 0.1 and bits(net.model) == before
    for strength, number in ((0, 1), (-1, 1), (1, 0)):
        with pytest.raises(ValueError, match="expected a positive strength"):
            four_findings.sensitivity(net, batch, strength, number)


def test_the_table_of_shallow_layers_sets_the_first_part_against_the_later_ones(monkeypatch):
    lost = {0: {"conv1": 0.3, "conv2": 0.2, "fc8": 0.0}, 1: {"conv1": 0.1, "conv2": 0.4, "fc8": 0.2}}
    monkeypatch.setattr(zoo, "network", lambda family, seed, device: seed)
    monkeypatch.setattr(four_findings, "sensitivity", lambda net, *a: lost[net])
    rows = four_findings.shallow_rows(["lenet"], [0, 1], BATCH, 0.5, 1)
    assert [(row["name"], row["seed"], row["x"], row["value"]) for row in rows][3] == ("LeNet-5", 1, "conv1", 0.1)
    (line,) = four_findings.shallow_table(rows).rows
    assert line == ("LeNet-5", "0.300, 0.100", "0.100, 0.300", "conv2")


# ---------------------------------------------------------------------------------------------------- coarseness


def wave(row: int, column: int, n: int = 64) -> np.ndarray:
    y, x = np.mgrid[:n, :n]
    return np.cos(2 * np.pi * (row * y + column * x) / n)


def test_the_frequency_of_sinusoids_is_known():
    maps = np.stack([wave(0, 8), wave(8, 0), wave(3, 4), wave(32, 0), wave(32, 32), wave(0, 1) + 100.0, 5 * wave(0, 8)])
    expected = np.array([8, 8, 5, 32, np.hypot(32, 32), 1, 8]) / 64
    assert np.allclose(four_findings.frequency(maps), expected, atol=1e-9)
    mixed = wave(0, 4) + 3 * wave(0, 16)  # powers 1 and 9
    assert four_findings.frequency(mixed[None])[0] == pytest.approx((4 + 9 * 16) / 10 / 64)
    assert four_findings.frequency(wave(0, 4, 32)[None, :16])[0] == pytest.approx(4 / 32)  # not square
    rng = np.random.default_rng(0)
    white = four_findings.frequency(rng.normal(size=(50, 64, 64))).mean()
    square = np.hypot(*(rng.uniform(-0.5, 0.5, (2, 200_000)))).mean()
    assert white == pytest.approx(square, abs=0.003)  # white noise: the mean distance from the centre of a square
    with pytest.raises(ValueError, match="none is constant"):
        four_findings.frequency(np.stack([wave(0, 8), np.full((64, 64), 0.3)]))


def linear(weight: torch.Tensor) -> interface.Network:
    """A network whose scores are weight (10, 3*64*64) times the normalised picture."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(weight.shape[1], 10, bias=False))
    model[1].weight.data = weight
    return interface.wrap(model, name="linear", size=64, preprocess=zoo.preprocess)


def test_relevance_is_of_the_labels_score_and_summed_over_colours():
    weight = torch.randn(10, 3 * 64 * 64, generator=torch.Generator().manual_seed(0))
    net, x = linear(weight), interface.to_tensor(IMAGES)
    kernels = weight[BATCH.labels].reshape(3, 3, 64, 64) / 0.25
    plain = four_findings.relevance(net, x, BATCH.labels, "guided")
    assert np.allclose(plain, kernels.sum(1), rtol=1e-4, atol=1e-4)
    product = four_findings.relevance(net, x, BATCH.labels, "gradient × input")
    assert np.allclose(product, (kernels * (x - 0.5)).sum(1), rtol=1e-4, atol=1e-4)
    assert product.sum((1, 2)) == pytest.approx(  # a linear network's relevance adds up to its score
        interface.scores(net, x)[range(3), BATCH.labels].numpy(), rel=1e-3
    )


def test_rules_differ_only_where_relus_are():
    net, x = catalogue.load("lenet", weights=False), interface.to_tensor(IMAGES)
    maps = [four_findings.relevance(net, x, BATCH.labels, kind) for kind in four_findings.MAPS]
    assert not np.allclose(maps[1], maps[2]) and four_findings.kinds("convnext") == ["gradient × input"]
    assert len(four_findings.kinds("vgg")) == 3


def test_pictures_with_a_constant_map_are_left_out_for_all(monkeypatch, generator):
    n, rng = 12, np.random.default_rng(0)

    def relevance(net, images, labels, kind):
        maps = np.repeat(wave(0, {"alexnet": 4, "vgg": 8, "convnext": 2}[net[0]])[None], n, 0)
        maps = maps + 1e-3 * rng.normal(size=maps.shape)
        if net == ("vgg", 1) and kind == "guided":
            maps[[3, 5]] = 0.0
        return maps

    stages = []
    monkeypatch.setattr(zoo, "network", lambda f, seed, device, stage: stages.append(stage) or (f, seed))
    monkeypatch.setattr(four_findings, "relevance", relevance)
    batch = BATCH._replace(images=np.zeros((n, 64, 64, 3), np.uint8), labels=np.zeros(n, int))
    families = ["vgg", "alexnet", "convnext"]
    found = four_findings.coarseness(families, [0, 1], batch)
    assert len(found) == 7 and all(values.shape == (2, n - 2) for values in found.values())
    rows = four_findings.coarse_rows([0, 1], found, generator)
    assert len(rows) == 14 and rows[0]["value"] == pytest.approx(8 / 64, abs=0.001) and rows[0]["n"] == n - 2
    table = four_findings.coarse_table(families, found, generator)
    assert [line[0] for line in table.rows] == ["AlexNet - VGG-BN", "AlexNet - ConvNeXt"]
    assert table.rows[0][1].startswith("-0.06") and table.rows[1][1].startswith("0.03")
    assert table.rows[1][2:] == ("not defined", "not defined")
    monkeypatch.setattr(four_findings, "relevance", lambda *a: np.zeros((n, 64, 64)))
    with pytest.raises(ValueError, match="on 0 no map is constant"):
        four_findings.coarseness(["vgg"], [0], batch, stage="step0")
    assert set(stages) == {"", "step0"} and stages[-1] == "step0"


def test_maps_are_shown_beside_those_of_inception_if_there_is_one(monkeypatch):
    assert four_findings.other(["lenet", "inception", "alexnet"]) == "inception"
    assert four_findings.other(["alexnet", "vgg"]) == "vgg"
    nets = {family: catalogue.load(family, weights=False) for family in ("alexnet", "lenet")}
    monkeypatch.setattr(zoo, "network", lambda family, seed, device: nets[family])
    rows, titles, numbers = four_findings.maps_beside(["lenet", "alexnet"], 0, BATCH)
    assert len(rows) == 3 and all(len(row) == len(titles) == 7 for row in rows) and len(numbers) == 18
    assert np.array_equal(rows[1][0], IMAGES[1]) and rows[1][4].shape == (64, 64, 3)
    expected = four_findings.relevance(nets["lenet"], interface.to_tensor(IMAGES), BATCH.labels, "deconvnet")
    (one,) = [n for n in numbers if (n["picture"], n["map"], n["network"]) == (2, "deconvnet", nets["lenet"].name)]
    assert one["frequency"] == pytest.approx(four_findings.frequency(expected)[2])
    assert titles[5].startswith("LeNet-5") and "deconvnet" in titles[5]


# ---------------------------------------------------------------------------------------------------------- width


def test_widths_are_compared_on_the_same_pictures(monkeypatch, generator):
    n = 100
    labels = np.arange(n) % 10
    right = {1: 70, 4: 71, 8: 40}  # right in so many pictures, the first ones

    def said(width: int, seed: int) -> np.ndarray:
        return np.eye(10)[np.where(np.arange(n) < right[width] + seed, labels, (labels + 1) % 10)]

    def load(name):
        width, seed = name.removeprefix("answers/alexnet_x").split("-")
        return {"probabilities": torch.from_numpy(said(int(width), int(seed)))}, {}

    batch = BATCH._replace(images=np.zeros((n, 1, 1, 3)), labels=labels)
    monkeypatch.setattr(four_findings.weights, "load", load)
    monkeypatch.setattr(zoo, "network", lambda family, seed, device: (family, seed))
    monkeypatch.setattr(four_findings.answers, "probabilities", lambda net, pictures: said(1, net[1]))
    monkeypatch.setattr(cutouts, "batch", lambda world, split, m: batch if (split, m) == ("test", n) else None)
    found = four_findings.widths([0, 1])
    assert {w: hits.sum(1).tolist() for w, hits in found.items()} == {1: [70, 71], 4: [71, 72], 8: [40, 41]}
    rows = four_findings.width_rows([0, 1], found)
    assert rows[2]["value"] == 0.71 and rows[2]["name"].startswith("×4: ") and rows[2]["n"] == n
    sizes = [float(row["name"].split()[1]) for row in rows[::2]]
    assert sizes[0] < sizes[1] < sizes[2]
    four, eight = four_findings.width_table([0, 1], found, generator).rows
    assert four[:2] == ("×4 - ×1", "0.010, 0.010") and four[2].startswith("0.010 [0.0")
    assert eight[2].startswith("-0.300 [-0.") and eight[3] == "worse, by more than 2 points"


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (-0.01, 0.015, "equal within 2 points"),
        (0.001, 0.019, "equal within 2 points"),
        (-0.03, 0.01, "undecided: neither a difference nor equality within 2 points is shown"),
        (-0.01, 0.03, "undecided: neither a difference nor equality within 2 points is shown"),
        (0.01, 0.04, "better, perhaps by less than 2 points"),
        (0.03, 0.04, "better, by more than 2 points"),
        (-0.04, -0.01, "worse, perhaps by less than 2 points"),
        (-0.05, -0.03, "worse, by more than 2 points"),
    ],
)
def test_equality_is_shown_only_by_an_interval_inside_the_band(low, high, expected):
    assert four_findings.equality(uncertainty.Estimate((low + high) / 2, low, high, 100)) == expected
