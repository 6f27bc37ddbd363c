"""Who recognises images that were made to please a network, and the two claims on that (notebook 11): E8 and E9.

The primary judge of all generated images (G1 to G8 too) is `judge`: three networks trained to name one cue each.
"""

from typing import NamedTuple

import numpy as np

from lib.experiments.shared import class_images, recognised
from lib.experiments.shared.class_images import COMBINATIONS, EVALUATION, GRID, MODERN, Recipe
from lib.networks import interface
from lib.record.seeds import by_student, estimate, estimates, student
from lib.record.tables import Table
from lib.worlds import cutouts

# ------------------------------------------------------------------------------------------------- E8: score against P


class Objectives(NamedTuple):
    """Images of one network by both objectives, at one strength of the penalty."""

    score: recognised.Judged
    probability: recognised.Judged


def both(nets: dict[int, interface.Network], l2: float, n_starts: int, steps: int, seed: int, device="cpu") -> dict:
    """{training seed: Objectives}: the same starts, steps and penalty for both."""
    kinds = [class_images.class_model(objective, l2) for objective in Objectives._fields]
    return {
        s: Objectives(*(_judged(net, kind, n_starts, steps, seed, device) for kind in kinds)) for s, net in nets.items()
    }


def strengths(nets: dict, l2: float, *options) -> tuple[dict[int, Objectives], dict[str, dict[int, Objectives]]]:
    """`both` at the strength l2, and by name at a tenth of it and at none."""
    made = {name: both(nets, k * l2, *options) for name, k in (("a tenth of the penalty", 0.1), ("no penalty", 0.0))}
    return both(nets, l2, *options), made


def lowered(made: recognised.Judged) -> np.ndarray:
    """Share of the rise of the log-odds of the target class that comes from lowering the other scores, by class.

    log(P / (1 - P)) is the target's score minus the log of the sum of exp of the others: its rise is that of the score
    plus the fall of the others.
    """
    rise, fall = np.zeros((2, len(made.targets)))
    for sign, scores in ((-1, made.before), (1, made.after)):
        own = np.eye(scores.shape[1], dtype=bool)[made.targets]
        rise += sign * scores[own]
        rest = scores[~own].reshape(len(scores), -1).astype(np.float64)
        fall -= sign * (rest.max(1) + np.log(np.exp(rest - rest.max(1, keepdims=True)).sum(1)))
    labels = np.unique(made.targets)
    return np.array([fall[made.targets == k].sum() / (rise + fall)[made.targets == k].sum() for k in labels])


def score_gain(found: dict[int, Objectives], extra: dict[str, dict], generator: np.random.Generator) -> dict:
    """Claim E8, for claims.record: the primary judge's score for images by score minus by probability, over classes.
    extra: {name: the same at another strength of the penalty}."""
    gains = {seed: _gain(one.score, one.probability) for seed, one in found.items()}
    named = {}
    for kind in reversed(Objectives._fields):
        shares = np.mean([lowered(getattr(one, kind)) for one in found.values()], 0)
        named[f"rise of the odds by lowering other scores, {kind}"] = estimate(shares, generator)[:3]
    for name, other in extra.items():
        named[name] = estimate(np.mean([_gain(*one) for one in other.values()], 0), generator)[:3]
    return estimates(gains, generator) | {"named": named}


def objective_rows(found: dict[int, Objectives], nets: dict, families, generator) -> list[dict]:
    """Judged shares for both objectives and each training seed, as rows for a figure."""
    rows = []
    for seed, one in found.items():
        for kind, made in one._asdict().items():
            judges = dict(zip(cutouts.CUES, made.hits, strict=True))
            judges["all three: primary judge"] = made.hits
            judges["families that took no part"] = recognised.others(made.pictures, made.targets, families, seed)
            for name, hits in judges.items():
                share = estimate(recognised.by_class(hits, made.targets), generator)
                rows.append({"name": name, "group": kind, "seed": seed} | share._asdict())
    return rows


# ------------------------------------------------------------------------------------------------- E9: regularisers


class Regularised(NamedTuple):
    """What was chosen on some starts, and what it gave on others."""

    explored: dict[Recipe, float]  # primary judge's score on the starts for choosing, mean over training seeds
    chosen: dict[str, Recipe]  # by row of the figures: none, the four regularisers, the four combinations, modern
    made: dict[str, dict[int, recognised.Judged]]  # by row and training seed, on the starts for evaluation
    best: dict[str, str]  # "single" and "combination" -> the row chosen


