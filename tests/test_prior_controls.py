"""The controls of the generator prior: claims G5 to G8 on made-up readings, and what tells a control from a sham."""

import numpy as np
import pytest

from lib.experiments.n13_controls import modified_classes, other_data_and_networks, plots, varied_classes
from lib.experiments.n13_controls.modified_classes import Read, Shown, Units
from lib.experiments.n13_controls.other_data_and_networks import NONE, OWN, PRIOR, WITH, WITHOUT, Search
from lib.experiments.n13_controls.varied_classes import Posed, Seen
from lib.experiments.shared import recognised
from lib.experiments.shared.class_images import Made
from lib.experiments.shared.recognised import Judged
from lib.networks import control_networks, interface, zoo
from lib.record import claims
from lib.worlds import control_worlds, cutouts
from lib.worlds.cutouts import CLASSES, World

TINY = Search(starts=2, steps=3)


@pytest.fixture
def draws():
    return np.random.default_rng(0)


def readings(shares, starts=4, classes=CLASSES):
    """Judged images of ten classes of which each is recognised in the given share of starts by all three judges."""
    targets = np.repeat(np.arange(classes), starts)
    hits = np.tile(np.arange(starts), classes) < np.repeat(np.broadcast_to(shares, classes), starts) * starts - 1e-9
    scores = np.zeros((len(targets), classes))
    read = np.stack([np.eye(classes)[np.where(hits, targets, (targets + 1) % classes)]] * 3)
    return Judged(np.zeros((len(targets), 64, 64, 3), np.uint8), targets, scores, scores, read)


def verdict(name, row):
    entry = claims.part(name)[1]
    keys = {key: row.get(key) for key in ("value", "interval", "named", "seeds")}
    return claims.verdict(entry, **keys)


# ------------------------------------------------------------------------------------------------ G5


def test_each_class_takes_the_half_without_or_with_its_cues():
    def half(number):
        targets = np.repeat(np.arange(10), 2)
        return Made(
            np.full((20, 2, 2, 3), number, np.uint8), targets, np.full((20, 10), number), np.full((20, 10), number)
        )

    without, inside = (other_data_and_networks.halved([half(0), half(1)], which) for which in (False, True))
    assert without.pictures[:, 0, 0, 0].tolist() == [1] * 10 + [0] * 10  # half 0 has the cue values 0 to 4
    assert inside.after[:, 3].tolist() == [0] * 10 + [1] * 10
    assert without.targets.tolist() == np.repeat(np.arange(10), 2).tolist()
    values = [control_worlds.pictures(name, "test", 40).cues for name in control_worlds.HALVES]
    assert values[0].max() == 4 and values[1].min() == 5


def test_ratio_by_hand(draws):
    found = other_data_and_networks.ratio(np.full(10, 0.3), np.full(10, 0.4), draws)
    assert found[:3] == pytest.approx((0.75,) * 3)
    one, other = np.array([1.0, 0] * 5), np.array([1.0, 1] * 5)
    found = other_data_and_networks.ratio(one, other, draws)
    assert found.value == pytest.approx(0.5) and 0.15 < found.low < 0.35 and 0.65 < found.high < 0.85
    assert np.isfinite(
        other_data_and_networks.ratio(one, np.zeros(10), draws)
    ).all()  # refused by no verdict, but by its size
    assert (
        other_data_and_networks.ratio(one, other, draws).value != other_data_and_networks.ratio(other, one, draws).value
    )


def test_transfer_on_made_up_readings(draws):
    shares = {OWN: 0.5, WITHOUT: 0.5, WITH: 0.25, NONE: 0.25}
    found = {name: {s: readings(share) for s in (0, 1, 2)} for name, share in shares.items()}
    row = other_data_and_networks.transfer_ratio(found, draws)
    assert row["value"] == pytest.approx(1) and row["n"] == 10 and len(row["seeds"]) == 3
    assert row["named"]["no prior / own"][0] == pytest.approx(0.5)
    assert row["named"]["score of the own prior"][0] == pytest.approx(0.5)
    assert verdict("G5", row) == "reproduced"
    found[WITHOUT] = found[NONE]
    assert verdict("G5", other_data_and_networks.transfer_ratio(found, draws)) == "not reproduced"
    found[WITHOUT] = {0: readings(0.5), 1: readings(0.5), 2: readings(0.0)}  # one seed disagrees
    assert verdict("G5", other_data_and_networks.transfer_ratio(found, draws)) == "inconclusive"
    rows = other_data_and_networks.transfer_rows(found, draws)
    assert len(rows) == 16 and {row["value"] for row in rows if row["group"] == OWN} == {0.5}


