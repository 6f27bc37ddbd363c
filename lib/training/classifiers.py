"""Training a classifier, with the loop of lib/training/loop.py.

Plateau rule: the learning rate falls to a quarter after every epoch in which the validation loss has not improved by
1 % (relative) on the best so far; training ends at the third such plateau or after the last allowed epoch; the
weights with the lowest validation loss are kept. An epoch is a slice of the training pictures: epoch e reads slice e
modulo their number.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.networks.interface import to_tensor
from lib.training import loop


class Recipe(NamedTuple):
    """How a network is trained. Every field is stored beside the weights."""

    images: int = 60_000  # training pictures, in slices of `epoch`
    epoch: int = 20_000  # pictures an epoch
    validation: int = 2_000  # pictures the plateau rule looks at
    batch: int = 128
    rate: float = 2e-3  # AdamW
    warmup: int = 100  # steps over which the rate rises linearly
    decay: float = 0.05  # decoupled weight decay
    shift: int = 4  # pixels, largest random translation
    epochs: int = 20  # at most
    patience: int = 1  # epochs in succession without improvement that make a plateau
    improvement: float = 0.01  # relative
    factor: float = 0.25  # of the rate, at each plateau
    plateaus: int = 3  # training ends at this one
    precision: str = "32-true"  # a Fabric precision, e.g. bf16-mixed where the processor multiplies bfloat16
    seed: int = 0


def shifted(images: Tensor, most: int, offsets: Tensor) -> Tensor:
    """Each picture of (N, 3, H, W) moved by its own of `offsets` (2, N), down and right, 0 to 2 `most` pixels where
    `most` is no move; edges are mirrored."""
    n, _, height, width = images.shape
    padded = F.pad(images, [most] * 4, mode="reflect")
    top, left = offsets
    rows = (top[:, None] + torch.arange(height)).to(images.device)
    columns = (left[:, None] + torch.arange(width)).to(images.device)
    each = torch.arange(n, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[each, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def fit(
    model: nn.Module,
    data: Callable[[int], tuple[np.ndarray, np.ndarray]],
    validation: tuple[np.ndarray, np.ndarray],
    preprocess: Callable[[Tensor], Tensor],
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,
    keep: dict[int, str] | None = None,
    device: str = "cpu",
    devices: int = 1,
    progress: bool = False,
) -> tuple[dict[str, Tensor], dict]:
    """Train `model` (changed in place) by the plateau rule; returns the best state dict and the history.

    data: epoch -> (images (n, H, W, 3) uint8, labels (n,)). validation: the same pair. preprocess: RGB in [0, 1] ->
    input. checkpoint: file to resume from and to write after every epoch. keep: step -> name of a state to keep on
    the way (returned as history["kept"]). FloatingPointError names the step at which the loss was no longer finite.
    """
    fabric = loop.fabric(device, recipe.precision, devices)
    fabric.launch()
    if recipe.batch % fabric.world_size:
        raise ValueError(f"batch is {recipe.batch}, expected a multiple of the {fabric.world_size} devices")
    torch.manual_seed(recipe.seed + fabric.global_rank)
    optimizer = torch.optim.AdamW(model.parameters(), recipe.rate, weight_decay=recipe.decay)
    model = model.to(memory_format=torch.channels_last)
    wrapped, optimizer = fabric.setup(model, optimizer)
    mine = slice(fabric.global_rank, None, fabric.world_size)

    def step(batch: list[np.ndarray], generator: torch.Generator, course: loop.Course) -> dict[str, float]:
        if course.state["step"] in (keep or {}):
            course.kept[keep[course.state["step"]]] = loop.copied(model)
        images, labels = (part[mine] for part in batch)
        offsets = torch.randint(0, 2 * recipe.shift + 1, (2, len(batch[0])), generator=generator)  # on all devices
        x = shifted(to_tensor(images).to(fabric.device), recipe.shift, offsets[:, mine])
        loss = F.cross_entropy(wrapped(preprocess(x)), torch.from_numpy(labels).long().to(fabric.device))
        value = fabric.all_reduce(loss.detach(), reduce_op="mean").item()
        if math.isfinite(value):  # else the training ends here, with the weights as they are
            optimizer.zero_grad()
            fabric.backward(loss)
            optimizer.step()
        return {"train_loss": value}

    def measure(state: dict) -> dict[str, float]:
        found = evaluate(model, *validation, preprocess, device=fabric.device)
        found = fabric.broadcast(found)  # all devices decide alike
        return {"validation_loss": found[0], "validation_accuracy": found[1], "rate": state["rate"]}

    def rule(course: loop.Course) -> bool:
        state, loss = course.state, course.history["validation_loss"][-1]
        if loss < state["best"]:
            state["best"], course.kept["best"] = loss, loop.copied(model)
        plateau_rule(state, loss, recipe)
        return state["epoch"] >= recipe.epochs or state["plateaus"] >= recipe.plateaus

    def rate(state: dict) -> float:
        return state["rate"] * min(1, (state["step"] + 1) / recipe.warmup)

    start = {"rate": recipe.rate, "plateaus": 0, "waited": 0, "best": math.inf, "reference": math.inf}
    options = {"state": start, "checkpoint": checkpoint, "progress": progress}
    state, history, kept = loop.train(
        fabric, recipe, {"model": model}, [optimizer], data, step, rate, measure, rule, **options
    )
    best = kept.pop("best")
    ends = {"epochs": state["epoch"], "steps": state["step"], "plateaus": state["plateaus"]}
    return best, history | ends | {"kept": kept}


def plateau_rule(state: dict, loss: float, recipe: Recipe) -> None:
    """Update `state` (reference, waited, plateaus, rate) with an epoch's validation loss, as the module's text says."""
    if loss < state["reference"] * (1 - recipe.improvement):
        state["reference"], state["waited"] = loss, 0
        return
    state["waited"] += 1
    if state["waited"] >= recipe.patience:
        state["plateaus"], state["waited"], state["rate"] = state["plateaus"] + 1, 0, state["rate"] * recipe.factor
        state["reference"] = min(state["reference"], loss)


@torch.inference_mode()
def evaluate(
    model: nn.Module, images: np.ndarray, labels: np.ndarray, preprocess, *, device="cpu", batch=250
) -> tuple[float, float]:
    """Mean cross-entropy (nats) and accuracy (0 to 1) in single precision, the network in evaluation mode."""
    training = model.training
    model.eval()
    loss, right = 0.0, 0
    for start in range(0, len(images), batch):
        scores = model(preprocess(to_tensor(images[start : start + batch]).to(device)))
        y = torch.from_numpy(labels[start : start + batch]).long().to(device)
        loss += F.cross_entropy(scores, y, reduction="sum").item()
        right += (scores.argmax(1) == y).sum().item()
    model.train(training)
    return loss / labels.size, right / labels.size