def regularisers(
    nets: dict[int, interface.Network], n_choose: int, n_starts: int, steps: int, seed: int, device="cpu"
) -> Regularised:
    """Choose strength and step of every regulariser, and the best of them, by the primary judge on starts for choosing;
    make the images of the chosen on other starts."""
    tried = {s: class_images.explore(net, n_choose, steps, seed, device) for s, net in nets.items()}
    shares = [
        float(np.mean([recognised.judge(all_of[k].pictures, all_of[k].targets).mean() for all_of in tried.values()]))
        for k in range(len(GRID))
    ]
    explored = dict(zip(GRID, shares, strict=True))
    rows = {recipe.name if recipe.kind == "combination" else recipe.kind: [] for recipe in GRID}
    for recipe in GRID:
        rows[recipe.name if recipe.kind == "combination" else recipe.kind].append(recipe)
    chosen = {row: max(recipes, key=explored.get) for row, recipes in rows.items()}
    chosen[MODERN.name] = MODERN
    made = {
        row: {s: _judged(net, recipe, n_starts, steps, seed, device) for s, net in nets.items()}
        for row, recipe in chosen.items()
    }
    combined = [recipe.name for recipe in COMBINATIONS]
    alone = [row for row in chosen if row not in (*combined, "none", MODERN.name)]
    best = {
        kind: max(of, key=lambda row: explored[chosen[row]])
        for kind, of in (("single", alone), ("combination", combined))
    }
    return Regularised(explored, chosen, made, best)


def combination_gain(found: Regularised, families) -> dict:
    """Claim E9, for claims.record: the primary judge's score of the best combination minus the best single regulariser;
    named: each regulariser minus none, and the first difference by families that took no part."""
    single, combination = (found.made[found.best[kind]] for kind in ("single", "combination"))
    gains = {seed: _gain(combination[seed], single[seed]) for seed in single}
    named = {}
    for row in found.made:
        if row in found.best.values() or found.chosen[row].kind not in ("none", "combination"):
            pairs = [_gain(found.made[row][seed], found.made["none"][seed]) for seed in single]
            named[f"{row} minus none"] = student(np.mean(pairs, 0))[:3]
    readers = {kind: [_others(found.made[row][s], families, s) for s in single] for kind, row in found.best.items()}
    read = np.subtract(readers["combination"], readers["single"])
    named["by families that took no part"] = student(np.mean(read, 0))[:3]
    note = "Chosen on other starts: {combination} and {single}.".format(**found.best)
    return by_student(gains) | {"named": named, "note": note}


def regulariser_rows(found: Regularised, families, generator: np.random.Generator) -> list[dict]:
    """Judged shares and energy of high frequencies of every row, training seeds pooled, as rows for a figure."""
    rows = []
    for row, made in found.made.items():
        measured = {
            "primary judge": [recognised.by_class(one.hits, one.targets) for one in made.values()],
            "families that took no part": [_others(one, families, s) for s, one in made.items()],
            "energy of high frequencies": [
                recognised.by_class(recognised.high_frequencies(m.pictures), m.targets) for m in made.values()
            ],
        }
        for group, values in measured.items():
            share = estimate(np.mean(values, 0), generator)
            rows.append({"name": row, "group": group, "seed": "all"} | share._asdict())
    return rows


def examples() -> np.ndarray:
    """One test picture of each class: (10, 64, 64, 3) uint8."""
    batch = cutouts.batch(cutouts.World(), "test", 100)
    return batch.images[[np.flatnonzero(batch.labels == label)[0] for label in range(cutouts.CLASSES)]]


def reference(n: int, families) -> dict[str, float]:
    """The same three numbers for n test pictures of the cutouts world: what recognisable pictures get."""
    batch = cutouts.batch(cutouts.World(), "test", n)
    return {
        "primary judge": float(recognised.judge(batch.images, batch.labels).mean()),
        "families that took no part": float(recognised.others(batch.images, batch.labels, families, 0).mean()),
        "energy of high frequencies": float(recognised.high_frequencies(batch.images).mean()),
    }


def choices(found: Regularised) -> Table:
    """What each row was chosen among, and the primary judge's score on the starts for choosing."""
    rows = []
    for row, recipe in found.chosen.items():
        if recipe in found.explored:
            rivals = [one for one in GRID if (one.name if one.kind == "combination" else one.kind) == row]
            tried = ", ".join(f"{one.name} by {one.progress:g}: {found.explored[one]:.2f}" for one in rivals)
            rows.append((row, tried, f"{recipe.name} by {recipe.progress:g}"))
    return Table(("regulariser", "tried, and its score", "chosen"), rows)


def _judged(net: interface.Network, recipe: Recipe, *options) -> recognised.Judged:
    return recognised.judged(class_images.make(net, recipe, EVALUATION, *options))


def _gain(one: recognised.Judged, other: recognised.Judged) -> np.ndarray:
    return recognised.by_class(one.hits, one.targets) - recognised.by_class(other.hits, other.targets)


def _others(made: recognised.Judged, families, seed: int) -> np.ndarray:
    return recognised.by_class(recognised.others(made.pictures, made.targets, families, seed), made.targets)
