"""Photographs with ImageNet labels: those that scikit-image ships, two public collections, and the reader's own folder.

A `Photo`'s image is float RGB (3, size, size) in [0, 1]: the picture's centred square, `crop` times its shorter side
wide, resized by Pillow's antialiased bicubic filter. Collections and folders are read one picture at a time. Pictures
are turned as their camera says, their colours taken to sRGB, numbers of 12 and 16 bits to the range from 0 to 1, and
what is transparent is blended with black; of a moving picture the first frame is taken.
"""

import csv
import html
import io
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from lib.base import nearest, paths
from lib.worlds import imagenet_classes

CROP = 0.875  # the share that ImageNet networks are usually tested on: 224 of 256 pixels
ENDINGS = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
OTHERS = (".heic", ".heif", ".avif", ".raw", ".cr2", ".nef", ".arw", ".dng", ".psd", ".svg")  # pictures, not read here
CC0, PUBLIC, BY = "CC0 1.0", "public domain", "CC BY 2.0"
YOURS = "yours"  # author and licence of the reader's own pictures
LICENCES = {"https://creativecommons.org/licenses/by/2.0/": BY}  # what images.csv says: what it is called
SHIPPED = {  # name: class names that count as right (ImageNet lacks the last two), author, licence (skimage.data)
    "chelsea": (("tabby", "tiger cat", "Egyptian cat"), "Stefan van der Walt", CC0),
    "coffee": (("espresso", "cup", "coffee mug"), "Rachel Michetti, courtesy of Pikolo Espresso Bar", CC0),
    "astronaut": ((), "NASA (Eileen Collins)", PUBLIC),
    "rocket": ((), "SpaceX", PUBLIC),
}
COLLECTIONS = {  # file name: public GitHub repository, what it holds
    "nips2017-photos.zip": ("yuyang-long/SSA", "its folder dataset: images.csv and images/"),
    "imagenet-sample.zip": ("EliSchwartz/imagenet-sample-images", "its 1000 pictures"),
    "tiny-imagenet-50.zip": ("none, but cs231n.stanford.edu/tiny-imagenet-200.zip", "50 of its classes, or all"),
}


class Photo(NamedTuple):
    """A photograph, what it shows, and to whom it is owed."""

    name: str
    image: torch.Tensor  # float32 (3, size, size), RGB in [0, 1]
    labels: tuple[int, ...]  # class indices that count as right, the best first; empty: no class fits, or unknown
    author: str
    licence: str
    source: str  # where the picture is from
    publish: bool  # False: for tuning and tables only, never shown
    kind: str = ""  # of the reader's own: the name of the folder it lies in, where folders are classes
    file: str = ""  # of the reader's own: where it was read from


def shipped(size: int, names: Iterable[str] = tuple(SHIPPED), crop: float = CROP) -> list[Photo]:
    """The colour photographs that scikit-image ships: chelsea (a cat), coffee, astronaut, rocket. ValueError for
    another name."""
    from skimage import data

    classes, photos = imagenet_classes.imagenet_classes(), []
    for name in names:
        if name not in SHIPPED:
            raise ValueError(f"no photograph is called {name!r}; nearest: {nearest.ranked(name, SHIPPED)}")
        labels, author, licence = SHIPPED[name]
        image = fit(Image.fromarray(getattr(data, name)()), size, crop)
        labels = tuple(classes.index(label) for label in labels)
        photos.append(Photo(name, image, labels, author, licence, f"skimage.data.{name}", True))
    return photos


def named(names: Iterable[str], size: int, crop: float | None = None) -> list[Photo]:
    """Photographs that may be shown, by name: scikit-image's (`shipped`), those of `nips2017` by their ImageId, where
    ["nips2017"] is all of these, and the reader's own by the path of a folder (`folder`) or a picture.

    crop: by default CROP for scikit-image's and the reader's, and 1 for NIPS-2017's. ValueError for a name that none
    has; errors of `nips2017` and `folder` where they are asked.
    """
    wanted, found = list(names), {}
    if wanted == ["nips2017"]:
        return list(nips2017(size, crop=crop or 1.0))
    paths_ = [name for name in wanted if any(mark in name for mark in "/.~")]
    for name in paths_:
        found[name] = _own(Path(name).expanduser(), size, crop or CROP)
    others = [name for name in wanted if name not in SHIPPED and name not in paths_]
    for name in others:
        if not re.fullmatch(r"[0-9a-f]{16}", name):
            near = nearest.ranked(name, SHIPPED)
            raise ValueError(
                f"no photograph is called {name!r}; nearest: {near}; or an ImageId of images.csv, 16 digits"
            )
    found |= {one.name: one for one in shipped(size, [name for name in wanted if name in SHIPPED], crop or CROP)}
    if others:
        found |= {one.name: one for one in nips2017(size, crop=crop or 1.0, only=set(others))}
    for name in wanted:
        if name not in found:
            raise ValueError(f"no photograph of nips2017-photos.zip has the ImageId {name!r}: see its images.csv")
    each = ([found[name]] if isinstance(found[name], Photo) else found[name] for name in wanted)
    return [photo for some in each for photo in some]


