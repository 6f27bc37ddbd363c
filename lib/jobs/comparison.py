"""What the zoo reads through A_S's variants and through decoders tuned in other ways (notebook 02)."""

from lib.experiments.n02_reconstructions import costs
from lib.experiments.shared import tunings
from lib.running import job
from lib.worlds import batches


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    seeds = chosen["seeds"]
    families, how = tunings.chosen(chosen["tuning"], chosen["families"], seeds, world=chosen["world"])
    pictures = batches.test(chosen["world"], chosen["n_test"])
    costs.table_one(families, seeds, pictures, how)
    if chosen["world"] != "cutouts":  # where there is one A_S, and one way to tune
        return
    costs.halves(tunings.TUNINGS["gentle"].seeds, pictures)
    costs.variants(families, seeds, batches.test(chosen["world"], chosen["n_variants"]))


main = job.of("02_reconstruction_comparison", compute)

if __name__ == "__main__":
    main()
