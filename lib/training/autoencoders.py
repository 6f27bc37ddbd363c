"""Training autoencoders: A_S on pictures alone, then a decoder on what a frozen classifier says.

Palacio et al. 2018, Section 3.1: A_S learns to reproduce its input (mean squared error). Then the classifier's
cross-entropy on the reconstructions is carried back through the classifier into the decoder; the classifier and the
encoder stay as they are, and no pixel is compared any more. Both loops run on Lightning Fabric, exact to the bit on one
thread, and resume where they were killed.

Length of tuning: it ends when the best validation loss has improved by less than 1 % (relative) over the last three
epochs, or after 40 epochs; the state with the lowest validation loss is kept. The rule never sees another classifier.
"""

import logging
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from lib.networks.interface import Network, to_tensor
from lib.networks.segnet import Autoencoder
from lib.training import classifiers

BATCH = 32  # pictures at a time in evaluation: more are slower, since they leave the processor's cache
PARTS = ("decoder", "encoder", "both")  # which half a classifier's gradient changes


class Recipe(NamedTuple):
    """How an autoencoder is trained. Every field is stored beside the weights."""

    epoch: int = 4_000  # pictures an epoch
    validation: int = 2_000  # pictures of the validation split
    batch: int = 32
    rate: float = 1e-3  # AdamW without weight decay
    warmup: int = 100  # steps over which the rate rises linearly
    fall: int = 0  # steps after which the rate has fallen to zero along half a cosine; 0: it stays
    shift: int = 4  # pixels, largest random translation
    light: float = 0.0  # brightness and contrast change by up to this share
    noise: float = 0.0  # half of the pictures get uniform noise on [-e, e], e uniform up to this
    epochs: int = 40  # at most
    window: int = 3  # epochs over which the best validation loss must improve
    improvement: float = 0.01  # by this share; 0: all epochs are run
    beyond: int = 0  # go on to this epoch for the states on the way; it changes nothing in what is chosen
    precision: str = "32-true"
    seed: int = 0


PRETRAIN = Recipe(epoch=2_000, validation=1_000, batch=32, rate=3e-3, light=0.2, noise=0.1, epochs=90, improvement=0.0)