def _own(path: Path, size: int, crop: float) -> list[Photo]:
    """The reader's own pictures in a folder, or one; they may be shown, since they stay with the reader."""
    if path.is_file():
        found = [Photo(path.stem, _fitted(Path.read_bytes, path, str(path), size, crop), (), "", "", path.name, True)]
        return [found[0]._replace(author=YOURS, licence=YOURS, file=str(path.resolve()))]
    return [one._replace(labels=(), author=YOURS, licence=YOURS, publish=True) for one in folder(path, size, crop=crop)]


def again(photo: Photo, size: int, crop: float = 1.0) -> Photo:
    """A photograph that `named` gave, at another size or crop."""
    return named([photo.file or photo.name], size, crop)[0]


def numbers(photo: Photo, classes: tuple[str, ...]) -> tuple[int, ...]:
    """The numbers in `classes` of what counts as right for a photograph, found by name: a class of ImageNet, or the
    folder that one of the reader's lies in (a WordNet id means ImageNet's class). Empty where no name fits. Names may
    list synonyms between commas; case and underscores do not count."""
    if photo.kind in (wnids := imagenet_classes.wnids()):
        photo = photo._replace(kind="", labels=(wnids.index(photo.kind),))
    if not photo.kind:
        return imagenet_classes.numbers(classes, photo.labels)
    wanted = _synonyms(photo.kind)
    return tuple(k for k, name in enumerate(classes) if wanted & _synonyms(name))


def _synonyms(name: str) -> set[str]:
    whole = name.lower().replace("_", " ")
    return {part.strip() for part in (whole, *whole.split(","))}


def titled(photo: Photo) -> str:
    """What to call a photograph in a figure: its name, or its class where the name is a number."""
    known = photo.labels and re.fullmatch(r"[0-9a-f]{16}", photo.name)
    return imagenet_classes.imagenet_classes()[photo.labels[0]] if known else photo.name


def nips2017(size: int, limit: int | None = None, crop: float = 1.0, only: set[str] | None = None) -> Iterator[Photo]:
    """Photographs of the NIPS-2017 adversarial competition (CC BY 2.0): for evaluation and, with attribution, figures.

    They are cropped to squares already, hence the default of `crop`. images.csv counts classes from 1 (TrueLabel),
    labels count from 0. `limit`: that many, evenly spaced over the list; `only`: of these ImageIds. FileNotFoundError
    that says how to get them; ValueError for a file that does not hold what is expected.
    """
    with _open_zip("nips2017-photos.zip") as archive:
        members = {Path(name).stem: name for name in archive.namelist() if name.lower().endswith(ENDINGS)}
        table = next((name for name in archive.namelist() if Path(name).name == "images.csv"), None)
        if table is None:
            raise ValueError(f"{archive.filename} has no images.csv; expected the folder dataset of yuyang-long/SSA")
        rows = csv.DictReader(io.StringIO(archive.read(table).decode("utf-8-sig")))
        rows = [(_nips_label(row, archive.filename), row) for row in rows if row.get("ImageId") in members]
        rows = rows if only is None else [one for one in rows if one[1]["ImageId"] in only]
        for label, row in _spread(rows, limit):
            member = members[row["ImageId"]]
            image = _fitted(archive.read, member, f"{archive.filename}: {member}", size, crop)
            author, licence = (
                html.unescape(" ".join(row["Author"].split())),
                LICENCES.get(row["License"], row["License"]),
            )
            yield Photo(row["ImageId"], image, (label,), author, licence, row["OriginalLandingURL"], True)


def _nips_label(row: dict, file: str) -> int:
    true, label = row.get("TrueLabel", ""), row.get("label")
    if not true.isdigit() or not 1 <= int(true) <= 1000 or (label is not None and label != str(int(true) - 1)):
        found = f"TrueLabel {true!r} and label {label!r}"
        raise ValueError(f"{file}: image {row['ImageId']} has {found}, expected 1 to 1000 and, where given, one less")
    return int(true) - 1


