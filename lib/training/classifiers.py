"""Training: one small loop on Lightning Fabric, exact to the bit on one thread, that resumes where it was killed.

Plateau rule: the learning rate falls to a quarter after every epoch in which the validation loss has not improved by
1 % (relative) on the best so far; training ends at the third such plateau or after the last allowed epoch; the
weights with the lowest validation loss are kept. An epoch is a slice of the training pictures: epoch e reads slice e
modulo their number.
"""

import io
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

from lib.base import files
from lib.networks.interface import to_tensor


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


def precision(device: str = "cpu") -> str:
    """`bf16-mixed` where this machine's processor, or its GPU, multiplies bfloat16 natively, else `32-true`."""
    if device.startswith("cuda"):
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "bf16-mixed" if "avx512_bf16" in flags or "amx_bf16" in flags else "32-true"


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


def save_checkpoint(path: Path, content: dict) -> None:
    """Write a checkpoint, headed by the digest of its bytes, atomically."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    files.atomic_write(path, files.sha256(buffer.getvalue()).encode() + buffer.getvalue())


def load_checkpoint(path: Path) -> dict:
    """Read a checkpoint; ValueError if its bytes do not match the digest at its head."""
    content = path.read_bytes()
    if files.sha256(content[64:]).encode() != content[:64]:
        raise ValueError(
            f"checkpoint {path.name} is damaged: its bytes do not match its digest; delete it to start again"
        )
    return torch.load(io.BytesIO(content[64:]), weights_only=True, map_location="cpu")


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
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces its precision at every start
    kind, _, number = device.partition(":")
    fabric = Fabric(accelerator=kind, devices=[int(number)] if number else devices, precision=recipe.precision)
    fabric.launch()
    if recipe.batch % fabric.world_size:
        raise ValueError(f"batch is {recipe.batch}, expected a multiple of the {fabric.world_size} devices")
    torch.manual_seed(recipe.seed + fabric.global_rank)
    optimizer = torch.optim.AdamW(model.parameters(), recipe.rate, weight_decay=recipe.decay)
    model = model.to(memory_format=torch.channels_last)
    wrapped, optimizer = fabric.setup(model, optimizer)
    generator = torch.Generator().manual_seed(recipe.seed)
    state = {
        "epoch": 0,
        "step": 0,
        "rate": recipe.rate,
        "plateaus": 0,
        "waited": 0,
        "best": math.inf,
        "reference": math.inf,
    }
    history = {"validation_loss": [], "validation_accuracy": [], "train_loss": [], "rate": [], "kept": {}}
    best = copied(model)
    if checkpoint and checkpoint.exists():
        saved = load_checkpoint(checkpoint)
        if saved["recipe"] != str(recipe):
            raise ValueError(
                f"checkpoint {checkpoint.name} was made by another recipe ({saved['recipe']}); "
                "delete it or use that recipe"
            )
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["rng"])
        generator.set_state(saved["generator"])
        state, history, best = saved["state"], saved["history"], saved["best"]
    keep = keep or {}
    while state["epoch"] < recipe.epochs and state["plateaus"] < recipe.plateaus:
        images, labels = data(state["epoch"])
        order = torch.randperm(len(images), generator=generator)
        rows = order[: len(order) // recipe.batch * recipe.batch or len(order)].split(recipe.batch)
        losses = []
        wrapped.train()
        title, often = f"epoch {state['epoch'] + 1}/{recipe.epochs}", 0.5 if sys.stderr.isatty() else 20
        for chosen in tqdm(rows, desc=title, disable=not progress, leave=False, mininterval=often):
            if state["step"] in keep:
                history["kept"][keep[state["step"]]] = copied(model)
            offsets = torch.randint(
                0, 2 * recipe.shift + 1, (2, len(chosen)), generator=generator
            )  # alike on all devices
            mine = slice(fabric.global_rank, None, fabric.world_size)
            chosen = chosen[mine]
            x = shifted(to_tensor(images[chosen.numpy()]).to(fabric.device), recipe.shift, offsets[:, mine])
            y = torch.from_numpy(labels[chosen.numpy()]).to(fabric.device)
            for group in optimizer.param_groups:
                group["lr"] = state["rate"] * min(1, (state["step"] + 1) / recipe.warmup)
            loss = F.cross_entropy(wrapped(preprocess(x)), y)
            losses.append(fabric.all_reduce(loss.detach(), reduce_op="mean").item())
            finite("training", losses[-1], state, checkpoint)
            optimizer.zero_grad()
            fabric.backward(loss)
            optimizer.step()
            state["step"] += 1
        validation_loss, accuracy = evaluate(model, *validation, preprocess, device=fabric.device)
        validation_loss, accuracy = fabric.broadcast((validation_loss, accuracy))  # all devices decide alike
        finite("validation", validation_loss, state, checkpoint)
        measured = {"validation_loss": validation_loss, "validation_accuracy": accuracy}
        measured |= {"train_loss": float(np.mean(losses)), "rate": state["rate"]}
        for name, value in measured.items():
            history[name].append(value)
        if validation_loss < state["best"]:
            state["best"], best = validation_loss, copied(model)
        plateau_rule(state, validation_loss, recipe)
        state["epoch"] += 1
        if checkpoint and fabric.global_rank == 0:
            content = {"model": copied(model), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}
            content |= {"generator": generator.get_state(), "state": state, "history": history, "best": best}
            save_checkpoint(checkpoint, content | {"recipe": str(recipe)})
    return best, history | {"epochs": state["epoch"], "steps": state["step"], "plateaus": state["plateaus"]}


def finite(kind: str, loss: float, state: dict, checkpoint: Path | None) -> None:
    """FloatingPointError that says where the loss stopped being a number."""
    if math.isfinite(loss):
        return
    kept = (
        f"the checkpoint holds the state after epoch {state['epoch']}"
        if checkpoint and state["epoch"]
        else "nothing is kept"
    )
    raise FloatingPointError(
        f"the {kind} loss is {loss} at step {state['step']} (epoch {state['epoch'] + 1}, "
        f"learning rate {state['rate']:g}); {kept}; try a lower rate"
    )


def plateau_rule(state: dict, loss: float, recipe: Recipe) -> None:
    """Update `state` (reference, waited, plateaus, rate) with an epoch's validation loss, as the module's text says."""
    if loss < state["reference"] * (1 - recipe.improvement):
        state["reference"], state["waited"] = loss, 0
        return
    state["waited"] += 1
    if state["waited"] >= recipe.patience:
        state["plateaus"], state["waited"], state["rate"] = state["plateaus"] + 1, 0, state["rate"] * recipe.factor
        state["reference"] = min(state["reference"], loss)


def copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


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
        y = torch.from_numpy(labels[start : start + batch]).to(device)
        loss += F.cross_entropy(scores, y, reduction="sum").item()
        right += (scores.argmax(1) == y).sum().item()
    model.train(training)
    return loss / len(images), right / len(images)
