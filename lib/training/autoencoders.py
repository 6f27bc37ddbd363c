"""Training autoencoders: A_S on pictures alone, then a decoder on what a frozen classifier says.

Palacio et al. 2018, Section 3.1: A_S learns to reproduce its input (mean squared error). Then the classifier's
cross-entropy on the reconstructions is carried back through the classifier into the decoder; the classifier and the
encoder stay as they are, and no pixel is compared any more: `tuning_step`.

Length of tuning: it ends when the best validation loss has improved by less than 1 % (relative) over the last three
epochs, or after 40 epochs; the state with the lowest validation loss is kept. The rule never sees another classifier.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from lib.networks.interface import Network, to_tensor
from lib.networks.segnet import Autoencoder
from lib.training import classifiers, loop

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


def augment(images: Tensor, recipe: Recipe, generator: torch.Generator, mine: slice = slice(None)) -> Tensor:
    """Pictures (N, 3, H, W) moved, with other brightness and contrast, some with noise, as the recipe says.

    mine: which of a batch's pictures they are, where several devices share one: all of them draw for the whole batch.
    """
    n = len(images) * (mine.step or 1)
    offsets = torch.randint(0, 2 * recipe.shift + 1, (2, n), generator=generator)
    images = classifiers.shifted(images, recipe.shift, offsets[:, mine])
    draws = torch.rand(4, n, 1, 1, 1, generator=generator)[:, mine].to(images.device)
    if recipe.light:
        bright, contrast = recipe.light * (2 * draws[:2] - 1)
        mean = images.mean((2, 3), keepdim=True)
        images = ((images - mean) * (1 + contrast) + mean * (1 + bright)).clamp(0, 1)
    if recipe.noise:
        most = recipe.noise * draws[2] * (draws[3] < 0.5)
        noise = torch.rand(n, *images.shape[1:], generator=generator)[mine]
        images = images + most * (2 * noise.to(images.device) - 1)
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

    def step(x: Tensor, _, fabric: Fabric, optimizer: torch.optim.Optimizer) -> Tensor:
        with fabric.autocast():
            x = autoencoder.preprocess(x)
            loss = F.mse_loss(autoencoder.decoder(*autoencoder.encoder(x)).float(), x)
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
        return loss

    def measure() -> dict[str, float]:
        both.eval()
        return {name: _error(autoencoder, pictures) for name, pictures in validation.items()}

    return descend(both, step, lambda epoch: (data(epoch),), recipe, measure, best="", **options)


@torch.inference_mode()
def _error(autoencoder: Autoencoder, pictures: np.ndarray) -> float:
    total, device = 0.0, autoencoder.decoder.final.weight.device
    for start in range(0, len(pictures), BATCH):
        x = autoencoder.preprocess(to_tensor(pictures[start : start + BATCH]).to(device))
        total += F.mse_loss(autoencoder.decoder(*autoencoder.encoder(x)), x, reduction="sum").item()
    return total / pictures.size


def tuning_step(
    autoencoder: Autoencoder,
    network: Network,
    images: Tensor,
    labels: Tensor,
    fabric: Fabric,
    optimizer: torch.optim.Optimizer,
) -> Tensor:
    """The method of Palacio et al. 2018: one step towards what a frozen classifier reads best; returns the loss (nats).

    images: (N, 3, H, W), RGB in [0, 1]; labels: (N,). What moves are the parameters of `optimizer`, the decoder's.
    """
    with fabric.autocast():
        code = autoencoder.encoder(autoencoder.preprocess(images))
        rebuilt = autoencoder.restore(autoencoder.decoder(*code).float())
        scores = network.model(network.preprocess(rebuilt))
        loss = F.cross_entropy(scores, labels)
    optimizer.zero_grad()
    fabric.backward(loss)
    optimizer.step()
    return loss


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

    def step(*batch) -> Tensor:
        return tuning_step(autoencoder, network, *batch)

    def measure() -> dict[str, float]:
        tuned.eval()
        return _read(autoencoder, network, *validation)

    frozen = nn.ModuleList([network.model, *halves.values()])
    return descend(tuned, step, data, recipe, measure, frozen, **options)


@torch.inference_mode()
def _read(autoencoder: Autoencoder, network: Network, pictures: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Mean cross-entropy (nats) and accuracy (0 to 1) of the classifier on reconstructions, in single precision."""
    loss, right, device = 0.0, 0, autoencoder.decoder.final.weight.device
    for start in range(0, len(pictures), BATCH):
        x = to_tensor(pictures[start : start + BATCH]).to(device)
        rebuilt = autoencoder.restore(autoencoder.decoder(*autoencoder.encoder(autoencoder.preprocess(x))))
        scores = network.model(network.preprocess(rebuilt)).cpu()
        y = torch.from_numpy(labels[start : start + BATCH])
        loss += F.cross_entropy(scores, y, reduction="sum").item()
        right += (scores.argmax(1) == y).sum().item()
    return {"validation_loss": loss / len(labels), "validation_accuracy": right / len(labels)}


