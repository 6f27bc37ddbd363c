"""A network of yours in the total order: a decoder is tuned on it, everybody reads everybody's signal, and its place is
told, with RRC and the lattice (Palacio et al. 2018, page 6).

`python -m lib.experiments.shared.placed SPEC` prints it. A network of ten classes enters among the zoo, one of
ImageNet's classes among the seven networks of the photos profile.
"""

from typing import NamedTuple

import numpy as np

from lib.base.repeatable import repeatable
from lib.experiments.shared import through_autoencoders, tunings
from lib.methods.signals import total_order
from lib.networks import interface, own_decoders, readers
from lib.record.tables import Table
from lib.training import loop, make_mine, store
from lib.worlds import batches, cutouts

PICTURES = {"cutouts": 1000, "photos": 700}
DRAWS = 500
LOWEST = 0.1  # share of the RRCs of others' signals


class Placed(NamedTuple):
    """Who reads what in whose signal, k classifiers, the reader's last."""

    names: tuple[str, ...]  # letters, as in tables
    title: str  # of the reader's network
    hits: np.ndarray  # (k, k, n) bool: rows signals A_i, columns readers j, over n test pictures
    alone: float  # accuracy of the reader's network on the test pictures themselves
    tuned: own_decoders.Kept  # its decoder
    usual: int  # steps for which the others' were tuned
    chance: float  # accuracy of one constant answer

    @property
    def table(self) -> np.ndarray:
        """Table 2: accuracies (k, k)."""
        return self.hits.mean(-1)

    @property
    def rrc(self) -> np.ndarray:
        """RRC (k, k)."""
        return total_order.rrc(self.table)

    @property
    def place(self) -> int:
        """Place of its signal, 1 the most readable for the others, k the least."""
        return int(places(total_order.readability(self.rrc))[-1])


def entered(
    net: interface.Network,
    *,
    steps: int | None = None,
    seed: int | None = None,
    families=("all",),
    pictures: cutouts.World | None = None,
    n_test: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Placed:
    """`net` among the networks of its world, once its decoder is tuned (lib/training/make_mine.py: resumed where it was
    stopped, never done twice).

    steps: of tuning, by default those of the others. seed: of the zoo's trainings (make_mine.SEEDS). pictures: the
    cutouts world that it knows. n_test: so many test pictures. ValueError for a network of other classes than the
    others' and for one whose name another has in tables, OSError for networks or photographs that are not here (all
    before anything is tuned), and ValueError for a network that reads nothing.
    """
    where = make_mine.world(net)
    names = readers.everybody(where, families)
    letters = (*map(readers.letter, names), readers.short(net.name))
    if letters[-1] in (*letters[:-1], "S"):
        raise ValueError(f"{net.name} would be called {letters[-1]!r} in tables, as another is; give it another name")
    seed = make_mine.SEEDS[where] if seed is None else seed
    options = {"pictures": pictures, "seed": seed, "precision": loop.precision(device)}
    plan = make_mine.planned(net, steps, **options)
    test, how = _test(where, n_test or PICTURES[where], pictures), _how(where)
    nets = [*through_autoencoders.zoo_of(names, seed, device), plan.net]
    made = [through_autoencoders.tuned(name, seed, how, device) for name in names]
    one = make_mine.tuned(plan, device, progress)
    made.append(own_decoders.made(plan.net, one, device))
    hits = through_autoencoders.cross(made, nets, test)
    if not hits[-1, -1].any():
        raise ValueError(
            f"{net.name} reads none of {len(test.labels)} test pictures through its own decoder, and RRC divides by "
            "such accuracies; expected a network that reads some"
        )
    alone = through_autoencoders.hits(None, nets[-1:], test).mean()
    return Placed(letters, net.name, hits, float(alone), one, make_mine.usual(where).fall, 1 / len(net.classes))


def _how(where: str) -> str:
    return (tunings.TUNINGS["default"] if where == "cutouts" else tunings.ELSEWHERE[where]).how


def _test(where: str, n: int, pictures: cutouts.World | None) -> cutouts.Batch:
    return cutouts.batch(pictures, "test", n) if pictures and where == "cutouts" else batches.test(where, n)


def places(values) -> np.ndarray:
    """Place of each of values (..., k), 1 the largest; equal ones share the better place."""
    values = np.asarray(values)
    return 1 + (values[..., None, :] > values[..., :, None]).sum(-1)


def drawn(hits, generator: np.random.Generator, draws: int = DRAWS) -> tuple[int, int]:
    """Between which places the last signal lies in 95 % of draws of the pictures; hits (k, k, n) bool."""
    hits = np.asarray(hits, dtype=np.float32)
    n = hits.shape[-1]
    weights = generator.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float32)
    tables = np.clip(np.moveaxis(hits @ weights.T / n, -1, 0), 1 / n, 1)
    found = places(total_order.readability(total_order.rrc(tables)))[:, -1]
    low, high = np.quantile(found, [0.025, 0.975], method="closest_observation")
    return int(low), int(high)


