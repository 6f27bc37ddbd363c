"""Prose of the repository as HTML: Markdown by nbconvert's own renderer, links led to the pages of the site, terms and
claims linked where they first appear, wide tables in a box of their own."""

import ast
import posixpath
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from bs4 import BeautifulSoup, NavigableString, Tag
from jinja2 import pass_context
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from lib.record import claims
from lib.site import formulas

OUTSIDE = re.compile(r"^(?:[a-z]+:|#|//)", re.I)
PLAIN = {"a", "code", "pre", "h1", "h2", "h3", "h4", "button", "summary", "script", "style", "th", "svg", "dt", "nav"}
PICTURES = {".png", ".svg", ".webp", ".jpg", ".jpeg", ".csv", ".json"}
LONG = 60  # characters of a cell that wants a wide column
CITED = r"\[(?P<work>[a-z]+\d{4})\]"
CLAIM = r"(?P<claim>\b[A-Z]\d{1,2}[a-z]?\b)"


class Term(NamedTuple):
    """A word of the glossary: its place there, what it means, and the notebooks that use it in another sense."""

    place: str
    says: str
    but_in: tuple[str, ...]


class Site(NamedTuple):
    """What links may lead to, and, in `wanted`, the files of the repository that some page has asked for."""

    root: Path
    claims: dict[str, str]  # id of a claim or of a part -> its page and place
    works: set[str]
    terms: dict[str, Term]  # by the form in which a term stands in a text
    wanted: set[str]


class _Renderer(IPythonRenderer):
    """nbconvert's renderer, with formulas drawn here in place of a script that draws them in the browser."""

    def block_math(self, body):
        return formulas.svg(body, block=True)

    def inline_math(self, body):
        return formulas.svg(body)


def markdown(source: str) -> str:
    """Markdown as HTML, as a notebook shows it, with formulas drawn."""
    renderer = _Renderer(escape=False, anchor_link_text="#", exclude_anchor_links=False)
    return MarkdownWithMath(renderer=renderer).render(source)


@pass_context
def markdown_filter(_context, source: str) -> str:
    """`markdown`, as nbconvert's templates call it."""
    return markdown(source)


def soup(html: str) -> BeautifulSoup:
    """HTML as a tree."""
    return BeautifulSoup(html, "html.parser")


def page_of(path: str, root: Path) -> str:
    """The page, or file, of the site on which a file of the repository is shown; both from their roots."""
    if path.startswith("notebooks/") and path.endswith(".ipynb"):
        return path.removesuffix(".ipynb") + ".html"
    if (root / path).is_dir():
        return posixpath.join(path, "index.html")
    if path.startswith("figures/") and posixpath.splitext(path)[1] in PICTURES:
        return path
    return f"{path}.html"


def relink(tree: BeautifulSoup, at: str, origin: str, site: Site) -> None:
    """Lead every link and picture of a text that lies at `origin` in the repository to where the site, on its page
    `at`, has it. ValueError names the text and the link where the repository has no such file."""
    for element, attribute in [(a, "href") for a in tree("a", href=True)] + [(i, "src") for i in tree("img", src=True)]:
        target = element[attribute]
        if OUTSIDE.match(target) or element.find_parent(attrs={"data-site": True}):
            continue
        path, _, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
        if path.startswith("..") or not (site.root / path).exists():
            raise ValueError(f"{origin} links to {target}, and the repository has no {path}")
        site.wanted.add(path)
        anchor = anchor or _definition(site.root / path, element.get_text())
        element[attribute] = away(at, page_of(path, site.root)) + (f"#{anchor}" if anchor else "")


def away(at: str, target: str) -> str:
    """The address of one page of the site as seen from another, both from the site's root."""
    return posixpath.relpath(target, posixpath.dirname(at) or ".")


def _definition(path: Path, text: str) -> str:
    """The line's place in a module's page on which a function that the link names is defined."""
    lines = definitions(path) if path.suffix == ".py" else {}
    name = re.sub(r"\W+$", "", text).rpartition(".")[2]
    return f"L-{lines[name]}" if name in lines else ""


@cache
def definitions(path: Path) -> dict[str, int]:
    """Name of every function and class at the top of a module, and its line."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {node.name: node.lineno for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def link_terms(tree: BeautifulSoup, at: str, site: Site, own: str = "") -> None:
    """Link terms, claims and works in running text, each where it first appears on the page; in a table, a claim's id
    that stands alone in its cell every time. own: the page's own claim, which is left alone."""
    seen, pattern = {own} if own else set(), _pattern(tuple(sorted(form for form in site.terms if form[0] != "*")))
    for text in tree.find_all(string=True):
        if type(text) is not NavigableString or not text.strip() or text.find_parent(PLAIN) or not _running(text):
            continue
        whole = f"*{text.strip().lower()}*"
        if text.parent.name in ("em", "strong") and whole in site.terms:
            if (made := _term(text, site.terms[whole], at, seen)) is not None:
                text.replace_with(made)
            continue
        pieces, end = [], 0
        for hit in pattern.finditer(text):
            made = _linked(hit, at, site, seen, alone=text.strip() == hit[0] and text.parent.name == "td")
            if made is not None:
                pieces += [NavigableString(text[end : hit.start()]), made]
                end = hit.end()
        if pieces:
            text.replace_with(*pieces, NavigableString(text[end:]))