def test_priors_of_halves_are_used_for_an_ordinary_network():
    nets = {0: zoo.network("alexnet", 0)}
    found = other_data_and_networks.transfer(nets, TINY)
    assert list(found) == [OWN, WITHOUT, WITH, NONE]
    one, two = (found[name][0].pictures for name in (WITHOUT, WITH))
    first = other_data_and_networks.made("half1-0-fc6", nets[0], TINY)
    assert (one[:10] == first.pictures[:10]).all() and (two[10:] == first.pictures[10:]).all()
    assert (one != two).any((1, 2, 3)).all()


# ------------------------------------------------------------------------------------------------ G6


def crossed(score):
    """{(encoder, target, seed): readings} from a function of encoder and target."""
    keys = [(e, t, s) for e in ("alexnet", "lenet") for t in ("alexnet", "lenet") for s in (0, 1, 2)]
    return {key: readings(score(*key[:2])) for key in keys}


def test_depth_alone_is_no_interaction(draws):
    """A better prior and an easier target add up to nothing; a match does, and a clash with the sign turned."""
    depth = crossed(lambda encoder, target: 0.25 + 0.5 * (encoder == "alexnet") + 0.25 * (target == "lenet"))
    row = other_data_and_networks.interaction(depth, [0, 1, 2], draws)
    assert row["value"] == pytest.approx(0) and verdict("G6", row) == "not reproduced"
    assert row["named"]["all targets: prior of AlexNet minus of LeNet-5"][0] == pytest.approx(0.5)
    match = crossed(lambda encoder, target: 0.25 + 0.5 * (encoder == target))
    row = other_data_and_networks.interaction(match, [0, 1, 2], draws)
    assert row["value"] == pytest.approx(0.5) and verdict("G6", row) == "reproduced"
    row = other_data_and_networks.interaction(crossed(lambda e, t: 0.25 + 0.5 * (e != t)), [0, 1, 2], draws)
    assert row["value"] == pytest.approx(-0.5)
    assert len(other_data_and_networks.architecture_rows(match, draws)) == 12


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_every_family_is_a_target(family):
    net = zoo.network(family, 0)
    one = other_data_and_networks.made(PRIOR, net, Search(1, 4))
    again = other_data_and_networks.made(PRIOR, net, Search(1, 4))
    assert np.array_equal(one.pictures, again.pictures) and one.pictures.shape == (10, 64, 64, 3)
    own = np.arange(10)
    assert one.after[own, own].mean() > one.before[own, own].mean()


# ------------------------------------------------------------------------------------------------ G7


def units(early, late, starts=2):
    """Units of which the detector fires on these shares of original and modified classes."""
    targets = np.repeat(np.arange(20), starts)
    fires = np.tile(np.arange(starts), 20) < np.where(targets < 10, early, late) * starts - 1e-9
    read = Read(np.zeros((len(targets), 64, 64, 3), np.uint8), targets, fires, targets, fires)
    return Units(read, read._replace(fires=np.zeros_like(fires)))


def test_shift_by_hand():
    targets = np.repeat(np.arange(20), 2)
    hits = (targets >= 10) & (np.arange(40) % 2 == 0)
    hits[0] = True
    assert modified_classes.shift(hits, targets).tolist() == [0.0] + [0.5] * 9
    assert modified_classes.shift(targets < 10, targets).tolist() == [-1.0] * 10
    with pytest.raises(ValueError, match="hold 10 classes, expected each of 0 to 19"):
        modified_classes.shift(hits[:20], targets[:20])


