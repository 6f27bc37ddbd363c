"""Classes whose pictures vary, seen through a generator prior (notebook 13, claim G8)."""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator, Philox

from lib.experiments.n13_controls.other_data_and_networks import PRIOR, Search, made
from lib.experiments.shared import recognised
from lib.experiments.shared.class_images import Made
from lib.networks import control_networks, interface, zoo
from lib.record.seeds import average, by_student, estimate
from lib.worlds import control_worlds, cutouts
from lib.worlds.cutouts import CLASSES, World

RENDERINGS = 6  # of a mode, whose mean feature stands for it
UNINVOLVED = ("resnet", 1, "pool5")  # family, seed and layer in whose features images are compared


class Posed(NamedTuple):
    """Images of a network of one world, and how canonical they are."""

    made: Made
    hits: np.ndarray  # (3, n) bool, the primary judge's; any of the shapes of a class counts
    distances: np.ndarray  # (n,) to the nearest mode of the class; 1 is what real pictures have in the mean


class Seen(NamedTuple):
    """Real test pictures of one world."""

    pictures: np.ndarray  # (n, 64, 64, 3) uint8
    labels: np.ndarray  # (n,)
    hits: np.ndarray  # (3, n) bool
    clear: np.ndarray  # (n,) bool: all three cues speak for the class
    distances: np.ndarray  # (n,)


