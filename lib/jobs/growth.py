"""Readings through decoders that were tuned in other ways, by single-cue readers, and on untrained networks (notebook
03)."""

import numpy as np

from lib.experiments.n03_order import across_seeds, what_moves_it
from lib.experiments.shared import regime, separation, tunings
from lib.running import job
from lib.worlds import cutouts


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    if chosen["world"] != "cutouts":  # where nothing was tuned in other ways
        return
    seeds, first = chosen["seeds"], regime.SEED
    families, how = tunings.chosen(chosen["tuning"], chosen["families"], [*seeds, first])
    few = cutouts.batch(cutouts.World(), "test", chosen["n_few"])
    what_moves_it.readings(families, seeds, few, how)
    across_seeds.untrained(tunings.gentle(families), first, few)
    changed = separation.chosen(chosen["changed"], families)
    separation.readings(changed, families, few, np.random.default_rng(0))


main = job.of("03_total_order", compute)

if __name__ == "__main__":
    main()
