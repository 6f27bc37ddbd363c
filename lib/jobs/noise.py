"""Readings of noisy pictures with and without an autoencoder before the classifier (notebook 05)."""

from lib.experiments.n05_noise import noise
from lib.networks import zoo
from lib.running import job


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    pictures = noise.balanced(chosen["n_pictures"])
    families, seeds = zoo.chosen(chosen["families"]), chosen["seeds"]
    noise.read(families, seeds, pictures, chosen["levels"], chosen["seed"])
    noise.read(families, seeds[:1], pictures, chosen["levels"], chosen["seed"], "clean")


main = job.of("05_noise_and_literature", compute)

if __name__ == "__main__":
    main()
