"""`python -m lib.training.make_autoencoders`: train A_S, its variants and every decoder from scratch, on the committed
zoo.

Like lib/training/make_zoo.py: everything goes to build/retrained first and takes the place of the committed weights
when all of it is there; what is done is left alone, the interrupted one goes on from its last epoch.
"""

import argparse
import multiprocessing
import os
import shutil
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lib.base import files, paths, weights
from lib.base.repeatable import repeatable
from lib.networks import interface, segnet, trained_autoencoders, zoo
from lib.training import autoencoders, classifiers, loop, make_zoo
from lib.worlds import cutouts

SEEDS = (0, 1, 2)
PASSES = 72  # how often the small set is seen, as ImageNet in the paper, in as many steps as the stream
KEPT = (2, 6, 20)  # epochs of tuning whose states are kept, however soon the rule ends it
SIMPLE = "resnet"  # the family of the paper's supplementary table 1
STRIDES = ("vgg_stride2", "vgg_stride4")
FAST = 10  # times the rate, for a look at what longer or bolder tuning would do
WIDENED = ("alexnet_x4", "alexnet_x8")  # too large to commit: their answers are, see `answer`


class Job(NamedTuple):
    """One decoder (or encoder, or both) to tune: A_<family> of a seed and how it differs from the default."""

    family: str
    seed: int
    how: str = ""  # "", encoder, both, fresh, untrained, clean, fast

    @property
    def name(self) -> str:
        return f"{self.family}-{self.seed}" + (f"-{self.how}" if self.how else "")


def jobs(families=zoo.FAMILIES, seeds=SEEDS) -> list[Job]:
    """All tunings, the ones that others wait for first."""
    order = sorted(families, key=("vgg", "convnext", "inception", "resnet", "alexnet", "lenet").index)
    chosen = [Job(family, seeds[0]) for family in order]
    chosen += [Job(family, seeds[0], "untrained") for family in order]
    chosen += [Job(family, seed) for seed in seeds[1:] for family in order]
    if SIMPLE in families:
        chosen += [Job(SIMPLE, seed, how) for seed in seeds for how in ("encoder", "both", "fresh")]
    chosen += [Job(family, seed) for family in STRIDES for seed in seeds[:2]]
    return chosen + [Job(family, seeds[0], how) for how in ("fast", "clean") for family in order]


