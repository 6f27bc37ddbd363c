"""Images through generators of other data, for other architectures and modified classes (notebook 13)."""

from lib.experiments.n13_controls import modified_classes, other_data_and_networks
from lib.networks import zoo
from lib.running import job


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    search = other_data_and_networks.Search(*(chosen[name] for name in ("n_starts", "steps", "rate", "norm", "seed")))
    other_data_and_networks.architectures(zoo.chosen(chosen["families"]), chosen["seeds"], search)
    modified_classes.units(chosen["modifications"], chosen["seeds"], search)


main = job.of("13_generator_controls", compute)

if __name__ == "__main__":
    main()
