"""`python -m lib.training.make_photos`: the autoencoders of the photos profile, for ImageNet's photographs.

A_S learns to copy crops of 64 and 96 pixels; being fully convolutional, it then reads 224. Three shapes are trained,
and the one is taken through whose copies the seven networks read best. Then trials: its decoder is tuned on one
network of each family, with a seed of their own and a quarter as long, at three rates, from which a rule chooses one
for all by own readings alone (`boldest`). At that rate the decoder is tuned on each of the seven, for 3,000 steps of
8 crops of 160 pixels. All choices are made on the 200 photographs of ImageNet's sample that judge
(lib/worlds/photo_crops.py); what is reported comes from others.

lib/training/store.py says what becomes of a killed run.
"""

import argparse
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

from lib.base import files, paths, weights
from lib.networks import interface, photo_networks, segnet, trained_autoencoders
from lib.training import autoencoders, store
from lib.worlds import photo_crops

SHAPES = {
    "three": segnet.Shape((24, 48, 64), (1, 2, 2)),
    "four": segnet.Shape((24, 48, 64, 96), (1, 1, 2, 2)),
    "wide": segnet.Shape((32, 64, 96), (1, 1, 2)),
}
SHAPE = "wide"  # the one that was taken
A_S = autoencoders.PRETRAIN._replace(epochs=150)  # 300,000 crops
SIZES = (96, 64)  # sides of the crops, epoch after epoch: of ImageNet's photographs, of Tiny-ImageNet's
RATES = (3e-3, 1e-2, 3e-2)
LOWER = (3e-4, 1e-3)  # tried after decoders had been tuned at .003 and read: their owners read .70, .70 after .67
TRIALS = ("squeezenet1_1", "googlenet", "mobilenet_v1", "efficientnet_lite0")  # the first of each family
MARGIN = 0.01  # own accuracy: 200 photographs do not tell less apart
RECIPE = autoencoders.Recipe(
    epoch=2_000, validation=200, batch=8, shift=0, fall=3_000, epochs=12, improvement=0.0
)  # of tuning
LONG = (("squeezenet1_1", 3),)  # also tuned so many times as long
AGAIN = ("squeezenet1_1", "efficientnet_lite0")  # also tuned with the seeds
SLOWER = (("squeezenet1_1", 1e-3),)  # also tuned at the rate that was best once lower ones had been tried
SEEDS = (1, 2)
TRIAL = {"seed": 3, "length": 0.25}  # of the trials
CROP = 160  # pixels, in tuning
SIZE = 224  # pixels, in everything else


class Job(NamedTuple):
    """A decoder to tune on `network`, at a largest rate, with a seed; length: times the usual number of steps."""

    network: str
    rate: float
    seed: int = 0
    length: float = 1

    @property
    def name(self) -> str:
        more = f"-times{self.length:g}" if self.length != 1 else ""
        return f"photos-{self.network}-{self.seed}-rate{self.rate:g}{more}"


@cache
def _tiny() -> np.ndarray:
    return photo_crops.tiny()


@cache
def _tuning() -> photo_crops.Pictures:
    return photo_crops.tuning()


def stream(recipe: autoencoders.Recipe, epoch: int) -> np.ndarray:
    """Crops of an epoch for A_S: of ImageNet's photographs at many scales, then of Tiny-ImageNet's, in turn."""
    generator = np.random.default_rng([recipe.seed, epoch])
    if epoch % 2 == 0:
        return photo_crops.crops(_tuning(), recipe.epoch, SIZES[0], generator, (0.05, 1.0))[0]
    pictures = _tiny()[generator.integers(0, len(_tiny()), recipe.epoch)]
    mirrored = generator.random(len(pictures)) < 0.5
    return np.where(mirrored[:, None, None, None], pictures[:, :, ::-1], pictures)


