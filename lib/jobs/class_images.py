"""Images that maximise a class under every regulariser and objective (notebook 11)."""

from lib.experiments.n11_ascent import measures
from lib.networks import zoo
from lib.running import job


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    nets = {seed: zoo.network(chosen["family"], seed) for seed in chosen["seeds"]}
    counts = [chosen[name] for name in ("n_starts", "steps", "seed")]
    measures.regularisers(nets, chosen["n_choose"], *counts)
    measures.strengths(nets, chosen["l2"], *counts)


main = job.of("11_activation_maximisation", compute)

if __name__ == "__main__":
    main()
