"""Spec files, lists of class names and pictures with one oddity each: read as meant, or refused in a sentence."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from lib.networks import catalogue
from lib.worlds import imagenet_classes, photos

NET = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))

def needs(number):
    return build()

def state():
    return build().state_dict()

def pair():
    return build(), None

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(*build())

net = build()
"""
START = "factory: net.py:build\nsize: 16\n"


def write(folder, spec: str | bytes, names: bytes | None = None):
    (folder / "net.py").write_text(NET)
    (folder / "mine.yaml").write_bytes(spec if isinstance(spec, bytes) else spec.encode())
    if names is not None:
        (folder / "names.txt").write_bytes(names)
    return folder / "mine.yaml"


@pytest.mark.parametrize(
    "spec",
    [
        b"\xef\xbb\xbf" + START.encode(),
        START.replace("\n", "\r\n"),
        START.replace(": ", ":\t"),
        START.replace(":build", ":Net"),
        START.replace(":build", ":net"),
        f"{START}name: a/b:c\n",
        f"{START}classes: []\n",
        f"{START}classes:\n",
    ],
    ids=["a mark of bytes", "two line ends", "tabs", "a class", "a module", "a slash", "no names", "nothing"],
)
def test_odd_ways_to_write_a_spec_work(tmp_path, spec):
    net = catalogue.load(write(tmp_path, spec))
    assert net.classes == ("class 0", "class 1", "class 2")
    assert net.name == ("a/b:c" if b"name" in (tmp_path / "mine.yaml").read_bytes() else "mine")


def test_the_home_folders_sign_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, f"{START}classes: names.txt\n", b"cat\ndog\nowl\n")
    assert catalogue.load("~/mine.yaml").classes == ("cat", "dog", "owl")
    assert catalogue.several(["~/mine.yaml", "lenet"])[0].name == "mine"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("size: 16", "size: '16'", "size is '16', expected a positive whole number"),
        ("size: 16", "size: 16.0", "size is 16.0, expected a positive whole number"),
        ("size: 16", "size: 16\nsize: 32", "'size' is given twice"),
        ("size: 16", "size: 16\nstd: [0, 1, 1]", r"std is \[0, 1, 1\], expected three positive numbers"),
        ("size: 16", "size: 16\nmean: (0.5, 0.5, 0.5)", "mean is '.*', expected three numbers"),
        ("size: 16", "size: 16\nmean: [.nan, 0, 0]", r"mean is \[nan, 0, 0\], expected three numbers"),
        ("size: 16", "size: 16\nmean: [true, 0, 0]", r"mean is \[True, 0, 0\], expected three numbers"),
        ("size: 16", "size: 16\nlayers: {1: '0'}", "layers is .*in quotes where they are numbers"),
        ("size: 16", "size: 16\nlayers: {conv1: 0}", "layers is .*in quotes where they are numbers"),
        ("size: 16", "size: 16\nlayers: {conv1: features.0}", "no layer 'features.0'.*the nearest: 0, 1, 2"),
        ("size: 16", "size: 16\nclasses: {0: cat}", "classes is .*expected .*a list of names"),
        ("size: 16", "size: 16\nclasses: [cat, [dog], owl]", r"classes holds \['dog'\], expected names"),
        (":build", "", "factory is 'net.py', expected file.py:function"),
        (":build", ":needs", "net.py:needs raised TypeError: .*missing 1 required positional argument"),
        (":build", ":state", "net.py:state returned .*, expected an nn.Module"),
        (":build", ":pair", "net.py:pair returned tuple, expected an nn.Module"),
        (":build", ":nn", "net.py:nn is module, expected a function"),
    ],
)
def test_what_a_spec_cannot_mean_is_told(tmp_path, old, new, sentence):
    with pytest.raises(ValueError, match=f"mine.yaml.*{sentence}") as caught:
        catalogue.load(write(tmp_path, START.replace(old, new)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("[yes, no, maybe]", ("yes", "no", "maybe")),
        ("\n  - on\n  - off\n  - null", ("on", "off", "null")),
        ("[001, 010, 1_000]", ("001", "010", "1_000")),
        ("[1.10, 1e3, 2024-01-01]", ("1.10", "1e3", "2024-01-01")),
        ("[\"a: b\", 'c', d e ]", ("a: b", "c", "d e")),
    ],
)
def test_class_names_are_read_letter_by_letter(tmp_path, written, names):
    assert catalogue.load(write(tmp_path, f"{START}classes: {written}\n")).classes == names


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"cat\ndog\nowl\n\n", ("cat", "dog", "owl")),
        (b"cat\r\ndog\r\nowl\r\n", ("cat", "dog", "owl")),
        (b"\xef\xbb\xbfcat\ndog\nowl", ("cat", "dog", "owl")),
        (b"cat  \n dog\nowl\n", ("cat", "dog", "owl")),
        (b"0 cat\n1 dog\n2 owl\n", ("0 cat", "1 dog", "2 owl")),
        ("Käfer\nHund\nEule\n".encode(), ("Käfer", "Hund", "Eule")),
    ],
)
def test_a_file_of_class_names_may_end_its_lines_as_it_likes(tmp_path, content, names):
    assert catalogue.load(write(tmp_path, f"{START}classes: names.txt\n", content)).classes == names


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"cat\n\ndog\n", "names.txt: line 2 is empty, expected one name a line"),
        (b"\n", "names.txt: it is empty"),
        ("Käfer\nHund\nEule\n".encode("latin-1"), "names.txt could not be read: UnicodeDecodeError.*UTF-8"),
    ],
)
def test_a_file_of_class_names_that_cannot_be_meant_is_told(tmp_path, content, sentence):
    with pytest.raises(ValueError, match=sentence):
        catalogue.load(write(tmp_path, f"{START}classes: names.txt\n", content))


