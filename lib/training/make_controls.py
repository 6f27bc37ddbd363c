"""`python -m lib.training.make_controls`: train the control networks of notebooks 12 and 13 from scratch.

Encoders with a wide code, which name all three cues of a picture (those of the two halves and LeNet-5's are not
committed: they stay in build/retrained/controls, where the training of generators finds them), networks of twenty
classes, detectors of the three modifications, networks of one pose, of varied pose and of several shapes, the mask
predictor, and the reader of silhouettes. lib/training/store.py says what becomes of a killed run.
"""

from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch

from lib.base import files, paths, weights
from lib.networks import control_networks, interface, mirrored_hue_reader, zoo
from lib.record import uncertainty
from lib.training import classifiers, loop, store
from lib.training.make_short_runs import shorter
from lib.worlds import control_worlds, cutouts

SEEDS = (0, 1, 2)
DETECTOR_SEED = 1  # of the detectors' own world: none of its pictures is one of the others
TEST = 2_000  # test pictures for the detectors and the mask predictor
POINTS = 0.005  # weights stay whole numbers where the accuracy agrees within half a point
THIN = classifiers.Recipe(rate=2.5e-3, epochs=10)
RECIPES = {
    "encoder": classifiers.Recipe(epochs=20),
    "modified": THIN._replace(epochs=14, improvement=0.02),
    "detector": classifiers.Recipe(images=40_000, epochs=6),
    "pose": THIN._replace(images=40_000, epochs=8, improvement=0.02),
    "silhouette": classifiers.Recipe(images=40_000, epochs=8),
    "objectness": classifiers.Recipe(images=16_000, epoch=8_000, validation=1_000, shift=0, epochs=7, batch=64),
}
KINDS = tuple(RECIPES)
ARCHITECTURES = {  # the others: alexnet_thin
    "encoder": "alexnet_wide",
    "detector": "resnet_thin",
    "objectness": "masker",
    "silhouette": "resnet",
}
ENCODERS = "controls/[hl]*-encoder-0"  # weights that are not committed: of the halves and of LeNet-5
MIRRORED = "bgr"  # the world whose detector is lib.networks.mirrored_hue_reader


class Job(NamedTuple):
    """One network: its kind (of RECIPES), the world it is trained on, its seed and its architecture."""

    kind: str
    world: str
    seed: int
    family: str

    @property
    def name(self) -> str:
        if self.kind in ("objectness", "silhouette"):
            return f"controls/{self.kind}"
        if self.kind == "encoder":
            whose = self.world if self.world in control_worlds.HALVES else self.family.removesuffix("_wide")
            return f"controls/{whose}-encoder-{self.seed}"
        return f"controls/{self.world}-{self.kind if self.kind == 'detector' else self.seed}"


def jobs(kinds=KINDS, seeds=SEEDS) -> list[list[Job]]:
    """All networks of these kinds; those of a group are trained on the same pictures, one after the other."""
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ValueError(f"kind of control network is {unknown[0]!r}, expected one of {', '.join(KINDS)}")
    halves, modified, poses = control_worlds.HALVES, control_worlds.MODIFICATIONS, tuple(control_worlds.POSES)
    worlds = {"encoder": ("cutouts", *halves), "modified": modified, "detector": modified, "pose": poses}
    several = {"modified": seeds, "pose": seeds}
    groups = [
        [Job(kind, world, seed, _family(kind, world)) for seed in several.get(kind, (0,))]
        for kind in kinds
        for world in worlds.get(kind, ("cutouts",))
    ]
    if "encoder" in kinds:  # AlexNet's at every seed, and LeNet-5's
        others = [Job("encoder", "cutouts", seed, "alexnet_wide") for seed in seeds if seed]
        groups += [others, [Job("encoder", "cutouts", 0, "lenet_wide")]]
    return [group for group in groups if group]


def recipe(job: Job) -> classifiers.Recipe:
    """The recipe of a network; the detector of BGR, the hardest, gets more pictures and epochs."""
    more = {"images": 60_000, "epochs": 10, "rate": 1e-3}
    return RECIPES[job.kind]._replace(**more) if job.family == "mirrored" else RECIPES[job.kind]


