"""The weights this project trained: safetensors files, each with a JSON beside it that holds its digest, the parameters
that made it and what was measured. A file that does not match its digest is refused.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load as _load
from safetensors.torch import save as _save
from torch import Tensor

from lib.base import files, nearest, paths


def _halved(name: str, value: Tensor) -> Tensor:
    return value.half() if value.is_floating_point() and "running_" not in name else value


REMEDY = "restore it with `git checkout data` or train it again with `make retrain`"
SCALES = "/scales"  # ends the names of the tensors that hold the scales of rounded ones


def rounded(value: Tensor) -> tuple[Tensor, Tensor]:
    """A tensor (n, ...) as whole numbers from -127 to 127 and the scale of each of its n rows: int8, float32 (n,)."""
    scales = value.flatten(1).abs().amax(1).clamp_min(1e-30).float() / 127
    return (value.float() / scales.reshape(-1, *[1] * (value.ndim - 1))).round().to(torch.int8), scales


def _rounded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for key, value in state.items():
        if value.is_floating_point() and value.ndim >= 2:
            found[key], found[key + SCALES] = rounded(value)
        else:
            found[key] = _halved(key, value)
    return found


def _formed(state: dict[str, Tensor], half: bool, whole: bool) -> dict[str, Tensor]:
    if whole:
        return _rounded(state)
    return {key: _halved(key, value) for key, value in state.items()} if half else state


def as_stored(state: dict[str, Tensor], half: bool = True, whole: bool = False) -> dict[str, Tensor]:
    """What `load` gives back of a `state` that `save` stores in this form: rounded, in single precision."""
    return _single(_formed(state, half, whole))


def save(name: str, state: dict[str, Tensor], info: dict, half: bool = True, whole: bool = False) -> dict:
    """Write `state` (name -> tensor) as data/weights/<name>.safetensors and `info` beside it; returns the stored info.

    With `half`, all floating-point tensors but batch-normalisation statistics are stored in half precision; with
    `whole`, those of two and more dimensions as whole numbers in eight bits, with a scale for each of their rows.
    """
    state = _formed(state, half, whole)
    content = _save({key: value.detach().contiguous().cpu() for key, value in state.items()})
    form = {"half": half and not whole} | ({"whole": True} if whole else {})
    info = info | {"name": name, "digest": files.sha256(content), "bytes": len(content)} | form
    files.atomic_write(paths.weights() / f"{name}.safetensors", content)
    files.write_json(paths.weights() / f"{name}.json", info)
    return info


def info(name: str) -> dict:
    """What is written beside the weights `name`: digest, parameters, measured accuracy. ValueError where it is damaged,
    or that of other weights."""
    path = paths.weights() / f"{name}.json"
    if not path.exists():
        known = nearest.ranked(name, names(name.split("/")[0])) or "none"
        raise FileNotFoundError(
            f"no weights are called {name!r}; known are: {known}; `make retrain` trains what is missing"
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read ({error}); {REMEDY}") from error
    lost = [part for part in ("name", "digest") if not isinstance(found, dict) or not isinstance(found.get(part), str)]
    if lost:
        raise ValueError(f"{path} has no {' and no '.join(lost)}, expected those of weights; {REMEDY}")
    if found["name"] != name and not Path(name).is_absolute():
        raise ValueError(f"{path} describes the weights of {found['name']}, expected those of {name}; {REMEDY}")
    return found


def names(folder: str = "cutouts") -> list[str]:
    """Names of all weights in a subfolder of data/weights, sorted."""
    return sorted(
        str(p.relative_to(paths.weights()).with_suffix("")) for p in (paths.weights() / folder).rglob("*.json")
    )


def load(name: str) -> tuple[dict[str, Tensor], dict]:
    """The state dict (single precision) and the info of the weights `name`, after their digest has been checked."""
    described = info(name)
    path = paths.weights() / f"{name}.safetensors"
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing although {name}.json describes it; restore it with `git checkout data`"
        )
    content = path.read_bytes()
    if (found := files.sha256(content)) != described["digest"]:
        raise ValueError(
            f"{path} has digest {found[:12]}…, expected {described['digest'][:12]}…: the file is damaged or not "
            f"the one that was trained; {REMEDY}"
        )
    return _single(_load(content)), described


def _single(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `save` stored, in single precision again."""
    state = {}
    for key, value in stored.items():
        if key + SCALES in stored:
            state[key] = value.float() * stored[key + SCALES].reshape(-1, *[1] * (value.ndim - 1))
        elif not key.endswith(SCALES):
            state[key] = value.float() if value.dtype == torch.float16 else value
    return state
