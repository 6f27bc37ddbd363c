"""`python -m lib.training.make_generators`: train every generator of notebooks 12 and 13 from scratch, on the committed
zoo.

Like lib/training/make_zoo.py: everything goes to build/retrained first and takes the place of the committed weights
when all of it is there; what is done is left alone, the interrupted one goes on from its last epoch. `--only
alexnet-0-fc6` trains one, for a reader's own changes.
"""

import argparse
import multiprocessing
import os
import shutil
from typing import NamedTuple

from lib.base import files, paths, weights
from lib.base.repeatable import repeatable
from lib.networks import control_networks, generator_network, interface, zoo
from lib.training import classifiers, generators, loop, make_controls, make_zoo
from lib.training.generators import Losses, Recipe
from lib.worlds import control_worlds, cutouts

WIDTH = 48
HALF = 24_000  # pictures of half of the cue values
COMPARATORS = {"alexnet": ("conv1", "conv3", "pool5"), "lenet": ("conv1", "conv2", "pool5")}
ABLATIONS = {  # what each loss does: the weights of the others stay
    "image": Losses()._replace(feature=0.0, adversarial=0.0),
    "feature": Losses()._replace(image=0.0, adversarial=0.0),
    "noadversary": Losses()._replace(adversarial=0.0),
}


class Job(NamedTuple):
    """A generator: whose code it inverts, at which layer, on which world's pictures, with which losses."""

    family: str  # alexnet or lenet, or half0 or half1: an AlexNet trained on half of the cue values
    seed: int
    layer: str
    losses: str = ""  # "", or a key of ABLATIONS

    @property
    def name(self) -> str:
        return f"{self.family}-{self.seed}-{self.layer}" + (f"-{self.losses}" if self.losses else "")


def jobs() -> list[Job]:
    """Everything that `make retrain` trains, what most depends on first."""
    first = [Job("alexnet", 0, "fc6"), Job("lenet", 0, "fc6"), Job("alexnet", 0, "conv3")]
    halves = [Job(half, 0, "fc6") for half in control_worlds.HALVES]
    seeds = [Job("alexnet", seed, layer) for seed in (1, 2) for layer in ("fc6", "conv3")]
    return first + seeds + halves + [Job("alexnet", 0, "fc7")] + [Job("alexnet", 0, "fc6", kind) for kind in ABLATIONS]


def encoder(job: Job, device: str = "cpu") -> interface.Network:
    """The network whose code a generator inverts."""
    half = job.family in control_worlds.HALVES
    return (
        control_networks.network(f"{job.family}-encoder", device) if half else zoo.network(job.family, job.seed, device)
    )


def pictures(job: Job, split: str, n: int):
    """The pictures (n, 64, 64, 3) uint8 of the world that a generator is trained on."""
    if job.family in control_worlds.HALVES:
        return control_worlds.pictures(job.family, split, min(n, HALF)).images
    return cutouts.batch(cutouts.World(), split, n).images


