"""What a unit's strongest patches share, and the claim about it (notebook 07): purity, its null, and the figures' rows.

Cue values and labels are known for every picture, so that agreement is counted and not looked at.
"""

import numpy as np
import torch
from sklearn.preprocessing import OneHotEncoder
from torch import nn

from lib.methods.receptive import fields as receptive_fields
from lib.methods.receptive import strongest_patches
from lib.methods.receptive.strongest_patches import TOP, Peaks, strongest
from lib.networks import interface, readers, zoo
from lib.record import uncertainty
from lib.record.seeds import recordable
from lib.worlds import cutouts

ASPECTS = ("label", *cutouts.CUES)


def purity(marks: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest share of a unit's chosen pictures that agree, and in which value.

    marks (N, Q) integers: Q properties of every picture; chosen (C, k): pictures of each unit. Both results (C, Q).
    """
    encoder = OneHotEncoder(sparse_output=False, dtype=np.float32).fit(marks)
    counts = sum(encoder.transform(marks)[column] for column in chosen.T) / chosen.shape[1]
    ends = np.cumsum([len(values) for values in encoder.categories_])[:-1]
    groups = list(zip(encoder.categories_, np.split(counts, ends, axis=1), strict=True))
    return np.stack([g.max(1) for _, g in groups], 1), np.stack([v[g.argmax(1)] for v, g in groups], 1)


def active(values: np.ndarray) -> np.ndarray:
    """Which units ever answer: values (N, C) -> (C,) bool, above zero on at least one picture."""
    return (values > 0).any(0)


def read(nets: dict[tuple, interface.Network], images: torch.Tensor) -> dict[tuple, Peaks]:
    """`peaks` of the last convolution of each network."""
    return {key: strongest_patches.peaks(net, last(net), images) for key, net in nets.items()}


def last(net: interface.Network) -> str:
    """The last convolution after its ReLU; before it where that is capped, since a cap makes many pictures equal."""
    layer = interface.last_conv(net)
    capped = any(isinstance(part, nn.Hardtanh) for part in net.model.modules())  # ReLU6 among them
    return f"{layer}_pre" if capped and f"{layer}_pre" in net.layers else layer


def alike(found: list[Peaks], cues: np.ndarray, generator: np.random.Generator, k: int = TOP, draws: int = 1000):
    """Mean purity of the units that are ever active, the best of the cues (N, Q) counting for each unit. Claim E15.

    null: every unit's activations are dealt to the pictures at random, so that its k strongest are any k of them.
    """
    units = [active(one.values) for one in found]
    best = [purity(cues, strongest(one.values, k)[on])[0].max(1) for one, on in zip(found, units, strict=True)]
    value = uncertainty.bootstrap_mean(np.concatenate(best), generator=generator)
    null = np.quantile(dealt(cues, value.n, k, draws, generator).max(2).mean(1), [0.025, 0.975])
    few = sum(int((((one.values > 0).sum(0) < k) & on).sum()) for one, on in zip(found, units, strict=True))
    note = f"{sum((~on).sum() for on in units)} units are never active; {few} are active on fewer than {k} pictures."
    return recordable(value) | {"null": tuple(null.tolist()), "note": note}


def beside_untrained(found: dict, raw: list[Peaks], cues: np.ndarray, generator: np.random.Generator) -> dict:
    """What `alike` found, for all and for each seed, with a second null beside its own: the interval of untrained
    networks, whose units' strongest pictures agree as well, if less."""
    low, high = alike(raw, cues, generator, draws=1)["interval"]
    seeds = [one | {"null": _nulls(one["null"], (low, high))} for one in found["seeds"]]
    return found | {"null": _nulls(found["null"], (low, high)), "seeds": seeds}


def _nulls(dealt: tuple, untrained: tuple) -> dict:
    return {"dealt at random": dealt, "untrained networks": untrained}


def dealt(marks: np.ndarray, units: int, k: int, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Purity (draws, units, Q) of k different pictures drawn at random for every unit, again and again."""
    result = np.empty((draws, units, marks.shape[1]), np.float32)
    places = np.arange(units)[:, None]
    for draw in range(draws):
        chosen = np.sort(generator.integers(len(marks), size=(units, k)), 1)
        while (again := (np.diff(chosen) == 0).any(1)).any():  # the same picture twice: draw this unit's again
            chosen[again] = np.sort(generator.integers(len(marks), size=(again.sum(), k)), 1)
        for q, column in enumerate(marks.T):
            size = column.max() + 1
            counts = np.bincount((places * size + column[chosen]).ravel(), minlength=units * size)
            result[draw, :, q] = counts.reshape(units, size).max(1) / k
    return result


def purity_rows(found: dict[tuple, Peaks], cues: np.ndarray, group: str, generator, k: int = TOP) -> list[dict]:
    """Claim E15's mean for each network {(family, seed): peaks} alone, as rows for a figure."""
    rows = []
    for (family, seed), one in found.items():
        best = purity(cues, strongest(one.values, k)[active(one.values)])[0].max(1)
        row = {"name": readers.title(family), "seed": seed, "group": group}
        rows.append(row | uncertainty.bootstrap_mean(best, generator=generator)._asdict())
    return rows


def aspect_rows(
    panel: str, found: dict[tuple, Peaks], marks: np.ndarray, aspects: tuple[str, ...], generator, k: int = TOP
) -> list[dict]:
    """Mean share of a unit's k pictures that agree in each aspect (marks (N, Q), one column an aspect): rows a family,
    its seeds together. chance: the mean for k pictures drawn at random."""
    chance, rows = float(dealt(marks, 100, k, 50, generator).mean()), []
    for family in dict.fromkeys(family for family, _ in found):
        each = [one for (name, _), one in found.items() if name == family]
        shares = np.concatenate([purity(marks, strongest(one.values, k)[active(one.values)])[0] for one in each])
        for group, column in zip(aspects, shares.T, strict=True):
            row = {"panel": panel, "name": readers.title(family), "group": group}
            rows.append(row | uncertainty.bootstrap_mean(column, generator=generator)._asdict() | {"chance": chance})
    return rows


def spaced(best: np.ndarray, on: np.ndarray, n: int) -> list[int]:
    """n of the units `on` (C,), evenly spaced in their order by `best` (C,), the highest first: chosen by no look."""
    order = [int(unit) for unit in np.argsort(-best, kind="stable") if on[unit]]
    return [order[place] for place in np.linspace(0, len(order) - 1, min(n, len(order))).round().astype(int)]


def tuned(values: np.ndarray, marks: np.ndarray, n: int = 10, k: int = TOP) -> dict[str, list[dict]]:
    """The n units whose k strongest pictures agree most in their label, and the n that agree least, of the active ones.

    marks (N, 4): label, shape, texture, hue. Each unit: number, pictures (k,), shares (4,), names (4,) of the
    commonest values. Equal ones stand in the order of their numbers.
    """
    chosen = strongest(values, k)
    shares, common = purity(marks, chosen)
    on = np.flatnonzero(active(values))
    most = on[np.argsort(-shares[on, 0], kind="stable")][:n]
    least = on[np.argsort(shares[on, 0], kind="stable")][:n]

    def described(unit: int) -> dict:
        label, shape, texture, hue = common[unit]
        names = (f"class {label}", cutouts.SHAPES[shape], cutouts.TEXTURES[texture], f"{cutouts.HUES[hue]}°")
        return {"unit": int(unit), "pictures": chosen[unit], "shares": shares[unit].tolist(), "names": names}

    return {"most class-tuned": [*map(described, most)], "least class-tuned": [*map(described, least)]}


def tuned_words(values: np.ndarray, marks: np.ndarray, k: int = TOP) -> str:
    """How many units (values (N, C)) have pictures of one class only, and of how many the label agrees most."""
    shares = purity(marks, strongest(values, k))[0]
    one, more = (shares[:, 0] == 1).sum(), (shares[:, 0] > shares[:, 1:].max(1)).sum()
    return f"of {len(shares)} units {one} have pictures of one class only; in {more} the label agrees more than any cue"


def tuned_table(groups: dict[str, list[dict]]) -> list[dict]:
    """The numbers behind the figure of `tuned`, a row a unit."""
    found = []
    for title, units in groups.items():
        for unit in units:
            row = {"group": title, "unit": unit["unit"]}
            row |= dict(zip(ASPECTS, unit["shares"], strict=True))
            found.append(row | {f"commonest {a}": name for a, name in zip(ASPECTS, unit["names"], strict=True)})
    return found


def fields(families: list[str], seed: int, images: torch.Tensor, draw: int) -> tuple[list[dict], dict]:
    """Receptive fields of the middle position of every convolution conv1 ..., trained and untrained.

    Rows for a figure (window: theoretical size; inside: side of a square as large as its part inside the picture;
    effective), and of the trained networks' last convolution {title: (energy (H, W), rectangle that it can see)}.
    """
    rows, last = [], {}
    for state, stage in (("effective, trained", ""), ("effective, untrained", "step0")):
        for net, title in (
            (zoo.network(name, seed, images.device, stage=stage), readers.title(name)) for name in families
        ):
            for layer in (name for name in ("conv1", "conv2", "conv3", "conv4", "conv5") if name in net.layers):
                field = receptive_fields.field(net, layer)
                seen = field.seen(field.shape[0] // 2 * field.shape[1] + field.shape[1] // 2)
                energy = strongest_patches.effective(net, layer, images, torch.Generator().manual_seed(draw))
                row = {"name": title, "state": state, "layer": layer, "window": field.size[0]}
                inside = float(np.sqrt((seen[2] - seen[0]) * (seen[3] - seen[1])))
                rows.append(
                    row | {"stride": field.stride[0], "inside": inside, "effective": strongest_patches.side(energy)}
                )
            last.setdefault(title, (energy, seen))
    return rows, last


def digests(families: list[str], seeds: list[int]) -> list[str]:
    """Digests of the weights of the trained networks and of their states before training."""
    return [
        zoo.network(name, seed, stage=stage).digest for name in families for seed in seeds for stage in ("", "step0")
    ]
