"""Rows for the map (notebook 00): the notebooks, one claim's rule, the profiles. Read from the same files that
decide."""

import yaml

from lib.base import paths
from lib.record import claims
from lib.running import params


def notebooks() -> list[tuple[str, str, str]]:
    """Name, what it reproduces, the ids of its claims."""
    return [(name, entry["reproduces"], " ".join(entry["claims"])) for name, entry in params.index().items()]


def rule(claim: str) -> list[tuple[str, str]]:
    """The fields of a claim as they stand in data/claims.yaml, one a row."""
    entry = claims.load()[claim]
    (part,) = entry["parts"].values()
    fields = {field: entry[field] for field in ("statement", "place", "found", "limits")}
    fields |= {field: part[field] for field in ("statistic", "unit", "seeds", "null")}
    for side in ("reproduced", "not_reproduced"):
        bounds = yaml.safe_dump(part["rule"][side], default_flow_style=True, width=999)
        fields[f"{side.replace('_', ' ')} if"] = bounds
    return [(field, " ".join(str(text).split())) for field, text in fields.items()]


def profiles() -> list[tuple[str, str]]:
    """Name of each profile and the comment at its head."""
    rows = []
    for path in sorted((paths.notebooks() / "profiles").glob("*.yaml")):
        head = [line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#")]
        rows.append((path.stem, " ".join(head)))
    return rows
