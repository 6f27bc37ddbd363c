"""Images made through a generator prior under many settings, and what the primary judge reads in them: what notebooks
12 and 13 measure.

`python -m lib.jobs.prior_images --profile embedded` is the job that fills the cache before notebook 12 runs; a notebook
that finds it empty computes the same pictures itself.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from lib.base import cache
from lib.experiments.shared.class_images import EVALUATION, MODERN, SELECTION, Made
from lib.methods.ascent import generator_prior, maximise, objectives
from lib.networks import control_networks, interface, zoo

RATES = (0.1, 0.3, 0.7, 1.5)  # tried for every layer, on the starts for choosing
NORMS = (None, 1.3, 1.0)  # with each of these caps on the code's length, as multiples of the mean of real codes
FOURIER = tuple(MODERN._replace(rate=rate) for rate in (0.02, 0.05, 0.1, 0.2, 0.4))  # tried for the pixel baseline


class Setting(NamedTuple):
    """How generator_prior.search runs; the defaults are the released code's, the rate is a share of the mean bound."""

    rate: float = 0.3
    sds: float | None = 3.0  # None: no clipping
    decay: float = 0.01
    norm: float | None = None  # None: codes of any length, as released

    @property
    def title(self) -> str:
        return f"rate {self.rate:g}, " + ("any length" if self.norm is None else f"length at most {self.norm:g}")


SETTINGS = {  # what claims G3 and G4 compare; the first is the paper's
    "clipped at 3 sd": Setting(),
    "clipped at 2 sd": Setting(sds=2.0),
    "clipped at 1 sd": Setting(sds=1.0),
    "not clipped": Setting(sds=None),
    "3 sd, no decay": Setting(decay=0.0),
}
OWN_RATES = {  # tried for each of those that are compared; the other bounds get the rate of the first
    "clipped at 3 sd": (0.1, 0.3, 0.7, 1.5, 3.0),
    "not clipped": (0.001, 0.003, 0.01, 0.03, 0.1),
    "3 sd, no decay": (0.1, 0.3, 0.7, 1.5, 3.0),
}


def settings(rates: dict[str, float]) -> dict[str, Setting]:
    """SETTINGS at the rates that were chosen for those of OWN_RATES."""
    first = next(iter(SETTINGS))
    return {name: one._replace(rate=rates.get(name, rates[first])) for name, one in SETTINGS.items()}


class Pair(NamedTuple):
    """A generator prior and the network whose units it is to excite."""

    prior: generator_prior.Prior
    net: interface.Network


def pair(name: str, net: interface.Network, device="cpu") -> Pair:
    """The prior `name` (e.g. "alexnet-0-fc6") for a network, which reads the prior's images at its own size."""
    prior = generator_prior.load(name, device)
    return Pair(prior, interface.resized(net, prior.size, device=device))


def encoder(prior: generator_prior.Prior, device="cpu") -> interface.Network:
    """The network whose code a prior takes: an encoder of lib.training.make_controls, or a network of the zoo."""
    if "-encoder-" in prior.encoder:
        return control_networks.network(prior.encoder, device)
    family, seed = prior.encoder.rsplit("-", 1)
    return zoo.network(family, int(seed), device)


def make(
    pair: Pair, setting: Setting, stream: str, starts: int, steps: int, seed: int, device="cpu", classes=None
) -> Made:
    """`starts` images of every class of the network (or of `classes`, numbers of its scores), kept by content.

    The starts depend on stream and seed alone. The scores before and after are those of the network that is excited.
    """
    prior, net = pair
    targets = np.repeat(np.arange(len(net.classes)) if classes is None else np.asarray(classes), starts)

    def compute() -> dict[str, np.ndarray]:
        draws = torch.Generator().manual_seed(2 * seed + (stream == EVALUATION))
        start = generator_prior.form(prior).start(len(targets), draws).to(device)
        made = maximise.in_batches(partial(run, pair, setting, steps), start, targets.tolist())
        with torch.no_grad():  # not networks.scores, which refuses what codes without bounds lead to
            shown = (prior.generator(start), made.images)
            before, after = (net.model(net.preprocess(images)).cpu().numpy() for images in shown)
        return {"pictures": interface.to_pictures(made.images), "before": before, "after": after}

    about = {"pair": pair, "setting": setting, "stream": stream, "starts": starts, "steps": steps, "seed": seed}
    found = cache.cached("prior_images", about | {"targets": targets, "device": str(device)}, compute)
    return Made(found["pictures"], targets, found["before"], found["after"])


def run(pair: Pair, setting: Setting, steps: int, start: torch.Tensor, units: Sequence[int]) -> maximise.Maximised:
    """One batch: row k of the codes `start` raises the unnormalised score of class units[k]."""
    objective = objectives.score(pair.net, units)
    return generator_prior.search(pair.prior, objective, start, steps=steps, **setting._asdict())


def tried(pairs: dict[int, Pair], judge: Callable[[Made, int], float], *options) -> dict[Setting, float]:
    """{setting: what `judge` says of the images of a training seed on the starts for choosing, mean over seeds}, for
    every rate of RATES with every cap of NORMS; pairs: {training seed: pair}; options: starts, steps, seed, device."""
    return {
        one: float(np.mean([judge(make(pair, one, SELECTION, *options), s) for s, pair in pairs.items()]))
        for one in (Setting(rate, norm=norm) for norm in NORMS for rate in RATES)
    }


def own_rates(pairs: dict[int, Pair], judge: Callable[[Made, int], float], *options) -> dict[str, dict[float, float]]:
    """{setting: {rate: what `judge` says of the images of a training seed on the starts for choosing, mean over seeds}}
    for OWN_RATES; pairs: {training seed: pair}; options: starts, steps, seed, device."""
    found = {}
    for name, rates in OWN_RATES.items():
        tried = {rate: SETTINGS[name]._replace(rate=rate) for rate in rates}
        found[name] = {
            rate: float(np.mean([judge(make(one, setting, SELECTION, *options), s) for s, one in pairs.items()]))
            for rate, setting in tried.items()
        }
    return found


def best(found: dict) -> float:
    """The key with the largest value, the first of equals."""
    return max(found, key=found.get)
