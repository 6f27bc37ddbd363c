"""What notebook 12 looks at before it judges: how well generators invert a code, the search on its way, hidden
units."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from lib.base import weights
from lib.experiments.n12_prior.searches import Pair, Setting, encoder
from lib.experiments.shared import recognised
from lib.methods.ascent import generator_prior, objectives
from lib.methods.ascent.maximise import Maximised
from lib.networks import interface
from lib.record.tables import Table
from lib.training import generators, make_generators
from lib.worlds import cutouts

LAYERS = {"fc6": "alexnet-0-fc6", "conv3": "alexnet-0-conv3", "fc7": "alexnet-0-fc7"}  # title -> name of the weights
ABLATED = {
    "fc6, ground too": "alexnet-0-fc6-ground",
    "fc6 of 128 numbers": "alexnet-0-fc6-narrow",
    "fc6, adversary": "alexnet-0-fc6-adversary",
    "fc6, feature loss alone": "alexnet-0-fc6-feature",
    "fc6, image loss alone": "alexnet-0-fc6-image",
}


def jobs(seeds: Sequence[int]) -> list[make_generators.Job]:
    """The generators that notebook 12 reads, for targets of these training seeds."""
    wanted = {
        *LAYERS.values(),
        *ABLATED.values(),
        *(f"alexnet-{s}-{layer}" for s in seeds for layer in ("fc6", "conv3")),
    }
    return [job for job in make_generators.jobs() if job.name in wanted]


# ------------------------------------------------------------------------------------------------- the generators


class Inverted(NamedTuple):
    """What a generator makes of test pictures, and how it was trained."""

    pictures: np.ndarray  # (n, 64, 64, 3) uint8, through encoder and generator
    losses: dict[str, float]  # image, feature and code loss on the test pictures, as generators.losses
    stored: dict[str, float]  # the same on validation pictures, as stored with the weights
    history: dict[str, list[float]]  # by epoch: these three, and the share of steps in which D was frozen


def inverted(names: dict[str, str], batch: cutouts.Batch, device="cpu") -> dict[str, Inverted]:
    """Pictures through the encoders of some generators, {title: name of the weights}, and through these; by title."""
    found, images = {}, interface.to_tensor(batch.images).to(device)
    for title, name in names.items():
        prior, info = generator_prior.load(name, device), weights.info(f"generators/{name}")
        net = encoder(prior, device)
        with torch.no_grad():
            again = prior.generator(generator_prior.encode(prior, net, images))
        shown = (batch.images,) if name.endswith(make_generators.GROUND) else (batch.images, batch.masks)
        measured = generators.losses(prior.generator, net, prior.layer, info["made_by"]["comparator"], *shown)
        found[title] = Inverted(interface.to_pictures(again), measured, info["rounded"], info["history"])
    return found


def loss_rows(found: dict[str, Inverted], pictures: np.ndarray) -> list[dict]:
    """Losses and energy of high frequencies of each generator's pictures, as rows for a figure; last, the originals."""
    rows = []
    for name, one in found.items():
        high = float(recognised.high_frequencies(one.pictures).mean())
        rows.append({"name": name} | one.losses | {"high": high})
    zero = {"image": 0.0, "feature": 0.0, "code": 0.0}
    return [
        *rows,
        {"name": "test pictures"} | zero | {"high": float(recognised.high_frequencies(pictures).mean())},
    ]


def loss_table(rows: list[dict], found: dict[str, Inverted]) -> Table:
    """`loss_rows` as a table, with what was stored at the end of training in brackets."""
    lines = []
    for row in rows:
        stored = found[row["name"]].stored if row["name"] in found else {}
        cells = [f"{row[k]:.3f}" + (f" ({stored[k]:.3f})" if stored else "") for k in ("image", "feature", "code")]
        lines.append((row["name"], *cells, f"{row['high']:.3f}"))
    return Table(("generator", "image loss", "feature loss", "code loss", "energy of high frequencies"), lines)


