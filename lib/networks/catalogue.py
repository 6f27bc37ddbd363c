"""Every classifier by the string that a profile names it with."""

from functools import partial
from pathlib import Path

from lib.base import identity, nearest
from lib.networks import imagenet, interface, reader_spec

PACKAGED = {
    **{f"efficientnet_lite{version}": partial(imagenet.efficientnet_lite, version) for version in imagenet.LITE},
    "squeezenet1_1": imagenet.squeezenet1_1,
    "googlenet": imagenet.googlenet,
    **{f"mobilenet_v{version}": partial(imagenet.mobilenet, version) for version in (1, 2)},
    **{f"{name}_convolutions": partial(imagenet.convolutions, name) for name in ("alexnet", "vgg16")},
}


def load(spec: str | Path, *, seed: int = 0, device="cpu", weights: bool = True) -> interface.Network:
    """The classifier that a profile's string names.

    spec: one of ours ("alexnet"), of PACKAGED ("efficientnet_lite0", "squeezenet1_1", "googlenet", "mobilenet_v2",
    "alexnet_convolutions"), "torchvision:resnet50", or the path of a spec file (*.yaml, see
    lib/networks/reader_spec.py). `seed` chooses among our trained weights; with weights=False it
    draws random ones.
    """
    from lib.networks import zoo  # imported here, since it makes Networks itself

    spec = str(spec)
    if spec in zoo.EVERY and weights:
        return zoo.network(spec, seed, device=device)
    if spec in zoo.EVERY:
        parts = {"model": zoo.build(spec, seed=seed), "size": zoo.SIZE, "layers": zoo.layers(spec), "name": spec}
        parts |= {"preprocess": zoo.preprocess, "known": True}
    elif spec in PACKAGED:
        parts = PACKAGED[spec](weights=weights, seed=seed) | {"known": True}
    elif spec.startswith("torchvision:"):
        parts = imagenet.torchvision_network(spec.removeprefix("torchvision:"), weights, seed)
    elif _is_file(spec):
        parts = reader_spec.read(spec, seed)
    else:
        known = nearest.ranked(spec, (*zoo.EVERY, *PACKAGED))
        raise ValueError(
            f"no classifier is called {spec!r}; nearest: {known}; or torchvision:<name>, or the path of a *.yaml file"
        )
    try:
        net = interface.wrap(**parts, device=device)
    except ValueError as error:
        raise ValueError(f"{spec}: {error}") from error
    if not _is_file(spec):
        return net
    decides = {"net": net.code, "size": net.size, "classes": net.classes, "layers": net.layers}
    return net._replace(digest=identity.digest(decides | {"files": reader_spec.sources(spec)}))


def several(specs: list[str | Path], layers=(), *, seed: int = 0, device="cpu") -> list[interface.Network]:
    """The classifiers that a profile's strings name, in their order, each with a name of its own: networks of spec
    files that have the same (two of net.yaml), or that of one of ours, are called by as much of their path as tells
    them apart ("first/net", "second/net"). layers: what each must have (interface.named), empty names aside. ValueError
    if one is given twice, or lacks a layer; else as `load`."""
    places = [_place(spec) for spec in specs]
    for place in places:
        if places.count(place) > 1:
            raise ValueError(f"networks: {place} is given {places.count(place)} times, expected each once")
    nets = [load(spec, seed=seed, device=device) for spec in specs]
    for net in nets:
        for layer in filter(None, layers):
            interface.named(net, layer)
    return [net._replace(name=name) for net, name in zip(nets, _apart(nets, places), strict=True)]


def _is_file(spec: str | Path) -> bool:
    return str(spec).endswith((".yaml", ".yml"))


def _place(spec: str | Path) -> Path | str:
    """A spec file by where it lies, whichever way the path is written; any other network by its name."""
    return Path(spec).expanduser().resolve() if _is_file(spec) else str(spec)


def _apart(nets: list[interface.Network], places: list[Path | str]) -> list[str]:
    """A name for each network that no other has."""
    names, taken = [net.name for net in nets], _ours()
    for number, (net, place) in enumerate(zip(nets, places, strict=True)):
        rivals = [other for k, other in enumerate(places) if k != number and nets[k].name == net.name]
        ours = not {net.name, net.name.rpartition("-")[0]}.isdisjoint(taken)
        if isinstance(place, Path) and (rivals or ours):
            parts = place.with_suffix("").parts[1:]
            others = [other.with_suffix("").parts[1:] for other in rivals if isinstance(other, Path)]
            least = 2 if ours else 1
            ends = (parts[-k:] for k in range(least, len(parts)) if all(other[-k:] != parts[-k:] for other in others))
            end = "/".join(next(ends, parts))
            names[number] = end if net.name == place.stem else f"{net.name} ({end})"
    return names


def _ours() -> set[str]:
    """The names that a figure would take for a network of this project's."""
    from lib.networks import zoo

    return {*zoo.EVERY, *PACKAGED}
