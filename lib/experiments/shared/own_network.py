"""What a reader's network is asked, notebook by notebook, and what it or the photographs lack for the rest: found out
before anything is computed (`make mine`, lib/jobs/mine.py)."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch

from lib.experiments.shared import own_pictures
from lib.methods.backward import saliency_maps, three_rules
from lib.methods.layers import first_layer
from lib.methods.receptive import strongest_patches
from lib.networks import interface, readers
from lib.worlds import photos

PLANE = 24  # photographs, below which a drawing in the plane and ten neighbours say nothing
LEAST = 8  # photographs, below which no interval is given
PURE = 64  # photographs, below which sixteen strongest pictures are hardly a choice
MINE = own_pictures.MINE
EACH = 5  # photographs a class, below which its pictures have no neighbours of their class
FACETS = 8  # at most
UNITS = 6  # channels of a hidden layer that are painted
TILES = 6  # along a side of each photograph, where there are few
NOTEBOOKS = (
    "06_activations_and_filters",
    "07_maximal_patches",
    "08_tsne",
    "09_occlusion",
    "10_saliency_and_deconv",
    "11_activation_maximisation",
    "14_minds_eye",
)


class Fitted(NamedTuple):
    """A network's run: what is asked, and what is left out and why."""

    values: dict[str, dict]  # by notebook: the parameters that differ from the profile's
    without: dict[str, dict[str, str]]  # by notebook: a part that is left out -> why; "all": the whole notebook
    notes: dict[str, list[str]]  # by notebook: what a reader should know beside


