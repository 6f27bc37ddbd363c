"""The claims on the generator prior (notebook 12): G1 to G4, G9 and G10. Its judges are
lib.experiments.n12_prior.judges.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats as scipy_stats

from lib.experiments.n12_prior import judges, searches
from lib.experiments.n12_prior.judges import DISTANCE, FAMILIES, LATE, OBJECT, OUTLINE, PRIMARY, Judges
from lib.experiments.n12_prior.searches import FOURIER, Setting
from lib.experiments.shared import class_images
from lib.experiments.shared.class_images import EVALUATION, GRID, SELECTION
from lib.experiments.shared.recognised import Judged, by_class, judged
from lib.networks import zoo
from lib.record.seeds import by_student, estimate
from lib.record.tables import Table

EARLY, LATEST = "conv3", "fc7"  # other layers whose codes priors invert; the last for seed 0 alone
SHUFFLED, UNTRAINED = "G, class units shuffled", "G, untrained network"  # controls of G1


# ------------------------------------------------------------------------------------------- what was made


class Through(NamedTuple):
    """Images through priors. Settings were chosen by families that took no part, on starts that nothing is reported
    from."""

    tried: dict[str, dict[Setting, float]]  # by layer: what families said on the starts for choosing
    chosen: dict[str, Setting]  # by layer
    made: dict[str, dict[int, Judged]]  # by setting of searches.settings, by layer, and UNTRAINED: seed -> images
    choosing: dict[int, list[Judged]]  # the images through fc6 from the starts for choosing, all settings
    own: dict[str, dict[float, float]]  # by setting with a rate of its own: rate -> what families said of it there


def through_priors(nets: dict, n_choose: int, n_starts: int, steps: int, seed: int, device="cpu") -> Through:
    """Choose the rate and the cap of each layer's prior, and the rate of each setting, by families that took no part;
    then make the images from the other starts.

    nets: {training seed: AlexNet}."""
    pairs, made = {}, {}
    for layer in (LATE, EARLY, LATEST):
        own = [0] if layer == LATEST else list(nets)
        pairs[layer] = {s: searches.pair(f"alexnet-{s}-{layer}", nets[s], device) for s in own if s in nets}
    options, others = (n_choose, steps, seed, device), (n_starts, steps, seed, device)
    judge = judges.family_share
    tried = {layer: searches.tried(of, judge, *options) for layer, of in pairs.items() if of}
    best = {layer: searches.best(found) for layer, found in tried.items()}
    own = searches.own_rates(pairs[LATE], judge, *options)
    chosen = {name: searches.best(found) for name, found in own.items()}
    wanted = {name: (LATE, setting) for name, setting in searches.settings(chosen).items()}
    wanted |= {layer: (layer, one) for layer, one in best.items()}
    for name, (layer, setting) in wanted.items():
        found = {s: searches.make(one, setting, EVALUATION, *others) for s, one in pairs[layer].items()}
        made[name] = {s: judged(one) for s, one in found.items()}
    blank = {s: zoo.network("alexnet", s, device, stage="step0") for s in nets}
    blank = {s: searches.Pair(pairs[LATE][s].prior, net) for s, net in blank.items()}
    made[UNTRAINED] = {s: judged(searches.make(one, best[LATE], EVALUATION, *others)) for s, one in blank.items()}
    choosing = {
        s: [judged(searches.make(one, setting, SELECTION, *options)) for setting in tried[LATE]]
        for s, one in pairs[LATE].items()
    }
    return Through(tried, best, made, choosing, own)


class Pixels(NamedTuple):
    """Images without a generator, at equal network passes."""

    tried: dict[class_images.Recipe, float]  # what families that took no part said on the starts for choosing
    # by name: "plain pixels", "regularised pixels" (the best of notebook 11) and "Fourier, jitter"
    made: dict[str, dict[int, Judged]]
    best: str  # which of the last two is the baseline of G1


def modern(nets: dict, n_choose: int, n_starts: int, steps: int, seed: int, device="cpu") -> Pixels:
    """Fourier coefficients with jitter, at the best of the rates tried."""
    tried = {one: _tried(nets, one, n_choose, steps, seed, device) for one in FOURIER}
    made = _made(nets, searches.best(tried), n_starts, steps, seed, device)
    return Pixels(tried, {"Fourier, jitter": made}, "Fourier, jitter")


def pixels(nets: dict, n_choose: int, n_starts: int, steps: int, seed: int, device="cpu") -> Pixels:
    """`modern`, and the best of all settings of notebook 11; which of them scored more on the starts for choosing."""
    new, grid = modern(nets, n_choose, n_starts, steps, seed, device), {}
    for recipe in GRID:
        grid[recipe] = _tried(nets, recipe, n_choose, steps, seed, device)
    best, plain = searches.best(grid), searches.best({one: grid[one] for one in GRID if one.kind == "none"})
    others = {"plain pixels": plain, "regularised pixels": best}
    made = {name: _made(nets, recipe, n_starts, steps, seed, device) for name, recipe in others.items()} | new.made
    winner = "Fourier, jitter" if max(new.tried.values()) >= grid[best] else "regularised pixels"
    return Pixels(grid | new.tried, made, winner)


def _tried(nets: dict, recipe, *options) -> float:
    made = {s: class_images.make(net, recipe, SELECTION, *options) for s, net in nets.items()}
    return float(np.mean([judges.family_share(one, s) for s, one in made.items()]))


def _made(nets: dict, recipe, *options) -> dict[int, Judged]:
    return {s: judged(class_images.make(net, recipe, EVALUATION, *options)) for s, net in nets.items()}


def choices(through: Through, without: Pixels) -> Table:
    """What was tried on the starts for choosing, what families that took no part recognised, and what was chosen."""
    rows = []
    for layer, found in through.tried.items():
        text = f"{len(found)} settings: {min(found.values()):.2f} to {max(found.values()):.2f}"
        rows.append((f"G for {layer}", text, through.chosen[layer].title))
    fourier = {one: without.tried[one] for one in FOURIER}
    text = ", ".join(f"{one.rate:g}: {value:.2f}" for one, value in fourier.items())
    rows.append((FOURIER[0].name, text, f"rate {searches.best(fourier).rate:g}"))
    grid = {one: without.tried[one] for one in GRID}
    best = searches.best(grid)
    text = f"{len(grid)} settings: {min(grid.values()):.2f} to {grid[best]:.2f}"
    rows.append(("regularised pixels", text, f"{best.name} by {best.progress:g}"))
    return Table(("images", "tried, and the share recognised", f"chosen (baseline: {without.best})"), rows)


def chosen_rows(through: Through, layer: str = LATE) -> Table:
    """What was tried for a layer: a row for each cap on the length, a column for each rate."""
    found, rates = through.tried[layer], searches.RATES
    rows = [
        ("any" if norm is None else f"{norm:g}", *(f"{found[Setting(rate, norm=norm)]:.2f}" for rate in rates))
        for norm in searches.NORMS
    ]
    return Table(("longest code", *(f"rate {rate:g}" for rate in rates)), rows)


def judge_rows(found: dict[str, dict[int, Judged]], of: Judges, generator: np.random.Generator) -> list[dict]:
    """Every judge's reading of every row of images, mean over training seeds, with intervals over classes."""
    rows = []
    for name, made in found.items():
        measured = {
            PRIMARY: [by_class(one.hits, one.targets) for one in made.values()],
            FAMILIES: [judges.family_shares(of, one, s) for s, one in made.items()],
            OUTLINE: [judges.outline_shares(of, one) for one in made.values()],
            OBJECT: [by_class(judges.one_object(of, one.pictures), one.targets) for one in made.values()],
            DISTANCE: [judges.distances(of, one, s) for s, one in made.items()],
        }
        for group, values in measured.items():
            rows.append({"name": name, "group": group} | estimate(np.mean(values, 0), generator)._asdict())
    return rows


