"""What notebook 08 measures and claims of codes and of their embedding in the plane."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats as scipy_stats
from scipy.spatial import distance
from torch.nn import functional

from lib.experiments.shared import own_pictures
from lib.methods.layers import codes as layer_codes
from lib.methods.layers import plane
from lib.networks import interface, readers
from lib.record import uncertainty
from lib.record.seeds import recordable
from lib.worlds import cutouts, imagenet_classes, photos

COMMON = 5  # classes that have a colour of their own
SIDE = 64  # of pictures that are read as pixels


def spaces(net: interface.Network) -> list[str]:
    """The layers whose codes a notebook shows, the lowest first: pool5, fc7 before its ReLU and after; in a network
    without fc7 those that can serve in its place (interface.hidden)."""
    wanted = [layer for layer in ("pool5", layer_codes.BEFORE, layer_codes.AFTER) if layer in net.layers]
    return wanted if {layer_codes.BEFORE, layer_codes.AFTER} <= {*wanted} else interface.hidden(net)[::-1]


def pixels(images: torch.Tensor) -> np.ndarray:
    """The pictures themselves as codes; large ones are averaged to 64 pixels a side first."""
    large = images.shape[-1] > SIDE
    return layer_codes.pixels(functional.interpolate(images, (SIDE, SIDE), mode="area") if large else images)


def compared(world: str, net: interface.Network) -> list[str]:
    """The layers whose codes are compared: of cutouts pool5, fc7 before its ReLU and after; of photographs pool5, or in
    a network of the reader's what serves in its place (interface.hidden)."""
    if world == "cutouts":
        return ["pool5", layer_codes.BEFORE, layer_codes.AFTER]
    return ["pool5"] if "pool5" in net.layers else interface.hidden(net)[:1]


def having(nets: dict[tuple, interface.Network], *layers: str) -> dict[tuple, interface.Network]:
    """Those of the networks that have all of these layers; if none has, the error of the first says what could serve
    instead."""
    found = {key: net for key, net in nets.items() if {*layers} <= {*net.layers, *dict(net.model.named_modules())}}
    if not found:
        net = next(iter(nets.values()))
        interface.module(net, next(layer for layer in layers if layer not in net.layers))
    return found


