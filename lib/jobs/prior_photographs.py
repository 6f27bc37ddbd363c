"""Images of ImageNet networks through a generator of photographs, and without one (notebook 12)."""

from lib.experiments.n12_prior import of_photographs
from lib.methods.ascent import generator_prior
from lib.networks import catalogue
from lib.running import job


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    nets, prior = [catalogue.load(name) for name in chosen["networks"]], generator_prior.load(chosen["generator"])
    options = {"starts": chosen["photo_starts"], "steps": chosen["photo_steps"], "seed": chosen["seed"]}
    of_photographs.paint(nets, prior, chosen["names"], **options)


main = job.of("12_generator_prior", compute)

if __name__ == "__main__":
    main()
