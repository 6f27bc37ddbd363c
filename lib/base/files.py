"""Files that a killed process cannot spoil: atomic writes and digests.

A file either has its whole content or does not exist: it is written under another name, flushed to the disk, and
renamed. Arrays are kept as safetensors, which execute nothing when they are read, with a digest that is checked on
every load.
"""

import errno
import hashlib
import json
import os
import uuid
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as _load
from safetensors.numpy import save as _save


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256 of `content`."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def key_digest(key: dict) -> str:
    """Digest of a dictionary of plain values (numbers, strings, lists, dictionaries), whatever its order."""
    return sha256(json.dumps(key, sort_keys=True, default=_plain).encode())


def _plain(value):
    if hasattr(value, "_asdict"):
        return value._asdict()
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a cache key holds {type(value).__name__}, expected plain numbers, strings, lists or dictionaries")


def atomic_write(path: str | Path, content: bytes | str) -> Path:
    """Write the whole of `content` to `path`, or nothing: a killed run leaves the old file as it was."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
        try:
            with open(temporary, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise type(error)(f"{path} cannot be written: {why(error, path.parent)}") from error
    return path


def why(error: OSError, folder: Path) -> str:
    """Why nothing can be written into `folder`, in words: read-only, full, or as the system says it."""
    if isinstance(error.__cause__, OSError):  # one that has been told already
        return why(error.__cause__, folder)
    if isinstance(error, PermissionError):
        return f"the folder {folder} is read-only for this user"
    full = {errno.ENOSPC: "there is no space left on its disk", errno.EDQUOT: "the quota of its disk is used up"}
    read_only = {errno.EROFS: f"the disk of {folder} is read-only"}
    return (full | read_only).get(error.errno) or error.strerror or str(error)


def write_json(path: str | Path, value) -> Path:
    """Write `value` as sorted, indented JSON, atomically."""
    return atomic_write(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def save_arrays(path: str | Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write named arrays to `path`, atomically, headed by the digest of their bytes."""
    body = _save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return atomic_write(path, sha256(body).encode() + body)


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read what `save_arrays` wrote; ValueError if the bytes do not match the digest at their head."""
    content = Path(path).read_bytes()
    head, body = content[:64], content[64:]
    if sha256(body).encode() != head:
        raise ValueError(
            f"{path} is damaged: its bytes do not match the digest at its head; delete it to have it made again"
        )
    try:
        return _load(body)
    except SafetensorError as error:
        raise ValueError(f"{path} is not an array file of this project: {error}") from error
