"""`python -m lib.training.make_photo_generator`: the generator that notebook 12 drives ImageNet networks through, the
inverse of AlexNet's pool5 on photographs.

AlexNet reads pictures enlarged to 160 pixels, where its pool5 has 256 maps of 4 x 4: 4,096 numbers, as many as the fc6
that Nguyen et al. 2016 invert. Trained on crops of ImageNet's photographs that tune and of Tiny-ImageNet's, in turn;
measured on those that judge (lib/worlds/photo_crops.py). `--size 128` needs a GPU to end within an hour.

lib/training/store.py says what becomes of a killed run.
"""

import argparse
from collections.abc import Callable
from functools import cache, partial

import numpy as np

from lib.base import weights
from lib.networks import catalogue, generator_network, interface
from lib.training import generators, store
from lib.training.generators import Recipe
from lib.worlds import photo_crops

ENCODER, LAYER, COMPARATOR = "alexnet_convolutions", "pool5", ("conv1", "conv3", "conv5")
ENLARGED = 160  # pixels at which the encoder reads
WIDTH = 96
RECIPE = Recipe(images=6_000, epoch=6_000, epochs=20, shift=0)


def name(size: int) -> str:
    """Of the weights in data/weights/generators."""
    return f"photos-alexnet-{LAYER}" + ("" if size == generator_network.SIZE else f"-{size}")


def encoder(size: int, device: str = "cpu") -> interface.Network:
    """AlexNet's convolutions, which read photographs of `size` pixels enlarged to 160."""
    net = catalogue.load(ENCODER, device=device)._replace(size=ENLARGED)
    return interface.resized(net, size, device=device)


@cache
def _sources() -> tuple[photo_crops.Pictures, np.ndarray]:
    return photo_crops.tuning(), photo_crops.tiny()


def crops(recipe: Recipe, size: int, epoch: int) -> np.ndarray:
    """(n, size, size, 3) uint8, the pictures of an epoch: ImageNet's at many scales; every other epoch, if they are
    large enough, Tiny-ImageNet's, mirrored at random."""
    generator = np.random.default_rng([recipe.seed, 2, epoch])
    whole, tiny = _sources()
    if epoch % 2 == 0 or size != tiny.shape[1]:
        return photo_crops.crops(whole, recipe.epoch, size, generator, (0.1, 1.0))[0]
    pictures = tiny[generator.integers(0, len(tiny), recipe.epoch)]
    mirrored = generator.random(len(pictures)) < 0.5
    return np.where(mirrored[:, None, None, None], pictures[:, :, ::-1], pictures)


def one(recipe: Recipe, size: int, width: int = WIDTH, validation: int = 200, device="cpu", progress=False) -> dict:
    """Train it and write its weights; returns their info. Nothing is done if they are there already."""
    net = encoder(size, device)
    code = (len(net.classes), *_side(net, size))
    made_by = {"encoder": ENCODER, "network": net.digest, "layer": LAYER, "code": code, "width": width, "size": size}
    made_by |= {"enlarged": ENLARGED, "comparator": COMPARATOR}
    made_by |= {"recipe": recipe._asdict() | {"losses": recipe.losses._asdict()}, "data": "photographs"}

    def train(checkpoint) -> dict:
        held_out = (photo_crops.judging(size, validation)[0],)
        made = generator_network.build(code, recipe.seed, width, size)
        options = {"checkpoint": checkpoint, "device": device, "progress": progress}
        state, history = generators.fit(
            made, net, LAYER, COMPARATOR, lambda epoch: (crops(recipe, size, epoch),), held_out, recipe, **options
        )
        made.cpu().load_state_dict(weights.as_stored(state, whole=True))
        rounded = generators.losses(made, encoder(size), LAYER, COMPARATOR, *held_out)
        info = {"made_by": made_by, "history": history, "rounded": rounded}
        return weights.save(f"generators/{name(size)}", state, info, whole=True)

    return store.once(f"generators/{name(size)}", made_by, train)


def _side(net: interface.Network, size: int) -> tuple[int, int]:
    grey = interface.to_tensor(np.full((1, size, size, 3), 128, np.uint8))
    device = next(net.model.parameters()).device
    return tuple(interface.forward_to(net, grey.to(device), [LAYER])[LAYER].shape[2:])


def options(arguments: list[str] | None) -> argparse.Namespace:
    """The command line's."""
    parser = store.parser(__doc__)
    parser.add_argument("--size", type=int, default=generator_network.SIZE, help="pixels, 64 or 128")
    return store.parsed(parser, arguments)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    chosen = options(arguments)
    recipe = RECIPE._replace(precision=chosen.precision)
    task: Callable[[], dict] = partial(one, recipe, chosen.size, device=chosen.device, progress=not chosen.quiet)
    store.retrain("photo_generator", [[task]], chosen)


if __name__ == "__main__":
    main()
