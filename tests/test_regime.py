"""The rule that chooses the rate of tuning sees own readings only, and takes the boldest that costs nearly nothing."""

import numpy as np
import pytest

from lib.base import weights
from lib.experiments.shared import regime
from lib.training import make_signals


def hits(accuracies, n=10_000):
    """(rates, 2, n): right about the first pictures, so that differences are what the accuracies say."""
    return np.stack([[np.arange(n) < round(a * n)] * 2 for a in accuracies])


@pytest.mark.parametrize(
    ("accuracies", "chosen"),
    [
        ((0.80, 0.81, 0.82, 0.816), 3e-2),  # .4 points behind the best
        ((0.80, 0.81, 0.82, 0.814), 1e-2),  # .6
        ((0.82, 0.81, 0.80, 0.79), 1e-3),
        ((0.82, 0.814, 0.816, 0.70), 1e-2),  # bolder than a rate that is too far behind
        ((0.80, 0.80, 0.80, 0.80), 3e-2),
    ],
)
def test_the_boldest_rate_within_half_a_point_of_the_best(accuracies, chosen):
    rates = regime.compared(hits(accuracies), np.random.default_rng(0))
    assert regime.boldest(rates) == chosen
    best = max(accuracies)
    assert [round(one.behind.value, 6) for one in rates] == [round(best - a, 6) for a in accuracies]
    lines = regime.table(rates, "LA").rows
    assert len(lines) == 4 and len(lines[0]) == 5 and lines[0][0] == "0.001"


def test_differences_are_paired_by_picture():
    drawn = np.random.default_rng(1).random((1, 1, 10_000))
    shared = np.broadcast_to(drawn, (2, 6, 10_000)) < np.array([0.8, 0.797])[:, None, None]
    behind = regime.compared(shared, np.random.default_rng(0), (1e-3, 3e-3))[1].behind
    assert behind.high - behind.low < 0.004  # unpaired: .022


def test_own_readings_come_back_from_beside_the_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))
    right = np.random.default_rng(2).random(1001) < 0.8
    job = make_signals.Job("lenet", 0, 0.003)
    info = {"made_by": {"own": 1001}, "own": np.packbits(right).tobytes().hex()}
    weights.save(f"autoencoders/{job.name}", {}, info, half=False)
    assert (regime.own_readings(["lenet"], 0, [0.003])[0, 0] == right).all()
    assert make_signals.RATES == regime.RATES
