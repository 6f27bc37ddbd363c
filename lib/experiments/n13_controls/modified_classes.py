"""Does an image show the unit or the prior? Nguyen et al. 2016 trained networks on original and on modified classes;
images of the modified ones must show the modification, although the generator never saw one (notebook 13, claim G7)."""

from typing import NamedTuple

import numpy as np
import torch

from lib.base import weights
from lib.experiments.n12_prior import searches
from lib.experiments.n13_controls.other_data_and_networks import PRIOR, Search, made, painted
from lib.experiments.shared import recognised
from lib.experiments.shared.class_images import Made
from lib.methods.ascent import generator_prior
from lib.networks import control_networks, interface
from lib.record import uncertainty
from lib.record.seeds import average, by_student, estimate, recordable
from lib.record.tables import Table
from lib.worlds import control_worlds
from lib.worlds.cutouts import CLASSES

UNITS, BARE, CODES, REAL = "units, with prior", "units, no prior", "made from codes\nof pictures", "real pictures"


class Read(NamedTuple):
    """Images for twenty classes, original and modified, and what is said about them."""

    pictures: np.ndarray  # (n, 64, 64, 3) uint8
    targets: np.ndarray  # (n,) 0 to 19, 10 + k is the modified class k
    fires: np.ndarray  # (n,) bool: the detector of the modification calls it modified
    says: np.ndarray  # (n,) class that the network excited names; NaN where none was excited
    peers: np.ndarray  # (n,) share of the networks of the other seeds that name one of the modified classes, or NaN


class Units(NamedTuple):
    """Images of the units of one network, and of the same units without a prior."""

    prior: Read
    bare: Read


class Shown(NamedTuple):
    """Real test pictures, and what the generator makes of their codes: what it can show of the modification."""

    pictures: Read
    codes: Read
    clear: np.ndarray  # (n,) bool: all three cues of the picture speak for its label


