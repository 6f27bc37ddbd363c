"""`python -m lib.training.make_zoo`: train the zoo of the cutouts world and the three single-cue readers from scratch.

Two processes side by side, one thread each, unless --processes says otherwise; lib/training/store.py says what becomes
of a killed run.
"""

from functools import partial

import numpy as np
import torch

from lib.base import files, weights
from lib.networks import zoo
from lib.training import classifiers, loop, store
from lib.worlds import cutouts

SEEDS = (0, 1, 2, 3)
KEPT = {step: f"step{step}" for step in (64, 256, 1024)}  # log-spaced states on the way, for notebook 06
KEPT_FAMILIES = ("alexnet", "vgg")  # one without and one with normalisation; seed 0 only
RECIPE = classifiers.Recipe()
READER = "vgg"  # the family of the single-cue readers


def jobs(families=zoo.EVERY[::-1], seeds=SEEDS, readers=True) -> list[tuple[str, str, str, int]]:
    """(weights' name, family, target, seed) of everything that `make retrain` trains, the slow families first."""
    cues = [(f"cutouts/reader-{cue}", READER, cue, 0) for cue in cutouts.CUES] if readers else []
    zoos = [[(f"cutouts/{family}-{seed}", family, "label", seed) for family in families] for seed in seeds]
    return [job for group in (*zoos[:1], cues, *zoos[1:]) for job in group]


def targets(batch: cutouts.Batch, target: str) -> np.ndarray:
    """What a network is to name, (n,): the label, or the value of one cue."""
    return batch.labels if target == "label" else batch.cues[:, cutouts.CUES.index(target)]


def one(
    name: str, family: str, target: str, seed: int, recipe: classifiers.Recipe, world=None, device="cpu", progress=False
) -> dict:
    """Train one network and write its weights; returns their info. Nothing is done if they are there already."""
    world = cutouts.World() if world is None else world
    recipe = recipe._replace(seed=seed)
    made_by = {"world": world._asdict(), "recipe": recipe._asdict(), "family": family, "target": target}
    model = zoo.build(family, cutouts.CLASSES, seed)
    made_by["architecture"] = files.sha256(repr(model).encode())
    made_by["pixels"] = files.sha256(cutouts.render(world, "train", range(8)).images.tobytes())

    def train(checkpoint) -> dict:
        whole = max(1, recipe.images // recipe.epoch) * recipe.epoch
        everything = cutouts.batch(world, "train", min(recipe.images, whole))
        held_out = cutouts.batch(world, "validation", recipe.validation)
        labels, validation = targets(everything, target), (held_out.images, targets(held_out, target))
        data = loop.sliced(recipe.epoch, everything.images, labels)
        kept = KEPT if family in KEPT_FAMILIES and seed == 0 and target == "label" else {}
        options = {"checkpoint": checkpoint, "keep": kept, "device": device, "progress": progress}
        best, history = classifiers.fit(model, data, validation, zoo.preprocess, recipe, **options)
        for label, state in history.pop("kept").items():
            weights.save(f"{name}-{label}", state, {"made_by": made_by, "of": name, "step": int(label[4:])})

        def measure(state: dict) -> dict[str, float]:
            model.cpu().load_state_dict(state)
            loss, accuracy = classifiers.evaluate(model, *validation, zoo.preprocess)
            return {"loss": loss, "accuracy": accuracy}

        info = {"made_by": made_by, "history": history, "torch": torch.__version__}
        return store.save_halved(name, best, info, measure)

    return store.once(name, made_by, train)


def recipe(images: int, epochs: int) -> classifiers.Recipe:
    """The zoo's recipe with fewer pictures and epochs."""
    size = min(images, classifiers.Recipe().epoch)
    return classifiers.Recipe(images=images, epoch=size, epochs=epochs, validation=max(64, size // 10))


def here(run, families, seeds, images: int = 60_000, epochs: int = 20, world=None) -> None:
    """Train these networks and the readers for a notebook run with `retrain = True`; the rest of the process reads its
    weights from where they are written (store.notebook). What is there by the same recipe is not trained again."""
    store.notebook(run)
    chosen = recipe(images, epochs)._replace(precision=loop.precision(run.device))
    for job in jobs(families, seeds):
        one(*job, chosen, world, run.device, progress=True)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = store.parser(__doc__)
    parser.add_argument("--families", nargs="*", default=list(zoo.EVERY[::-1]), choices=zoo.EVERY)
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    options = store.parsed(parser, arguments)
    recipe = RECIPE._replace(precision=options.precision)
    chosen = jobs(options.families, options.seeds, readers=set(options.families) == set(zoo.EVERY))
    cutouts.batch(cutouts.World(), "train", recipe.images)  # rendered once, before the processes share it
    how = {"recipe": recipe, "device": options.device, "progress": not options.quiet}
    store.retrain("zoo", [[partial(one, *job, **how) for job in chosen]], options)


if __name__ == "__main__":
    main()
