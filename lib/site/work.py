"""What is under way while the page is made: the pages so far, what links may lead to, and what can be searched for."""

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jinja2
from bs4 import BeautifulSoup
from markupsafe import Markup

from lib.record import claims, review
from lib.record.tables import number, span
from lib.site import content, pictures, prose
from lib.site.content import PROFILES, Content

TEMPLATES = Path(__file__).parent / "templates"
NAME = "What do deep networks like to see?"
NAVIGATION = (
    ("index.html", "Verdicts"),
    ("index.html#notebooks", "Notebooks"),
    ("gallery.html", "Figures"),
    ("glossary.html", "Glossary"),
    ("differences.html", "Differences"),
)
SAID = (*claims.VERDICTS, claims.UNTESTABLE, review.PENDING)
LONGEST = 4000  # characters of a section that can be searched


class Work(NamedTuple):
    """The content, what links may lead to, the pages and copied files so far by their place in the site, and what can
    be found: [kind, title, address, text] each."""

    content: Content
    site: prose.Site
    templates: jinja2.Environment
    pages: dict[str, str | bytes]
    copied: set[str]
    found: list[list[str]]


def begin(what: Content) -> Work:
    """An empty page of `what`."""
    here = what.claims["embedded"]
    at = {part: f"claims/{name}.html#{part}" for name, claim in here.items() for part in claim["parts"]}
    at |= {name: f"claims/{name}.html" for name in here}
    wanted = {"README.md", "references.bib", "data/claims.yaml", "lib"}
    site = prose.Site(what.root, at, set(what.references), forms(what.terms), wanted)
    loader = jinja2.FileSystemLoader(TEMPLATES)
    templates = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return Work(what, site, templates, {}, set(pictures.files_of(what)), [])


def forms(terms: dict[str, dict]) -> dict[str, prose.Term]:
    """{form of a term as it stands in texts: its entry}; by default the term and its plural are its forms."""
    return {
        form: prose.Term(place_of(term), entry["says"], tuple(entry.get("but_in", ())))
        for term, entry in terms.items()
        for form in entry.get("forms", [term, f"{term}s"])
    }


def place_of(term: str) -> str:
    """The id of a term in the glossary."""
    return re.sub(r"\W+", "-", term).strip("-").lower()


def render(work: Work, template: str, at: str, title: str, **data) -> None:
    """Add the page `at` to the site."""
    shared = {"at": at, "title": title, "name": NAME, "navigation": NAVIGATION} | _tools(work, at)
    shared |= {"credits": (work.content.root / "figures/CREDITS.md").exists()}
    work.pages[at] = work.templates.get_template(template).render(**shared, **data)


def _tools(work: Work, at: str) -> dict:
    return {
        "away": partial(prose.away, at),
        "size": partial(pictures.size, work.content),
        "copied": work.copied,
        "profiles": PROFILES,
        "number": number,
        "span": span,
        "null_text": _null_text,
    }


def _null_text(null) -> str:
    ranges = null if isinstance(null, dict) else {"": null} if null else {}
    return ", ".join(f"{name} {span(limits)}".strip() for name, limits in ranges.items())


def fragment(work: Work, template: str, at: str, **data) -> BeautifulSoup:
    """A part of the page `at` as a tree."""
    return prose.soup(work.templates.get_template(template).render(**_tools(work, at), **data))


def figure_html(work: Work, at: str, figure) -> str:
    """A figure, or {"src", "alt"} of a picture that is none of the record, as it stands on the page `at`."""
    macros = work.templates.get_template("parts.html.j2").make_module(_tools(work, at))
    return str(macros.picture(**figure) if isinstance(figure, dict) else macros.figure(figure))


def finish(work: Work, at: str, own: str = "") -> None:
    """Link terms, claims and works on a page that a template made, and tidy its tables. own: the claim it is about."""
    tree = prose.soup(work.pages[at])
    prose.tidy(tree)
    prose.link_terms(tree, at, work.site, own)
    work.pages[at] = str(tree)


def prose_of(work: Work, text: str, at: str, origin: str) -> BeautifulSoup:
    """Markdown that lies in the repository at `origin` as a tree for the page `at`."""
    tree = prose.soup(prose.markdown(text))
    prose.relink(tree, at, origin, work.site)
    return tree


def safe(tree) -> Markup:
    """A tree, or HTML, that a template takes as it is."""
    return Markup(str(tree))


def said(work: Work, name: str) -> dict[str, str]:
    """The verdicts of a claim by profile."""
    what = work.content
    return {profile: content.verdict(what.claims[profile][name], what.rows[profile]) for profile in PROFILES}


def chip(work: Work, name: str) -> dict:
    """A claim in short: name, page and verdict on cutouts."""
    return {"name": name, "page": work.site.claims[name], "said": said(work, name)["embedded"]}


def note(work: Work, kind: str, title: str, address: str, text: str) -> None:
    """Let a place be found by the words of its title and its text."""
    work.found.append([kind, title, address, " ".join(text.split())[:LONGEST]])


def note_sections(work: Work, kind: str, title: str, at: str, sections: Iterable[dict]) -> None:
    """Let the sections of a page be found."""
    for one in sections:
        note(work, kind, f"{title}: {one['title']}", f"{at}#{one['id']}", one["text"])
