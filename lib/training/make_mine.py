"""`python -m lib.training.make_mine SPEC`: a decoder tuned on your network, so that it can enter the total order.

Where it enters is told by its classes. ImageNet's 1000, by name: the order of the photographs, with the seven networks
of the photos profile, whose recipe is used (3,000 steps of 8 crops of 160 pixels). Ten: that of the cutouts world, with
the zoo (10,000 steps of 32 pictures of 64 pixels). How long it takes is measured on a few real steps and said first. A
killed run goes on from its last epoch, and what was tuned lies in build/mine under what the network is
(lib/networks/own_decoders.py): an unchanged network is never tuned twice, an edited one is.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lib.base import weights
from lib.base.repeatable import repeatable
from lib.networks import catalogue, interface, own_decoders, photo_networks, readers, segnet, trained_autoencoders
from lib.training import autoencoders, loop, make_photos, make_signals, store
from lib.worlds import cutouts, photo_crops

SEEDS = {"cutouts": 1, "photos": 0}  # of the trainings among which a network enters; also its decoder's
CHANCE = 1.5  # times that of a constant answer: whoever reads less has no order
SAMPLE, LEAST = 4, 2.0  # steps on which a tuning's time is measured: more, until they take so many seconds


class Tuning(NamedTuple):
    """What is to be tuned on a network, and from what."""

    net: interface.Network  # as it reads pictures of its world
    world: str  # photos or cutouts
    reading: interface.Network  # the same, as it reads while it tunes
    recipe: autoencoders.Recipe
    fresh: Callable[[autoencoders.Recipe, int], tuple[np.ndarray, np.ndarray]]  # an epoch's pictures and labels
    judging: tuple[np.ndarray, np.ndarray]  # pictures that judge, and their labels
    made_by: dict


def world(net: interface.Network) -> str:
    """The order that a network can enter by its classes: photos or cutouts. ValueError for other classes."""
    if len(net.classes) == cutouts.CLASSES:
        return "cutouts"
    try:
        readers.comparable(net)
    except ValueError as error:
        raise ValueError(f"{error}; nor that of the cutouts world, which has {cutouts.CLASSES} classes") from None
    return "photos"


def planned(
    net: interface.Network,
    steps: int | None = None,
    *,
    pictures: cutouts.World | None = None,
    seed: int | None = None,
    judges: int | None = None,
    precision: str | None = None,
) -> Tuning:
    """How a decoder is tuned on `net`; what is not given is as `usual`.

    steps: fewer than an epoch has, or a multiple of that. pictures: the cutouts world that the network knows. seed: of
    what is drawn (SEEDS). judges: so many pictures judge. ValueError for a network that can enter no order, and for
    steps that fill no epochs.
    """
    where = world(net)
    recipe = _of_length(usual(where), steps)._replace(precision=precision or loop.precision())
    recipe = recipe if seed is None else recipe._replace(seed=seed)
    recipe = recipe if judges is None else recipe._replace(validation=judges)
    described = weights.info(f"autoencoders/{own_decoders.WORLDS[where]}")
    made_by = {"base": own_decoders.WORLDS[where], "base_digest": described["digest"], "recipe": recipe._asdict()}
    if where == "photos":
        net = interface.resized(net, photo_networks.SIZE)
        reading, made_by["crop"] = net, make_photos.CROP
        if not _reads(net, make_photos.CROP):
            reading = net._replace(preprocess=partial(enlarged, before=net.preprocess, size=net.size))
            made_by["enlarged"] = net.size
        judging = photo_crops.judging(make_photos.SIZE, recipe.validation)
        return Tuning(net, where, reading, recipe, make_photos.fresh, judging, made_by)
    pictures, net = pictures or cutouts.World(), interface.resized(net, cutouts.SIZE)
    held_out = cutouts.batch(pictures, "validation", recipe.validation)
    fresh = partial(make_signals.fresh, pictures)
    made_by["world"] = pictures._asdict()
    return Tuning(net, where, net, recipe, fresh, (held_out.images, held_out.labels), made_by)


def usual(where: str) -> autoencoders.Recipe:
    """The recipe by which the others of an order, photos or cutouts, were tuned."""
    if where == "photos":
        return make_photos.RECIPE._replace(rate=photo_networks.RATE, seed=SEEDS[where])
    return make_signals.RECIPE._replace(rate=trained_autoencoders.RATE, seed=SEEDS[where])


def _of_length(recipe: autoencoders.Recipe, steps: int | None) -> autoencoders.Recipe:
    each = recipe.epoch // recipe.batch
    if steps is None:
        return recipe
    if steps < 1 or (steps > each and steps % each):
        raise ValueError(f"steps is {steps}, expected 1 to {each}, or a multiple of {each} (an epoch)")
    epochs = max(1, steps // each)
    return recipe._replace(epoch=steps // epochs * recipe.batch, epochs=epochs, fall=steps)


def _reads(net: interface.Network, size: int) -> bool:
    """Whether a network answers pictures of another side than its own."""
    device = next((p.device for p in net.model.parameters()), "cpu")
    try:
        with torch.inference_mode():
            said = net.model(net.preprocess(torch.full((2, 3, size, size), 0.5, device=device)))
    except Exception:  # noqa: BLE001 - whatever a stranger's network raises
        return False
    return tuple(said.shape) == (2, len(net.classes))


def enlarged(images: Tensor, before: Callable, size: int) -> Tensor:
    """What a network of one fixed side reads of smaller crops: (N, 3, h, w), resized (bilinear) to `size` pixels."""
    return before(nn.functional.interpolate(images, size=(size, size), mode="bilinear"))


def alone(plan: Tuning) -> float:
    """The network's accuracy, 0 to 1, on the pictures that judge, without any autoencoder."""
    images, labels = plan.judging
    said = interface.scores(plan.net, interface.to_tensor(images), 16).argmax(1).cpu().numpy()
    return float((said == labels).mean())


