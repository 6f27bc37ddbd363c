"""The three measurements behind the claims on occlusion (notebook 09), each over any set of networks.

A measurement takes a list of readings (one a network) and returns what `claims.record` takes: value, interval, n, and
where the rule asks for it null and named. `by_seed` repeats it for every training seed.
"""

from typing import NamedTuple

import numpy as np
import torch

from lib.experiments.n09_occlusion import object_masks
from lib.experiments.shared import per_network
from lib.methods.backward import three_rules
from lib.methods.occlusion import same_part, sweeps
from lib.networks import interface, readers
from lib.record import uncertainty
from lib.record.seeds import recordable
from lib.worlds import cutouts


class Reading(NamedTuple):
    """What covering did to one network's reading of the N pictures of a batch."""

    net: interface.Network
    sweep: sweeps.Sweep
    right: np.ndarray  # numbers of the pictures it classifies correctly when nothing is covered
    probability: np.ndarray  # (N, P) of the true class, for every square


def marked(batch: cutouts.Batch, window: int, stride: int) -> cutouts.Batch:
    """Those pictures whose object holds the centre of some square, and not of all."""
    boxes, _ = sweeps.squares(batch.images.shape[1], window, stride)
    inside = object_masks.on_masks(boxes, batch.masks).mean(1)
    return cutouts.Batch(*(part[(inside > 0) & (inside < 1)] for part in batch))


def named(batch: cutouts.Batch, families, device="cpu") -> cutouts.Batch:
    """Those pictures that some of the networks classifies correctly: nothing else is asked of the others."""
    images = interface.to_tensor(batch.images).to(device)
    right = [interface.scores(readers.network(one, 0, device), images).argmax(1).cpu().numpy() for one in families]
    kept = (np.array(right) == batch.labels).any(0)
    return cutouts.Batch(*(part[kept] for part in batch))


def read(families, seeds, batch: cutouts.Batch, window: int, stride: int, device="cpu") -> dict[tuple, Reading]:
    """Slide a grey square over every picture of `batch`, for every trained network: {(family, seed): Reading}."""
    images, found = interface.to_tensor(batch.images).to(device), {}
    for family, seed in ((family, seed) for family in families for seed in seeds):
        net = readers.network(family, seed, device, images.shape[-1])
        sweep = sweeps.sweep(net, images, window, stride, layer=interface.last_conv(net))
        right = np.flatnonzero(sweep.clean.argmax(1) == batch.labels)
        found[family, seed] = Reading(net, sweep, right, sweeps.probability(sweep.logits, batch.labels))
    return found


# ------------------------------------------------------------- E5: does the minimum lie on the object?


def minimum(readings: list[Reading], objects: np.ndarray, generator: np.random.Generator) -> dict:
    """How much more often the most harmful square lies on the picture's own object than on another picture's.

    Readings of one picture are one cluster. null: the objects dealt to the pictures at random. named, area: the mean
    loss of probability under squares on the object minus that under the rest, own object minus others. Claim E5.
    """
    pictures = [one.right for one in readings]
    parts = [(one.probability[one.right], one.sweep.boxes, objects[one.right]) for one in readings]
    lowest, areas = (
        [object_masks.lowest_on(*part) for part in parts],
        [object_masks.drop_on(-p, b, m) for p, b, m in parts],
    )
    if not all(np.isfinite(table).all() for table in areas):
        raise ValueError("stride: so large that some object holds the centre of no square; expected a smaller stride")
    value, area = (_mean(uncertainty.pooled(table, pictures), generator) for table in (lowest, areas))
    null = uncertainty.pooled_null(lowest, pictures, generator=generator)
    return recordable(value, named={"area": area}) | {"null": null.range}


def _mean(readings: tuple[np.ndarray, np.ndarray], generator: np.random.Generator) -> uncertainty.Estimate:
    values, units = readings
    return uncertainty.bootstrap_mean(values, clusters=units, generator=generator)


# ----------------------------------------------- E6: does a map fall silent where its projection lies?


class Silenced(NamedTuple):
    """Shares of the strongest map's activity that are lost, one entry a correctly classified picture."""

    projected: np.ndarray  # under the square that holds most of the map's deconvnet projection
    elsewhere: np.ndarray  # mean under equal squares elsewhere on the object; NaN where there is none
    pictures: np.ndarray


