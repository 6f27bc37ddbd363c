"""What every network of the zoo and the single-cue readers say of the test pictures (notebook 01)."""

from lib.experiments.n01_zoo import accuracies
from lib.experiments.shared import answers
from lib.networks import zoo
from lib.running import job
from lib.worlds import cutouts


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    world = cutouts.World()
    sets = {split: cutouts.batch(world, split, chosen[f"n_{split}"]) for split in ("test", "new_background")}
    for pictures in sets.values():
        for family in zoo.chosen(chosen["families"], zoo.EVERY):
            for seed in chosen["seeds"]:
                answers.probabilities(zoo.network(family, seed), pictures)
        accuracies.pixel_ceiling(world, pictures)


main = job.of("01_worlds_and_classifiers", compute)

if __name__ == "__main__":
    main()
