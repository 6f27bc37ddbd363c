"""What the jobs of lib/jobs have in common: the parameters of a notebook in a profile, and a process that repeats."""

import argparse
from collections.abc import Callable

from lib.base.repeatable import repeatable
from lib.running import params


def of(notebook: str, compute: Callable[[dict], None]) -> Callable[..., None]:
    """The `main` of a job: `compute` with the parameters that a profile, or the command line, gives to `notebook`.

    Nothing is computed where the notebook is to train networks of its own, since the job would read the committed ones.
    """

    def main(arguments: list[str] | None = None) -> None:
        parser = argparse.ArgumentParser(description=compute.__doc__)
        parser.add_argument("--profile", default="embedded", help="smoke, embedded, ... (notebooks/profiles)")
        parser.add_argument("-p", dest="given", action="append", default=[], metavar="NOTEBOOK.NAME=VALUE")
        options = parser.parse_args(arguments)
        repeatable(0)
        given = params.overrides(options.given, [notebook], params.index())
        chosen = params.profile(options.profile)[notebook] | given.get(notebook, {})
        if not chosen["retrain"]:
            compute(chosen)

    return main
