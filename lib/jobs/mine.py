"""`make mine SPEC=mine.yaml [PHOTOS=folder] [PROFILE=smoke]`: a network of the reader's through every notebook that has
something to ask it, with the reader's own photographs if given.

Network, layers and photographs are loaded and checked first, and what is lacking is said for each notebook before
anything is computed. In the photos profile the notebooks ask it of that profile's own photographs, its decoder is tuned
and it enters the order of notebooks 02 to 05.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from lib.experiments.shared import own_network, own_pictures, placed
from lib.networks import catalogue, fetch, interface, readers
from lib.running import runner
from lib.training import make_mine
from lib.worlds import photos

SHOWN = tuple(photos.SHIPPED)  # the photographs that are read where none are given
SIGNALS = ("02_reconstruction_comparison", "03_total_order", "04_nmi", "05_noise_and_literature")

MORE = (  # what more photographs would be asked
    f"Claims ask for more photographs (PHOTOS=folder): E13 and E14 for {own_network.LEAST} or more, E12 for "
    f"{own_network.PLANE}; E4a and E11 for classes of {own_network.EACH} each (a sub-folder a class), E15 for "
    f"{own_network.PURE} of these."
)
PARTS = {  # parts of notebooks (`mine` in the index) in words
    "filters": "the first layer's filters",
    "maps": "activation maps",
    "patches": "strongest patches",
    "purity": "whether pictures that a unit, or a code, finds alike are of one class (E15, E4a)",
    "plane": "the drawing in the plane",
    "trust": "whether it can be trusted (E12)",
    "probes": "linear probes (E11)",
    "tiles": "the mosaics",
    "panels": "the sliding square",
    "minimum": "whether the square hurts most on the object (E5)",
    "projection": "whether maps fall silent where they project (E6)",
    "scores": "whether a step raises the score, and greying out takes the class away (E13, E14)",
    "signals": "saliency maps",
    "hidden": "hidden units",
    "classes": "painted classes",
    "facets": "facets",
    "layers": "layer after layer",
    "terms": "which of the two terms serves best (D1)",
}


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 if every notebook that was asked ran to its end; 1 with a sentence if not."""
    parser = argparse.ArgumentParser(prog="make mine", description=__doc__.splitlines()[0])
    parser.add_argument(
        "spec",
        nargs="?",
        default=os.environ.get("COMPANION_SPEC", ""),
        help="a spec file (*.yaml), torchvision:<name>, or a network of the catalogue",
    )
    given = os.environ.get("COMPANION_PHOTOS", "")
    parser.add_argument("--photographs", default=given, help="a folder of pictures, or nips2017; none: scikit-image's")
    parser.add_argument("--profile", default="embedded", help="embedded, smoke (all in small) or photos")
    parser.add_argument("--cores", type=int, default=min(os.cpu_count() or 1, 4), help="notebooks at the same time")
    parser.add_argument("--steps", type=int, help="of tuning a decoder (photos), if not as many as the others had")
    parser.add_argument("--only", default="", help="numbers of notebooks, in quotes")
    options = parser.parse_args(arguments)
    os.environ.update(runner.child_environment())
    if not options.spec:
        runner.say("which network? make mine SPEC=mine.yaml (README, 'Your network', says what that file holds)")
        return 1
    try:
        return _run(options)
    except (ValueError, OSError) as error:
        runner.say(str(error))
        return 1


