"""Reading photographs of 224 pixels two at a time, channels last (interface.split), against 64 at a time, one thread.

Two packaged networks read 32 random pictures; rounds are interleaved, and their median ratio is printed.
"""

import torch

from bench._timing import Row, interleaved, ratio, spread
from lib.networks import catalogue, interface

PICTURES, REPEATS = 32, 3


def run() -> list[Row]:
    images, rows = torch.rand(PICTURES, 3, 224, 224, generator=torch.Generator().manual_seed(0)), []
    for name in ("squeezenet1_1", "efficientnet_lite0"):
        net = catalogue.load(name)

        def whole(net=net) -> torch.Tensor:
            with torch.inference_mode():
                return torch.cat([net.model(net.preprocess(part)) for part in images.split(64)])

        work = {"64 at a time": whole, "interface.scores": lambda net=net: interface.scores(net, images)}
        seconds = interleaved(work, REPEATS)
        off = float((whole() - interface.scores(net, images)).abs().max())
        note = f"{spread(*seconds.values())}; scores differ by at most {off:.1e}"
        rows.append(Row(name, ratio(*seconds.values()), note))
    return rows
