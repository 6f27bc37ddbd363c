"""Atomic files and the cache, under real kills."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lib.base import cache, files, paths

WRITER = """
import sys, numpy as np
from lib.base import files
while True:
    for value in range(256):
        files.save_arrays(sys.argv[1], {"a": np.full(3_000_000, value, np.uint8)})
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    target = tmp_path / "a.arrays"
    for pause in (0.5, 0.53, 0.57, 0.61):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(target)], cwd=paths.ROOT)
        while not target.exists():
            time.sleep(0.01)
        time.sleep(pause)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        array = files.load_arrays(target)["a"]
        assert array.shape == (3_000_000,) and (array == array[0]).all()


def test_a_damaged_file_is_refused_and_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path))
    calls = []

    def compute():
        calls.append(1)
        return {"x": np.arange(5)}

    cache.cached("kind", {"a": 1}, compute)
    cache.cached("kind", {"a": 1}, compute)
    assert len(calls) == 1
    (path,) = (tmp_path / "cache" / "kind").iterdir()
    for damage in (lambda b: b[:-3], lambda b: b[:100] + bytes([b[100] ^ 1]) + b[101:], lambda b: b""):
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(ValueError, match="damaged"):
            files.load_arrays(path)
        assert np.array_equal(cache.cached("kind", {"a": 1}, compute)["x"], np.arange(5))
    assert len(calls) == 4
    cache.cached("kind", {"a": 2}, compute)
    assert len(calls) == 5


def test_a_failed_computation_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_BUILD", str(tmp_path))
    with pytest.raises(ZeroDivisionError):
        cache.cached("kind", {}, lambda: 1 / 0)
    assert not list(tmp_path.rglob("*.arrays"))


def test_keys_do_not_depend_on_order_and_refuse_objects():
    assert files.key_digest({"a": 1, "b": [2]}) == files.key_digest({"b": [2], "a": 1})
    assert files.key_digest({"a": 1}) != files.key_digest({"a": 2})
    with pytest.raises(TypeError, match="cache key"):
        files.key_digest({"a": object()})
