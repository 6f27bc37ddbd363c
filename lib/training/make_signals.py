"""`python -m lib.training.make_signals`: the decoders of notebooks 02 to 05 in the paper's regime.

One largest rate and one length for every classifier, since a rate each would manufacture an order: 10,000 steps of 32
pictures, the rate rises over 100 steps and falls to zero along half a cosine, nothing ends a training early, and the
last state is kept. The pictures are fresh: no classifier has seen them and none comes twice. Seed 0 is tuned at four
rates, from which `lib.experiments.shared.regime` chooses by own readings alone; the other seeds are tuned at the chosen
one. Then one thing at a time is changed (`ABLATIONS`), to see what the separation of the signals depends on, and VGG is
tuned on with a first layer of stride 2 and 4. Without options everything is trained (`everything`); with some of them,
every combination of these.

lib/training/store.py says what becomes of a killed run.
"""

from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from torch import nn

from lib.base import paths, weights
from lib.networks import interface, segnet, trained_autoencoders, zoo
from lib.training import autoencoders, loop, make_autoencoders, make_zoo, store
from lib.worlds import cutouts

RATES = (1e-3, 3e-3, 1e-2, 3e-2)  # of lib.experiments.shared.regime, whose rule chooses
FIRST = 60_000  # the first picture of the training split that no classifier has seen
OWN = 10_000  # validation pictures of own readings,
UNSEEN = 2_000  # after those that chose the classifiers' states
KEPT = (5, 10, 20, 40)  # epochs whose states are kept, of the seed on which the rate was chosen, at that rate
RECIPE = autoencoders.Recipe(validation=500, epochs=80, fall=10_000, improvement=0.0)
SHAPES = {
    "blind": segnet.SMALL,
    "five": segnet.Shape((16, 32, 48, 64, 64), (1, 1, 2, 2, 2)),
    "narrow": segnet.Shape((8, 16, 24), (1, 1, 2)),
}
ABLATIONS = (*SHAPES, "own")
STRIDED = ("vgg_stride2", "vgg_stride4")  # of seeds 0 and 1


class Job(NamedTuple):
    """A decoder to tune on the classifier `family` of `seed`, at a largest rate; but: what differs, of ABLATIONS."""

    family: str
    seed: int
    rate: float
    but: str = ""

    @property
    def name(self) -> str:
        return f"{self.family}-{self.seed}-rate{self.rate:g}" + (f"-{self.but}" if self.but else "")


def everything(seeds=make_zoo.SEEDS) -> list[Job]:
    """All decoders in this regime: seed 0 at four rates, all seeds at the chosen one, and what is changed."""
    rate, first = trained_autoencoders.RATE, seeds[0]
    found = [Job(*one) for one in product(zoo.FAMILIES, [first], RATES)]
    found += [Job(family, seed, rate) for seed in seeds for family in zoo.EVERY]
    found += [Job(family, first, rate, but) for but in ABLATIONS for family in trained_autoencoders.CHANGED]
    return list(dict.fromkeys([*found, *(Job(*one) for one in product(STRIDED, seeds[:2], [rate]))]))


def base(but: str, recipe: autoencoders.Recipe, world=None, **options) -> dict:
    """Train the A_S of another shape (`pretrained-<but>`), as A_S itself was; returns its info."""
    return make_autoencoders.pretrained(
        f"pretrained-{but}", recipe, SHAPES[but], world, places=but != "blind", **options
    )


def tuned(
    job: Job, recipe: autoencoders.Recipe, world=None, keep=KEPT, own=OWN, first=FIRST, progress=False, device="cpu"
) -> dict:
    """Tune what `job` says and write its weights; returns their info, in which `own` holds for `own` validation
    pictures whether the classifier reads its own signal right (packed bits, hexadecimal). A_S must be there. first: the
    first picture of the training split that the classifier has not seen."""
    world = cutouts.World() if world is None else world
    recipe = recipe._replace(seed=job.seed, rate=job.rate)
    on_the_way = job.seed == trained_autoencoders.CHOSEN_ON and job.rate == trained_autoencoders.RATE
    keep = keep if on_the_way and not job.but and job.family in zoo.EVERY else ()
    network = zoo.network(job.family, job.seed, device)
    start = "pretrained" + (f"-{job.but}" if job.but in SHAPES else "")
    made, described = trained_autoencoders.autoencoder(start, device=device), weights.info(f"autoencoders/{start}")
    made_by = {"shape": described["made_by"]["shape"], "base": start, "base_digest": described["digest"]}
    made_by |= {"recipe": recipe._asdict(), "world": world._asdict(), "network": network.digest}
    made_by |= {"first": 0 if job.but == "own" else first, "own": own}
    made_by |= {"places": False} if job.but == "blind" else {}

    def train(checkpoint) -> dict:
        watched = cutouts.batch(world, "validation", recipe.validation)
        held_out = cutouts.batch(world, "validation", own, first=UNSEEN)
        data = seen(world, recipe, first) if job.but == "own" else partial(fresh, world, recipe, first=first)
        options = {"keep": keep, "checkpoint": checkpoint, "progress": progress, "device": device, "best": ""}
        validation = (watched.images, watched.labels)
        state, history = autoencoders.tune(made, network, data, recipe, validation, **options)
        kept = history.pop("kept")
        for epoch in keep:  # where the training ends before, its end
            weights.save(
                f"autoencoders/{job.name}-epoch{epoch}", kept.get(epoch, state), {"made_by": made_by, "of": job.name}
            )
        hits = read(made, network, held_out, state)
        info = {"made_by": made_by, "history": history, "own": np.packbits(hits).tobytes().hex()}
        return store.save_halved(
            f"autoencoders/{job.name}", state, info,
            lambda state: {"accuracy": float(read(made, network, held_out, state).mean())},
        )  # fmt: skip

    return store.once(f"autoencoders/{job.name}", made_by, train)


