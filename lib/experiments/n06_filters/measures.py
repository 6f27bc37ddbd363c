"""The measurements behind claims E1, E2 and E3 (notebook 06): from checkpoints and from the short runs of
lib/training/make_short_runs.py to what `claims.record` takes."""

from collections.abc import Iterable

import numpy as np
import torch

from lib.base import weights
from lib.methods.layers import first_layer, sparseness
from lib.networks import interface, short_runs, zoo
from lib.networks.short_runs import MAPS, UNITS, Job
from lib.record import uncertainty
from lib.record.seeds import recordable

CLAIMED = "Gini"  # the measure of claim E1
NAMED = ("zeros", "strongest quarter")


# --------------------------------------------------------------- E1: sparse and localised with training?


def stages(family: str, seed: int) -> dict[int, str]:
    """The states of a network's training that can be read, {step: stage of zoo.network}; the trained one is last."""
    name = f"cutouts/{family}-{seed}"
    kept = sorted(int(one.rpartition("step")[2]) for one in weights.names() if one.startswith(f"{name}-step"))
    return {0: "step0"} | {step: f"step{step}" for step in kept} | {weights.info(name)["history"]["steps"]: ""}


def evolution(families, seeds, images: torch.Tensor, device="cpu") -> dict[tuple, dict[str, np.ndarray]]:
    """Every measure of sparseness of every image at every kept state, {(family, seed, step): {measure: (N,)}}.

    ValueError for a family without a ReLU, before anything is computed.
    """
    nets = [
        (family, seed, step, zoo.network(family, seed, device, stage=stage))
        for family in families
        for seed in seeds
        for step, stage in stages(family, seed).items()
    ]
    for *_, net in nets:
        sparseness.rectified(net)
    return {(family, seed, step): sparseness.sparsity(net, images) for family, seed, step, net in nets}


def evolution_rows(found: dict[tuple, dict]) -> list[dict]:
    """The means over images of `evolution`, one row a network and step."""
    return [
        {"family": family, "seed": seed, "step": step} | {name: np.nanmean(v) for name, v in values.items()}
        for (family, seed, step), values in found.items()
    ]


def change(found: dict[tuple, dict], measure: str, seeds: Iterable[int]) -> np.ndarray:
    """What training did to a measure of each image: last state minus first, mean over families and seeds: (N,)."""
    families, parts = list(dict.fromkeys(family for family, *_ in found)), []
    for family in families:
        for seed in seeds:
            steps = [step for one, other, step in found if (one, other) == (family, seed)]
            parts.append(found[family, seed, max(steps)][measure] - found[family, seed, min(steps)][measure])
    return np.mean(parts, 0)


def sparser(found: dict[tuple, dict], generator: np.random.Generator) -> dict:
    """Claim E1: the change of the Gini coefficient over all seeds and for each, with the two named measures."""

    def mean(measure: str, seeds) -> uncertainty.Estimate:
        return uncertainty.bootstrap_mean(change(found, measure, seeds), generator=generator)

    seeds = sorted({seed for _, seed, _ in found})
    each = {seed: mean(CLAIMED, [seed]) for seed in seeds}
    named = {measure: mean(measure, seeds) for measure in NAMED}
    return recordable(mean(CLAIMED, seeds), each, named)


# ------------------------------------------------------------------------- E2: do high rates kill maps?


def rate_runs(rates=short_runs.RATES, runs: int = 8) -> dict[tuple, dict]:
    """The short runs: {(rate, seed): {"silent": {layer: share of the pictures in which each map is zero (C,)},
    "accuracy", "diverged": step or None}}."""
    if not {1, 10} <= set(rates):
        raise ValueError(f"rates is {list(rates)}, expected the pair that claim E2 compares, 1 and 10, among them")
    found = {}
    for rate in rates:
        for seed in range(runs):
            state, info = weights.load(Job("rate", rate, seed).name)
            pictures = info["made_by"]["recipe"]["validation"]
            silent = {layer: state[f"{layer}.silent"].numpy() / pictures for layer in UNITS}
            found[rate, seed] = {"silent": silent, "accuracy": info["accuracy"]["validation"]}
            found[rate, seed]["diverged"] = info["diverged"]
    return found


def dead_share(run: dict, layers=MAPS) -> float:
    """Share of the maps of these layers, taken together, that are zero in every validation picture."""
    return float((np.concatenate([run["silent"][layer] for layer in layers]) == 1).mean())


