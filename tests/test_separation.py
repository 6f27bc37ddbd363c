"""What makes signals differ: shares of A_S's reading, by hand, and a figure that draws every number."""

import numpy as np
import pytest

from lib.experiments.n03_order import plots
from lib.experiments.shared import regime, separation
from lib.training import make_signals


def test_what_others_keep_is_measured_against_the_same_a_s():
    found = separation.kept(np.array([0.8, 0.3, 0.6]), np.array([0.75, 0.6, 0.8]), owner=0)
    assert found == pytest.approx({"own": 0.8, "base": 0.75, "kept": (0.5 + 0.75) / 2, "least": 0.5})


@pytest.mark.parametrize("rate", regime.RATES)
def test_every_setting_is_one_that_is_trained_and_differs_in_one_thing(rate):
    found = separation.settings(rate)
    trained = {make_signals.Job("f", 0, one, but).name for one in regime.RATES for but in ("", *make_signals.ABLATIONS)}
    trained |= {f"f-0-rate{rate:g}-epoch{epoch}" for epoch in make_signals.KEPT} | {"f-0"}
    assert {"f-0" + (f"-{one.ending}" if one.ending else "") for one in found} <= trained
    assert len({one.ending for one in found}) == len(found) and found[0].ending == f"rate{rate:g}"
    assert {one.base for one in found} == {"pretrained", *(f"pretrained-{but}" for but in make_signals.SHAPES)}


def test_only_families_that_were_tuned_so_are_changed():
    assert separation.chosen(["inception", "alexnet"], ["lenet", "alexnet"]) == ["alexnet"]
    assert separation.chosen(["vgg"], ["vgg"], retrain=True) == ["vgg"]
    with pytest.raises(ValueError, match="changed: found vgg, expected of alexnet, inception"):
        separation.chosen(["vgg", "alexnet"], ["vgg", "alexnet"])
    with pytest.raises(ValueError, match="changed: found none of the families"):
        separation.chosen(["alexnet"], ["lenet", "vgg"])


def test_the_figure_draws_every_number_and_the_table_prints_it():
    rows = [
        {
            "group": group,
            "setting": name,
            "family": family,
            "own": 0.8,
            "base": 0.75,
            "kept": 0.6 + 0.01 * k,
            "low": 0.59,
            "high": 0.65,
            "least": 0.3,
        }
        for k, (group, name) in enumerate((("as chosen", "0.01"), ("rate", "0.001"), ("rate", "0.03")))
        for family in ("AlexNet", "VGG-BN")
    ]
    figure = plots.separation(rows)
    assert [axis.get_title() for axis in figure.axes] == ["AlexNet", "VGG-BN"]
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in dots] == [0.6, 0.61, 0.62]
    heights = [float(line.get_ydata()[0]) for line in dots]
    assert heights[1] - heights[0] > heights[2] - heights[1] > 0  # groups stand apart
    lines = separation.table(rows).rows
    assert lines[1] == ("rate", "0.001", "75.0 to 80.0 %; 61.0 [59.0, 65.0] %", "75.0 to 80.0 %; 61.0 [59.0, 65.0] %")
