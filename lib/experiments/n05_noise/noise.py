"""Noise on the pictures, read alone and through autoencoders: Palacio et al. 2018, Section 3.3.2, Fig 4 and 5.

Uniform noise on [-e, e] is added to RGB pictures in [0, 1]. The paper does not say whether the sum is clipped; here it
is not. A picture has one noise pattern, which grows with e and is the same for every reader and in every batch. The
job `python -m lib.jobs.noise --profile embedded` fills the cache before notebook 05 runs.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from lib.base import cache, files, identity, weights
from lib.experiments.shared import through_autoencoders
from lib.networks import interface, readers, segnet, trained_autoencoders
from lib.record import uncertainty
from lib.record.seeds import recordable
from lib.record.tables import Table
from lib.worlds import batches, cutouts

CHANCE = 1 / cutouts.CLASSES
MARGIN = 0.02  # a classifier that alone is this close to chance does not count (claim C8)
READERS = ALONE, BASE, TUNED = "alone", "A_S", "A_i"
WHAT = {ALONE: "alone", BASE: "through A_S", TUNED: "through its own A_i"}


class Readings(NamedTuple):
    """Where classifiers name the labels of n noisy pictures, (families, seeds, levels, n) bool each."""

    families: tuple[str, ...]
    seeds: tuple[int, ...]
    levels: np.ndarray  # (levels,), e in [0, 1]
    alone: np.ndarray  # j reads the noisy picture
    pretrained: np.ndarray  # A_S∘j: j reads A_S's reconstruction of it
    own: np.ndarray  # A_i∘i: i reads its own autoencoder's reconstruction of it
    digests: tuple[str, ...]  # of all weights used

    @property
    def chance(self) -> float:
        """The accuracy of one constant answer: of ten cutouts one, of a thousand photographs one."""
        return CHANCE if readers.world(self.families[0]) == "cutouts" else 1 / 1000

    def by_name(self) -> dict[str, np.ndarray]:
        return dict(zip(READERS, (self.alone, self.pretrained, self.own), strict=True))


def only(readings: Readings, seed: int) -> Readings:
    """The readings of one training seed."""
    k = readings.seeds.index(seed)
    parts = {name: getattr(readings, name)[:, k : k + 1] for name in ("alone", "pretrained", "own")}
    return readings._replace(seeds=(seed,), **parts)


def patterns(images: np.ndarray, seed: int) -> torch.Tensor:
    """Uniform noise on [-1, 1) for pictures (n, H, W, 3) uint8: (n, 3, H, W) float32.

    The generator of a picture's noise is seeded by `seed` and the picture's own bytes: no batch, no order.
    """
    keys = [int(files.sha256(image.tobytes())[:16], 16) for image in images]
    drawn = [np.random.default_rng([seed, key]).random(images.shape[1:], np.float32) for key in keys]
    return torch.from_numpy(2 * np.stack(drawn) - 1).permute(0, 3, 1, 2)


def noisy(images: np.ndarray, level: float, seed: int) -> torch.Tensor:
    """Pictures (n, H, W, 3) uint8 as RGB (n, 3, H, W) with uniform noise on [-level, level] added, not clipped."""
    if not 0 <= level <= 1:
        raise ValueError(f"noise level is {level}, expected a number from 0 to 1, in units of the range of a pixel")
    return interface.to_tensor(images) + level * patterns(images, seed)


def trained_with(families) -> dict[str, float]:
    """The largest noise level in the training of A_S and of its variant, {name: e}: half of the pictures had some."""
    first = readers.first(families[0])
    names = (first, "pretrained-clean") if first == "pretrained" else (first,)
    return {name: weights.info(f"autoencoders/{name}")["made_by"]["recipe"]["noise"] for name in names}


def test(world: str, n: int) -> cutouts.Batch:
    """Test pictures: as many of each label of the cutouts world (`balanced`), or the first n photographs."""
    return balanced(n) if world == "cutouts" else batches.test(world, n)


def balanced(n: int, world: cutouts.World | None = None) -> cutouts.Batch:
    """Test pictures of which `n` / 10 have each label, so that a network that always gives one answer is right in
    exactly one picture of ten. ValueError if n is not a multiple of 10."""
    if n < cutouts.CLASSES or n % cutouts.CLASSES:
        raise ValueError(f"n is {n}, expected a multiple of {cutouts.CLASSES}: as many pictures of each label")
    many = cutouts.batch(world or cutouts.World(), "test", max(2 * n, 400))
    found = [np.flatnonzero(many.labels == label)[: n // cutouts.CLASSES] for label in range(cutouts.CLASSES)]
    chosen = np.sort(np.concatenate(found))
    if len(chosen) < n:
        raise ValueError(f"the first {len(many.labels)} test pictures hold fewer than {n // 10} of some label")
    return cutouts.Batch(*(part[chosen] for part in many))


def answers(pairs: list[tuple], images: np.ndarray, levels, seed: int) -> np.ndarray:
    """What networks answer to noisy pictures (n, H, W, 3) uint8: (pairs, levels, n) classes, each pair's kept by
    content at every level.

    pairs: (autoencoder, network): the network reads the autoencoder's reconstructions, the noisy pictures themselves if
    that is None. Neighbours with the same autoencoder share its reconstructions.
    """
    said, shared = np.empty((len(pairs), len(levels), len(images)), np.int64), identity.of(images)
    about = [identity.digest(pair) for pair in pairs]
    for k, level in enumerate(levels):
        shown = functools.cache(functools.partial(noisy, images, level, seed))
        before, read = None, shown

        def compute(read, net) -> dict[str, np.ndarray]:
            return {"answers": interface.scores(net, read()).argmax(1).numpy()}

        for i, (autoencoder, net) in enumerate(pairs):
            if autoencoder is not before:
                rebuilt = functools.cache(functools.partial(_rebuilt, autoencoder, shown))
                read = shown if autoencoder is None else rebuilt
            at = {"pair": about[i], "pictures": shared, "level": level, "seed": seed}
            said[i, k] = cache.cached("noise", at, functools.partial(compute, read, net))["answers"]
            before = autoencoder
    return said


def _rebuilt(autoencoder: segnet.Autoencoder, shown: Callable[[], torch.Tensor]) -> torch.Tensor:
    return segnet.reconstruct(autoencoder, shown())


def read(
    families, seeds, pictures: cutouts.Batch, levels, seed: int = 0, how: str = "", device: str = "cpu"
) -> Readings:
    """Every classifier alone, on A_S's and on its own A_i's reconstructions of the noisy pictures. how: which A_i, as
    for through_autoencoders.tuned."""
    levels = tuple(map(float, levels))
    if not levels or any(a >= b for a, b in zip(levels, levels[1:], strict=False)):
        raise ValueError(f"levels are {list(levels)}, expected noise levels from 0 to 1 in ascending order")
    base = through_autoencoders.first(families, device)
    found, digests = [], [base.digest]
    for number in seeds:
        nets = through_autoencoders.zoo_of(families, number, device)
        tuned = [through_autoencoders.tuned(family, number, how, device=device) for family in families]
        alone = answers([(None, net) for net in nets], pictures.images, levels, seed)
        pairs = [(base, net) for net in nets] + list(zip(tuned, nets, strict=True))
        through = answers(pairs, pictures.images, levels, seed)
        found.append(np.concatenate([alone, through]).reshape(3, len(nets), *alone.shape[1:]) == pictures.labels)
        digests += [part.digest for part in (*nets, *tuned)]
    return Readings(tuple(families), tuple(seeds), np.array(levels), *np.stack(found, 2), tuple(digests))


def through(name: str, readings: Readings, pictures: cutouts.Batch, seed: int = 0, device: str = "cpu") -> Readings:
    """`readings` with the autoencoder `name` in A_S's place: what the classifiers read of the same noise through it."""
    base, found = trained_autoencoders.autoencoder(name, device=device), []
    for number in readings.seeds:
        nets = through_autoencoders.zoo_of(readings.families, number, device)
        found.append(answers([(base, net) for net in nets], pictures.images, tuple(readings.levels.tolist()), seed))
    hits = np.stack(found, 1) == pictures.labels
    return readings._replace(pretrained=hits, digests=(base.digest, *readings.digests))


