"""What the zoo reads through A_S's variants and through decoders tuned in other ways (notebook 02)."""

from lib.experiments.n02_reconstructions import costs
from lib.networks import zoo
from lib.running import job
from lib.worlds import cutouts


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    pictures = cutouts.batch(cutouts.World(), "test", chosen["n_test"])
    costs.halves(chosen["seeds"], pictures)
    costs.variants(
        zoo.chosen(chosen["families"]), chosen["seeds"], cutouts.batch(cutouts.World(), "test", chosen["n_variants"])
    )


main = job.of("02_reconstruction_comparison", compute)

if __name__ == "__main__":
    main()