def finished(losses: list[float], recipe: Recipe) -> bool:
    """Whether the best of `losses` (one an epoch) is less than `improvement` below the best of `window` epochs ago."""
    if len(losses) >= recipe.epochs:
        return True
    if not recipe.improvement or len(losses) <= recipe.window:
        return False
    return min(losses) > (1 - recipe.improvement) * min(losses[: -recipe.window])


def descend(
    model: nn.ModuleDict,
    step: Callable[[Tensor, Tensor | None, Fabric, torch.optim.Optimizer], Tensor],
    data: Callable[[int], tuple[np.ndarray, ...]],
    recipe: Recipe,
    measure: Callable[[], dict[str, float]],
    frozen: nn.Module | None = None,
    *,
    best: str = "validation_loss",
    keep: tuple[int, ...] = (),
    checkpoint: Path | None = None,
    device: str = "cpu",
    devices: int = 1,
    progress: bool = False,
) -> tuple[dict[str, Tensor], dict]:
    """Train `model` (changed in place) until `finished`; returns a state dict and the history.

    step: augmented pictures, their labels (None where `data` gives none), Fabric and optimiser -> the loss it
    stepped down. measure: called after every epoch. frozen: a part that only has to be on the same device. best:
    the measure whose lowest value chooses the state; "" keeps the last. keep: epochs (1 is the first) whose states
    are returned as history["kept"] {epoch: state}; history["epochs"] and ["steps"] say when the rule ended it.
    checkpoint: file to resume from, written after every epoch. devices: of them each reads its part of every batch,
    and all take the mean of their gradients (batch statistics are each one's own; those of the first are kept).
    FloatingPointError names the step at which the loss was no longer finite.
    """
    fabric = loop.fabric(device, recipe.precision, devices)
    fabric.launch()
    if recipe.batch % fabric.world_size:
        raise ValueError(f"batch is {recipe.batch}, expected a multiple of the {fabric.world_size} devices")
    optimizer = torch.optim.AdamW(model.parameters(), recipe.rate, weight_decay=0.0)
    model.to(fabric.device)
    loop.share(fabric, model)
    mine = slice(fabric.global_rank, None, fabric.world_size)
    if frozen is not None:
        frozen.to(fabric.device)
    optimizer = fabric.setup_optimizers(optimizer)

    def stepped(batch: list[np.ndarray], generator: torch.Generator, _) -> dict[str, float]:
        x = augment(to_tensor(batch[0]).to(fabric.device), recipe, generator, mine)
        y = torch.from_numpy(batch[1]).to(fabric.device) if len(batch) > 1 else None
        loss = step(x.contiguous(memory_format=torch.channels_last), y, fabric, optimizer).detach()
        return {"train_loss": fabric.all_reduce(loss, reduce_op="mean").item()}

    def measured(_) -> dict[str, float]:
        for buffer in model.buffers():
            buffer.copy_(fabric.broadcast(buffer))
        return fabric.broadcast(measure())  # all devices decide alike

    def rule(course: loop.Course) -> bool:
        state, judged = course.state, course.history[best or "train_loss"]
        if not state["ended"]:
            if not best or judged[-1] <= min(judged):
                course.kept["best"] = loop.copied(model)
            state |= {"epochs": state["epoch"], "steps": state["step"], "ended": finished(judged, recipe)}
        if state["epoch"] in keep:
            course.kept[state["epoch"]] = loop.copied(model)
        return state["ended"] and state["epoch"] >= recipe.beyond

    options = {"state": {"ended": False}, "mine": mine, "checkpoint": checkpoint, "progress": progress}
    state, history, kept = loop.train(
        fabric, recipe, {"model": model}, [optimizer], data, stepped,
        lambda state: _rate(state["step"], recipe), measured, rule, **options,
    )  # fmt: skip
    chosen = kept.pop("best")
    return chosen, history | {"kept": kept, "epochs": state["epochs"], "steps": state["steps"]}


def _rate(step: int, recipe: Recipe) -> float:
    fall = 0.5 * (1 + math.cos(math.pi * min(1, step / recipe.fall))) if recipe.fall else 1
    return recipe.rate * min(1, (step + 1) / recipe.warmup) * fall
