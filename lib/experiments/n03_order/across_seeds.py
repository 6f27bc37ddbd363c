"""Does a signal belong to a family or to one weight vector? (claim C10, this companion's question)

Palacio et al. 2018 train every network once. Here A_i of one seed is read by the classifiers of another,
reconstructions are compared within and between families, and decoders tuned on untrained networks are the control.
"""

import numpy as np
from scipy.spatial.distance import pdist, squareform

from lib.experiments.shared import through_autoencoders
from lib.networks import interface, readers, segnet, zoo
from lib.record import uncertainty
from lib.record.seeds import recordable, span
from lib.record.tables import Table
from lib.worlds import cutouts


def across(families, seeds, pictures: cutouts.Batch, how: str = "", device="cpu") -> np.ndarray:
    """Tables 2 across seeds: (S, S - 1, k, k, n) bool, [s, r, i, j] is j of seed s on A_i of the r-th other seed."""
    found = []
    for seed in seeds:
        others = [made for made in seeds if made != seed]
        tables = (through_autoencoders.table(families, o, pictures, how, readers=seed, device=device) for o in others)
        found.append(np.stack(list(tables)))
    return np.stack(found)


def family_leads(table) -> np.ndarray:
    """For every classifier j, acc(A_j o j) minus its mean accuracy on the other A_i, of a table (k, k): (k,). Their
    mean, where A and j are of different seeds, is the statistic of claim C10a."""
    table = np.asarray(table, dtype=np.float64)
    own = np.diagonal(table)
    return own - (table.sum(0) - own) / (len(table) - 1)


def distances(families, seeds, pictures: cutouts.Batch, how: str = "", device="cpu", batch: int = 50) -> np.ndarray:
    """Root mean square difference over pixels and channels, RGB not clipped, of every two decoders' reconstructions of
    the same picture: (S, k, S, k, n)."""
    decoders = [through_autoencoders.tuned(family, seed, how, device=device) for seed in seeds for family in families]
    parts = []
    for images in interface.to_tensor(pictures.images).split(batch):
        made = np.stack([segnet.reconstruct(one, images).flatten(1).numpy() for one in decoders], 1)
        parts += [squareform(pdist(one)) / np.sqrt(one.shape[1]) for one in made]
    return np.stack(parts, -1).reshape(len(seeds), len(families), len(seeds), len(families), -1)


def kinship(apart, generator: np.random.Generator, draws: int = 2000) -> dict:
    """Claim C10b for `claims.record`: 1 - (mean distance within a family) / (mean distance to other families), mean
    over families, with Student's interval over families.

    apart: (S, k, S, k, n), distances of n pictures' reconstructions by the decoders of seed s and family f, and s' and
    f'; only different seeds are compared. null: families dealt anew to all decoders. named: each family's.
    """
    seeds, k, n = apart.shape[0], apart.shape[1], apart.shape[-1]
    seed, family = np.divmod(np.arange(seeds * k), k)
    mean, other = apart.reshape(seeds * k, seeds * k, n).mean(-1), seed[:, None] != seed

    def nearness(family) -> np.ndarray:
        same = family[:, None] == family
        found = []
        for f in range(k):
            within, between = (mean[(family == f)[:, None] & other & group] for group in (same, ~same))
            found.append(1 - within.mean() / between.mean() if within.size else np.nan)
        return np.array(found)

    each = nearness(family)
    luck = [np.nanmean(nearness(generator.permutation(family))) for _ in range(draws)]
    return recordable(uncertainty.student(each), {}) | {"null": span(np.array(luck))[1:]}


def untrained(families, seed: int, pictures: cutouts.Batch, device="cpu") -> np.ndarray:
    """Decoders tuned on networks before their training: (k, 1 + k, n) bool, [i, 0] is the untrained i itself on its
    reconstructions, [i, 1 + j] the trained j."""
    rows, trained = [], through_autoencoders.zoo_of(families, seed, device)
    for family in families:
        raw = zoo.network(family, seed, device, stage="step0")
        rows.append(
            through_autoencoders.hits(
                through_autoencoders.tuned(family, seed, "untrained", device=device), [raw, *trained], pictures
            )
        )
    return np.stack(rows)


def control(families, table, raw) -> Table:
    """What tuning on an untrained network gives, beside the usual A_i: accuracies, a row a family. table: (k, k)
    accuracies, rows A_i, columns j; raw: what `untrained` returns."""
    rows, raw = [], raw.mean(-1)
    for k, family in enumerate(families):
        values = [table[k, k], np.delete(table[k], k).mean()]
        values += [raw[k, 0], raw[k, 1 + k], np.delete(raw[k, 1:], k).mean()]
        rows.append((readers.title(family), *(f"{value:.3f}" for value in values)))
    head = ("i", "A_i read by i", "by the others", "tuned on i untrained: read by it", "by i trained", "by the others")
    return Table(head, rows)
