"""The two ways in which the zoo's decoders are tuned, and for whom such decoders are committed.

The default is the paper's regime: 10,000 steps at one rate, which lib/experiments/shared/regime.py chose on seed 0 by
own readings alone; the other seeds decide the claims. The gentle way came first: about 950 steps at a rate of 0.001,
until the loss stood.
"""

from typing import NamedTuple

from lib.networks import paper_networks, photo_networks, trained_autoencoders, zoo


class Tuning(NamedTuple):
    how: str  # what the names of its decoders end with
    families: tuple[str, ...]
    seeds: tuple[int, ...]


TUNINGS = {
    "default": Tuning(f"rate{trained_autoencoders.RATE:g}", zoo.EVERY, (0, 1, 2, 3)),
    "gentle": Tuning("", zoo.FAMILIES, (0, 1, 2)),
}
ELSEWHERE = {  # the other worlds, where there is one way to tune and one training of each network
    "photos": Tuning(f"rate{photo_networks.RATE:g}", tuple(photo_networks.NETWORKS), (0,)),
    "paper": Tuning(f"rate{paper_networks.RATE:g}", tuple(paper_networks.NETWORKS), (0,)),
}
AGAIN = {  # other decoders for photographs (lib/training/make_photos.py, `more`): what differs, seed, ending
    "squeezenet1_1": (
        ("seed 1", 1, f"rate{photo_networks.RATE:g}"),
        ("seed 2", 2, f"rate{photo_networks.RATE:g}"),
        ("a rate of .001", 0, "rate0.001"),
        ("three times as long", 0, f"rate{photo_networks.RATE:g}-times3"),
    ),
    "efficientnet_lite0": (
        ("seed 1", 1, f"rate{photo_networks.RATE:g}"),
        ("seed 2", 2, f"rate{photo_networks.RATE:g}"),
    ),
}


def elsewhere(world: str, families, seeds) -> tuple[list[str], str]:
    """As `chosen` for a world of photographs."""
    how, known, trained = ELSEWHERE[world]
    names = list(known) if list(families) == ["all"] else list(families)
    for kind, asked, there in (("families", names, known), ("seeds", list(seeds), trained)):
        if lacking := [str(one) for one in asked if one not in there]:
            raise ValueError(f"{kind}: found {', '.join(lacking)}, expected of {', '.join(map(str, there))}")
    return names, how


def chosen(tuning: str, families, seeds, retrain: bool = False, world: str = "cutouts") -> tuple[list[str], str]:
    """The families that a notebook's parameter names (["all"]: all that were tuned so), and what the names of their
    decoders end with. ValueError for a tuning, family or seed without decoders, unless they are trained first, and for
    what the worlds of photographs have not (`elsewhere`)."""
    if world in ELSEWHERE:
        if retrain or tuning != "default":
            asked = "retrain is true" if retrain else f"tuning is {tuning!r}"
            raise ValueError(f"{asked} and world is {world}, expected the default tuning of its own script")
        return elsewhere(world, families, seeds)
    if tuning not in TUNINGS:
        raise ValueError(f"tuning is {tuning!r}, expected {' or '.join(TUNINGS)}")
    how, known, trained = TUNINGS[tuning]
    names = zoo.chosen(families, known)
    for kind, asked, there in (("families", names, known), ("seeds", list(seeds), trained)):
        if not retrain and (lacking := [str(one) for one in asked if one not in there]):
            raise ValueError(
                f"{kind}: found {', '.join(lacking)}, for which no decoder is committed that was tuned the {tuning} "
                f"way; expected of {', '.join(map(str, there))}, or retrain=True"
            )
    return names, how


def gentle(families) -> list[str]:
    """Those of `families` that were tuned gently as well."""
    return [family for family in families if family in TUNINGS["gentle"].families]
