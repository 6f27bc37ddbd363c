"""What every classifier reads in every signal, within and across seeds (notebooks 02 to 05)."""

from lib.experiments.shared import regime, tunings
from lib.experiments.shared import through_autoencoders as signals
from lib.running import job
from lib.worlds import batches


def compute(chosen: dict) -> None:
    """Fill the cache with what the notebook reads. chosen: its parameters in a profile."""
    seeds = chosen["seeds"]
    families, how = tunings.chosen(chosen["tuning"], chosen["families"], [*seeds, regime.SEED], world=chosen["world"])
    pictures = {n: batches.test(chosen["world"], chosen[n]) for n in ("n_test", "n_across", "n_few")}
    nets = {seed: signals.zoo_of(families, seed) for seed in seeds}
    everybody = [net for seed in seeds for net in nets[seed]]
    for made in (None, signals.first(families)):
        signals.answers(made, everybody, pictures["n_test"])
    for seed in seeds:
        others = [net for other in seeds if other != seed for net in nets[other]]
        for made in (signals.tuned(family, seed, how) for family in families):
            signals.answers(made, nets[seed], pictures["n_test"])
            signals.answers(made, others, pictures["n_across"])
    if chosen["world"] == "cutouts":
        signals.table(families, regime.SEED, pictures["n_few"], how)
    if chosen["world"] == "photos":
        for family in (family for family in tunings.AGAIN if family in families):
            for _, seed, ending in tunings.AGAIN[family]:
                signals.answers(signals.tuned(family, seed, ending), nets[seeds[0]], pictures["n_few"])


main = job.of("03_total_order", compute)

if __name__ == "__main__":
    main()
