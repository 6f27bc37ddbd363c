"""How far a run is, and about how long the rest takes: from the seconds of the last run, or of the committed one.

Seconds lie in build/<profile>/seconds, a file for each job and notebook; notebooks/seconds.yaml has those of a run on
two idle cores, for a machine that has not run yet. They are guesses for a reader and decide nothing.
"""

from pathlib import Path

from lib.base import files, paths, strict_yaml

UNKNOWN = 30.0  # seconds of what was never timed


def keep(folder: Path, name: str, seconds: float) -> None:
    """Remember how long a job or a notebook took. folder: build/<profile>."""
    files.atomic_write(folder / "seconds" / name, f"{seconds:.1f}\n")


def known(folder: Path, profile: str) -> dict[str, float]:
    """{name of a job or number of a notebook: seconds}: of its last run here, else the committed ones."""
    path = paths.notebooks() / "seconds.yaml"
    committed = strict_yaml.read(path) if path.exists() else {}
    found = {str(name): float(seconds) for name, seconds in committed.get(profile, {}).items()}
    for file in (folder / "seconds").glob("*"):
        try:
            found[file.name] = float(file.read_text())
        except ValueError:
            continue  # half a file of another program; a guess is not worth an error
    return found


def rest(left: dict[str, list[str]], seconds: dict[str, float], cores: int, begun: dict[str, float]) -> float:
    """About how many seconds `left` takes on so many cores: {name: names that must be done before it}.

    begun: {name: seconds for which it has been running}. No less than an even share of the work for each core, and no
    less than the longest chain of things that wait for each other.
    """
    own = {name: max(seconds.get(name, UNKNOWN) - begun.get(name, 0.0), 1.0) for name in left}

    def chain(name: str) -> float:
        return own[name] + max((chain(other) for other in left[name] if other in left), default=0.0)

    return max(sum(own.values()) / cores, max(map(chain, left), default=0.0))


def told(seconds: float) -> str:
    """A rough time in words: "half a minute", "about 4 minutes"."""
    if seconds < 20:
        return "some seconds"
    if seconds < 45:
        return "half a minute"
    minutes = max(round(seconds / 60), 1)
    return "about a minute" if minutes == 1 else f"about {minutes} minutes"
