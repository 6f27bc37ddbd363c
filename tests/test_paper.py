"""The paper profile on a handful of pictures with random weights: its networks, its training on two processes of a
CPU, and notebooks 02 to 05."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from lib.base import paths, weights
from lib.networks import interface, paper_networks, readers, segnet, trained_autoencoders
from lib.training import autoencoders, make_paper
from lib.worlds import batches, folders, imagenet_classes

WNIDS = imagenet_classes.wnids()


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """A folder with ImageNet's layout: ten classes, three training and ten validation pictures each, of noise."""
    folder, generator = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for split, many in (("train", 3), ("val", 10)):
        for place in range(10):
            part = folder / "imagenet" / split / WNIDS[100 * place]
            part.mkdir(parents=True)
            for number in range(many):
                coarse = generator.integers(0, 255, (8, 9, 3), dtype=np.uint8)
                Image.fromarray(coarse).resize((150, 130), Image.Resampling.BICUBIC).save(part / f"{number}.JPEG")
    return folder


@pytest.fixture
def here(imagenet, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", str(imagenet))
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


# ------------------------------------------------------------------------------------------------ pictures, networks


def test_imagenet_is_read_by_wordnet_ids(here, imagenet):
    assert len(WNIDS) == 1000 and list(WNIDS) == sorted(WNIDS) and WNIDS[281] == "n02123045"  # tabby
    found = folders.imagenet("val")
    assert len(found) == 100 and [label for _, label in found[::10]] == list(range(0, 1000, 100))
    batch = batches.test("paper", 20)
    assert (
        batch.images.shape == (20, 224, 224, 3) and batch.labels.tolist() == np.repeat(range(0, 1000, 100), 2).tolist()
    )
    assert not batches.may_show("paper") and batches.owed("paper", [0]) == []
    with pytest.raises(ValueError, match="101 photographs are asked for, expected at most the 100"):
        batches.test("paper", 101)


def test_wrong_folders_get_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="there is no .*imagenet/val; expected ImageNet's folders"):
        folders.imagenet("val")
    (tmp_path / "imagenet" / "val" / "cats").mkdir(parents=True)
    with pytest.raises(ValueError, match="cats is not named after a class of ImageNet"):
        folders.imagenet("val")
    (tmp_path / "imagenet" / "val" / "cats").rename(tmp_path / "imagenet" / "val" / WNIDS[0])
    with pytest.raises(FileNotFoundError, match=f"{WNIDS[0]} has no pictures"):
        folders.imagenet("val")


def test_crops_are_the_same_whatever_rows_are_asked_for(imagenet):
    files = folders.pictures(imagenet / "imagenet" / "train")
    crops = folders.Crops(files, 12, 32, [0, 1])
    whole = crops[np.arange(12)]
    assert whole.shape == (12, 32, 32, 3) and len(crops) == 12
    assert np.array_equal(crops[np.array([7, 2])], whole[[7, 2]])
    assert not np.array_equal(folders.Crops(files, 12, 32, [0, 2])[np.arange(12)], whole)
    recipe = autoencoders.Recipe(epoch=12, seed=0)
    pictures, labels = make_paper.labelled([(file, 5 * k) for k, file in enumerate(files)], recipe)(1)
    assert np.array_equal(labels, 5 * pictures.chosen) and np.array_equal(pictures.draws, crops.draws)


@pytest.mark.parametrize("name", paper_networks.NETWORKS)
def test_the_papers_networks_read_224_pixels(name):
    net = paper_networks.load(name, weights=False)
    assert net.name == name and net.size == 224 and len(net.classes) == 1000
    with torch.inference_mode():
        assert net.model(net.preprocess(torch.rand(1, 3, 224, 224))).shape == (1, 1000)
    assert readers.world(name) == "paper" and readers.first(name) == "paper"
    assert readers.autoencoder(name, 0, "rate0.001") == f"paper-{name}-0-rate0.001"


def test_a_s_is_two_halves_of_vgg16():
    made = segnet.build(make_paper.SHAPE)
    convolutions = [part for part in made.encoder.modules() if isinstance(part, torch.nn.Conv2d)]
    assert len(convolutions) == 13 and len(make_paper.SHAPE.widths) == 5
    assert {part.kernel_size for part in convolutions} == {(3, 3)}
    assert convolutions[-1].out_channels == 512


# ----------------------------------------------------------------------------------------------------- two devices

SCRIPT = """
import sys

import numpy as np
import torch
from torch import nn

from lib.training import autoencoders

devices, target = int(sys.argv[1]), sys.argv[2]
torch.manual_seed(0)
model = nn.ModuleDict({"one": nn.Conv2d(3, 2, 3)})
recipe = autoencoders.Recipe(epoch=8, batch=4, rate=0.1, warmup=1, shift=1, light=0.2, noise=0.1, epochs=2)
pictures = np.random.default_rng(0).integers(0, 255, (8, 6, 6, 3), dtype=np.uint8)


def step(x, _, fabric, optimizer):
    loss = model["one"](x).square().mean()
    optimizer.zero_grad()
    fabric.backward(loss)
    optimizer.step()
    return loss


state, history = autoencoders.descend(
    model, step, lambda _: (pictures,), recipe, lambda: {"validation_loss": 1.0}, devices=devices
)
torch.save([state, history["train_loss"]], f"{target}-{torch.distributed.get_rank() if devices > 1 else 0}")
"""