def stream(epoch: int, n: int = 2_000, split: str = "train", first: int = 1_000) -> np.ndarray:
    """Slice `epoch` of the large diverse stream: pictures (n, 64, 64, 3) that never come again.

    The counterpart of the paper's YFCC100m: every 500 pictures are drawn from another world, with other sizes, turns,
    clutter, backgrounds and colours, and with cues that say nothing about a label.
    """
    parts = []
    for k in range(epoch * n // 500, (epoch + 1) * n // 500 or 1):
        low = 4 + 10 * (k % 5) / 5
        world = cutouts.World(0.1, 0.1, 0.1, radius=(low, 17.5), rotation=180.0, clutter=k % 9, seed=first + k)
        world = world._replace(photographs=(0.7, 0.0, 1.0)[k % 3], modification=("none", "bgr")[k % 2])
        parts.append(cutouts.render(world, split, range(min(n, 500))).images)
    return np.concatenate(parts)


def small(epoch: int, n: int, pictures: np.ndarray) -> np.ndarray:
    """Slice `epoch` of a few `pictures` seen again and again, in a new order every time."""
    places = np.arange(epoch * n, (epoch + 1) * n)
    orders = {p: np.random.default_rng(p).permutation(len(pictures)) for p in np.unique(places // len(pictures))}
    return pictures[[orders[p // len(pictures)][p % len(pictures)] for p in places]]


def pretrained(
    name: str, recipe: autoencoders.Recipe, shape=segnet.SMALL, world=None, progress=False, device="cpu"
) -> dict:
    """Train A_S or a variant (`pretrained`, `-clean`, `-small`) and write its weights; returns their info."""
    world = cutouts.World() if world is None else world
    recipe = recipe._replace(fall=recipe.epochs * (recipe.epoch // recipe.batch))
    recipe = recipe._replace(noise=0.0) if name.endswith("clean") else recipe
    made_by = {"shape": shape, "recipe": recipe._asdict(), "data": "small" if name.endswith("small") else "stream"}
    made_by |= {"world": world._asdict(), "pixels": files.sha256(stream(0, 8).tobytes())}
    if (done := _done(name, made_by)) is not None:
        return done
    few = cutouts.batch(world, "train", max(8, recipe.epochs * recipe.epoch // PASSES)).images
    validation = {"stream": stream(0, recipe.validation, "validation", 1_000_000)}
    validation["cutouts"] = cutouts.batch(world, "validation", recipe.validation).images
    made = segnet.build(shape, recipe.seed, name)
    state, history = autoencoders.pretrain(
        made,
        lambda e: small(e, recipe.epoch, few) if made_by["data"] == "small" else stream(e, recipe.epoch),
        recipe,
        validation,
        checkpoint=_checkpoint(name, made_by),
        progress=progress,
        device=device,
    )
    history.pop("kept")
    info = weights.save(f"autoencoders/{name}", state, {"made_by": made_by, "history": history}, half=False)
    _checkpoint(name, made_by).unlink(missing_ok=True)
    return info


def tuned(
    job: Job, recipe: autoencoders.Recipe, world=None, images=60_000, keep=KEPT, progress=False, device="cpu"
) -> dict:
    """Tune what `job` says and write its weights; returns their info. A_S must be there, and for the three other ways
    of supplementary table 1 the tuned decoder, since they take as many steps as it took."""
    world = cutouts.World() if world is None else world
    keep = () if job.how or job.family not in zoo.FAMILIES else keep
    recipe = recipe._replace(seed=job.seed, beyond=max(keep, default=0))
    if job.how in ("encoder", "both", "fresh"):
        epochs = weights.info(f"autoencoders/{Job(job.family, job.seed).name}")["history"]["epochs"]
        recipe = recipe._replace(epochs=epochs, improvement=0.0)
    if job.how == "fast":
        recipe = recipe._replace(rate=FAST * recipe.rate, epochs=min(recipe.epochs, max(KEPT)), improvement=0.0)
    base = "pretrained-clean" if job.how == "clean" else "pretrained"
    network = zoo.network(job.family, job.seed, device, stage="step0" if job.how == "untrained" else "")
    made = trained_autoencoders.autoencoder(base, device=device)
    described = weights.info(f"autoencoders/{base}")
    made_by = {"shape": described["made_by"]["shape"], "base": base, "base_digest": described["digest"]}
    made_by |= {"recipe": recipe._asdict(), "world": world._asdict(), "network": network.digest, "images": images}
    made_by |= {"how": job.how}
    if (done := _done(job.name, made_by)) is not None:
        return done
    everything = cutouts.batch(world, "train", images)
    held_out = cutouts.batch(world, "validation", recipe.validation)
    if job.how == "fresh":
        fresh = segnet.build(segnet.Shape(*map(tuple, made_by["shape"])), job.seed)
        made = segnet.assemble(job.name, made.encoder, fresh.decoder)
    slices = max(1, images // recipe.epoch)

    def data(epoch: int):
        part = slice(epoch % slices * recipe.epoch, (epoch % slices + 1) * recipe.epoch)
        return everything.images[part], everything.labels[part]

    part = job.how if job.how in ("encoder", "both") else "decoder"
    checkpoint, validation = _checkpoint(job.name, made_by), (held_out.images, held_out.labels)
    options = {"keep": keep, "checkpoint": checkpoint, "progress": progress, "device": device}
    options |= {"best": ""} if job.how == "fast" else {}  # the last state, wherever it has gone
    state, history = autoencoders.tune(made, network, data, recipe, validation, part, **options)
    kept = history.pop("kept")
    for epoch, earlier in kept.items():
        name = f"{job.name}-epoch{epoch}"
        weights.save(f"autoencoders/{name}", earlier, {"made_by": made_by, "of": job.name, "epoch": epoch})
    info = _stored(job, made, network, state, validation, {"made_by": made_by, "history": history})
    checkpoint.unlink(missing_ok=True)
    return info


def here(run, families, seeds, images: int = 60_000, epochs: int = 40) -> None:
    """Train the zoo and all its autoencoders for a notebook run with `retrain = True`, into build/<profile>/weights.

    As retrain.here, which trains the classifiers: the rest of the process reads its weights from there.
    """
    make_zoo.here(run, families, seeds, images, min(epochs, classifiers.Recipe().epochs))
    precision = loop.precision(run.device)
    first = autoencoders.PRETRAIN._replace(precision=precision)
    if images < first.epoch * first.epochs:
        first = first._replace(epoch=min(first.epoch, images), epochs=max(1, min(first.epochs, epochs)))
    first = first._replace(batch=min(first.batch, first.epoch), validation=min(first.validation, images))
    then = autoencoders.Recipe(
        epoch=min(4_000, images), validation=min(2_000, images), epochs=epochs, precision=precision
    )
    options = {"progress": True, "device": run.device}
    for name in ("pretrained", "pretrained-clean", "pretrained-small"):
        pretrained(name, first, **options)
    short = make_zoo.recipe(images, epochs)._replace(precision=precision)
    for family in STRIDES:
        for seed in seeds[:2]:
            make_zoo.one(f"variants/{family}-{seed}", family, "label", seed, short, **options)
    for job in jobs(families, seeds):
        tuned(job, then, images=images, **options)
    for family in WIDENED:
        for seed in seeds:
            answer(family, seed, short, **options)


def answer(
    family: str, seed: int, recipe: classifiers.Recipe, world=None, n_test=3_000, progress=False, device="cpu"
) -> dict:
    """Train a widened AlexNet, and keep what it says about the test pictures instead of its weights."""
    world, name = cutouts.World() if world is None else world, f"{family}-{seed}"
    made_by = {"recipe": recipe._replace(seed=seed)._asdict(), "world": world._asdict(), "family": family}
    if (done := _done(name, made_by, "answers")) is not None:
        return done
    trained = make_zoo.one(f"large/{name}", family, "label", seed, recipe, world, device, progress)
    model = zoo.build(family)
    model.load_state_dict(weights.load(f"large/{name}")[0])
    pictures = interface.to_tensor(cutouts.batch(world, "test", n_test).images)
    with torch.inference_mode():
        said = torch.cat([model.eval()(zoo.preprocess(part)) for part in pictures.split(250)]).softmax(1)
    size = sum(parameter.numel() for parameter in model.parameters())
    info = {"made_by": made_by, "history": trained["history"], "network": trained["digest"], "parameters": size}
    return weights.save(f"answers/{name}", {"probabilities": said}, info | {"pictures": n_test})


def _done(name: str, made_by: dict, folder: str = "autoencoders") -> dict | None:
    try:
        info = weights.load(f"{folder}/{name}")[1]
    except (FileNotFoundError, ValueError):
        return None
    return info if files.key_digest(info["made_by"]) == files.key_digest(made_by) else None


def _checkpoint(name: str, made_by: dict):
    return paths.weights() / "checkpoints" / f"{name}-{files.key_digest(made_by)[:12]}.ckpt"


def _stored(job: Job, made, network, state: dict, validation: tuple, info: dict) -> dict:
    """Store in half precision where the classifier's validation accuracy agrees to three decimals."""
    name = f"autoencoders/{job.name}"
    images, labels = interface.to_tensor(validation[0]), validation[1]
    both = nn.ModuleDict({"encoder": made.encoder, "decoder": made.decoder})

    def accuracy(state: dict) -> float:
        both.load_state_dict(both.state_dict() | state)
        scores = interface.scores(network, segnet.reconstruct(made, images))
        return float((scores.argmax(1).numpy() == labels).mean())

    both.cpu().eval(), network.model.cpu()
    exact = accuracy(state)
    weights.save(name, state, info)
    halved = accuracy(weights.load(name)[0])
    info["validation"] = {"accuracy": exact, "accuracy_in_half_precision": halved}
    return weights.save(name, state, info, half=round(exact, 3) == round(halved, 3))


def _job(task: tuple) -> str:
    what, recipe, device, progress = task
    repeatable(0, device)
    if isinstance(what, Job):
        info = tuned(what, recipe, device=device, progress=progress)
        measured = f"validation accuracy {info['validation']['accuracy']:.3f}"
        return f"{what.name}: {info['history']['epochs']} epochs, {measured}"
    if isinstance(what, str):
        info = pretrained(what, recipe, device=device, progress=progress)
        return f"{what}: validation error {info['history']['cutouts'][-1]:.4f}"
    name, family, seed = what
    kwargs = {"device": device, "progress": progress}
    info = (
        make_zoo.one(name, family, "label", seed, recipe, **kwargs) if name else answer(family, seed, recipe, **kwargs)
    )
    return f"{family}-{seed}: {info['history']['epochs']} epochs"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 or mps")
    parser.add_argument("--precision", default=None, help="a precision of Lightning Fabric; default: the device's own")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    options = parser.parse_args(arguments)
    precision = options.precision or loop.precision(options.device)
    committed, fresh = paths.weights(), paths.build() / "retrained"
    (fresh / "cutouts").mkdir(parents=True, exist_ok=True)
    for path in (committed / "cutouts").iterdir():  # the zoo is read from there as well
        if not (fresh / "cutouts" / path.name).exists():
            shutil.copy(path, fresh / "cutouts")
    os.environ["COMPANION_WEIGHTS"] = str(fresh)
    cutouts.batch(cutouts.World(), "train", classifiers.Recipe().images)  # rendered once, before the processes share it
    classifier, autoencoder = classifiers.Recipe(precision=precision), autoencoders.Recipe(precision=precision)
    pre = [(name, autoencoders.PRETRAIN._replace(precision=precision)) for name in ("pretrained", "pretrained-clean")]
    decoders = [(job, autoencoder) for job in jobs()]
    variants = [((f"variants/{family}-{s}", family, s), classifier) for family in STRIDES for s in SEEDS[:2]]
    large = [(("", family, s), classifier) for s in SEEDS for family in WIDENED]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for group in (pre, [("pretrained-small", pre[0][1]), *variants], [*decoders, *large]):
            tasks = [(*task, options.device, not options.quiet) for task in group]
            for line in pool.imap_unordered(_job, tasks):
                print(line, flush=True)  # noqa: T201 - what a person at the terminal waits for
    for path in sorted(fresh.rglob("*"), key=lambda path: path.suffix != ".safetensors"):
        place = path.relative_to(fresh)
        mine = place.parts[0] in ("autoencoders", "answers", "variants")
        if path.is_file() and mine:
            files.atomic_write(committed / place, path.read_bytes())
    shutil.rmtree(fresh)


if __name__ == "__main__":
    main()
