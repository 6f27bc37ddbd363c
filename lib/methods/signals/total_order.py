"""The total order of Palacio et al. 2018 (page 6, Fig 6 and 7): who can live on whose signal.

Rows are signals A_i, columns classifiers j, as in Table 2. The method is four functions in this order: `rrc` compares
what j reads in A_i's reconstructions with what the weaker of the two reads; at a threshold the RRCs become a relation,
`context`; its formal concepts (Ganter and Wille 1999), `concepts`, are a lattice; where `is_chain`, the signals are in
a total order. `scan` asks that of every threshold. Ours are the ranges, the nulls and the order without a threshold.
"""

from typing import NamedTuple

import numpy as np

# Table 2 of the paper, top-1 accuracy on ImageNet's validation pictures, decoded from page images: rows A_i, columns j.
# The last digit of four cells may be an 8 instead of a 0 (A_L with R, A_V with I, A_I with R, A_R with V).
PAPER = ("lenet", "alexnet", "vgg", "inception", "resnet")
PAPER_TABLE = np.array(
    [
        [0.3484, 0.3077, 0.0416, 0.4352, 0.4730],
        [0.0211, 0.5613, 0.0097, 0.5375, 0.0925],
        [0.2929, 0.5362, 0.7163, 0.7400, 0.7300],
        [0.1829, 0.3024, 0.4555, 0.7671, 0.4540],
        [0.0163, 0.4972, 0.0710, 0.7249, 0.7494],
    ]
)
PAPER_ALONE = np.array([0.3230, 0.5496, 0.7135, 0.7712, 0.7402])  # Table 1, the classifiers without any autoencoder
PAPER_THRESHOLDS = (0.1, 0.2, 0.8, 0.9)  # of the lattices in Fig 7


# ------------------------------------------------------------------------------------------- RRC and its lattice


def rrc(table, accuracies=None) -> np.ndarray:
    """RRC(A_i o j) = acc(A_i o j) / min(acc(i), acc(j)) (page 6): (..., k, k), rows A_i, columns j, 0 and above.

    table: accuracies (..., k, k) in [0, 1]. acc(i) is i's accuracy with its own autoencoder, the diagonal, since only
    that gives the paper's figures; `accuracies` (..., k) puts others in its place (of the classifiers alone).
    ValueError if there is one classifier only, or if one has an accuracy of 0.
    """
    table = np.asarray(table, dtype=np.float64)
    if table.ndim < 2 or table.shape[-1] != table.shape[-2]:
        raise ValueError(f"table: found shape {table.shape}, expected as many signals (rows) as classifiers (columns)")
    if table.shape[-1] < 2:
        raise ValueError(
            "table: found one classifier, expected two or more: nobody else reads its signal, no order exists"
        )
    own = np.diagonal(table, axis1=-2, axis2=-1) if accuracies is None else np.asarray(accuracies, dtype=np.float64)
    if own.shape[-1:] != table.shape[-1:]:
        raise ValueError(f"accuracies: found shape {own.shape}, expected one for each of {table.shape[-1]} classifiers")
    if not np.isfinite(table).all():
        raise ValueError("table: found values that are not finite, expected accuracies between 0 and 1")
    if not (own > 0).all():
        raise ValueError(f"accuracies: found one of {own.min()}, expected all above 0, since RRC divides by them")
    return table / np.minimum(own[..., :, None], own[..., None, :])


def readability(rrc) -> np.ndarray:
    """How well each signal serves the others: mean over the other readers j of min(RRC(A_i o j), 1): (..., k), 0 to 1.

    It is the share of the other readers whose RRC reaches t, averaged over all thresholds t in (0, 1), and so an order
    of the signals that needs no threshold.
    """
    capped = np.minimum(rrc, 1.0)
    own = np.diagonal(capped, axis1=-2, axis2=-1)
    return (capped.sum(-1) - own) / (capped.shape[-1] - 1)


class Concept(NamedTuple):
    """A maximal set of classifiers (extent) that all read the same signals (intent), as numbers."""

    extent: frozenset[int]
    intent: frozenset[int]


def context(rrc, threshold) -> np.ndarray:
    """The formal context (classifiers j, signals A_i, I): [j, i] is True where RRC(A_i o j) >= threshold.

    Several thresholds (T, 1, 1) give (T, classifiers, signals).
    """
    return np.swapaxes(np.asarray(rrc) >= threshold, -1, -2)


