"""Photographs: right pixels, right labels, credits, and a sentence for everything that is missing or damaged."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from lib.networks import catalogue, interface
from lib.worlds import imagenet_classes, photos

SHARED = Path(os.environ.get("COMPANION_DATA") or Path(__file__).resolve().parents[2] / "shared")
HEADER = "ImageId,TrueLabel,Author,License,OriginalLandingURL,label"


def jpeg(colour=(200, 100, 50), size=(20, 10), kind="JPEG", **options):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Writes a zip into a user's data folder."""
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))

    def write(name, members, folder="photos"):
        (tmp_path / folder).mkdir(exist_ok=True)
        with zipfile.ZipFile(tmp_path / folder / name, "w") as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        return tmp_path / folder / name

    return write


def nips(rows, header=HEADER, **members):
    images = {f"SSA/dataset/images/{row.split(',')[0]}.png": jpeg(kind="PNG") for row in rows}
    return {"SSA/dataset/images.csv": "\n".join([header, *rows]), **images, **members}


# --- pixels --------------------------------------------------------------------------------------------------------
def test_fit_takes_the_centred_square():
    x = np.zeros((40, 100, 3), np.uint8)
    x[:, 30:70] = (255, 0, 0)  # exactly the centred square
    image = photos.fit(Image.fromarray(x), 8, crop=1.0)
    assert image.shape == (3, 8, 8) and image.dtype == torch.float32
    assert image[0, :, 1:-1].min() == 1 and image[1:].max() == 0 and image[0].min() > 0.9  # the filter looks past edges
    x[:] = 0
    x[5:35, 35:65] = (0, 255, 0)
    image = photos.fit(Image.fromarray(x), 8, crop=0.75)
    assert image[1, 1:-1, 1:-1].min() == 1 and image[1].min() > 0.8
    assert photos.fit(Image.fromarray(x), 8, crop=1.0)[1].min() < 0.5


def test_fit_is_antialiased_and_the_same_every_time():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    image = photos.fit(Image.fromarray(stripes), 8, crop=1.0)
    assert (image - 0.5).abs().max() < 0.05  # a point sample would be 0 or 1
    assert torch.equal(image, photos.fit(Image.fromarray(stripes), 8, crop=1.0))
    for crop in (0, -1, 1.1):
        with pytest.raises(ValueError, match="crop is"):
            photos.fit(Image.fromarray(stripes), 8, crop=crop)


def test_grey_palette_and_alpha_become_rgb():
    for mode in ("L", "P", "RGBA", "CMYK"):
        assert photos.fit(Image.new(mode, (9, 9)), 4).shape == (3, 4, 4)


RAMP = np.tile(np.linspace(0, 1, 64), (64, 1))


def saved(folder, name, picture, **options):
    picture.save(folder / name, **options)
    return folder


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("a.png", Image.fromarray((RAMP * 65535).astype(np.uint16))),
        ("a.tif", Image.fromarray((RAMP * 65535).astype(np.uint16))),
        ("twelve.tif", Image.fromarray((RAMP * 4095).astype(np.uint16))),
        ("float.tiff", Image.fromarray(RAMP.astype(np.float32))),
        ("eight.jfif", Image.fromarray((RAMP * 255).astype(np.uint8))),
        ("inks.jpg", Image.fromarray((RAMP * 255).astype(np.uint8)).convert("RGB").convert("CMYK")),
    ],
)
def test_a_ramp_is_a_ramp_in_any_format(name, picture, tmp_path):
    options = {"format": "JPEG"} if name.endswith("jfif") else {}
    (photo,) = photos.folder(saved(tmp_path, name, picture, **options), 16, crop=1.0)
    expected = torch.linspace(0, 1, 16)
    assert (photo.image - expected).abs().max() < 0.06 and photo.image.mean() == pytest.approx(0.5, abs=0.02)


def test_numbers_without_a_known_range_are_refused(tmp_path):
    saved(tmp_path, "a.tif", Image.fromarray((RAMP * 100_000).astype(np.int32)))
    with pytest.raises(ValueError, match="a.tif cannot be read .* go from 0 to 100000, expected floats from 0 to 1"):
        list(photos.folder(tmp_path, 8))