def _running(text: NavigableString) -> bool:
    return bool(text.find_parent(["p", "li", "dd", "td", "figcaption"])) and not text.find_parent(
        attrs={"data-plain": "1"}
    )


@cache
def _pattern(forms: tuple[str, ...]) -> re.Pattern:
    forms = sorted(forms, key=len, reverse=True)
    either = (re.escape(form) if form != form.lower() else f"(?i:{re.escape(form)})" for form in forms)
    return re.compile(rf"{CITED}|{CLAIM}" + (rf"|(?<![\w-])(?P<term>{'|'.join(either)})(?![\w-])" if forms else ""))


def _linked(hit: re.Match, at: str, site: Site, seen: set, alone: bool) -> Tag | None:
    found, maker = hit.groupdict(), BeautifulSoup("", "html.parser")
    if work := found["work"]:
        if work not in site.works:
            return None
        return maker.new_tag("a", href=away(at, f"references.html#{work}"), string=hit[0], attrs={"class": "work"})
    if name := found["claim"]:
        if name not in site.claims or (name in seen and not alone):
            return None
        seen.add(name)
        return maker.new_tag("a", href=away(at, site.claims[name]), string=name, attrs={"class": "id"})
    return _term(hit[0], site.terms.get(hit["term"]) or site.terms[hit["term"].lower()], at, seen)


def _term(text: str, term: Term, at: str, seen: set) -> Tag | None:
    if term.place in seen or posixpath.basename(at)[:2] in term.but_in:
        return None
    seen.add(term.place)
    attributes = {"class": "term", "title": term.says}
    return BeautifulSoup("", "html.parser").new_tag(
        "a", href=away(at, f"glossary.html#{term.place}"), string=str(text), attrs=attributes
    )


def tidy(tree: BeautifulSoup) -> None:
    """Make a text readable everywhere: wide tables and code scroll in a box that the keyboard reaches, heads of tables
    are heads, verdicts are marked, ids are used once."""
    for table in tree("table"):
        if table.find_parent(class_="wide"):
            continue
        box = {"class": "wide", "tabindex": "0", "role": "region", "aria-label": _name(table)}
        table.wrap(tree.new_tag("div", attrs=box))
    for head in tree("th"):
        head["scope"] = head.get("scope", "col")
    for cell in tree(["td", "th"]):
        cell.attrs.pop("style", None)
        if len(cell.get_text()) > LONG:
            cell["class"] = [*cell.get("class", []), "long"]
        if (said := cell.get_text().strip().lower()) in (*claims.VERDICTS, claims.UNTESTABLE):
            cell["class"] = [*cell.get("class", []), "said", said.replace(" ", "-")]
    for element in tree(["pre", "div"], tabindex=True, class_=lambda name: name != "wide"):
        del element["tabindex"]
    for code in tree("pre"):
        code["tabindex"] = "0"
    for heading in tree(["h1", "h2", "h3", "h4"], id=True):
        heading["id"] = unquote(heading["id"])
        for own in heading("a", class_="anchor-link"):
            own["href"] = f"#{heading['id']}"
    for second in tree("h1")[1:]:
        second.name = "h2"
    used: dict[str, int] = {}
    for element in tree.find_all(id=True):
        used[element["id"]] = used.get(element["id"], 0) + 1
        if used[element["id"]] > 1:
            element["id"] = f"{element['id']}-{used[element['id']]}"
            for own in element("a", class_="anchor-link"):
                own["href"] = f"#{element['id']}"
    for link in tree("a", class_="anchor-link"):
        link["aria-label"] = f"Link to the section {own_text(link.parent)}"


def _name(table: Tag) -> str:
    """What a table is called for those who hear the page: its columns."""
    first = table.find("tr")
    heads = [cell.get_text().strip() for cell in first(["th", "td"])] if first else []
    return "Table: " + ", ".join(head for head in heads if head)[:80]


def own_text(heading: Tag) -> str:
    """The words of a heading, without the mark that links to it."""
    mark = heading.find("a", class_="anchor-link")
    return " ".join(heading.get_text().removesuffix(mark.get_text() if mark else "").split())


def contents(tree: BeautifulSoup) -> list[dict]:
    """The sections of a page in order: {"id", "title", "level"}, and `text`, what stands in them."""
    found = []
    for element in tree.find_all(["h2", "h3", "p", "li", "figcaption", "dd"]):
        text = " ".join(element.get_text().split())
        if element.name in ("h2", "h3"):
            if element.get("id"):
                level = int(element.name[1])
                found.append({"id": element["id"], "title": own_text(element), "level": level, "text": ""})
        elif found:
            found[-1]["text"] += f" {text}"
    return found
