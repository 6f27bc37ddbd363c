"""`python -m lib.site.build`: writes the page, site/index.html and all that it leads to, from committed files alone.

The same files give the same bytes. Each picture is copied once; pages share one style and one script, and ask no other
host for anything.
"""

import argparse
import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jinja2

from lib.base import files, paths
from lib.record import claims as rules
from lib.record import review
from lib.record.tables import number, span
from lib.site import claim_pages, content, notebook_pages, pictures, prose, source_pages
from lib.site.content import PROFILES, Content

HERE = Path(__file__).parent
NAME = "What do deep networks like to see?"
NAVIGATION = (
    ("index.html", "Verdicts"),
    ("notebooks/00_overview.html", "Notebooks"),
    ("gallery.html", "Figures"),
    ("glossary.html", "Glossary"),
    ("differences.html", "Differences"),
)
MARK = "assets/companion.css"  # a folder with this file is a page of ours, and may be written over
SAID = (*rules.VERDICTS, rules.UNTESTABLE, review.PENDING)
HERO = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)\n\n\*(.+?)\*\n", re.S)
LONGEST = 4000  # characters of a section that can be searched


class Work(NamedTuple):
    """What is under way: the content, what links may lead to, the pages and copied files so far, what can be found."""

    content: Content
    site: prose.Site
    templates: jinja2.Environment
    pages: dict[str, str | bytes]
    copied: set[str]
    found: list[list[str]]


def build(target: Path, root: Path | None = None) -> list[str]:
    """Write the page of the repository at `root` (by default this one) into the folder `target`, and return the files
    of the site. ValueError if the folder holds something else, or a file of the repository is not as expected."""
    if target.exists() and any(target.iterdir()) and not (target / MARK).exists():
        raise ValueError(f"{target} holds files that are no page of this project: give an empty folder, or a new name")
    work = begin(content.read(root))
    pages = notebooks(work)
    claim_by_claim(work, pages)
    gallery(work, pages)
    glossary(work)
    references(work)
    differences(work)
    front(work)
    sources(work)
    work.pages["assets/companion.css"] = (HERE / "static/companion.css").read_bytes()
    work.pages["assets/companion.js"] = (HERE / "static/companion.js").read_bytes()
    work.pages["assets/found.js"] = "companionFound = " + json.dumps(work.found, ensure_ascii=False, indent=0) + ";\n"
    return write(work, target)


def begin(what: Content) -> Work:
    """An empty page of `what`."""
    at = {name: f"claims/{name}.html" for name in what.claims["embedded"]}
    at |= {
        part: f"claims/{name}.html#{part}"
        for name, claim in what.claims["embedded"].items()
        for part in claim["parts"]
        if part != name
    }
    site = prose.Site(what.root, at, set(what.references), forms(what.terms), {"README.md", "references.bib", "lib"})
    site.wanted.add("data/claims.yaml")
    loader = jinja2.FileSystemLoader(HERE / "templates")
    templates = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    templates.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    return Work(what, site, templates, {}, set(pictures.files_of(what)), [])


def forms(terms: dict[str, dict]) -> dict[str, tuple[str, str]]:
    """{form of a term as it stands in texts: (its place in the glossary, what it means)}; by default its plural is a
    form as well, and a form without capitals is found with one, too."""
    found = {}
    for term, entry in terms.items():
        for form in entry.get("forms", [term, f"{term}s"]):
            found[form] = (place_of(term), entry["says"])
    return found


def place_of(term: str) -> str:
    """The id of a term in the glossary."""
    return re.sub(r"\W+", "-", term).strip("-").lower()


def render(work: Work, template: str, at: str, title: str, **data) -> None:
    """Add the page `at` to the site."""
    away = partial(prose.away, at)
    shared = {"at": at, "title": title, "name": NAME, "away": away, "navigation": NAVIGATION, "profiles": PROFILES}
    shared |= {"size": partial(pictures.size, work.content), "copied": work.copied, "number": number, "span": span}
    shared |= {"credits": (work.content.root / "figures/CREDITS.md").exists(), "null_text": _null_text}
    work.pages[at] = work.templates.get_template(template).render(**shared, **data)