def test_what_is_transparent_is_blended_with_black(tmp_path):
    half = Image.new("RGBA", (8, 8), (200, 100, 0, 128))
    half.paste((255, 255, 255, 0), (0, 0, 8, 4))  # white that nobody sees
    (photo,) = photos.folder(saved(tmp_path, "a.png", half), 8, crop=1.0)
    assert photo.image[:, 0].max() == 0 and photo.image[0, 7].mean() == pytest.approx(200 / 255 / 2, abs=0.01)
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 250, 250, 250])
    (photo,) = photos.folder(saved(tmp_path, "a.png", palette, transparency=1), 8, crop=1.0)
    assert photo.image.max() == 0


def test_a_picture_is_turned_and_its_colours_are_taken_to_srgb(tmp_path):
    sideways = Image.new("RGB", (64, 64))
    sideways.paste((255, 255, 255), (0, 0, 64, 32))
    turn = Image.Exif()
    turn[274] = 6  # the camera was held upright: turn clockwise
    (photo,) = photos.folder(saved(tmp_path, "a.jpg", sideways, exif=turn), 8, crop=1.0)
    assert photo.image[:, :, -1].mean() > 0.9 and photo.image[:, :, 0].mean() < 0.1
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (same,) = photos.folder(saved(tmp_path, "a.jpg", Image.new("RGB", (8, 8), (200, 120, 40)), icc_profile=profile), 8)
    assert same.image.mean((1, 2)).tolist() == pytest.approx([200 / 255, 120 / 255, 40 / 255], abs=0.02)
    grey = Image.new("RGB", (8, 8), (120, 120, 120))
    (plain,) = photos.folder(saved(tmp_path, "a.jpg", grey, icc_profile=b"no profile at all"), 8)
    assert plain.image.mean() == pytest.approx(120 / 255, abs=0.01)