def fitted(net: interface.Network, spec: str, names: list[str], shown: list[photos.Photo], world: str = MINE) -> Fitted:
    """What notebooks 06 to 11 and 14 can ask of a network and photographs.

    spec: how the network is called in parameters; names: how the photographs are; shown: these, at the network's size.
    world: "photos" asks it of the photos profile's own pictures, as the seven networks are asked. Everything that a
    notebook will need of the network is tried once, on one photograph.
    """
    convolutions, image, mine = interface.convolutions(net), shown[0].image[None], world == MINE
    maps = "" if convolutions else f"none of the modules of {net.name} is a convolution that gives maps"
    gradient = _refused(lambda: three_rules.project(net, image, None, 0, rule="gradient"))
    refused = "" if gradient else saliency_maps.rules(net)[1]  # why deconvnet and guided backpropagation are
    last, middle = (interface.last_conv(net), interface.named(net, "conv3_pre")) if convolutions else ("", "")
    own = {"world": world, "seeds": [0], "families": [spec]} | ({"photographs": names} if mine else {})
    read, without, notes = own | {"networks": [spec]}, {}, {notebook: [] for notebook in NOTEBOOKS}
    n06, n07, n08, n09, n10, n11, n14 = NOTEBOOKS
    values = {n06: _less(read, "families") | {"layers": layers(net, 3), "retrain": False}}
    filters = _refused(lambda: first_layer.kernels(net))
    without[n06] = _given(all=filters and maps, filters=filters, maps=maps)

    patches = maps or _refused(lambda: strongest_patches.peaks(net, last, image))
    values[n07] = own | {"network": spec, "photo_layer": last}
    untrained = _refused(lambda: readers.untrained(spec, size=net.size))
    without[n07] = _given(all=patches, purity=untrained or (_purity(net, shown) if mine else ""))

    few = f"there are {len(shown)} photographs, expected {PLANE} or more" if len(shown) < PLANE else ""
    codes = _refused(lambda: interface.hidden(net))
    classes = codes or ((few or _classes(net, shown)) if mine else "")
    values[n08] = own | {"shown": spec, "photo_network": spec}
    if mine:
        values[n08] |= {"photo_grid": TILES if few else 1, "perplexity": float(max(2, min(30, len(shown) // 4)))}
    plane = codes or (few if mine else "")
    without[n08] = _given(plane=plane, trust=plane, purity=classes, probes=classes, tiles=codes)

    objects = "no object is marked in these photographs" if mine else maps
    values[n09] = read
    if mine:
        values[n09] = read | {"photo_window": max(1, round(net.size / 7)), "photo_stride": max(1, round(net.size / 14))}
    without[n09] = _given(minimum=objects, projection=objects or gradient or refused)
    values[n10] = read | {"hidden": [spec], "hidden_layer": last}
    least = f"there are {len(shown)} photographs, expected {LEAST} or more" if mine and len(shown) < LEAST else ""
    without[n10] = _given(all=gradient, hidden=maps, scores=least)
    notes[n09] = [f"its second and third panel stay empty: {maps}"] if maps else []
    notes[n09] += [f"its third panel stays empty: {refused}"] if refused and not maps else []
    notes[n10] = [f"two of three rules stay empty: {refused}"] if refused else []

    values[n11] = _less(read, "families", "photographs") | {"hidden": [spec], "hidden_layers": [middle]}
    if mine:
        chosen = [net.classes[k] for k in own_pictures.commonest(net, shown, 3)]
        values[n11]["names"] = list(dict.fromkeys(chosen))
    if middle and not gradient:
        width = interface.features(net, image, [middle])[middle].shape[1]
        values[n11]["hidden_units"] = own_pictures.spread(list(range(width)), UNITS)
    without[n11] = _given(all=gradient, hidden=maps)

    values[n14] = _less(own, "families", "seeds") | {"network": spec, "deep": [spec], "deep_layers": layers(net, 4)}
    if mine:
        facets = len(shown) if few else min(FACETS, len(shown) // 3)
        values[n14] |= {"n_pick": 0, "photo_facets": facets, "photo_rows": min(4, facets)}
    alone = "there is one photograph, expected two or more" if mine and len(shown) < 2 else ""
    by_eye = "it asks for each way at its own best weight and rate; here those chosen by eye are used" if mine else ""
    without[n14] = _given(all=gradient or maps or alone, terms=by_eye)
    return Fitted({k: v for k, v in values.items() if "all" not in without[k]}, without, notes)


def layers(net: interface.Network, most: int) -> list[str]:
    """At most so many layers with maps after their non-linearity, from the first to the last (interface.named); none
    where there is no convolution."""
    if not interface.convolutions(net):
        return []
    wanted = ("conv1", "conv3", "conv5") if most == 3 else ("conv1", "conv2", "conv3", "conv5")
    return list(dict.fromkeys(interface.named(net, name) for name in wanted))


def _purity(net: interface.Network, shown: list[photos.Photo]) -> str:
    few = f"there are {len(shown)} photographs, expected {PURE} or more" if len(shown) < PURE else ""
    return few or _classes(net, shown)


def _classes(net: interface.Network, shown: list[photos.Photo]) -> str:
    """Why photographs tell nothing about classes; empty if they do."""
    known = [own_pictures.labelled(photo, net) for photo in shown]
    if not all(known):
        return f"{known.count(())} of {len(known)} photographs have no class that {net.name} knows"
    count = Counter(one[0] for one in known)
    if len(count) < 2 or len(known) < EACH * len(count):
        return f"{len(known)} photographs of {len(count)} classes, expected two classes or more, and {EACH} of each"
    return ""


def _refused(ask: Callable[[], object]) -> str:
    """The sentence with which `ask` is refused; empty if it is not."""
    try:
        with torch.enable_grad():
            ask()
    except ValueError as error:
        return str(error)
    return ""


def _given(**reasons: str) -> dict[str, str]:
    """The reasons that are not empty; that for the whole notebook alone, where there is one."""
    found = {part: why for part, why in reasons.items() if why}
    return {"all": found["all"]} if "all" in found else found


def _less(values: dict, *names: str) -> dict:
    return {name: value for name, value in values.items() if name not in names}