def silence(reading: Reading, images: torch.Tensor, objects: np.ndarray, rule: str = "deconvnet") -> Silenced:
    """Project each picture's strongest map to the input and compare what covering the projection costs the map."""
    k, layer = reading.right, interface.last_conv(reading.net)
    some = max(1, 2**18 // images.shape[-1] ** 2)  # pictures at a time: maps of large ones fill the memory
    parts = [k[start : start + some] for start in range(0, len(k), some)]
    how = {"start": "activation", "rule": rule}
    shown = [three_rules.project(reading.net, images[one], layer, reading.sweep.channel[one], **how) for one in parts]
    shown = torch.cat(shown)
    lost = object_masks.lost(reading.sweep.activity, reading.sweep.clean_activity)[k]
    places = object_masks.lost_where_projected(lost, shown.cpu().numpy(), reading.sweep.boxes, objects[k])
    return Silenced(*places, k)


def rules(found: dict[tuple, Reading], images: torch.Tensor, objects: np.ndarray, generator) -> list[dict]:
    """Claim E6's difference for each family (its seeds pooled) and each way to project, as rows for a figure."""
    result = []
    for rule in ("deconvnet", "gradient", "guided"):
        for family in dict.fromkeys(family for family, _ in found):
            each = [silence(one, images, objects, rule) for (name, _), one in found.items() if name == family]
            result.append(per_network.row(readers.title(family), "all", rule, difference(each, generator)))
    return result


def difference(silenced: list[Silenced], generator: np.random.Generator) -> dict:
    """Share lost under the projection minus that elsewhere on the object; pictures with no other square are left out.
    Claim E6."""
    values = np.concatenate([one.projected - one.elsewhere for one in silenced])
    pictures = np.concatenate([one.pictures for one in silenced])
    usable = np.isfinite(values)
    note = f"{(~usable).sum()} of {usable.size} readings left out: no other square on the object, or a silent map."
    return recordable(_mean((values[usable], pictures[usable]), generator)) | {"note": note}


def shares(silenced: dict[tuple, Silenced], generator: np.random.Generator) -> list[dict]:
    """Both shares for each network, as rows for a figure."""
    kinds = {"projected region covered": "projected", "equal area elsewhere on the object": "elsewhere"}
    found = []
    for (family, seed), one in silenced.items():
        for group, field in kinds.items():
            value = _mean((getattr(one, field)[usable := np.isfinite(one.elsewhere)], one.pictures[usable]), generator)
            found.append({"name": readers.title(family), "seed": seed, "group": group} | value._asdict())
    return found


# ------------------------------- E10: does covering the same part change the features in the same way?

MARKS = ("tip", "left corner", "right corner")
ALIKE, INSIDE = "elsewhere, as much", "on the object"  # random places that cover as much of the object, or lie on it
PLACES = (*MARKS, ALIKE, INSIDE)
LAYERS = ("last convolution", "last hidden layer (fc7)")


SEEN = 600  # test pictures on which an earlier reference was judged: those after them decide


def unseen(n: int) -> cutouts.Batch:
    """The n test pictures after the first 600."""
    many = cutouts.batch(cutouts.World(), "test", SEEN + n)
    return cutouts.Batch(*(part[SEEN:] for part in many))


def fives(nets: list[interface.Network], batch: cutouts.Batch, images: torch.Tensor) -> np.ndarray:
    """Groups (G, 5) of pictures of one non-round shape, all classified correctly by every one of `nets`."""
    right = [interface.scores(net, images).argmax(1).cpu().numpy() == batch.labels for net in nets]
    marks = cutouts.landmarks(batch.cues[:, 0], batch.pose)
    return same_part.groups(batch.cues[:, 0], np.all(right, 0) & ~np.isnan(marks).any((1, 2)))


def places(
    batch: cutouts.Batch, groups: np.ndarray, window: int, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """For each picture of the groups, where its three landmarks lie (x, y), a random other place whose square covers as
    much of the object as theirs, and a random other pixel of the object, whose square covers much more of it."""
    chosen = groups.ravel()
    marks = cutouts.landmarks(batch.cues[chosen, 0], batch.pose[chosen])
    other = [same_part.alike(batch.masks[chosen], marks, window, generator)]
    other.append(same_part.elsewhere(batch.masks[chosen], marks, window, generator))
    return dict(zip(PLACES, [*marks.transpose(1, 0, 2), *other], strict=True))


def coverage(batch: cutouts.Batch, groups: np.ndarray, where: dict[str, np.ndarray], window: int) -> dict[str, float]:
    """Mean share of the squares at each of the places that lies on the object."""
    return {name: same_part.covered(batch.masks[groups.ravel()], at, window).mean() for name, at in where.items()}


def deltas(net: interface.Network, images: torch.Tensor, groups: np.ndarray, where: dict, window: int) -> dict:
    """Delta of every group, for covering each of the places: {(layer, place): (G,)}."""
    names = dict(zip(LAYERS, (f"{interface.last_conv(net)}_pre", "fc7_pre"), strict=True))
    found = {}
    for place, points in where.items():
        eps = same_part.differences(net, images[groups.ravel()], points, window, list(names.values()))
        for layer, name in names.items():
            found[layer, place] = np.array([same_part.delta(one) for one in eps[name].reshape(*groups.shape, -1)])
    return found


def consistency(found: list[dict], layer: str, generator: np.random.Generator) -> dict:
    """Delta of the random place that covers as much of the object minus the mean Delta of the landmarks; readings of a
    group are a cluster. Claim E10. Named: the Deltas, and the difference to a random place on the object."""
    part = np.concatenate([np.mean([one[layer, place] for place in MARKS], 0) for one in found])
    other = {place: np.concatenate([one[layer, place] for one in found]) for place in (ALIKE, INSIDE)}
    groups = np.tile(np.arange(len(found[0][layer, ALIKE])), len(found))
    named = {"Delta of landmarks": part} | {f"Delta {place}": values for place, values in other.items()}
    named |= {f"Delta {INSIDE} minus that of landmarks": other[INSIDE] - part}
    named = {name: _mean((values, groups), generator) for name, values in named.items()}
    return recordable(_mean((other[ALIKE] - part, groups), generator), named=named)


def delta_rows(found: dict[tuple, dict], generator: np.random.Generator) -> list[dict]:
    """Delta of every layer and place, networks pooled, as rows for a figure."""
    result = []
    for layer in LAYERS:
        for place in PLACES:
            values = [one[layer, place] for one in found.values()]
            units = np.tile(np.arange(len(values[0])), len(values))
            value = _mean((np.concatenate(values), units), generator)
            result.append({"name": place, "seed": "all", "group": layer} | value._asdict())
    return result
