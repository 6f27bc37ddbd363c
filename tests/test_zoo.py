"""The zoo keeps what distinguishes the originals, and its weights are what they say they are."""

import json

import pytest
import torch
from torch import nn

from lib.base import files, paths, weights
from lib.networks import zoo

WITH_RELU = ("lenet", "alexnet", "vgg", "resnet", "inception")  # of those that stand for a published network


@pytest.mark.parametrize("family", zoo.BUILDERS)
def test_every_layer_name_points_to_a_module(family):
    model = zoo.build(family).eval()
    seen = {}
    for name, path in zoo.layers(family).items():
        model.get_submodule(path).register_forward_hook(lambda m, i, o, name=name: seen.update({name: o}))
    scores = model(torch.randn(2, 3, 64, 64))
    assert scores.shape == (2, 10) and set(seen) == set(zoo.layers(family))
    assert torch.equal(seen["fc8"], scores)
    for name, value in seen.items():
        if f"{name}_pre" in seen:
            assert torch.equal(value, seen[f"{name}_pre"].relu()) and (seen[f"{name}_pre"] < 0).any()


def test_relus_are_their_own_and_not_in_place():
    for family in zoo.FAMILIES:
        calls = []
        model = zoo.build(family).eval()
        for module in model.modules():
            if isinstance(module, nn.ReLU):
                assert not module.inplace
                module.register_forward_hook(lambda m, i, o, calls=calls: calls.append(id(m)))
        model(torch.randn(1, 3, 64, 64))
        relus = sum(isinstance(m, nn.ReLU) for m in model.modules())
        assert len(calls) == len(set(calls)) == relus
        assert relus > 0 or family not in WITH_RELU
        assert relus == 0 or family != "convnext"


def test_sizes_and_distinguishing_marks():
    count = {family: sum(p.numel() for p in zoo.build(family).parameters()) for family in zoo.FAMILIES}
    assert sum(count.values()) / len(count) <= 500_000
    stem = {family: next(m for m in zoo.build(family).modules() if isinstance(m, nn.Conv2d)) for family in zoo.FAMILIES}
    assert (stem["alexnet"].kernel_size[0], stem["alexnet"].stride[0]) == (11, 4)
    assert (stem["resnet"].kernel_size[0], stem["resnet"].stride[0]) == (7, 2)
    assert (stem["convnext"].kernel_size[0], stem["convnext"].stride[0]) == (4, 4)
    kinds = {family: {type(m) for m in zoo.build(family).modules()} for family in zoo.FAMILIES}
    assert all((nn.BatchNorm2d in kinds[f]) == (f in ("vgg", "resnet", "inception")) for f in (*WITH_RELU, "convnext"))
    assert {m.kernel_size for m in zoo.build("vgg").modules() if isinstance(m, nn.Conv2d)} == {(3, 3)}


def test_variants_change_one_thing():
    """VGG's stem takes the steps of one or two pools and the maps behind it keep their sizes; AlexNet gets wider."""
    sizes = {}
    for family in ("vgg", "vgg_stride2", "vgg_stride4"):
        model, seen = zoo.build(family).eval(), []
        for name in ("conv3_2", "conv5_2"):
            model.get_submodule(name).register_forward_hook(lambda m, i, o, seen=seen: seen.append(tuple(o.shape[1:])))
        model(torch.randn(1, 3, 64, 64))
        sizes[family] = (seen, model.conv1_1.conv.stride[0], sum(isinstance(m, nn.MaxPool2d) for m in model))
    assert sizes["vgg"][0] == sizes["vgg_stride2"][0] == sizes["vgg_stride4"][0] == [(48, 16, 16), (96, 4, 4)]
    assert [size[1:] for size in sizes.values()] == [(1, 5), (2, 4), (4, 3)]
    assert [zoo.build(f"alexnet_x{k}").conv5.conv.out_channels for k in (4, 8)] == [256, 512]
    assert zoo.layers("vgg_stride2") == zoo.layers("vgg")


def test_a_seed_fixes_the_weights_and_leaves_the_global_stream_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a, b, c = zoo.build("vgg", seed=1), zoo.build("vgg", seed=1), zoo.build("vgg", seed=2)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
    assert not torch.equal(a.conv1_1.conv.weight, c.conv1_1.conv.weight)
    with pytest.raises(ValueError, match="lenet"):
        zoo.build("lenett")


@pytest.mark.parametrize("damage", ["truncated", "one bit", "missing"])
def test_weights_that_do_not_match_their_digest_are_refused(damage, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))
    weights.save("cutouts/lenet-0", zoo.build("lenet").state_dict(), {"made_by": {}})
    assert weights.load("cutouts/lenet-0")[1]["half"]
    path = tmp_path / "cutouts/lenet-0.safetensors"
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if damage == "truncated" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises((ValueError, FileNotFoundError), match="git checkout data"):
        zoo.network("lenet", 0)
    with pytest.raises(FileNotFoundError, match="known are: cutouts/lenet-0"):
        weights.load("cutouts/lenet-7")


def test_committed_weights_are_whole_and_within_their_budget():
    names = weights.names()
    trained = {f"cutouts/{family}-{seed}" for family in zoo.EVERY for seed in (0, 1, 2, 3)}
    assert trained <= set(names)
    size = 0
    for name in names:
        info = json.loads((paths.weights() / f"{name}.json").read_text())
        assert files.file_digest(paths.weights() / f"{name}.safetensors") == info["digest"]
        size += info["bytes"] if name.startswith("cutouts/") else 0
        if name in trained:
            assert info["validation"]["accuracy"] > 0.5 and info["made_by"]["recipe"]["seed"] == int(name[-1])
            if info["half"]:
                assert round(info["validation"]["accuracy"], 3) == round(
                    info["validation"]["accuracy_in_half_precision"], 3
                )
    assert size < 30 * 2**20  # the zoo
    everything = [path.stat().st_size for path in paths.weights().rglob("*") if path.is_file()]
    assert sum(everything) < 66 * 2**20  # what a clone can bear; wide generators and encoders took it over 60


def test_weights_in_eight_bits_come_back_within_half_a_step_and_the_rest_in_half_precision(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1e-3, 1.0, 50.0, 0.0, 7.0])  # rows of very different size, one of zeros
    kernel = torch.randn(5, 3, 2, 2, generator=generator) * scale[:, None, None, None]
    state = {"kernel": kernel, "bias": torch.randn(5, generator=generator), "count": torch.tensor(3)}
    info = weights.save("some/net", state, {}, whole=True)
    back, described = weights.load("some/net")
    assert info["whole"] and not info["half"] and described == info and set(back) == set(state)
    step = kernel.flatten(1).abs().amax(1) / 127
    assert ((back["kernel"] - kernel).abs().flatten(1).amax(1) <= step / 2 + 1e-7 * scale).all()
    assert torch.equal(back["bias"], state["bias"].half().float()) and back["count"] == 3
    weights.save("some/net", back, {}, whole=True)  # rounding again changes nothing
    again = weights.load("some/net")[0]
    assert all(torch.allclose(again[name], back[name], rtol=1e-6) for name in back)


def test_states_on_the_way_are_different_networks_and_step_zero_is_the_untrained_one():
    start = zoo.network("vgg", 0, stage="step0")
    fresh = zoo.build("vgg", seed=0).state_dict()
    assert all(torch.equal(fresh[name], value) for name, value in start.model.state_dict().items())
    stages = [zoo.network("vgg", 0, stage=stage).digest for stage in ("step0", "step64", "step256", "step1024", "")]
    assert len(set(stages)) == 5