def order(found: Placed) -> str:
    """The signals, most readable first, each with its readability: 'A_V .991 > A_mine .985 > ...'."""
    readable = total_order.readability(found.rrc)
    first = sorted(range(len(readable)), key=lambda k: -readable[k])
    return " > ".join(f"A_{found.names[k]} {readable[k]:.3f}" for k in first)


def relative(found: Placed) -> Table:
    """RRC: a line for each signal, a column for each reader."""
    rows = [(f"A_{name}", *(f"{v:.3f}" for v in row)) for name, row in zip(found.names, found.rrc, strict=True)]
    return Table(("RRC", *found.names), rows)


def chains(rrc) -> str:
    """For which thresholds the signals are in a total order, a chain of at least k - 1 concepts, in words."""
    ranges = [f"{low:.3f} < t <= {high:.3f}" for low, high in total_order.chain_ranges(rrc)]
    if ranges:
        return f"a total order (a chain of at least {len(rrc) - 1} concepts) for {', '.join(ranges)}"
    most = max((step.extents for step in total_order.scan(rrc) if step.chain), default=0)
    return (
        f"a total order (a chain of at least {len(rrc) - 1} concepts) for no threshold: no chain has more than {most}"
    )


def threshold(rrc) -> float:
    """At which threshold one lattice is shown: in the middle of the widest range with a total order
    (`total_order.telling`); where there is none, the lowest that notebook 03 draws, below which lies a tenth of the
    RRCs of others' signals."""
    if total_order.chain_ranges(rrc):
        return total_order.telling(rrc)
    return float(np.quantile(np.asarray(rrc)[~np.eye(len(rrc), dtype=bool)], LOWEST))


def lattice(rrc, names, at: float | None = None) -> str:
    """The concepts at a threshold (by default `threshold`), smallest first, and which covers which, in words."""
    at = threshold(rrc) if at is None else at
    found = total_order.concepts(total_order.context(rrc, at))
    word = "a chain" if total_order.is_chain(found) else "no chain"
    lines = [f"lattice at t = {at:.3f}: {len(found)} concepts, {word}"]
    for number, one in enumerate(found, 1):
        who = " ".join(names[j] for j in sorted(one.extent)) or "nobody"
        what = " ".join(f"A_{names[i]}" for i in sorted(one.intent)) or "no signal in common"
        lines.append(f"  {number}: {who} read {what}" if one.extent else f"  {number}: nobody reads all of {what}")
    covers = ", ".join(f"{low + 1} < {high + 1}" for low, high in total_order.covers(found))
    return "\n".join([*lines, f"  lower < upper: {covers or 'one concept alone'}"])


def said(found: Placed, seed: int = 0) -> str:
    """All of it as text: the place with its range over pictures, the order, RRC, and the lattice."""
    low, high = drawn(found.hits, np.random.default_rng(seed))
    n, k, steps = found.hits.shape[-1], len(found.names), found.tuned.steps
    lines = [
        f"{found.title}: place {found.place} of {k} by readability for the others ({low} to {high} in 95 % of draws of "
        f"the {n} pictures). It reads {100 * found.alone:.1f} % of them alone and {100 * found.table[-1, -1]:.1f} % "
        "through its own autoencoder."
    ]
    if steps != found.usual:
        lines.append(f"Its decoder was tuned for {steps:,} steps, the others' for {found.usual:,}: no fair comparison.")
    if min(found.alone, found.table[-1, -1]) <= make_mine.CHANCE * found.chance:
        lines.append("It reads about as much as chance does: its place means nothing.")
    more = [order(found), repr(relative(found)), chains(found.rrc), lattice(found.rrc, found.names)]
    return "\n\n".join(["\n".join(lines), *more])


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = store.parser(__doc__)
    parser.add_argument("spec", help="the path of a spec file, or torchvision:<name>")
    parser.add_argument("--steps", type=int, help="of tuning; default: those of the other networks")
    parser.add_argument("--pictures", type=int, help="test pictures; default: 700 photographs or 1,000 cutouts")
    options = store.parsed(parser, arguments)
    repeatable(0, options.device)
    chosen = {"steps": options.steps, "n_test": options.pictures, "device": options.device}
    try:
        found = entered(make_mine.load(options.spec, options.device), **chosen, progress=not options.quiet)
    except (ValueError, OSError) as error:
        raise SystemExit(f"placed: {error}") from None
    print(said(found))  # noqa: T201 - what a person at the terminal waits for


if __name__ == "__main__":
    main()
