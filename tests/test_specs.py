"""A reader's own network: what a spec file may say, and one sentence for everything that can be wrong with it."""

import os
import sys
from pathlib import Path

import pytest
import torch

from lib.networks import catalogue, interface, reader_spec
from lib.worlds import photos

SHARED = Path(os.environ.get("COMPANION_DATA") or Path(__file__).resolve().parents[2] / "shared")
CODE = """
import torch
from torch import nn
from helper import WIDTH

class Net(nn.Module):
    def __init__(self, classes=4, mapped=False):
        super().__init__()
        self.conv, self.mapped = nn.Conv2d(3, WIDTH, 1), mapped
        self.fc = nn.Conv2d(WIDTH, classes, 1)
    def forward(self, x):
        x = self.fc(self.conv(x).relu())
        return x if self.mapped else x.mean((2, 3))

def build():
    import late_helper
    return Net()

def mapped():
    return Net(mapped=True)

def raises():
    return open("weights that are not there")

def number():
    return 3

def halve(x):
    return x / 2
"""


@pytest.fixture
def spec(tmp_path):
    """Writes a spec file beside the code above; returns its path."""
    (tmp_path / "net.py").write_text(CODE)
    (tmp_path / "helper.py").write_text("WIDTH = 5\n")
    (tmp_path / "late_helper.py").write_text("")
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\ndog\n")

    def write(text="", **keys):
        keys = {"factory": "net.py:build", "size": 8} | keys
        path = tmp_path / "mine.yaml"
        path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items() if value is not None) + text)
        return path

    yield write
    for name in ("helper", "late_helper"):
        sys.modules.pop(name, None)


IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_readers_network(spec):
    search = list(sys.path)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    net = catalogue.load(spec(classes="names.txt", layers="{conv1: conv}", mean="[0.5, 0.4, 0.3]", std="[1, 2, 4]"))
    assert torch.equal(torch.rand(2), expected) and sys.path == search
    assert (net.name, net.size, net.classes) == ("mine", 8, ("ant", "bee", "cat", "dog"))
    assert interface.module(net, "conv1").out_channels == 5
    scaled = (IMAGES - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor([1.0, 2, 4]).view(3, 1, 1)
    assert torch.allclose(interface.scores(net, IMAGES), net.model(scaled), atol=1e-6)
    assert not net.model.training and not any(p.requires_grad for p in net.model.parameters())


def test_preprocessing_choices(spec):
    assert torch.equal(catalogue.load(spec()).preprocess(IMAGES), IMAGES)
    assert torch.equal(catalogue.load(spec(bgr="true")).preprocess(IMAGES), IMAGES[:, [2, 1, 0]])
    assert torch.equal(catalogue.load(spec(preprocess="net.py:halve")).preprocess(IMAGES), IMAGES / 2)


def test_name_classes_and_seed(spec):
    assert catalogue.load(spec(name="bee finder", classes="[a, b, c, 4]"))[0] == "bee finder"
    assert catalogue.load(spec(classes="[a, b, c, 4]")).classes == ("a", "b", "c", "4")
    a, b, c = (catalogue.load(spec(), seed=seed).digest for seed in (0, 0, 1))
    assert a == b != c


def test_module_factory(spec):
    net = catalogue.load(spec(factory="torchvision.models:mobilenet_v3_small", size=64, classes="imagenet"))
    assert net.classes[281] == "tabby"


def test_changed_code_is_read_again(spec, tmp_path):
    assert catalogue.load(spec()).model.fc.out_channels == 4
    (tmp_path / "net.py").write_text(CODE.replace("classes=4", "classes=6"))
    assert catalogue.load(spec()).model.fc.out_channels == 6


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"factory": None}, "needs the keys factory and size"),
        ({"size": None}, "needs the keys factory and size"),
        ({"size": "8.5"}, "size is 8.5, expected a positive whole number, pixels"),
        ({"size": "true"}, "size is True, expected a positive whole number"),
        ({"size": "-3"}, "size is -3"),
        ({"factory": "build"}, "factory is 'build', expected file.py:function or package.module:function"),
        ({"factory": "missing.py:build"}, "missing.py:build could not be read: FileNotFoundError"),
        ({"factory": "net.py:biuld"}, "net.py:biuld could not be read: AttributeError.*biuld"),
        ({"factory": "no.such.package:build"}, "no.such.package:build could not be read: ModuleNotFoundError"),
        ({"factory": "names.txt:build"}, "names.txt:build could not be read"),
        (
            {"factory": "net.py:raises"},
            "the factory net.py:raises raised FileNotFoundError: .*weights that are not there",
        ),
        ({"factory": "net.py:number"}, "the factory net.py:number returned int, expected an nn.Module"),
        ({"factory": "net.py:mapped"}, r"mine answers two images with \(2, 4, 8, 8\), expected logits"),
        ({"mean": "[0.5, 0.5]", "std": "[1, 1, 1]"}, r"mean is \[0.5, 0.5\], expected three numbers"),
        ({"std": "[1, 0, 1]"}, r"std is \[1, 0, 1\], expected three positive numbers"),
        ({"bgr": "perhaps"}, "bgr is 'perhaps', expected true or false"),
        ({"preprocess": "net.py:halve", "bgr": "true"}, "has preprocess as well as mean, std or bgr"),
        ({"preprocess": "net.py:number"}, r"mine raised TypeError: .*on two pictures of noise of shape \(3, 8, 8\)"),
        ({"classes": "[a, b, c]"}, "mine has 3 class names but 4 outputs"),
        ({"classes": "imagenet"}, "mine has 1000 class names but 4 outputs"),
        ({"classes": "absent.txt"}, "the class names in absent.txt could not be read"),
        ({"layers": "{conv5: body.9}"}, "mine has no layer 'body.9'"),
        ({"layers": "[conv5]"}, "layers is .*expected a map"),
        ({"clases": "[a]"}, "has the unknown key 'clases'; nearest: classes"),
        ({"text": "]: not yaml ["}, "is not valid YAML"),
    ],
    ids=lambda value: "-".join(value) + "=" + ",".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_every_mistake_gets_a_sentence_with_the_file(spec, keys, message):
    search = list(sys.path)
    with pytest.raises(ValueError, match=f"mine.yaml.*(?:{message})") as caught:
        catalogue.load(spec(**keys))
    assert "\n" not in str(caught.value) and sys.path == search