def found(plan: Tuning) -> own_decoders.Kept | None:
    """What was tuned in just this way before, if it was."""
    name = own_decoders.key(plan.world, plan.made_by)
    return next((one for one in own_decoders.kept(plan.net, plan.world) if one.path.stem == name), None)


def expected(plan: Tuning, device: str = "cpu") -> float:
    """Seconds that `tuned` will take, from a few real steps and readings. ValueError if the network cannot be tuned."""
    made = trained_autoencoders.autoencoder(own_decoders.WORLDS[plan.world], device=device)
    images, labels = plan.judging
    few = (images[: plan.recipe.batch], labels[: plan.recipe.batch])

    def steps(n: int) -> float:
        short = plan.recipe._replace(epoch=n * plan.recipe.batch, epochs=1)
        began = time.perf_counter()
        autoencoders.tune(made, plan.reading, partial(plan.fresh, short), short, few, best="", device=device)
        return time.perf_counter() - began

    try:
        steps(1)  # the first is slow
        one, n = steps(1), SAMPLE
        while (more := steps(1 + n)) - one < LEAST and n < 16 * SAMPLE:
            n *= 2
    except RuntimeError as error:
        raise ValueError(
            f"no decoder can be tuned on {plan.net.name} with {plan.recipe.precision} arithmetic: "
            f"{' '.join(str(error).split())[:200]}; `--precision 32-true` is the plain one"
        ) from error
    began = time.perf_counter()
    segnet.reconstruct(made, interface.to_tensor(few[0]))
    interface.scores(plan.net, interface.to_tensor(few[0]), 16)
    reading = (time.perf_counter() - began) * len(labels) / len(few[1])
    each = max(more - one, 0.0) / n
    return each * plan.recipe.epochs * (plan.recipe.epoch // plan.recipe.batch) + reading * (plan.recipe.epochs + 2)


def tuned(plan: Tuning, device: str = "cpu", progress: bool = False) -> own_decoders.Kept:
    """The decoder tuned as planned, taken from build/mine if it is there, else tuned and kept there.

    info: made_by (base, recipe, ...), history, alone and own (accuracy on the pictures that judge, without an
    autoencoder and through this one).
    """
    if there := found(plan):
        return there
    made = trained_autoencoders.autoencoder(own_decoders.WORLDS[plan.world], device=device)
    name = own_decoders.key(plan.world, plan.made_by)
    checkpoint = own_decoders.folder(plan.net) / f"{name}.ckpt"
    options = {"best": "", "checkpoint": checkpoint, "device": device, "progress": progress}
    data = partial(plan.fresh, plan.recipe)
    state, history = autoencoders.tune(made, plan.reading, data, plan.recipe, plan.judging, **options)
    history.pop("kept")
    halved = weights.as_stored(state)
    exact, rough = (_own(plan, one, device) for one in (state, halved))
    if round(exact, 3) == round(rough, 3):  # in the form in which the committed decoders are kept
        state, exact = halved, rough
    info = {"made_by": plan.made_by, "history": history, "alone": alone(plan), "own": exact}
    one = own_decoders.save(plan.net, plan.world, state, info)
    checkpoint.unlink(missing_ok=True)
    return one


def _own(plan: Tuning, state: dict[str, Tensor], device: str) -> float:
    """The network's accuracy on the pictures that judge through a decoder of this state."""
    images, labels = plan.judging
    made = trained_autoencoders.with_decoder(own_decoders.WORLDS[plan.world], state, "A", device)
    shown = segnet.reconstruct(made, interface.to_tensor(images), 8)
    return float((interface.scores(plan.net, shown, 16).argmax(1).cpu().numpy() == labels).mean())


def said(plan: Tuning, seconds: float) -> str:
    """What is about to be tuned and how long it takes, in a sentence or two."""
    classes, right = len(plan.net.classes), alone(plan)
    text = (
        f"{plan.net.name}: a decoder of its own is tuned for {plan.made_by['recipe']['fall']:,} steps of "
        f"{plan.recipe.batch} pictures ({plan.world}); this takes about {duration(seconds)} at this machine's present "
        "pace, once."
    )
    if right <= CHANCE / classes:
        text += (
            f" It names {100 * right:.1f} % of {len(plan.judging[1])} pictures right, which is chance: are its weights "
            "loaded, and its classes in the order of this world? Its place will mean nothing."
        )
    return text


def duration(seconds: float) -> str:
    """Seconds in words: '40 seconds', '23 minutes', '1.8 hours'."""
    if seconds < 90:
        return f"{max(2, round(seconds))} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def load(spec: str, device: str = "cpu") -> interface.Network:
    """A network by its name in the catalogue or its spec file, as it reads the pictures of its world. ValueError if its
    classes are of no world here."""
    net = catalogue.load(spec, device=device)
    return interface.resized(net, photo_networks.SIZE if world(net) == "photos" else cutouts.SIZE, device=device)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = store.parser(__doc__)
    parser.add_argument("spec", help="the path of a spec file, or torchvision:<name>")
    parser.add_argument("--steps", type=int, help="of tuning; default: 3,000 (photographs) or 10,000 (cutouts)")
    options = store.parsed(parser, arguments)
    repeatable(0, options.device)
    try:
        plan = planned(load(options.spec, options.device), options.steps, precision=options.precision)
        seconds = 0.0 if found(plan) else expected(plan, options.device)
    except (ValueError, OSError) as error:
        raise SystemExit(f"make_mine: {error}") from None
    if there := found(plan):
        print(f"{plan.net.name}: its decoder is there, tuned for {there.steps:,} steps.", flush=True)  # noqa: T201
        return
    print(said(plan, seconds), flush=True)  # noqa: T201 - what a person at the terminal waits for
    one = tuned(plan, options.device, not options.quiet)
    print(  # noqa: T201
        f"{plan.net.name}: reads {100 * one.info['alone']:.1f} % of {len(plan.judging[1])} pictures alone, "
        f"{100 * one.info['own']:.1f} % through its own decoder.",
        flush=True,
    )


if __name__ == "__main__":
    main()
