"""What the claims on the total order say about the zoo (C3, C4, C5 of data/claims.yaml), ready for `claims.record`.

Palacio et al. 2018, Table 2, Figures 6 and 7, page 8. Each function takes accuracies or RRCs of several training seeds
and returns the value with its interval, the null where there is one, and the same for every seed.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import sem

from lib.experiments.shared import orders, through_autoencoders
from lib.methods.signals.total_order import (
    PAPER,
    PAPER_TABLE,
    additive_share,
    chain_ranges,
    context,
    nulls,
    permuted,
    readability,
    rrc,
    summed_range,
)
from lib.networks import paper_networks, readers
from lib.record import uncertainty
from lib.record.seeds import recordable, shares
from lib.record.tables import Table, span
from lib.worlds import cutouts

OF_PAPER = dict(zip(paper_networks.NETWORKS, ("lenet", "alexnet", "vgg", "resnet", "inception"), strict=True))


class Measured(NamedTuple):
    """What the zoo answers, of S seeds and k families on n pictures."""

    hits: np.ndarray  # (S, k, k, n) bool: Table 2 of each seed, rows A_i, columns j
    alone: np.ndarray  # (S, k, n) bool: each classifier on the pictures themselves
    digests: list[str]  # of every A_i


def check(families, seeds, n_test: int, one: bool = False, **fewer: int) -> None:
    """ValueError unless there are enough classifiers for an order, enough seeds to compare (`one` will do where there
    is one training of each), and no more pictures in any of the `fewer` (by the name of their parameter) than in
    n_test."""
    if len(families) < 3:
        raise ValueError(
            f"families: found {len(families)} ({', '.join(families)}), expected three or more: with one classifier no "
            "order exists, since nobody else reads its signal, and two orders of two signals cannot be told from chance"
        )
    if len(seeds) < 2 and not one:
        raise ValueError(f"seeds: found {len(seeds)}, expected two or more, to compare signals of different trainings")
    for name, n in fewer.items():
        if n > n_test:
            raise ValueError(f"{name} is {n}, expected at most n_test ({n_test}), of whose pictures they are the first")


def measure(families, seeds, pictures: cutouts.Batch, how: str = "", device="cpu") -> Measured:
    """Table 2 of every seed, and the classifiers alone. how: as for through_autoencoders.tuned."""
    hits = np.stack([through_autoencoders.table(families, seed, pictures, how, device=device) for seed in seeds])
    alone = np.stack([through_autoencoders.alone(families, seed, pictures, device) for seed in seeds])
    digests = [through_autoencoders.tuned(family, seed, how).digest for family in families for seed in seeds]
    return Measured(hits, alone, digests)


def denominators(table, alone) -> dict[str, np.ndarray]:
    """RRCs of a table (k, k) of accuracies with either accuracy of the classifiers: with the own autoencoder, as in the
    paper, and alone (k,), by title."""
    return {"accuracies with the own autoencoder": rrc(table), "original accuracies": rrc(table, alone)}


def over_seeds(values, statistic, seeds, generator: np.random.Generator, beyond: int = 0) -> dict:
    """A statistic of accuracies for `claims.record`: of the accuracies averaged over seeds, and of each seed's own.

    values: (S, ..., n), what n pictures add to each accuracy; statistic: accuracies (...) -> number. Intervals are over
    pictures, which all accuracies share. beyond: as for `seeds.shares`.
    """
    return shares(values, statistic, seeds, generator, beyond=beyond)


def smallest_lead(table) -> float:
    """The smallest acc(A_j o j) - acc(A_i o j) over all i != j of a table (k, k): the statistic of claim C3."""
    table = np.asarray(table, dtype=np.float64)
    others = table + np.diag(np.full(len(table), -np.inf))
    return float((np.diagonal(table) - others.max(0)).min())


def chain_claim(tables, seeds, generator: np.random.Generator, draws: int = 2000) -> dict:
    """Claim C4a for `claims.record`: the summed range with its interval over pictures and its two nulls.

    tables: (S, k, k, n) bool. named: the share of RRC variance that rows and columns explain, and what they explain of
    the same RRCs permuted.
    """
    found = over_seeds(tables, lambda table: summed_range(rrc(table)), seeds, generator)
    whole = rrc(tables.mean((0, -1)))
    found["null"] = nulls(whole, generator, draws)
    for row, table in zip(found["seeds"], tables, strict=True):
        row["null"] = nulls(rrc(table.mean(-1)), generator, draws)
    share = uncertainty.bootstrap_shares(tables.mean(0), lambda table: additive_share(rrc(table)), generator=generator)
    luck = [additive_share(one) for one in permuted(whole, generator, draws)]
    named = {"RRC variance explained by rows and columns alone": share[:3]}
    named |= {"the same if RRCs are permuted off the diagonal": (np.mean(luck), *np.quantile(luck, [0.025, 0.975]))}
    return found | {"named": named}


def agreement(rrcs, others, seeds, chosen=slice(None)) -> dict:
    """Kendall tau-b between the order of the signals and another reading of the classifiers, for `claims.record`.

    rrcs: (S, k, k), averaged over seeds for the value; others: (S, k), or (k,) where seeds do not differ, of the
    `chosen` classifiers (all by default).
    """
    others = np.broadcast_to(others, (len(rrcs), np.shape(others)[-1]))
    pairs = zip(readability([np.mean(rrcs, 0), *rrcs])[:, chosen], [others.mean(0), *others], strict=True)
    whole, *each = (uncertainty.tau_exact(*pair) for pair in pairs)
    return recordable(whole, dict(zip(seeds, each, strict=True)))


def with_the_paper(families, hits, seeds, generator: np.random.Generator) -> dict:
    """Claim C4b for `claims.record`: tau-b between our order of the signals and the paper's, over the common families,
    both beyond what equal losses give (lib/experiments/shared/orders.py). named: as there, and tau-b of readability
    with the paper's chain at t = 0.8."""
    known = [OF_PAPER.get(family, family) for family in families]
    ours, theirs = np.array([(known.index(f), k) for k, f in enumerate(PAPER) if f in known]).T
    paper, mean = rrc(PAPER_TABLE), rrc(np.mean(hits, -1)).mean(0)
    found = orders.beyond_equal_loss(hits, orders.paper_surplus()[theirs], seeds, generator, ours)
    found["named"]["tau-b of readability with the paper's"] = uncertainty.tau_exact(
        readability(mean)[ours], readability(paper)[theirs]
    )[:3]
    levels = context(paper, 0.8).sum(0)[theirs]
    found["named"]["tau-b with the chain at t = 0.8"] = uncertainty.tau_exact(readability(mean)[ours], levels)[:3]
    return found