def _null_text(null) -> str:
    ranges = null if isinstance(null, dict) else {"": null} if null else {}
    return ", ".join(f"{name} {span(limits)}".strip() for name, limits in ranges.items())


def figure_html(work: Work, at: str, figure) -> str:
    """A figure, or a picture that is none of the record, as it stands on the page `at`."""
    macros = work.templates.get_template("parts.html.j2")
    macros = macros.make_module(
        {"away": partial(prose.away, at), "size": partial(pictures.size, work.content), "copied": work.copied}
    )
    return str(macros.picture(**figure) if isinstance(figure, dict) else macros.figure(figure))


def notebooks(work: Work) -> dict[str, dict]:
    """Add a page a notebook; {notebook: its page, heading, question, the figures of its cells and where claims are
    decided}."""
    made, by_digest, what = notebook_pages.exporter(), pictures.digests(work.content), work.content
    pages = {}
    for name, notebook in what.notebooks.items():
        heading, question = notebook_pages.heading(notebook), notebook_pages.question(notebook)
        pages[name] = {"page": f"notebooks/{name}.html", "name": name, "heading": heading, "question": question}
    names = list(pages)
    for place, (name, page) in enumerate(pages.items()):
        at, origin = page["page"], f"notebooks/{name}.ipynb"
        draw = partial(figure_html, work, at)
        copy, others, page["shown"] = pictures.placed(what.notebooks[name], what, by_digest, draw)
        work.pages.update(others)
        tree = notebook_pages.body(made, copy, at, origin, work.site)
        sections = prose.contents(tree)
        work.found.extend([["notebook", f"{page['heading']}: {one['title']}", f"{at}#{one['id']}", one["text"][:LONGEST]] for one in sections])
        parts = [part for claim in what.index[name]["claims"] for part in what.claims["embedded"][claim]["parts"]]
        page["decides"] = {
            part: f"{at}#cell-id={cell}" for part, cell in content.deciding(what.notebooks[name], parts).items()
        }
        page["cells"] = content.deciding(what.notebooks[name], parts)
        render(
            work,
            "notebook.html.j2",
            at,
            page["heading"],
            description=page["question"],
            body=jinja2.filters.do_mark_safe(str(tree)),
            sections=sections,
            reproduces=what.index[name].get("reproduces", page["question"]),
            decided=[_chip(work, claim) for claim in what.index[name]["claims"]],
            before=_step(pages, names, place - 1),
            after=_step(pages, names, place + 1),
        )
    return pages


def _step(pages: dict, names: list[str], place: int) -> tuple[str, str] | None:
    return (pages[names[place]]["page"], pages[names[place]]["heading"]) if 0 <= place < len(names) else None


def _chip(work: Work, name: str) -> dict:
    return {"name": name, "page": work.site.claims[name], "said": said(work, name)["embedded"]}


def said(work: Work, name: str) -> dict[str, str]:
    """The verdicts of a claim by profile."""
    what = work.content
    return {profile: content.verdict(what.claims[profile][name], what.rows[profile]) for profile in PROFILES}


def claim_by_claim(work: Work, pages: dict) -> None:
    """Add a page a claim."""
    what, names = work.content, list(work.content.claims["embedded"])
    for place, name in enumerate(names):
        claim, home = what.claims["embedded"][name], pages.get(what.claims["embedded"][name]["notebook"])
        if home is None:
            raise ValueError(f"data/claims.yaml, claim {name}: notebook {claim['notebook']} is not in the index")
        pictured, notebook = {}, what.notebooks[home["name"]]
        for part in claim["parts"]:
            if part in home["cells"]:
                near = notebook_pages.figures_near(notebook, home["shown"], home["cells"][part])
                pictured |= {one.key: one for one in near}
        for one in list(pictured.values()):  # the same figure of the other profile, where there is one
            pictured |= {
                other.key: other
                for profile in PROFILES
                if (other := what.figures.get((profile, one.name))) is not None
            }
        at = f"claims/{name}.html"
        render(
            work,
            "claim.html.j2",
            at,
            f"{name}: {claim['statement']}",
            claim_id=name,
            claim=claim,
            said=said(work, name),
            cited=content.cited(what.references[claim["paper"]]),
            trusted=claim_pages.trusted(claim),
            home=home["heading"],
            asked=[_asked(work, name, part, home) for part in claim["parts"]],
            pictured=list(pictured.values()),
            before=(f"claims/{names[place - 1]}.html", names[place - 1]) if place else None,
            after=(f"claims/{names[place + 1]}.html", names[place + 1]) if place + 1 < len(names) else None,
        )
        _finish(work, at, own=name)
        work.found.append(["claim", f"{name}: {claim['statement']}", at, f"{claim['found']} {' '.join(said(work, name).values())}"])