def concepts(context: np.ndarray) -> list[Concept]:
    """All formal concepts of a context (classifiers, signals), smallest extent first.

    An extent is an intersection of the sets of those who read one signal; the empty intersection is everybody.
    """
    extents = {frozenset(range(len(context)))}
    for reads in context.T:
        extents |= {extent & set(np.flatnonzero(reads).tolist()) for extent in extents}
    ordered = sorted(extents, key=lambda extent: (len(extent), sorted(extent)))
    return [Concept(extent, frozenset(np.flatnonzero(context[list(extent)].all(0)).tolist())) for extent in ordered]


def covers(lattice: list[Concept]) -> list[tuple[int, int]]:
    """The lines of the lattice's diagram: (lower, upper) where upper's extent holds lower's and nothing is between."""
    below = [(a, b) for a, one in enumerate(lattice) for b, two in enumerate(lattice) if one.extent < two.extent]
    return [(a, b) for a, b in below if not any((a, c) in below and (c, b) in below for c in range(len(lattice)))]


def is_chain(lattice: list[Concept]) -> bool:
    """Whether any two concepts can be compared: the signals are then in a total order."""
    return all(one.extent <= two.extent for one, two in zip(lattice, lattice[1:], strict=False))


# ------------------------------------------------------------------------------------------------ every threshold


class Step(NamedTuple):
    """Thresholds low < t <= high give one relation (t < high where high is 1)."""

    low: float
    high: float
    chain: bool
    extents: int  # distinct extents, that is concepts; in a chain the levels of the order


def breakpoints(rrc) -> np.ndarray:
    """0, every RRC between 0 and 1, and 1: the relation changes nowhere else."""
    values = np.asarray(rrc)
    return np.r_[0.0, np.unique(values[(values > 0) & (values < 1)]), 1.0]


def scan(rrc) -> list[Step]:
    """Every threshold in (0, 1), exactly: one Step between two neighbouring breakpoints."""
    edges, steps = breakpoints(rrc).tolist(), []
    for low, high in zip(edges, edges[1:], strict=False):
        lattice = concepts(context(rrc, high))
        steps.append(Step(low, high, is_chain(lattice), len(lattice)))
    return steps


