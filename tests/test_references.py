"""Works are cited by key, and every key is in references.bib."""

import json
import re

import yaml

from lib.base import paths

KEYS = set(re.findall(r"^@\w+\{(\w+),", (paths.ROOT / "references.bib").read_text(), re.M))


def test_every_claim_names_a_work_in_the_references():
    claims = yaml.safe_load((paths.ROOT / "data/claims.yaml").read_text())
    assert {claim["paper"] for claim in claims.values()} <= KEYS


def test_every_key_in_the_notebooks_is_in_the_references():
    found = set()
    for path in (paths.ROOT / "notebooks").glob("*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "markdown":
                found |= set(re.findall(r"\[([a-z0-9]+\d{4})\]", "".join(cell["source"])))
    assert found and found <= KEYS
