"""A run says how much of it is done and about how long the rest takes."""

import pytest

from lib.running import progress


@pytest.mark.parametrize(
    ("left", "cores", "expected"),
    [
        ({"a": [], "b": []}, 2, 100),  # side by side: the longer one
        ({"a": [], "b": []}, 1, 160),
        ({"a": [], "b": ["a"]}, 2, 160),  # b waits for a, a second core helps nobody
        ({"b": ["a"]}, 2, 60),  # a is done already
        ({"new": []}, 4, progress.UNKNOWN),
        ({}, 2, 0),
    ],
)
def test_the_rest_is_an_even_share_or_the_longest_chain(left, cores, expected):
    assert progress.rest(left, {"a": 100, "b": 60}, cores, {}) == expected


def test_what_runs_already_has_less_left():
    assert progress.rest({"a": []}, {"a": 100}, 2, {"a": 70}) == 30
    assert progress.rest({"a": []}, {"a": 100}, 2, {"a": 500}) == 1


def test_the_last_run_counts_before_the_committed_one(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_NOTEBOOKS", str(tmp_path))
    assert progress.known(tmp_path, "embedded") == {}
    (tmp_path / "seconds.yaml").write_text("embedded: {signals: 300, '09': 50}\n")
    progress.keep(tmp_path, "signals", 12.34)
    (tmp_path / "seconds" / "spoilt").write_text("?")
    assert progress.known(tmp_path, "embedded") == {"signals": 12.3, "09": 50}
    assert progress.known(tmp_path / "none", "smoke") == {}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "some seconds"), (30, "half a minute"), (70, "about a minute"), (700, "about 12 minutes")],
)
def test_times_are_told_roughly(seconds, words):
    assert progress.told(seconds) == words