def test_hidden_files_are_not_seen_and_what_is_left_out_is_counted(tmp_path):
    picture = Image.new("RGB", (8, 8), (9, 9, 9))
    for place in ("cat", "dog", "bird", ".ipynb_checkpoints", "__MACOSX"):
        (tmp_path / place).mkdir()
    for name in ("cat/a b ü.jpg", ".ipynb_checkpoints/a.jpg", "__MACOSX/a.jpg", "cat/._a.jpg"):
        saved(tmp_path, name, picture)
    (tmp_path / "dog/b.heic").write_bytes(b"a kind that Pillow does not read")
    (tmp_path / "labels.csv").write_text("a,b")
    with pytest.warns(UserWarning, match=r"left out are 1 of a kind .* \(dog/b.heic\) and 2 folders .* \(bird, dog\)"):
        (photo,) = photos.folder(tmp_path, 8)
    assert photo.name == "a b ü"


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 half a picture"])
def test_damaged_pictures_and_links_to_nowhere_are_named(content, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(content)
    with pytest.raises(ValueError, match="broken.jpg cannot be read as a picture"):
        list(photos.folder(tmp_path, 8))
    (tmp_path / "broken.jpg").unlink()
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(ValueError, match="link.jpg cannot be read as a picture"):
        list(photos.folder(tmp_path, 8))


@pytest.mark.parametrize("size", [(1, 1), (1, 2000)])
def test_the_smallest_pictures_are_flat(size, tmp_path):
    (photo,) = photos.folder(saved(tmp_path, "a.png", Image.new("RGB", size, (10, 20, 30))), 8)
    assert photo.image.flatten(1).std(1).max() < 1e-6 and photo.image[2, 0, 0] == pytest.approx(30 / 255)


def test_shipped_photographs():
    classes, cases = imagenet_classes.imagenet_classes(), photos.shipped(32)
    assert [c.name for c in cases] == ["chelsea", "coffee", "astronaut", "rocket"]
    assert [[classes[k] for k in c.labels] for c in cases] == [
        ["tabby", "tiger cat", "Egyptian cat"],
        ["espresso", "cup", "coffee mug"],
        [],
        [],
    ]
    assert cases[0].author == "Stefan van der Walt" and all(c.licence and c.author and c.publish for c in cases)
    batch = photos.stack(cases)
    assert batch.shape == (4, 3, 32, 32) and 0 <= batch.min() < 0.1 and 0.9 < batch.max() <= 1
    assert batch[1, 0].mean() > batch[1, 2].mean() + 0.2  # RGB, not BGR: coffee is brown
    with pytest.raises(ValueError, match="no photograph is called 'chelsie'; nearest: chelsea"):
        photos.shipped(32, ["chelsie"])


def test_right_counts_any_accepted_label():
    cases = [photos.shipped(8, ["chelsea"])[0]] * 3 + photos.shipped(8, ["rocket"])
    logits = torch.zeros(4, 1000)
    for row, best in enumerate((281, 285, 283, 657)):
        logits[row, best] = 1
    assert photos.right(logits, cases).tolist() == [True, True, False, False]
    with pytest.raises(ValueError):
        photos.right(logits, cases[:2])


# --- collections ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("folder", ["photos", "."])
def test_nips_labels_count_from_zero_and_credits_are_kept(data, folder):
    rows = ["aa,1,Ann,CC BY 2.0,here,0", "bb,1000,Bob,CC BY 2.0,there,999"]
    data("nips2017-photos.zip", nips(rows), folder)
    a, b = photos.nips2017(8)
    assert (a.name, a.labels, a.author, a.licence, a.source, a.publish) == (
        "aa",
        (0,),
        "Ann",
        "CC BY 2.0",
        "here",
        True,
    )
    assert b.labels == (999,)
    assert torch.allclose(a.image[:, 4, 4], torch.tensor([200, 100, 50]) / 255, atol=0.01)


def test_nips_table_of_the_repository_has_no_second_label(data):
    header = "ImageId,URL,TrueLabel,Author,License,OriginalLandingURL"
    data("nips2017-photos.zip", nips(["aa,u,282,Ann,by,here"], header))
    assert [p.labels for p in photos.nips2017(8)] == [(281,)]


@pytest.mark.parametrize(
    "row", ["aa,1,Ann,by,here,1", "aa,0,Ann,by,here,-1", "aa,1001,Ann,by,here,1000", "aa,cat,A,by,h,3"]
)
def test_nips_labels_that_disagree_are_refused(data, row):
    data("nips2017-photos.zip", nips([row]))
    with pytest.raises(ValueError, match="nips2017-photos.zip: image aa has TrueLabel .* expected 1 to 1000"):
        list(photos.nips2017(8))


def test_sample_takes_the_index_from_the_name_or_from_the_full_list(data):
    data(
        "imagenet-sample.zip",
        {"s/0281_n02123045_tabby.jpg": jpeg(), "s/0007_n01514668_cock.jpg": jpeg(), "s/x.txt": ""},
    )
    found = list(photos.imagenet_sample(8))
    assert [(p.name, p.labels, p.publish) for p in found] == [
        ("0007_n01514668_cock", (7,), False),
        ("0281_n02123045_tabby", (281,), False),
    ]
    data("imagenet-sample.zip", {f"m/n{k * 7:08d}_x.JPEG": jpeg() for k in range(1000)})
    assert [p.labels[0] for p in photos.imagenet_sample(4)] == list(range(1000))
    data("imagenet-sample.zip", {f"m/n{k * 7:08d}_x.JPEG": jpeg() for k in range(999)})
    with pytest.raises(ValueError, match="has 999 classes; expected names like"):
        next(photos.imagenet_sample(4))


def test_limit_is_spread_evenly_and_streams(data):
    rows = [f"{k:02d},{k + 1},A,by,u,{k}" for k in range(10)]
    broken = {"SSA/dataset/images/03.png": b"broken"}
    data("nips2017-photos.zip", nips(rows) | broken)
    assert [p.name for p in photos.nips2017(4, limit=5)] == ["00", "02", "04", "06", "08"]
    assert next(photos.nips2017(4)).name == "00"  # the broken fourth is not touched
    with pytest.raises(ValueError, match=r"nips2017-photos.zip: SSA/dataset/images/03.png cannot be read as a picture"):
        list(photos.nips2017(4))
    with pytest.raises(ValueError, match="limit is 0"):
        list(photos.nips2017(4, limit=0))


@pytest.mark.parametrize("reader", [photos.nips2017, photos.imagenet_sample])
def test_missing_and_damaged_collections(data, reader, tmp_path):
    with pytest.raises(
        FileNotFoundError, match="public GitHub repository (yuyang-long/SSA|EliSchwartz/.*) under this name"
    ):
        next(reader(8))
    name = {photos.nips2017: "nips2017-photos.zip", photos.imagenet_sample: "imagenet-sample.zip"}[reader]
    path = data(name, {"images.csv": HEADER, "n00000001_x.jpg": jpeg()})
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        next(reader(8))


def test_archive_without_its_table(data):
    data("nips2017-photos.zip", {"a.png": jpeg()})
    with pytest.raises(ValueError, match="has no images.csv"):
        next(photos.nips2017(8))


# --- the reader's own folder ---------------------------------------------------------------------------------------
def test_flat_folder(tmp_path):
    (tmp_path / "b.JPG").write_bytes(jpeg((255, 0, 0)))
    (tmp_path / "a.png").write_bytes(jpeg((0, 0, 255), kind="PNG"))
    (tmp_path / "notes.txt").write_text("not a picture")
    a, b = photos.folder(tmp_path, 4)
    assert (a.name, a.labels, a.publish, b.name) == ("a", (), False, "b")
    assert a.image[2].min() == 1 and b.image[0].min() > 0.98


def test_folder_a_class(tmp_path):
    for name in ("tabby", "cup"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(jpeg())
    assert [p.labels for p in photos.folder(tmp_path, 4)] == [(0,), (1,)]  # cup, tabby
    assert [p.labels for p in photos.folder(tmp_path, 4, imagenet_classes.imagenet_classes())] == [(968,), (281,)]
    (tmp_path / "tabbi").mkdir()
    (tmp_path / "tabbi" / "1.jpg").write_bytes(jpeg())
    with pytest.raises(ValueError, match="tabbi is not named after a class of the network; nearest: tabby"):
        list(photos.folder(tmp_path, 4, imagenet_classes.imagenet_classes()))
    (tmp_path / "flat.jpg").write_bytes(jpeg())
    with pytest.raises(ValueError, match="holds 1 pictures beside 3 in sub-folders"):
        list(photos.folder(tmp_path, 4))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nrubbish", jpeg(size=(400, 400))[:700], b"GIF89a"])
def test_corrupt_picture_is_named(tmp_path, content):
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.png cannot be read as a picture .*: repair or remove it") as caught:
        list(photos.folder(tmp_path, 4))
    assert "\n" not in str(caught.value)


def test_picture_is_turned_as_its_camera_says(tmp_path):
    picture = Image.new("RGB", (20, 10), (255, 0, 0))
    picture.paste((0, 0, 255), (0, 0, 10, 10))  # left half blue; turned a quarter right it is the upper half
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)
    image = next(photos.folder(tmp_path, 8, crop=1.0)).image
    assert image[2, 0].min() == 1 and image[0, -1].min() == 1


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        next(photos.folder(tmp_path / "nowhere", 4))
    with pytest.raises(ValueError, match="holds 0 pictures beside 0"):
        next(photos.folder(tmp_path, 4))


# --- the real collections ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("reader", "name", "network", "least"),
    [
        (photos.nips2017, "nips2017-photos.zip", "efficientnet_lite0", 0.75),
        (photos.imagenet_sample, "imagenet-sample.zip", "squeezenet1_1", 0.5),
    ],
)
def test_networks_recognise_real_photographs(monkeypatch, reader, name, network, least):
    if not (SHARED / "photos" / name).exists():
        pytest.skip(f"no photos/{name} in COMPANION_DATA or ../shared")
    monkeypatch.setenv("COMPANION_DATA", str(SHARED))
    net = catalogue.load(network)
    cases = list(reader(net.size, limit=60))
    assert len(cases) == 60 and all(p.author and p.licence for p in cases)
    assert photos.right(interface.scores(net, photos.stack(cases), 16), cases).float().mean() >= least


def test_sample_indices_agree_with_the_names(monkeypatch):
    if not (SHARED / "photos" / "imagenet-sample.zip").exists():
        pytest.skip("no photos/imagenet-sample.zip in COMPANION_DATA or ../shared")
    monkeypatch.setenv("COMPANION_DATA", str(SHARED))
    classes = imagenet_classes.imagenet_classes()
    same = [p.name.split("_", 2)[2].replace("_", " ") == classes[p.labels[0]] for p in photos.imagenet_sample(8)]
    assert len(same) == 800 and sum(same) > 0.9 * len(same)
