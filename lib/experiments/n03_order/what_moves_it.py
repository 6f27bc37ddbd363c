"""What moves the order of the signals: the length of tuning, the stride of the stem, the cues that a signal keeps.

None of it is in Palacio et al. 2018. `python -m lib.jobs.growth --profile embedded` is the job that fills the cache of
answers with what notebook 03 asks beyond lib/experiments/shared/through_autoencoders.py.
"""

import numpy as np

from lib.base import weights
from lib.experiments.shared import through_autoencoders
from lib.methods.signals import checkerboard
from lib.methods.signals.total_order import readability, rrc, summed_range, widest_range
from lib.networks import interface, segnet, single_cue_readers, trained_autoencoders, zoo
from lib.worlds import cutouts

EPOCHS = (0, *trained_autoencoders.KEPT)  # of tuning, whose states are kept; 0 is A_S


def moved(families, seeds, tables, pictures: cutouts.Batch, few: cutouts.Batch, device="cpu") -> tuple[list, list]:
    """The rows of `by_epoch` and of `by_stride`."""
    grown = by_epoch(families, seeds, tables, pictures, device)
    return grown, by_stride(families, seeds, tables, pictures, few, device)


def by_epoch(families, seeds, tables, pictures: cutouts.Batch, device="cpu") -> list[dict]:
    """How the order grows with tuning: rows {seed, state, epoch, readability, widest, summed}, each seed and the mean.

    state: "kept" after so many epochs (0 is A_S, the same signal for all), "default" as the stopping rule chose it, at
    the mean of its epochs, "fast" at ten times the rate, for the seeds that have it. tables: (S, k, k, n) of the
    default decoders, whose first pictures are `pictures`.
    """
    stages = [
        np.stack([through_autoencoders.table(families, s, pictures, epoch=e, device=device) for s in seeds])
        for e in EPOCHS
    ]
    lengths = np.array([[weights.info(f"autoencoders/{f}-{s}")["history"]["epochs"] for f in families] for s in seeds])
    stages = [("kept", np.full(lengths.shape, epoch), stage) for epoch, stage in zip(EPOCHS, stages, strict=True)]
    stages.append(("default", lengths, tables[..., : len(pictures.labels)]))
    parts = []
    for state, epochs, stage in stages:
        accuracies = stage.mean(-1)
        parts += [(state, *part) for part in zip(seeds, epochs, accuracies, strict=True)]
        parts.append((state, "mean", epochs, accuracies.mean(0)))
    bold = {s: table.mean(-1) for s, table in through_autoencoders.fast(families, seeds, pictures, device).items()}
    parts += [("fast", s, max(EPOCHS), table) for s, table in bold.items()]
    parts += [("fast", "mean", max(EPOCHS), np.mean([*bold.values()], 0))] if set(bold) == set(seeds) else []
    rows = []
    for state, name, epoch, part in parts:
        found = rrc(part)
        row = {"seed": name, "state": state, "epoch": float(np.mean(epoch))}
        row |= {"readability": float(readability(found).mean())}
        rows.append(row | {"widest": widest_range(found), "summed": summed_range(found)})
    return rows


def variants(families, seeds, pictures: cutouts.Batch, device="cpu") -> dict[tuple, np.ndarray]:
    """VGG with a stem of stride 2 and 4, where there are such: {(seed, stride): (k, n) bool}, who reads its signal; in
    VGG's own place stands the variant itself."""
    found, there = {}, weights.names("autoencoders") if "vgg" in families else []
    for seed in seeds:
        nets = through_autoencoders.zoo_of(families, seed, device)
        for stride in (2, 4):
            if f"autoencoders/{(name := f'vgg_stride{stride}')}-{seed}" in there:
                nets[families.index("vgg")] = zoo.network(name, seed, device)
                found[seed, stride] = through_autoencoders.hits(
                    through_autoencoders.tuned(name, seed, device=device), nets, pictures
                )
    return found


def by_stride(families, seeds, tables, pictures: cutouts.Batch, few: cutouts.Batch, device="cpu") -> list[dict]:
    """How well the others read the signal of VGG with a stem of stride 1, 2 and 4, and its checkerboard index on a
    `few` pictures: rows {seed, stride, readability, checkerboard}. tables: (S, k, k, n), beginning with `pictures`."""
    rows, found, images = [], variants(families, seeds, pictures, device), interface.to_tensor(few.images)
    for s, seed in enumerate(seeds):
        for stride in (1, 2, 4) if (seed, 2) in found else ():
            table, place = tables[s, ..., : len(pictures.labels)].mean(-1), families.index("vgg")
            if stride > 1:
                table[place] = found[seed, stride].mean(-1)
            made = through_autoencoders.tuned("vgg" if stride == 1 else f"vgg_stride{stride}", seed, device=device)
            plain = through_autoencoders.tuned("vgg", seed, epoch=0, device=device)
            change = segnet.reconstruct(made, images) - segnet.reconstruct(plain, images)
            row = {"seed": seed, "stride": stride, "readability": float(readability(rrc(table))[place])}
            rows.append(row | {"checkerboard": checkerboard.checkerboard(change.numpy())})
    return rows


def readings(families, seeds, pictures: cutouts.Batch, how: str = "", device="cpu") -> dict[str, np.ndarray]:
    """What might explain the order of the signals, by title: how often single-cue readers still name each cue in A_i's
    reconstructions (S, k), and the stride of i's first convolution, pixels (k,)."""
    readers, kept = [single_cue_readers.reader(cue) for cue in cutouts.CUES], np.zeros((3, len(seeds), len(families)))
    for s, seed in enumerate(seeds):
        for k, family in enumerate(families):
            said = through_autoencoders.answers(
                through_autoencoders.tuned(family, seed, how, device=device), readers, pictures
            )
            kept[:, s, k] = [(one.argmax(1) == cue).mean() for one, cue in zip(said, pictures.cues.T, strict=True)]
    found = {f"{cue} still read, share": one for cue, one in zip(cutouts.CUES, kept, strict=True)}
    return found | {"stride of the stem, pixels": np.array([stem_stride(family) for family in families])}


def stem_stride(family: str) -> int:
    """Stride of a family's first convolution, pixels."""
    return next(module.stride[0] for module in zoo.build(family).modules() if hasattr(module, "kernel_size"))


def parameters(family: str) -> int:
    """Number of a family's parameters."""
    return sum(parameter.numel() for parameter in zoo.build(family).parameters())
