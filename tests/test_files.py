"""Atomic files and the cache, under real kills."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from lib.base import cache, files, paths, weights

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


# --- weights with their sidecars


@pytest.fixture
def two_networks(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path))
    for seed in (0, 1):
        weights.save(f"cutouts/vgg-{seed}", {"w": torch.full((2, 2), float(seed))}, {"made_by": {}})
    return tmp_path / "cutouts"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{}", "vgg-0.json has no name and no digest, expected those of weights; restore it with `git checkout data`"),
        (b"[]", "vgg-0.json has no name and no digest"),
        (b'{"name": "cutouts/vgg-0", "digest": 3}', "vgg-0.json has no digest"),
        (b"{half", "vgg-0.json cannot be read .*; restore it with `git checkout data`"),
        (b"\xff\xfe", "vgg-0.json cannot be read"),
    ],
)
def test_a_damaged_sidecar_of_weights_gets_a_sentence(two_networks, content, sentence):
    (two_networks / "vgg-0.json").write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        weights.load("cutouts/vgg-0")


def test_weights_of_another_network_in_the_place_of_the_right_ones_are_refused(two_networks):
    assert weights.load("cutouts/vgg-0")[0]["w"].sum() == 0
    (two_networks / "vgg-0.safetensors").write_bytes((two_networks / "vgg-1.safetensors").read_bytes())
    with pytest.raises(ValueError, match="vgg-0.safetensors has digest .*, expected .*; restore it with"):
        weights.load("cutouts/vgg-0")
    (two_networks / "vgg-0.json").write_bytes((two_networks / "vgg-1.json").read_bytes())
    with pytest.raises(
        ValueError, match="vgg-0.json describes the weights of cutouts/vgg-1, expected those of cutouts/"
    ):
        weights.load("cutouts/vgg-0")


def test_weights_of_a_file_of_ones_own_may_have_any_name(two_networks):
    assert weights.load(str(two_networks / "vgg-1"))[1]["name"] == "cutouts/vgg-1"
