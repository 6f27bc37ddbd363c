"""Arrays from a pickle without running anything in it: a stranger's pickle can otherwise call any function."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np


class _Dtype:
    """Stands in for numpy.dtype in a pickle: a name and a byte order, nothing else."""

    def __init__(self, name, *_):
        self.name, self.order = name, "<"

    def __setstate__(self, state):
        self.order = state[1]


class _Array:
    """Stands in for numpy.ndarray in a pickle: keeps the state it is given, runs nothing."""

    def __setstate__(self, state):
        _, self.shape, self.dtype, self.fortran, self.content = state


class _ArrayUnpickler(pickle.Unpickler):
    """Answers the three names that a pickled array uses with inert stand-ins and refuses every other name."""

    KNOWN = {("numpy", "ndarray"): _Array, ("numpy", "dtype"): _Dtype} | {
        (f"numpy.{core}.multiarray", "_reconstruct"): lambda *_: _Array() for core in ("core", "_core")
    }

    def find_class(self, module, name):
        try:
            return self.KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None


def read_arrays(path: str | Path) -> dict[str, list[np.ndarray]]:
    """{name: [arrays]} from a pickle of named lists of float32 arrays; ValueError if it holds anything else."""
    return _read(
        path, lambda content: {str(name): [_to_numpy(one) for one in arrays] for name, arrays in content.items()}
    )


def read_tree(path: str | Path) -> dict:
    """Dictionaries in dictionaries, whose leaves are float32 arrays; ValueError if a pickle holds anything else."""

    def converted(content: dict) -> dict:
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}")
        return {
            str(name): _to_numpy(part) if isinstance(part, _Array) else converted(part)
            for name, part in content.items()
        }

    return _read(path, converted)


def _read(path: str | Path, convert: Callable) -> dict:
    try:
        with open(path, "rb") as file:
            return convert(_ArrayUnpickler(file).load())
    except (pickle.UnpicklingError, EOFError, AttributeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"{path} is refused: expected a pickle of named float32 arrays and nothing else, but {error}"
        ) from error


def _to_numpy(array: _Array) -> np.ndarray:
    if not isinstance(array, _Array) or (array.dtype.order, array.dtype.name) != ("<", "f4"):
        raise ValueError("it holds something that is not a little-endian float32 array")
    return np.frombuffer(array.content, "<f4").reshape(array.shape, order="F" if array.fortran else "C").copy()