def test_two_classes_of_one_name_are_told(tmp_path):
    path = write(tmp_path, f"{START}classes: [cat, dog, cat]\n")
    with pytest.warns(UserWarning, match="mine.yaml: more than one class is called cat"):
        assert catalogue.load(path).classes == ("cat", "dog", "cat")


# ------------------------------------------------------------------------------------- ImageNet's names in other lists


def test_imagenets_list_is_known_however_it_is_written():
    ours, wnids = imagenet_classes.imagenet_classes(), imagenet_classes.wnids()
    for written in (
        ours,
        [name.replace(" ", "_").lower() for name in ours],
        [f"{name}, another word" for name in ours],
        [f"{k}: {name}" for k, name in enumerate(ours)],
        [f"{wnid} {name}" for wnid, name in zip(wnids, ours, strict=True)],
        wnids,
    ):
        assert imagenet_classes.is_imagenet(written)
        assert imagenet_classes.numbers(written, [282, 0]) == (282, 0)
        assert imagenet_classes.numbers(("background", *written), [282]) == (283,)
    for other in (ours[::-1], ours[:999], [f"class {k}" for k in range(1000)], ("background", *ours)):
        assert not imagenet_classes.is_imagenet(other)


def test_imagenets_classes_are_found_by_name_and_never_by_number():
    names = imagenet_classes.imagenet_classes()
    assert names[281:283] == ("tabby", "tiger cat")
    places = [f"place {k}" for k in range(365)]
    assert imagenet_classes.numbers(places, [281, 282]) == () == imagenet_classes.numbers(list("abcdefghij"), [7])
    assert imagenet_classes.numbers(["dog", "Tiger_cat", "tabby, tabby cat"], [281, 282, 285]) == (2, 1)
    assert imagenet_classes.numbers([f"class {k}" for k in range(1000)], [282]) == ()
    large = [f"n{90000000 + k} thing {k}" for k in range(2000)] + ["n02123045", "n02123159"]
    assert imagenet_classes.numbers(large, [281, 282]) == (2000, 2001)
    assert imagenet_classes.numbers(["maillot", "maillot, tank suit"], [638]) == (0,)
    assert imagenet_classes.numbers(["tabby", "tabby"], [281]) == ()  # which of the two cannot be told
    with pytest.raises(ValueError, match="1000 is no class of ImageNet, expected 0 to 999"):
        imagenet_classes.numbers(names, [1000])


# ------------------------------------------------------------------------------------------------------------- pictures

RAMP = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
COLOURS = np.stack([RAMP, RAMP.T, 1 - RAMP], 2)
EIGHT = Image.fromarray((COLOURS * 255).round().astype(np.uint8))


def only(folder) -> torch.Tensor:
    """The one picture of a folder, without a crop."""
    (found,) = photos.folder(folder, 64, crop=1.0)
    return found.image


def near(image: torch.Tensor, wanted: np.ndarray, by: float = 0.02) -> bool:
    wanted = wanted if wanted.ndim == 3 else np.repeat(wanted[:, :, None], 3, 2)
    return np.abs(image.permute(1, 2, 0).numpy() - wanted).max() < by


