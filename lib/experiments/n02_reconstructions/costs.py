"""What reconstructions cost a classifier: Table 1, Figure 2 and the supplement's Table 1 of Palacio et al. 2018.

`python -m lib.jobs.comparison --profile embedded` is the job that keeps the answers which notebook 02 alone needs.
"""

from collections.abc import Callable
from itertools import product

import numpy as np

from lib.base import weights
from lib.experiments.shared import through_autoencoders
from lib.networks import readers, trained_autoencoders
from lib.record import tables, uncertainty
from lib.record.seeds import shares
from lib.worlds import cutouts

# ------------------------------------------------------------------------- Table 1: claims C1, C2a and C2b

WAYS = ("original", "on A_S", "on own A_i")
PAPER = {  # Table 1, top-1 in percent: original, on A_S, on own A_i (decoded from page images)
    "lenet": (32.30, 31.08, 34.85),
    "alexnet": (54.96, 51.89, 56.13),
    "vgg": (71.35, 67.59, 71.65),
    "resnet": (74.02, 71.19, 74.94),
    "inception": (77.12, 74.42, 76.71),
}


def table_one(families, seeds, pictures: cutouts.Batch, how: str = "", device: str = "cpu") -> np.ndarray:
    """(seeds, ways, families, n) bool: where each classifier is right about the picture, about A_S's reconstruction and
    about that of its own A_i (WAYS)."""
    return np.stack(
        [
            [
                through_autoencoders.alone(families, seed, pictures, device),
                through_autoencoders.pretrained(families, seed, pictures, device=device),
                np.concatenate([own(family, seed, pictures, how, device) for family in families]),
            ]
            for seed in seeds
        ]
    )


def own(family: str, seed: int, pictures: cutouts.Batch, how: str = "", device: str = "cpu") -> np.ndarray:
    """(1, n) bool: where a classifier is right about the reconstructions of its own autoencoder, tuned by `how`."""
    return through_autoencoders.hits(
        through_autoencoders.tuned(family, seed, how, device=device),
        through_autoencoders.zoo_of([family], seed, device),
        pictures,
    )


def largest_cost(accuracy: np.ndarray) -> float:
    """The largest acc(j) - acc(A_S o j) over the zoo; accuracy (ways, families). Claim C1."""
    return (accuracy[0] - accuracy[1]).max()


def mean_gain(accuracy: np.ndarray) -> float:
    """Mean over the zoo of acc(A_i o i) - acc(A_S o i); accuracy (ways, families). Claim C2a."""
    return (accuracy[2] - accuracy[1]).mean()


def median_surplus(accuracy: np.ndarray) -> float:
    """Median over the zoo of acc(A_i o i) - acc(i); accuracy (ways, families). Claim C2b."""
    return np.median(accuracy[2] - accuracy[0])


def measured(
    hits: np.ndarray,
    seeds,
    statistic: Callable,
    generator,
    named: dict[str, Callable] | None = None,
    beyond: int = 0,
) -> dict:
    """What `claims.record` takes: `statistic` of the accuracies averaged over seeds, and of each seed's own.

    hits: (seeds, ..., n) bool; statistic and those in `named`: accuracy (...) -> number. Intervals: bootstrap over
    pictures, all shares drawn together. beyond: as for `seeds.shares`.
    """

    found = shares(hits, statistic, seeds, generator, named or {}, beyond)
    for seed in found["seeds"]:
        del seed["n"]  # the same pictures for every seed
    return found


def costs(families) -> dict[str, Callable]:
    """Each classifier's acc(j) - acc(A_S o j), by its title: what claim C1 names beside the largest."""
    return {readers.title(f): lambda accuracy, k=k: accuracy[0, k] - accuracy[1, k] for k, f in enumerate(families)}


def differences(hits: np.ndarray, generator) -> np.ndarray:
    """Accuracy on A_S and on the own A_i minus the original's, in percentage points: (seeds, 2, families, 3), the last
    axis holds value, low, high of a paired bootstrap over pictures. hits: as from `table_one`; (ways, families, n) of
    averages over seeds gives (2, families, 3)."""
    change = 100 * (hits[..., 1:, :, :].astype(float) - hits[..., :1, :, :])
    rows = [
        uncertainty.bootstrap_mean(row, generator=generator, method="percentile", draws=1000)[:3]
        for row in change.reshape(-1, change.shape[-1])
    ]
    return np.array(rows).reshape(*change.shape[:-1], 3)


def table_one_rows(families, seeds, hits: np.ndarray, generator) -> list[dict]:
    """`differences` of each classifier as rows for a figure: name, way, seed, value, low, high, paper."""
    found = []
    for seed, ways in zip(seeds, differences(hits, generator), strict=True):
        for w, way in enumerate(ways, 1):
            for family, (value, low, high) in zip(families, way, strict=True):
                paper = PAPER[family][w] - PAPER[family][0] if family in PAPER else None
                row = {"name": readers.title(family), "way": f"{WAYS[w]} minus original", "seed": seed}
                found.append(row | {"value": value, "low": low, "high": high, "paper": paper})
    return found


def table_one_table(families, hits: np.ndarray, generator) -> tables.Table:
    """Table 1, in percent and percentage points: accuracies averaged over seeds, differences with intervals, and the
    paper's two differences."""
    accuracy, change = 100 * hits.mean((0, 3)), differences(hits.mean(0), generator)
    head = ("family", "original", "on A_S", "minus original", "on own A_i", "minus original", "the paper's differences")
    lines = []
    for k, family in enumerate(families):
        cost, gain = (f"{value:+.1f} [{low:+.1f}, {high:+.1f}]" for value, low, high in change[:, k])
        paper = [f"{value - PAPER[family][0]:+.2f}" for value in PAPER[family][1:]] if family in PAPER else ["none"]
        numbers = [f"{value:.1f}" for value in accuracy[:, k]]
        lines.append((readers.title(family), *numbers[:2], cost, numbers[2], gain, ", ".join(paper)))
    return tables.Table(head, lines)


