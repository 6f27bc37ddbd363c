"""Activation maximisation of 32 units of conv2 of the small AlexNet at 64 pixels, one thread: units x steps per second.

The reference optimises one unit after another with whole forward passes. Ours takes all of them in one batch and stops
at the layer; bar: 2x. At 224 pixels one image fills a core already, and a batch gains nothing there (SqueezeNet 1.1,
layer conv3, 16 units: 0.85x). If torch-lucent can be imported, its render_vis (Fourier image, decorrelated colours,
Adam, no transforms) runs the same units, steps and size, one image a call as its objectives are made for. It asks for
kornia <= 0.4.1, which pip refuses beside newer kornias, so try it in an environment of its own:
`pip install --no-deps torch-lucent==0.1.8 kornia==0.4.1 decorator future`.
Tried so, with torch 2.13.0 and `lib` imported first, it runs: ours was 4.1x as fast (rounds 3.3 to 5.2).
"""

import importlib.util
from functools import partial

import torch

from bench._timing import Row, interleaved, ratio, spread
from lib.methods.ascent import maximise, objectives, parameterisations
from lib.networks import catalogue, interface

LAYER, UNITS, STEPS, REPEATS = "conv2_pre", 32, 5, 5
ADAM = partial(torch.optim.Adam, lr=0.05)


def run() -> list[Row]:
    net = catalogue.load("alexnet")
    form = parameterisations.fourier(net.size)
    start, units = form.start(UNITS, torch.Generator().manual_seed(0)), list(range(UNITS))
    options = {"steps": STEPS, "optimiser": ADAM}

    def whole(channel: int):
        def objective(images: torch.Tensor) -> torch.Tensor:
            with interface.record(net, [LAYER]) as maps:
                net.model(net.preprocess(images))
            return maps[LAYER][:, channel].mean((1, 2))

        return objective

    def one_by_one() -> torch.Tensor:
        made = [maximise.maximise(form.image, whole(k), start[k : k + 1], **options).images for k in units]
        return torch.cat(made)

    def alone() -> torch.Tensor:
        asked = [objectives.unit(net, LAYER, k) for k in units]
        return torch.cat(
            [
                maximise.maximise(form.image, a, start[k : k + 1], **options).images
                for k, a in zip(units, asked, strict=True)
            ]
        )

    def batch(rows, chosen) -> maximise.Maximised:
        return maximise.maximise(form.image, objectives.unit(net, LAYER, chosen), rows, **options)

    contestants = {
        "one unit at a time, whole passes": one_by_one,
        "one unit at a time, stopping at the layer": alone,
        "ours: all units in one batch, stopping at the layer": lambda: batch(start, units).images,
    }
    theirs = lucents(net, units) if importlib.util.find_spec("lucent") else None
    if theirs:
        contestants["torch-lucent's render_vis"] = theirs
    seconds = interleaved(contestants, REPEATS)
    first = next(iter(contestants))
    moved = 1 - batch(start, units).stuck.float().mean()
    difference = (contestants[first]() - batch(start, units).images).abs().max()
    rows = [
        Row(
            name,
            ratio(seconds[first], seconds[name]),
            f"{UNITS * STEPS / min(seconds[name]):.1f} units x steps a second; {spread(seconds[first], seconds[name])}",
        )
        for name in contestants
    ]
    rows.append(
        Row(
            "ours against the reference",
            rows[2].ratio,
            f"bar 2x; images differ by at most {difference:.1e}; moved: {moved:.0%}",
        )
    )
    if theirs:
        last = seconds["torch-lucent's render_vis"]
        ours = seconds["ours: all units in one batch, stopping at the layer"]
        rows.append(Row("ours against torch-lucent", ratio(last, ours), spread(last, ours)))
    else:
        rows.append(Row("torch-lucent", float("nan"), "is not installed here, so it was not compared; see this file"))
    return rows


def lucents(net: interface.Network, units: list[int]):
    """render_vis on the same network, layer, size, steps and number of units."""
    from lucent.optvis import param, render

    path = net.layers[LAYER].replace(".", "_")

    def work() -> None:
        for k in units:
            render.render_vis(
                net.model, f"{path}:{k}", param_f=lambda: param.image(net.size), transforms=[net.preprocess],
                thresholds=(STEPS,), preprocess=False, progress=False, show_image=False, fixed_image_size=net.size,
            )  # fmt: skip

    return work
