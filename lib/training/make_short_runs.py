"""`python -m lib.training.make_short_runs`: the short runs of AlexNet behind claims E2 and E3 (notebook 06), from
scratch.

E2: the zoo's recipe for three epochs, at its learning rate and at 3, 10 and 30 times that; nothing else differs, the
rate never falls. Kept of each run: what every map's largest answer was and how often it was silent. E3: 1,000 pictures
seen again and again, with and without weight decay. Kept of each run: its first layer.
Like lib/training/make_zoo.py: everything goes to build/retrained first; what is done is left alone, the interrupted
goes on.
"""

import argparse
import multiprocessing
import os
import shutil
from typing import NamedTuple

import numpy as np
import torch

from lib.base import files, paths, weights
from lib.base.repeatable import repeatable
from lib.methods.layers import sparseness
from lib.networks import interface, zoo
from lib.training import classifiers, loop, make_zoo
from lib.worlds import cutouts

FAMILY, SEEDS = "alexnet", tuple(range(8))
RATES = (1, 10, 3, 30)  # times the zoo's learning rate; the pairs of the claim first
MAPS = ("conv1", "conv2", "conv3", "conv4", "conv5")
UNITS = (*MAPS, "fc6", "fc7")
NEVER = 1000  # epochs of patience: the rate stays as it is
RATE = classifiers.Recipe(images=20_000, epochs=3, validation=1_000, patience=NEVER)
DECAY = 1.0  # the largest of DECAYS that passed the pilot: training accuracy 0.96 (2.0: 0.87, 4.0: 0.70)
FIXED = classifiers.Recipe(images=1_000, epoch=8_000, epochs=12, validation=1_000, shift=0, patience=NEVER, decay=DECAY)
KEPT = (16, 64, 256)  # steps of E3's runs whose first layer is kept as well, for the seeds below
KEPT_SEEDS = SEEDS[:2]
SHOWN = ((10, 0),)  # runs of E2 whose convolutions are committed, for the picture: (rate, seed)
DECAYS = (0.5, 1.0, 2.0, 4.0)  # tried in the pilot, on a seed of its own
PILOT_SEED, PILOT_ACCURACY = 100, 0.9