# ------------------------------------------------------------------------------------------------------ claim C8


def counted(alone: np.ndarray, chance: float = CHANCE) -> np.ndarray:
    """Where a classifier alone, with these accuracies, is more than two points from chance."""
    return np.abs(alone - chance) > MARGIN + 1e-9


def gain(alone: np.ndarray, through: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The zoo's mean accuracy through an autoencoder minus that alone: (families, levels) each -> one number for each
    level at which anyone counts (`kept`); the mean at a level is over the classifiers that count there."""
    there = kept.any(0)
    return ((through - alone) * kept).sum(0)[there] / kept.sum(0)[there]


def who_counts(alone: np.ndarray, levels: np.ndarray, chance: float = CHANCE) -> np.ndarray:
    """Which classifiers count at which level e > 0, (families, levels) bool, from their hits alone (families, levels,
    n). It is decided once, on all pictures. ValueError if nobody counts anywhere."""
    kept = counted(alone.mean(-1), chance) & (levels > 0)
    if not kept.any():
        raise ValueError(
            "noise: every classifier is within two points of chance at every level above 0, expected at least one "
            "that reads noisy pictures; train longer or lower `levels`"
        )
    return kept


def extreme_gain(alone, through, levels, extreme: Callable, generator, chance=CHANCE) -> uncertainty.Estimate:
    """`extreme` (np.min or np.max) over levels of the zoo's mean gain, with its interval over pictures; alone, through:
    (families, levels, n) shares of the same pictures."""
    kept, both = who_counts(alone, levels, chance), np.stack([alone, through])
    return uncertainty.bootstrap_shares(both, lambda mean: extreme(gain(*mean, kept)), generator=generator)


def gains(alone, through, levels, generator, chance=CHANCE) -> dict[float, tuple[uncertainty.Estimate, int]]:
    """The zoo's mean gain at every level at which anyone counts, and how many classifiers do: {e: (gain, number)}."""
    kept, both = who_counts(alone, levels, chance), np.stack([alone, through])
    return {
        float(levels[k]): (
            uncertainty.bootstrap_shares(both[:, of, k], lambda mean: (mean[1] - mean[0]).mean(), generator=generator),
            int(of.sum()),
        )
        for k, of in enumerate(kept.T)
        if of.any()
    }


def smallest_gain(readings: Readings, generator: np.random.Generator) -> dict:
    """Claim C8a, for claims.record: the smallest over levels of the zoo's mean acc(A_i∘i) - acc(i)."""
    return _judged(readings, readings.own, np.min, generator)


def largest_gain(readings: Readings, generator: np.random.Generator) -> dict:
    """Claim C8b, for claims.record: the largest over levels of the zoo's mean acc(A_S∘i) - acc(i)."""
    return _judged(readings, readings.pretrained, np.max, generator)


def _judged(readings: Readings, through: np.ndarray, extreme: Callable, generator) -> dict:
    """The extreme gain of accuracies averaged over seeds, that of each seed alone, and the gain at every level."""

    def gained(alone, through) -> uncertainty.Estimate:
        return extreme_gain(alone, through, readings.levels, extreme, generator, readings.chance)

    each = {seed: gained(readings.alone[:, s], through[:, s]) for s, seed in enumerate(readings.seeds)}
    alone, mean = readings.alone.mean(1), through.mean(1)
    levels = gains(alone, mean, readings.levels, generator, readings.chance)
    named = {f"gain at e = {level:g}, of {k} classifiers": part for level, (part, k) in levels.items()}
    return recordable(gained(alone, mean), each, named) | {"note": left_out(readings)}


def left_out(readings: Readings) -> str:
    """Which classifiers, averaged over seeds, are within two points of chance, and where: one sentence."""
    kept = counted(readings.alone.mean((1, -1)), readings.chance)
    texts = [
        f"{readers.title(family)} at e = {', '.join(f'{e:g}' for e in readings.levels[~row])}"
        for family, row in zip(readings.families, kept, strict=True)
        if not row.all()
    ]
    return f"Within two points of chance and left out, by the mean over seeds: {'; '.join(texts) or 'none'}."


# ------------------------------------------------------------------------------------- curves and where they cross


def examples(
    images: np.ndarray, levels, readers: dict[str, segnet.Autoencoder | None], seed: int
) -> tuple[list[list], list[dict]]:
    """Noisy pictures (reader None) and their reconstructions for a figure: a row of images (H, W, 3), clipped for
    display, for each reader, picture after picture and level after level; and behind each image a row of numbers, with
    the root mean squared error to the picture without noise."""
    clean, shown, numbers = interface.to_tensor(images).repeat_interleave(len(levels), 0), [], []
    mixed = torch.stack([noisy(images, level, seed) for level in levels], 1).flatten(0, 1)
    for title, autoencoder in readers.items():
        made = mixed if autoencoder is None else segnet.reconstruct(autoencoder, mixed)
        errors = (made - clean).square().mean((1, 2, 3)).sqrt().tolist()
        names = [(picture, float(level)) for picture in range(len(images)) for level in levels]
        numbers += [
            {"row": title, "picture": picture, "level": level, "error": error}
            for (picture, level), error in zip(names, errors, strict=True)
        ]
        shown.append(list(made.clamp(0, 1).permute(0, 2, 3, 1).numpy()))
    return shown, numbers


def rows(readings: Readings) -> list[dict]:
    """Accuracy of every classifier at every level, alone and through each autoencoder, as rows for a figure: panel (the
    family), name (how it is read), seed, x (the level), value."""
    return [
        {
            "panel": readers.title(family),
            "name": WHAT[reader],
            "seed": number,
            "x": float(level),
            "value": float(value),
        }
        for reader, hits in readings.by_name().items()
        for family, of_family in zip(readings.families, hits.mean(-1), strict=True)
        for number, of_seed in zip(readings.seeds, of_family, strict=True)
        for level, value in zip(readings.levels, of_seed, strict=True)
    ]


def gain_rows(readings: Readings, name: str, generator: np.random.Generator, readers=(BASE, TUNED)) -> list[dict]:
    """The zoo's mean gain by A_S and by A_i (`readers`) at every level that counts, seeds averaged, as rows for a
    figure."""
    alone, hits, found = readings.alone.mean(1), readings.by_name(), []
    for reader in readers:
        for level, (part, k) in gains(alone, hits[reader].mean(1), readings.levels, generator, readings.chance).items():
            row = {"panel": f"gain by {reader}", "name": name, "x": level, "classifiers": k}
            found.append(row | {"value": part.value, "low": part.low, "high": part.high})
    return found


def crossing(levels: np.ndarray, difference: np.ndarray) -> float | None:
    """The level at which `difference` (levels,) first changes its sign, by linear interpolation; None if it never
    does. A difference of zero has the sign of the last one before it that had any."""
    last = None
    for k in np.flatnonzero(difference):
        if last is not None and difference[last] * difference[k] < 0:
            a, b = difference[last], difference[k]
            return float(levels[last] + (levels[k] - levels[last]) * a / (a - b))
        last = k
    return None


def met(levels, first, second, generator, draws: int = 1000, chance: float = CHANCE) -> str:
    """Where the curve `first` crosses `second` ((levels, n) shares on the same pictures), in words.

    At a level the curves are told apart if the 95 % interval of their difference, from a bootstrap over pictures,
    leaves out 0. A crossing lies between two such levels, next to each other, at which the curves stand the other way
    round; its place is interpolated, its 95 % interval comes from the same draws. From the level on at which both are
    within two points of chance for good, nothing is compared.
    """
    readable = np.flatnonzero(counted(first.mean(-1), chance) | counted(second.mean(-1), chance))
    if not readable.size:
        return "both at chance"
    levels, n = levels[: readable[-1] + 1], first.shape[-1]
    difference = (first.astype(np.float32) - second)[: len(levels)]
    drawn = generator.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float32) @ difference.T / n
    low, high = np.quantile(np.round(drawn, 6), [0.025, 0.975], axis=0)
    side = np.where(low > 0, 1, np.where(high < 0, -1, 0))
    told = np.flatnonzero(side)
    if not told.size:
        return "never told apart"
    turns = [part for part in zip(told, told[1:], strict=False) if side[part[0]] != side[part[1]]]
    if not turns:
        word, every = "above" if side[told[0]] > 0 else "below", told.size == len(levels)
        return f"{word} {'throughout' if every else 'at e = ' + ', '.join(f'{e:g}' for e in levels[told])}"
    texts = []
    for part in (slice(a, b + 1) for a, b in turns):
        place = crossing(levels[part], difference.mean(-1)[part])
        places = [crossing(levels[part], curve) for curve in drawn[:, part]]
        limits = np.quantile([place, *(one for one in places if one is not None)], [0.025, 0.975])
        word = "falls below" if side[part.start] > 0 else "rises above"
        texts.append(f"{word} at {place:.2f} [{min(limits[0], place):.2f}, {max(limits[1], place):.2f}]")
    return "; ".join(texts)


def crossings(readings: Readings, generator: np.random.Generator, against: str = "lenet") -> Table:
    """Where curves cross, seeds averaged: each classifier's through A_S and A_i against alone, and its curve
    against that of the family `against`, alone and both through their own A_i."""
    alone, pretrained, own = (hits.mean(1) for hits in readings.by_name().values())
    other = readings.families.index(against) if against in readings.families else 0
    title, found = readers.title(readings.families[other]), []
    for k, family in enumerate(readings.families):
        pairs = [(pretrained[k], alone[k]), (own[k], alone[k]), (alone[k], alone[other]), (own[k], own[other])]
        cells = [
            met(readings.levels, *pair, generator, chance=readings.chance)
            for pair in (pairs[:2] if k == other else pairs)
        ]
        found.append((readers.title(family), *cells, *["its own curve"] * (4 - len(cells))))
    head = ("classifier j", "A_S∘j against j", "A_j∘j against j", f"j against {title}")
    head += (f"A_j∘j against {title} with its own A_i",)
    return Table(head, found)
