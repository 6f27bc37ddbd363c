"""What the networks, files and folders are that parameters name, so that results are known by it and not by a path.

A network is loaded for that once a run, in a process of its own, and before anything else: one that cannot be loaded is
told first. The run hands what it found to its notebooks in a file, identities.json in its folder.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.base import files, paths

FILE = "identities.json"
VARIABLE = "COMPANION_IDENTITIES"  # of the environment: where the run that this process belongs to keeps that file
NETWORKS = (".yaml", ".yml")
NAMED = "torchvision:"


def named(values: dict, place: str) -> dict[str, str]:
    """{text: where it stands} of every network outside this project, and of every file and folder by its absolute path,
    in parameters: {"/x/mine.yaml": "09_occlusion: networks[0]"}."""
    found = {}
    for name, value in values.items():
        for number, one in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(one, str) and (_network(one) or os.path.isabs(one) and os.path.exists(one)):
                found.setdefault(one, f"{place}: {name}" + (f"[{number}]" if isinstance(value, list) else ""))
    return found


def _network(text: str) -> bool:
    return text.lower().endswith(NETWORKS) or text.startswith(NAMED)


def of(asked: dict[str, str], environment: dict[str, str]) -> dict[str, str]:
    """{text: digest} of what `named` found. ValueError with a sentence for each that cannot be read or loaded."""
    answers = {text: _content(text) for text in asked if not _network(text)}
    answers |= _loaded([text for text in asked if _network(text)], environment)
    if wrong := [f"{place}: {answers[text]['error']}" for text, place in asked.items() if "error" in answers[text]]:
        raise ValueError("\n".join(wrong))
    return {text: answers[text]["digest"] for text in asked}


def _loaded(names: list[str], environment: dict[str, str]) -> dict[str, dict]:
    """What lib.jobs.identities answers about networks."""
    if not names:
        return {}
    with tempfile.TemporaryDirectory(prefix="companion-") as folder:
        asked, answers = Path(folder) / "asked.json", Path(folder) / "answers.json"
        files.write_json(asked, names)
        command = [sys.executable, "-m", "lib.jobs.identities", str(asked), str(answers)]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(command, cwd=paths.notebooks(), env=environment, text=True, errors="replace", **pipes)
        if answers.is_file():
            return json.loads(answers.read_text(encoding="utf-8"))
    last = (done.stdout.strip().splitlines() or ["without a word"])[-1]
    return {name: {"error": f"loading {name} ended its process with {done.returncode}: {last}"} for name in names}


def _content(text: str) -> dict[str, str]:
    """Digest of a file, with that of a description beside it (mine.safetensors, mine.json), or of all in a folder."""
    path = Path(text)
    every = [one for one in path.rglob("*") if not one.name.startswith(".")] if path.is_dir() else [path]
    every += [path.with_suffix(".json")] if path.suffix == ".safetensors" else []
    try:
        read = {os.path.relpath(one, path): files.file_digest(one) for one in sorted(every) if one.is_file()}
    except OSError as error:
        return {"error": f"{error.filename or text} cannot be read ({error.strerror})"}
    return {"digest": files.key_digest(read)}


def known() -> dict[str, str]:
    """{text: digest} that the run to which this process belongs has found; empty where there is none."""
    try:
        found = json.loads(Path(os.environ[VARIABLE]).read_text(encoding="utf-8"))
    except (KeyError, OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