def _run(options) -> int:
    spec = located(options.spec) if options.spec.endswith((".yaml", ".yml")) else options.spec
    net = catalogue.load(spec)
    runner.say(f"{net.name}: {described(net)}")
    of_profile = options.profile == "photos"
    if of_profile and options.photographs:
        raise ValueError("PHOTOS is given and PROFILE is photos, which reads photographs of its own: give one of them")
    shown, chosen = (_of_profile(net), []) if of_profile else _pictures(net, options.photographs)
    if own_pictures.indifferent(net, shown):
        runner.say(f"{net.name} gives different photographs the same scores: are its weights loaded?")
    found = own_network.fitted(net, spec, chosen, shown, "photos" if of_profile else own_pictures.MINE)
    for line in told(found):
        runner.say(line)
    given, names = as_given(found), list(found.values)
    if of_profile:
        names = [*SIGNALS, *names]
        families = ["all"] if spec in readers.WORLDS["photos"] else ["all", spec]
        given += [f"{notebook}.families={json.dumps(families, ensure_ascii=False)}" for notebook in SIGNALS]
    asked = [name for name in names if not options.only or name[:2] in options.only.split()]
    if not asked:
        raise ValueError(f"nothing is left to run: ONLY is {options.only!r}, and {', '.join(n[:2] for n in names)} are")
    given = [one for one in given if one.partition(".")[0] in asked]
    plan = runner.plan(options.profile, given, asked, "mine" if net.name == "mine" else f"mine-{net.name}")
    if order := of_profile and spec not in readers.WORLDS["photos"] and bool({*asked} & {*SIGNALS}):
        _tune(net, options.steps)
    code = runner.run(plan, asked, options.cores)
    sys.stdout.write(f"\n{runner.results_told(plan)}\n")
    if not of_profile and len(shown) < own_network.PURE:
        sys.stdout.write(f"\n{MORE}\n")
    if order and not code:
        sys.stdout.write(f"\n{placed.said(placed.entered(net, steps=options.steps, progress=False))}\n")
    return code


def _pictures(net: interface.Network, given: str) -> tuple[list[photos.Photo], list[str]]:
    """The reader's photographs, or scikit-image's, at the network's size; and what parameters call them."""
    names = list(SHOWN) if not given else [given if given == "nips2017" else located(given)]
    shown = photos.named(names, net.size)
    known = sum(bool(own_pictures.labelled(photo, net)) for photo in shown)
    runner.say(f"{len(shown)} photographs, of which {known} have a class that {net.name} knows")
    return shown, names


def _of_profile(net: interface.Network) -> list[photos.Photo]:
    """A photograph of the photos profile, once it is known that its pictures are there and that it can ask this
    network. ValueError for other classes than ImageNet's; FileNotFoundError where pictures are missing."""
    if missing := fetch.lacking("photos"):
        raise FileNotFoundError("\n".join(missing))
    readers.comparable(net)
    return list(photos.nips2017(net.size, 1))


def _tune(net: interface.Network, steps: int | None) -> None:
    """Tune the network's decoder, if that was not done before, and say first how long it takes."""
    planned = make_mine.planned(net, steps)
    if make_mine.found(planned) is None:
        runner.say(make_mine.said(planned, make_mine.expected(planned)))
        make_mine.tuned(planned, progress=True)


def located(path: str) -> str:
    """A path as a reader gives it, from the folder in which the command was given, absolute. FileNotFoundError that
    says where it was looked for."""
    place = Path(os.environ.get("COMPANION_FROM", ".")).resolve()
    found = (place / Path(path).expanduser()).resolve()
    if not found.exists():
        raise FileNotFoundError(f"there is no {path} in {place}")
    return str(found)


def described(net: interface.Network) -> str:
    """A network in one line."""
    parameters = sum(one.numel() for one in net.model.parameters())
    found = interface.convolutions(net)
    layers = f"{len(found)} convolutions with maps" if len(found) != 1 else "one convolution with maps"
    if len(found) < 2:
        layers += " (maps of other modules can be asked for by their paths, under `layers:` in a spec file)"
    return f"{parameters:,} parameters, pictures of {net.size} pixels, {len(net.classes)} classes, {layers}"


def told(found: own_network.Fitted) -> list[str]:
    """What each notebook leaves out and why, and what a reader should know beside, a line each."""
    lines = []
    for notebook, parts in found.without.items():
        by_reason = {}
        for part, why in parts.items():
            by_reason.setdefault(why, []).append(part)
        for why, names in by_reason.items():
            what = "is not run" if "all" in names else f"leaves out {', '.join(PARTS[name] for name in names)}"
            lines.append(f"{notebook[:2]} {what}: {why}")
        lines += [f"{notebook[:2]}: {note}" for note in found.notes[notebook]]
    return lines


def as_given(found: own_network.Fitted) -> list[str]:
    """A network's values as the runner takes them, notebook.name=value."""
    lines = []
    for notebook, values in found.values.items():
        parts = [part for part in found.without[notebook] if part != "all"]
        values = values | ({"without": parts} if parts else {})
        lines += [f"{notebook}.{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