def judge(world: str, pictures: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """`recognised.judge`, but where several shapes stand for a class each of them counts: (3, n) bool."""
    said = recognised.read(pictures).argmax(2)
    shapes = np.array([control_worlds.shapes(world, label) for label in range(CLASSES)])[targets]
    return np.stack([(said[0][:, None] == shapes).any(1), *(said[1:] == targets)])


def renderings(mode: control_worlds.Mode, n: int, seed: int = 0) -> np.ndarray:
    """`n` pictures of a class in one mode, all cues right, at places and before backgrounds of their own: (n, 64, 64,
    3) uint8."""
    reach = np.hypot(*cutouts.outlines()[mode.shape][0].T).max()
    extent = min(mode.radius * reach + 1, cutouts.SIZE / 2)
    cues, sources, shown = np.array([mode.shape, mode.label, mode.label]), cutouts.panels("validation", 0), []
    for i in range(n):
        u = Generator(Philox(key=[seed, 1000 * mode.label + i])).random(96)
        centre = extent + (cutouts.SIZE - 2 * extent) * u[9:11] - 0.5
        pose = np.array([*centre, mode.radius, mode.rotation], np.float32)
        shown.append(cutouts.picture(World(), u, cues, pose, sources)[0])
    return np.array(shown)


def features(pictures: np.ndarray, device: str = "cpu") -> np.ndarray:
    """What a network that took no part makes of pictures: (n, features) float32."""
    family, seed, layer = UNINVOLVED
    net = zoo.network(family, seed, device)
    return interface.features(net, interface.to_tensor(pictures), [layer])[layer].flatten(1).cpu().numpy()


def nearest(found: np.ndarray, targets: np.ndarray, modes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Distance of features (n, f) to the nearest of the mean features of the modes (m, f) of their own class."""
    apart = np.linalg.norm(found[:, None] - modes[None], axis=2)
    return np.where(labels[None] == targets[:, None], apart, np.inf).min(1)


def posed(worlds, seeds, search: Search, n_real: int) -> tuple[dict[str, dict[int, Posed]], dict[str, Seen]]:
    """{world: {training seed: Posed}}, the same prior for all, and what real test pictures of each world get."""
    found, seen = {}, {}
    for world in worlds:
        modes = control_worlds.modes(world)
        every = np.concatenate([renderings(mode, RENDERINGS) for mode in modes])
        means = features(every, search.device).reshape(len(modes), RENDERINGS, -1).mean(1)
        labels = np.array([mode.label for mode in modes])
        shown = control_worlds.pictures(world, "test", n_real)
        allowed = np.array([control_worlds.shapes(world, label) for label in range(CLASSES)])[shown.labels]
        clear = (allowed == shown.cues[:, :1]).any(1) & (shown.cues[:, 1:] == shown.labels[:, None]).all(1)
        if missing := set(range(CLASSES)) - set(shown.labels[clear]):
            raise ValueError(f"n_real is {n_real}, expected more: no clear picture of class {min(missing)} in {world}")
        apart = nearest(features(shown.images, search.device), shown.labels, means, labels)
        usual = apart[clear].mean()
        hits = judge(world, shown.images, shown.labels)
        seen[world] = Seen(shown.images, shown.labels, hits, clear, apart / usual)
        found[world] = {}
        for seed in seeds:
            one = made(PRIOR, control_networks.network(f"{world}-{seed}", search.device), search)
            apart = nearest(features(one.pictures, search.device), one.targets, means, labels) / usual
            found[world][seed] = Posed(one, judge(world, one.pictures, one.targets), apart)
    return found, seen


def _by_class(found: dict[int, Posed], cues=slice(None)) -> dict[int, np.ndarray]:
    return {s: recognised.by_class(one.hits[cues], one.made.targets) for s, one in found.items()}


def _apart(found: dict[int, Posed]) -> dict[int, np.ndarray]:
    return {s: recognised.by_class(one.distances[None], one.made.targets) for s, one in found.items()}


def _clear(seen: Seen, cues=slice(None)) -> np.ndarray:
    return recognised.by_class(seen.hits[cues][:, seen.clear], seen.labels[seen.clear])


def pose_loss(found: dict[str, dict[int, Posed]], seen: dict[str, Seen], generator: np.random.Generator) -> dict:
    """Claim G8, for claims.record: the primary judge's score for networks of one pose minus of varied poses. Named: the
    same for real pictures whose cues are all right (what the judge itself loses), distances to the nearest mode, and
    several shapes in place of several poses."""
    one, varied, several = control_worlds.POSES

    def minus(measure, first: str, second: str) -> list[np.ndarray]:
        pair = measure(found[first]), measure(found[second])
        return [pair[0][s] - pair[1][s] for s in pair[0]]

    def surface(of):
        return _by_class(of, slice(1, 3))

    named = {
        "the same for real pictures": [_clear(seen[one]) - _clear(seen[varied])],
        "distance, varied poses minus one": minus(_apart, varied, one),
        "one minus several shapes": minus(_by_class, one, several),
        "one minus several shapes, by texture and hue": minus(surface, one, several),
        "distance, several shapes minus one": minus(_apart, several, one),
    }
    named = {key: estimate(np.mean(values, 0), generator)[:3] for key, values in named.items()}
    score = {world: _by_class(found[world]) for world in (one, varied)}
    return by_student({s: score[one][s] - score[varied][s] for s in score[one]}) | {"named": named}


def rows(found: dict[str, dict[int, Posed]], seen: dict[str, Seen], generator: np.random.Generator) -> list[dict]:
    """By world, for images and for real pictures: shares by cue and in all, and distances, as rows for a figure."""
    cues = {cue: slice(k, k + 1) for k, cue in enumerate(cutouts.CUES)} | {"all three: primary judge": slice(None)}
    out = []
    for world, of in found.items():
        title, real = world.replace("_", " "), seen[world]
        for group, part in cues.items():
            values = {"image": average(_by_class(of, part)), "real picture": _clear(real, part)}
            out += [{"name": title, "group": group, "what": what, "by_class": v} for what, v in values.items()]
        values = {"image": average(_apart(of))}
        values["real picture"] = recognised.by_class(real.distances[None, real.clear], real.labels[real.clear])
        out += [{"name": title, "group": "distance", "what": what, "by_class": v} for what, v in values.items()]
    return [row | estimate(row.pop("by_class"), generator)._asdict() for row in out]