def fresh(
    world: cutouts.World, recipe: autoencoders.Recipe, epoch: int, first: int = FIRST
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and labels of an epoch, from the `first` on that no classifier has seen; none comes twice."""
    pictures = cutouts.batch(world, "train", recipe.epoch, first=first + epoch * recipe.epoch)
    return pictures.images, pictures.labels


def seen(world: cutouts.World, recipe: autoencoders.Recipe, n: int = FIRST):
    """The classifiers' own training pictures, `n` of them, slice after slice."""
    pictures = cutouts.batch(world, "train", n)
    return loop.sliced(recipe.epoch, pictures.images, pictures.labels)


def read(made: segnet.Autoencoder, network: interface.Network, pictures: cutouts.Batch, state: dict) -> np.ndarray:
    """(n,) bool: whether the classifier names the label of a reconstruction once the decoder has this state."""
    decoder = nn.ModuleDict({"decoder": made.decoder}).eval()
    decoder.load_state_dict(state)
    device = made.decoder.final.weight.device
    scores = interface.scores(network, segnet.reconstruct(made, interface.to_tensor(pictures.images)).to(device))
    return scores.argmax(1).cpu().numpy() == pictures.labels


def tasks(jobs: list[Job], first: autoencoders.Recipe, then: autoencoders.Recipe, **options) -> list[list]:
    """What `jobs` need, in groups, each after those before it. first: recipe of other A_S; then: of tuning."""
    bases = [partial(base, but, first, **options) for but in SHAPES if but in {job.but for job in jobs}]
    return [bases, [partial(tuned, job, then, **options) for job in jobs]]


def here(run, families, seeds, changed=trained_autoencoders.CHANGED, images: int = FIRST, epochs: int = 80) -> None:
    """Train for a notebook run with `retrain = True` what make_autoencoders.here trains; the decoders of all `seeds`,
    and of the seed on which the rate is chosen, at that rate; of the latter also those of the rule, at all rates, and
    for the families `changed` what differs in one thing. With at most so many pictures and epochs."""
    chosen_on, rate = trained_autoencoders.CHOSEN_ON, trained_autoencoders.RATE
    every = list(dict.fromkeys([chosen_on, *seeds]))
    make_autoencoders.here(run, list(dict.fromkeys([*families, *zoo.FAMILIES])), every, images, min(epochs, 40))
    size, precision = min(RECIPE.epoch, images), loop.precision(run.device)
    then = RECIPE._replace(epoch=size, epochs=min(RECIPE.epochs, epochs), precision=precision)
    then = then._replace(batch=min(then.batch, size), validation=min(then.validation, images))
    then = then._replace(fall=then.epochs * (size // then.batch))
    jobs = [Job(family, seed, rate) for seed in every for family in families]
    jobs += [Job(*one) for one in product(zoo.FAMILIES, [chosen_on], RATES)]
    jobs += [Job(family, chosen_on, rate, but) for but in ABLATIONS for family in changed if family in families]
    jobs += [Job(*one) for one in product(STRIDED, every[:2], [rate])]
    options = {"progress": True, "device": run.device}
    bases, tunings = tasks(
        list(dict.fromkeys(jobs)), make_autoencoders.first(images, epochs, precision), then, **options
    )
    for task in (*bases, *(partial(one, own=min(OWN, images), first=images) for one in tunings)):
        task()


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = store.parser(__doc__)
    parser.add_argument("--families", nargs="*", choices=(*zoo.EVERY, *STRIDED))
    parser.add_argument("--seeds", nargs="*", type=int)
    parser.add_argument("--rates", nargs="*", type=float)
    parser.add_argument("--but", nargs="*", choices=("", *ABLATIONS))
    options = store.parsed(parser, arguments)
    recipe, first = (one._replace(precision=options.precision) for one in (RECIPE, autoencoders.PRETRAIN))
    chosen = everything()
    if any((options.families, options.seeds, options.rates, options.but)):
        families, rates = options.families or zoo.FAMILIES, options.rates or RATES
        chosen = [Job(*one) for one in product(families, options.seeds or [0], rates, options.but or [""])]
    groups = tasks(chosen, first, recipe, device=options.device, progress=not options.quiet)
    borrowed = ("cutouts/*", "variants/*", "autoencoders/pretrained*")
    store.retrain("signals", groups, options, {paths.weights(): borrowed})


if __name__ == "__main__":
    main()
