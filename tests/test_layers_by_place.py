"""Layers of a network that names none as the papers do, and several networks with names of their own."""

import pytest
import torch
from torch import nn

from lib.networks import catalogue, interface

NET = """
import torch
from torch import nn

def build():
    torch.manual_seed({seed})
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
"""


def wrapped(model: nn.Module, size: int = 16, **options) -> interface.Network:
    return interface.wrap(model, name="mine", size=size, preprocess=lambda x: x, **options)


def deep() -> nn.Sequential:
    parts, width = [], 3
    for _ in range(5):
        parts += [nn.Conv2d(width, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)]
        width = 4
    gate = nn.Conv2d(4, 4, 1)  # on one place: no map
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), gate, nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 3))


def test_convolutions_are_offered_in_order_and_stand_in_for_the_papers_names():
    net = wrapped(deep())
    assert interface.convolutions(net) == ["0", "3", "6", "9", "12"]
    assert [interface.named(net, f"conv{k}") for k in (1, 2, 3, 4, 5)] == ["2", "5", "8", "11", "14"]
    assert [interface.named(net, name) for name in ("last", "conv3_pre", "conv1_pre")] == ["14", "7", "1"]
    assert interface.last_conv(net) == "14" and interface.hidden(net) == ["18", "14"]


def test_a_name_or_path_that_the_network_has_is_kept_and_any_other_is_refused():
    net = wrapped(deep(), layers={"conv3": "5"})
    assert [interface.named(net, name) for name in ("conv3", "4", "conv5")] == ["conv3", "4", "14"]
    for name in ("conv6", "fc7", "features"):
        with pytest.raises(ValueError, match=f"no layer '{name}'"):
            interface.named(net, name)


def test_order_is_that_of_use_and_what_runs_twice_is_left_out():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.second, self.first, self.twice = nn.Conv2d(4, 4, 3), nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
            self.relu, self.fc = nn.ReLU(), nn.Linear(4, 2)

        def forward(self, x):
            x = self.relu(self.second(self.relu(self.first(x))))
            return self.fc(self.twice(self.twice(x)).mean((2, 3)))

    net = wrapped(Net())
    assert interface.convolutions(net) == ["first", "second"]
    assert interface.named(net, "conv5") == "second"  # its ReLU has no single output


def test_a_network_without_maps_gets_a_sentence():
    net = wrapped(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4), nn.ReLU(), nn.Linear(4, 2)))
    assert interface.convolutions(net) == [] and interface.hidden(net) == ["2"]
    for ask in (interface.last_conv, lambda net: interface.named(net, "conv1")):
        with pytest.raises(ValueError, match="mine has no convolution that runs once and gives maps"):
            ask(net)


@pytest.fixture
def folders(tmp_path):
    """Two folders with a spec file of the same name each, whose classes have another order."""
    for seed, (name, classes) in enumerate({"first": "[cat, dog, owl]", "second": "[owl, dog, cat]"}.items()):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.py").write_text(NET.format(seed=seed))
        (tmp_path / name / "net.yaml").write_text(f"factory: net.py:build\nsize: 32\nclasses: {classes}\n")
    return tmp_path


def test_networks_of_one_file_name_are_told_apart(folders):
    nets = catalogue.several([folders / name / "net.yaml" for name in ("first", "second")])
    assert [net.name for net in nets] == ["first/net", "second/net"]
    assert [net.classes.index("cat") for net in nets] == [0, 2]
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(*(interface.scores(net, images) for net in nets))
    assert [net.name for net in catalogue.several([folders / "first/net.yaml", "lenet"])] == ["net", "lenet-0"]


def test_networks_of_one_given_name_and_of_a_name_of_ours_are_told_apart(folders):
    for name in ("first", "second"):
        with (folders / name / "net.yaml").open("a") as file:
            file.write("name: finder\n")
    nets = catalogue.several([folders / name / "net.yaml" for name in ("first", "second")])
    assert [net.name for net in nets] == ["finder (first/net)", "finder (second/net)"]
    (folders / "first" / "alexnet.yaml").write_text("factory: net.py:build\nsize: 32\n")
    mine, _ = catalogue.several([folders / "first" / "alexnet.yaml", "alexnet"])
    assert mine.name == "first/alexnet"


def test_one_network_given_twice_is_refused(folders, monkeypatch):
    monkeypatch.chdir(folders)
    for pair in (["lenet", "lenet"], ["first/net.yaml", folders / "second/../first/net.yaml"]):
        with pytest.raises(ValueError, match="is given 2 times, expected each once"):
            catalogue.several(pair)
