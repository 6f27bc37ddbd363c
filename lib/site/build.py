"""`python -m lib.site.build`: writes the page, site/index.html and all that it leads to, from committed files alone.

The same files give the same bytes. Each picture is copied once; pages share one style and one script, and ask no other
host for anything.
"""

import argparse
import json
import shutil
from pathlib import Path

from lib.base import files, paths
from lib.site import claim_pages, content, notebook_pages, other_pages, source_pages, work
from lib.site.work import Work

STATIC = Path(__file__).parent / "static"
MARK = "assets/companion.css"  # a folder with this file is a page of ours, and may be written over


def build(target: Path, root: Path | None = None) -> list[str]:
    """Write the page of the repository at `root` (by default this one) into the folder `target`, and return the files
    of the site. ValueError if the folder holds something else, or a file of the repository is not as expected."""
    if target.exists() and any(target.iterdir()) and not (target / MARK).exists():
        raise ValueError(f"{target} holds files that are no page of this project: give an empty folder, or a new name")
    made = work.begin(content.read(root))
    pages = notebook_pages.add(made)
    claim_pages.add(made, pages)
    other_pages.gallery(made, pages)
    other_pages.glossary(made)
    other_pages.references(made)
    other_pages.differences(made, pages)
    other_pages.front(made, pages)
    source_pages.add(made)
    for path in sorted(STATIC.iterdir()):
        made.pages[f"assets/{path.name}"] = path.read_bytes()
    found = json.dumps(made.found, ensure_ascii=False, indent=0)
    made.pages["assets/found.js"] = f"const companionFound = {found};\n"
    return _write(made, target)


def _write(made: Work, target: Path) -> list[str]:
    """Write pages, copy pictures that are not there already, and remove what the site no longer has."""
    for place, text in made.pages.items():
        files.atomic_write(target / place, text)
    for place in made.copied - made.pages.keys():
        here, there = made.content.root / place, target / place
        there.parent.mkdir(parents=True, exist_ok=True)
        if not there.exists() or files.file_digest(there) != files.file_digest(here):
            shutil.copyfile(here, there)
    wanted = {*made.pages, *made.copied}
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
