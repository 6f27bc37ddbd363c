"""What makes signals differ: rate, length, the places, the pools, the width, the pictures (no paper asks this).

One thing at a time is changed in the tuning of a few decoders of one seed (lib/training/make_signals.py), and everybody
reads what comes out. A signal is its owner's if the owner reads it as well as before and the others do not; how much
the others keep is measured against A_S of the same shape, from which the decoder was tuned.
"""

from typing import NamedTuple

import numpy as np

from lib.experiments.shared import regime, through_autoencoders
from lib.networks import trained_autoencoders, zoo
from lib.record import uncertainty
from lib.record.tables import Table
from lib.worlds import cutouts

SHAPES = {
    "blind": "decoder not told the places",
    "five": "five pools, not three",
    "narrow": "half the maps",
}
PICTURES = {"own": "the classifier's training pictures"}
STEPS = 10_000  # of tuning
EPOCHS = {epoch: 125 * epoch for epoch in (5, 10, 20, 40)}  # states on the way, and how many steps they took


class Setting(NamedTuple):
    """One way to tune: what it is called, what is changed in it, the ending of its decoders, and the A_S it starts
    from."""

    group: str
    name: str
    ending: str
    base: str = "pretrained"


def settings(rate: float = trained_autoencoders.RATE) -> list[Setting]:
    """The chosen way first, then everything that differs from it in one thing."""
    chosen = f"rate{rate:g}"
    found = [Setting("as chosen", f"{rate:g}, {STEPS:,} steps", chosen)]
    found += [Setting("rate", f"{one:g}", f"rate{one:g}") for one in regime.RATES if one != rate]
    found += [
        Setting("length", f"{steps:,} steps on the way", f"{chosen}-epoch{epoch}") for epoch, steps in EPOCHS.items()
    ]
    found += [Setting("length", "gentle: 0.001, until the loss stands", "")]
    found += [Setting("shape", title, f"{chosen}-{but}", f"pretrained-{but}") for but, title in SHAPES.items()]
    return found + [Setting("pictures", title, f"{chosen}-{but}") for but, title in PICTURES.items()]


def chosen(changed, families, retrain: bool = False) -> list[str]:
    """The families whose tuning is changed, of a notebook's `families`. ValueError if there is none, or one for which
    no such decoder is committed, unless they are trained first."""
    names = [family for family in zoo.chosen(changed) if family in families]
    known = names if retrain else trained_autoencoders.CHANGED
    if not names or (lacking := [name for name in names if name not in known]):
        found = ", ".join(lacking) if names else "none of the families"
        raise ValueError(f"changed: found {found}, expected of {', '.join(trained_autoencoders.CHANGED)}")
    return names


def readings(
    families, readers, pictures: cutouts.Batch, generator: np.random.Generator, seed: int = regime.SEED, device="cpu"
) -> list[dict]:
    """For every setting and every family with such a decoder: what its owner and the other readers make of it.

    Rows: group, setting, family, own (accuracy of the owner), base (its accuracy on A_S), kept (mean over the other
    readers of acc(A_i o j) / acc(A_S o j), with the interval low, high over pictures, which all readings share) and
    least (the smallest of these).
    """
    nets, rows, bases = through_autoencoders.zoo_of(readers, seed, device), [], {}
    for setting in settings():
        if setting.base not in bases:
            base = trained_autoencoders.autoencoder(setting.base, device=device)
            bases[setting.base] = through_autoencoders.hits(base, nets, pictures)
        for family in families:
            made = through_autoencoders.tuned(family, seed, setting.ending, device=device)
            both = np.stack([through_autoencoders.hits(made, nets, pictures), bases[setting.base]])
            owner = list(readers).index(family)
            rows.append({"group": setting.group, "setting": setting.name, "family": zoo.TITLES[family]})
            rows[-1] |= kept(*both.mean(-1), owner)
            interval = uncertainty.bootstrap_shares(
                both, lambda mean, owner=owner: kept(*mean, owner)["kept"], generator=generator, draws=1000
            )
            rows[-1] |= {"low": interval.low, "high": interval.high}
    return rows


def kept(accuracy: np.ndarray, base: np.ndarray, owner: int) -> dict[str, float]:
    """How far a signal is its owner's alone: accuracies (k,) of all readers on A_i and on A_S -> own, base, kept,
    least."""
    share = np.delete(accuracy / base, owner)
    found = {"own": accuracy[owner], "base": base[owner], "kept": share.mean(), "least": share.min()}
    return {name: float(value) for name, value in found.items()}


def table(rows: list[dict]) -> Table:
    """A line for every setting: for each family its owner's accuracy on A_S and on A_i, and what others keep."""
    families = list(dict.fromkeys(row["family"] for row in rows))
    head = ("changed", "to", *(f"{family}: own, A_S to A_i; others keep" for family in families))
    lines = {}
    for row in rows:
        share = f"{100 * row['kept']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        text = f"{100 * row['base']:.1f} to {100 * row['own']:.1f} %; {share} %"
        lines.setdefault((row["group"], row["setting"]), {})[row["family"]] = text
    return Table(head, [(*key, *(line.get(family, "") for family in families)) for key, line in lines.items()])
