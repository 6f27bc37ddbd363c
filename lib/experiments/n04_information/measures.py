"""What notebook 04 does with the numbers of lib/experiments/n04_information/counted.py: claims C6 and C7, and rows for
its figures and tables.

`found` is what `counted.collect` returns, {(name, seed): Information}; `read` gives one number of an Information.
"""

from typing import NamedTuple

import numpy as np
import torch

from lib.experiments.n04_information import counted
from lib.experiments.shared import orders, regime, separation, through_autoencoders, tunings
from lib.methods.signals import mutual_information, total_order
from lib.networks import interface, readers, segnet
from lib.record import tables, uncertainty
from lib.record.seeds import average, recordable
from lib.worlds import cutouts

PAPER = {  # Figure 9, read off the page by pixel measure, +-0.01: (intra, inter); the originals have an inter only
    "none": (None, 0.06),
    "A_S": (0.40, 0.057),
    "lenet": (0.22, 0.057),
    "alexnet": (0.08, 0.132),
    "vgg": (0.27, 0.056),
    "resnet": (0.13, 0.127),
    "inception": (0.14, 0.066),
}
HEAD = (
    "",
    "intra, largest first",
    "tau with signals (seeds)",
    "inter, largest first",
    "tau with checkerboards (seeds)",
)


def mean(scores: mutual_information.Scores) -> float:
    """Mean over pictures of the mean over channels; constant channels, whose nMI is undefined, are left out."""
    return float(mutual_information.per_picture(scores, constant="omit").mean())


def intra(bins: int):
    """Information -> mean intra nMI at this number of bins."""
    return lambda one: mean(one.intra[bins])


def inter(bins: int):
    """Information -> mean inter nMI at this number of bins."""
    return lambda one: mean(one.inter[bins])


