"""The two ways in which the zoo's decoders are tuned, and for whom such decoders are committed.

The default is the paper's regime: 10,000 steps at one rate, which lib/experiments/shared/regime.py chose on seed 0 by
own readings alone; the other seeds decide the claims. The gentle way came first: about 950 steps at a rate of 0.001,
until the loss stood.
"""

from typing import NamedTuple

from lib.networks import own_decoders, paper_networks, photo_networks, readers, trained_autoencoders, zoo


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
    """As `chosen` for a world of photographs; in that of the photos profile networks of a reader may be named beside
    its own, each with a decoder (`entered`)."""
    how, known, trained = ELSEWHERE[world]
    names = readers.everybody(world, families)
    mine = [name for name in names if readers.own(name) and world == "photos"]
    for kind, asked, there in (("families", names, (*known, *mine)), ("seeds", list(seeds), trained)):
        if lacking := [str(one) for one in asked if one not in there]:
            raise ValueError(f"{kind}: found {', '.join(lacking)}, expected of {', '.join(map(str, there))}")
    readers.apart(names)
    for name in mine:
        entered(name)
    return names, how


def entered(name: str) -> own_decoders.Kept:
    """The decoder of a reader's network in the order of the photographs. ValueError if its classes are not ImageNet's,
    or if it reads nothing; FileNotFoundError if no decoder is tuned on it yet, with the command that does."""
    net = readers.comparable(readers.network(name))
    try:
        one = own_decoders.best(net)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"families: {str(error).replace('SPEC', name)}") from None
    if not one.info["own"]:
        raise ValueError(
            f"families: {net.name} reads none of the {one.info['made_by']['recipe']['validation']} photographs that "
            "judge through its own decoder, and RRC divides by such accuracies; expected a network that reads some"
        )
    return one


def chosen(tuning: str, families, seeds, retrain: bool = False, world: str = "cutouts") -> tuple[list[str], str]:
    """The families that a notebook's parameter names (["all"]: all that were tuned so), and what the names of their
    decoders end with. ValueError for a tuning, family or seed without decoders, unless they are trained first, and for
    what the worlds of photographs have not (`elsewhere`)."""
    if world in ELSEWHERE:
        if retrain or tuning != "default":
            asked = "retrain is true" if retrain else f"tuning is {tuning!r}"
            raise ValueError(f"{asked} and world is {world}, expected the default tuning of its own script")
        return elsewhere(world, families, seeds)
    if mine := [name for name in families if readers.own(name)]:
        raise ValueError(
            f"families: found {', '.join(mine)}, and world is cutouts, whose notebooks compare the zoo over several "
            "training seeds; one classifier of this world enters its order by lib.experiments.shared.placed.entered"
        )
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