def nested(contexts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For contexts (..., classifiers, signals): is the lattice a chain, and how many extents does it then have?

    The quick way to what `concepts` says: a chain means that of any two signals one is read by all who read the other.
    """
    reads = np.swapaxes(contexts, -1, -2).astype(np.float32)
    sizes, everybody = reads.sum(-1), contexts.shape[-2]
    common = reads @ np.swapaxes(reads, -1, -2)
    chain = (common == np.minimum(sizes[..., :, None], sizes[..., None, :])).all((-1, -2))
    there = (sizes[..., None] == np.arange(everybody + 1)).any(-2)
    there[..., everybody] = True
    return chain, there.sum(-1)


def chain_ranges(rrc, extents: int | None = None) -> list[tuple[float, float]]:
    """The ranges low < t <= high in (0, 1) with a chain of at least `extents` distinct extents (default: k - 1)."""
    edges, least = breakpoints(rrc), len(rrc) - 1 if extents is None else extents
    chain, found = nested(context(rrc, edges[1:, None, None]))
    good = np.r_[False, chain & (found >= least), False]
    starts, ends = np.flatnonzero(good[1:] & ~good[:-1]), np.flatnonzero(good[:-1] & ~good[1:])
    return [(float(edges[a]), float(edges[b])) for a, b in zip(starts, ends, strict=True)]


def summed_range(rrc) -> float:
    """Length of all `chain_ranges` together, 0 to 1: over how much of (0, 1) there is a total order."""
    return float(sum(high - low for low, high in chain_ranges(rrc)))


def widest_range(rrc) -> float:
    """Length of the widest of `chain_ranges`, 0 if there is none."""
    return float(max((high - low for low, high in chain_ranges(rrc)), default=0.0))


def telling(rrc) -> float:
    """One threshold worth a drawing, by a rule: the middle of the widest range with a chain of at least k - 1 extents;
    if there is none, of as many extents as any chain has (0.5 if nothing is a chain)."""
    most = max((step.extents for step in scan(rrc) if step.chain), default=0)
    ranges = chain_ranges(rrc, min(most, len(rrc) - 1)) or [(0.0, 1.0)]
    return float(np.mean(max(ranges, key=lambda one: one[1] - one[0])))


def share_of_chains(classifiers: int) -> float:
    """Share of all relations with ones on the diagonal that are chains, by counting them; ValueError unless there are 2
    to 5 classifiers."""
    if not 2 <= classifiers <= 5:
        raise ValueError(f"classifiers is {classifiers}, expected 2 to 5: there are 2^(k (k - 1)) relations to count")
    off, count = ~np.eye(classifiers, dtype=bool), 0
    bits = np.arange(off.sum())
    for numbers in np.array_split(np.arange(2 ** off.sum()), 16):
        relations = np.ones((len(numbers), classifiers, classifiers), dtype=bool)
        relations[:, off] = numbers[:, None] >> bits & 1
        count += nested(relations)[0].sum()
    return float(count / 2 ** off.sum())


def gaps(rrc, count: int = 2) -> list[tuple[float, float]]:
    """The `count` widest gaps between neighbouring RRCs up to 1, lowest first: in a gap the lattice does not change."""
    values = np.unique(np.asarray(rrc)[np.asarray(rrc) <= 1])
    pairs = sorted(zip(values, values[1:], strict=False), key=lambda pair: pair[0] - pair[1])[:count]
    return [(float(low), float(high)) for low, high in sorted(pairs)]


# ------------------------------------------------------------------------------- nulls, and what is not an order


def permuted(rrc, generator: np.random.Generator, draws: int = 2000, within_rows: bool = False) -> np.ndarray:
    """(draws, k, k): RRCs dealt anew to the places off the diagonal, or within each row off the diagonal."""
    rrc = np.asarray(rrc)
    k, off = len(rrc), ~np.eye(len(rrc), dtype=bool)
    values = rrc[off].reshape((k, k - 1) if within_rows else (1, k * (k - 1)))
    dealt = np.tile(rrc, (draws, 1, 1))
    dealt[:, off] = generator.permuted(np.tile(values, (draws, 1, 1)), axis=-1).reshape(draws, -1)
    return dealt


def equal_loss(table) -> np.ndarray:
    """Accuracies (..., k, k) if no signal were better than another: off the diagonal each reader j has its mean over
    the other signals; the own readings, on the diagonal, stay."""
    table = np.asarray(table, dtype=np.float64)
    k, off = table.shape[-1], ~np.eye(table.shape[-1], dtype=bool)
    return np.where(off, (table * off).sum(-2, keepdims=True) / (k - 1), table)


def equal_losses(hits, generator: np.random.Generator, draws: int = 500) -> np.ndarray:
    """`equal_loss` with the chance of pictures: (draws, ..., k, k), each entry deviating from its expectation as the
    pictures, drawn again, make it.

    hits: (..., k, k, n), rows A_i, columns j: where j is right about the reconstruction of each of n pictures. The own
    readings, on the diagonal, are only drawn again.
    """
    hits = np.asarray(hits, dtype=np.float32)
    n, accuracy = hits.shape[-1], hits.mean(-1, dtype=np.float64)
    weights = generator.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float32)
    drawn = np.moveaxis(hits @ weights.T / n, -1, 0).astype(np.float64)
    return np.clip(equal_loss(accuracy) + drawn - accuracy, 1 / n, 1)


def nulls(rrc, generator: np.random.Generator, draws: int = 2000) -> dict[str, tuple[float, float]]:
    """95 % ranges (low, high) of `summed_range` for RRCs `permuted` off the diagonal and within rows."""
    ranges = {}
    for name, within in (("off the diagonal", False), ("within rows", True)):
        found = [summed_range(one) for one in permuted(rrc, generator, draws, within)]
        ranges[name] = tuple(np.quantile(found, [0.025, 0.975]).tolist())
    return ranges


def additive_share(rrc) -> float:
    """Share of the variance of the RRCs off the diagonal that "this signal is poor" and "this reader is robust" explain
    alone: least squares with one effect a row and one a column. 1 if nothing varies (nothing is left to explain)."""
    rrc = np.asarray(rrc, dtype=np.float64)
    rows, columns = np.nonzero(~np.eye(len(rrc), dtype=bool))
    design = np.c_[np.eye(len(rrc))[rows], np.eye(len(rrc))[columns]]
    values = rrc[rows, columns]
    left = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    total = ((values - values.mean()) ** 2).sum()
    return float(1 - (left**2).sum() / total) if total > 1e-20 else 1.0
