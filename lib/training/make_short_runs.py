"""`python -m lib.training.make_short_runs`: the short runs of AlexNet behind claims E2 and E3 (notebook 06), from
scratch.

E2: the zoo's recipe for three epochs, at its learning rate and at 3, 10 and 30 times that; nothing else differs, the
rate never falls. Kept of each run: what every map's largest answer was and how often it was silent. E3: 1,000 pictures
seen again and again, with and without weight decay. Kept of each run: its first layer.
"""

from functools import partial

import numpy as np
import torch

from lib.base import files, weights
from lib.methods.layers import sparseness
from lib.networks import interface, zoo
from lib.networks.short_runs import DECAY, FAMILY, KEPT, RATES, SEEDS, UNITS, Job, first_layer
from lib.networks.short_runs import MAPS as MAPS  # for notebook 06
from lib.training import classifiers, loop, make_zoo, store
from lib.worlds import cutouts

NEVER = 1000  # epochs of patience: the rate stays as it is
RATE = classifiers.Recipe(images=20_000, epochs=3, validation=1_000, patience=NEVER)
FIXED = classifiers.Recipe(images=1_000, epoch=8_000, epochs=12, validation=1_000, shift=0, patience=NEVER, decay=DECAY)
KEPT_SEEDS = SEEDS[:2]  # of E3's runs, whose first layer is kept on the way as well
SHOWN = ((10, 0),)  # runs of E2 whose convolutions are kept, for the picture: (rate, seed)
DECAYS = (0.5, 1.0, 2.0, 4.0)  # tried in the pilot, on a seed of its own
PILOT_SEED, PILOT_ACCURACY = 100, 0.9


def jobs(rates=RATES, seeds=SEEDS, decay: float = DECAY) -> list[Job]:
    """All runs: the pairs of claim E2, those of E3, then the other rates."""
    pairs = [Job("rate", rate, seed) for seed in seeds for rate in rates if rate in (1, 10)]
    fixed = [Job("fixed", value, seed) for seed in seeds for value in (decay, 0.0)]
    return pairs + fixed + [Job("rate", rate, seed) for rate in rates for seed in seeds if rate not in (1, 10)]


