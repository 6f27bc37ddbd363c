"""Mutual information of pictures and reconstructions, of every autoencoder (notebook 04)."""

from lib.experiments.n04_information import counted, measures
from lib.experiments.shared import regime, tunings
from lib.running import job
from lib.worlds import batches


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    seeds, first, bins = chosen["seeds"], regime.SEED, counted.both(chosen["bins"])
    families, how = tunings.chosen(chosen["tuning"], chosen["families"], [*seeds, first], world=chosen["world"])
    pictures = {n: batches.test(chosen["world"], chosen[n]) for n in ("n_test", "n_growth")}
    counted.collect(families, seeds, pictures["n_test"], bins, chosen["n_adjusted"], how=how)
    if chosen["world"] == "cutouts":
        measures.states(families, pictures["n_growth"], chosen["bins"])


main = job.of("04_nmi", compute)

if __name__ == "__main__":
    main()