def everything(through: Through, without: Pixels, references: dict) -> dict[str, dict[int, Judged]]:
    """All rows of images that judges are asked about, from test pictures down to the controls."""
    layers = {f"G, {layer}": through.made[layer] for layer in through.tried}
    rows = {name: references[name] for name in ("test pictures", "G, codes of test pictures")}
    return rows | layers | without.made | controls(through, references)


def controls(through: Through, references: dict) -> dict[str, dict[int, Judged]]:
    """What a G that paints the same whatever it is told would do as well as the real search: its images judged as if
    they were the next class's, images for the units of an untrained network, and random codes."""
    shuffled = {}
    for s, one in through.made[LATE].items():
        classes = one.read.shape[2]
        shuffled[s] = one._replace(targets=(one.targets + 1) % classes)
    return {SHUFFLED: shuffled, UNTRAINED: through.made[UNTRAINED], "G, random codes": references["G, random codes"]}


def own_rates(through: Through) -> Table:
    """What was tried for each setting on the starts for choosing, and what families that took no part said of it."""
    rows = []
    for name, found in through.own.items():
        text = ", ".join(f"{rate:g}: {value:.2f}" for rate, value in found.items())
        rows.append((name, text, f"{searches.best(found):g}"))
    return Table(("setting", "rates tried, and what families recognise", "chosen"), rows)