def first(one: counted.Information, n: int) -> counted.Information:
    """What concerns the first n pictures: n intra scores, n // 2 inter scores."""

    def cut(pair: dict, m: int) -> dict:
        return {bins: mutual_information.Scores(*(part[:m] for part in scores)) for bins, scores in pair.items()}

    return one._replace(intra=cut(one.intra, n), inter=cut(one.inter, n // 2))


def title(name: str) -> str:
    """How figures call a key of `collect`: none, A_S, or A with the family's letter."""
    return name if name in ("none", "A_S") else f"A_{readers.letter(name)}"


# ----------------------------------------------------------------------------------------- C6 and C7


def read_by_all(families, seeds, pictures: cutouts.Batch, how="", device="cpu") -> dict[int, np.ndarray]:
    """Table 2 of every seed, {seed: (k, k, n) bool}; how: which A_i, as in through_autoencoders.tuned."""
    return {s: through_autoencoders.table(families, s, pictures, how, device=device) for s in seeds}


def relative(hits: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """RRC of every A_i and reader (lib/methods/signals/total_order.py) from `read_by_all`: {seed: (k, k)}, rows A_i,
    columns readers."""
    return {seed: total_order.rrc(one.mean(-1)) for seed, one in hits.items()}


def by_seed(found: dict, families, read) -> dict[int, np.ndarray]:
    """read(Information) -> number, of each family's A_i: {seed: (families,)}."""
    seeds = sorted({seed for name, seed in found if name in families})
    return {seed: np.array([read(found[family, seed]) for family in families]) for seed in seeds}


def preserved(found: dict, families, rrc: dict[int, np.ndarray], read, threshold: float = 0.8) -> dict:
    """Claim C6, for `claims.record`: tau-b over the zoo between the order of the signals and what read(Information)
    gives, mean intra nMI (`intra`).

    rrc: {seed: (k, k)}, rows A_i, columns readers, as `families`. The value is that of both averaged over seeds. named:
    tau-b with the number of readers at `threshold`, where the lattice there is a chain.
    """
    mean_rrc, kept = average(rrc), by_seed(found, families, read)
    order_of = {seed: total_order.readability(one) for seed, one in rrc.items()}
    result = agreement(order_of, kept, total_order.readability(mean_rrc))
    if (readers := chain(mean_rrc, threshold)) is not None:
        tau = uncertainty.tau_exact(readers, average(kept))
        result["named"] = {f"tau with the chain at t = {threshold}": tau[:3]}
    return result


def chain(rrc: np.ndarray, threshold: float) -> np.ndarray | None:
    """How many classifiers read each signal at a threshold (k,), if the concept lattice is a chain and some differ."""
    context = total_order.context(rrc, threshold)
    readers = context.sum(0)
    return readers if total_order.is_chain(total_order.concepts(context)) and np.ptp(readers) else None


def beyond_equal_loss(found: dict, families, hits: dict[int, np.ndarray], read, generator, threshold=0.8) -> dict:
    """Claim C6, for `claims.record`: `preserved` for the order beyond equal losses (lib/experiments/shared/orders.py).

    hits: {seed: (k, k, n) bool}, Table 2 of every seed. named: as there, and tau-b with the chain at `threshold`.
    """
    tables, kept = np.stack([hits[seed] for seed in sorted(hits)]), by_seed(found, families, read)
    others = np.stack([kept[seed] for seed in sorted(hits)])
    result = orders.beyond_equal_loss(tables, others, sorted(hits), generator)
    if (readers := chain(total_order.rrc(tables.mean(-1)).mean(0), threshold)) is not None:
        tau = uncertainty.tau_exact(readers, others.mean(0))
        result["named"] |= {f"tau-b with the chain at t = {threshold}": tau[:3]}
    return result


def patterns(found: dict, families, read) -> dict:
    """Claim C7, for `claims.record`: tau-b over the zoo between the amplitude of A_i's grid and what read(Information)
    gives, mean inter nMI (`inter`). The value is that of both averaged over seeds. named: with the grid's share."""
    alike = by_seed(found, families, read)
    share = agreement(by_seed(found, families, lambda one: one.checkerboard), alike)
    result = agreement(by_seed(found, families, lambda one: one.amplitude), alike)
    return result | {"named": {"tau-b with the grid's share of the change": (share["value"], *share["interval"])}}


def agreement(one: dict[int, np.ndarray], two: dict[int, np.ndarray], overall: np.ndarray | None = None) -> dict:
    """Exact tau-b between two readings {seed: (k,)} of the same k classifiers: of each seed, and of the means over
    seeds (`overall` in place of the mean of the first). Null: every permutation of the classifiers."""
    if one.keys() != two.keys():
        raise ValueError(f"agreement: seeds {sorted(one)} and {sorted(two)}, expected the same in both readings")
    overall = np.mean([one[seed] for seed in sorted(one)], 0) if overall is None else overall
    each = {seed: uncertainty.tau_exact(one[seed], two[seed]) for seed in sorted(one)}
    return recordable(uncertainty.tau_exact(overall, average(two)), each)


def paper() -> dict[str, float]:
    """C6 on the paper's own values: tau-b of intra nMI (Figure 9) with the orders that its Table 2 gives."""
    rrc, kept = total_order.rrc(total_order.PAPER_TABLE), [PAPER[family][0] for family in total_order.PAPER]
    given = {"surplus": orders.paper_surplus(), "readability": total_order.readability(rrc)}
    given["the chain at t = 0.8"] = chain(rrc, 0.8)
    return {f"tau with {name}": round(uncertainty.tau_exact(values, kept).value, 3) for name, values in given.items()}


# ------------------------------------------------------------------------------------ figures and tables


def pairs(families, seed: int, pictures: np.ndarray, bins: int, how="", device="cpu") -> list[dict]:
    """Figure 8: two pictures (2, H, W, 3) uint8 and what A_i of each family makes of them, with intra and inter nMI."""
    originals, groups = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)), []
    for family in families:
        images = segnet.reconstruct(
            through_autoencoders.tuned(family, seed, how, device=device), interface.to_tensor(pictures)
        )
        made = counted.eight_bit(images)
        kept = mutual_information.per_picture(
            mutual_information.intra(originals, made, bins), constant="refuse"
        ).tolist()
        alike = float(mutual_information.per_picture(mutual_information.inter(made, bins), constant="refuse")[0])
        made = made.transpose(0, 2, 3, 1)
        groups.append({"title": title(family), "pictures": pictures, "made": made, "intra": kept, "inter": alike})
    return groups


def partners(pictures: np.ndarray, bins: int, generator: np.random.Generator) -> list[dict]:
    """The first of `pictures` (2 or more, 3, H, W) uint8 beside others that share all, some or none of its information,
    each with its nMI and the joint histogram of the two green channels."""
    one = pictures[0]
    others = {"itself": one, "its negative": 255 - one, "levels dealt anew": recoloured(one, generator, bins)}
    others["moved by a pixel"] = np.roll(one, 1, axis=2)
    others["pixels shuffled"] = mutual_information.shuffled(one[None], generator)[0]
    others["another picture"] = pictures[1]
    shown = []
    for name, other in others.items():
        value = float(
            mutual_information.per_picture(
                mutual_information.of_pictures(one[None], other[None], bins), constant="refuse"
            )[0]
        )
        joint = mutual_information.joint(one[1].reshape(1, -1), other[1].reshape(1, -1), bins)[0]
        shown.append({"name": name, "picture": other.transpose(1, 2, 0), "joint": joint, "value": value})
    return shown


def recoloured(picture: np.ndarray, generator: np.random.Generator, bins: int = 32) -> np.ndarray:
    """A picture (C, H, W) uint8 whose levels are dealt anew in each channel, one to one: nothing is lost, and neither
    at `bins` bins nor at 256 does nMI notice."""
    width = 256 // bins
    dealt = [generator.permutation(bins)[channel // width] * width + channel % width for channel in picture]
    return np.stack(dealt).astype(np.uint8)


def baselines(pictures: np.ndarray, bins, generator: np.random.Generator) -> list[dict]:
    """nMI and adjusted mutual information of pictures (N, 3, H, W) uint8 with themselves, with themselves after their
    pixels were shuffled, and with the next picture, for each number of bins: rows of name, bins, group, value, sd."""
    partners = {"identical": pictures, "pixels shuffled": mutual_information.shuffled(pictures, generator)}
    partners["another picture"] = np.roll(pictures, -1, 0)
    rows = []
    for name, others in partners.items():
        for n in bins:
            for group, score in (("nMI", mutual_information.of_pictures), ("adjusted", mutual_information.adjusted)):
                each = mutual_information.per_picture(score(pictures, others, n), constant="omit")
                rows.append({"name": name, "bins": n, "group": group, "value": each.mean(), "sd": each.std()})
    return rows


def levels(found: dict, bins: int) -> list[dict]:
    """Rows for Figure 9: mean and sd over pictures of intra and inter nMI, and how many channels were left out."""
    rows = []
    for (name, seed), one in found.items():
        for kind in ("intra", "inter"):
            scores = getattr(one, kind)[bins]
            each = mutual_information.per_picture(scores, constant="omit")
            row = {
                "name": title(name),
                "group": kind,
                "seed": seed,
                "value": float(each.mean()),
                "sd": float(each.std()),
            }
            rows.append(row | {"n": len(each), "constant": int((~scores.defined).sum())})
    return rows


def summary(found: dict, families, bins: int) -> list[tuple[str, ...]]:
    """Rows of a table for the originals, A_S and every A_i: intra nMI, that of red, green and blue alone, inter nMI
    (means over pictures and seeds), and what the paper found."""
    rows = []
    for name in ("none", "A_S", *families):
        every = [one for (key, _), one in found.items() if key == name]
        kept = [one.intra[bins] for one in every]
        parts = [
            [mutual_information.Scores(part.values[:, [c]], part.defined[:, [c]]) for part in kept] for c in range(3)
        ]
        values = [np.mean([mean(part) for part in some]) for some in (kept, *parts)]
        values += [np.mean([inter(bins)(one) for one in every]), *PAPER.get(name, (None, None))]
        rows.append((title(name), *("" if value is None else tables.number(value) for value in values)))
    return rows


def measures(found: dict, families, rrc: dict, bins: int) -> list[tuple[str, ...]]:
    """Rows of a table, one for each way to measure information: its `compared`."""
    ways = {f"nMI, {n} bins": (intra(n), inter(n)) for n in counted.both(bins)}
    few = len(next(iter(found.values())).adjusted["intra"].values)
    ways[f"nMI, {bins} bins, {few} pictures"] = tuple(
        lambda one, read=read: read(first(one, few)) for read in (intra(bins), inter(bins))
    )
    ways[f"adjusted, {bins} bins, {few} pictures"] = tuple(
        lambda one, kind=kind: mean(one.adjusted[kind]) for kind in ("intra", "inter")
    )
    return [(name, *compared(found, families, rrc, *way)) for name, way in ways.items()]


class State(NamedTuple):
    """All A_i of one seed after as many steps of tuning."""

    steps: int
    found: dict  # as `counted.collect` gives
    rrc: dict[int, np.ndarray]


def states(families, pictures: cutouts.Batch, bins: int, seed: int = regime.SEED, device="cpu") -> list[State]:
    """The A_i of a seed on their way through the default tuning, and at its end."""
    states, how = [], tunings.TUNINGS["default"].how
    for steps, ending in ((steps, f"{how}-epoch{epoch}") for epoch, steps in separation.EPOCHS.items()):
        states.append(_state(steps, families, seed, pictures, bins, ending, device))
    return [*states, _state(separation.STEPS, families, seed, pictures, bins, how, device)]


def _state(steps: int, families, seed: int, pictures: cutouts.Batch, bins: int, how: str, device) -> State:
    found = counted.collect(families, [seed], pictures, (bins,), 2, how=how, device=device)
    return State(steps, found, relative(read_by_all(families, [seed], pictures, how, device)))


def stages(on_the_way: list[State], families, bins: int) -> list[tuple[str, ...]]:
    """Rows of a table, one for each of the `states`: its `compared`."""
    return [(f"{s.steps:,} steps", *compared(s.found, families, s.rrc, intra(bins), inter(bins))) for s in on_the_way]


def compared(found: dict, families, rrc: dict, kept, alike) -> tuple[str, ...]:
    """The order of the families by kept(Information), its tau-b with the order of the signals, the order by
    alike(Information), its tau-b with the amplitude of the grid; behind each tau-b those of the seeds."""
    texts = []
    for read, result in ((kept, preserved(found, families, rrc, kept)), (alike, patterns(found, families, alike))):
        seeds = ", ".join(f"{one['value']:.2f}" for one in result["seeds"])
        each = f" ({seeds})" if len(result["seeds"]) > 1 else ""
        texts += [ranked(found, families, read), f"{result['value']:.2f}{each}"]
    return tuple(texts)


def growth(on_the_way: list[State], families, bins: int) -> list[dict]:
    """Rows of mean nMI against the length of tuning: family, steps (0 is A_S), intra, inter."""
    rows = []
    for family in families:
        every = [(0, on_the_way[0].found["A_S", 0])]
        for state in on_the_way:
            every += [(state.steps, one) for (name, _), one in state.found.items() if name == family]
        for steps, one in every:
            rows.append({"family": family, "steps": steps, "intra": intra(bins)(one), "inter": inter(bins)(one)})
    return rows


def stamped(first: segnet.Autoencoder, pictures: np.ndarray, amplitudes, bins: int) -> list[dict]:
    """What inter nMI says of a checkerboard that is there for certain: rows of amplitude, value, sd.

    first: A_S; pictures: (N, H, W, 3) uint8. To what A_S makes of each, squares of two by two pixels are added that are
    lighter and darker in turn, by `amplitude` steps of 8-bit values.
    """
    images = segnet.reconstruct(first, interface.to_tensor(pictures))
    y, x = (torch.arange(side) // 2 for side in images.shape[2:])
    board, rows = 1 - 2.0 * ((y[:, None] + x) % 2), []
    for amplitude in amplitudes:
        scores = mutual_information.inter(counted.eight_bit(images + amplitude / 255 * board), bins)
        each = mutual_information.per_picture(scores, constant="omit")
        rows.append({"amplitude": amplitude, "value": float(each.mean()), "sd": float(each.std())})
    return rows


def grids(found: dict, families, bins: int) -> list[dict]:
    """How strong the regular part of what tuning added is, and inter nMI, of every A_i: rows of letter, seed,
    amplitude, value. amplitude: root mean square in 8-bit steps."""
    return [
        {"letter": readers.letter(family), "seed": seed, "amplitude": one.amplitude, "value": inter(bins)(one)}
        for (family, seed), one in found.items()
        if family in families
    ]


def ranked(found: dict, families, read) -> str:
    """The families' letters by what read(Information) gives, averaged over seeds, largest first: 'V > L > A'."""
    values = average(by_seed(found, families, read))
    return " > ".join(readers.letter(families[k]) for k in np.argsort(-values, kind="stable"))


def points(found: dict, families, rrc: dict[int, np.ndarray], bins: int) -> list[dict]:
    """The four readings behind C6 and C7 of every A_i, for each seed and for all together (seed "all"), as rows."""
    index = by_seed(found, families, lambda one: one.amplitude)
    kept, alike = (by_seed(found, families, read(bins)) for read in (intra, inter))
    readable = {seed: total_order.readability(one) for seed, one in rrc.items()}
    columns = {"readability": readable, "intra": kept, "amplitude": index, "inter": alike}
    every = {name: average(column) for name, column in columns.items()}
    every["readability"] = total_order.readability(average(rrc))
    rows = []
    for k, family in enumerate(families):
        for seed in [*rrc, "all"]:
            values = {
                name: float((every[name] if seed == "all" else column[seed])[k]) for name, column in columns.items()
            }
            rows.append({"letter": readers.letter(family), "seed": seed, "coarse": readers.stride(family) > 1} | values)
    return rows