def _asked(work: Work, name: str, part: str, home: dict) -> dict:
    """A part of a claim as its page shows it, in every profile."""
    shown = []
    for profile, label in PROFILES.items():
        entry, row = work.content.claims[profile][name]["parts"][part], work.content.rows[profile].get(part)
        one = {"profile": profile, "label": label, "entry": entry, "row": row}
        one["said"] = content.part_verdict(entry, row)
        if row and "untestable" not in entry:
            one["rule"] = {side: claim_pages.in_words(entry["rule"][side]) for side in claim_pages.SIDES}
            one |= {"agreement": claim_pages.agreement(entry), "drawn": claim_pages.drawing(entry, row)}
            one["lines"] = [("all", row)] + [(f"seed {seed['seed']}", {"null": row["null"]} | seed) for seed in row["seeds"]]
        shown.append(one)
    return {"name": part, "profiles": shown, "cell": home["decides"].get(part)}


def _finish(work: Work, at: str, own: str = "") -> None:
    """Link terms, claims and works on a page that a template made, and tidy its tables."""
    tree = prose.soup(work.pages[at])
    prose.tidy(tree)
    prose.link_terms(tree, at, work.site, own)
    work.pages[at] = str(tree)


def gallery(work: Work, pages: dict) -> None:
    """Add the page of all figures."""
    on_page, groups = {}, []
    for page in pages.values():
        for cell, shown in page["shown"].items():
            on_page |= {one.key: f"{page['page']}#cell-id={cell}" for one in shown if one.key not in on_page}
    for name, page in pages.items():
        mine = sorted(
            (one for one in work.content.figures.values() if one.name[:2] == name[:2]),
            key=lambda one: (one.name, one.profile),
        )
        groups += [{"name": name, "heading": page["heading"], "figures": mine}] if mine else []
    shown = [one for group in groups for one in group["figures"]]
    data = {"groups": groups, "figures": shown, "notebooks": groups, "on_page": on_page}
    render(work, "gallery.html.j2", "gallery.html", "Figures", **data)
    for one in shown:
        title = f"{one.name}, {PROFILES[one.profile]}"
        work.found.append(["figure", title, f"gallery.html#{one.key}", f"{one.sidecar['caption']} {one.sidecar['alt']}"])


def glossary(work: Work) -> None:
    """Add the page of terms."""
    entries = []
    for term, entry in sorted(work.content.terms.items(), key=lambda item: item[0].lower()):
        name = next((name for name in work.content.index if name[:2] == str(entry.get("more", "-"))), None)
        one = {"id": place_of(term), "term": term, "says": entry["says"], "number": entry.get("more")}
        entries.append(one | {"page": f"notebooks/{name}.html" if name else None})
        work.found.append(["term", term, f"glossary.html#{one['id']}", one["says"]])
    render(work, "glossary.html.j2", "glossary.html", "Glossary", entries=entries)


def references(work: Work) -> None:
    """Add the page of works, with the notebooks that cite each."""
    cites = {key: [] for key in work.content.references}
    for name, notebook in work.content.notebooks.items():
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        for key in cites:
            if f"[{key}]" in text:
                cites[key].append((f"notebooks/{name}.html", name[:2]))
    data = {"references": dict(sorted(work.content.references.items())), "cites": cites}
    render(work, "references.html.j2", "references.html", "References", **data)