def test_missing_spec_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no spec file .*nobody.yaml"):
        catalogue.load(tmp_path / "nobody.yaml")


def test_code_that_fails_is_not_kept(spec, tmp_path):
    (tmp_path / "net.py").write_text("1 / 0")
    before = set(sys.modules)
    for _ in range(2):
        with pytest.raises(ValueError, match="could not be read: ZeroDivisionError"):
            catalogue.load(spec())
    assert not [name for name in set(sys.modules) - before if name.startswith("spec_")]


def test_example_in_the_module_is_itself_valid(tmp_path):
    import textwrap

    example = textwrap.dedent(reader_spec.__doc__.split("\n\n")[1])
    (tmp_path / "example.yaml").write_text(example)
    (tmp_path / "names.txt").write_text("")
    (tmp_path / "net.py").write_text(
        "from torchvision.models import alexnet\ndef build():\n    return alexnet(weights=None)\n"
    )
    net = catalogue.load(tmp_path / "example.yaml")
    assert len(net.classes) == 1000 and interface.module(net, "conv5") is net.model.features[10]


def test_strangers_googlenet(tmp_path):
    if not (SHARED / "nets" / "bvlc_googlenet.py").exists():
        pytest.skip("no nets/bvlc_googlenet.py in COMPANION_DATA or ../shared")
    text = f"factory: {SHARED / 'nets' / 'bvlc_googlenet.py'}:build\nsize: 224\nclasses: imagenet\n"
    (tmp_path / "googlenet.yaml").write_text(text + "layers: {conv5: i5b, fc8: fc}\n")
    net = catalogue.load(tmp_path / "googlenet.yaml")
    cases = photos.shipped(224, ["chelsea", "coffee"])
    with interface.record(net, ["conv5", "fc8"]) as maps:
        found = interface.scores(net, photos.stack(cases))
    assert photos.right(found, cases).all()
    assert maps["conv5"].shape == (2, 1024, 7, 7) and maps["conv5"].min() == 0 and torch.equal(maps["fc8"], found)
