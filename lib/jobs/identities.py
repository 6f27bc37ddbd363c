"""`python -m lib.jobs.identities ASKED ANSWERS`: what the networks are that a run's parameters name, before it begins.

ASKED is a JSON list of what `catalogue.load` takes; ANSWERS becomes {name: {"digest": ...}} or {name: {"error": ...}}.
A digest follows the network itself and every file that was opened to make it, so that an edited spec, neighbour or
weights file counts. In a process of its own, since this runs code of the reader's.
"""

import json
import os
import sys
from pathlib import Path

from lib.base import files, identity, paths
from lib.networks import catalogue

NOT_THEIRS = (*identity.INSTALLED, sys.prefix, sys.base_prefix, str(paths.ROOT / "lib"))
NOT_THEIRS += ("/proc", "/sys", "/dev", "/etc", "/usr", "/run")


def answer(name: str, opened: list[str]) -> dict[str, str]:
    """{"digest": of the network `name`, and of the files of the reader's that loading it put into `opened`}, or
    {"error": the sentence that says why it cannot be loaded}."""
    opened.clear()
    try:
        network = identity.of(catalogue.load(name))
    except (ValueError, OSError) as error:
        return {"error": str(error)}
    except (Exception, SystemExit) as error:  # whatever a stranger's code does
        return {"error": f"{name} cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    found = {os.path.abspath(path) for path in opened}
    theirs = sorted(path for path in found if not path.startswith(NOT_THEIRS) and "__pycache__" not in path)
    read = {path: files.file_digest(path) for path in theirs if Path(path).is_file()}
    return {"digest": files.key_digest({"network": network, "files": read})}


def main() -> None:
    """Answer what is asked; the reader's code sees no arguments."""
    asked, answers = sys.argv[1:]
    sys.argv[1:] = []
    opened = []

    def hear(event: str, about: tuple) -> None:
        if event == "open" and isinstance(about[0], str | bytes | os.PathLike) and "w" not in (about[1] or ""):
            opened.append(os.fsdecode(about[0]))

    sys.addaudithook(hear)
    files.write_json(answers, {name: answer(name, opened) for name in json.loads(Path(asked).read_text("utf-8"))})


if __name__ == "__main__":
    main()