def setting_rows(through: Through, of: Judges, generator: np.random.Generator) -> list[dict]:
    """The primary judge's score and that of other families for every setting, each training seed by itself."""
    rows = []
    for s, name in ((s, name) for s in through.choosing for name in searches.SETTINGS):
        one = through.made[name][s]
        shares = {PRIMARY: by_class(one.hits, one.targets), FAMILIES: judges.family_shares(of, one, s)}
        for group, values in shares.items():
            rows.append({"name": name, "group": group, "seed": s} | estimate(values, generator)._asdict())
    return rows


# ------------------------------------------------------------------------------------------- the claims


def prior_gain(through: Through, without: Pixels, of: Judges, references: dict) -> dict:
    """Claim G1, for claims.record: the primary judge's score with G minus that of the pixel baseline, over classes;
    named: by the other judges, G minus every way without it, and minus every control."""
    one, other = through.made[LATE], without.made[without.best]
    families = {s: judges.family_shares(of, one[s], s) - judges.family_shares(of, other[s], s) for s in one}
    outlines = {s: judges.outline_shares(of, one[s]) - judges.outline_shares(of, other[s]) for s in one}
    named = {FAMILIES: families, OUTLINE: outlines}
    rest = without.made | controls(through, references)
    named |= {f"primary judge, minus {name}": _gains(one, made) for name, made in rest.items()}
    return by_student(_gains(one, other), named) | {"note": f"Baseline, chosen on other starts: {without.best}."}


def layer_gain(through: Through, of: Judges) -> dict:
    """Claim G2: fc6 minus conv3; named: the repetition index, conv3 minus fc6."""
    late, early = through.made[LATE], through.made[EARLY]
    index = {s: by_class(judges.repetition(early[s].pictures), early[s].targets) for s in late}
    index = {s: index[s] - by_class(judges.repetition(late[s].pictures), late[s].targets) for s in late}
    families = {s: judges.family_shares(of, late[s], s) - judges.family_shares(of, early[s], s) for s in late}
    return by_student(_gains(late, early), {"repetition index, early minus late": index, FAMILIES: families})


def clipping_gain(through: Through, of: Judges) -> dict:
    """Claim G3: clipped at 3 sd minus not clipped, each at its own rate, same starts; named: at 1 and 2 sd, minus not
    clipped."""
    return _setting_gain(through, "clipped at 3 sd", "not clipped", of, ("clipped at 1 sd", "clipped at 2 sd"))