def test_an_ordinary_network_shows_no_modification_and_modified_pictures_do(draws):
    """The statistic on an ordinary network, two starts as if they were two units, and on real modified pictures."""
    ordinary = {0: other_data_and_networks.made(PRIOR, zoo.network("alexnet", 0), Search(2, 8))}
    real = {name: modified_classes.shown(name, 200) for name in control_worlds.MODIFICATIONS}
    sham, true = {}, {}
    for name, one in real.items():
        targets = modified_classes.doubled(ordinary[0], 2)
        assert sorted(targets) == sorted([*range(20)]) and (targets % 10 == ordinary[0].targets).all()
        read = Read(ordinary[0].pictures, targets, modified_classes.fires(name, ordinary[0].pictures), targets, targets)
        sham[name] = {s: Units(read, read) for s in (0, 1, 2)}
        peers = one.pictures._replace(peers=one.pictures.fires)
        true[name] = {s: Units(peers, one.codes) for s in (0, 1, 2)}
        assert (
            one.pictures.fires[one.pictures.targets >= 10].mean() > 0.65
        )  # bgr; mosaic and blur are found nearly always
        assert one.pictures.fires[one.pictures.targets < 10].mean() < (0.5 if name == "bgr" else 0.1)
    row = modified_classes.control(sham, real, ordinary, 2, draws)
    assert abs(row["value"]) < 0.15 and verdict("G7a", row) != "reproduced"
    assert row["named"]["ordinary network, two starts as two units"][0] == pytest.approx(row["value"])
    row = modified_classes.control(true, real, ordinary, 2, draws)
    assert row["value"] > 0.7 and verdict("G7a", row) == "reproduced" and len(row["seeds"]) == 3
    assert row["named"]["blur, read by networks of the other seeds"][0] == pytest.approx(row["named"]["blur"][0])
    assert abs(row["named"]["no prior"][0] - row["named"]["prior, from codes of real pictures"][0]) < 1e-9


def test_blur_is_compared_with_the_smaller_of_the_others(draws):
    found = {"bgr": units(0, 1), "mosaic": units(0, 0.5), "blur": units(0.5, 0.5)}
    found = {name: dict.fromkeys((0, 1, 2), one) for name, one in found.items()}
    row = modified_classes.blur_last(found, draws)
    assert row["value"] == pytest.approx(0.5) and verdict("G7b", row) == "reproduced"
    found["blur"] = {s: units(0, 1) for s in (0, 1, 2)}
    row = modified_classes.blur_last(found, draws)
    assert row["value"] == pytest.approx(-0.5) and verdict("G7b", row) == "not reproduced"
    del found["mosaic"]
    with pytest.raises(ValueError, match="modifications lack mosaic, expected all of bgr, mosaic, blur"):
        modified_classes.blur_last(found, draws)


def test_rows_of_the_control(draws):
    found = {name: {0: units(0, 1), 1: units(0.5, 1)} for name in control_worlds.MODIFICATIONS}
    one = found["bgr"][0]
    real = {name: Shown(one.prior, one.bare, one.prior.fires) for name in found}
    rows = modified_classes.rows(found, real, draws)
    mine = {(row["name"], row["group"]): row["value"] for row in rows if row["panel"] == "blur"}
    assert mine[modified_classes.UNITS, "original"] == 0.25 and mine[modified_classes.UNITS, "modified"] == 1
    assert mine[modified_classes.BARE, "modified"] == 0 and mine[modified_classes.REAL, "modified"] == 1
    assert len(plots.rates(rows, "share").axes) == 3


def test_units_of_a_modified_network_are_read(draws):
    both = modified_classes.units(["mosaic"], [0, 1], TINY)["mosaic"]
    found, net = both[0], control_networks.network("mosaic-1")
    said = interface.scores(net, interface.to_tensor(found.prior.pictures)).argmax(1).numpy()
    assert (found.prior.peers == (said >= 10)).all()
    assert found.prior.targets.tolist() == np.repeat(np.arange(20), 2).tolist()
    assert found.prior.fires.dtype == bool and set(found.prior.says) <= set(range(20))
    assert found.bare.pictures.shape == found.prior.pictures.shape == (40, 64, 64, 3)
    table = modified_classes.says({"mosaic": both})
    assert table.rows[0][0] == "mosaic" and float(table.rows[0][1].split()[0]) > 0.95


# ------------------------------------------------------------------------------------------------ G8