def explained(rrcs, readings: dict[str, np.ndarray]) -> Table:
    """Does a reading of the classifiers, {name: (S, k) or (k,)}, go with the order of the signals? Kendall tau-b with
    the order averaged over seeds, its interval, the exact two-sided p, and each seed's tau-b."""
    rows = []
    for name, values in readings.items():
        found = agreement(rrcs, values, range(len(rrcs)))
        p = uncertainty.tau_exact(readability(np.mean(rrcs, 0)), np.broadcast_to(values, rrcs.shape[:2]).mean(0)).p
        each = ", ".join(f"{seed['value']:.2f}" for seed in found["seeds"])
        rows.append((name, f"{found['value']:.2f} {span(found['interval'])}", f"{p:.3f}", each))
    return Table(("reading", "tau-b with readability", "exact p", "each seed"), rows)


def table_two(hits, families) -> Table:
    """Table 2 in percent, averaged over seeds, with half the 95 % interval over pictures: a line for each signal, a
    column for each reader. hits: (S, k, k, n) bool."""
    pooled = hits.mean(0)
    half = 1.96 * sem(pooled, axis=-1)
    names = [readers.letter(family) for family in families]
    rows = [
        (f"A_{name}", *(f"{100 * v:.1f} ± {100 * h:.1f}" for v, h in zip(*row, strict=True)))
        for name, row in zip(names, zip(pooled.mean(-1), half, strict=True), strict=True)
    ]
    return Table(("", *names), rows)


def summary(rrcs: dict[str, np.ndarray], families, generator: np.random.Generator | None = None) -> Table:
    """For each table of RRCs {name: (k, k)}: where in (0, 1) it is a chain of at least k - 1 extents, how long that is
    in all, and the order of the signals by readability; with a `generator` also the nulls and the share of variance
    that rows and columns explain."""
    rows = []
    for name, one in rrcs.items():
        ranges = ", ".join(f"({low:.3f}, {high:.3f}]" for low, high in chain_ranges(one)) or "none"
        luck = [*map(span, nulls(one, generator).values()), f"{additive_share(one):.3f}"] if generator else []
        rows.append((name, ranges, f"{summed_range(one):.3f}", *luck, ranking(readability(one), families)))
    more = ("null: dealt anew", "null: within rows", "rows and columns explain") if generator else ()
    head = (
        "RRC from",
        f"chain of at least {len(families) - 1} for t in",
        "in all",
        *more,
        "signals, most readable first",
    )
    return Table(head, rows)


def ranking(values, families) -> str:
    """Families by falling value, as letters: 'V > L > I'; '=' where two are equal."""
    order = np.argsort(-np.asarray(values), kind="stable")
    signs = [" = " if values[a] == values[b] else " > " for a, b in zip(order, order[1:], strict=False)]
    letters = [readers.letter(families[k]) for k in order]
    return "".join(letter + sign for letter, sign in zip(letters, [*signs, ""], strict=True))
