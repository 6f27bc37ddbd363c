"""A page a notebook: nbconvert renders the cells (templates/cells changes what its lab template does with code), and
the site adds what belongs to it."""

from functools import partial

from nbconvert import HTMLExporter

from lib.site import content, pictures, prose, work
from lib.site.work import Work


def add(made: Work) -> dict[str, dict]:
    """Add a page a notebook; {notebook: its `page`, `name`, `heading` and `question`, the figures `shown` in its
    cells, and by part of a claim the `cells` that decide it}."""
    what, by_digest, render_cells = made.content, pictures.digests(made.content), exporter()
    pages = {
        name: {"page": f"notebooks/{name}.html", "name": name, "heading": heading(one), "question": question(one)}
        for name, one in what.notebooks.items()
    }
    steps = [None, *((page["page"], page["heading"]) for page in pages.values()), None]
    for (name, page), before, after in zip(pages.items(), steps, steps[2:], strict=False):
        at, mine = page["page"], what.index[name]["claims"]
        draw = partial(work.figure_html, made, at)
        copy, others, page["shown"] = pictures.placed(what.notebooks[name], what, by_digest, draw)
        made.pages.update(others)
        tree = body(render_cells, copy, at, f"notebooks/{name}.ipynb", made.site)
        sections = prose.contents(tree)
        work.note_sections(made, "notebook", page["heading"], at, sections)
        parts = [part for claim in mine for part in what.claims["embedded"][claim]["parts"]]
        page["cells"] = content.deciding(what.notebooks[name], parts)
        reproduces = what.index[name].get("reproduces", page["question"])
        data = {"body": work.safe(tree), "sections": sections, "before": before, "after": after}
        data |= {"reproduces": reproduces[:1].upper() + reproduces[1:], "description": page["question"]}
        data |= {"decided": [work.chip(made, claim) for claim in mine]}
        work.render(made, "notebook.html.j2", at, page["heading"], **data)
    return pages


def exporter() -> HTMLExporter:
    """nbconvert's exporter of notebooks as HTML, with the companion's cells and its Markdown."""
    return HTMLExporter(
        template_name="cells",
        extra_template_basedirs=[str(work.TEMPLATES)],
        filters={"markdown2html": prose.markdown_filter},
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )


def body(render_cells: HTMLExporter, notebook, at: str, origin: str, site: prose.Site):
    """The cells of a notebook as a tree, its links led to the site's pages and its terms linked."""
    html, _ = render_cells.from_notebook_node(notebook)
    tree = prose.soup(html)
    prose.relink(tree, at, origin, site)
    prose.tidy(tree)
    prose.link_terms(tree, at, site)
    return tree


def heading(notebook) -> str:
    """The notebook's own first heading."""
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def question(notebook) -> str:
    """The question that a notebook asks: the line in bold below its heading, without the marks."""
    lines = [line for line in notebook.cells[0].source.splitlines()[1:] if line.strip()]
    return lines[0].strip("* ") if lines else ""


def different_here(notebook) -> str:
    """The text of the cell that says what the paper did and what is different here, as Markdown; empty without one."""
    for cell in notebook.cells:
        first, _, text = cell.source.partition("\n")
        if cell.cell_type == "markdown" and "what is different here" in first:
            return text.strip()
    return ""


def figures_near(notebook, shown: dict[str, list], cell: str) -> list:
    """The figures of the section in which a cell stands: the last before it, or else the first after it; without one
    in that section, the last before it in the notebook, or else the first after it."""
    ids, sections, section = [one.id for one in notebook.cells], {}, 0
    for one in notebook.cells:
        section += one.cell_type == "markdown" and any(line.startswith("## ") for line in one.source.splitlines())
        sections[one.id] = section
    place = ids.index(cell)
    before = [one for one in ids[: place + 1] if one in shown]
    after = [one for one in ids[place + 1 :] if one in shown]
    here = [[one for one in side if sections[one] == sections[cell]] for side in (before, after)]
    chosen = here[0][-1:] or here[1][:1] or before[-1:] or after[:1]
    return [figure for one in chosen for figure in shown[one]]