def imagenet_sample(size: int, limit: int | None = None, crop: float = CROP) -> Iterator[Photo]:
    """One ImageNet photograph a class, for tuning only: unlicensed, never shown.

    File names are 0281_n02123045_tabby.jpg (class index, WordNet id), or the repository's own n02123045_tabby.JPEG,
    whose index is its place among all 1000. `limit`: that many, evenly spaced over the classes. Errors as `nips2017`.
    """
    for name, picture, label in sample_pictures(limit):
        yield Photo(name, fit(picture, size, crop), (label,), "unknown", "unknown", "ImageNet", False)


def sample_pictures(limit: int | None = None) -> Iterator[tuple[str, Image.Image, int]]:
    """Name, whole picture and class index of each photograph of `imagenet_sample`. Errors as there."""
    with _open_zip("imagenet-sample.zip") as archive:
        found = [(re.match(r"(?:(\d{4})_)?(n\d{8})_", Path(n).name), n) for n in sorted(archive.namelist())]
        found = [(match, name) for match, name in found if match and name.lower().endswith(ENDINGS)]
        place = {wnid: index for index, wnid in enumerate(sorted({match[2] for match, _ in found}))}
        if not found or (len(place) != 1000 and not all(match[1] for match, _ in found)):
            raise ValueError(
                f"{archive.filename} has {len(place)} classes; expected names like 0281_n02123045_tabby.jpg, "
                "or all 1000 pictures of EliSchwartz/imagenet-sample-images"
            )
        for match, member in _spread(found, limit):
            label = int(match[1]) if match[1] else place[match[2]]
            yield Path(member).stem, _decoded(archive.read, member, f"{archive.filename}: {member}"), label


def tiny_validation() -> Iterator[tuple[int, Image.Image, tuple[int, int, int, int]]]:
    """Class (ImageNet's index), picture of 64 pixels and bounding box (left, top, right, bottom; the last two belong to
    it) of every validation photograph of Tiny-ImageNet: for tables only, never shown. Errors as `nips2017`."""
    with _open_zip("tiny-imagenet-50.zip") as archive:
        classes, root = _tiny_classes(archive), _tiny_root(archive)
        for line in archive.read(f"{root}val/val_annotations.txt").decode().splitlines():
            name, wnid, *box = line.split("\t")
            if wnid in classes and (member := f"{root}val/images/{name}") in archive.NameToInfo:
                picture = _decoded(archive.read, member, f"{archive.filename}: {member}")
                yield classes[wnid], picture, tuple(int(edge) for edge in box)


def tiny_training(limit: int | None = None) -> Iterator[tuple[int, Image.Image]]:
    """Class (ImageNet's index) and picture of 64 pixels of Tiny-ImageNet's training photographs, the first of every
    class, then the second of every class, `limit` in all: for training and tables only, never shown. Errors as
    `nips2017`."""
    with _open_zip("tiny-imagenet-50.zip") as archive:
        classes, turn, ranked = _tiny_classes(archive), Counter(), []
        for member in _tiny_members(archive):
            wnid = Path(member).parts[-3]
            turn[wnid] += 1
            ranked.append((turn[wnid], wnid, member))
        for _, wnid, member in sorted(ranked)[:limit]:
            yield classes[wnid], _decoded(archive.read, member, f"{archive.filename}: {member}")


def _tiny_root(archive: zipfile.ZipFile) -> str:
    """The folder in which wnids.txt lies, with its slash; ValueError where there is none."""
    found = next((name for name in archive.namelist() if Path(name).name == "wnids.txt"), None)
    if found is None:
        raise ValueError(f"{archive.filename} has no wnids.txt; expected Tiny-ImageNet's layout")
    return found.removesuffix("wnids.txt")


def _tiny_classes(archive: zipfile.ZipFile) -> dict[str, int]:
    """{WordNet id: ImageNet's index} of the classes that the archive holds, by their first word in words.txt."""
    root = _tiny_root(archive)
    places = {name.lower(): place for place, name in enumerate(imagenet_classes.imagenet_classes())}
    words = dict(line.split("\t") for line in archive.read(f"{root}words.txt").decode().splitlines() if line)
    found = {}
    for wnid in archive.read(f"{root}wnids.txt").decode().split():
        names = [name.strip().lower() for name in words.get(wnid, "").split(",")]
        if (place := next((places[name] for name in names if name in places), None)) is not None:
            found[wnid] = place
    return found


