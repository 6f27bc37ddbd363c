"""Files of the repository that pages link to, as pages: code in colours with a place for every line, folders as lists,
Markdown as prose."""

import ast
import re
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.util import ClassNotFound

from lib.site import prose, work
from lib.site.work import NAME, Work

SHOWN = {".py", ".yaml", ".txt", ".mplstyle"}  # of a folder's files, those that have pages


def add(made: Work) -> None:
    """Add a page for every file of the repository that some page links to, and for those that these link to."""
    root, done = made.content.root, set()
    while todo := sorted(made.site.wanted - done):
        for path in todo:
            done.add(path)
            at = prose.page_of(path, root)
            if at in made.pages or at in made.copied:
                continue
            if at == path:
                made.copied.add(path)
            elif path.endswith(".md"):
                _markdown(made, path, at)
            else:
                _source(made, path, at)


def _markdown(made: Work, path: str, at: str) -> None:
    tree = work.prose_of(made, (made.content.root / path).read_text(encoding="utf-8"), at, path)
    for heading in tree(["h1", "h2", "h3", "h4"], id=True):  # as other Markdown files link to them, on GitHub too
        heading["id"] = re.sub(r"[^\w\- ]", "", prose.own_text(heading).lower()).replace(" ", "-")
        for own in heading("a", class_="anchor-link"):
            own["href"] = f"#{heading['id']}"
    prose.tidy(tree)
    prose.link_terms(tree, at, made.site)
    title = prose.own_text(tree.find("h1")) if tree.find("h1") else path
    title = f"{title} ({path})" if title == NAME else title
    sections = prose.contents(tree)
    work.note_sections(made, "page", title, at, sections)
    work.render(made, "text.html.j2", at, title, body=work.safe(tree), sections=sections)


def _source(made: Work, path: str, at: str) -> None:
    root, steps = made.content.root, path.split("/")
    folders = ["/".join(steps[: k + 1]) for k in range(len(steps) - 1)]
    ours = [folder for folder in folders if steps[0] == "lib"]
    made.site.wanted.update(ours)
    crumbs = [(f"{folder}/index.html" if folder in ours else None, folder.split("/")[-1]) for folder in folders]
    data = {"path": path, "crumbs": [*crumbs, (None, steps[-1])], "says": says(root / path)}
    if (root / path).is_dir():
        data["listing"] = inside(path, made.site)
    else:
        data["body"] = work.safe(code(root / path))
        names = " ".join(prose.definitions(root / path)) if path.endswith(".py") else ""
        work.note(made, "source", path, at, f"{data['says']} {names}")
    work.render(made, "source.html.j2", at, path, **data)


def code(path: Path) -> str:
    """A file's text in colours; the place of line 12 is L-12."""
    text = path.read_text(encoding="utf-8")
    try:
        lexer = get_lexer_for_filename(path.name, stripnl=False)
    except ClassNotFound:
        lexer = TextLexer(stripnl=False)
    return highlight(text, lexer, HtmlFormatter(lineanchors="L", wrapcode=True))


def inside(path: str, site: prose.Site) -> list[dict]:
    """What a folder holds, folders first: {"name", "page", "says"}; `page` is None where the site has none of it."""
    found = []
    for one in sorted((site.root / path).iterdir(), key=lambda one: (one.is_file(), one.name)):
        if one.name.startswith((".", "__")):
            continue
        place = f"{path}/{one.name}"
        shown = any(one.rglob("*.py")) if one.is_dir() else one.suffix in SHOWN
        site.wanted.update({place} if shown else ())
        found.append({"name": one.name, "page": prose.page_of(place, site.root) if shown else None, "says": says(one)})
    return found


def says(path: Path) -> str:
    """What a module, or a package, says of itself in its first paragraph."""
    path = path / "__init__.py" if path.is_dir() else path
    if path.suffix != ".py" or not path.exists():
        return ""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())
