"""Every classifier by the string that a profile names it with."""

from functools import partial
from pathlib import Path

from lib.base import nearest
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
        parts["preprocess"] = zoo.preprocess
    elif spec in PACKAGED:
        parts = PACKAGED[spec](weights=weights, seed=seed)
    elif spec.startswith("torchvision:"):
        parts = imagenet.torchvision_network(spec.removeprefix("torchvision:"), weights, seed)
    elif spec.endswith((".yaml", ".yml")):
        parts = reader_spec.read(spec, seed)
    else:
        known = nearest.ranked(spec, (*zoo.EVERY, *PACKAGED))
        raise ValueError(
            f"no classifier is called {spec!r}; nearest: {known}; or torchvision:<name>, or the path of a *.yaml file"
        )
    try:
        return interface.wrap(**parts, device=device)
    except ValueError as error:
        raise ValueError(f"{spec}: {error}") from error
