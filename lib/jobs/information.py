"""Mutual information of pictures and reconstructions, of every autoencoder (notebook 04)."""

from lib.experiments.n04_information import counted
from lib.experiments.shared import through_autoencoders
from lib.networks import trained_autoencoders, zoo
from lib.running import job
from lib.worlds import cutouts


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    families, seeds, bins = zoo.chosen(chosen["families"]), chosen["seeds"], counted.both(chosen["bins"])
    pictures = {n: cutouts.batch(cutouts.World(), "test", chosen[n]) for n in ("n_test", "n_growth")}
    counted.collect(families, seeds, pictures["n_test"], bins, chosen["n_adjusted"])
    for epoch in trained_autoencoders.KEPT:
        counted.collect(families, seeds, pictures["n_growth"], bins[:1], 2, epoch=epoch)
    counted.collect(families, through_autoencoders.bold(families, seeds), pictures["n_growth"], bins[:1], 2, how="fast")


main = job.of("04_nmi", compute)

if __name__ == "__main__":
    main()