def deadlier(found: dict[tuple, dict], generator: np.random.Generator, rate: float = 10) -> dict:
    """Claim E2: the share of dead maps at `rate` times the tuned learning rate minus that at the tuned one, over the
    pairs of runs with the same seed; named: the same for the other rates."""

    def more(rate: float) -> uncertainty.Estimate:
        pairs = [dead_share(found[rate, s]) - dead_share(found[1, s]) for one, s in found if one == rate]
        return uncertainty.bootstrap_mean(pairs, generator=generator)

    others = [other for other in dict.fromkeys(one for one, _ in found) if other not in (1, rate)]
    broken = sum(run["diverged"] is not None for run in found.values())
    note = f"{broken} of {len(found)} runs ended in a loss that is no number."
    return recordable(more(rate), named={f"{r} times": more(r) for r in others}) | {"note": note}


def dead_rows(found: dict[tuple, dict]) -> list[dict]:
    """One row a run and layer: how many of its maps (units) are dead, and how many it has."""
    return [
        {"rate": rate, "seed": seed, "layer": layer, "dead": int((silent == 1).sum()), "maps": len(silent)}
        | {"accuracy": run["accuracy"], "diverged": run["diverged"] is not None}
        for (rate, seed), run in found.items()
        for layer, silent in run["silent"].items()
    ]


def fast(rate: int = 10, seed: int = 0, device="cpu") -> interface.Network:
    """The convolutions of a short run at `rate` times the tuned learning rate; the layers above are untrained."""
    state, info = weights.load(f"{Job('rate', rate, seed).name}-convolutions")
    model = zoo.build(short_runs.FAMILY, seed=seed)
    model.load_state_dict(model.state_dict() | state)
    layers = {layer: path for layer, path in zoo.layers(short_runs.FAMILY).items() if layer.startswith("conv")}
    model.eval().requires_grad_(False).to(device)
    return interface.Network(f"{rate} times the rate", model, zoo.preprocess, zoo.SIZE, (), layers, info["digest"])


def tuned(seed: int = 0, device="cpu") -> interface.Network:
    """The zoo's own network of that seed at the kept state nearest to the short runs' length."""
    length = weights.info(Job("rate", 1, seed).name)["history"]["steps"]
    kept = stages(short_runs.FAMILY, seed)
    return zoo.network(short_runs.FAMILY, seed, device, stage=kept[min(kept, key=lambda step: abs(step - length))])


def twins(seed: int = 0, device="cpu") -> dict[str, interface.Network]:
    """`tuned` of a seed and `fast`, whose weights are kept for seed 0, by the title of their panel."""
    return {"the zoo's learning rate": tuned(seed, device=device), "ten times the rate": fast(10, device=device)}


def silence(net: interface.Network, images: torch.Tensor) -> dict[str, np.ndarray]:
    """Which maps of the five convolutions are zero everywhere in which image: {layer: (N, C) bool}."""
    return {layer: (peak == 0).cpu().numpy() for layer, peak in sparseness.peaks(net, images, list(MAPS)).items()}


# -------------------------------------------------------------------------------- E3: smooth filters?


def first_layers(nets: list[interface.Network], generator: np.random.Generator) -> list[dict]:
    """`first_layer.summary` of each network, with its start where it is one of the zoo's."""
    found = []
    for net in nets:
        family, _, seed = net.name.rpartition("-")
        start = zoo.network(family, int(seed), stage="step0") if family in zoo.FAMILIES else None
        found.append(first_layer.summary(net, generator, start))
    return found


ARMS = {"with weight decay": short_runs.DECAY, "without weight decay": 0.0}


def fixed_runs(runs: int = 8) -> dict[tuple, np.ndarray]:
    """First layers of the runs on a fixed set, {(arm, seed, step): (C, 3, k, k)}; step 0 is what the seed drew."""
    found, known = {}, set(weights.names("filters"))
    for arm, decay in ARMS.items():
        for seed in range(runs):
            job = Job("fixed", decay, seed)
            state, info = weights.load(job.name)
            untrained = zoo.build(short_runs.FAMILY, seed=seed).state_dict()
            found[arm, seed, 0] = _first(untrained)
            for step in short_runs.KEPT:
                if f"{job.name}-step{step}" in known:
                    found[arm, seed, step] = _first(weights.load(f"{job.name}-step{step}")[0])
            found[arm, seed, info["history"]["steps"]] = _first(state)
    return found