def by_class_alone(purities: np.ndarray, labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The purity by `values` (N,) to expect of neighbours that are chosen by class and otherwise at random, given the
    share `purities` (N,) of them that have the image's class."""
    same, equal = labels[:, None] == labels, values[:, None] == values
    others = ~np.eye(len(labels), dtype=bool)
    inside, outside = ((equal & part).sum(1) / np.maximum(part.sum(1), 1) for part in (same & others, ~same))
    return purities * inside + (1 - purities) * outside


class Spaces(NamedTuple):
    """What one network's spaces hold for the same N pictures, by space."""

    codes: dict[str, np.ndarray]  # (N, features)
    near: dict[str, np.ndarray]  # nearest(codes), (N, 10)
    points: dict[str, np.ndarray]  # (N, 2), embeddings of some of the spaces
    near_points: dict[str, np.ndarray]  # nearest(points), (N, 10)


def gather(read: dict[str, np.ndarray], points: dict[str, np.ndarray]) -> Spaces:
    """Codes and embeddings by space, (N, features) and (N, 2), with their neighbours, which are needed many times."""
    near, near_points = ({space: layer_codes.nearest(rows) for space, rows in part.items()} for part in (read, points))
    return Spaces(read, near, points, near_points)


def purer(found: list[Spaces], labels: np.ndarray, one: str, other: str, generator) -> dict:
    """Class purity in space `one` minus that in `other`, networks pooled; readings of an image are one cluster.

    Claims E4a and E4b. named: the same in the embeddings, where both are there.
    """

    def difference(tables):
        parts = ((layer_codes.shared(near[space], labels) for space in (one, other)) for near in tables)
        return pooled([first - second for first, second in parts], generator)

    named = {}
    if all({one, other} <= {*space.points} for space in found):
        named = {"embedded": difference([space.near_points for space in found])}
    return recordable(difference([space.near for space in found]), named=named)


def pooled(values: list[np.ndarray], generator) -> uncertainty.Estimate:
    """Mean over several readings (N,) of the same N images, with an interval over images."""
    images = np.tile(np.arange(len(values[0])), len(values))
    return uncertainty.bootstrap_mean(np.concatenate(values), clusters=images, generator=generator)


def purity_rows(found: dict[tuple, Spaces], batch: cutouts.Batch, titles: dict[str, str], generator) -> list[dict]:
    """Purity by class, and where it is known by hue, and by hue if class alone chose the neighbours, for each network
    and space, as rows for a figure, named by family and space (`titles`: space -> what it is called, if otherwise)."""
    rows, known = {}, batch.cues.shape[1] == len(cutouts.CUES)
    hue = batch.cues[:, cutouts.CUES.index("hue")] if known else None
    for (family, seed), one in found.items():
        for space, near in one.near.items():
            if space == layer_codes.PIXELS and rows:
                continue  # pixels are the same for every network
            line = space if space == layer_codes.PIXELS else f"{readers.title(family)}, {titles.get(space, space)}"
            own = layer_codes.shared(near, batch.labels)
            groups = {"class": own}
            if known:
                groups["hue"] = layer_codes.shared(near, hue)
                groups["hue, if class alone chose"] = by_class_alone(own, batch.labels, hue)
            for group, values in groups.items():
                row = {"name": line, "seed": seed, "group": group} | pooled([values], generator)._asdict()
                rows.setdefault((line, seed), []).append(row)
    return [row for group in rows.values() for row in group]


def gain(found: list[dict[str, np.ndarray]], generator) -> dict:
    """Accuracy of the probe on the last hidden layer minus that on the first, mean over networks; interval over images.

    Claim E11. named: tau-b between depth and accuracy over all layers, mean over networks.
    """
    tables = [np.array(list(one.values()), dtype=float) for one in found]
    ends = np.cumsum([len(table) for table in tables])[:-1]

    def order(means):
        return np.mean([layer_codes.tau(part) for part in np.split(means, ends)])

    estimate = pooled([table[-1] - table[0] for table in tables], generator)
    tau = uncertainty.bootstrap_shares(np.concatenate(tables), order, generator=generator)
    return recordable(estimate, named={"tau": tau})


def probe_rows(found: dict[tuple, dict[str, np.ndarray]]) -> list[dict]:
    """Accuracy of every probe with its Wilson interval over images, as rows for a figure."""
    rows = []
    for (family, seed), hits in found.items():
        for place, (layer, hit) in enumerate(hits.items()):
            row = {"name": readers.title(family), "seed": seed, "depth": place, "layer": layer}
            rows.append(row | uncertainty.wilson(int(hit.sum()), len(hit))._asdict())
    return rows


def trustworthiness(found: list[Spaces], space: str, generator, draws: int = 500) -> dict:
    """Mean trustworthiness of the embeddings of `space`, networks pooled; readings of an image are one cluster.

    Claim E12. null: the embedded points dealt to the images at random, in one order for all networks. named: PCA.
    """
    estimate = pooled([plane.trust(one.codes[space], one.points[space]) for one in found], generator)
    plain = pooled([plane.trust(one.codes[space], plane.pca(one.codes[space])) for one in found], generator)
    tables = [(plane.ranks(one.codes[space]), one.near_points[space]) for one in found]
    null = np.zeros(draws)
    for draw in range(draws):
        owner = generator.permutation(len(tables[0][0]))  # point p now belongs to image owner[p]
        for ranks, neighbours in tables:
            null[draw] += plane.trusted(ranks[owner], owner[neighbours]).mean() / len(tables)
    return recordable(estimate, named={"PCA": plain}) | {"null": tuple(np.quantile(null, [0.025, 0.975]))}


def agreement(rows: np.ndarray, points: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """What an embedding keeps of the large: Kendall's tau-b between code space and plane of the distances between the
    centres of the classes, and of the sizes of the classes (mean distance to the centre)."""
    measured = []
    for table in (np.asarray(rows, dtype=np.float64), np.asarray(points, dtype=np.float64)):
        parts = [table[labels == value] for value in np.unique(labels)]
        sizes = [np.linalg.norm(part - part.mean(0), axis=1).mean() for part in parts]
        measured.append((distance.pdist(np.array([part.mean(0) for part in parts])), sizes))
    pairs = zip(("distances", "sizes"), *measured, strict=True)
    return {name: float(scipy_stats.kendalltau(one, other).statistic) for name, one, other in pairs}


def described(rows: np.ndarray, points: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Trustworthiness of an embedding, the share of a point's ten nearest that are among the ten (and the fifty)
    nearest codes, class purity of the ten nearest points, and `agreement`."""
    trusted, near = plane.trust(rows, points).mean(), layer_codes.nearest(points)
    found = {"trust": float(trusted), "purity": float(layer_codes.shared(near, labels).mean())}
    for name, k in (("kept", layer_codes.NEIGHBOURS), ("kept among fifty", min(50, len(rows) - 1))):
        own = layer_codes.nearest(rows, k)
        found[name] = float(np.mean([np.isin(one, other).mean() for one, other in zip(near, own, strict=True)]))
    return found | agreement(rows, points, labels)


def table(points: dict[str, np.ndarray]) -> list[dict]:
    """The numbers behind a figure of embeddings {space: (N, 2)}: a row a point."""
    return [{"space": s, "image": k, "x": x, "y": y} for s, part in points.items() for k, (x, y) in enumerate(part)]


class Tiles(NamedTuple):
    """Photographs, or tiles of them, and their codes."""

    images: np.ndarray  # (N, size, size, 3) uint8
    values: np.ndarray  # (N,) which photograph a tile is from; of what kind, where a tile is the whole photograph
    names: list[str]  # of the values
    shown: list[photos.Photo]
    codes: dict[str, np.ndarray]  # (N, features): of pixels averaged to a small side, and of the last hidden layer


def _kinds(net: interface.Network, shown: list[photos.Photo], device) -> tuple[np.ndarray, list[str]]:
    """What each photograph is of: a kind of ImageNet's classes where all have one; else one of the commonest classes,
    by its folder or, where no class is known, by what the network ranks first; or another."""
    if all(photo.labels for photo in shown):
        return np.array(imagenet_classes.kinds([photo.labels[0] for photo in shown])), list(imagenet_classes.KINDS)
    names = [photo.kind or net.classes[own_pictures.label(net, photo, device)] for photo in shown]
    common = [name for name, _ in Counter(names).most_common(COMMON)]
    return np.array([common.index(name) if name in common else len(common) for name in names]), [*common, "another"]


def photographs(net: interface.Network, names, grid: int, device="cpu", side: int = 32) -> Tiles:
    """The photographs of these names (photos.named), cut into grid x grid tiles of the network's size, and their codes.

    The layer is the one that serves as the last hidden one (interface.hidden), averaged to one number a channel.
    """
    shown = photos.named(names, net.size * grid, crop=1.0)
    parts, values = photos.tiles(photos.stack(shown).numpy(), grid)
    titles = [photos.titled(photo) for photo in shown]
    if grid == 1:
        values, titles = _kinds(net, shown, device)
    images, last = torch.from_numpy(parts), interface.hidden(net)[0]
    read = {layer_codes.PIXELS: layer_codes.pixels(functional.interpolate(images, (side, side), mode="area"))}
    read |= layer_codes.read(net, images.to(device), [last], most=1)
    pictures = np.round(255 * parts.transpose(0, 2, 3, 1)).clip(0, 255).astype(np.uint8)
    return Tiles(pictures, values, titles, shown, read)
