"""One step of tuning a decoder against the sum of its parts, SegNet at 64 pixels reading through each family.

The parts: forward pass of the autoencoder, backward pass of its decoder, forward pass of the classifier and the
gradient at its input. The bar: a step (augmentation, loss and optimiser included) costs at most 1.3 times their sum,
which is a ratio of at least 0.77 here. Rounds are interleaved.
"""

import numpy as np
import torch
import torch.nn.functional as F

from bench._timing import Row, interleaved, ratio, spread
from lib.networks import catalogue, interface, segnet, zoo
from lib.training import autoencoders, loop

STEPS, REPEATS = 4, 9


def run() -> list[Row]:
    return [_family(family) for family in ("lenet", "vgg", "inception")]


def _family(family: str) -> Row:
    precision = loop.precision()
    recipe = autoencoders.Recipe(precision=precision, improvement=0.0, epochs=1)
    n = STEPS * recipe.batch
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (n, 64, 64, 3), dtype=np.uint8), rng.integers(0, 10, n)
    network = catalogue.load(family, weights=False)
    made = segnet.build()
    whole = (images, labels)

    def steps() -> None:
        autoencoders.tune(made, network, lambda epoch: whole, recipe, (images[:1], labels[:1]))

    x = zoo.preprocess(interface.to_tensor(images[: recipe.batch])).contiguous(memory_format=torch.channels_last)
    y = torch.from_numpy(labels[: recipe.batch])
    halves = segnet.build()
    halves.encoder.eval().requires_grad_(False), halves.decoder.train()

    def parts() -> None:
        for _ in range(STEPS):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
                with torch.no_grad():
                    code = halves.encoder(x)
                rebuilt = halves.decoder(*code)
                read = rebuilt.detach().float().requires_grad_()
                loss = F.cross_entropy(network.model(read), y)
            loss.backward()
            rebuilt.backward(read.grad.to(rebuilt.dtype))
            for parameter in halves.decoder.parameters():
                parameter.grad = None

    seconds = interleaved({"parts": parts, "steps": steps}, REPEATS)
    cost = ratio(seconds["steps"], seconds["parts"])
    note = f"the step costs {cost:.2f} times the sum of its parts ({precision}); " + spread(
        seconds["parts"], seconds["steps"]
    )
    return Row(f"tuning on {family}", ratio(seconds["parts"], seconds["steps"]), note)