def _first(state: dict) -> np.ndarray:
    return short_runs.first_layer(state)["conv1.conv.weight"].double().numpy()


def filter_rows(layers: dict[tuple, np.ndarray]) -> list[dict]:
    """Smoothness and median Gabor fit of every first layer {(arm, seed, step): (C, 3, k, k)}, one row each."""
    done, rows = {}, []
    for (arm, seed, step), kernels in layers.items():
        key = kernels.tobytes()  # both arms of a seed start from one state
        if key not in done:
            done[key] = first_layer.smoothness(kernels), float(np.median(first_layer.gabor_fits(kernels)))
        rows.append({"arm": arm, "seed": seed, "step": step, "smoothness": done[key][0], "gabor": done[key][1]})
    return rows


def remaining(recipe: dict[str, float], steps: int) -> float:
    """What AdamW's weight decay leaves of a weight's start after so many steps (1 without decay).

    recipe: `rate` and `decay`, and `warmup`, the steps over which the rate rises linearly.
    """
    rates = recipe["rate"] * np.minimum(1, (1 + np.arange(steps)) / recipe["warmup"])
    return float(np.prod(1 - rates * recipe["decay"]))


def learnt(layers: dict[tuple, np.ndarray]) -> dict[str, dict[str, float]]:
    """For each arm, mean over seeds: smoothness of what training added to the start (the trained first layer minus
    what weight decay left of its start), and the correlation of the trained layer with its start."""
    found, last = {arm: [] for arm in ARMS}, max(step for *_, step in layers)
    for (arm, seed, step), kernels in layers.items():
        if step == last:
            recipe = weights.info(Job("fixed", ARMS[arm], seed).name)["made_by"]["recipe"]
            start = layers[arm, seed, 0]
            added = first_layer.smoothness(kernels - remaining(recipe, step) * start)
            found[arm].append((added, np.corrcoef(kernels.ravel(), start.ravel())[0, 1]))
    names = ("smoothness of what was added", "correlation with the start")
    return {arm: dict(zip(names, np.mean(v, 0).round(2).tolist(), strict=True)) for arm, v in found.items()}


def ends(layers: dict[tuple, np.ndarray], seed: int = 0) -> list[tuple]:
    """The first layers of a seed before and after training, as panels (title, pictures) for plots.filters."""
    last, arms = max(step for *_, step in layers), list(ARMS)
    keys = {"before": (arms[0], seed, 0)} | {arm: (arm, seed, last) for arm in arms}
    return [(title, first_layer.pictures(layers[key])) for title, key in keys.items()]


def chance(layers: dict[tuple, np.ndarray], generator: np.random.Generator) -> dict[str, float]:
    """What white noise of these layers' shape gives: {"smoothness", "gabor" (median filter)}."""
    drawn = first_layer.noise(next(iter(layers.values())).shape, generator)
    return {"smoothness": first_layer.smoothness(drawn), "gabor": float(np.median(first_layer.gabor_fits(drawn)))}


def _ends(rows: list[dict], arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Smoothness before and after training of every seed of an arm."""
    seeds = sorted({row["seed"] for row in rows})
    mine = {(row["seed"], row["step"]): row["smoothness"] for row in rows if row["arm"] == arm}
    last = max(step for _, step in mine)
    return np.array([mine[seed, 0] for seed in seeds]), np.array([mine[seed, last] for seed in seeds])


def smoother(rows: list[dict], generator: np.random.Generator) -> dict:
    """Claim E3a: smoothness after training with weight decay minus before; named: the same without."""
    after = {arm: np.subtract(*_ends(rows, arm)[::-1]) for arm in ARMS}
    with_decay, without = (uncertainty.bootstrap_mean(after[arm], generator=generator) for arm in ARMS)
    return recordable(with_decay, named={"without weight decay": without})


def decayed(rows: list[dict], generator: np.random.Generator) -> dict:
    """Claim E3b: smoothness after training with weight decay minus without, in pairs of one seed."""
    one, other = (_ends(rows, arm)[1] for arm in ARMS)
    return recordable(uncertainty.bootstrap_mean(one - other, generator=generator))
