"""On which kind of processor outputs were made: the same to the byte on one kind, within tolerances on another."""

import json
import platform
from pathlib import Path

from lib.base import files, paths


def kind() -> dict:
    """The kind of processor: outputs are the same to the byte on one kind, and within tolerances on another."""
    known = {"machine": platform.machine(), "model": platform.processor() or "unknown"}
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
    except OSError:
        return known
    fields = {name.strip(): value.strip() for name, value in lines.items()}
    model = [fields.get(name, "") for name in ("vendor_id", "cpu family", "model")]
    sets = sorted(set(fields.get("flags", "").split()) & {"avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16"})
    return known | {"model": " ".join(model), "instructions": sets}


def record(profile: str) -> None:
    """Keep in figures/processor.json on which kind of processor the outputs of a profile were made."""
    path = paths.figures() / "processor.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}  # none yet, or none that can be read: made again
    if not isinstance(known, dict):
        known = {}
    if known.get(profile) != kind():
        files.write_json(path, known | {profile: kind()})
