"""Images that maximise a class of a cutouts classifier, under many recipes: what notebook 11 judges.

`python -m lib.jobs.class_images --profile embedded` is the job that fills the cache before the notebook runs; a
notebook that finds it empty computes the same pictures itself.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from lib.base import cache
from lib.methods.ascent import maximise, objectives, parameterisations, regularisers
from lib.methods.ascent.regularisers import PUBLISHED, Combination
from lib.networks import interface

SELECTION, EVALUATION = "selection", "evaluation"  # two streams of starts that share none
PROGRESS = (2.0, 20.0)  # what a step is to raise the score by, to first order: the published value, and ten times it


class Recipe(NamedTuple):
    """How an image is made. Pixels move by plain ascent, Fourier coefficients by Adam."""

    name: str
    kind: str  # none, one of the four regularisers, combination, modern, or objective
    objective: str = "score"  # or "probability"
    regulariser: Combination = Combination()
    progress: float = 0.0  # first-order rise of the objective a step; 0: steps of one root mean square, `rate`
    rate: float = 0.0  # root mean square of a step in ranges of a pixel; with form "fourier" Adam's learning rate
    l2: float = 0.0  # lambda of Simonyan's penalty
    form: str = "pixels"  # or "fourier"
    jitter: int = 0  # pixels


class Made(NamedTuple):
    """Images of all classes, class after class, several starts each: n = classes * starts."""

    pictures: np.ndarray  # (n, S, S, 3) uint8: cropped to the range of a pixel, as a reader sees them
    targets: np.ndarray  # (n,) class numbers
    before: np.ndarray  # (n, classes) scores of the start images by the network maximised
    after: np.ndarray  # (n, classes) scores of the final images


def _single(name: str, kind: str, **strength) -> Recipe:
    return Recipe(name, kind, regulariser=Combination(**strength))


SINGLES = (  # each regulariser alone, at the strengths of the four combinations (a decay of 1e-4 does nothing so soon)
    _single("decay .3", "decay", decay=0.3),
    _single("blur .5", "blur", radius=0.5, every=4),
    _single("blur 1", "blur", radius=1.0, every=4),
    _single("norm 20 %", "small norm", norm=20),
    _single("norm 50 %", "small norm", norm=50),
    _single("contribution 90 %", "small contribution", contribution=90),
)
COMBINATIONS = tuple(Recipe(f"combination {k}", "combination", regulariser=one) for k, one in enumerate(PUBLISHED, 1))
GRID = tuple(
    recipe._replace(progress=step) for recipe in (Recipe("none", "none"), *SINGLES, *COMBINATIONS) for step in PROGRESS
)
MODERN = Recipe("Fourier, jitter", "modern", form="fourier", rate=0.05, jitter=4)


def class_model(objective: str, l2: float) -> Recipe:
    """Simonyan et al. 2014: ascent on the score or the probability minus l2 * ||I||^2. Steps have one size, so that
    the small gradient of a probability moves as far as that of a score."""
    return Recipe(objective, "objective", objective, l2=l2, rate=0.01)


def make(
    net: interface.Network, recipe: Recipe, stream: str, starts: int, steps: int, seed: int, device="cpu", classes=None
) -> Made:
    """`starts` images of every class of `net` (or of `classes`, numbers of its scores), kept by content. The starts
    depend on stream and seed alone."""
    targets = np.repeat(np.arange(len(net.classes)) if classes is None else np.asarray(classes), starts)

    def compute() -> dict[str, np.ndarray]:
        number = 2 * seed + (stream == EVALUATION)
        form = getattr(parameterisations, recipe.form)(net.size)
        start = form.start(len(targets), torch.Generator().manual_seed(number)).to(device)
        made = maximise.in_batches(partial(run, net, recipe, form, steps=steps, seed=number), start, targets.tolist())
        before, after = (interface.scores(net, one).cpu().numpy() for one in (form.image(start), made.images))
        return {"pictures": interface.to_pictures(made.images), "before": before, "after": after}

    about = {"network": net, "recipe": recipe, "stream": stream, "starts": starts, "steps": steps, "seed": seed}
    about |= {} if classes is None else {"targets": targets}
    found = cache.cached("class_images", about | {"device": str(device)}, compute)
    return Made(found["pictures"], targets, found["before"], found["after"])


def run(
    net, recipe: Recipe, form, start, units, *, steps: int, seed: int = 0, direction: int = 1
) -> maximise.Maximised:
    """One batch of a recipe: row k of `start` maximises (direction -1: minimises) class units[k]."""
    objective = getattr(objectives, recipe.objective)(net, units)
    scale = regularisers.progress(recipe.progress) if recipe.progress else regularisers.unit_rms
    moves = {"scale": scale, "operators": recipe.regulariser.operators(), "optimiser": partial(torch.optim.SGD, lr=1.0)}
    if not recipe.progress:
        moves["optimiser"] = partial(torch.optim.SGD, lr=recipe.rate)
    if recipe.form == "fourier":
        moves = {"optimiser": partial(torch.optim.Adam, lr=recipe.rate)}
    return maximise.maximise(
        form.image,
        objectives.weighted((direction, objective)),
        start,
        steps=steps,
        penalties=[regularisers.l2(recipe.l2)] if recipe.l2 else [],
        transforms=[regularisers.jitter(recipe.jitter)] if recipe.jitter else [],
        generator=torch.Generator().manual_seed(seed),
        **moves,
    )


def explore(net: interface.Network, starts: int, steps: int, seed: int, device="cpu") -> list[Made]:
    """Every recipe of GRID on the starts for choosing."""
    return [make(net, recipe, SELECTION, starts, steps, seed, device) for recipe in GRID]
