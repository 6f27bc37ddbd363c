"""`python -m lib.training.make_autoencoders`: train A_S, its variants and every decoder from scratch, on the committed
zoo.

lib/training/store.py says what becomes of a killed run.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from lib.base import files, paths, weights
from lib.networks import interface, segnet, trained_autoencoders, zoo
from lib.networks.trained_autoencoders import KEPT
from lib.training import autoencoders, classifiers, loop, make_zoo, store
from lib.worlds import cutouts

SEEDS = (0, 1, 2)
PASSES = 72  # how often the small set is seen, as ImageNet in the paper, in as many steps as the stream
SIMPLE = trained_autoencoders.SIMPLE
STRIDES = ("vgg_stride2", "vgg_stride4")
FAST = 10  # times the rate, for a look at what longer or bolder tuning would do
WIDENED = ("alexnet_x4", "alexnet_x8")  # too large to commit: their answers are, see `answer`
PRETRAINED = ("pretrained", "pretrained-clean", "pretrained-small")


class Job(NamedTuple):
    """One decoder (or encoder, or both) to tune: A_<family> of a seed and how it differs from the default."""

    family: str
    seed: int
    how: str = ""  # "", encoder, both, fresh, untrained, clean, fast

    @property
    def name(self) -> str:
        return f"{self.family}-{self.seed}" + (f"-{self.how}" if self.how else "")


def jobs(families=zoo.FAMILIES[::-1], seeds=SEEDS) -> list[Job]:
    """All tunings, the ones that others wait for first."""
    chosen = [Job(family, seeds[0]) for family in families]
    chosen += [Job(family, seeds[0], "untrained") for family in families]
    chosen += [Job(family, seed) for seed in seeds[1:] for family in families]
    if SIMPLE in families:
        chosen += [Job(SIMPLE, seed, how) for seed in seeds for how in ("encoder", "both", "fresh")]
    chosen += [Job(family, seed) for family in STRIDES for seed in seeds[:2]]
    return chosen + [Job(family, seeds[0], how) for how in ("fast", "clean") for family in families]


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

    def train(checkpoint) -> dict:
        few = cutouts.batch(world, "train", max(8, recipe.epochs * recipe.epoch // PASSES)).images
        validation = {"stream": stream(0, recipe.validation, "validation", 1_000_000)}
        validation["cutouts"] = cutouts.batch(world, "validation", recipe.validation).images
        state, history = autoencoders.pretrain(
            segnet.build(shape, recipe.seed, name),
            lambda e: small(e, recipe.epoch, few) if made_by["data"] == "small" else stream(e, recipe.epoch),
            recipe,
            validation,
            checkpoint=checkpoint,
            progress=progress,
            device=device,
        )
        history.pop("kept")
        return weights.save(f"autoencoders/{name}", state, {"made_by": made_by, "history": history}, half=False)

    return store.once(f"autoencoders/{name}", made_by, train)


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
    if job.how == "fresh":
        fresh = segnet.build(segnet.Shape(*map(tuple, made_by["shape"])), job.seed)
        made = segnet.assemble(job.name, made.encoder, fresh.decoder)

    def train(checkpoint) -> dict:
        everything, part = cutouts.batch(world, "train", images), loop.slices(recipe.epoch, images)
        held_out = cutouts.batch(world, "validation", recipe.validation)
        options = {"keep": keep, "checkpoint": checkpoint, "progress": progress, "device": device}
        options |= {"best": ""} if job.how == "fast" else {}  # the last state, wherever it has gone
        state, history = autoencoders.tune(
            made,
            network,
            lambda epoch: (everything.images[part(epoch)], everything.labels[part(epoch)]),
            recipe,
            (held_out.images, held_out.labels),
            job.how if job.how in ("encoder", "both") else "decoder",
            **options,
        )
        for epoch, earlier in history.pop("kept").items():
            described = {"made_by": made_by, "of": job.name, "epoch": epoch}
            weights.save(f"autoencoders/{job.name}-epoch{epoch}", earlier, described)
        info = {"made_by": made_by, "history": history}
        return store.save_halved(f"autoencoders/{job.name}", state, info, partial(_accuracy, made, network, held_out))

    return store.once(f"autoencoders/{job.name}", made_by, train)


def _accuracy(made: segnet.Autoencoder, network: interface.Network, pictures: cutouts.Batch, state: dict) -> dict:
    """How often the classifier names the label of a reconstruction once the tuned halves have this state."""
    both = nn.ModuleDict({"encoder": made.encoder, "decoder": made.decoder}).cpu().eval()
    both.load_state_dict(both.state_dict() | state)
    network.model.cpu()
    scores = interface.scores(network, segnet.reconstruct(made, interface.to_tensor(pictures.images)))
    return {"accuracy": float((scores.argmax(1).numpy() == pictures.labels).mean())}


def here(run, families, seeds, images: int = 60_000, epochs: int = 40) -> None:
    """Train the zoo and all its autoencoders for a notebook run with `retrain = True` (store.notebook), with at most so
    many pictures and epochs."""
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
    for name in PRETRAINED:
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

    def train(_) -> dict:
        trained = make_zoo.one(f"large/{name}", family, "label", seed, recipe, world, device, progress)
        model = zoo.build(family)
        model.load_state_dict(weights.load(f"large/{name}")[0])
        pictures = interface.to_tensor(cutouts.batch(world, "test", n_test).images)
        with torch.inference_mode():
            said = torch.cat([model.eval()(zoo.preprocess(part)) for part in pictures.split(250)]).softmax(1)
        size = sum(parameter.numel() for parameter in model.parameters())
        info = {"made_by": made_by, "history": trained["history"], "network": trained["digest"], "parameters": size}
        return weights.save(f"answers/{name}", {"probabilities": said}, info | {"pictures": n_test})

    return store.once(f"answers/{name}", made_by, train)


def pretrained_line(name: str, *recipe, **options) -> str:
    """Train A_S or a variant; what there is to say about it."""
    return f"{name}: validation error {pretrained(name, *recipe, **options)['history']['cutouts'][-1]:.4f}"


def tuned_line(job: Job, *recipe, **options) -> str:
    """Tune what `job` says; what there is to say about it."""
    info = tuned(job, *recipe, **options)
    return f"{job.name}: {info['history']['epochs']} epochs, validation accuracy {info['validation']['accuracy']:.3f}"


def answer_line(family: str, seed: int, *recipe, **options) -> str:
    """Train a widened AlexNet; what there is to say about it."""
    return f"{family}-{seed}: {answer(family, seed, *recipe, **options)['history']['epochs']} epochs"


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    options = store.parsed(store.parser(__doc__), arguments)
    how = {"device": options.device, "progress": not options.quiet}
    recipes = classifiers.Recipe(), autoencoders.PRETRAIN, autoencoders.Recipe()
    classifier, first, then = (recipe._replace(precision=options.precision) for recipe in recipes)
    cutouts.batch(cutouts.World(), "train", classifier.images)  # rendered once, before the processes share it
    variants = [(f"variants/{family}-{seed}", family, "label", seed) for family in STRIDES for seed in SEEDS[:2]]
    large = [(family, seed) for seed in SEEDS for family in WIDENED]
    bases = [partial(pretrained_line, name, first, **how) for name in PRETRAINED]
    strided = [partial(make_zoo.line, *job, classifier, **how) for job in variants]
    decoders = [partial(tuned_line, job, then, **how) for job in jobs()]
    answers = [partial(answer_line, *job, classifier, **how) for job in large]
    names = [f"autoencoders/{name}" for name in (*PRETRAINED, *(job.name for job in jobs()))]
    names += [name for name, *_ in variants] + [f"answers/{family}-{seed}" for family, seed in large]
    store.retrain(
        "autoencoders", [bases[:2], bases[2:] + strided, decoders + answers], names, options,
        borrowed={paths.weights(): ("cutouts/*",)}, scratch=tuple(f"large/{family}-{seed}" for family, seed in large),
    )  # fmt: skip


if __name__ == "__main__":
    main()
