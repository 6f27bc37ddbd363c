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

from lib.experiments.shared import own_network, own_pictures
from lib.networks import catalogue, interface
from lib.running import runner
from lib.worlds import photos

SHOWN = tuple(photos.SHIPPED)  # the photographs that are read where none are given
SIGNALS = ("02_reconstruction_comparison", "03_total_order", "04_nmi", "05_noise_and_literature")

PARTS = {  # parts of notebooks (`mine` in the index) in words
    "filters": "the first layer's filters",
    "maps": "activation maps",
    "patches": "strongest patches",
    "purity": "whether pictures alike are of one class (E15 in 07, E4a in 08)",
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
    parser.add_argument("spec", help="a spec file (*.yaml), torchvision:<name>, or a network of the catalogue")
    parser.add_argument("--photographs", default="", help="a folder of pictures, or nips2017; none: scikit-image's")
    parser.add_argument("--profile", default="embedded", help="embedded, smoke (all in small) or photos")
    parser.add_argument("--cores", type=int, default=min(os.cpu_count() or 1, 4), help="notebooks at the same time")
    parser.add_argument("--only", default="", help="numbers of notebooks, in quotes")
    options = parser.parse_args(arguments)
    os.environ.update(runner.child_environment())
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
    shown, chosen = list(photos.nips2017(net.size, 1)) if of_profile else [], []
    if not of_profile:
        chosen = [located(options.photographs)] if options.photographs not in ("", "nips2017") else []
        chosen = chosen or ([options.photographs] if options.photographs else list(SHOWN))
        shown = photos.named(chosen, net.size)
        known = sum(bool(own_pictures.labelled(photo, net)) for photo in shown)
        runner.say(f"{len(shown)} photographs, of which {known} have a class that {net.name} knows")
    found = own_network.fitted(net, spec, chosen, shown, "photos" if of_profile else own_pictures.MINE)
    for line in told(found):
        runner.say(line)
    given, names = as_given(found), list(found.values)
    if of_profile:
        names = [*SIGNALS, *names]
        given += [f'{notebook}.families=["all", {json.dumps(spec, ensure_ascii=False)}]' for notebook in SIGNALS]
    asked = [name for name in names if not options.only or name[:2] in options.only.split()]
    if not asked:
        raise ValueError(f"nothing is left to run: --only is {options.only!r}, and {', '.join(n[:2] for n in names)} are")
    given = [one for one in given if one.partition(".")[0] in asked]
    plan = runner.plan(options.profile, given, asked, f"mine-{net.name}")
    code = runner.run(plan, asked, options.cores)
    sys.stdout.write(f"\n{runner.results_told(plan)}\n")
    return code


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
    layers = f"{len(found)} convolutions with maps" if found else "no convolution with maps"
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
