"""`python -m lib.training.make_generators`: train every generator of notebooks 12 and 13 from scratch.

Each inverts a layer of an encoder with a wide code (lib/training/make_controls.py) and paints the object on grey.

`--only alexnet-0-fc6` trains one, for a reader's own changes. lib/training/store.py says what becomes of a killed run.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from lib.base import files, paths, weights
from lib.networks import control_networks, generator_network, interface, zoo
from lib.training import classifiers, generators, loop, make_controls, make_zoo, store
from lib.training.generators import Losses, Recipe
from lib.worlds import control_worlds, cutouts

WIDTH = 64
HALF = 24_000  # pictures of half of the cue values
ABLATIONS = {  # what each loss does: the weights of the others stay
    "image": Losses()._replace(feature=0.0),
    "feature": Losses()._replace(image=0.0),
    "adversary": Losses()._replace(adversarial=0.05),
}
GROUND = "ground"  # G paints the ground of the picture as well
NARROW = "narrow"  # G inverts the zoo's AlexNet, whose fc6 has 128 numbers


class Job(NamedTuple):
    """A generator: whose code it inverts, at which layer, on which world's pictures, with which losses."""

    family: str  # alexnet or lenet, or half0 or half1: an AlexNet trained on half of the cue values
    seed: int
    layer: str
    changed: str = ""  # nothing, or a key of ABLATIONS, or GROUND or NARROW

    @property
    def name(self) -> str:
        return f"{self.family}-{self.seed}-{self.layer}" + (f"-{self.changed}" if self.changed else "")


def jobs() -> list[Job]:
    """Everything that `make retrain` trains, what most depends on first."""
    first = [Job("alexnet", 0, "fc6"), Job("lenet", 0, "fc6"), Job("alexnet", 0, "conv3")]
    halves = [Job(half, 0, "fc6") for half in control_worlds.HALVES]
    seeds = [Job("alexnet", seed, layer) for layer in ("fc6", "conv3") for seed in (1, 2)]
    changed = [Job("alexnet", 0, "fc6", kind) for kind in (GROUND, NARROW, *ABLATIONS)]
    return first + seeds + halves + [Job("alexnet", 0, "fc7")] + changed


def encoder(job: Job, device: str = "cpu") -> interface.Network:
    """The network whose code a generator inverts."""
    if job.changed == NARROW:
        return zoo.network(job.family, job.seed, device)
    return control_networks.network(f"{job.family}-encoder-{job.seed}", device)


def pictures(job: Job, split: str, n: int) -> tuple[np.ndarray, ...]:
    """The pictures (n, 64, 64, 3) uint8 of the world that a generator is trained on; and the masks of their objects,
    (n, 64, 64) bool, unless it is to paint their ground as well."""
    if job.family in control_worlds.HALVES:
        batch = control_worlds.pictures(job.family, split, min(n, HALF))
    else:
        batch = cutouts.batch(cutouts.World(), split, n)
    return (batch.images,) if job.changed == GROUND else (batch.images, batch.masks)


def one(job: Job, recipe: Recipe, width: int = WIDTH, validation: int = 500, device="cpu", progress=False) -> dict:
    """Train one generator and write its weights; returns their info. Nothing is done if they are there already."""
    net = encoder(job, device)
    recipe = recipe._replace(seed=job.seed, losses=ABLATIONS.get(job.changed, recipe.losses))
    comparator = ("conv1", "conv3" if "conv3" in net.layers else "conv2", "pool5")
    shown = pictures(job, "train", recipe.images)
    grey = interface.to_tensor(shown[0][:1])
    code = tuple(interface.features(net, grey, [job.layer])[job.layer].shape[1:])
    made_by = {"encoder": net.name, "network": net.digest, "layer": job.layer, "code": code, "width": width}
    made_by |= {"comparator": comparator, "recipe": recipe._asdict() | {"losses": recipe.losses._asdict()}}
    made_by |= {"pixels": files.sha256(b"".join(part[:8].tobytes() for part in shown))}

    def train(checkpoint) -> dict:
        data, held_out = loop.sliced(recipe.epoch, *shown), pictures(job, "validation", validation)
        made = generator_network.build(code, job.seed, width)
        options = {"checkpoint": checkpoint, "device": device, "progress": progress}
        state, history = generators.fit(made, net, job.layer, comparator, data, held_out, recipe, **options)
        made.cpu().load_state_dict(weights.as_stored(state, whole=True))
        rounded = generators.losses(made, encoder(job), job.layer, comparator, *held_out)
        info = {"made_by": made_by, "history": history, "rounded": rounded}
        return weights.save(f"generators/{job.name}", state, info, whole=True)

    return store.once(f"generators/{job.name}", made_by, train)


def here(run, seeds, images: int = 60_000, epochs: int = classifiers.Recipe().epochs, chosen=None) -> None:
    """Train the zoo, the encoders and the generators (`chosen` jobs, or all; two at a time) for a notebook run with
    `retrain = True` (store.notebook), with at most so many pictures and epochs."""
    make_zoo.here(run, zoo.FAMILIES, seeds, images, epochs)
    wanted = jobs() if chosen is None else chosen
    make_controls.here(run, ["encoder"], sorted({job.seed for job in wanted}), images, epochs)
    recipe = Recipe(images=images, epoch=min(Recipe().epoch, images), epochs=min(epochs, Recipe().epochs))
    recipe = recipe._replace(batch=min(recipe.batch, images), precision=loop.precision(run.device))
    tasks = [partial(one, job, recipe, validation=min(500, images), device=run.device) for job in wanted]
    for _ in store.side_by_side(tasks, min(2, len(tasks)), run.device):
        pass


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = store.parser(__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="names of generators, e.g. alexnet-0-fc6")
    options = store.parsed(parser, arguments)
    chosen = [job for job in jobs() if not options.only or job.name in options.only]
    if unknown := set(options.only) - {job.name for job in chosen}:
        names = ", ".join(job.name for job in jobs())
        parser.error(f"--only names {', '.join(sorted(unknown))}, expected some of {names}")
    recipe = Recipe(precision=options.precision)
    cutouts.batch(cutouts.World(), "train", recipe.images)  # rendered once, before the processes share it
    whole = make_controls.RECIPES["encoder"]._replace(precision=recipe.precision)
    encoders = [partial(make_controls.group, group, whole, options.device) for group in make_controls.jobs(["encoder"])]
    tasks = [partial(one, job, recipe, device=options.device, progress=not options.quiet) for job in chosen]
    borrowed = {paths.weights(): ("cutouts/*", "controls/*")}
    borrowed |= {store.retrained("controls"): (f"{make_controls.ENCODERS}.*",)}
    store.retrain("generators", [encoders, tasks], options, borrowed, stays="controls/*-encoder-*")


if __name__ == "__main__":
    main()
