"""What a reader of the methods is told: each module names its source, each function says what goes in and comes out."""

import ast
import inspect
import re

import pytest
from conftest import ROOT

from lib.methods.ascent import generator_prior, maximise
from lib.methods.backward import three_rules
from lib.methods.layers import codes, plane, sparseness
from lib.methods.minds_eye import synthesis
from lib.methods.occlusion import sweeps, whole_images
from lib.methods.receptive import strongest_patches
from lib.methods.signals import checkerboard, mutual_information, total_order

SCREEN = 45  # lines
SOURCE = re.compile(r"\b[12]\d{3}\b|\bours\b")  # a year of publication, or that it is this project's own
TORCH = {"forward", "backward", "run_node", "call_module"}  # methods that another library calls
CORES = (
    total_order.rrc,
    total_order.context,
    total_order.concepts,
    total_order.is_chain,
    total_order.scan,
    mutual_information.nmi,
    mutual_information.entropy,
    checkerboard.grid_shares,
    maximise.maximise,
    generator_prior.search,
    three_rules.project,
    sweeps.sweep,
    whole_images.sweep,
    strongest_patches.peaks,
    strongest_patches.suppressed,
    sparseness.gini,
    plane.tsne,
    codes.purity,
    synthesis.objective,
    synthesis.synthesise,
)
FILES = {str(p.relative_to(ROOT)): ast.parse(p.read_text()) for p in sorted((ROOT / "lib" / "methods").rglob("*.py"))}
WORLDS = {str(p.relative_to(ROOT)): ast.parse(p.read_text()) for p in sorted((ROOT / "lib" / "worlds").rglob("*.py"))}


def public(tree: ast.AST) -> list:
    """Functions and classes of a module, and the methods of its classes, that a reader may call."""
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    inside = [one for node in found if isinstance(node, ast.ClassDef) and node.name[0] != "_" for one in node.body]
    found += [one for one in inside if isinstance(one, ast.FunctionDef) and one.name not in TORCH]
    return [node for node in found if not node.name.startswith("_")]


@pytest.mark.parametrize("path", [path for path in FILES if path != "lib/methods/__init__.py"])
def test_every_module_of_the_methods_names_its_source(path):
    text = ast.get_docstring(FILES[path])
    assert text and SOURCE.search(text), f"{path} names neither a paper with its year nor says that it is ours"


@pytest.mark.parametrize("path", FILES | WORLDS)
def test_whatever_a_reader_may_call_says_what_it_is(path):
    for node in public((FILES | WORLDS)[path]):
        assert ast.get_docstring(node), f"{path}: {node.name} has no docstring"


@pytest.mark.parametrize("path", FILES | WORLDS)
def test_whatever_refuses_says_so(path):
    for node in public((FILES | WORLDS)[path]):
        raised = [ast.unparse(one) for one in ast.walk(node) if isinstance(one, ast.Raise)]
        if isinstance(node, ast.FunctionDef) and any("ValueError(" in one for one in raised):
            text = ast.get_docstring(node)
            assert re.search("Error|refuse", text), f"{path}: {node.name} raises ValueError, its docstring does not say"


@pytest.mark.parametrize("path", FILES | WORLDS)
def test_methods_and_worlds_speak_of_no_claim_by_its_number(path):
    assert not re.search(r"\b[Cc]laims? [A-G]\d|\bnotebook \d", (ROOT / path).read_text())


@pytest.mark.parametrize("core", CORES, ids=lambda one: f"{one.__module__.split('.')[-1]}.{one.__name__}")
def test_the_core_of_every_paper_fits_a_screen(core):
    assert len(inspect.getsource(core).splitlines()) <= SCREEN
