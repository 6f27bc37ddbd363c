"""`python -m lib.training.make_zoo`: train the zoo of the cutouts world and the three single-cue readers from scratch.

Everything is written to build/retrained first and takes the place of the committed weights when all of it is there,
so that a killed run loses nothing: networks that are done are left alone, the interrupted one goes on from its last
epoch. Two processes side by side, one thread each, unless --processes says otherwise.
"""

import argparse
import multiprocessing
import os
import re
import shutil

import numpy as np
import torch

from lib.base import files, paths, weights
from lib.base.repeatable import repeatable
from lib.networks import zoo
from lib.training import classifiers, loop
from lib.worlds import cutouts

SEEDS = (0, 1, 2)
KEPT = {step: f"step{step}" for step in (64, 256, 1024)}  # log-spaced states on the way, for notebook 06
KEPT_FAMILIES = ("alexnet", "vgg")  # one without and one with normalisation; seed 0 only
RECIPE = classifiers.Recipe()
READER = "vgg"  # the family of the single-cue readers


def jobs(families=zoo.FAMILIES, seeds=SEEDS, readers=True) -> list[tuple[str, str, str, int]]:
    """(weights' name, family, target, seed) of everything that `make retrain` trains."""
    order = sorted(families, key=("inception", "convnext", "vgg", "resnet", "alexnet", "lenet").index)
    cues = [(f"cutouts/reader-{cue}", READER, cue, 0) for cue in cutouts.CUES] if readers else []
    zoos = [[(f"cutouts/{family}-{seed}", family, "label", seed) for family in order] for seed in seeds]
    return [job for group in (*zoos[:1], cues, *zoos[1:]) for job in group]


def targets(batch: cutouts.Batch, target: str) -> np.ndarray:
    """What a network is to name: the label, or the value of one cue."""
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
    try:
        if files.key_digest(weights.load(name)[1]["made_by"]) == files.key_digest(made_by):
            return weights.info(name)
    except (FileNotFoundError, ValueError, KeyError):
        pass
    slices = max(1, recipe.images // recipe.epoch)
    everything = cutouts.batch(world, "train", min(recipe.images, slices * recipe.epoch))
    labels = targets(everything, target)
    held_out = cutouts.batch(world, "validation", recipe.validation)

    def data(epoch: int):
        part = slice(epoch % slices * recipe.epoch, (epoch % slices + 1) * recipe.epoch)
        return everything.images[part], labels[part]

    kept = KEPT if family in KEPT_FAMILIES and seed == 0 and target == "label" else {}
    checkpoint = paths.weights() / "checkpoints" / f"{name}-{files.key_digest(made_by)[:12]}.ckpt"
    validation = (held_out.images, targets(held_out, target))
    best, history = classifiers.fit(
        model,
        data,
        validation,
        zoo.preprocess,
        recipe,
        checkpoint=checkpoint,
        keep=kept,
        device=device,
        progress=progress,
    )
    for label, state in history.pop("kept").items():
        weights.save(f"{name}-{label}", state, {"made_by": made_by, "of": name, "step": int(label[4:])})
    info = _stored(name, model, best, validation, {"made_by": made_by, "history": history, "torch": torch.__version__})
    checkpoint.unlink(missing_ok=True)
    return info


def recipe(images: int, epochs: int) -> classifiers.Recipe:
    """The zoo's recipe with fewer pictures and epochs."""
    size = min(images, classifiers.Recipe().epoch)
    return classifiers.Recipe(images=images, epoch=size, epochs=epochs, validation=max(64, size // 10))


def here(run, families, seeds, images: int = 60_000, epochs: int = 20, world=None) -> None:
    """Train these networks and the readers for a notebook run with `retrain = True`, into build/<profile>/weights.

    The rest of the process then reads its weights from there; the committed ones are not touched. Each notebook has a
    folder of its own, since notebooks run side by side; what is there by the same recipe is not trained again.
    """
    os.environ["COMPANION_WEIGHTS"] = str(paths.build() / run.profile / "weights" / run.notebook[:2])
    chosen = recipe(images, epochs)._replace(precision=loop.precision(run.device))
    for name, family, target, seed in jobs(families, seeds):
        one(name, family, target, seed, chosen, world, run.device, progress=True)


def _stored(name: str, model, best: dict, validation: tuple, info: dict) -> dict:
    """Store in half precision where the validation accuracy agrees to three decimals, else in single precision."""
    model.cpu().load_state_dict(best)
    exact = classifiers.evaluate(model, *validation, zoo.preprocess)
    weights.save(name, best, info)
    model.load_state_dict(weights.load(name)[0])
    halved = classifiers.evaluate(model, *validation, zoo.preprocess)
    info["validation"] = {"loss": exact[0], "accuracy": exact[1], "accuracy_in_half_precision": halved[1]}
    return weights.save(name, best, info, half=round(exact[1], 3) == round(halved[1], 3))


def _job(task: tuple) -> str:
    (name, family, target, seed), recipe, device, progress = task
    repeatable(0, device)
    info = one(name, family, target, seed, recipe, device=device, progress=progress)
    return f"{name}: {info['history']['epochs']} epochs, validation accuracy {info['validation']['accuracy']:.3f}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 or mps")
    parser.add_argument("--families", nargs="*", default=list(zoo.FAMILIES), choices=zoo.FAMILIES)
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    parser.add_argument(
        "--precision",
        default=None,
        help="a precision of Lightning Fabric; default: what the device multiplies natively",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    options = parser.parse_args(arguments)
    recipe = RECIPE._replace(precision=options.precision or loop.precision(options.device))
    everything = set(options.families) == set(zoo.FAMILIES)
    chosen = jobs(options.families, options.seeds, readers=everything)
    committed = paths.weights()
    os.environ["COMPANION_WEIGHTS"] = str(paths.build() / "retrained")
    cutouts.batch(cutouts.World(), "train", recipe.images)  # rendered once, before the processes share it
    todo = [(job, recipe, options.device, not options.quiet) for job in chosen]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for line in pool.imap_unordered(_job, todo):
            print(line, flush=True)  # noqa: T201 - what a person at the terminal waits for
    for name, *_ in chosen:  # each network with the states kept on its way, the weights before their digest
        mine = [path for path in paths.weights().glob(f"{name}*") if re.fullmatch(rf"{name[8:]}(-step\d+)?", path.stem)]
        for path in sorted(mine, key=lambda path: path.suffix != ".safetensors"):
            files.atomic_write(committed / path.relative_to(paths.weights()), path.read_bytes())
    shutil.rmtree(paths.weights())  # all of it is in its place: the next call starts from scratch


if __name__ == "__main__":
    main()
