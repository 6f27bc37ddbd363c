"""Controls of the generator prior (notebook 13): another data set (claim G5) and another architecture (G6).

After Nguyen et al. 2016. `python -m lib.jobs.prior_controls --profile embedded` is the job that fills the cache before
the notebook runs (with lib.experiments.n13_controls.modified_classes's images too); a notebook that finds it empty
computes the same pictures itself.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from lib.experiments.n12_prior import of_photographs, searches
from lib.experiments.shared import class_images, recognised
from lib.experiments.shared.class_images import EVALUATION, MODERN, Made
from lib.experiments.shared.recognised import Judged, judged
from lib.methods.ascent import objectives
from lib.networks import interface, zoo
from lib.record import uncertainty
from lib.record.seeds import average, by_student, estimate, recordable
from lib.record.tables import Table, span
from lib.training import make_controls, make_generators
from lib.training.make_generators import Job
from lib.worlds import control_worlds, cutouts
from lib.worlds.cutouts import CLASSES

ENCODERS = ("alexnet", "lenet")  # five convolutions, and two; each of seed 0
PRIOR = "alexnet-0-fc6"  # the generator wherever it is not what varies
LEAST = 1e-3  # a mean score by which another is divided counts as at least this
OWN, WITHOUT, WITH, NONE = "own prior", "half without\nthe class's cues", "half with\nthe class's cues", "no prior"


class Search(NamedTuple):
    """How every image is searched for; clipping and decay are searches.Setting's."""

    starts: int = 2  # a class
    steps: int = 60
    rate: float = 0.3  # first change of the code, as a share of its mean upper bound
    norm: float | None = 1.3  # longest code, as a multiple of the mean of real ones
    seed: int = 0  # of the starts
    device: str = "cpu"


def made(prior: str, net: interface.Network, search: Search) -> Made:
    """Images of every class of `net` through the generator `prior`, kept by content."""
    pair = searches.pair(prior, net, search.device)
    options = (search.starts, search.steps, search.seed, search.device)
    return searches.make(pair, searches.Setting(search.rate, norm=search.norm), EVALUATION, *options)


def painted(net: interface.Network, search: Search) -> Made:
    """Images of every class with as many starts and steps and no prior: Fourier coefficients, jitter (notebook 11)."""
    return class_images.make(net, MODERN, EVALUATION, search.starts, search.steps, search.seed, search.device)


def scores(found: dict[int, Judged], cues=slice(None)) -> dict[int, np.ndarray]:
    """The primary judge's score by class, (classes,) for each key; or that of some of the three cues."""
    return {key: recognised.by_class(one.hits[cues], one.targets) for key, one in found.items()}


def judges(n: int) -> Table:
    """How often each single-cue network names its cue, and the label, on `n` test pictures; Wilson intervals."""
    batch, rows = cutouts.batch(cutouts.World(), "test", n), []
    said = recognised.read(batch.images).argmax(2)
    for k, cue in enumerate(cutouts.CUES):
        shares = (uncertainty.wilson(int((said[k] == right).sum()), n) for right in (batch.cues[:, k], batch.labels))
        rows.append((cue, *(f"{one.value:.3f} {span(one.interval)}" for one in shares)))
    return Table(("judge", "names its cue", "names the label"), rows)


def reference(n: int) -> float:
    """The primary judge's score for `n` test pictures: what recognisable pictures get."""
    batch = cutouts.batch(cutouts.World(), "test", n)
    return float(recognised.judge(batch.images, batch.labels).mean())


def train_first(run, seeds, images: int = 60_000, epochs: int = 20) -> None:
    """Everything that notebook 13 reads, for a run with `retrain = True`, with at most so many pictures and epochs."""
    jobs = [Job("alexnet", seed, "fc6") for seed in sorted({0, *seeds})] + [Job("lenet", 0, "fc6")]
    jobs += [Job(half, 0, "fc6") for half in control_worlds.HALVES]
    make_generators.here(run, sorted({0, 1, *seeds}), images, epochs, jobs)
    make_controls.here(run, ("modified", "detector", "pose"), seeds, images, epochs)


# ------------------------------------------------------------------------------------- G5: another data set


def transfer(nets: dict[int, interface.Network], search: Search) -> dict[str, dict[int, Judged]]:
    """Images of the classes of AlexNets {training seed: network} by four priors: the network's own, that of the half of
    the cue values without the class's own, that of the half with them, and none."""
    found = {name: {} for name in (OWN, WITHOUT, WITH, NONE)}
    for seed, net in nets.items():
        both = [made(f"{half}-0-fc6", net, search) for half in control_worlds.HALVES]
        rows = made(f"alexnet-{seed}-fc6", net, search), halved(both, False), halved(both, True), painted(net, search)
        for name, one in zip(found, rows, strict=True):
            found[name][seed] = judged(one)
    return found