def differences(work: Work) -> None:
    """Add the page on how the companion differs from the papers."""
    what, at = work.content, "differences.html"
    texts = {}
    for name in ("easy_and_difficult", "unchecked"):
        tree = prose.soup(prose.markdown((HERE / f"{name}.md").read_text(encoding="utf-8")))
        for link in tree("a", href=re.compile(r"^\.\./\.\./")):  # as the file lies in lib/site
            path = link["href"].removeprefix("../../")
            link["href"] = prose.away(at, prose.page_of(path, what.root))
            work.site.wanted.add(path)
        texts[name] = str(tree)
    lists = {profile: {name: said(work, name)[profile] for name in what.claims[profile]} for profile in PROFILES}
    outcome = {(here, there): [] for here in SAID for there in SAID}
    for name in lists["embedded"]:
        outcome[lists["embedded"][name], lists["photos"][name]].append(name)
    differing = []
    for name, notebook in what.notebooks.items():
        if (found := notebook_pages.different_here(notebook)) is not None:
            tree = prose.soup(prose.markdown(found[1]))
            prose.relink(tree, at, f"notebooks/{name}.ipynb", work.site)
            page = {"page": f"notebooks/{name}.html", "name": name, "heading": notebook_pages.heading(notebook)}
            differing.append(page | {"body": jinja2.filters.do_mark_safe(str(tree))})
    changed = [
        (part, entry["before"]["verdict"], content.part_verdict(entry, what.rows["embedded"].get(part)), entry["before"]["why"])
        for claim in what.claims["embedded"].values()
        for part, entry in claim["parts"].items()
        if "before" in entry
    ]
    facts = [
        {"name": name, "claim": claim, "trusted": claim_pages.trusted(claim)}
        for name, claim in what.claims["embedded"].items()
    ]
    tree = prose.soup(texts["easy_and_difficult"])
    data = {
        "sections": [],
        "prose": jinja2.filters.do_mark_safe(str(tree)),
        "unchecked": jinja2.filters.do_mark_safe(texts["unchecked"]),
        "facts": facts,
        "changed": changed,
        "differing": differing,
        "outcome": {key: names for key, names in outcome.items() if names},
    }
    render(work, "differences.html.j2", at, "How this differs from the papers", **data)
    data["sections"] = prose.contents(prose.soup(work.pages[at]))
    render(work, "differences.html.j2", at, "How this differs from the papers", **data)
    work.found.extend([["page", f"Differences: {one['title']}", f"{at}#{one['id']}", one["text"][:LONGEST]] for one in data["sections"]])
    _finish(work, at)


def front(work: Work) -> None:
    """Add the first page: the question, one figure, the verdicts, the notebooks."""
    what, at = work.content, "index.html"
    readme = (what.root / "README.md").read_text(encoding="utf-8")
    hero = HERO.search(readme)
    lead = readme[readme.index("\n", readme.index("# ")) : hero.start()] if hero else ""
    texts = []
    for text in (lead, hero[0] if hero else ""):
        tree = prose.soup(prose.markdown(text))
        prose.relink(tree, at, "README.md", work.site)
        texts.append(str(tree))
    rows = [
        {"name": name, "claim": claim, "page": f"claims/{name}.html", "said": said(work, name), "measured": _measured(work, name)}
        for name, claim in what.claims["embedded"].items()
    ]
    counts = {p: {kind: sum(row["said"][p] == kind for row in rows) for kind in SAID} for p in PROFILES}
    papers = dict.fromkeys(row["claim"]["paper"] for row in rows)
    cards = [
        {
            "page": f"notebooks/{name}.html",
            "heading": notebook_pages.heading(notebook),
            "question": notebook_pages.question(notebook),
            "claims": [_chip(work, claim) for claim in what.index[name]["claims"]],
        }
        for name, notebook in what.notebooks.items()
    ]
    render(
        work,
        "front.html.j2",
        at,
        NAME,
        description="An executable companion to four works on what convolutional networks see.",
        lead=jinja2.filters.do_mark_safe(texts[0]),
        hero=jinja2.filters.do_mark_safe(f'<div class="hero">{texts[1]}</div>' if texts[1] else ""),
        claims=rows,
        counts=counts,
        papers=[(key, content.cited(what.references[key])) for key in papers],
        homes=[(name, notebook_pages.heading(what.notebooks[name])) for name in what.index if what.index[name]["claims"]],
        said_anywhere=[kind for kind in SAID if any(counts[profile][kind] for profile in PROFILES)],
        notebooks=cards,
        figures=what.figures,
        terms=what.terms,
    )
    _finish(work, at)