def one(job: Job, recipe: Recipe, width: int = WIDTH, validation: int = 500, device="cpu", progress=False) -> dict:
    """Train one generator and write its weights; returns their info. Nothing is done if they are there already."""
    net = encoder(job, device)
    recipe = recipe._replace(seed=job.seed, losses=ABLATIONS.get(job.losses, recipe.losses))
    comparator = COMPARATORS.get(job.family, COMPARATORS["alexnet"])
    shown = pictures(job, "train", recipe.images)
    grey = interface.to_tensor(shown[:1])
    code = tuple(interface.features(net, grey, [job.layer])[job.layer].shape[1:])
    made_by = {"encoder": net.name, "network": net.digest, "layer": job.layer, "code": code, "width": width}
    made_by |= {"comparator": comparator, "recipe": recipe._asdict() | {"losses": recipe.losses._asdict()}}
    made_by |= {"pixels": files.sha256(shown[:8].tobytes())}
    try:
        info = weights.load(f"generators/{job.name}")[1]
        if files.key_digest(info["made_by"]) == files.key_digest(made_by):
            return info
    except (FileNotFoundError, ValueError, KeyError):
        pass
    slices = max(1, len(shown) // recipe.epoch)

    def data(epoch: int):
        return shown[epoch % slices * recipe.epoch : (epoch % slices + 1) * recipe.epoch]

    held_out = pictures(job, "validation", validation)
    checkpoint = paths.weights() / "checkpoints" / f"{job.name}-{files.key_digest(made_by)[:12]}.ckpt"
    made = generator_network.build(code, job.seed, width)
    options = {"checkpoint": checkpoint, "device": device, "progress": progress}
    state, history = generators.fit(made, net, job.layer, comparator, data, held_out, recipe, **options)
    info = {"made_by": made_by, "history": history}
    weights.save(f"generators/{job.name}", state, info, whole=True)
    made.cpu().load_state_dict(weights.load(f"generators/{job.name}")[0])
    info["rounded"] = generators.losses(made, encoder(job), job.layer, comparator, held_out)
    info = weights.save(f"generators/{job.name}", state, info, whole=True)
    checkpoint.unlink(missing_ok=True)
    return info


def here(run, seeds, images: int = 60_000, epochs: int = classifiers.Recipe().epochs, chosen=None) -> None:
    """Train the zoo and the generators (`chosen` jobs, or all; two at a time) for a notebook run with `retrain = True`,
    into build/<profile>/weights, with at most so many pictures and epochs."""
    make_zoo.here(run, zoo.FAMILIES, seeds, images, epochs)
    wanted = jobs() if chosen is None else chosen
    if any(job.family in control_worlds.HALVES for job in wanted):
        make_controls.here(run, ["encoder"], (0,), images, epochs)
    recipe = Recipe(images=images, epoch=min(Recipe().epoch, images), epochs=min(epochs, Recipe().epochs))
    recipe = recipe._replace(batch=min(recipe.batch, images), precision=loop.precision(run.device))
    tasks = [(job, recipe, run.device, False, min(500, images)) for job in wanted]
    with multiprocessing.get_context("spawn").Pool(min(2, len(tasks))) as pool:
        pool.map(_job, tasks, chunksize=1)


def _job(task: tuple) -> str:
    job, recipe, device, progress, validation = task
    repeatable(0, device)
    info = one(job, recipe, validation=validation, device=device, progress=progress)
    measured = ", ".join(f"{name} {value:.3f}" for name, value in info["rounded"].items())
    return f"{job.name}: {measured}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 or mps")
    parser.add_argument("--precision", default=None, help="a precision of Lightning Fabric; default: the device's own")
    parser.add_argument("--only", nargs="*", default=[], help="names of generators, e.g. alexnet-0-fc6")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    options = parser.parse_args(arguments)
    chosen = [job for job in jobs() if not options.only or job.name in options.only]
    if unknown := set(options.only) - {job.name for job in chosen}:
        names = ", ".join(job.name for job in jobs())
        parser.error(f"--only names {', '.join(sorted(unknown))}, expected some of {names}")
    committed, fresh = paths.weights(), paths.build() / "retrained"
    for folder in ("cutouts", "controls"):
        (fresh / folder).mkdir(parents=True, exist_ok=True)
        for path in (committed / folder).glob("*"):
            if not (fresh / folder / path.name).exists():
                shutil.copy(path, fresh / folder)
    os.environ["COMPANION_WEIGHTS"] = str(fresh)
    recipe = Recipe(precision=options.precision or loop.precision(options.device))
    cutouts.batch(cutouts.World(), "train", recipe.images)  # rendered once, before the processes share it
    for task in make_controls.jobs(["encoder"]) if any(job.family in control_worlds.HALVES for job in chosen) else []:
        make_controls.group(task, make_controls.RECIPES["encoder"]._replace(precision=recipe.precision))
    tasks = [(job, recipe, options.device, not options.quiet, 500) for job in chosen]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for line in pool.imap_unordered(_job, tasks):
            print(line, flush=True)  # noqa: T201 - what a person at the terminal waits for
    for path in sorted((fresh / "generators").glob("*"), key=lambda path: path.suffix != ".safetensors"):
        files.atomic_write(committed / "generators" / path.name, path.read_bytes())
    shutil.rmtree(fresh / "generators")


if __name__ == "__main__":
    main()