# ------------------------------------------------------------- the supplement's Table 1: claim C9

HALVES = {"decoder": "", "encoder": "encoder", "both": "both", "fresh decoder": "fresh"}
FAMILY = trained_autoencoders.SIMPLE


def halves(seeds, pictures: cutouts.Batch, device: str = "cpu") -> np.ndarray:
    """(seeds, 4, n) bool: where ResNet is right after tuning the decoder, the encoder, both, or a decoder from random
    weights (HALVES), for as many steps each."""
    return np.stack(
        [np.concatenate([own(FAMILY, seed, pictures, how, device) for how in HALVES.values()]) for seed in seeds]
    )


def decoder_lead(accuracy: np.ndarray) -> float:
    """Accuracy after tuning the decoder minus the best of the three other ways; accuracy (4,). Claim C9."""
    return accuracy[0] - accuracy[1:].max()


def leads() -> dict[str, Callable]:
    """The three differences that claim C9 names, by the other way."""
    return {f"decoder minus {name}": lambda a, k=k: a[0] - a[k] for k, name in enumerate(HALVES) if k}


def half_history(seed: int) -> dict[str, list[float]]:
    """Validation accuracy after each epoch of tuning ResNet of a seed, up to the end of tuning, for each of HALVES."""
    names = {way: f"autoencoders/{FAMILY}-{seed}" + (f"-{how}" if how else "") for way, how in HALVES.items()}
    found = {way: weights.info(name)["history"] for way, name in names.items()}
    return {way: history["validation_accuracy"][: history["epochs"]] for way, history in found.items()}


def half_rows(seeds, hits: np.ndarray) -> list[dict]:
    """Test accuracy after each way of tuning, with Wilson intervals over pictures, as rows for a figure. hits: as from
    `halves`."""
    found = []
    for seed, ways in zip(seeds, hits, strict=True):
        for name, row in zip(HALVES, ways, strict=True):
            found.append({"name": name, "seed": seed} | uncertainty.wilson(int(row.sum()), len(row))._asdict())
    return found


def half_lines(seeds, pictures: cutouts.Batch, device: str = "cpu") -> dict[str, float]:
    """ResNet's accuracy, mean over seeds, on the pictures and on A_S's reconstructions."""
    read = {"original": through_autoencoders.alone, "A_S, before tuning": through_autoencoders.pretrained}
    return {k: float(np.mean([f([FAMILY], s, pictures, device=device) for s in seeds])) for k, f in read.items()}


# ------------------------------------------------------------- the stream against the small set: Figure 2

TRAININGS = {"the stream": "pretrained", "the small set": "pretrained-small"}
MEASURES = ("train_loss", "stream", "cutouts")


def learning() -> list[dict]:
    """Mean squared error of A_S and of its rival from the small set while they learn: training, measure, seen, error.

    One row for each epoch and measure (of MEASURES; the last two are validation); `seen` in pictures.
    """
    found = []
    for training, name in TRAININGS.items():
        info = weights.info(f"autoencoders/{name}")
        each = info["made_by"]["recipe"]["epoch"]
        for measure in MEASURES:
            for k, error in enumerate(info["history"][measure], 1):
                found.append({"training": training, "measure": measure, "seen": k * each, "error": error})
    return found


VARIANTS = {"without noise": "pretrained-clean", "from the small set": "pretrained-small"}


def variants(families, seeds, pictures: cutouts.Batch, device: str = "cpu") -> dict[str, np.ndarray]:
    """{variant of A_S: (seeds, families, n) bool}: where classifiers are right about its reconstructions."""
    return {
        title: np.stack([through_autoencoders.pretrained(families, seed, pictures, name, device) for seed in seeds])
        for title, name in VARIANTS.items()
    }


def variant_costs(hits: np.ndarray, read: dict[str, np.ndarray]) -> tables.Table:
    """The zoo's mean and largest acc(j) - acc(A o j), accuracies averaged over seeds, for A_S and its `variants`, all
    on the pictures of the variants. hits: as from `table_one`, of these pictures or more."""
    n = next(iter(read.values())).shape[-1]
    alone, first = hits[:, 0, :, :n], {"A_S": hits[:, 1, :, :n]}
    lines = []
    for title, right in (first | read).items():
        cost = alone.mean((0, 2)) - right.mean((0, 2))
        lines.append((title, f"{cost.mean():.3f}", f"{cost.max():.3f}"))
    return tables.Table(("autoencoder", "mean cost", "largest cost"), lines)


def digests(families, seeds, ways=("",), more=()) -> list[str]:
    """Digests of A_S, of the classifiers, of the autoencoders tuned on them in `ways` (values of HALVES), and of
    `more` autoencoders by name."""
    first = readers.first(families[0]) if len(families) else "pretrained"
    names, mine = [first, *more], [family for family in families if readers.own(family)]
    for family, seed in product(families, seeds):
        names += [readers.autoencoder(family, seed, way) for way in ways if family not in mine]
    nets = [f"cutouts/{family}-{seed}" for family, seed in product(families, seeds) if first == "pretrained"]
    found = [weights.info(name)["digest"] for name in (*(f"autoencoders/{name}" for name in names), *nets)]
    return found + [part.digest for family in mine for part in (readers.network(family), readers.decoder(family))]