def base(name: str, shape: str, recipe: autoencoders.Recipe, **options) -> dict:
    """Train an A_S for photographs, `name`, of one of SHAPES, and write its weights; returns their info."""
    recipe = recipe._replace(fall=recipe.epochs * (recipe.epoch // recipe.batch))
    made_by = {"shape": SHAPES[shape], "recipe": recipe._asdict(), "data": "photographs", "sizes": SIZES}

    def train(checkpoint) -> dict:
        validation = {"photographs": photo_crops.judging(SIZES[0])[0]}
        made = segnet.build(SHAPES[shape], recipe.seed, name)
        data = partial(stream, recipe)
        state, history = autoencoders.pretrain(made, data, recipe, validation, checkpoint=checkpoint, **options)
        history.pop("kept")
        return weights.save(f"autoencoders/{name}", state, {"made_by": made_by, "history": history})

    return store.once(f"autoencoders/{name}", made_by, train)


def fresh(recipe: autoencoders.Recipe, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Crops and classes of an epoch of tuning."""
    return photo_crops.crops(_tuning(), recipe.epoch, CROP, np.random.default_rng([recipe.seed, 1, epoch]))


def tuned(job: Job, recipe: autoencoders.Recipe, start: str = "photos", **options) -> dict:
    """Tune what `job` says and write its weights; returns their info, in which `own` holds for each judging photograph
    whether the network reads its own signal right (packed bits, hexadecimal). The A_S `start` must be there."""
    recipe = recipe._replace(
        seed=job.seed, rate=job.rate, epochs=round(job.length * recipe.epochs), fall=round(job.length * recipe.fall)
    )
    network = photo_networks.load(job.network, device=options.get("device", "cpu"))
    made, described = trained_autoencoders.autoencoder(start), weights.info(f"autoencoders/{start}")
    made_by = {"shape": described["made_by"]["shape"], "base": start, "base_digest": described["digest"]}
    made_by |= {"recipe": recipe._asdict(), "network": network.digest, "crop": CROP}

    def train(checkpoint) -> dict:
        images, labels = photo_crops.judging(SIZE, recipe.validation)
        options_ = {"checkpoint": checkpoint, "best": "", **options}
        state, history = autoencoders.tune(made, network, partial(fresh, recipe), recipe, (images, labels), **options_)
        history.pop("kept")

        info = {"made_by": made_by, "history": history}
        info["own"] = np.packbits(read(made, network, images, labels, state)).tobytes().hex()
        return store.save_halved(
            f"autoencoders/{job.name}", state, info,
            lambda state: {"accuracy": float(read(made, network, images, labels, state).mean())},
        )  # fmt: skip

    return store.once(f"autoencoders/{job.name}", made_by, train)


def read(made: segnet.Autoencoder, network: interface.Network, images, labels, state: dict) -> np.ndarray:
    """(n,) bool: whether the network names the class of a reconstruction once the decoder has this state."""
    decoder = nn.ModuleDict({"decoder": made.decoder}).eval()
    decoder.load_state_dict(state)
    device = made.decoder.final.weight.device
    shown = segnet.reconstruct(made, interface.to_tensor(images), 8)
    scores = interface.scores(network._replace(model=network.model.to(device)), shown.to(device), 16)
    return scores.argmax(1).cpu().numpy() == labels


def boldest(own: dict[float, float]) -> float:
    """The rule: the largest rate whose mean own accuracy over TRIALS is at most MARGIN below the best; own:
    {rate: accuracy}."""
    return max(rate for rate, accuracy in own.items() if accuracy >= max(own.values()) - MARGIN)


def kept_trials() -> Path:
    """What is kept of the trials: their infos by name. Their weights are not: nobody needs them afterwards."""
    return paths.ROOT / "data" / "photo_trials.json"


def keep_trials(jobs: list[Job]) -> None:
    """Move the infos of trials from beside their weights into `kept_trials`, and remove their weights."""
    known = json.loads(kept_trials().read_text()) if kept_trials().exists() else {}
    known |= {job.name: weights.info(f"autoencoders/{job.name}") for job in jobs}
    files.atomic_write(kept_trials(), json.dumps(dict(sorted(known.items())), indent=1) + "\n")
    for path in (
        paths.weights() / f"autoencoders/{job.name}{end}" for job in jobs for end in (".json", ".safetensors")
    ):
        path.unlink(missing_ok=True)


def tried(rates=RATES) -> dict[float, float]:
    """{rate: mean own accuracy of the trials}, from what is kept of them. ValueError for a trial that was not run."""
    own, known = {}, json.loads(kept_trials().read_text())
    for job in trials(rates=rates):
        if job.name not in known:
            raise ValueError(f"{kept_trials().name} has no {job.name}: `python -m lib.training.make_photos trials`")
        packed = np.frombuffer(bytes.fromhex(known[job.name]["own"]), np.uint8)
        n = known[job.name]["made_by"]["recipe"]["validation"]
        own.setdefault(job.rate, []).append(np.unpackbits(packed)[:n].mean())
    return {rate: float(np.mean(values)) for rate, values in own.items()}


def readable(name: str, n: int | None = None) -> dict[str, tuple[float, float]]:
    """{network: (accuracy on the judging photographs, and on what the autoencoder `name` makes of them)}."""
    images, labels = photo_crops.judging(SIZE, n)
    pictures = interface.to_tensor(images)
    copies = segnet.reconstruct(trained_autoencoders.autoencoder(name), pictures)
    found = {}
    for network in photo_networks.NETWORKS:
        net = photo_networks.load(network)
        right = [(interface.scores(net, shown).argmax(1).numpy() == labels).mean() for shown in (pictures, copies)]
        found[network] = tuple(map(float, right))
    return found


def options(arguments: list[str] | None) -> argparse.Namespace:
    """The command line's."""
    parser = store.parser(__doc__)
    parser.add_argument("what", choices=("a_s", "trials", "signals", "more"), nargs="+")
    parser.add_argument("--networks", nargs="*", default=list(photo_networks.NETWORKS))
    parser.add_argument("--rate", type=float, default=photo_networks.RATE, help="of signals and more")
    return store.parsed(parser, arguments)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    chosen = options(arguments)
    store.retrain("photos", tasks(chosen), chosen, {paths.weights(): ("autoencoders/photos*",)})
    if "trials" in chosen.what:
        keep_trials(trials(chosen.networks))


def trials(networks=TRIALS, rates=RATES + LOWER) -> list[Job]:
    """The decoders from which the rate is chosen, and those of lower rates."""
    return [Job(network, rate, **TRIAL) for rate in rates for network in TRIALS if network in networks]


def signals(networks=tuple(photo_networks.NETWORKS), rate: float = photo_networks.RATE) -> list[Job]:
    """The decoders that make the signals which are reported."""
    return [Job(network, rate) for network in networks]


def more(networks=tuple(photo_networks.NETWORKS), rate: float = photo_networks.RATE) -> list[Job]:
    """What length changes, how far a tuning's seed moves a row, and how far a lower rate does."""
    found = [Job(network, rate, length=length) for network, length in LONG if network in networks]
    found += [Job(network, rate, seed) for seed in SEEDS for network in AGAIN if network in networks]
    return found + [Job(network, lower) for network, lower in SLOWER if network in networks]


def tasks(options: argparse.Namespace) -> list[list[Callable[[], dict]]]:
    """What the command line asks for, in groups."""
    how = {"device": options.device, "progress": not options.quiet}
    long, recipe = (one._replace(precision=options.precision) for one in (A_S, RECIPE))
    shapes = {f"photos-{shape}": shape for shape in SHAPES} | {"photos": SHAPE}
    chosen = trials(options.networks) if "trials" in options.what else []
    for what, jobs in (("signals", signals), ("more", more)):
        chosen += jobs(options.networks, options.rate) if what in options.what else []
    bases = [partial(base, name, shape, long, **how) for name, shape in shapes.items() if "a_s" in options.what]
    return [bases, [partial(tuned, job, recipe, **how) for job in chosen]]


if __name__ == "__main__":
    main()
