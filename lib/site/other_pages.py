"""The pages that stand over the notebooks: the first one, all figures, the glossary, the references, and how the
companion differs from the papers."""

import re

from lib.record.tables import number, span
from lib.site import claim_pages, content, notebook_pages, prose, work
from lib.site.content import PROFILES
from lib.site.work import NAME, SAID, Work

TEXTS = ("easy_and_difficult", "unchecked")  # prose of the page on differences, Markdown in lib/site
HERO = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)\n\n\*(.+?)\*\n", re.S)  # a picture and, below it, its caption


def front(made: Work, pages: dict[str, dict]) -> None:
    """Add the first page: the question and a figure from the README, the verdicts, the notebooks."""
    what, at = made.content, "index.html"
    readme = (what.root / "README.md").read_text(encoding="utf-8")
    hero = HERO.search(readme)
    lead = readme[readme.index("\n", readme.index("# ")) : hero.start()] if hero else ""
    claims = [
        {"name": name, "claim": claim, "said": work.said(made, name), "measured": _measured(made, name)}
        for name, claim in what.claims["embedded"].items()
    ]
    counts = {p: {kind: sum(one["said"][p] == kind for one in claims) for kind in SAID} for p in PROFILES}
    papers = dict.fromkeys(one["claim"]["paper"] for one in claims)
    data = {"description": "An executable companion to four works on what convolutional networks see."}
    data |= {"lead": work.safe(work.prose_of(made, lead, at, "README.md"))}
    data |= {"hero": work.safe(work.prose_of(made, hero[0], at, "README.md")) if hero else ""}
    data |= {"claims": claims, "counts": counts, "figures": what.figures, "terms": what.terms}
    data |= {"papers": [(key, content.cited(what.references[key])) for key in papers]}
    data |= {"said_anywhere": [kind for kind in SAID if any(counts[profile][kind] for profile in PROFILES)]}
    cards = [
        page | {"claims": [work.chip(made, one) for one in what.index[name]["claims"]]} for name, page in pages.items()
    ]
    work.render(made, "front.html.j2", at, NAME, notebooks=cards, **data)
    work.finish(made, at)


def _measured(made: Work, name: str) -> dict[str, list[str]]:
    """What was measured of each part of a claim, by profile, in a line each."""
    found = {}
    for profile in PROFILES:
        rows = made.content.rows[profile]
        parts = [part for part in made.content.claims[profile][name]["parts"] if part in rows]
        found[profile] = [
            ("" if part == name else f"{part} {rows[part]['verdict']}: ")
            + f"{number(rows[part]['value'])} {span(rows[part]['interval'])}"
            for part in parts
        ]
    return found


def gallery(made: Work, pages: dict[str, dict]) -> None:
    """Add the page of all figures."""
    on_page, groups = {}, []
    for page in pages.values():
        for cell, shown in page["shown"].items():
            on_page |= {one.key: f"{page['page']}#cell-id={cell}" for one in shown if one.key not in on_page}
    for name, page in pages.items():
        mine = [one for one in made.content.figures.values() if one.name[:2] == name[:2]]
        mine.sort(key=lambda one: (one.name, one.profile))
        groups += [{"name": name, "heading": page["heading"], "figures": mine}] if mine else []
    shown = [one for group in groups for one in group["figures"]]
    work.render(made, "gallery.html.j2", "gallery.html", "Figures", groups=groups, figures=shown, on_page=on_page)
    for one in shown:
        text = f"{one.sidecar['caption']} {one.sidecar['alt']}"
        work.note(made, "figure", f"{one.name}, {PROFILES[one.profile]}", f"gallery.html#{one.key}", text)


def glossary(made: Work) -> None:
    """Add the page of terms."""
    numbered, entries = {name[:2]: f"notebooks/{name}.html" for name in made.content.index}, []
    for term, entry in sorted(made.content.terms.items(), key=lambda item: item[0].lower()):
        where = {"number": entry["more"], "page": numbered.get(entry["more"])}
        entries.append({"id": work.place_of(term), "term": term, "says": entry["says"]} | where)
        work.note(made, "term", term, f"glossary.html#{work.place_of(term)}", entry["says"])
    work.render(made, "glossary.html.j2", "glossary.html", "Glossary", entries=entries)


def references(made: Work) -> None:
    """Add the page of works, with the notebooks that cite each."""
    cites = {key: [] for key in sorted(made.content.references)}
    for name, notebook in made.content.notebooks.items():
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        for key in cites:
            cites[key] += [(f"notebooks/{name}.html", name[:2])] if f"[{key}]" in text else []
    data = {"references": {key: made.content.references[key] for key in cites}, "cites": cites}
    work.render(made, "references.html.j2", "references.html", "References", **data)


def differences(made: Work, pages: dict[str, dict]) -> None:
    """Add the page on how the companion differs from the papers."""
    what, at, title = made.content, "differences.html", "How this differs from the papers"
    texts = {}
    for name in TEXTS:
        origin = f"lib/site/{name}.md"
        text = (what.root / origin).read_text(encoding="utf-8") if (what.root / origin).exists() else ""
        texts[name] = work.safe(work.prose_of(made, text, at, origin))
    both: dict[tuple, list] = {(one, two): [] for one in SAID for two in SAID}
    for name in what.claims["embedded"]:
        both[tuple(work.said(made, name).values())].append(name)
    differing = [
        pages[name] | {"body": work.safe(work.prose_of(made, text, at, f"notebooks/{name}.ipynb"))}
        for name, notebook in what.notebooks.items()
        if (text := notebook_pages.different_here(notebook))
    ]
    changed = [
        (part, entry["before"], content.part_verdict(entry, what.rows["embedded"].get(part)))
        for claim in what.claims["embedded"].values()
        for part, entry in claim["parts"].items()
        if "before" in entry
    ]
    facts = [(name, one, claim_pages.trusted(one)) for name, one in what.claims["embedded"].items()]
    data = {"both": {pair: names for pair, names in both.items() if names}, "changed": changed, "facts": facts}
    tree = work.fragment(made, "differences.html.j2", at, differing=differing, title=title, **texts, **data)
    sections = prose.contents(tree)
    work.note_sections(made, "page", title, at, sections)
    work.render(made, "text.html.j2", at, title, body=work.safe(tree), sections=sections)
    work.finish(made, at)
