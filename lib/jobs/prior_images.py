"""Images through the generator prior at every setting, and in pixels (notebook 12)."""

from lib.experiments.n12_prior import measures
from lib.networks import zoo
from lib.running import job


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    nets = {seed: zoo.network("alexnet", seed) for seed in chosen["seeds"]}
    options = [chosen[name] for name in ("n_choose", "n_starts", "steps", "seed")]
    measures.through_priors(nets, *options)
    measures.modern(nets, *options)


main = job.of("12_generator_prior", compute)

if __name__ == "__main__":
    main()