def _tiny_members(archive: zipfile.ZipFile) -> list[str]:
    members = sorted(name for name in archive.namelist() if re.search(r"/train/n\d{8}/images/[^/]+\.JPEG$", name))
    if not members:
        raise ValueError(f"{archive.filename} has no train/<class>/images/*.JPEG; expected Tiny-ImageNet's layout")
    return members


def tiny_pictures() -> Iterator[tuple[str, Image.Image]]:
    """Class (WordNet id) and picture of every training photograph of Tiny-ImageNet, 64 pixels: for training only, never
    shown. Errors as `nips2017`."""
    with _open_zip("tiny-imagenet-50.zip") as archive:
        for member in _tiny_members(archive):
            yield Path(member).parts[-3], _decoded(archive.read, member, f"{archive.filename}: {member}")


def folder(path: str | Path, size: int, classes: tuple[str, ...] | None = None, crop: float = CROP) -> Iterator[Photo]:
    """The reader's own pictures: a flat folder (no labels), or one sub-folder a class, named after it.

    `classes`: the network's class names, which the sub-folders must be among; without, the sub-folders in sorted order.
    Hidden files and folders are not looked at. What is left out otherwise, pictures of a kind that is not read here and
    sub-folders without pictures, is counted in a warning. ValueError naming the file if one cannot be read.
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"there is no folder {path}; expected pictures, or one sub-folder of pictures a class")
    levels = [sorted(p for p in path.glob(g) if _visible(p, path)) for g in ("*", "*/*")]
    flat, nested = ([p for p in level if p.suffix.lower() in ENDINGS and not p.is_dir()] for level in levels)
    if bool(flat) == bool(nested):
        found = f"{len(flat)} pictures beside {len(nested)} in sub-folders"
        raise ValueError(f"{path} holds {found}; expected either pictures or one sub-folder of pictures a class")
    _tell(path, *levels, nested)
    classes = classes or tuple(sorted({file.parent.name for file in nested}))
    for name in sorted({file.parent.name for file in nested} - set(classes)):
        near = nearest.ranked(name, classes, 5)
        raise ValueError(f"{path / name} is not named after a class of the network; nearest: {near}")
    for file in flat or nested:
        labels = (classes.index(file.parent.name),) if nested else ()
        image = _fitted(Path.read_bytes, file, str(file), size, crop)
        own = {"kind": file.parent.name if nested else "", "file": str(file.resolve())}
        yield Photo(file.stem, image, labels, "unknown", "unknown", file.name, False, **own)


def _visible(file: Path, folder: Path) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in file.relative_to(folder).parts)


def _tell(path: Path, first: list[Path], second: list[Path], nested: list[Path]) -> None:
    """Warn, in one sentence, of pictures of other kinds and of class folders without any that is read."""
    other = [str(p.relative_to(path)) for p in (*first, *second) if p.suffix.lower() in OTHERS]
    empty = [p.name for p in first if p.is_dir() and nested and not any(file.parent == p for file in nested)]
    told = [f"{len(other)} of a kind that is not read here ({', '.join(other[:5])})"] if other else []
    told += [f"{len(empty)} folders without pictures ({', '.join(empty[:5])})"] if empty else []
    if told:
        warnings.warn(f"{path}: left out are {' and '.join(told)}", stacklevel=3)


def fit(image: Image.Image, size: int, crop: float = CROP) -> torch.Tensor:
    """The centred square of a picture, `crop` times its shorter side, as float32 RGB (3, size, size) in [0, 1].
    ValueError unless 0 < crop <= 1."""
    if not 0 < crop <= 1:
        raise ValueError(f"crop is {crop}, expected a share of the shorter side above 0 and at most 1")
    image = _rgb(image)
    side = crop * min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    square = image.resize((size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))
    return torch.from_numpy(np.array(square).transpose(2, 0, 1).astype(np.float32) / 255)


def _rgb(image: Image.Image) -> Image.Image:
    """A picture of any mode as 8-bit sRGB, what is transparent blended with black. ValueError for whole numbers of 32
    bits and floating-point numbers whose range is not known."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image).convert("RGB")
    if (profile := image.info.get("icc_profile")) and image.mode in ("RGB", "L", "CMYK"):
        with suppress(ImageCms.PyCMSError, OSError, ValueError):  # a profile that cannot be used is none
            return ImageCms.profileToProfile(
                image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
    return image.convert("RGB")


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Grey values of more than eight bits as uint8: floats from 0 to 1, or whole numbers of 12 or 16 bits."""
    low, high = float(values.min()), float(values.max())
    whole = 4095 if 255 < high <= 4095 else 65535
    top = 1.0 if values.dtype.kind == "f" else whole
    if not (low >= 0 and high <= top):
        raise ValueError(
            f"its grey values go from {low:g} to {high:g}, expected floats from 0 to 1, or whole numbers of 16 bits"
        )
    return np.round(values * (255 / top)).astype(np.uint8)


def stack(photos: Iterable[Photo]) -> torch.Tensor:
    """The images of photos as one batch (N, 3, size, size)."""
    return torch.stack([photo.image for photo in photos])


def owed(photos: Iterable[Photo]) -> list[dict]:
    """What each photograph is called and to whom it is owed, for `figures.save(photographs=...)`. ValueError for one
    that must not be shown."""
    found = list(photos)
    for photo in found:
        if not photo.publish:
            raise ValueError(
                f"photograph {photo.name} must not be shown, expected one of scikit-image's or NIPS-2017's"
            )
    keys = ("title", "name", "author", "licence", "source")
    return [dict(zip(keys, (titled(photo), photo.name, *photo[3:6]), strict=True)) for photo in found]


def opened(file: Path) -> Image.Image:
    """A picture of a file, turned as its camera says, 8-bit sRGB. ValueError naming the file if it cannot be read."""
    return _decoded(Path.read_bytes, file, str(file))


def right(logits: torch.Tensor, photos: Iterable[Photo]) -> torch.Tensor:
    """Boolean (N,): is the most probable class one of the photo's labels? Photos without labels are never right."""
    return torch.tensor([int(best) in photo.labels for best, photo in zip(logits.argmax(1), photos, strict=True)])


def _fitted(read: Callable, source, name: str, size: int, crop: float) -> torch.Tensor:
    return fit(_decoded(read, source, name), size, crop)


def _decoded(read: Callable, source, name: str) -> Image.Image:
    """Decode what `read(source)` gives; any failure of a decoder becomes one sentence with the file's name."""
    try:
        with Image.open(io.BytesIO(read(source))) as image:
            image = ImageOps.exif_transpose(image)
            image.load()
            return _rgb(image)
    except UnidentifiedImageError as error:
        why = "it is empty, or of a kind that is not known here"
        raise ValueError(f"{name} cannot be read as a picture ({why}): repair or remove it") from error
    except Exception as error:  # decoders raise many kinds
        raise ValueError(f"{name} cannot be read as a picture ({error}): repair or remove it") from error


def _spread(items: list, limit: int | None) -> list:
    """`limit` items, evenly spaced; all of them without a limit or when there are fewer."""
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}, expected the number of photographs, at least 1")
    if limit is None or limit >= len(items):
        return items
    return [items[i * len(items) // limit] for i in range(limit)]


def _open_zip(name: str) -> zipfile.ZipFile:
    """A collection in the user's data folder; FileNotFoundError with the way to get it."""
    for candidate in (paths.user_data() / "photos" / name, paths.user_data() / name):
        if candidate.is_file():
            try:
                return zipfile.ZipFile(candidate)
            except zipfile.BadZipFile as error:
                raise ValueError(f"{candidate} is damaged ({error}): get it again") from error
    (repository, content), data = COLLECTIONS[name], paths.user_data()
    raise FileNotFoundError(
        f"{name} is neither in {data / 'photos'} nor in {data}: run `make data`, or zip {content} of the public GitHub "
        f"repository {repository} under this name, or set COMPANION_DATA to the folder that has it (data/README.md)"
    )


def tiles(images: np.ndarray, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (P, 3, H, W) cut into grid x grid tiles that do not overlap: (P * grid * grid, 3, H / grid, W / grid),
    and the number (P * grid * grid,) of the picture that each is from. ValueError unless H and W are multiples of
    `grid`."""
    number, channels, height, width = images.shape
    if height % grid or width % grid:
        raise ValueError(f"grid is {grid}, expected a divisor of {height} and {width}, the sides of the pictures")
    parts = images.reshape(number, channels, grid, height // grid, grid, width // grid)
    parts = parts.transpose(0, 2, 4, 1, 3, 5).reshape(-1, channels, height // grid, width // grid)
    return np.ascontiguousarray(parts), np.repeat(np.arange(number), grid * grid)
