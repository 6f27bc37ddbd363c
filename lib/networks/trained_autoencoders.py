"""The autoencoders that this project trained: A_S, variants of it, and every A_i.

Names in data/weights/autoencoders: `pretrained` is A_S; `pretrained-clean` saw no noise, `pretrained-small` only a few
pictures again and again. `alexnet-1` is A_S with its decoder tuned on the AlexNet of seed 1; endings tell the rest:
`-encoder`, `-both`, `-fresh` what was tuned instead (fresh: a decoder from random weights), `-untrained` on the network
before its training; `-rate0.01` after 10,000 steps of that largest rate on pictures that no classifier has seen
(lib/training/make_signals.py), with one more ending where one thing differs: `-epoch5` a state on the way, `-blind`
(the decoder is not told where the maxima were), `-five` (pools, not three), `-narrow` and `-wide` (half and twice the
maps), `-own` (the pictures that the classifier was trained on).
"""

from torch import Tensor, nn

from lib.base import weights
from lib.base.identity import state_digest
from lib.networks import segnet

RATE = 3e-2  # the largest rate that the rule of lib/experiments/shared/regime.py chose; a test asks the rule again
CHOSEN_ON = 0  # the training seed on which it chose, and of which states on the way are kept
CHANGED = ("alexnet", "inception")  # the families of that seed that were tuned with one thing changed as well
SIMPLE = "resnet"  # the family of the paper's supplementary table 1: what else than the decoder may be tuned


def autoencoder(name: str = "pretrained", shape: segnet.Shape | None = None, device: str = "cpu") -> segnet.Autoencoder:
    """The committed autoencoder `name`, ready to reconstruct.

    ValueError if it has another shape than `shape`, or if the autoencoder it was tuned from is not the committed one.
    """
    state, info = weights.load(f"autoencoders/{name}")
    found = segnet.Shape(*map(tuple, info["made_by"]["shape"]))
    if shape is not None and segnet.check(shape) != found:
        raise ValueError(
            f"autoencoder {name!r} has widths {found.widths} and depths {found.depths}, expected widths "
            f"{tuple(shape.widths)} and depths {tuple(shape.depths)}; choose those or train another one"
        )
    if base := info["made_by"].get("base"):
        first, described = weights.load(f"autoencoders/{base}")
        if described["digest"] != info["made_by"]["base_digest"]:
            raise ValueError(
                f"autoencoder {name!r} was tuned from another {base!r} than the one that is here; restore both with "
                "`git checkout data` or train them again with `make retrain`"
            )
        state = first | state
    return _ready(state, info["made_by"], name, device)


def with_decoder(base: str, state: dict[str, Tensor], name: str, device: str = "cpu") -> segnet.Autoencoder:
    """The committed autoencoder `base` with another decoder, `state` ("decoder." before its names), under a `name` and
    with a digest of its own."""
    first, described = weights.load(f"autoencoders/{base}")
    return _ready(first | state, described["made_by"], name, device)


def _ready(state: dict[str, Tensor], made_by: dict, name: str, device: str) -> segnet.Autoencoder:
    shape = segnet.Shape(*map(tuple, made_by["shape"]))
    made = segnet.build(shape, name=name, places=made_by.get("places", True))
    both = nn.ModuleDict({"encoder": made.encoder, "decoder": made.decoder})
    both.load_state_dict(state)
    both.eval().requires_grad_(False).to(device)
    return made._replace(digest=state_digest(both))