def run(command: list[str], **more) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(paths.ROOT)}
    done = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, timeout=600, **more)
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_processes_step_as_one(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    for devices in (1, 2):
        run([sys.executable, str(script), str(devices), str(tmp_path / f"of{devices}")])
    one, first, second = (torch.load(tmp_path / name) for name in ("of1-0", "of2-0", "of2-1"))
    for key, value in one[0].items():
        assert torch.equal(first[0][key], second[0][key])
        assert torch.allclose(first[0][key], value, atol=1e-5)
    assert np.allclose(first[1], one[1], atol=1e-5) and first[1] == second[1]


def test_a_s_and_a_decoder_are_trained_on_two_processes(here):
    module = [sys.executable, "-m", "lib.training.make_paper"]
    run([*module, "a_s", "signals", "--networks", "alexnet_224", "--trial", "4", "--devices", "2"])
    state, info = weights.load("autoencoders/paper")
    assert info["made_by"]["shape"] == [[64, 128, 256, 512, 512], [2, 2, 3, 3, 3]] and info["history"]["steps"] == 1
    assert all(torch.isfinite(value).all() for value in state.values())
    _, info = weights.load(f"autoencoders/paper-alexnet_224-0-rate{paper_networks.RATE:g}")
    assert info["made_by"]["recipe"]["batch"] == 4 and np.isfinite(info["history"]["train_loss"]).all()


# ------------------------------------------------------------------------------------------------------- notebooks


def relabel(here, imagenet, names: list[str], monkeypatch) -> None:
    """Put the validation pictures into folders of classes that the random networks name, a third for each: RRC divides
    by accuracies, which must not be zero."""
    signals = [None, trained_autoencoders.autoencoder("paper")]
    signals += [trained_autoencoders.autoencoder(f"paper-{n}-0-rate{paper_networks.RATE:g}") for n in names]
    files = [file for file, _ in folders.imagenet("val")]
    images = interface.to_tensor(folders.centred(files[:12], 224))
    shown = [images if one is None else segnet.reconstruct(one, images) for one in signals]
    for k, name in enumerate(names):
        net = readers.network(name)
        said = torch.cat([interface.scores(net, one).argmax(1) for one in shown])
        part = here / "data" / "imagenet" / "val" / WNIDS[int(said.mode().values)]
        part.mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(files[k :: len(names)]):
            shutil.copy(file, part / f"{k}-{number}.JPEG")
    monkeypatch.setenv("COMPANION_DATA", str(here / "data"))


def test_notebooks_run_at_the_papers_size(here, imagenet, monkeypatch):
    names = ["lenet_224", "alexnet_224", "resnet50"]
    checkpoints = here / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    for name, file in (("alexnet_224", "alexnet-owt-7be5be79.pth"), ("resnet50", "resnet50-11ad3fa6.pth")):
        torch.save(paper_networks.load(name, weights=False).model.state_dict(), checkpoints / file)
    weights.save("paper/lenet_224", paper_networks.load("lenet_224", weights=False).model.state_dict(), {})
    small = autoencoders.Recipe(epoch=4, validation=4, batch=4, warmup=1, shift=0, epochs=1, improvement=0.0)
    make_paper.base(small, shape=segnet.Shape((4, 6), (1, 1)))
    for name in names:
        make_paper.tuned(name, paper_networks.RATE, small)
    relabel(here, imagenet, names, monkeypatch)
    sizes = {"02": {"n_test": 100, "n_look": 48}, "03": {"n_test": 100, "n_few": 50}, "04": {"n_test": 16}}
    sizes["04"] |= {"n_growth": 16, "n_adjusted": 4, "bins": 32}
    sizes["05"] = {"n_pictures": 50, "n_few": 50, "levels": [0.0, 0.2, 0.4, 0.6]}
    shutil.copytree(paths.notebooks(), here / "notebooks")
    profile = here / "notebooks" / "profiles" / "paper.yaml"
    values = yaml.safe_load(profile.read_text())
    for name in values:
        values[name] |= sizes.get(name[:2], {}) | ({"families": names} if name[:2] in sizes else {})
    profile.write_text(yaml.safe_dump(values))
    for part in ("build", "figures", "notebooks"):
        monkeypatch.setenv(f"COMPANION_{part.upper()}", str(here / part))
    run([sys.executable, "-m", "lib.running.runner", "run", "02", "03", "04", "05", "--profile", "paper"])
    figures = here / "figures" / "paper"
    assert {"02_table_one.png", "03_rrc.png", "04_levels.png", "05_curves.png"} <= {p.name for p in figures.glob("*")}
    assert not list(figures.glob("02_reconstructions*"))  # pictures of ImageNet are not published
    assert json.loads((figures / "02_ledger.json").read_text())["claims"]["C1"]["n"] == 100
