"""Networks that name one cue of a cutout: its shape, its texture or its hue."""

from lib.base import weights
from lib.networks import interface, zoo
from lib.worlds import cutouts


def reader(cue: str) -> interface.Network:
    """The single-cue reader of `cue` (shape, texture or hue): its classes are the values of that cue."""
    state, info = weights.load(f"cutouts/reader-{cue}")
    model = zoo.build(info["made_by"]["family"], cutouts.CLASSES)
    model.load_state_dict(state)
    values = {
        "shape": cutouts.SHAPES,
        "texture": cutouts.TEXTURES,
        "hue": tuple(f"{hue} degrees" for hue in cutouts.HUES),
    }
    layers = zoo.layers(info["made_by"]["family"])
    return interface.Network(
        f"reader-{cue}",
        model.eval().requires_grad_(False),
        zoo.preprocess,
        cutouts.SIZE,
        values[cue],
        layers,
        info["digest"],
    )
