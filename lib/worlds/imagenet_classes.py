"""ImageNet's class names."""


def imagenet_classes() -> tuple[str, ...]:
    """The 1000 ImageNet class names in the usual order, from torchvision's own list."""
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    return tuple(_IMAGENET_CATEGORIES)
