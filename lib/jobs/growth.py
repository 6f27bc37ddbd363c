"""Readings through states on the way, strided stems and untrained networks (notebook 03)."""

from lib.experiments.n03_order import across_seeds, what_moves_it
from lib.experiments.shared import through_autoencoders
from lib.networks import zoo
from lib.running import job
from lib.worlds import cutouts


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    families, seeds = zoo.chosen(chosen["families"]), chosen["seeds"]
    pictures = {n: cutouts.batch(cutouts.World(), "test", chosen[n]) for n in ("n_growth", "n_few")}
    what_moves_it.readings(families, seeds, pictures["n_few"])
    across_seeds.untrained(families, seeds[0], pictures["n_few"])
    what_moves_it.variants(families, seeds, pictures["n_growth"])
    through_autoencoders.fast(families, seeds, pictures["n_growth"])


main = job.of("03_total_order", compute)

if __name__ == "__main__":
    main()