def test_renderings_show_the_mode():
    disc, arrow = (control_worlds.Mode(label, label, 0.0, 14.0) for label in (0, 7))
    turned = [varied_classes.renderings(mode._replace(rotation=90.0), 2) for mode in (disc, arrow)]
    straight = [varied_classes.renderings(mode, 2) for mode in (disc, arrow)]
    assert (turned[0] == straight[0]).mean() > 0.99 and (turned[1] == straight[1]).mean() < 0.97
    larger = varied_classes.renderings(arrow._replace(radius=17.0), 2)
    assert (larger != straight[1]).any((1, 2, 3)).all()
    modes = control_worlds.modes("one_pose")
    shown = np.concatenate([varied_classes.renderings(mode, 4) for mode in modes])
    labels = np.repeat([mode.label for mode in modes], 4)
    assert recognised.judge(shown, labels).mean() > 0.9  # places and turns within what the judges know
    several = [mode for mode in control_worlds.modes("several_shapes") if mode.shape != mode.label]
    shown = np.concatenate([varied_classes.renderings(mode, 2) for mode in several])
    labels = np.repeat([mode.label for mode in several], 2)
    found = varied_classes.judge("several_shapes", shown, labels)
    assert found[0].mean() > 0.85 and recognised.judge(shown, labels)[0].mean() < 0.15
    assert np.array_equal(varied_classes.judge("one_pose", shown, labels), recognised.judge(shown, labels))


def test_nearest_mode_of_the_own_class_by_hand():
    modes, labels = np.array([[0.0, 0], [3, 4], [1, 0]]), np.array([0, 0, 1])
    found = varied_classes.nearest(np.array([[0.0, 0], [3, 3], [0, 0]]), np.array([0, 0, 1]), modes, labels)
    assert found.tolist() == [0, 1, 1]


def test_pose_loss_on_made_up_readings(draws):
    def posed(share, distance):
        one = readings(share)
        return Posed(Made(*one[:4]), one.hits, np.full(len(one.targets), distance))

    names = list(control_worlds.POSES)
    found = dict(
        zip(names, ({s: posed(*p) for s in (0, 1, 2)} for p in ((0.75, 1.0), (0.5, 1.5), (0.75, 2.0))), strict=True)
    )
    one = readings(1.0)
    real = Seen(one.pictures, one.targets, one.hits, np.ones(len(one.targets), bool), np.ones(len(one.targets)))
    weaker = real._replace(hits=readings(0.75).hits)
    seen = dict(zip(names, (real, weaker, real), strict=True))
    row = varied_classes.pose_loss(found, seen, draws)
    assert row["value"] == pytest.approx(0.25) and verdict("G8", row) == "reproduced"
    values = {name: triple[0] for name, triple in row["named"].items()}
    assert values["the same for real pictures"] == pytest.approx(0.25)
    assert values["distance, varied poses minus one"] == pytest.approx(0.5)
    assert values["one minus several shapes"] == 0 and values["distance, several shapes minus one"] == pytest.approx(1)
    assert len(plots.canonical(varied_classes.rows(found, seen, draws)).axes) == 2


def test_images_and_real_pictures_of_a_world():
    found, seen = varied_classes.posed(["one_pose"], [0], TINY, 200)
    one, real = found["one_pose"][0], seen["one_pose"]
    assert real.distances[real.clear].mean() == pytest.approx(1) and real.hits[:, real.clear].mean() > 0.9
    assert real.distances[~real.clear].mean() > 1.1  # other cues lead away from the class
    assert one.distances.shape == (20,) and one.hits.shape == (3, 20) and (one.distances > 0).all()
    with pytest.raises(ValueError, match="n_real is 20, .* of class"):
        varied_classes.posed(["one_pose"], [], TINY, 20)


def test_judges_and_reference():
    table = other_data_and_networks.judges(200)
    assert [row[0] for row in table.rows] == list(cutouts.CUES)
    batch = cutouts.batch(World(), "test", 200)
    hits = recognised.judge(batch.images, batch.cues[:, 0])[0].mean()
    assert table.rows[0][1].startswith(f"{hits:.3f}")
    assert other_data_and_networks.reference(200) == pytest.approx(recognised.judge(batch.images, batch.labels).mean())
