"""A measure taken for every network, as rows of a figure."""

from collections.abc import Callable

from lib.networks import readers


def by_seed(measure: Callable[[list], dict], found: dict[tuple, object]) -> dict:
    """`measure` over everything in `found` {(family, seed): reading}, and over each seed alone, for `claims.record`."""
    seeds = sorted({seed for _, seed in found})
    each = [{"seed": s} | measure([one for (_, seed), one in found.items() if seed == s]) for s in seeds]
    for one in each:
        one.pop("note", None)
    return measure(list(found.values())) | {"seeds": each}


def rows(measure: Callable[[list], dict], found: dict[tuple, object], group: str) -> list[dict]:
    """`measure` for each network alone, as rows for a figure and its table."""
    return [row(readers.title(family), seed, group, measure([one])) for (family, seed), one in found.items()]


def row(name: str, seed: int, group: str, result: dict) -> dict:
    """One row of a figure: name, seed, group, value, low, high, n."""
    low, high = result["interval"]
    row = {"name": name, "seed": seed, "group": group, "value": result["value"]}
    return row | {"low": low, "high": high, "n": result["n"]}
