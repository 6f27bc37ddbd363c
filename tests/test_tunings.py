"""Which decoders a notebook's parameters name, and what is said where there are none."""

import numpy as np
import pytest

from lib.base import weights
from lib.experiments.shared import regime, tunings
from lib.networks import trained_autoencoders, zoo


def test_the_default_is_the_chosen_rate_and_all_families():
    assert tunings.chosen("default", ["all"], [0, 3]) == (list(zoo.EVERY), f"rate{trained_autoencoders.RATE:g}")
    assert tunings.chosen("gentle", ["all"], [0, 2]) == (list(zoo.FAMILIES), "")
    assert tunings.gentle(["vit", "vgg"]) == ["vgg"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("bold", ["all"], [1]), "tuning is 'bold', expected default or gentle"),
        (("gentle", ["vit"], [1]), "families: found vit, for which no decoder is committed that was tuned the gentle"),
        (("gentle", ["vgg"], [1, 3]), "seeds: found 3, .* expected of 0, 1, 2, or retrain=True"),
        (("default", ["vgg"], [7]), "seeds: found 7"),
        (("default", ["vggg"], [1]), "families holds 'vggg'"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_read(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        tunings.chosen(*given)


def test_what_is_trained_first_need_not_be_committed():
    assert tunings.chosen("gentle", ["vit"], [9], retrain=True) == (["vit"], "")


def test_the_rule_says_again_which_rate_is_the_default():
    rates = regime.compared(regime.own_readings(), np.random.default_rng(0))
    assert regime.boldest(rates) == trained_autoencoders.RATE


def test_every_decoder_of_every_tuning_is_committed():
    there = set(weights.names("autoencoders"))
    for how, families, seeds in tunings.TUNINGS.values():
        ending = f"-{how}" if how else ""
        assert {f"autoencoders/{family}-{seed}{ending}" for family in families for seed in seeds} <= there
