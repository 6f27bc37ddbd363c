"""The one training loop: exact to the bit on one thread, it resumes where it was killed.

What differs between classifiers, autoencoders and generators comes in as functions: a step, what is measured after an
epoch, and the rule that keeps states and ends the training. Arithmetic and devices are Lightning Fabric's.
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
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from lib.base import files


class Course(NamedTuple):
    """How far a training has come; a checkpoint holds all of it."""

    state: dict  # "epoch" and "step": how many are done; and what the rule remembers, plain numbers
    history: dict[str, list[float]]  # by name, one number an epoch
    kept: dict  # state dicts: on the way, or the best so far


def precision(device: str = "cpu") -> str:
    """`bf16-mixed` where this machine's processor, or its GPU, multiplies bfloat16 natively, else `32-true`."""
    if device.startswith("cuda"):
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "bf16-mixed" if "avx512_bf16" in flags or "amx_bf16" in flags else "32-true"


def fabric(device: str, precision: str, devices: int = 1) -> Fabric:
    """Fabric on `device` ("cpu", "cuda", "cuda:1", "mps"), or on so many of its kind, without its announcements."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    kind, _, number = device.partition(":")
    return Fabric(accelerator=kind, devices=[int(number)] if number else devices, precision=precision)


def share(fabric: Fabric, model: nn.Module) -> None:
    """From here on every process steps along the mean of all processes' gradients; nothing where there is one."""

    def mean(parameter: nn.Parameter) -> None:
        parameter.grad.copy_(fabric.all_reduce(parameter.grad, reduce_op="mean"))

    if fabric.world_size > 1:
        for parameter in (one for one in model.parameters() if one.requires_grad):
            parameter.register_post_accumulate_grad_hook(mean)


def sliced(size: int, *arrays: np.ndarray) -> Callable[[int], tuple[np.ndarray, ...]]:
    """epoch -> so many rows of each array: slice after slice, then the first again; all where there are fewer."""
    n = max(1, len(arrays[0]) // size)
    return lambda epoch: tuple(array[epoch % n * size : (epoch % n + 1) * size] for array in arrays)


def copied(model: nn.Module) -> dict[str, Tensor]:
    """The model's state dict as it is now, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def train(
    fabric: Fabric,
    recipe,
    models: dict[str, nn.Module],
    optimizers: list[torch.optim.Optimizer],
    data: Callable[[int], tuple[np.ndarray, ...]],
    step: Callable[[list[np.ndarray], torch.Generator, Course], dict[str, float]],
    rate: Callable[[dict], float],
    measure: Callable[[dict], dict[str, float]],
    rule: Callable[[Course], bool],
    *,
    state: dict | None = None,
    mine: slice = slice(None),
    checkpoint: Path | None = None,
    progress: bool = False,
) -> Course:
    """Train `models` (changed in place) until `rule` says that it is enough.

    recipe: has `seed`, `batch` and `epochs`; another one's checkpoint is refused. data: epoch -> arrays whose rows
    belong together; they are read in a drawn order, the last rows left out where they do not fill a batch. step: a
    batch of them, the generator that everything is drawn from, the course so far -> its losses by name; it moves
    the weights. rate: state -> learning rate of the next step. measure: state -> what is measured after an epoch,
    by name. rule: called then; it may keep states and change the state, and says whether the training is over.
    state: what the rule remembers at the start. mine: which rows of a batch this process reads, where there are
    several. checkpoint: file to resume from, written after every epoch.

    ValueError for a recipe or a checkpoint that cannot be used; FloatingPointError in one sentence where something is
    no longer finite.
    """
    if not (recipe.batch >= 1 and recipe.epochs >= 1):
        raise ValueError(f"batch is {recipe.batch} and epochs {recipe.epochs}, expected at least 1 of each")
    generator = torch.Generator().manual_seed(recipe.seed)
    course, over = Course({"epoch": 0, "step": 0} | (state or {}), {}, {}), False
    if checkpoint and checkpoint.exists():
        course, over = _resumed(checkpoint, recipe, models, optimizers, generator)
    state, history, _ = course
    while not over:
        arrays = data(state["epoch"])
        order = torch.randperm(len(arrays[0]), generator=generator)
        batches = order[: len(order) // recipe.batch * recipe.batch or len(order)].split(recipe.batch)
        for model in models.values():
            model.train()
        title, often = f"epoch {state['epoch'] + 1}/{recipe.epochs}", 0.5 if sys.stderr.isatty() else 20
        losses = []
        for rows in tqdm(batches, desc=title, disable=not progress, leave=False, mininterval=often):
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate(state)
            losses.append(step([array[rows[mine].numpy()] for array in arrays], generator, course))
            _finite(losses[-1], state, rate(state), checkpoint)
            state["step"] += 1
        means = np.mean([list(each.values()) for each in losses], 0).tolist()
        measured = dict(zip(losses[0], means, strict=True)) | measure(state)
        _finite(measured, state, rate(state), checkpoint)
        for name, number in measured.items():
            history.setdefault(name, []).append(number)
        state["epoch"] += 1
        over = rule(course)
        if checkpoint and fabric.global_rank == 0:
            content = {"recipe": str(recipe), "course": course._asdict(), "over": over}
            content |= {"models": {name: copied(model) for name, model in models.items()}}
            content |= {"optimizers": [optimizer.state_dict() for optimizer in optimizers]}
            save_checkpoint(checkpoint, content | {"rng": torch.get_rng_state(), "generator": generator.get_state()})
    return course


def _resumed(checkpoint: Path, recipe, models, optimizers, generator) -> tuple[Course, bool]:
    """Put everything back to what it was after the last whole epoch; the course, and whether it was over."""
    saved = load_checkpoint(checkpoint)
    if saved["recipe"] != str(recipe) or "course" not in saved:
        raise ValueError(
            f"checkpoint {checkpoint.name} was made by another recipe ({saved['recipe']}); delete it or use that recipe"
        )
    for name, model in models.items():
        model.load_state_dict(saved["models"][name])
    for optimizer, kept in zip(optimizers, saved["optimizers"], strict=True):
        optimizer.load_state_dict(kept)
    torch.set_rng_state(saved["rng"])
    generator.set_state(saved["generator"])
    return Course(**saved["course"]), saved["over"]


def _finite(losses: dict[str, float], state: dict, rate: float, checkpoint: Path | None) -> None:
    """FloatingPointError that says where one of `losses` stopped being a number."""
    for name, loss in losses.items():
        if not math.isfinite(loss):
            kind = "training" if name == "train_loss" else name.removesuffix("_loss")
            saved = f"the checkpoint holds the state after epoch {state['epoch']}"
            raise FloatingPointError(
                f"the {kind} loss is {loss} at step {state['step']} (epoch {state['epoch'] + 1}, learning rate "
                f"{rate:g}); {saved if checkpoint and state['epoch'] else 'nothing is kept'}; try a lower rate"
            )


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