def decay_gain(through: Through, of: Judges) -> dict:
    """Claim G4: with the released code's decay minus without, both clipped at 3 sd, each at its own rate, same
    starts."""
    return _setting_gain(through, "clipped at 3 sd", "3 sd, no decay", of, ())


def _setting_gain(through: Through, name: str, reference: str, of: Judges, others) -> dict:
    made = through.made
    named = {f"{other} minus {reference}": _gains(made[other], made[reference]) for other in others}
    shares = {
        kind: {s: judges.family_shares(of, one, s) for s, one in made[kind].items()} for kind in (name, reference)
    }
    named[FAMILIES] = {s: shares[name][s] - shares[reference][s] for s in made[name]}
    return by_student(_gains(made[name], made[reference]), named)


def pooled(through: Through) -> dict[int, dict[str, list[Judged]]]:
    """All images through fc6 of each training seed, in three groups: the default, other settings, other rates."""
    default, *others = searches.SETTINGS
    return {
        s: {
            "default setting": [through.made[default][s]],
            "other clipping or decay": [through.made[name][s] for name in others],
            "settings tried": of,
        }
        for s, of in through.choosing.items()
    }


def activation_order(through: Through) -> dict:
    """Claim G9: Kendall's tau-b within each class and setting between the final activation and the probability that the
    primary judge gives to the class, mean over the settings; named: of the default alone, and where the images of all
    settings and rates are thrown together."""
    groups = pooled(through)
    within = {s: np.mean([order([through.made[name][s]]) for name in searches.SETTINGS], 0) for s in groups}
    alone = {s: order(own["default setting"]) for s, own in groups.items()}
    together = {s: order([one for of in own.values() for one in of]) for s, own in groups.items()}
    return by_student(within, {"the default setting alone": alone, "all settings and rates together": together})


def order(of: list[Judged]) -> np.ndarray:
    """Kendall's tau-b within each class (classes,) between activation and probability; 0 where a reading is tied."""
    targets, after = (np.concatenate([getattr(one, field) for one in of]) for field in ("targets", "activation"))
    probability = np.concatenate([judges.certainty(one) for one in of])
    found = []
    for label in np.unique(targets):
        own = targets == label
        found.append(scipy_stats.kendalltau(after[own], probability[own], variant="b").statistic)
    return np.nan_to_num(np.array(found))


def activation_rows(found: dict[int, dict[str, list[Judged]]]) -> list[dict]:
    """Every image of `pooled`, as rows for a figure: seed, class, setting, activation, probability that the primary
    judge gives to the class, and the rank of the activation within its class, from 0 to 1."""
    rows = []
    for seed, groups in found.items():
        names = [name for name, of in groups.items() for one in of for _ in one.targets]
        every = [one for of in groups.values() for one in of]
        targets, after = (np.concatenate([getattr(one, key) for one in every]) for key in ("targets", "activation"))
        probability, rank = np.concatenate([judges.certainty(one) for one in every]), np.zeros(len(after))
        for label in np.unique(targets):
            own = targets == label
            rank[own] = scipy_stats.rankdata(after[own]) / own.sum()
        columns = zip(targets.tolist(), names, after.tolist(), probability.tolist(), rank.tolist(), strict=True)
        keys = ("class", "setting", "activation", "probability", "rank")
        rows += [{"seed": seed} | dict(zip(keys, line, strict=True)) for line in columns]
    return rows


def diversity(through: Through, without: Pixels, of: Judges) -> dict:
    """Claim G10: `spreads` of the images through fc6; named: of the images made without a generator."""
    made = {s: judges.spreads(of, one, s) for s, one in through.made[LATE].items()}
    named = {name: {s: judges.spreads(of, one, s) for s, one in row.items()} for name, row in without.made.items()}
    return by_student(made, named)


def _gains(one: dict[int, Judged], other: dict[int, Judged]) -> dict[int, np.ndarray]:
    return {s: by_class(one[s].hits, one[s].targets) - by_class(other[s].hits, other[s].targets) for s in one}