def history_rows(found: dict[str, Inverted]) -> list[dict]:
    """Losses on validation pictures and the share of frozen steps after every epoch, as rows for a figure."""
    return [
        {"name": name, "epoch": epoch + 1} | {k: values[epoch] for k, values in one.history.items()}
        for name, one in found.items()
        for epoch in range(len(one.history["image"]))
    ]


# --------------------------------------------------------------------------------------------- the search as it goes


class Frames(NamedTuple):
    """One search: images on the way."""

    steps: list[int]
    pictures: np.ndarray  # (k, 64, 64, 3) uint8
    values: np.ndarray  # (k,) the objective


def watch(pair: Pair, unit: int, code, shown: Sequence[int], setting: Setting, direction: int = 1) -> Frames:
    """Search from one code (1, *code) for max(shown) steps and keep the images after the steps `shown`, ascending, the
    last of them the final image. direction -1: what the class's score likes least."""
    score, seen = objectives.score(pair.net, unit, direction), []

    def objective(images: torch.Tensor) -> torch.Tensor:
        seen.append(images.detach())
        return score(images)

    made = generator_prior.search(pair.prior, objective, code, steps=max(shown), **setting._asdict())
    values = [*made.values[:, 0].tolist(), score(made.images).item()]
    images = torch.cat([[*seen, made.images][k] for k in shown])
    return Frames(list(shown), interface.to_pictures(images), direction * np.array([values[k] for k in shown]))


def strips(pair: Pair, units: tuple[int, int], batch: cutouts.Batch, shown, setting: Setting, seed: int) -> dict:
    """Four searches by name: two classes from noise, the first from a picture of the second,
    and what the first class's score likes least."""
    noise = generator_prior.form(pair.prior).start(2, torch.Generator().manual_seed(seed))
    noise = noise.to(pair.prior.mean.device)
    case = np.flatnonzero(batch.labels == units[1])[:1]
    picture = interface.to_tensor(batch.images[case]).to(noise.device)
    real = generator_prior.encode(pair.prior, encoder(pair.prior, noise.device), picture)
    first, second = (cutouts.SHAPES[unit] for unit in units)
    starts = {f"{first},\nfrom noise": (units[0], noise[:1], 1), f"{second},\nfrom noise": (units[1], noise[1:], 1)}
    starts |= {
        f"{first}, from a\n{second} picture": (units[0], real, 1),
        f"{first},\nliked least": (units[0], noise[:1], -1),
    }
    return {name: watch(pair, unit, code, shown, setting, way) for name, (unit, code, way) in starts.items()}


# ------------------------------------------------------------------------------------------------------ hidden units


class Units(NamedTuple):
    """What the middle unit of some channels likes."""

    most: Maximised
    least: Maximised
    top: np.ndarray  # (2, channels, 64, 64, 3) uint8: the two pictures that excite it most
    best: np.ndarray  # (channels,) its activation for the first of them


def units(
    pair: Pair, layer: str, channels: Sequence[int], batch: cutouts.Batch, steps: int, setting: Setting, seed: int
) -> "Units":
    """Images through a prior for the middle unit of channels of a hidden layer, and the pictures of `batch` that it
    answers to most: Units."""
    objective = {way: objectives.unit(pair.net, layer, list(channels), "centre", way) for way in (1, -1)}
    start = generator_prior.form(pair.prior).start(len(channels), torch.Generator().manual_seed(seed))
    start = start.to(pair.prior.mean.device)
    made = [
        generator_prior.search(pair.prior, objective[way], start, steps=steps, **setting._asdict()) for way in (1, -1)
    ]
    maps = interface.features(pair.net, interface.to_tensor(batch.images), [layer])[layer][:, list(channels)]
    middle = (maps if maps.ndim == 2 else maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]).cpu().numpy()
    order = np.argsort(-middle, axis=0, kind="stable")[:2]
    return Units(*made, batch.images[order], middle.max(0))


def unit_rows(found: Units, channels: Sequence[int]) -> list[dict]:
    """Activations of `units`, as rows for a figure."""
    columns = zip(channels, found.most.values[-1].tolist(), found.least.values[-1].tolist(), found.best, strict=True)
    return [{"channel": c, "most": m, "least": -x, "best_test_picture": float(b)} for c, m, x, b in columns]
