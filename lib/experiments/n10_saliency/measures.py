"""The measurements behind the claims on saliency (notebook 10), each over any set of networks.

As in lib.experiments.n09_occlusion.measures: a measurement takes a list of readings (one a network) and returns what
`claims.record` takes; readings of one image by several networks are one cluster.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib.experiments.shared import own_pictures
from lib.experiments.shared.per_network import row
from lib.methods.backward import random_weights, saliency_maps, three_rules
from lib.networks import interface, readers, zoo
from lib.record import uncertainty
from lib.record.seeds import recordable
from lib.worlds import cutouts, photos

RANDOM = "random direction"
ORDER = "random order"


class Reading(NamedTuple):
    """What the signals of one network at the N images of a batch are worth."""

    net: interface.Network
    right: np.ndarray  # numbers of the images it classifies correctly
    maps: dict[str, np.ndarray]  # rule -> saliency maps (R, S, S) of the R images in `right`
    raised: dict[str, np.ndarray]  # rule or RANDOM -> (N,) does a small step raise the true class's score?
    curves: dict[str, np.ndarray]  # rule or ORDER -> (R, steps + 1) the true class's probability as pixels go


def read(families, seeds, batch: cutouts.Batch, size: float, steps: int, generator, device="cpu") -> dict:
    """Signals of the true class's score for every trained network, {(family, seed): Reading}.

    size: length of the small step, a share of the image's norm; steps: number of steps in which all pixels go grey.
    """
    images = interface.to_tensor(batch.images).to(device)
    noise = torch.from_numpy(generator.standard_normal(images.shape, dtype=np.float32)).to(device)
    chance = generator.random(images[:, 0].shape)
    return {
        (family, seed): _read(
            readers.network(family, seed, device, images.shape[-1]), images, batch.labels, size, steps, noise, chance
        )
        for family in families
        for seed in seeds
    }


def _read(net, images: Tensor, labels, size: float, steps: int, noise: Tensor, chance: np.ndarray) -> Reading:
    right = np.flatnonzero(interface.scores(net, images, 32).argmax(1).cpu().numpy() == labels)
    signals = {rule: saliency_maps.signals(net, images, labels, rule) for rule in saliency_maps.rules(net)[0]}
    raised = {
        name: saliency_maps.raised(net, images, labels, each, size)
        for name, each in (signals | {RANDOM: noise}).items()
    }
    maps = {rule: saliency_maps.saliency(signal[right]) for rule, signal in signals.items()}
    curves = {
        name: saliency_maps.deletion(net, images[right], labels[right], each, steps)
        for name, each in (maps | {ORDER: chance[right]}).items()
    }
    return Reading(net, right, maps, raised, curves)


def _estimate(values: list[np.ndarray], pictures: list[np.ndarray], generator) -> uncertainty.Estimate:
    """Mean over readings, images as clusters. Shares on which all agree: no resample differs, so that the interval is
    Wilson's for as many images."""
    values, units = np.concatenate(values).astype(float), np.concatenate(pictures)
    found = uncertainty.bootstrap_mean(values, clusters=units, generator=generator)
    if found.low == found.high and found.value in (0, 1):
        return uncertainty.wilson(round(found.value * found.n), found.n)
    return found


# ------------------------------------------------------------------------------- E13, a step; E14, deletion


def step(readings: list[Reading], generator: np.random.Generator, direction: str = "gradient") -> dict:
    """Share of images in which a small step along `direction` raises the true class's score. Claim E13."""
    return _with_named(readings, direction, ("deconvnet", "guided", RANDOM), _raised, generator)


def gain(readings: list[Reading], generator: np.random.Generator, order: str = "gradient") -> dict:
    """Area under the deletion curve in random order minus that in the order of |`order`|. Claim E14."""
    return _with_named(readings, order, ("deconvnet", "guided"), _gained, generator)


def _raised(reading: Reading, name: str):
    if name in reading.raised:
        return reading.raised[name], np.arange(len(reading.raised[name]))
    return None


def _gained(reading: Reading, name: str):
    if name in reading.curves:
        return saliency_maps.area(reading.curves[ORDER]) - saliency_maps.area(reading.curves[name]), reading.right
    return None


def _with_named(readings, first: str, others: tuple, values, generator) -> dict:
    found = {}
    for name in dict.fromkeys((first, *others)):
        parts = [part for one in readings if (part := values(one, name)) is not None]
        if parts:
            found[name] = _estimate(*zip(*parts, strict=True), generator)
    if first not in found:
        raise ValueError(f"{first!r} is not defined for any of these networks: they have no ReLUs")
    return recordable(found.pop(first), named=found)


def rows(measure, found: dict[tuple, Reading], names: tuple, generator) -> list[dict]:
    """`measure` (step or gain) for each network and each of `names` that it has, as rows for a figure."""
    result = []
    for (family, seed), one in found.items():
        for name in (name for name in names if name in one.raised or name in one.curves):
            result.append(row(readers.title(family), seed, name, measure([one], generator, name)))
    return result


def curve_rows(found: dict[tuple, Reading]) -> list[dict]:
    """Mean deletion curves, one row a network, an order and a step."""
    return [
        {
            "name": readers.title(f),
            "seed": seed,
            "order": order,
            "share": k / (curves.shape[1] - 1),
            "probability": value,
        }
        for (f, seed), one in found.items()
        for order, curves in one.curves.items()
        for k, value in enumerate(curves.mean(0).tolist())
    ]


