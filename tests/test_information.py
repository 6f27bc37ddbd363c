"""What notebook 04 measures, on made-up autoencoders and tables whose answer is known, and on wrong versions."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from lib.experiments.n04_information import counted, measures, plots
from lib.methods.signals import checkerboard, mutual_information, total_order
from lib.networks import interface, segnet
from lib.record import uncertainty
from lib.worlds import cutouts

FAMILIES = ("lenet", "alexnet", "vgg", "resnet")
N = 9


class Nothing(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList()

    def forward(self, x):
        return x, []


SEEN = {}  # function -> pictures; not an attribute, which would be a part of the decoder's identity


class Changed(nn.Module):
    """A decoder that changes RGB pictures by a function, and counts how many it saw."""

    def __init__(self, change):
        super().__init__()
        self.change, self.final = change, nn.Conv2d(3, 3, 1)
        SEEN[change] = 0

    @property
    def seen(self) -> int:
        return SEEN[self.change]

    def forward(self, x, places):
        SEEN[self.change] += len(x)
        return self.change(x)


def made_up(name: str, change) -> segnet.Autoencoder:
    return segnet.Autoencoder(name, Nothing(), Changed(change), lambda x: x, lambda x: x, f"digest of {name}")


def stamp(x):
    """Hardly anything of the picture, and the same checkerboard in all."""
    board = torch.arange(64)[:, None] + torch.arange(64)
    return 0.02 * x + 0.8 * (board % 4 / 3)


@pytest.fixture(scope="module")
def pictures() -> cutouts.Batch:
    return cutouts.render(cutouts.World(), "test", range(N))


@pytest.fixture(autouse=True)
def build(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path))


def test_eight_bits_are_rounded_and_clipped():
    images = torch.tensor([-0.2, 0.0, 0.4 / 255, 0.6 / 255, 254.4 / 255, 1.0, 1.7]).reshape(1, 1, 1, 7)
    assert counted.eight_bit(images).ravel().tolist() == [0, 0, 0, 1, 254, 255, 255]


def test_intra_is_about_one_picture_and_inter_about_two(pictures):
    same = counted.measure(made_up("same", lambda x: x), pictures, (32, 256), 2)
    none = counted.measure(None, pictures, (32, 256), 2)
    one, two = (part.reshape(-1, 4096) for part in (originals(pictures)[0:8:2], originals(pictures)[1:8:2]))
    for bins in (32, 256):
        assert same.intra[bins].values == pytest.approx(1) and same.intra[bins].values.shape == (N, 3)
        assert same.inter[bins].values.shape == (N // 2, 3)
        assert same.inter[bins].values.ravel() == pytest.approx(mutual_information.nmi(one, two, bins))
        assert np.array_equal(none.inter[bins].values, same.inter[bins].values)
    stamped = counted.measure(made_up("stamp", stamp), pictures, (32, 256), 2)
    for bins in (32, 256):
        assert measures.mean(stamped.inter[bins]) > measures.mean(stamped.intra[bins]) + 0.2
        assert measures.mean(same.intra[bins]) > measures.mean(same.inter[bins]) + 0.5
    assert stamped.adjusted["inter"].values.min() > stamped.adjusted["intra"].values.max()


def test_reconstructions_of_other_pictures_preserve_less(pictures):
    right = counted.measure(made_up("right", lambda x: 0.9 * x), pictures, (32,), 2)
    wrong = counted.measure(made_up("wrong", lambda x: 0.9 * x.roll(1, 0)), pictures, (32,), 2)
    assert measures.mean(right.intra[32]) > 0.8 > 0.2 > measures.mean(wrong.intra[32])


def originals(pictures: cutouts.Batch) -> np.ndarray:
    return np.ascontiguousarray(pictures.images.transpose(0, 3, 1, 2))


def test_every_picture_is_reconstructed_once_and_kept(pictures):
    made = made_up("counted", lambda x: x)
    first = counted.measure(made, pictures, (32, 256), 4)
    assert made.decoder.seen == N
    again = counted.measure(made, pictures, (32, 256), 4)
    assert made.decoder.seen == N and again.inter[256].defined.dtype == bool
    assert np.array_equal(first.inter[256].values, again.inter[256].values)
    fewer = cutouts.Batch(*(part[:4] for part in pictures))
    assert counted.measure(made, fewer, (32,), 2).intra[32].values.shape == (4, 3)
    assert made.decoder.seen == N + 4
    assert len(counted.measure(made_up("odd", lambda x: x), pictures, (32,), 5).adjusted["inter"].values) == 2
    assert len(counted.measure(made_up("all", lambda x: x), pictures, (32,), 99).adjusted["intra"].values) == N - 1
    assert first.adjusted["intra"].values.shape == (4, 3) and first.adjusted["inter"].values.shape == (2, 3)


def test_what_is_kept_belongs_to_one_autoencoder_some_pictures_and_some_bins(pictures):
    same = counted.measure(made_up("one", lambda x: x), pictures, (32,), 2)
    half = counted.measure(made_up("two", lambda x: 0.5 * x), pictures, (32,), 2)
    assert measures.mean(half.intra[32]) < measures.mean(same.intra[32])
    turned = cutouts.Batch(*(part[::-1].copy() for part in pictures))
    found = counted.measure(made_up("two", lambda x: 0.5 * x), turned, (32,), 2)
    assert found.intra[32].values == pytest.approx(half.intra[32].values[::-1])
    both = counted.measure(made_up("two", lambda x: 0.5 * x), pictures, (32, 256), 2)
    assert set(both.intra) == {32, 256} and len(both.adjusted["intra"].values) == 2
    assert len(counted.measure(made_up("two", lambda x: 0.5 * x), pictures, (32,), 4).adjusted["intra"].values) == 4


def test_collect_asks_for_every_autoencoder_and_reconstructs_the_first_once(pictures, monkeypatch):
    base = made_up("A_S", lambda x: x)
    monkeypatch.setattr(counted.through_autoencoders, "first", lambda families, device: base)

    def tuned(family, seed, how="", device="cpu"):
        return made_up(f"{family}-{seed} {how}", lambda x: stamp(x) if how else x)

    monkeypatch.setattr(counted.through_autoencoders, "tuned", tuned)
    found = counted.collect(["vgg", "lenet"], [0, 2], pictures, (32,), 2)
    assert set(found) == {("none", 0), ("A_S", 0), ("vgg", 0), ("vgg", 2), ("lenet", 0), ("lenet", 2)}
    assert base.decoder.seen == N and found["A_S", 0].checkerboard == 0 == found["none", 0].checkerboard
    assert np.array_equal(found["none", 0].inter[32].values, found["vgg", 0].inter[32].values)
    later = counted.collect(["vgg"], [0], pictures, (32,), 2, how="rate1")
    assert later["vgg", 0].checkerboard > 0.5 > 0.3 > measures.mean(later["vgg", 0].intra[32])


def test_the_checkerboard_index_is_that_of_the_difference_to_the_first(pictures):
    images = interface.to_tensor(pictures.images)
    plain = counted.measure(made_up("a", lambda x: x), pictures, (32,), 2, ("A_S", lambda: images))
    board = counted.measure(made_up("b", stamp), pictures, (32,), 2, ("A_S", lambda: 0.02 * images))
    assert plain.checkerboard == 0 and board.checkerboard > 0.9
    assert board.strength == pytest.approx(255 * 0.8 * np.sqrt(np.mean([0, 1 / 9, 4 / 9, 1])), rel=1e-4)
    changed = counted.measure(made_up("b", stamp), pictures, (32,), 2, ("other", lambda: stamp(images)))
    assert changed.checkerboard == 0 == counted.measure(made_up("b", stamp), pictures, (32,), 2).checkerboard
    other = torch.rand(N, 3, 64, 64, generator=torch.manual_seed(0))
    difference = (stamp(images) - other).numpy().astype(np.float64)
    expected = [checkerboard.checkerboard(difference), 255 * checkerboard.amplitude(difference)]
    expected.append(255 * np.sqrt((difference**2).mean()))
    assert 0 == plain.amplitude < board.amplitude < board.strength  # which holds the change of the mean too
    assert counted.pattern(stamp(images), other, batch=4) == pytest.approx(expected)  # parts of 4, 4 and 1


def test_a_flat_reconstruction_is_left_out_and_counted(pictures):
    def flat(x):
        return torch.where(torch.arange(len(x))[:, None, None, None] == 2, torch.tensor(0.5), x)

    found = {("A_S", 0): counted.measure(made_up("flat", flat), pictures, (32,), 2)}
    rows = {row["group"]: row for row in measures.levels(found, 32)}
    assert (rows["intra"]["constant"], rows["intra"]["n"], rows["intra"]["value"]) == (3, N - 1, pytest.approx(1))
    assert (rows["inter"]["constant"], rows["inter"]["n"]) == (3, N // 2 - 1)
    assert all(np.isfinite([row["value"], row["sd"]]).all() for row in rows.values())
    assert measures.intra(32)(found["A_S", 0]) == pytest.approx(1)  # not 8 / 9


# ------------------------------------------------------------------------------------------- C6 and C7


def scores(value: float) -> mutual_information.Scores:
    return mutual_information.Scores(np.full((4, 3), value), np.ones((4, 3), bool))


def zoo_with(intra, inter, index, seeds=(0, 1)) -> dict:
    """Readings of A_i whose means are given, one number a family; another seed adds a little."""
    base = counted.Information(
        {32: scores(0.9)}, {32: scores(0.1)}, dict.fromkeys(("intra", "inter"), scores(0.5)), 0.0
    )
    found = {("none", 0): base, ("A_S", 0): base}
    for seed, (k, family) in itertools.product(seeds, enumerate(FAMILIES)):
        a, b = ({32: scores(part[k] + 0.001 * seed)} for part in (intra, inter))
        adjusted = {"intra": a[32], "inter": b[32]}
        found[family, seed] = counted.Information(a, b, adjusted, 0.5 - 0.1 * k, index[k] + 0.001 * seed)
    return found


UP, DOWN = (0.1, 0.2, 0.3, 0.4), (0.4, 0.3, 0.2, 0.1)
SIGNALS = np.array(
    [[1, 0.2, 0.2, 0.2], [0.8, 1, 0.3, 0.3], [0.8, 0.8, 1, 0.4], [0.9, 0.9, 0.9, 1]]
)  # rows: 1 < 2 < 3 < 4


def test_c6_compares_the_rows_of_the_table_with_intra():
    rrc = {0: SIGNALS, 1: SIGNALS}
    found = measures.preserved(zoo_with(UP, DOWN, DOWN), FAMILIES, rrc, measures.intra(32))
    assert found["value"] == 1 and found["n"] == 4 and [one["value"] for one in found["seeds"]] == [1, 1]
    exact = uncertainty.tau_exact([1, 2, 3, 4], UP)
    assert found["interval"] == exact.interval and found["null"] == exact.null
    wrong = {seed: table.T for seed, table in rrc.items()}
    assert measures.preserved(zoo_with(UP, DOWN, DOWN), FAMILIES, wrong, measures.intra(32))["value"] == -1
    assert measures.preserved(zoo_with(DOWN, UP, UP), FAMILIES, rrc, measures.intra(32))["value"] == -1


def test_c6_averages_rrc_and_nmi_over_seeds_and_shows_each():
    rrc = {0: SIGNALS, 1: SIGNALS[::-1, ::-1]}  # the second seed has the opposite order
    found = zoo_with(UP, UP, UP)
    assert [one["value"] for one in measures.preserved(found, FAMILIES, rrc, measures.intra(32))["seeds"]] == [
        1,
        -1,
    ]
    strong = {0: SIGNALS, 1: 0.9 * SIGNALS[::-1, ::-1] + 0.1}
    mean = measures.preserved(found, FAMILIES, strong, measures.intra(32))["value"]
    expected = total_order.readability((strong[0] + strong[1]) / 2)
    assert mean == uncertainty.tau_exact(expected, UP).value


def test_c6_averages_rrc_before_it_is_capped():
    first = np.full((4, 4), 0.7)
    second = first.copy()
    first[3], second[3] = 1.9, 0.3  # 1.1 on average, read by all; capped first it would be 0.65, the least readable
    first[1], first[2], second[1], second[2] = 0.8, 0.9, 0.8, 0.9
    found = measures.preserved(zoo_with(UP, DOWN, DOWN), FAMILIES, {0: first, 1: second}, measures.intra(32))
    assert found["value"] == 1


def test_c6_names_the_chain_at_its_threshold_where_there_is_one():
    found = zoo_with(UP, UP, UP)
    ((name, named),) = measures.preserved(found, FAMILIES, {0: SIGNALS, 1: SIGNALS}, measures.intra(32))[
        "named"
    ].items()
    assert name == "tau with the chain at t = 0.8" and named[0] == 1
    broken = SIGNALS.copy()
    broken[0, 1], broken[1, 0] = 0.2, 0.2
    broken[1, 2] = 0.9
    assert measures.chain(broken, 0.8) is None
    assert "named" not in measures.preserved(found, FAMILIES, {0: broken, 1: broken}, measures.intra(32))
    assert measures.chain(np.ones((4, 4)), 0.8) is None  # a chain that orders nothing
    assert measures.chain(SIGNALS, 0.8).tolist() == [1, 2, 3, 4]


def test_c6_on_the_papers_own_values():  # data/claims.yaml, C6
    assert measures.paper() == {
        "tau with surplus": 0.6,
        "tau with readability": 1.0,
        "tau with the chain at t = 0.8": 0.6,
    }
    assert measures.chain(total_order.rrc(total_order.PAPER_TABLE), 0.9) is None


def test_c6_takes_off_what_equal_losses_give():
    own = np.array([0.6, 0.7, 0.8, 0.9])
    table = np.where(np.eye(4, dtype=bool), own, 0.8 * own)
    hits = {s: np.random.default_rng(s).random((4, 4, 5000)) < table[..., None] for s in (0, 1)}
    found = zoo_with(DOWN, UP, UP)  # intra nMI falls with accuracy, as readability does where all losses are equal
    rrc = {seed: total_order.rrc(one.mean(-1)) for seed, one in hits.items()}
    assert measures.preserved(found, FAMILIES, rrc, measures.intra(32))["value"] == 1  # "they agree", it said
    result = measures.beyond_equal_loss(found, FAMILIES, hits, measures.intra(32), np.random.default_rng(0))
    assert (
        result["named"]["tau-b of readability itself"][0] == 1
        and result["named"]["tau-b that equal losses give"][0] > 0.9
    )
    assert result["interval"][0] < 0 and len(result["seeds"]) == 2


def test_c7_compares_the_amplitude_with_inter_and_names_the_share():
    found = measures.patterns(zoo_with(DOWN, UP, UP), FAMILIES, measures.inter(32))
    assert found["value"] == 1 and [one["value"] for one in found["seeds"]] == [1, 1] and found["n"] == 4
    assert found["named"]["tau-b with the grid's share of the change"][0] == -1
    assert measures.patterns(zoo_with(UP, DOWN, UP), FAMILIES, measures.inter(32))["value"] == -1


def test_all_of_one_kind_have_no_order():
    found = measures.patterns(zoo_with(UP, (0.1, 0.1, 0.1, 0.1), UP), FAMILIES, measures.inter(32))
    assert found["value"] == 0 and found["interval"] == (-1, 1) and all(one["value"] == 0 for one in found["seeds"])
    with pytest.raises(ValueError, match="expected the same in both readings"):
        measures.agreement({0: np.arange(4)}, {0: np.arange(4), 1: np.arange(4)})


def test_tables_and_points_show_what_the_claims_judge():
    rrc, found = {0: SIGNALS, 1: SIGNALS}, zoo_with(UP, (0.1, 0.3, 0.2, 0.4), UP)
    first, *_ = rows = measures.measures({key: doubled(one) for key, one in found.items()}, FAMILIES, rrc, 32)
    assert first == ("nMI, 32 bins", "R > V > A > L", "1.00 (1.00, 1.00)", "R > A > V > L", "0.67 (0.67, 0.67)")
    names = ["nMI, 32 bins", "nMI, 256 bins", "nMI, 32 bins, 4 pictures", "adjusted, 32 bins, 4 pictures"]
    assert [row[0] for row in rows] == names
    other = found | {("vgg", 0): found["vgg", 0]._replace(adjusted={"intra": scores(0.9), "inter": scores(0.9)})}
    rows = measures.measures({key: doubled(one) for key, one in other.items()}, FAMILIES, rrc, 32)
    assert [row[1][0] for row in rows] == ["R", "R", "R", "V"] and [row[3][0] for row in rows] == ["R", "R", "R", "V"]
    late = mutual_information.Scores(np.r_[np.full((4, 3), 0.05), np.full((9, 3), 0.9)], np.ones((13, 3), bool))
    for seed in (0, 1):  # high only beyond the first pictures
        other["alexnet", seed] = found["alexnet", seed]._replace(intra={32: late})
    rows = measures.measures({key: doubled(one) for key, one in other.items()}, FAMILIES, rrc, 32)
    assert [row[1][0] for row in rows[:3]] == ["A", "A", "R"]
    points = {(row["letter"], row["seed"]): row for row in measures.points(found, FAMILIES, rrc, 32)}
    assert len(points) == 12 and points["V", "all"]["intra"] == pytest.approx(0.3005)
    assert points["V", 1]["amplitude"] == pytest.approx(0.301) and points["A", 0]["inter"] == pytest.approx(0.3)
    assert points["L", "all"]["readability"] == pytest.approx(0.2) and not points["L", 0]["coarse"]
    assert points["A", 0]["coarse"] and points["R", 0]["coarse"]


def test_growth_follows_each_decoder_from_a_s_on(monkeypatch, pictures):
    made = {"rate0.01-epoch5": zoo_with(DOWN, UP, UP, (3,)), "rate0.01": zoo_with(UP, UP, UP, (3,))}
    other = zoo_with(UP, DOWN, UP, (3,))
    collect = lambda families, seeds, pictures, bins, n, how, device: made.get(how, other)  # noqa: E731
    monkeypatch.setattr(counted, "collect", collect)
    whole = np.random.default_rng(0).random((4, 4, 200)) < SIGNALS[..., None] / SIGNALS.max()
    monkeypatch.setattr(measures.through_autoencoders, "table", lambda *_, **__: whole)
    monkeypatch.setitem(measures.tunings.TUNINGS, "default", measures.tunings.Tuning("rate0.01", FAMILIES, (3,)))
    states = measures.states(FAMILIES, pictures, 32, 3)
    assert [state.steps for state in states] == [625, 1250, 2500, 5000, 10000]
    rows = [row for row in measures.growth(states, FAMILIES, 32) if row["family"] == "vgg"]
    assert [row["steps"] for row in rows] == [0, 625, 1250, 2500, 5000, 10000]
    assert [row["intra"] for row in rows][:2] == pytest.approx([0.9, 0.203]) and rows[-1]["intra"] == pytest.approx(
        0.303
    )
    assert rows[0]["inter"] == pytest.approx(0.1) and rows[-1]["inter"] == pytest.approx(0.303)
    table = measures.stages(states, FAMILIES, 32)
    assert [row[0] for row in table] == ["625 steps", "1,250 steps", "2,500 steps", "5,000 steps", "10,000 steps"]
    assert table[0][1] == "L > A > V > R" and table[-1][1] == "R > V > A > L" and table[0][4] == "1.00"
    assert float(table[0][2]) == -float(table[-1][2]) != 0
    grids = measures.grids(made["rate0.01"], FAMILIES, 32)
    assert len(grids) == 4 and grids[0]["letter"] == "L" and grids[0]["seed"] == 3
    assert grids[0]["amplitude"] == pytest.approx(0.103) and grids[0]["value"] == pytest.approx(0.103)


def test_a_checkerboard_that_is_strong_enough_raises_inter_nmi(pictures):
    rows = measures.stamped(made_up("A_S", lambda x: x), pictures.images, (0, 4, 64), 32)
    expected = measures.mean(mutual_information.inter(originals(pictures)))
    assert rows[0]["value"] == pytest.approx(expected) and rows[2]["value"] > expected + 0.05
    assert [row["amplitude"] for row in rows] == [0, 4, 64] and abs(rows[1]["value"] - expected) < 0.02


def doubled(one):
    return one._replace(intra=one.intra | {256: one.intra[32]}, inter=one.inter | {256: one.inter[32]})


# --------------------------------------------------------------------------------------- the notebook's rest


def test_recoloured_pictures_lose_nothing_at_the_chosen_bins_and_at_all(pictures):
    one = originals(pictures)[0]
    other = measures.recoloured(one, np.random.default_rng(0), 32)
    for bins in (32, 256):
        assert mutual_information.of_pictures(one[None], other[None], bins).values == pytest.approx(1)
    assert other.dtype == np.uint8 and (other != one).mean() > 0.8
    shown = measures.partners(originals(pictures), 32, np.random.default_rng(0))
    values = {row["name"]: row["value"] for row in shown}
    assert [values[name] for name in ("itself", "its negative", "levels dealt anew")] == pytest.approx([1, 1, 1])
    assert 0.5 > values["moved by a pixel"] > values["pixels shuffled"]
    assert all(row["joint"].shape == (32, 32) and row["joint"].sum() == 4096 for row in shown)
    green = np.bincount(mutual_information.level(originals(pictures)[0, 1].ravel(), 32), minlength=32)
    assert all(np.array_equal(row["joint"].sum(1), green) for row in shown)


def test_baselines_rise_with_the_bins_unless_adjusted(pictures):
    rows = measures.baselines(originals(pictures)[:2], (8, 256), np.random.default_rng(0))
    value = {(row["name"], row["bins"], row["group"]): row["value"] for row in rows}
    for name in ("pixels shuffled", "another picture"):
        assert value[name, 256, "nMI"] > value[name, 8, "nMI"] + 0.1
    assert abs(value["pixels shuffled", 256, "adjusted"]) < 0.01
    assert value["identical", 8, "nMI"] == pytest.approx(1) == value["identical", 256, "adjusted"]


def test_the_summary_tells_channels_apart_and_puts_the_paper_beside():
    values = np.tile([0.1, 0.2, 0.6], (5, 1))
    made = counted.Information({32: mutual_information.Scores(values, values > 0)}, {32: scores(0.25)}, {}, 0.0)
    found = {("none", 0): made, ("A_S", 0): made, ("vgg", 0): made, ("vgg", 1): made, ("convnext", 0): made}
    found["vgg", 1] = made._replace(inter={32: scores(0.35)})
    rows = measures.summary(found, ("vgg", "convnext"), 32)
    assert rows[1] == ("A_S", "0.300", "0.100", "0.200", "0.600", "0.250", "0.400", "0.057")
    assert rows[0][6:] == ("", "0.060") and rows[3][6:] == ("", "")
    assert rows[2] == ("A_V", "0.300", "0.100", "0.200", "0.600", "0.300", "0.270", "0.056")


def test_figures_can_be_drawn(pictures):
    rrc, found = {0: SIGNALS, 1: SIGNALS}, zoo_with(UP, DOWN, UP)
    made = pictures.images[:2]
    group = {"title": "A_V", "pictures": made, "made": made, "intra": [1.0, 1.0], "inter": 0.1}
    drawn = [plots.pairs([group, group])]
    drawn += [plots.partners(measures.partners(originals(pictures), 32, np.random.default_rng(0)))]
    found.pop(("none", 0))
    drawn += [plots.levels(measures.levels(found, 32), {"A_S": (0.4, 0.1), "none": (None, 0.1)})]
    panel = {"x": "readability", "y": "intra", "xlabel": "x", "ylabel": "y", "title": "C6"}
    drawn += [plots.agreement(measures.points(found, FAMILIES, rrc, 32), [panel])]
    rows = [{"family": "vgg", "steps": steps, "intra": 0.5, "inter": 0.1} for steps in (0, 625, 10_000)]
    drawn += [plots.growth(rows, {"vgg": "VGG-BN"})]
    rows = [{"amplitude": a, "value": 0.1 + 0.01 * a, "sd": 0.02} for a in (0, 1, 8)]
    grids = [{"letter": "V", "seed": 0, "amplitude": 2.0, "value": 0.1}]
    drawn += [plots.stamp(rows, grids, 0.05)]
    for figure in drawn:
        figure.canvas.draw()
    assert [len(figure.axes) for figure in drawn] == [24, 12, 2, 1, 2, 1]