def fires(modification: str, pictures: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Whether the modification's detector calls pictures (n, 64, 64, 3) uint8 modified: (n,) bool."""
    judge = control_networks.network(f"{modification}-detector", device)
    return interface.scores(judge, interface.to_tensor(pictures).to(device)).argmax(1).cpu().numpy() == 1


def units(modifications, seeds, search: Search) -> dict[str, dict[int, Units]]:
    """{modification: {training seed: Units}}, with one prior for all, which never saw a modified picture."""
    found = {name: {} for name in modifications}
    for name in modifications:
        nets = {seed: control_networks.network(f"{name}-{seed}", search.device) for seed in seeds}
        for seed, net in nets.items():
            peers = [other for number, other in nets.items() if number != seed]
            both = made(PRIOR, net, search), painted(net, search)
            found[name][seed] = Units(*(_read(name, one, peers, search.device) for one in both))
    return found


def _read(modification: str, one: Made, peers: list[interface.Network], device: str) -> Read:
    images = interface.to_tensor(one.pictures).to(device)
    late = [interface.scores(net, images).argmax(1).cpu().numpy() >= CLASSES for net in peers]
    shares = np.mean(late, 0) if late else np.full(len(images), np.nan)
    return Read(one.pictures, one.targets, fires(modification, one.pictures, device), one.after.argmax(1), shares)


@torch.inference_mode()
def shown(modification: str, n: int, device: str = "cpu") -> Shown:
    """The first `n` test pictures of a control world, half of them modified, and G(E(picture)) with the prior's own
    encoder."""
    prior, real = generator_prior.load(PRIOR, device), control_worlds.pictures(modification, "test", n)
    images = interface.to_tensor(real.images).to(device)
    codes = generator_prior.encode(prior, searches.encoder(prior, device), images)
    again = interface.to_pictures(torch.cat([prior.generator(part.to(device)) for part in codes.split(100)]))
    none, clear = np.full(n, np.nan), (real.cues == real.labels[:, None] % CLASSES).all(1)
    both = (Read(one, real.labels, fires(modification, one, device), none, none) for one in (real.images, again))
    return Shown(*both, clear)


# ------------------------------------------------------------------------------------------- statistics


def shift(hits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Share of hits (n,) for class 10 + k minus that for class k: (10,)."""
    if set(targets) != set(range(2 * CLASSES)):
        expected = f"each of 0 to {2 * CLASSES - 1}: the original classes, then the modified ones"
        raise ValueError(f"targets hold {len(set(targets))} classes, expected {expected}")
    shares = recognised.by_class(hits, targets)
    return shares[CLASSES:] - shares[:CLASSES]


def doubled(one: Made, starts: int) -> np.ndarray:
    """Targets (n,) as if an ordinary network of ten classes had twenty units: the later half of the starts of class k
    counts as class 10 + k. A network that knows no modification must give no difference."""
    return one.targets + CLASSES * (np.arange(len(one.targets)) % starts >= starts // 2)


def gains(found: dict[str, dict[int, Units]], kind: str = "prior", by: str = "fires") -> dict:
    """{modification: {seed: difference of the detector's share by class, (10,)}} for images with "prior" or "bare";
    by "peers": of the share of networks of other seeds."""
    reads = {name: {s: getattr(one, kind) for s, one in of.items()} for name, of in found.items()}
    return {name: {s: shift(getattr(one, by), one.targets) for s, one in of.items()} for name, of in reads.items()}


def control(
    found: dict[str, dict[int, Units]],
    real: dict[str, Shown],
    ordinary: dict[int, Made],
    starts: int,
    generator: np.random.Generator,
) -> dict:
    """Claim G7a, for claims.record: the detector's share on images for modified units minus for original ones, mean of
    the modifications. ordinary: {seed: images of a network that knows no modification} with so many starts a class.

    Named: each modification; no prior; what the prior makes of real pictures' codes; the ordinary network; each
    modification as the networks of the other seeds read it.
    """
    each = gains(found)
    values = {name: average(of) for name, of in each.items()}
    values["no prior"] = np.mean([average(of) for of in gains(found, "bare").values()], 0)
    values["prior, from codes of real pictures"] = np.mean(
        [shift(r.codes.fires, r.codes.targets) for r in real.values()], 0
    )
    same = [shift(fires(m, one.pictures), doubled(one, starts)) for m in found for one in ordinary.values()]
    values["ordinary network, two starts as two units"] = np.mean(same, 0)
    for name, of in gains(found, by="peers").items() if len(each[next(iter(each))]) > 1 else []:
        values[f"{name}, read by networks of the other seeds"] = average(of)
    named = {name: estimate(value, generator)[:3] for name, value in values.items()}
    seeds = next(iter(each.values()))
    whole = {s: np.mean([of[s] for of in each.values()], 0) for s in seeds}
    return by_student(whole) | {"named": named}


def blur_last(found: dict[str, dict[int, Units]], generator: np.random.Generator) -> dict:
    """Claim G7b, for claims.record: the smaller of the differences of bgr and mosaic minus that of blur."""
    each = gains(found)
    if missing := [name for name in control_worlds.MODIFICATIONS if name not in each]:
        raise ValueError(
            f"modifications lack {', '.join(missing)}, expected all of {', '.join(control_worlds.MODIFICATIONS)}"
        )

    def last(rows: list[np.ndarray]) -> uncertainty.Estimate:
        return uncertainty.bootstrap_shares(rows, lambda m: min(m[0], m[1]) - m[2], generator=generator)

    order = [each[name] for name in control_worlds.MODIFICATIONS]
    seeds = {s: last([of[s] for of in order]) for s in order[0]}
    return recordable(last([average(of) for of in order]), seeds)


def rows(found: dict[str, dict[int, Units]], real: dict[str, Shown], generator: np.random.Generator) -> list[dict]:
    """The detector's share on images for original and for modified classes, as rows for a figure, seeds pooled."""
    out = []
    for name, of in found.items():
        kinds = {UNITS: [one.prior for one in of.values()], BARE: [one.bare for one in of.values()]}
        kinds |= {CODES: [real[name].codes], REAL: [real[name].pictures]}
        for kind, reads in kinds.items():
            shares = np.mean([recognised.by_class(one.fires, one.targets) for one in reads], 0)
            for group, part in (("original", shares[:CLASSES]), ("modified", shares[CLASSES:])):
                row = {"name": kind, "panel": name, "group": group, "seed": "all"}
                out.append(row | estimate(part, generator)._asdict())
    return out


def says(found: dict[str, dict[int, Units]]) -> Table:
    """How good detectors and networks are, and what the networks say about the images of their own modified units."""
    head = ("", "detector right", "networks, class", "networks, modified or not")
    head += ("own image: its unit", "own image: modified")
    lines = []
    for name, of in found.items():
        right = weights.info(f"controls/{name}-detector")["test"]["right"]
        nets = [weights.info(f"controls/{name}-{seed}")["validation"] for seed in of]
        parts = [one.prior for one in of.values()]
        late = [one.targets >= CLASSES for one in parts]
        unit = np.mean([(one.says == one.targets)[k].mean() for one, k in zip(parts, late, strict=True)])
        kind = np.mean([(one.says >= CLASSES)[k].mean() for one, k in zip(parts, late, strict=True)])
        means = [np.mean([net[key] for net in nets]) for key in ("of_ten", "of_two")]
        share = f"{right['value']:.3f} [{right['low']:.3f}, {right['high']:.3f}]"
        lines.append((name, share, *(f"{value:.2f}" for value in (*means, unit, kind))))
    return Table(head, lines)