# ----------------------------------------------------------------------------------------------- object masks


def mask_tables(maps: np.ndarray, objects: np.ndarray, blur: float) -> dict[str, np.ndarray]:
    """The three scores of maps (R, S, S) against masks (R, S, S), a table (R, R) each."""
    return {
        "largest value on the object": saliency_maps.pointing(maps, objects),
        "IoU": saliency_maps.best_overlap(maps, objects)[0],
        f"IoU, blurred by {blur:g} px": saliency_maps.best_overlap(saliency_maps.blurred(maps, blur), objects)[0],
    }


def mask_rows(found: dict[tuple, Reading], masks: np.ndarray, blur: float, generator) -> list[dict]:
    """Scores of every network's maps, as rows for a figure: value, low and high with the image's own mask, `others`
    with the other images' masks, and the difference with its interval. Images are the unit."""
    result = []
    for (family, seed), one in found.items():
        for rule, maps in one.maps.items():
            for measure, table in mask_tables(maps, masks[one.right], blur).items():
                own, matched = np.diagonal(table), uncertainty.matched(table)
                value = _estimate([own], [one.right], generator)
                more = _estimate([matched], [one.right], generator)
                line = {"name": readers.title(family), "seed": seed, "group": rule} | value._asdict()
                line |= {"measure": measure, "others": value.value - more.value}
                result.append(
                    line | {"difference": more.value, "difference_low": more.low, "difference_high": more.high}
                )
    return result


def baseline(masks: np.ndarray, blur: float) -> dict[str, float]:
    """The same scores for a centred Gaussian in place of every map."""
    same = np.repeat(saliency_maps.gaussian(masks.shape[1])[None], len(masks), 0)
    return {measure: float(np.diagonal(table).mean()) for measure, table in mask_tables(same, masks, blur).items()}


# -------------------------------------------------------------------------------- the randomisation check


def random_rows(families, seeds, batch: cutouts.Batch, steps: int, generator, device="cpu") -> list[dict]:
    """Likeness of maps before and after weights are made random, rows for a figure: family, rule, how, measure, step,
    value with interval (images as clusters, seeds pooled), and `null`, the likeness of maps of different images."""
    images, result = interface.to_tensor(batch.images).to(device), []
    for family in families:
        nets = [(zoo.network(family, s, device), random_weights.untrained(family, 1000 + s, device)) for s in seeds]
        allowed = saliency_maps.rules(nets[0][0])[0]
        nulls = [random_weights.unlike(net, images, batch.labels, allowed) for net, _ in nets]
        for how in random_weights.HOW:
            each = [random_weights.likeness(*pair, images, batch.labels, steps, how, allowed) for pair in nets]
            for rule in allowed:
                for measure in ("spearman", "ssim"):
                    null = float(np.mean([one[rule][measure] for one in nulls]))
                    values = np.stack([one[rule][measure] for one in each])  # seeds, steps, images
                    units = [np.arange(len(images))] * len(seeds)
                    for k in range(steps):
                        found = _estimate(list(values[:, k]), units, generator)
                        line = {"name": readers.title(family), "seed": "all", "group": rule} | found._asdict()
                        result.append(line | {"how": how, "measure": measure, "share": (k + 1) / steps, "null": null})
    return result


# ------------------------------------------------------------------------------------------------- photographs


def photograph(net: interface.Network, photo: photos.Photo, period: int, device="cpu") -> dict:
    """The signals (S, S, 3) of one photograph under every rule (None where the network refuses it, with `why` it does),
    and how much of their saliency maps is a grid of `period` pixels. The class is, of the photograph's, the one that
    the network thinks likeliest; of all, where none of the network's is known to be right."""
    label = own_pictures.label(net, photo, device)
    return _sent(net, photo, net.classes[label], (None, label, None), period, device)


def hidden_unit(net: interface.Network, photo: photos.Photo, layer: str, period: int, device="cpu") -> dict:
    """The same from the unit of a hidden layer (interface.named) that answers most, under its channel's number in place
    of a class."""
    at = interface.named(net, layer)
    values = interface.features(net, photo.image[None].to(device), [at])[at]
    channel = int(values.flatten(2).amax(2).argmax())
    return _sent(net, photo, f"{layer}, channel {channel}", (at, channel, "max"), period, device)


def _sent(net: interface.Network, photo: photos.Photo, what: str, unit: tuple, period: int, device) -> dict:
    (allowed, why), image = saliency_maps.rules(net), photo.image.to(device)
    (layer, channel, place), signals, grids = unit, {}, {}
    for rule in three_rules.RULES:
        signal = None
        if rule in allowed:
            signal = three_rules.project(net, image[None], layer, channel, unit=place, rule=rule)[0]
            signal = signal.permute(1, 2, 0).cpu().numpy()
        signals[rule] = signal
        grids[rule] = None if signal is None else float(saliency_maps.grid(np.abs(signal).max(2)[None], period)[0])
    found = {"network": readers.title(net.name), "photo": photos.titled(photo), "class": what}
    return found | {"picture": image.permute(1, 2, 0).cpu().numpy(), "signals": signals, "grids": grids, "why": why}
