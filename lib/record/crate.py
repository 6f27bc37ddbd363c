"""What made each figure, for an archive: ro-crate-metadata.json, from the sidecars of the committed figures.

`python -m lib.record.crate` (`make crate`) writes it: an RO-Crate after the profile Process Run Crate, with an action
for each figure (its notebook and package versions, parameters, weights by their digests, photographs, result files). It
holds no dates of a run, so that the same figures give the same bytes. It needs the package rocrate (the extra `crate`).
"""

import argparse
import json
import sys
from pathlib import Path

from lib.base import files, paths, strict_yaml

NAME = "ro-crate-metadata.json"
VERSION = "1.2"  # of RO-Crate
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
TERMS = {"sha256": "https://schema.org/sha256"}  # not in every version of RO-Crate's own list
KINDS = {"png": "image/png", "svg": "image/svg+xml", "csv": "text/csv", "ipynb": "application/x-ipynb+json"}
WEIGHTS = "application/octet-stream"


def sidecars(folder: Path | None = None) -> list[dict]:
    """The sidecar of every figure below `folder` (by default the committed figures), by profile and name."""
    found = sorted((folder or paths.committed_figures()).glob("*/[0-9][0-9]_*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in found if not path.name.endswith("_ledger.json")]


def weights(folder: Path | None = None) -> dict[str, str]:
    """Which committed file, as a path from the root, has which digest: {SHA-256: path}."""
    place, found = folder or paths.weights(), {}
    for path in sorted(place.rglob("*.json")):
        info = json.loads(path.read_text(encoding="utf-8"))
        if path.with_suffix(".safetensors").exists() and "digest" in info:
            found[info["digest"]] = f"data/weights/{path.relative_to(place).with_suffix('.safetensors').as_posix()}"
    return found


def entities(figures: list[dict] | None = None, known: dict[str, str] | None = None) -> list[dict]:
    """Everything the crate speaks of but itself, as JSON-LD, sorted by @id: for each of the `figures` (sidecars) a
    CreateAction, its result files, its notebook, packages, parameters, weights (`known`: file by digest), photographs.
    """
    found: dict[str, dict] = {}
    known = weights() if known is None else known

    def add(identity: str, kind, **properties) -> dict:
        found[identity] = {"@id": identity, "@type": kind} | properties
        return {"@id": identity}

    for one in sidecars() if figures is None else figures:
        home, number = f"figures/{one['profile']}", one["notebook"][:2]
        notebook = f"notebooks/{one['notebook']}.ipynb"
        instruments = [
            add(
                notebook,
                ["File", "SoftwareSourceCode"],
                name=one["notebook"],
                encodingFormat=KINDS["ipynb"],
                programmingLanguage={"@id": "#python"},
            )
        ]
        add("#python", "ComputerLanguage", name="Python", version="3.11")
        for package, version in sorted(one["versions"].items()):
            properties = {"name": package, "softwareVersion": version}
            instruments.append(add(f"#{package}-{version}", "SoftwareApplication", **properties))
        objects = []
        for name, value in sorted(one["parameters"].items()):
            text = value if isinstance(value, str) else json.dumps(value)
            properties = {"name": name, "value": text}
            identity = f"#{one['profile']}-{number}-{name}-{files.sha256(text.encode())[:8]}"
            objects.append(add(identity, "PropertyValue", **properties))
        for digest in one["weights"]:
            objects.append(_weights(digest, known, add))
        for digest in one["sources"]:
            objects.append(add(f"#sha256-{digest}", "CreativeWork", name="a source of the figure", sha256=digest))
        objects += [_photograph(picture, add) for picture in one.get("photographs", ())]
        results = [
            add(f"{home}/{file}", "File", name=file, encodingFormat=KINDS[file.rpartition(".")[2]], sha256=digest)
            for file, digest in sorted(one["files"].items())
        ]
        add(
            f"#{one['profile']}-{one['name']}",
            "CreateAction",
            name=f"figure {one['name']}, profile {one['profile']}",
            description=one["caption"],
            instrument=instruments,
            object=objects,
            result=results,
            agent={"@id": "#authors"},
            actionStatus={"@id": "http://schema.org/CompletedActionStatus"},
        )
    return [found[identity] for identity in sorted(found)]


def _weights(digest: str, known: dict[str, str], add) -> dict:
    if digest in known:
        name = known[digest].removeprefix("data/weights/")
        return add(known[digest], "File", name=f"weights {name}", encodingFormat=WEIGHTS, sha256=digest)
    text = "weights that are not in this folder: of a package, or made from its files"
    return add(f"#sha256-{digest}", "CreativeWork", name=f"weights {digest[:12]}", description=text, sha256=digest)


def _photograph(picture: dict, add) -> dict:
    properties = {"name": picture["title"], "creditText": f"{picture['author']}, {picture['licence']}"}
    source = picture["source"]
    return add(source if source.startswith("http") else f"#{source}", "Photograph", **properties)


def graph(found: list[dict] | None = None) -> dict:
    """The whole crate as JSON-LD, by the package rocrate; ValueError if that is not installed."""
    try:
        from rocrate.model import ContextEntity, DataEntity
        from rocrate.rocrate import ROCrate
    except ImportError:
        raise ValueError("the package rocrate is not installed: pip install -c constraints.txt -e '.[crate]'") from None
    about = strict_yaml.read(paths.ROOT / "CITATION.cff")
    found = entities() if found is None else found
    crate = ROCrate(version=VERSION)
    crate.metadata.extra_terms.update(TERMS)
    for one in found:
        properties = {key: value for key, value in one.items() if key != "@id"}
        form = DataEntity if "File" in one["@type"] else ContextEntity
        crate.add(form(crate, one["@id"], properties=properties))
    for identity, properties in {
        "#authors": {"@type": "Organization", "name": about["authors"][0]["name"]},
        PROFILE: {"@type": "CreativeWork", "name": "Process Run Crate", "version": PROFILE.rpartition("/")[2]},
        f"https://spdx.org/licenses/{about['license']}": {"@type": "CreativeWork", "name": about["license"]},
    }.items():
        crate.add(ContextEntity(crate, identity, properties=properties))
    for work in about["references"]:
        for identifier in work.get("identifiers", ()):
            address = f"https://arxiv.org/abs/{identifier['value'].removeprefix('arXiv:')}"
            crate.add(ContextEntity(crate, address, properties={"@type": "ScholarlyArticle", "name": work["title"]}))
            crate.root_dataset.append_to("citation", {"@id": address})
    crate.root_dataset.append_to("conformsTo", {"@id": PROFILE})
    crate.root_dataset["name"] = about["title"]
    crate.root_dataset["description"] = about["abstract"]
    crate.root_dataset["version"] = str(about["version"])
    crate.root_dataset["datePublished"] = str(about["date-released"])
    crate.root_dataset["author"] = {"@id": "#authors"}
    crate.root_dataset["license"] = {"@id": f"https://spdx.org/licenses/{about['license']}"}
    crate.root_dataset["mentions"] = [{"@id": one["@id"]} for one in found if one["@type"] == "CreateAction"]
    made = crate.metadata.generate()
    made["@graph"].sort(key=lambda one: (one["@id"] not in (NAME, "./"), one["@id"]))
    return made


def main(arguments: list[str] | None = None) -> int:
    """Write ro-crate-metadata.json into the project's folder, or into another."""
    parser = argparse.ArgumentParser(prog="python -m lib.record.crate", description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=paths.ROOT, metavar="FOLDER", help="by default the project's")
    options = parser.parse_args(arguments)
    try:
        made = graph()
    except ValueError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is the command's output
        return 1
    path = files.write_json(options.into / NAME, made)
    actions = sum(one["@type"] == "CreateAction" for one in made["@graph"])
    print(f"{path.name}: what made {actions} figures")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
