"""Files of the repository that pages link to, as pages: code in colours with a place for every line, folders as lists,
Markdown as prose."""

import ast
from pathlib import Path

from bs4 import BeautifulSoup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.util import ClassNotFound

from lib.site import prose

SHOWN = {".py", ".yaml", ".yml", ".toml", ".txt", ".cff", ".bib", ".md", ".mplstyle", ""}


def code(path: Path) -> str:
    """A file's text in colours; the place of line 12 is L-12."""
    text = path.read_text(encoding="utf-8")
    try:
        lexer = get_lexer_for_filename(path.name, stripnl=False)
    except ClassNotFound:
        lexer = TextLexer(stripnl=False)
    return highlight(text, lexer, HtmlFormatter(lineanchors="L", wrapcode=True))


def markdown(path: str, at: str, site: prose.Site) -> BeautifulSoup:
    """A Markdown file of the repository as a tree, its links led to the site's pages."""
    tree = prose.soup(prose.markdown((site.root / path).read_text(encoding="utf-8")))
    prose.relink(tree, at, path, site)
    prose.tidy(tree)
    prose.link_terms(tree, at, site)
    return tree


def inside(path: str, site: prose.Site) -> list[dict]:
    """What a folder holds, in order: {"name", "path", "says"}; `path` is None where the site has no page of it."""
    found = []
    for one in sorted((site.root / path).iterdir(), key=lambda one: (one.is_file(), one.name)):
        if one.name.startswith((".", "__")):
            continue
        place = f"{path}/{one.name}"
        has_page = any(one.rglob("*.py")) if one.is_dir() else one.suffix in SHOWN and not one.name.endswith(".ipynb")
        if has_page:
            site.wanted.add(place)
        found.append({"name": one.name, "path": place if has_page else None, "says": says(one)})
    return found


def says(path: Path) -> str:
    """The first sentence of a module, or of a package, about itself."""
    path = path / "__init__.py" if path.is_dir() else path
    if path.suffix != ".py" or not path.exists():
        return ""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())
