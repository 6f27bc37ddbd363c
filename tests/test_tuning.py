"""Tuning: what is frozen stays bit for bit and costs nothing, the rule stops as written, a killed run resumes."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from lib.networks import interface, segnet, zoo
from lib.training import autoencoders, loop

SHAPE = segnet.Shape((4, 6), (1, 1))
RECIPE = autoencoders.Recipe(epoch=32, validation=16, batch=16, warmup=1, epochs=2)


@pytest.fixture
def parts():
    torch.manual_seed(0)
    made = segnet.build(SHAPE)
    model = zoo.build("resnet", 10)
    network = interface.wrap(model, name="resnet", size=64, preprocess=zoo.preprocess)
    return made, network


def pictures(n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 64, 64, 3), dtype=np.uint8), rng.integers(0, 10, n)


def bits(module: nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(module.state_dict())


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one)


def run(made, network, part="decoder", recipe=RECIPE, **options):
    return autoencoders.tune(made, network, lambda e: pictures(32, e), recipe, pictures(16, 99), part, **options)


@pytest.mark.parametrize("part", autoencoders.PARTS)
def test_only_the_chosen_part_moves_with_its_statistics(parts, part):
    made, network = parts
    before = {"encoder": bits(made.encoder), "decoder": bits(made.decoder), "classifier": bits(network.model)}
    state, _ = run(made, network, part)
    moved = {"encoder", "decoder"} if part == "both" else {part}
    now = {"encoder": bits(made.encoder), "decoder": bits(made.decoder), "classifier": bits(network.model)}
    assert {name for name in now if not same(before[name], now[name])} == moved
    assert {key.split(".")[0] for key in state} == moved
    for name in moved:  # weights and running statistics both
        changed = {key.rsplit(".")[-1] for key in now[name] if not torch.equal(before[name][key], now[name][key])}
        assert {"weight", "bias", "running_mean", "running_var"} <= changed


def test_nothing_is_computed_for_frozen_weights(parts):
    made, network = parts
    run(made, network)
    frozen = [*made.encoder.parameters(), *network.model.parameters()]
    assert all(p.grad is None and not p.requires_grad for p in frozen)
    assert all(p.grad is not None for p in made.decoder.parameters())
    seen = []
    made.encoder.register_forward_hook(lambda *inputs: seen.append(inputs[2][0].requires_grad))
    run(made, network)
    assert seen and not any(seen)  # the encoder builds no graph
    with torch.enable_grad():
        x = torch.rand(2, 3, 64, 64)
        y = network.model(network.preprocess(made.restore(made.decoder(*made.encoder(made.preprocess(x))))))
    needed, todo = set(), [y.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in needed:
            continue
        needed.add(node)
        todo += [nxt for nxt, _ in node.next_functions]
    variables = {id(node.variable) for node in needed if hasattr(node, "variable")}
    assert variables == {id(p) for p in made.decoder.parameters()}


def test_the_loss_is_the_classifiers_and_has_no_pixel_term(parts):
    made, network = parts
    images, labels = pictures(16, 5)
    recipe = RECIPE._replace(epochs=1, batch=16, epoch=16, shift=0, rate=0.0)
    made.decoder.train()
    with torch.no_grad():
        x = interface.to_tensor(images)
        rebuilt = made.restore(made.decoder(*made.encoder(made.preprocess(x))))
        expected = nn.functional.cross_entropy(network.model(zoo.preprocess(rebuilt)), torch.from_numpy(labels))
    _, history = autoencoders.tune(segnet.build(SHAPE), network, lambda e: (images, labels), recipe, (images, labels))
    assert history["train_loss"][0] == pytest.approx(expected.item(), rel=1e-4)


def test_tuning_helps_the_classifier_it_was_tuned_on(parts):
    made, network = parts
    data = pictures(64, 1)
    recipe = RECIPE._replace(epochs=12, improvement=0.0, shift=0, rate=5e-3)
    _, history = autoencoders.tune(made, network, lambda e: data, recipe, data)
    assert history["validation_loss"][-1] < 0.9 * history["validation_loss"][0]


def test_the_rule_stops_where_it_was_written_to():
    recipe = autoencoders.Recipe(window=3, improvement=0.01, epochs=40)
    assert not autoencoders.finished([], recipe) and not autoencoders.finished([1.0, 1.0, 1.0], recipe)
    assert autoencoders.finished([1.0, 1.0, 1.0, 1.0], recipe)
    assert not autoencoders.finished([1.0, 1.1, 1.1, 0.9899], recipe)
    assert autoencoders.finished([1.0, 1.1, 1.1, 0.9901], recipe)
    assert not autoencoders.finished(
        [2.0, 1.0, 0.999, 0.998, 0.98], recipe
    )  # compared with the best of three epochs ago
    assert autoencoders.finished([2.0, 1.0, 0.999, 0.998, 0.995], recipe)
    falling = [0.5**k for k in range(40)]
    assert autoencoders.finished(falling, recipe) and not autoencoders.finished(falling[:39], recipe)
    assert not autoencoders.finished([1.0] * 39, recipe._replace(improvement=0.0))


def test_the_kept_state_has_the_lowest_validation_loss(parts):
    made, network = parts
    recipe = RECIPE._replace(epochs=4, improvement=0.0, rate=0.5)  # so high that it gets worse
    state, history = run(made, network, recipe=recipe, keep=(1, 2, 3, 4))
    best = int(np.argmin(history["validation_loss"])) + 1
    kept = {epoch: same(state, history["kept"][epoch]) for epoch in (1, 2, 3, 4)}
    assert [epoch for epoch, equal in kept.items() if equal] == [best]


def test_states_beyond_the_end_change_nothing_in_what_is_chosen(parts):
    made, network = parts
    recipe = RECIPE._replace(epochs=9, window=1, improvement=0.5)  # ends after two epochs
    short, history = run(segnet.build(SHAPE), network, recipe=recipe)
    long, after = run(segnet.build(SHAPE), network, recipe=recipe._replace(beyond=5), keep=(1, 5))
    assert same(short, long) and (history["epochs"], after["epochs"]) == (2, 2)
    assert after["validation_loss"][:2] == history["validation_loss"] and len(after["validation_loss"]) == 5
    assert sorted(after["kept"]) == [1, 5] and not same(after["kept"][5], long)


def test_a_killed_run_ends_as_if_it_had_not_been_killed(parts, tmp_path):
    made, network = parts
    recipe = RECIPE._replace(epochs=3, improvement=0.0, noise=0.2, light=0.2)
    whole, history = run(segnet.build(SHAPE), network, recipe=recipe, keep=(1,))
    path = tmp_path / "run.ckpt"

    class Killed(Exception):
        pass

    def data(epoch):
        if epoch == 2:
            raise Killed
        return pictures(32, epoch)

    with pytest.raises(Killed):
        autoencoders.tune(segnet.build(SHAPE), network, data, recipe, pictures(16, 99), checkpoint=path, keep=(1,))
    resumed, after = run(segnet.build(SHAPE), network, recipe=recipe, checkpoint=path, keep=(1,))
    assert same(whole, resumed) and after["validation_loss"] == history["validation_loss"]
    assert same(after["kept"][1], history["kept"][1])
    with pytest.raises(ValueError, match="made by another recipe"):
        run(made, network, recipe=recipe._replace(rate=0.1), checkpoint=path)


def test_pretraining_reproduces_pictures_and_leaves_validation_apart():
    made = segnet.build(SHAPE)
    data = pictures(64)[0] // 8 + 100
    recipe = autoencoders.PRETRAIN._replace(epoch=64, batch=16, epochs=40, warmup=4, fall=160)
    state, history = autoencoders.pretrain(made, lambda e: data, recipe, {"here": data, "there": pictures(16, 7)[0]})
    assert history["train_loss"][-1] < 0.5 * history["train_loss"][0]
    assert history["here"][-1] < history["there"][-1]
    expected = made.preprocess(interface.to_tensor(data))
    error = ((made.preprocess(segnet.reconstruct(made, interface.to_tensor(data))) - expected) ** 2).mean().item()
    assert history["here"][-1] == pytest.approx(error, rel=1e-4)
    assert {key.split(".")[0] for key in state} == {"encoder", "decoder"}


def test_augmentation_does_what_the_recipe_says():
    images, still = torch.rand(400, 3, 8, 8) * 0.2 + 0.4, autoencoders.Recipe(shift=0)
    draw = lambda recipe: autoencoders.augment(images, recipe, torch.Generator().manual_seed(0)) - images  # noqa: E731
    assert draw(still).abs().max() == 0
    noise = draw(still._replace(noise=0.2))
    size = noise.abs().amax((1, 2, 3))
    assert 0.4 < (size > 0).float().mean() < 0.6 and 0.15 < size.max() <= 0.2 and abs(noise.mean()) < 2e-3
    light = draw(still._replace(light=0.2))
    change = light.mean((1, 2, 3)) / images.mean((1, 2, 3))
    assert 0.15 < change.max() < 0.21 and -0.21 < change.min() < -0.15
    moved = draw(still._replace(shift=2))
    assert (moved.abs().amax((1, 2, 3)) > 0).float().mean() > 0.9


def test_what_cannot_be_tuned_is_refused(parts):
    made, network = parts
    with pytest.raises(ValueError, match="part is 'classifier', expected one of decoder, encoder, both"):
        run(made, network, "classifier")
    few = interface.wrap(zoo.build("resnet", 5), name="five", size=64, preprocess=zoo.preprocess)
    with pytest.raises(ValueError, match="five has 5 classes and the pictures have labels up to 8"):
        run(made, few)


def test_a_loss_that_is_no_number_ends_the_run_with_its_step(parts):
    made, network = parts
    made.decoder.final.bias.data[0] = float("nan")
    with pytest.raises(FloatingPointError, match="step 0"):
        run(made, network)


def test_checkpoints_are_verified(parts, tmp_path):
    made, network = parts
    path = tmp_path / "run.ckpt"
    run(made, network, recipe=RECIPE._replace(epochs=1), checkpoint=path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        loop.load_checkpoint(path)
