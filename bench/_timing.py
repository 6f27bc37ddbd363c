"""Interleaved timing: what else the machine does then hits every contestant alike."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table. ratio: how many times faster than the reference."""

    what: str
    ratio: float
    note: str


def interleaved(contestants: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each contestant in each round, one after the other in every round, after one round that does not
    count."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(repeats + 1):
        for name, work in contestants.items():
            begin = time.perf_counter()
            work()
            if number:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def ratio(reference: list[float], other: list[float]) -> float:
    """How many times faster `other` is: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(reference, other, strict=True))


def spread(reference: list[float], other: list[float]) -> str:
    """The smallest and the largest ratio of a round."""
    ratios = [a / b for a, b in zip(reference, other, strict=True)]
    return f"rounds {min(ratios):.2f} to {max(ratios):.2f}"