def halved(both: list[Made], inside: bool) -> Made:
    """Of the images by the priors of half 0 (cue values 0 to 4) and of half 1 (5 to 9) those of the half that has the
    target's number among its cue values (`inside`), or of the other."""
    first = (both[0].targets < CLASSES // 2) == inside
    parts = (np.where(first.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(*both, strict=True))
    return Made(*parts)


def ratio(one: np.ndarray, other: np.ndarray, draws: np.random.Generator) -> uncertainty.Estimate:
    """Mean of `one` over mean of `other`, both (classes,), with a percentile bootstrap over classes."""
    return uncertainty.bootstrap_shares([one, other], lambda m: m[0] / max(m[1], LEAST), generator=draws)


def transfer_ratio(found: dict[str, dict[int, Judged]], draws: np.random.Generator) -> dict:
    """Claim G5, for claims.record: the primary judge's score with the prior that never saw the class's cues, as a share
    of that with the network's own prior. Named: the same for the half with the cues, for no prior, and by cue."""
    score = {name: scores(one) for name, one in found.items()}
    own, other = score[OWN], score[WITHOUT]

    named = {"score of the own prior": estimate(average(own), draws)}
    for name in (WITH, NONE):
        named[f"{' '.join(name.split())} / own"] = ratio(average(score[name]), average(own), draws)
    for k, cue in enumerate(cutouts.CUES):
        part = [average(scores(found[name], slice(k, k + 1))) for name in (WITHOUT, OWN)]
        named[f"half without / own, by {cue} alone"] = ratio(*part, draws)
    each = {s: ratio(other[s], own[s], draws) for s in own}
    return recordable(ratio(average(other), average(own), draws), each, named)


def transfer_rows(found: dict[str, dict[int, Judged]], draws: np.random.Generator) -> list[dict]:
    """Shares by cue and in all for each prior, training seeds pooled, as rows for a figure."""
    cues = {cue: slice(k, k + 1) for k, cue in enumerate(cutouts.CUES)} | {"all three:\nprimary judge": slice(None)}
    return [
        {"name": name, "group": " ".join(prior.split()), "seed": "all"}
        | estimate(average(scores(of, part)), draws)._asdict()
        for name, part in cues.items()
        for prior, of in found.items()
    ]


# --------------------------------------------------------------------------------- G6: another architecture


def architectures(families, seeds, search: Search) -> dict[tuple[str, str, int], Judged]:
    """Images by the priors of two encoders: {(encoder's family, target's family, target's seed): judged}, for every
    family at seed 0 and for the encoders' own families at all seeds."""
    pairs = [(family, 0) for family in families] + [(family, seed) for family in ENCODERS for seed in seeds]
    return {
        (encoder, family, seed): judged(made(f"{encoder}-0-fc6", zoo.network(family, seed, search.device), search))
        for encoder in ENCODERS
        for family, seed in dict.fromkeys(pairs)
    }


def interaction(found: dict[tuple[str, str, int], Judged], seeds, draws: np.random.Generator) -> dict:
    """Claim G6, for claims.record: mean score over the two pairs that match minus that over the two crossed. Named:
    each target alone; what the prior changes over all targets."""
    score = scores(found)
    deep, flat = ENCODERS
    gain = {
        own: {s: score[own, own, s] - score[other, own, s] for s in seeds}
        for own, other in ((deep, flat), (flat, deep))
    }
    both = {s: (gain[deep][s] + gain[flat][s]) / 2 for s in seeds}
    named = {}
    for own in ENCODERS:
        named[f"{zoo.TITLES[own]} as target: own minus other prior"] = list(gain[own].values())
    every = [score[deep, family, s] - score[flat, family, s] for encoder, family, s in found if encoder == deep]
    named[f"all targets: prior of {zoo.TITLES[deep]} minus of {zoo.TITLES[flat]}"] = every
    named = {name: estimate(np.mean(values, 0), draws)[:3] for name, values in named.items() if values}
    return by_student(both) | {"named": named}


def architecture_rows(found: dict[tuple[str, str, int], Judged], draws: np.random.Generator) -> list[dict]:
    """The primary judge's score for each target and encoder, as rows for a figure; the judges are VGGs themselves."""
    names = {family: zoo.TITLES[family] + "\n(as the judges)" * (family == "vgg") for _, family, _ in found}
    return [
        {"name": names[family], "group": f"prior of {zoo.TITLES[encoder]}", "seed": seed}
        | estimate(score, draws)._asdict()
        for (encoder, family, seed), score in scores(found).items()
    ]


# ------------------------------------------------------------------------ one unit through several generators


def several(net: interface.Network, generators, names: list[str], search: Search) -> dict[str, Made]:
    """{generator: images of classes `names` of a network}, `search.starts` of each class, the same search for all.
    generators: names in data/weights/generators, or files, which are called by their names without folders; ValueError
    for two of one name."""
    classes, found = objectives.numbers(net, names), {}
    called = [Path(name).stem if name.endswith(".safetensors") else name for name in generators]
    if twice := [name for name in called if called.count(name) > 1]:
        raise ValueError(f"generators holds two that are called {twice[0]!r}, expected different names: rename a file")
    for title, name in zip(called, generators, strict=True):
        setting = searches.Setting(search.rate, norm=search.norm)
        options = (search.starts, search.steps, search.seed, search.device, classes)
        found[title] = searches.make(searches.pair(name, net, search.device), setting, EVALUATION, *options)
    return found


def several_rows(found: dict[str, Made], reader: interface.Network, names: list[str]) -> list[dict]:
    """By generator and class: the score of the network driven at the start and in the end, and the probability that
    another network gives to the class, means over starts: rows for a figure."""
    rows = []
    for name, made in found.items():
        each = np.arange(len(made.targets))
        likely = of_photographs.likely(reader, made, names)
        values = (made.before[each, made.targets], made.after[each, made.targets], likely)
        first, last, other = (value.reshape(len(names), -1).mean(1).tolist() for value in values)
        columns = zip(names, first, last, other, strict=True)
        keys = ("class", "first", "last", "other")
        rows += [{"generator": name} | dict(zip(keys, line, strict=True)) for line in columns]
    return rows