def _measured(work: Work, name: str) -> dict[str, list[str]]:
    """What was measured of each part of a claim, by profile, in a line each."""
    found = {}
    for profile in PROFILES:
        parts, rows = work.content.claims[profile][name]["parts"], work.content.rows[profile]
        found[profile] = [
            ("" if part == name else f"{part} {rows[part]['verdict']}: ")
            + f"{number(rows[part]['value'])} {span(rows[part]['interval'])}"
            for part in parts
            if part in rows
        ]
    return found


def sources(work: Work) -> None:
    """Add a page for every file of the repository that some page links to, and for those that these link to."""
    root, done = work.content.root, set()
    while todo := sorted(work.site.wanted - done):
        for path in todo:
            done.add(path)
            at = prose.page_of(path, root)
            if at in work.pages or at in work.copied:
                continue
            if at == path:
                work.copied.add(path)
            elif path.endswith(".md"):
                _markdown_page(work, path, at)
            else:
                _source_page(work, path, at)


def _markdown_page(work: Work, path: str, at: str) -> None:
    tree = source_pages.markdown(path, at, work.site)
    title = (tree.find("h1") or tree.new_string(path)).get_text().removesuffix("#")
    sections = prose.contents(tree)
    work.found.extend([["page", f"{title}: {one['title']}", f"{at}#{one['id']}", one["text"][:LONGEST]] for one in sections])
    title = f"{title} ({path})" if title == NAME else title
    render(work, "text.html.j2", at, title, body=jinja2.filters.do_mark_safe(str(tree)), sections=sections)


def _source_page(work: Work, path: str, at: str) -> None:
    root = work.content.root
    steps = path.split("/")
    crumbs = [("/".join(steps[: k + 1]), step) for k, step in enumerate(steps[:-1])]
    known = [(f"{folder}/index.html" if folder.split("/")[0] == "lib" else None, step) for folder, step in crumbs]
    work.site.wanted.update(folder for folder, _ in crumbs if folder.split("/")[0] == "lib")
    data = {"path": path, "crumbs": [*known, (None, steps[-1])]}
    if (root / path).is_dir():
        listing = source_pages.inside(path, work.site)
        for one in listing:
            one["page"] = prose.page_of(one["path"], root) if one["path"] else None
        data |= {"listing": listing, "says": source_pages.says(root / path)}
    else:
        data["body"] = jinja2.filters.do_mark_safe(source_pages.code(root / path))
        if path.endswith(".py"):
            names = " ".join(prose.definitions(root / path))
            work.found.append(["source", path, at, f"{source_pages.says(root / path)} {names}"])
    render(work, "source.html.j2", at, path, **data)


def write(work: Work, target: Path) -> list[str]:
    """Write pages and copy pictures where they are not there already, and remove what the site no longer has."""
    for place, text in work.pages.items():
        files.atomic_write(target / place, text)
    for place in work.copied - work.pages.keys():
        here, there = work.content.root / place, target / place
        there.parent.mkdir(parents=True, exist_ok=True)
        if not there.exists() or files.file_digest(there) != files.file_digest(here):
            shutil.copyfile(here, there)
    wanted = {*work.pages, *work.copied}
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(target).as_posix() not in wanted:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    return sorted(wanted)


def main(arguments: list[str] | None = None) -> int:
    """Write the page and say where it is."""
    parser = argparse.ArgumentParser(prog="python -m lib.site.build", description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=paths.ROOT / "site", help="the folder that is written (site)")
    options = parser.parse_args(arguments)
    written = build(options.into)
    pages = sum(name.endswith(".html") for name in written)
    print(f"{pages} pages, {len(written)} files: open {options.into / 'index.html'}")  # noqa: T201 - its output
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
