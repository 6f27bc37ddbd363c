"""Readings of noisy pictures with and without an autoencoder before the classifier (notebook 05)."""

from lib.experiments.n05_noise import noise
from lib.experiments.shared import tunings
from lib.running import job


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    pictures, levels = noise.test(chosen["world"], chosen["n_pictures"]), chosen["levels"]
    families, how = tunings.chosen(chosen["tuning"], chosen["families"], chosen["seeds"], world=chosen["world"])
    found = noise.read(families, chosen["seeds"], pictures, levels, chosen["seed"], how)
    if chosen["world"] == "cutouts":
        noise.through("pretrained-clean", noise.only(found, chosen["seeds"][0]), pictures, chosen["seed"])


main = job.of("05_noise_and_literature", compute)

if __name__ == "__main__":
    main()