def augment(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Pictures (N, 3, H, W) moved, with other brightness and contrast, some with noise, as the recipe says."""
    n = len(images)
    images = classifiers.shifted(
        images, recipe.shift, torch.randint(0, 2 * recipe.shift + 1, (2, n), generator=generator)
    )
    draws = torch.rand(4, n, 1, 1, 1, generator=generator).to(images.device)
    if recipe.light:
        bright, contrast = recipe.light * (2 * draws[:2] - 1)
        mean = images.mean((2, 3), keepdim=True)
        images = ((images - mean) * (1 + contrast) + mean * (1 + bright)).clamp(0, 1)
    if recipe.noise:
        most = recipe.noise * draws[2] * (draws[3] < 0.5)
        images = images + most * (2 * torch.rand(images.shape, generator=generator).to(images.device) - 1)
    return images


def pretrain(
    autoencoder: Autoencoder, data, recipe: Recipe, validation: dict[str, np.ndarray], **options
) -> tuple[dict, dict]:
    """Train both halves to reproduce their (augmented) input; returns their last state and the history.

    data: epoch -> pictures (n, H, W, 3) uint8. validation: name -> pictures; history[name] is the mean squared error
    on them after each epoch, in normalised units (0.25 of the range of a pixel), and history["train_loss"] the
    mean over the epoch, without bias where no picture comes twice. options: as for `descend`.
    """
    both = nn.ModuleDict({"encoder": autoencoder.encoder, "decoder": autoencoder.decoder})

    def loss(x: Tensor, _) -> Tensor:
        x = autoencoder.preprocess(x)
        return F.mse_loss(autoencoder.decoder(*autoencoder.encoder(x)).float(), x)

    def measure() -> dict[str, float]:
        both.eval()
        return {name: _error(autoencoder, pictures) for name, pictures in validation.items()}

    return descend(both, both.train, loss, lambda e: (data(e), None), recipe, measure, best="", **options)


@torch.inference_mode()
def _error(autoencoder: Autoencoder, pictures: np.ndarray) -> float:
    total, device = 0.0, autoencoder.decoder.final.weight.device
    for start in range(0, len(pictures), BATCH):
        x = autoencoder.preprocess(to_tensor(pictures[start : start + BATCH]).to(device))
        total += F.mse_loss(autoencoder.decoder(*autoencoder.encoder(x)), x, reduction="sum").item()
    return total / pictures.size


def tune(
    autoencoder: Autoencoder, network: Network, data, recipe: Recipe, validation, part: str = "decoder", **options
) -> tuple[dict, dict]:
    """Tune one half of `autoencoder`, or both (changed in place), on a frozen classifier's cross-entropy.

    data: epoch -> (pictures (n, H, W, 3) uint8, labels (n,)); validation: the same pair. Returns the state of the
    tuned halves with the lowest validation loss, and the history (validation_loss, validation_accuracy, train_loss).
    options: as for `descend`. ValueError if the labels are not classes of the network.
    """
    if part not in PARTS:
        raise ValueError(f"part is {part!r}, expected one of {', '.join(PARTS)}")
    if (most := int(max(validation[1]))) >= len(network.classes):
        raise ValueError(
            f"{network.name} has {len(network.classes)} classes and the pictures have labels up to {most}; "
            "expected a classifier of this world"
        )
    halves = {"encoder": autoencoder.encoder, "decoder": autoencoder.decoder}
    tuned = nn.ModuleDict({name: half for name, half in halves.items() if part in (name, "both")})
    for half in halves.values():
        half.eval().requires_grad_(half in tuned.values())  # what is frozen keeps its statistics as well

    def scores(x: Tensor) -> Tensor:
        with torch.set_grad_enabled("encoder" in tuned and torch.is_grad_enabled()):
            code = autoencoder.encoder(autoencoder.preprocess(x))
        return network.model(network.preprocess(autoencoder.restore(autoencoder.decoder(*code).float())))

    def measure() -> dict[str, float]:
        tuned.eval()
        return dict(zip(("validation_loss", "validation_accuracy"), _answers(scores, *validation), strict=True))

    return descend(
        tuned, tuned.train, lambda x, y: F.cross_entropy(scores(x), y), data, recipe, measure, network.model, **options
    )


@torch.inference_mode()
def _answers(scores, pictures: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    loss, right = 0.0, 0
    for start in range(0, len(pictures), BATCH):
        answers = scores(to_tensor(pictures[start : start + BATCH])).cpu()
        y = torch.from_numpy(labels[start : start + BATCH])
        loss += F.cross_entropy(answers, y, reduction="sum").item()
        right += (answers.argmax(1) == y).sum().item()
    return loss / len(labels), right / len(labels)


def finished(losses: list[float], recipe: Recipe) -> bool:
    """Whether the best of `losses` (one an epoch) is less than `improvement` below the best of `window` epochs ago."""
    if len(losses) >= recipe.epochs:
        return True
    if not recipe.improvement or len(losses) <= recipe.window:
        return False
    return min(losses) > (1 - recipe.improvement) * min(losses[: -recipe.window])


def descend(
    model: nn.ModuleDict,
    ready: Callable[[], object],
    loss: Callable[[Tensor, Tensor | None], Tensor],
    data: Callable[[int], tuple[np.ndarray, np.ndarray | None]],
    recipe: Recipe,
    measure: Callable[[], dict[str, float]],
    frozen: nn.Module | None = None,
    *,
    best: str = "validation_loss",
    keep: tuple[int, ...] = (),
    checkpoint: Path | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> tuple[dict[str, Tensor], dict]:
    """Descend `loss` on the parameters of `model` until `finished`; returns a state dict and the history.

    ready: called before every epoch (training mode). measure: called after it. frozen: a part that only has to be on
    the same device. best: the measure whose lowest value chooses the state; "" keeps the last. keep: epochs (1 is the
    first) whose states are returned as history["kept"] {epoch: state}; history["epochs"] and ["steps"] say when the
    rule ended it. checkpoint: file to resume from, written after every epoch. FloatingPointError names the step at
    which the loss was no longer finite.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    kind, _, number = device.partition(":")
    fabric = Fabric(accelerator=kind, devices=[int(number)] if number else 1, precision=recipe.precision)
    optimizer = torch.optim.AdamW(model.parameters(), recipe.rate, weight_decay=0.0)
    model.to(fabric.device), frozen and frozen.to(fabric.device)
    optimizer = fabric.setup_optimizers(optimizer)
    generator = torch.Generator().manual_seed(recipe.seed)
    state, history, chosen = (
        {"epoch": 0, "step": 0, "ended": False},
        {"train_loss": [], "kept": {}},
        classifiers.copied(model),
    )
    if checkpoint and checkpoint.exists():
        saved = classifiers.load_checkpoint(checkpoint)
        if saved["recipe"] != str(recipe):
            raise ValueError(
                f"checkpoint {checkpoint.name} was made by another recipe ({saved['recipe']}); "
                "delete it or use that recipe"
            )
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        generator.set_state(saved["generator"])
        state, history, chosen = saved["state"], saved["history"], saved["chosen"]

    while not state["ended"] or state["epoch"] < recipe.beyond:
        ready()
        images, labels = data(state["epoch"])
        title, often = f"epoch {state['epoch'] + 1}/{recipe.epochs}", 0.5 if sys.stderr.isatty() else 20
        order, losses = torch.randperm(len(images), generator=generator), []
        rows = order[: len(order) // recipe.batch * recipe.batch or len(order)].split(recipe.batch)
        for row in tqdm(rows, desc=title, disable=not progress, leave=False, mininterval=often):
            x = augment(to_tensor(images[row.numpy()]).to(fabric.device), recipe, generator)
            y = None if labels is None else torch.from_numpy(labels[row.numpy()]).to(fabric.device)
            for group in optimizer.param_groups:
                group["lr"] = _rate(state["step"], recipe)
            with fabric.autocast():
                value = loss(x.contiguous(memory_format=torch.channels_last), y)
            losses.append(value.item())
            classifiers.finite("training", losses[-1], state | {"rate": _rate(state["step"], recipe)}, checkpoint)
            optimizer.zero_grad()
            fabric.backward(value)
            optimizer.step()
            state["step"] += 1
        state["epoch"] += 1
        for name, number in ({"train_loss": float(np.mean(losses))} | measure()).items():
            history.setdefault(name, []).append(number)
            classifiers.finite(name, number, state | {"rate": _rate(state["step"], recipe)}, checkpoint)
        if not state["ended"]:
            chosen = classifiers.copied(model) if not best or history[best][-1] <= min(history[best]) else chosen
            history |= {"epochs": state["epoch"], "steps": state["step"]}
            state["ended"] = finished(history[best or "train_loss"], recipe)
        if state["epoch"] in keep:
            history["kept"][state["epoch"]] = classifiers.copied(model)
        if checkpoint:
            content = {"model": classifiers.copied(model), "optimizer": optimizer.state_dict(), "chosen": chosen}
            content |= {"generator": generator.get_state(), "state": state, "history": history, "recipe": str(recipe)}
            classifiers.save_checkpoint(checkpoint, content)
    return chosen, history


def _rate(step: int, recipe: Recipe) -> float:
    fall = 0.5 * (1 + math.cos(math.pi * min(1, step / recipe.fall))) if recipe.fall else 1
    return recipe.rate * min(1, (step + 1) / recipe.warmup) * fall
