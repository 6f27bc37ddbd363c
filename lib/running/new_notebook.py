"""`python -m lib.running.new_notebook 16_mine "A title"`: a first notebook that runs, with all that belongs to one.

It writes the notebook, its entry in the index, its parameters in the embedded profile, its captions and its room in
lib/experiments. All of it is meant to be changed; CONTRIBUTING.md says how to go on.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from lib.base import files, paths
from lib.running import notebook_bytes, params

FIGURE = "first"  # the figure that a new notebook draws, NN_first
PARAMETERS = {  # of a new notebook: (value, rule in the index, comment in the cell)
    "family": ("alexnet", 'type: str, choices: families, meaning: "the family that is asked"', "a family of the zoo"),
    "seeds": (
        [0, 1, 2],
        "type: list, items: {type: int, min: 0, max: 3}, min_items: 1, unique: true, "
        'meaning: "training seeds of that family"',
        "training seeds, 0 to 3",
    ),
    "n_test": (
        500,
        'type: int, min: 100, max: 20000, meaning: "test pictures"',
        "test pictures of the cutouts world, 100 to 20000",
    ),
}


def cells(name: str, title: str, question: str) -> list[tuple[str, str, list[str]]]:
    """(kind, text, tags) of the cells of a new notebook."""
    number = name[:2]
    common = {
        "profile": ('"embedded"', "which set of parameters this run uses: smoke or embedded"),
        "seed": ("0", "random stream of the intervals, 0 or more"),
        "device": ('"cpu"', "where networks run: cpu, cuda or mps"),
        "retrain": ("False", "nothing is trained in this notebook"),
    }
    common |= {key: (json.dumps(value), comment) for key, (value, _, comment) in PARAMETERS.items()}
    values = "\n".join(f"{key} = {value}  # {comment}" for key, (value, comment) in common.items())
    first = (
        f"# {number} · {title}\n\n**{question}**\n\n"
        "Say here in plain words what is asked and why a reader should care, and name the function of lib that does "
        "the work, as a link: what is measured stands in "
        f"[`accuracy`](../lib/experiments/{room(name)}/measures.py)."
    )
    paper = (
        "## The paper, and what is different here\n\nSay what the paper did, with its number and the page it stands "
        "on, cite it by its key in `references.bib` in square brackets, and say what is different here and why that "
        "may matter. Where a number of the paper could not be checked, say so. A notebook has at least six words of "
        "prose for each line of code: what is tedious to read goes into its room in `lib/experiments`, and what a "
        "reader came for stays here."
    )
    start = (
        "try:\n"
        "    from lib.drawing import dots\n"
        f"    from lib.experiments.{room(name)} import measures\n"
        "    from lib.networks import zoo\n"
        "    from lib.record import figures\n"
        "    from lib.running.run import start\n"
        "    from lib.worlds import cutouts\n"
        "except ImportError as error:\n"
        '    raise SystemExit(f"{error}: start this notebook with `make lab`, which installs what it needs") '
        "from None\n"
        f'run = start("{name}", globals())'
    )
    pictures = 'test = cutouts.batch(cutouts.World(), "test", n_test)\ntest.images.shape'
    measure = (
        "networks = {s: zoo.network(family, s, device) for s in seeds}\n"
        "rows = [measures.accuracy(net, test, zoo.TITLES[family], s) for s, net in networks.items()]\n"
        '[row["value"] for row in rows]'
    )
    draw = (
        'fig = dots.dots(rows, "accuracy", {"chance": 0.1}, limits=(0, 1))\n'
        f'figures.save(fig, "{number}_{FIGURE}", rows, run=run, weights=[net.digest for net in networks.values()])'
    )
    return [
        ("markdown", first, []),
        ("markdown", paper, []),
        ("code", values, ["parameters"]),
        ("code", start, [notebook_bytes.COLLAPSED]),
        (
            "markdown",
            "## What is measured\n\nThe first test pictures of the cutouts world, read by one family of the zoo, as "
            "often as it was trained. Say here what each line below does; a cell whose lines are what the notebook is "
            "about carries the tag `method` and stays in sight.",
            [],
        ),
        ("code", pictures, []),
        ("code", measure, ["method"]),
        (
            "markdown",
            "## What came out\n\nA figure is saved with the numbers behind it and shown with its caption, which stands "
            f"in `notebooks/captions/{name}.yaml`.",
            [],
        ),
        ("code", draw, []),
        (
            "markdown",
            "Say below each figure what is to be seen in it and what is not: each dot is one trained network, its line "
            "the 95 % Wilson interval over test pictures, the dashed line what guessing would give.",
            [],
        ),
        (
            "markdown",
            "## What would change our mind\n\nSay what this notebook cannot tell, and which result would have led to "
            "another answer. Below, name a few things that a reader may try within minutes.\n\n## Try next\n\n"
            "* Set `family` to `vgg`: what changes?",
            [],
        ),
    ]


def room(name: str) -> str:
    """The folder in lib/experiments of a notebook: 16_mine -> n16_mine."""
    return f"n{name}"


MEASURES = '''"""What is measured here: how often a network names the label."""

from lib.networks import interface
from lib.record import uncertainty


def accuracy(net, pictures, name: str, seed: int) -> dict:
    """A row for `dots.dots`: how often `net` names the label of `pictures` (a Batch), with its interval."""
    said = interface.scores(net, interface.to_tensor(pictures.images)).argmax(1).numpy()
    found = uncertainty.wilson(int((said == pictures.labels).sum()), len(said))
    return {"name": name, "group": "test", "seed": seed, "value": found.value, "low": found.low, "high": found.high}
'''


def write(name: str, title: str, question: str, rooms: Path | None = None) -> list[Path]:
    """Write everything, and return the files; ValueError, and nothing written, where something is there already.
    rooms: where the room goes, by default lib/experiments."""
    entries, number = params.index(), name[:2]
    if not re.fullmatch(r"[0-9][0-9]_[a-z][a-z0-9_]*", name):
        raise ValueError(f"name is {name!r}, expected two digits and lower-case words, such as 16_mine")
    if taken := [other for other in entries if other[:2] == number]:
        raise ValueError(f"number {number} is taken by {taken[0]}; the next free one is {_free(entries):02d}")
    if not question.rstrip().endswith("?"):
        raise ValueError(f"question is {question!r}, expected a question, with its mark")
    for text in (title, question):
        if not text.strip() or "\n" in text or '"' in text:
            raise ValueError(f"{text!r}: expected one line without double quotes")
    folder, place = paths.notebooks(), (rooms or paths.ROOT / "lib" / "experiments") / room(name)
    rules = "".join(f"    {key}: {{{rule}}}\n" for key, (_, rule, _) in PARAMETERS.items())
    index = (
        f'\n{name}:\n  title: "{title}"\n  reproduces: what it reproduces of which paper\n  claims: []\n'
        f"  figures: [{number}_{FIGURE}]\n  inputs: [data/weights/cutouts/*]\n  parameters:\n{rules}"
    )
    values = "".join(f"  {key}: {json.dumps(value)}\n" for key, (value, _, _) in PARAMETERS.items())
    captions = (
        f"{number}_{FIGURE}:\n  caption: Accuracy of {{family}} on {{n_test}} test pictures, a dot for each training.\n"
        "  alt: A few dots in one line, with short intervals, far to the right of chance.\n"
    )
    table = {
        folder / "index.yaml": (folder / "index.yaml").read_text(encoding="utf-8") + index,
        folder / "profiles" / "embedded.yaml": _profile(folder).read_text(encoding="utf-8") + f"\n{name}:\n{values}",
        folder / "captions" / f"{name}.yaml": captions,
        folder / f"{name}.ipynb": _notebook(name, title, question),
        place / "__init__.py": f'"""What notebook {number} measures, claims and draws."""\n',
        place / "measures.py": MEASURES,
    }
    for path in list(table)[2:]:
        if path.exists():
            raise ValueError(f"{path.name} is there already, in {path.parent.name}: expected a notebook that is new")
    return [files.atomic_write(path, text) for path, text in table.items()]


def _profile(folder: Path) -> Path:
    return folder / "profiles" / "embedded.yaml"


def _free(entries: dict) -> int:
    return max(int(name[:2]) for name in entries) + 1


def _notebook(name: str, title: str, question: str) -> str:
    from nbformat import v4

    made = []
    for kind, text, tags in cells(name, title, question):
        metadata = {"tags": tags} if tags else {}
        made.append((v4.new_code_cell if kind == "code" else v4.new_markdown_cell)(text, metadata=metadata))
    book = v4.new_notebook(cells=made)
    for cell in book.cells:
        cell["id"] = ""  # made from its place
    return notebook_bytes.text(notebook_bytes.plain(book))


def main(arguments: list[str] | None = None) -> int:
    """Write a notebook's files and say what comes next."""
    parser = argparse.ArgumentParser(prog="python -m lib.running.new_notebook", description=__doc__.splitlines()[0])
    parser.add_argument("name", help="two digits and lower-case words: 16_mine")
    parser.add_argument("title", help="its heading")
    parser.add_argument("--question", default="What is asked here?", help="in bold below the heading")
    options = parser.parse_args(arguments)
    try:
        written = write(options.name, options.title, options.question)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is the command's output
        return 1
    print(*(path.relative_to(paths.ROOT) if path.is_relative_to(paths.ROOT) else path for path in written), sep="\n")  # noqa: T201
    print(f"Now run it: make reproduce ONLY={options.name[:2]}")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
