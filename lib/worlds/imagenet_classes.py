"""ImageNet's class names, their WordNet ids and their kinds."""

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