@pytest.mark.parametrize(
    ("picture", "name", "wanted"),
    [
        (EIGHT, "a.png", COLOURS),
        (EIGHT, "ein Bild mit Zwischenräumen.PNG", COLOURS),
        (EIGHT.convert("CMYK"), "a.tif", COLOURS),
        (EIGHT.convert("P", palette=Image.Palette.ADAPTIVE), "a.gif", None),
        (Image.fromarray((RAMP * 65535).astype(np.uint16)), "a.png", RAMP),
        (Image.fromarray((RAMP * 65535).astype(np.uint16)), "a.tif", RAMP),
        (Image.fromarray((RAMP * 4095).astype(np.uint16)), "a.tif", RAMP),
        (Image.fromarray(RAMP), "a.tif", RAMP),
        (Image.fromarray((RAMP * 255).astype(np.uint8)).convert("LA"), "a.png", RAMP),
        (Image.fromarray(RAMP > 0.5), "a.png", RAMP > 0.5),
        (Image.new("RGB", (1, 1), (255, 0, 0)), "a.png", np.broadcast_to([1.0, 0, 0], (64, 64, 3))),
        (Image.new("RGB", (2000, 1), (255, 0, 0)), "a.png", np.broadcast_to([1.0, 0, 0], (64, 64, 3))),
    ],
)
def test_pictures_of_every_mode_are_read_as_what_they_show(tmp_path, picture, name, wanted):
    picture.save(tmp_path / name)
    assert wanted is None or near(only(tmp_path), wanted.astype(np.float32))
    assert only(tmp_path).shape == (3, 64, 64)


def test_what_is_transparent_lies_on_black(tmp_path):
    half = EIGHT.convert("RGBA")
    half.putalpha(Image.new("L", EIGHT.size, 128))
    half.save(tmp_path / "a.png")
    assert near(only(tmp_path), COLOURS * 128 / 255)


def test_a_turned_picture_is_turned_and_of_a_moving_one_the_first_frame_is_read(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    (tmp_path / "turned").mkdir(), (tmp_path / "moving").mkdir()
    EIGHT.save(tmp_path / "turned" / "a.png", exif=turned)
    assert near(only(tmp_path / "turned"), np.rot90(COLOURS, -1))
    first, second = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "moving" / "a.gif", save_all=True, append_images=[second])
    assert near(only(tmp_path / "moving"), np.broadcast_to(np.float32([1, 0, 0]), (64, 64, 3)))


def test_an_ending_that_is_wrong_is_no_hindrance_and_hidden_and_other_files_are_left_out(tmp_path):
    EIGHT.save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    EIGHT.save(tmp_path / ".ipynb_checkpoints" / "a-checkpoint.png")
    for name in ("._a.jpg", "labels.csv", "Thumbs.db", ".DS_Store"):
        (tmp_path / name).write_bytes(b"no picture")
    assert near(only(tmp_path), COLOURS)


def test_what_is_left_out_is_told(tmp_path):
    EIGHT.save(tmp_path / "a.png")
    (tmp_path / "b.heic").write_bytes(b"another kind")
    with pytest.warns(UserWarning, match="left out are 1 of a kind that is not read here .b.heic"):
        assert len(list(photos.folder(tmp_path, 16))) == 1
    (tmp_path / "classes" / "cat").mkdir(parents=True), (tmp_path / "classes" / "none").mkdir()
    EIGHT.save(tmp_path / "classes" / "cat" / "a.png")
    with pytest.warns(UserWarning, match="1 folders without pictures .none"):
        assert [one.labels for one in photos.folder(tmp_path / "classes", 16)] == [(0,)]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "a.jpg cannot be read as a picture .it is empty, or of a kind that is not known here.: repair or"),
        (b"a text", "a.jpg cannot be read as a picture .it is empty, or of a kind that"),
        (None, "a.jpg cannot be read as a picture"),
    ],
)
def test_a_picture_that_cannot_be_read_is_named(tmp_path, content, sentence):
    if content is None:
        EIGHT.save(tmp_path / "a.jpg")
        content = (tmp_path / "a.jpg").read_bytes()[:400]
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=sentence) as caught:
        list(photos.folder(tmp_path, 16))
    assert "object at" not in str(caught.value)


def test_a_link_to_nowhere_and_numbers_without_a_range_are_named(tmp_path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(ValueError, match="a.jpg cannot be read as a picture .*No such file"):
        list(photos.folder(tmp_path, 16))
    (tmp_path / "a.jpg").unlink()
    Image.fromarray((RAMP * 100000).astype(np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="a.tif cannot be read as a picture .*grey values go from 0 to 100000"):
        list(photos.folder(tmp_path, 16))


def test_a_profile_that_is_srgb_changes_nothing(tmp_path):
    from PIL import ImageCms

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        EIGHT.save(tmp_path / "a.png", icc_profile=profile)
        assert near(only(tmp_path), COLOURS)
