"""ImageNet's class names, their WordNet ids and their kinds; and which number a network of other classes gives them."""

import functools
import re
from pathlib import Path

KINDS = {  # name: first and last index of what WordNet, whose order the classes keep, files under it
    "bird": ((7, 24), (80, 100), (127, 146)),
    "other vertebrate": ((0, 6), (25, 68), (101, 106), (147, 299), (330, 397)),
    "invertebrate": ((69, 79), (107, 126), (300, 329)),
    "food, plant": ((924, 969), (984, 998)),
    "landscape": ((970, 980),),
    "made by people": ((398, 923), (981, 983), (999, 999)),
}


def kinds(labels) -> list[int]:
    """The place in KINDS of each class index. ValueError for one that is none of the 1000."""
    found = []
    for label in labels:
        fitting = [k for k, spans in enumerate(KINDS.values()) if any(low <= label <= high for low, high in spans)]
        if not fitting:
            raise ValueError(f"{label} is no class of ImageNet, expected 0 to 999")
        found += fitting
    return found


def wnids() -> tuple[str, ...]:
    """The WordNet ids of the 1000 classes, in their order, which is that of the ids themselves."""
    return tuple(Path(__file__).with_name("imagenet_wnids.txt").read_text().split())


def imagenet_classes() -> tuple[str, ...]:
    """The 1000 ImageNet class names in the usual order, from torchvision's own list."""
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    return tuple(_IMAGENET_CATEGORIES)


ALIKE = 0.9  # of the 1000 names: lists of ImageNet's classes write some of them differently


def is_imagenet(classes) -> bool:
    """Whether a network's class names are ImageNet's 1000 in their order: as torchvision writes them, with all their
    synonyms, with underscores or numbers before them, or as WordNet ids. Numbered classes are not known to be."""
    return len(classes) == 1000 and _start(tuple(classes)) == 0


def numbers(classes, labels) -> tuple[int, ...]:
    """The numbers that a network with the names `classes` gives to ImageNet's classes `labels` (0 to 999), by name and
    never by number; those that it lacks, or calls by a name that several have, are left out. ValueError for a label
    that is none of the 1000."""
    labels, ours, ids = list(map(int, labels)), imagenet_classes(), wnids()
    if wrong := [label for label in labels if not 0 <= label < 1000]:
        raise ValueError(f"{wrong[0]} is no class of ImageNet, expected 0 to 999")
    if (start := _start(tuple(classes))) is not None:
        return tuple(label + start for label in labels)
    spelt = [_spelt(name) for name in classes]
    found = (_only(ids[label], _lemma(ours[label]), spelt) for label in labels)
    return tuple(dict.fromkeys(number for number in found if number is not None))


def _only(wnid: str, name: str, spelt: list) -> int | None:
    """The one class of this WordNet id, or whose whole name, first synonym or any synonym this is; None without one."""
    fits = (
        lambda one: one[0] == wnid,
        lambda one: one[1] == (name,),
        lambda one: one[1][:1] == (name,),
        lambda one: name in one[1],
    )
    for fit in fits:
        if places := [place for place, one in enumerate(spelt) if fit(one)]:
            return places[0] if len(places) == 1 else None
    return None


@functools.lru_cache(16)
def _start(classes: tuple) -> int | None:
    """Where ImageNet's 1000 classes begin in a list, in their order: 0, or 1 behind a background; None if nowhere."""
    ours, ids = [_lemma(name) for name in imagenet_classes()], wnids()
    for start in (0, 1) if 1000 <= len(classes) <= 1001 else ():
        part = [_spelt(name) for name in classes[start : start + 1000]]
        same = sum(name in one[1] or wnid == one[0] for name, wnid, one in zip(ours, ids, part, strict=False))
        if len(part) == 1000 and same >= ALIKE * 1000:
            return start
    return None


def _spelt(name: str) -> tuple[str, tuple[str, ...]]:
    """A class name as its WordNet id ('' without one) and its synonyms, in small letters and with spaces."""
    found = re.match(r"(?:\d{1,5}[\s_:.,-]+)?(n\d{8})?(.*)", str(name).strip(), re.DOTALL)
    return found[1] or "", tuple(filter(None, map(_lemma, found[2].split(","))))


def _lemma(name: str) -> str:
    return " ".join(re.split(r"[\s_:.]+", name.casefold())).strip(" -'\"")
