"""Answers that are computed once: a cache whose key is everything that decides an answer, and never typed by hand.

A key is the identity of what is asked about (lib/base/identity.py) with the code that answers: all of lib that the
computing function's module imports, as it stood when this process began, and the versions of the packages behind it.
"""

import functools
from collections.abc import Callable

import numpy as np

from lib.base import closure, files, identity, paths


def cached(kind: str, about: dict, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that `compute()` returns, computed once for everything that they depend on.

    kind: a subfolder of build/cache. about: what the answer is about, the things themselves: networks, pictures,
    settings, seeds. A damaged file is computed again, never used. TypeError for a thing without an identity.
    """
    key = files.key_digest({"about": identity.of(about), "code": code_of(compute)})
    path = paths.build() / "cache" / kind / f"{key[:32]}.arrays"
    if path.exists():
        try:
            return files.load_arrays(path)
        except ValueError:
            path.unlink(missing_ok=True)
    arrays = compute()
    files.save_arrays(path, arrays)
    return arrays


def code_of(compute: Callable) -> dict[str, str]:
    """{file of lib: digest} and {package: version} of what a function may run."""
    while isinstance(compute, functools.partial):
        compute = compute.func
    if compute.__module__.split(".")[0] == "lib":
        return _ours(compute.__module__)
    every = closure.everything()  # what is written in a notebook may use any of it
    return {"function": identity.code(compute)} | every | closure.packages(every)


@functools.cache
def _ours(module: str) -> dict[str, str]:
    used = closure.of_modules(module)
    return used | closure.packages(used)


closure.everything()  # read now: a file that is edited while this process runs is not the one that answers in it
