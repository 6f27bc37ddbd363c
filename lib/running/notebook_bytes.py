"""Executed notebooks, byte for byte the same from run to run: what depends on the clock or on chance is taken out."""

import re

import nbformat

INJECTED = "injected-parameters"
COLLAPSED = "bookkeeping"  # the tag of cells whose code JupyterLab hides until a reader asks for it
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def plain(notebook, keep_injected: bool = False):
    """A copy of an executed notebook without timing, papermill's marks, stderr or stray metadata.

    Counts start at 1, ids that are missing or appear twice are made from the position, the kernel is plain python3, and
    neighbouring pieces of one output stream are joined. The cell that papermill injected goes unless `keep_injected`.
    """
    copy = nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": METADATA, "cells": []})
    count, ids = 0, set()
    for cell in notebook.cells:
        tags = list(cell.metadata.get("tags", []))
        if "papermill-error-cell-tag" in tags or (INJECTED in tags and not keep_injected):
            continue
        kept = {"cell_type": cell.cell_type, "source": cell.source, "metadata": {"tags": tags} if tags else {}}
        if COLLAPSED in tags:
            kept["metadata"]["jupyter"] = {"source_hidden": True}
        if cell.get("attachments"):
            kept["attachments"] = cell.attachments
        kept["id"] = INJECTED if INJECTED in tags else cell.get("id", "")
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", kept["id"]) or kept["id"] in ids:
            kept["id"] = f"cell-{len(copy.cells) + 1:02d}"
        ids.add(kept["id"])
        if cell.cell_type == "code":
            ran = cell.get("execution_count") is not None
            count += ran
            kept["execution_count"] = count if ran else None
            kept["outputs"] = _outputs(cell.get("outputs", []), kept["execution_count"])
        copy.cells.append(nbformat.from_dict(kept))
    return copy


def _outputs(outputs: list, count: int | None) -> list:
    kept = []
    for output in outputs:
        output = dict(output)
        if output["output_type"] == "stream":
            if output["name"] == "stderr":
                continue
            if kept and kept[-1]["output_type"] == "stream":
                kept[-1]["text"] += output["text"]
                continue
        if output["output_type"] == "execute_result":
            output["execution_count"] = count
        output.pop("transient", None)
        if "metadata" in output:
            output["metadata"] = {k: v for k, v in output["metadata"].items() if k != "needs_background"}
        kept.append(output)
    return kept


def merge(source, executed):
    """The notebook `source` with the outputs of `executed`, or None if their code cells differ.

    Prose, titles and the order of the text come from `source`: a paragraph edited during or after the run stays.
    """
    ran = [
        cell for cell in executed.cells if cell.cell_type == "code" and INJECTED not in cell.metadata.get("tags", [])
    ]
    here = [cell for cell in source.cells if cell.cell_type == "code"]
    if [cell.source for cell in ran] != [cell.source for cell in here]:
        return None
    merged = nbformat.from_dict(source)
    for cell, result in zip((c for c in merged.cells if c.cell_type == "code"), ran, strict=True):
        cell.outputs, cell.execution_count = result.outputs, result.execution_count
    return plain(merged)


def text(notebook) -> str:
    """The bytes of a notebook file: nbformat's own order and indentation, one newline at the end."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def cleared(notebook):
    """A copy without outputs, counts and injected cells, ready to run."""
    copy = plain(notebook)
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return copy
