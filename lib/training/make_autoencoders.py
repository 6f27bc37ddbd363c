"""`python -m lib.training.make_autoencoders`: train A_S, its variants and every decoder from scratch, on the committed
zoo.

lib/training/store.py says what becomes of a killed run.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from lib.base import files, paths, weights
from lib.networks import interface, segnet, trained_autoencoders, zoo
from lib.training import autoencoders, classifiers, loop, make_zoo, store
from lib.worlds import cutouts, streams

SEEDS = (0, 1, 2)
PASSES = 72  # how often the small set is seen, as ImageNet in the paper, in as many steps as the stream
SIMPLE = trained_autoencoders.SIMPLE
STRIDES = ("vgg_stride2", "vgg_stride4")
WIDENED = ("alexnet_x4", "alexnet_x8")  # too large to commit: their answers are, see `answer`
PRETRAINED = ("pretrained", "pretrained-clean", "pretrained-small")


class Job(NamedTuple):
    """One decoder (or encoder, or both) to tune: A_<family> of a seed and how it differs from the default."""

    family: str
    seed: int
    how: str = ""  # "", encoder, both, fresh, untrained

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
    return chosen


def pretrained(
    name: str, recipe: autoencoders.Recipe, shape=segnet.SMALL, world=None, places=True, progress=False, device="cpu"
) -> dict:
    """Train A_S or a variant (`pretrained`, `-clean`, `-small`, or of another shape) and write its weights; returns
    their info. places: as for segnet.Decoder."""
    world = cutouts.World() if world is None else world
    recipe = recipe._replace(fall=recipe.epochs * (recipe.epoch // recipe.batch))
    recipe = recipe._replace(noise=0.0) if name.endswith("clean") else recipe
    made_by = {"shape": shape, "recipe": recipe._asdict(), "data": "small" if name.endswith("small") else "stream"}
    made_by |= {"world": world._asdict(), "pixels": files.sha256(streams.diverse(0, 8).tobytes())}
    made_by |= {} if places else {"places": False}

    def train(checkpoint) -> dict:
        data = partial(streams.diverse, n=recipe.epoch)
        if made_by["data"] == "small":
            few = cutouts.batch(world, "train", max(8, recipe.epochs * recipe.epoch // PASSES)).images
            data = partial(streams.repeated, n=recipe.epoch, pictures=few)
        validation = {"stream": streams.diverse(0, recipe.validation, "validation", 1_000_000)}
        validation["cutouts"] = cutouts.batch(world, "validation", recipe.validation).images
        options = {"checkpoint": checkpoint, "progress": progress, "device": device}
        made = segnet.build(shape, recipe.seed, name, places)
        state, history = autoencoders.pretrain(made, data, recipe, validation, **options)
        history.pop("kept")
        return weights.save(f"autoencoders/{name}", state, {"made_by": made_by, "history": history}, half=False)

    return store.once(f"autoencoders/{name}", made_by, train)


def tuned(job: Job, recipe: autoencoders.Recipe, world=None, images=60_000, progress=False, device="cpu") -> dict:
    """Tune what `job` says and write its weights; returns their info. A_S must be there, and for the three other ways
    of supplementary table 1 the tuned decoder, since they take as many steps as it took."""
    world = cutouts.World() if world is None else world
    recipe = recipe._replace(seed=job.seed)
    if job.how in ("encoder", "both", "fresh"):
        epochs = weights.info(f"autoencoders/{Job(job.family, job.seed).name}")["history"]["epochs"]
        recipe = recipe._replace(epochs=epochs, improvement=0.0)
    network = zoo.network(job.family, job.seed, device, stage="step0" if job.how == "untrained" else "")
    made = trained_autoencoders.autoencoder(device=device)
    described = weights.info("autoencoders/pretrained")
    made_by = {"shape": described["made_by"]["shape"], "base": "pretrained", "base_digest": described["digest"]}
    made_by |= {"recipe": recipe._asdict(), "world": world._asdict(), "network": network.digest, "images": images}
    made_by |= {"how": job.how}
    if job.how == "fresh":
        fresh = segnet.build(segnet.Shape(*map(tuple, made_by["shape"])), job.seed)
        made = segnet.assemble(job.name, made.encoder, fresh.decoder)

    def train(checkpoint) -> dict:
        everything = cutouts.batch(world, "train", images)
        held_out = cutouts.batch(world, "validation", recipe.validation)
        options = {"checkpoint": checkpoint, "progress": progress, "device": device}
        data = loop.sliced(recipe.epoch, everything.images, everything.labels)
        validation, part = (held_out.images, held_out.labels), job.how if job.how in ("encoder", "both") else "decoder"
        state, history = autoencoders.tune(made, network, data, recipe, validation, part, **options)
        history.pop("kept")
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
    then = autoencoders.Recipe(
        epoch=min(4_000, images), validation=min(2_000, images), epochs=epochs, precision=precision
    )
    short = make_zoo.recipe(images, epochs)._replace(precision=precision)
    a_s = first(images, epochs, precision)
    for group in tasks(families, seeds, short, a_s, then, images, progress=True, device=run.device):
        for task in group:
            task()


def first(images: int, epochs: int, precision: str) -> autoencoders.Recipe:
    """The recipe of A_S with at most so many pictures and epochs."""
    recipe = autoencoders.PRETRAIN._replace(precision=precision)
    if images < recipe.epoch * recipe.epochs:
        recipe = recipe._replace(epoch=min(recipe.epoch, images), epochs=max(1, min(recipe.epochs, epochs)))
    return recipe._replace(batch=min(recipe.batch, recipe.epoch), validation=min(recipe.validation, images))


def tasks(
    families,
    seeds,
    classifier: classifiers.Recipe,
    first: autoencoders.Recipe,
    then: autoencoders.Recipe,
    images: int = 60_000,
    **options,
) -> list[list[Callable[[], dict]]]:
    """Everything to train, in groups; each group needs what those before it made. classifier: recipe of the variants
    of classifiers; first: of A_S; then: of tuning, on so many pictures. options: progress and device."""
    bases = [partial(pretrained, name, first, **options) for name in PRETRAINED]
    variants = [(f"variants/{family}-{seed}", family, "label", seed) for family in STRIDES for seed in seeds[:2]]
    strided = [partial(make_zoo.one, *variant, classifier, **options) for variant in variants]
    decoders = [partial(tuned, job, then, images=images, **options) for job in jobs(families, seeds)]
    answers = [partial(answer, family, seed, classifier, **options) for seed in seeds for family in WIDENED]
    return [bases[:2], bases[2:] + strided, decoders + answers]


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


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    options = store.parsed(store.parser(__doc__), arguments)
    recipes = classifiers.Recipe(), autoencoders.PRETRAIN, autoencoders.Recipe()
    recipes = [recipe._replace(precision=options.precision) for recipe in recipes]
    cutouts.batch(cutouts.World(), "train", recipes[0].images)  # rendered once, before the processes share it
    how = {"device": options.device, "progress": not options.quiet}
    groups = tasks(zoo.FAMILIES[::-1], SEEDS, *recipes, **how)
    store.retrain("autoencoders", groups, options, {paths.weights(): ("cutouts/*",)}, scratch="large/*")


if __name__ == "__main__":
    main()
