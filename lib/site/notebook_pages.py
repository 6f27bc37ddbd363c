"""Notebooks as pages: nbconvert renders the cells (templates/cells changes what its lab template does with code), and
the site adds what belongs to it."""

from pathlib import Path

from nbconvert import HTMLExporter

from lib.site import prose

TEMPLATES = Path(__file__).parent / "templates"


def exporter() -> HTMLExporter:
    """nbconvert's exporter of notebooks as HTML, with the companion's cells and its Markdown."""
    return HTMLExporter(
        template_name="cells",
        extra_template_basedirs=[str(TEMPLATES)],
        filters={"markdown2html": prose.markdown_filter},
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )


def body(made: HTMLExporter, notebook, at: str, origin: str, site: prose.Site):
    """The cells of a notebook as a tree, its links led to the site's pages and its terms linked."""
    html, _ = made.from_notebook_node(notebook)
    tree = prose.soup(html)
    for element in tree.find_all(tabindex=True):
        del element["tabindex"]
    prose.relink(tree, at, origin, site)
    prose.tidy(tree)
    prose.link_terms(tree, at, site)
    return tree


def different_here(notebook) -> tuple[str, str] | None:
    """Heading and text of the cell that says what the paper did and what is different here, as Markdown."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and "what is different here" in cell.source.split("\n")[0]:
            head, _, text = cell.source.partition("\n")
            return head.lstrip("# "), text.strip()
    return None


def heading(notebook) -> str:
    """The notebook's own first heading."""
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def question(notebook) -> str:
    """The question that a notebook asks: the line in bold below its heading, without the marks."""
    lines = [line for line in notebook.cells[0].source.splitlines()[1:] if line.strip()]
    return lines[0].strip("* ") if lines else ""


def figures_near(notebook, shown: dict[str, list], cell: str) -> list:
    """The figures of the section in which a cell stands: the last before it, or else the first after it; without one
    in that section, the last before it in the notebook."""
    ids, section = [one.id for one in notebook.cells], 0
    sections = {}
    for one in notebook.cells:
        section += one.cell_type == "markdown" and any(line.startswith("## ") for line in one.source.splitlines())
        sections[one.id] = section
    place = ids.index(cell)
    before = [one for one in ids[: place + 1] if one in shown]
    after = [one for one in ids[place:] if one in shown and sections[one] == sections[cell]]
    here = [one for one in before if sections[one] == sections[cell]]
    chosen = here[-1:] or after[:1] or before[-1:] or [one for one in ids[place:] if one in shown][:1]
    return [figure for one in chosen for figure in shown[one]]
