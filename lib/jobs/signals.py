"""What every classifier reads in every signal, within and across seeds (notebooks 02 to 05)."""

from lib.experiments.shared import regime, tunings
from lib.experiments.shared import through_autoencoders as signals
from lib.running import job
from lib.worlds import cutouts


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    seeds = chosen["seeds"]
    families, how = tunings.chosen(chosen["tuning"], chosen["families"], [*seeds, regime.SEED])
    pictures = {n: cutouts.batch(cutouts.World(), "test", chosen[n]) for n in ("n_test", "n_across", "n_few")}
    nets = {seed: signals.zoo_of(families, seed) for seed in [*seeds, regime.SEED]}
    everybody = [net for seed in seeds for net in nets[seed]]
    for made in (None, signals.first(families)):
        signals.answers(made, everybody, pictures["n_test"])
    for seed in seeds:
        others = [net for other in seeds if other != seed for net in nets[other]]
        for family in families:
            signals.answers(signals.tuned(family, seed, how), nets[seed], pictures["n_test"])
            signals.answers(signals.tuned(family, seed, how), others, pictures["n_across"])
    signals.table(families, regime.SEED, pictures["n_few"], how)


main = job.of("03_total_order", compute)

if __name__ == "__main__":
    main()
