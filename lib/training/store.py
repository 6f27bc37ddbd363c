"""Where half-trained things lie, and how they take the place of the committed weights.

`python -m lib.training.make_...` trains into build/retrained/<what>. Networks that are done there are left alone, the
interrupted one goes on from its last epoch, and the committed weights are replaced when everything that was asked for
is there, so that a killed run loses nothing. A notebook with `retrain = True` trains into a folder of its own.
"""

import argparse
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from torch import Tensor

from lib.base import files, paths, weights
from lib.base.repeatable import repeatable
from lib.training import loop

STATES = r"(-(step|epoch)\d+|-convolutions)?"  # endings of what is kept of a network on its way


# ------------------------------------------------------------------------------------------------- one network


def once(name: str, made_by: dict, train: Callable[[Path], dict]) -> dict:
    """The info of the weights `name`: of those that are there and were made by the same, or of what `train` saves.

    train: the checkpoint to resume from -> info; the checkpoint is deleted after it. A damaged file is trained again.
    """
    try:
        info = weights.load(name)[1]
        if files.key_digest(info["made_by"]) == files.key_digest(made_by):
            return info
    except (FileNotFoundError, ValueError, KeyError):
        pass
    checkpoint = paths.weights() / "checkpoints" / f"{name}-{files.key_digest(made_by)[:12]}.ckpt"
    info = train(checkpoint)
    checkpoint.unlink(missing_ok=True)
    return info


def save_halved(
    name: str, state: dict[str, Tensor], info: dict, measure: Callable[[dict[str, Tensor]], dict[str, float]]
) -> dict:
    """Save in half precision where the validation accuracy agrees to three decimals, else in single precision.

    measure: state dict -> numbers on validation pictures, `accuracy` among them; they become info["validation"].
    """
    exact, halved = measure(state), measure(weights.as_stored(state))["accuracy"]
    info = info | {"validation": exact | {"accuracy_in_half_precision": halved}}
    return weights.save(name, state, info, half=round(exact["accuracy"], 3) == round(halved, 3))


# ---------------------------------------------------------------------------------------------- many of them


def notebook(run) -> None:
    """From here on this process reads and writes its weights in the run's folder, build/<profile>/weights/<number of
    the notebook>.

    Each notebook has a folder of its own, since notebooks run side by side; the committed weights are not touched.
    """
    os.environ["COMPANION_WEIGHTS"] = str(paths.of_run(run.profile) / "weights" / run.notebook[:2])


def retrained(what: str) -> Path:
    """Where `python -m lib.training.make_<what>` trains."""
    return paths.build() / "retrained" / what


@contextmanager
def weights_in(folder: Path) -> Iterator[None]:
    """Weights are read and written in `folder`, by this process and by those that it starts."""
    before = os.environ.get("COMPANION_WEIGHTS")
    os.environ["COMPANION_WEIGHTS"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("COMPANION_WEIGHTS")
        if before is not None:
            os.environ["COMPANION_WEIGHTS"] = before


def side_by_side(tasks: list[Callable[[], dict]], processes: int, device: str = "cpu") -> Iterator[dict]:
    """What each task returns, as they end; each has a process to itself, one thread and the same random streams."""
    with get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(partial(_alone, device=device), tasks)


def _alone(task: Callable[[], dict], device: str) -> dict:
    repeatable(0, device)
    return task()


def said(info: dict | list[dict]) -> str:
    """A line for each network: the last number of each curve of its history, and where it diverged."""
    if isinstance(info, list):
        return "\n".join(map(said, info))
    curves = {name: values for name, values in info["history"].items() if isinstance(values, list)}
    numbers = [f"{name.replace('_', ' ')} {values[-1]:.3g}" for name, values in curves.items()]
    return f"{info['name']}: {', '.join([*numbers, *filter(None, [info.get('diverged')])])}"


def parser(description: str, bars: bool = True) -> argparse.ArgumentParser:
    """The options that all `make_...` share; bars: whether it shows progress bars, which --quiet leaves out."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--processes", type=int, default=2)
    made.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 or mps")
    made.add_argument("--precision", default=None, help="a precision of Lightning Fabric; default: the device's own")
    if bars:
        made.add_argument("--quiet", action="store_true", help="no progress bars")
    return made


def parsed(parser: argparse.ArgumentParser, arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line, `precision` filled in."""
    options = parser.parse_args(arguments)
    options.precision = options.precision or loop.precision(options.device)
    return options


def retrain(
    what: str,
    groups: list[list[Callable[[], dict]]],
    options: argparse.Namespace,
    borrowed: Mapping[Path, tuple[str, ...]] | None = None,
    stays: str = "",
    scratch: str = "",
) -> None:
    """Do all `groups` of tasks in build/retrained/<what>, one group after the other, then put in place what they made.

    The committed weights are replaced all at once, after every digest has been checked; the states kept on a network's
    way go with it. borrowed: {folder: patterns of weights that the tasks only read}. stays: pattern of weights that
    stay in build/retrained. scratch: of weights that the tasks make and nobody needs afterwards.
    """
    committed, fresh, copies = paths.weights(), retrained(what), []
    for folder, patterns in (borrowed or {}).items():
        for path in (path for pattern in patterns for path in folder.glob(pattern)):
            copies.append(files.atomic_write(fresh / path.relative_to(folder), path.read_bytes()))
    with weights_in(fresh):
        infos = []
        for group in groups:
            for info in side_by_side(group, options.processes, options.device):
                print(said(info), flush=True)  # noqa: T201 - what a person at the terminal waits for
                infos += info if isinstance(info, list) else [info]
        names = [i["name"] for i in infos if not any(fnmatch(i["name"], pattern) for pattern in (stays, scratch))]
        for name in names:
            weights.load(name)
    made = [path for name in names for path in _files(fresh / name)]
    for path in sorted(made, key=lambda path: path.suffix != ".safetensors"):  # the weights before their digest
        files.atomic_write(committed / path.relative_to(fresh), path.read_bytes())
    for path in (*made, *copies, *(fresh.glob(scratch) if scratch else ())):
        path.unlink(missing_ok=True)  # the next call starts from scratch
    for folder in sorted((path for path in (fresh, *fresh.rglob("*")) if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _files(name: Path) -> list[Path]:
    """The files of a network, of `name` as in data/weights, and of the states kept on its way."""
    return [path for path in name.parent.glob("*") if re.fullmatch(re.escape(name.name) + STATES, path.stem)]