class Job(NamedTuple):
    """One run: `rate` at `value` times the zoo's learning rate, or `fixed` with weight decay `value`."""

    kind: str
    value: float
    seed: int

    @property
    def name(self) -> str:
        how = f"rate{self.value:g}" if self.kind == "rate" else "decay" if self.value else "plain"
        return f"filters/{FAMILY}-{how}-{self.seed}"


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
    if (done := _done(job.name, made_by)) is not None:
        return done
    seen, held_out = (
        cutouts.batch(world, s, n) for s, n in (("train", recipe.images), ("validation", recipe.validation))
    )
    times = max(1, recipe.epoch // recipe.images)  # the fixed pictures that often an epoch
    data = (np.tile(seen.images, (times, 1, 1, 1)), np.tile(seen.labels, times))
    model, diverged = zoo.build(FAMILY, cutouts.CLASSES, job.seed), None
    checkpoint = paths.weights() / "checkpoints" / f"{job.name}-{files.key_digest(made_by)[:12]}.ckpt"
    keep = {step: f"step{step}" for step in KEPT} if job.kind == "fixed" and job.seed in KEPT_SEEDS else {}
    validation, options = (held_out.images, held_out.labels), {"device": device, "progress": progress}
    history = {"kept": {}}
    try:
        history = classifiers.fit(
            model, lambda _: data, validation, zoo.preprocess, recipe, checkpoint=checkpoint, keep=keep, **options
        )[1]
    except FloatingPointError as error:
        diverged = str(error).split(";")[0]
    for label, state in history.pop("kept").items():
        weights.save(f"{job.name}-{label}", first_layer(state), {"of": job.name, "step": int(label[4:])})
    model.eval().requires_grad_(False).to(device)  # as the last step left it, not as it was at its best
    accuracy = {
        "train": classifiers.evaluate(model, seen.images[:1000], seen.labels[:1000], zoo.preprocess, device=device)[1]
    }
    accuracy["validation"] = classifiers.evaluate(model, *validation, zoo.preprocess, device=device)[1]
    info = {"made_by": made_by, "history": history, "accuracy": accuracy, "diverged": diverged}
    if job.kind == "fixed":
        kept = first_layer(model.state_dict())
    else:
        kept = silence(model, interface.to_tensor(held_out.images).to(device))
        if job.seed == SEEDS[0]:
            state = {name: value for name, value in model.state_dict().items() if name.startswith("conv")}
            weights.save(f"{job.name}-convolutions", state, {"of": job.name})
    info = weights.save(job.name, kept, info)
    checkpoint.unlink(missing_ok=True)
    return info


def first_layer(state: dict) -> dict[str, torch.Tensor]:
    return {"conv1.conv.weight": state["conv1.conv.weight"]}


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
    """Train the zoo and these runs for a notebook run with `retrain = True`, into build/<profile>/weights.

    Of families that are not named, only the first seed is trained: for their first layers."""
    make_zoo.here(run, [family for family in zoo.FAMILIES if family not in families], seeds[:1], images, epochs)
    make_zoo.here(run, families, seeds, images, epochs)
    for job in jobs(rates, range(runs)):
        whole = (RATE if job.kind == "rate" else FIXED)._replace(precision=loop.precision(run.device))
        one(job, shorter(whole, images, epochs), device=run.device)


def shorter(recipe: classifiers.Recipe, images: int, epochs: int) -> classifiers.Recipe:
    """A recipe with at most so many pictures, and at most so many epochs."""
    few = min(recipe.images, images)
    size = {
        "images": few,
        "epoch": min(recipe.epoch, images),
        "validation": min(recipe.validation, max(64, images // 10)),
    }
    return recipe._replace(**size, epochs=min(recipe.epochs, epochs))


def _done(name: str, made_by: dict) -> dict | None:
    try:
        info = weights.load(name)[1]
    except (FileNotFoundError, ValueError):
        return None
    return info if files.key_digest(info["made_by"]) == files.key_digest(made_by) else None


def _job(task: tuple) -> str:
    job, recipe, device = task
    repeatable(0, device)
    info = one(job, recipe, device=device)
    accuracy = f"accuracy {info['accuracy']['train']:.3f} seen, {info['accuracy']['validation']:.3f} new"
    return f"{job.name}: {accuracy}{'; ' + info['diverged'] if info['diverged'] else ''}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 or mps")
    parser.add_argument("--precision", default=None, help="a precision of Lightning Fabric; default: the device's own")
    parser.add_argument("--pilot", action="store_true", help="only the runs that choose E3's weight decay")
    options = parser.parse_args(arguments)
    precision = options.precision or loop.precision(options.device)
    committed, fresh = paths.weights(), paths.build() / "retrained"
    os.environ["COMPANION_WEIGHTS"] = str(fresh)
    if options.pilot:
        print(pilot(options.device))  # noqa: T201 - what a person at the terminal waits for
        return
    cutouts.batch(cutouts.World(), "train", RATE.images)  # rendered once, before the processes share it
    recipes = {"rate": RATE._replace(precision=precision), "fixed": FIXED._replace(precision=precision)}
    tasks = [(job, recipes[job.kind], options.device) for job in jobs()]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for line in pool.imap_unordered(_job, tasks):
            print(line, flush=True)  # noqa: T201 - what a person at the terminal waits for
    names = {job.name for job in jobs()} | {f"{Job('rate', *shown).name}-convolutions" for shown in SHOWN}
    names |= {f"{job.name}-step{step}" for job in jobs() if job.seed in KEPT_SEEDS for step in KEPT}
    for path in sorted((fresh / "filters").glob("*"), key=lambda path: path.suffix != ".safetensors"):
        if f"filters/{path.stem}" in names:
            files.atomic_write(committed / "filters" / path.name, path.read_bytes())
    shutil.rmtree(fresh / "filters")


if __name__ == "__main__":
    main()