def _family(kind: str, world: str) -> str:
    return "mirrored" if (kind, world) == ("detector", MIRRORED) else ARCHITECTURES.get(kind, "alexnet_thin")


def data(kind: str, world: str, split: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, 64, 64, 3) uint8 and what a network of this kind is to say about them: (n,), or masks (n, 64, 64).

    A detector is trained on a world of another seed and tested on that of all others. For the mask predictor every
    second picture has no object. An encoder names all three cues, (n, 3). What is to be read as a silhouette has one
    colour, and neither that nor what lies behind it says anything about the shape (control_worlds.silhouettes).
    """
    if kind == "silhouette":
        shown = control_worlds.silhouettes(split, n)
        return shown.images, shown.cues[:, 0]
    if kind == "encoder":
        half = world in control_worlds.HALVES
        shown = control_worlds.pictures(world, split, n) if half else cutouts.batch(cutouts.World(), split, n)
        return shown.images, shown.cues
    if kind == "objectness":
        with_object = cutouts.batch(cutouts.World(), split, (n + 1) // 2)
        without = control_worlds.backgrounds(split, n // 2)
        images, masks = np.empty((n, *without.shape[1:]), np.uint8), np.zeros((n, *with_object.masks.shape[1:]), bool)
        images[::2], images[1::2], masks[::2] = with_object.images, without, with_object.masks
        return images, masks
    shown = control_worlds.pictures(world, split, n, DETECTOR_SEED if kind == "detector" and split != "test" else 0)
    if kind == "detector":
        return shown.images, (shown.labels >= cutouts.CLASSES).astype(np.int64)
    return shown.images, control_worlds.targets(world, shown)


def group(jobs: list[Job], recipe: classifiers.Recipe, device: str = "cpu", progress: bool = False) -> list[dict]:
    """Train networks that share a kind and a world, and write their weights; returns their infos. What is there by the
    same recipe is not trained again."""
    kind, world = jobs[0].kind, jobs[0].world
    first = data(kind, world, "train", 8)[0]
    shown = cache(partial(data, kind, world))  # read by the first that is trained, and shared
    infos = []
    for job in jobs:
        own = recipe._replace(seed=job.seed)
        made_by = _made_by(job, own, first)
        infos.append(store.once(job.name, made_by, partial(_train, job, own, shown, made_by, device, progress)))
    return infos


def _made_by(job: Job, recipe: classifiers.Recipe, first: np.ndarray) -> dict:
    model = control_networks.build(job.kind, job.family, job.world, job.seed)
    found = {"job": job._asdict(), "recipe": recipe._asdict(), "architecture": files.sha256(repr(model).encode())}
    if job.family == "mirrored":
        readers = (mirrored_hue_reader.START, "cutouts/reader-shape", "cutouts/reader-texture")
        found["readers"] = [weights.info(reader)["digest"] for reader in readers]
    return found | {"pixels": files.sha256(first.tobytes())}


def _train(job, recipe, shown, made_by, device, progress, checkpoint) -> dict:
    model = control_networks.build(job.kind, job.family, job.world, job.seed)
    sizes = {"train": recipe.images, "validation": recipe.validation}
    everything, held_out = (shown(split, n) for split, n in sizes.items())
    learner, wanted = model, [everything[1], held_out[1]]
    if job.family == "mirrored":
        learner = model.hue
        state = weights.load(mirrored_hue_reader.START)[0]
        learner.load_state_dict({k: v for k, v in state.items() if not k.startswith("fc8")}, strict=False)
        pictures = (control_worlds.pictures(job.world, split, n, DETECTOR_SEED) for split, n in sizes.items())
        wanted = [mirrored_hue_reader.hues(batch) for batch in pictures]
    data, validation = loop.sliced(recipe.epoch, everything[0], wanted[0]), (held_out[0], wanted[1])
    options = {"checkpoint": checkpoint, "device": device, "progress": progress}
    best, history = classifiers.fit(learner, data, validation, zoo.preprocess, recipe, **options)
    history.pop("kept")
    learner.cpu().load_state_dict(best)
    best = loop.copied(model)
    model.eval().requires_grad_(False)
    exact = measured(job, model, *held_out)
    info = {"made_by": made_by, "history": history, "torch": torch.__version__, "trained": exact}
    for form in ({"whole": True}, {"half": True}):
        model.load_state_dict(weights.as_stored(best, **form))
        info["validation"] = measured(job, model, *held_out)
        if all(abs(exact[key] - info["validation"][key]) <= POINTS for key in exact):
            break
    if job.kind in ("detector", "objectness"):
        info["test"] = tested(job, model, *shown("test", min(TEST, recipe.images)))
    return weights.save(job.name, best, info, **form)


def measured(job: Job, model, images: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """What is stored about a network, each from 0 to 1: `accuracy`; of those of twenty classes also over the ten
    labels, modified or not (`of_ten`), and of original against modified (`of_two`); of the mask predictor `iou`, the
    mean over pictures with an object of intersection over union."""
    found = _answers(job, model, images)
    if job.kind == "objectness":
        shown = right.any((1, 2))
        found, right = found[shown] > 0.5, right[shown]
        return {"iou": float(((found & right).sum((1, 2)) / (found | right).sum((1, 2))).mean())}
    accuracy = {"accuracy": float((found == right).mean())}
    if job.kind == "modified":
        accuracy["of_ten"] = float((found % 10 == right % 10).mean())
        accuracy["of_two"] = float((found // 10 == right // 10).mean())
    return accuracy


def tested(job: Job, model, images: np.ndarray, right: np.ndarray) -> dict:
    """The same on test pictures, and shares with 95 % Wilson intervals over pictures as {value, low, high, n}: of a
    detector how often it is right and how often it fires on modified and on original pictures; of the mask predictor
    how often `shows_one_object` says yes to pictures with and without an object."""
    if job.kind == "objectness":
        yes, sets = control_networks.shows_one_object(_answers(job, model, images)), right.any((1, 2))
        shares = {"one_object": yes[sets], "one_object_without": yes[~sets]}
    else:
        found, sets = _answers(job, model, images), right == 1
        shares = {
            "right": found == right,
            "fires_on_modified": found[sets] == 1,
            "fires_on_original": found[~sets] == 1,
        }
    shares = {name: uncertainty.wilson(int(hits.sum()), len(hits))._asdict() for name, hits in shares.items()}
    return measured(job, model, images, right) | shares


def _answers(job: Job, model, images: np.ndarray) -> np.ndarray:
    """The class that the network names, (n,), or the mask predictor's probabilities (n, 64, 64)."""
    names = control_networks.answers(job.kind, job.world)
    net = interface.Network(job.name, model, zoo.preprocess, zoo.SIZE, names, {}, "")
    if job.kind == "objectness":
        return control_networks.mask_probabilities(net, interface.to_tensor(images)).numpy()
    return interface.scores(net, interface.to_tensor(images), batch=250).argmax(1).numpy()


def here(run, kinds=KINDS, seeds=SEEDS, images: int = 60_000, epochs: int = 20) -> None:
    """Train these networks for a notebook run with `retrain = True` (store.notebook), with at most so many pictures and
    epochs. The rest of the process reads all its weights from there: train the zoo there as well (make_zoo.here)."""
    store.notebook(run)
    for task in jobs(kinds, seeds):
        chosen = shorter(recipe(task[0])._replace(precision=loop.precision(run.device)), images, epochs)
        group(task, chosen, run.device, progress=True)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = store.parser(__doc__, bars=False)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS)
    options = store.parsed(parser, arguments)
    groups = jobs(options.kinds)
    tasks = [partial(group, g, recipe(g[0])._replace(precision=options.precision), options.device) for g in groups]
    readers = {paths.weights(): ("cutouts/reader-*",)}  # the detector of BGR is put together with them
    store.retrain("controls", [tasks], options, readers, stays=ENCODERS)


if __name__ == "__main__":
    main()
