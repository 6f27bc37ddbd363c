"""The seven networks of the photos profile: trained on ImageNet by someone else, all reading pictures of 224 pixels."""

from lib.networks import catalogue, interface

SIZE = 224
RATE = 3e-3  # the largest rate of tuning, which the rule of lib/training/make_photos.py chose; a test asks it again
NETWORKS = {  # name: its letter in tables and figures
    "squeezenet1_1": "Q",  # S is that of A_S
    "googlenet": "G",
    "mobilenet_v1": "M1",
    "mobilenet_v2": "M2",
    "efficientnet_lite0": "E0",
    "efficientnet_lite1": "E1",
    "efficientnet_lite2": "E2",
}
TITLES = {
    "squeezenet1_1": "SqueezeNet 1.1",
    "googlenet": "GoogLeNet",
    "mobilenet_v1": "MobileNet V1",
    "mobilenet_v2": "MobileNet V2",
    "efficientnet_lite0": "EfficientNet-Lite0",
    "efficientnet_lite1": "EfficientNet-Lite1",
    "efficientnet_lite2": "EfficientNet-Lite2",
}
FAMILIES = {name: name.split("_")[0] for name in NETWORKS}  # three are EfficientNets, two MobileNets


def load(name: str, device: str = "cpu", weights: bool = True, seed: int = 0, size: int = SIZE) -> interface.Network:
    """A network that reads pictures of `size` pixels whatever side it was made for: they are resized (bilinear) to its
    own size first, as a part of its preprocessing. Any name of the catalogue will do. seed: draws the weights if not
    `weights`."""
    return interface.resized(catalogue.load(name, device=device, weights=weights, seed=seed), size, device=device)
