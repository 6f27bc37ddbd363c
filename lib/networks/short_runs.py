"""The short runs of AlexNet behind claims E2 and E3: which there are, and what their weights are called.

E2 trains at 1, 3, 10 and 30 times the zoo's learning rate, E3 on 1,000 pictures with and without weight decay;
`python -m lib.training.make_short_runs` trains them.
"""

from typing import NamedTuple

from torch import Tensor

FAMILY, SEEDS = "alexnet", tuple(range(8))
RATES = (1, 10, 3, 30)  # times the zoo's learning rate; the pairs of the claim first
DECAY = 1.0  # E3's weight decay, the largest tried that passed the pilot: training accuracy 0.96 (2.0: 0.87, 4.0: 0.70)
KEPT = (16, 64, 256)  # steps of E3's runs whose first layer is kept as well, for the first two seeds
MAPS = ("conv1", "conv2", "conv3", "conv4", "conv5")
UNITS = (*MAPS, "fc6", "fc7")


class Job(NamedTuple):
    """One run: `rate` at `value` times the zoo's learning rate, or `fixed` with weight decay `value`."""

    kind: str
    value: float
    seed: int

    @property
    def name(self) -> str:
        """What its weights are called."""
        how = f"rate{self.value:g}" if self.kind == "rate" else "decay" if self.value else "plain"
        return f"filters/{FAMILY}-{how}-{self.seed}"


def first_layer(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The part of a state dict that is kept of E3's runs."""
    return {"conv1.conv.weight": state["conv1.conv.weight"]}