def one(job: Job, recipe: classifiers.Recipe, world=None, device="cpu", progress=False) -> dict:
    """Train what `job` says by `recipe` and write what is kept of it; returns its info, with `diverged`: the step at
    which the loss was no longer a number, or None. Nothing is done if it is there already."""
    world = cutouts.World() if world is None else world
    if job.kind == "rate":
        recipe = recipe._replace(seed=job.seed, rate=recipe.rate * job.value)
    else:
        recipe = recipe._replace(seed=job.seed, decay=job.value)
    made_by = {"world": world._asdict(), "recipe": recipe._asdict(), "job": job._asdict(), "family": FAMILY}
    made_by["pixels"] = files.sha256(cutouts.render(world, "train", range(8)).images.tobytes())

    def train(checkpoint) -> dict:
        seen = cutouts.batch(world, "train", recipe.images)
        held_out = cutouts.batch(world, "validation", recipe.validation)
        times = max(1, recipe.epoch // recipe.images)  # the fixed pictures that often an epoch
        data = (np.tile(seen.images, (times, 1, 1, 1)), np.tile(seen.labels, times))
        validation = (held_out.images, held_out.labels)
        model, history, diverged = zoo.build(FAMILY, cutouts.CLASSES, job.seed), {"kept": {}}, None
        keep = {step: f"step{step}" for step in KEPT} if job.kind == "fixed" and job.seed in KEPT_SEEDS else {}
        options = {"checkpoint": checkpoint, "keep": keep, "device": device, "progress": progress}
        try:
            history = classifiers.fit(model, lambda _: data, validation, zoo.preprocess, recipe, **options)[1]
        except FloatingPointError as error:
            diverged = str(error).split(";")[0]
        for label, state in history.pop("kept").items():
            weights.save(f"{job.name}-{label}", first_layer(state), {"of": job.name, "step": int(label[4:])})
        model.eval().requires_grad_(False).to(device)  # as the last step left it, not as it was at its best
        sets = {"train": (seen.images[:1000], seen.labels[:1000]), "validation": validation}
        accuracy = {
            name: classifiers.evaluate(model, *pictures, zoo.preprocess, device=device)[1]
            for name, pictures in sets.items()
        }
        if job.kind == "fixed":
            kept = first_layer(model.state_dict())
        else:
            kept = silence(model, interface.to_tensor(held_out.images).to(device))
            if (job.value, job.seed) in SHOWN:
                state = {name: value for name, value in model.state_dict().items() if name.startswith("conv")}
                weights.save(f"{job.name}-convolutions", state, {"of": job.name})
        info = {"made_by": made_by, "history": history, "accuracy": accuracy, "diverged": diverged}
        return weights.save(job.name, kept, info)

    return store.once(job.name, made_by, train)


def silence(model, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """For every layer: `<layer>.peak` (C,), the largest answer of each map over all images, `<layer>.silent` (C,), the
    number of images in which it is zero everywhere. A NaN is not a zero."""
    net = interface.Network(FAMILY, model, zoo.preprocess, zoo.SIZE, (), zoo.layers(FAMILY), "")
    kept = {}
    for layer, peak in sparseness.peaks(net, images, list(UNITS)).items():
        kept |= {f"{layer}.peak": peak.amax(0), f"{layer}.silent": (peak == 0).sum(0).to(torch.int32)}
    return kept


def pilot(device="cpu") -> dict[float, float]:
    """Accuracy on the 1,000 pictures at the end of a run with each weight decay tried, {decay: accuracy}.

    The decay of claim E3 is the largest with at least PILOT_ACCURACY; smoothness plays no part in this choice."""
    recipe = FIXED._replace(precision=loop.precision(device))
    return {decay: one(Job("fixed", decay, PILOT_SEED), recipe, device=device)["accuracy"]["train"] for decay in DECAYS}


def here(run, families, seeds, rates=RATES, runs: int = 8, images: int = 60_000, epochs: int = 20) -> None:
    """Train the zoo and these runs for a notebook run with `retrain = True` (store.notebook).

    Of families that are not named, only the first seed is trained: for their first layers."""
    make_zoo.here(run, [family for family in zoo.FAMILIES if family not in families], seeds[:1], images, epochs)
    make_zoo.here(run, families, seeds, images, epochs)
    for job in jobs(rates, range(runs)):
        whole = (RATE if job.kind == "rate" else FIXED)._replace(precision=loop.precision(run.device))
        one(job, shorter(whole, images, epochs), device=run.device)


def shorter(recipe: classifiers.Recipe, images: int, epochs: int) -> classifiers.Recipe:
    """A recipe with at most so many pictures, and at most so many epochs."""
    validation = min(recipe.validation, max(64, images // 10))
    size = {"images": min(recipe.images, images), "epoch": min(recipe.epoch, images), "validation": validation}
    return recipe._replace(**size, epochs=min(recipe.epochs, epochs))


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = store.parser(__doc__, bars=False)
    parser.add_argument("--pilot", action="store_true", help="only the runs that choose E3's weight decay")
    options = store.parsed(parser, arguments)
    if options.pilot:
        with store.weights_in(store.retrained("short_runs")):
            print(pilot(options.device))  # noqa: T201 - what a person at the terminal waits for
        return
    cutouts.batch(cutouts.World(), "train", RATE.images)  # rendered once, before the processes share it
    recipes = {kind: whole._replace(precision=options.precision) for kind, whole in (("rate", RATE), ("fixed", FIXED))}
    tasks = [partial(one, job, recipes[job.kind], device=options.device) for job in jobs()]
    store.retrain("short_runs", [tasks], options)


if __name__ == "__main__":
    main()
