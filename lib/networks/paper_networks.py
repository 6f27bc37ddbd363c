"""The five classifiers of Palacio et al. 2018 at their own size, 224 pixels: torchvision's, with torchvision's weights,
and a LeNet-5 for that size, which torchvision does not have (lib/training/make_paper.py trains it)."""

from functools import partial

import torch
from torch import nn

from lib.base import weights as weights_files
from lib.networks import catalogue, imagenet, interface, photo_networks
from lib.worlds import imagenet_classes

SIZE, CLASSES = 224, 1000
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of LeNet-5's pictures, as torchvision normalises
RATE = 1e-3  # the largest rate of tuning: the paper gives none; `--rate` takes another
NETWORKS = {  # name: its letter in the paper
    "lenet_224": "L",
    "alexnet_224": "A",
    "vgg16_bn": "V",
    "resnet50": "R",
    "inception_v3": "I",
}
TITLES = {
    "lenet_224": "LeNet-5, 224",
    "alexnet_224": "AlexNet, 224",
    "vgg16_bn": "VGG16-BN",
    "resnet50": "ResNet-50",
    "inception_v3": "Inception v3",
}
TORCHVISION = {"alexnet_224": "alexnet", "vgg16_bn": "vgg16_bn", "resnet50": "resnet50", "inception_v3": "inception_v3"}


def lenet(classes: int = CLASSES) -> nn.Module:
    """LeNet-5 for pictures of 224 pixels: two 5x5 convolutions (6 and 16 maps) with pools of 2, and 120, 84 units."""
    convolutions = [nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(
        *convolutions, nn.Flatten(), nn.Linear(16 * 53 * 53, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, classes),
    )  # fmt: skip


LAYERS = {"conv1": "1", "conv1_pre": "0", "conv2": "4", "conv2_pre": "3", "pool5": "5", "fc6": "8", "fc6_pre": "7"}
LAYERS |= {"fc7": "10", "fc7_pre": "9", "fc8": "11"}


def load(name: str, device: str = "cpu", weights: bool = True, seed: int = 0) -> interface.Network:
    """A classifier of the paper, reading pictures of 224 pixels. seed: draws the weights if not `weights`.

    FileNotFoundError where weights are not there and cannot be fetched, saying what to do.
    """
    if name in TORCHVISION:
        net = catalogue.load(f"torchvision:{TORCHVISION[name]}", device=device, weights=weights, seed=seed)
        return interface.resized(net, photo_networks.SIZE, name, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = lenet()
    if weights:
        model.load_state_dict(weights_files.load("paper/lenet_224")[0])
    parts = {"size": SIZE, "layers": LAYERS, "name": name, "device": device}
    preprocess = partial(imagenet.normalise, mean=MEAN, std=STD)
    return interface.wrap(
        model, preprocess=preprocess, classes=imagenet_classes.imagenet_classes(), known=True, **parts
    )
