"""Embeddings against scikit-learn and by hand; thumbnails never overlap; t-SNE repeats to the bit."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from sklearn import decomposition, manifold

from lib.base import files
from lib.experiments.n08_codes import measures
from lib.experiments.n08_codes import mosaic as thumbnails
from lib.experiments.n08_codes import plots as drawing
from lib.methods.layers import codes, plane
from lib.networks import catalogue
from lib.worlds import photos

MAKE = "np.random.default_rng(0).normal(size=(60, 9)).astype('float32')"


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(60, 9)).astype("float32")


@pytest.mark.filterwarnings("error")
def test_tsne_repeats_to_the_bit_in_another_process(rows):
    points = plane.tsne(rows, 10, 3)
    code = "from lib.base.repeatable import repeatable; from lib.methods.layers import plane; repeatable(0); "
    code += "import numpy as np; from lib.base import files; "
    code += f"print(files.sha256(plane.tsne({MAKE}, 10, 3).tobytes()))"
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert points.shape == (60, 2) and other.stdout.strip() == files.sha256(points.tobytes())
    assert other.stderr == ""


def test_tsne_and_pca_keep_neighbours_of_what_is_flat():
    flat = np.random.default_rng(1).normal(size=(60, 2)) * [3, 1]
    turned = flat @ np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0][:2]
    assert plane.trust(turned, plane.pca(turned)).mean() == pytest.approx(1)
    assert plane.trust(turned, plane.tsne(turned, 10)).mean() > 0.9
    theirs = decomposition.PCA(2).fit(turned)
    np.testing.assert_allclose(plane.pca(turned).var(0, ddof=1), theirs.explained_variance_, rtol=1e-6)


@pytest.mark.parametrize("perplexity", [1, 20, 100])
def test_a_perplexity_out_of_range_is_refused(rows, perplexity):
    with pytest.raises(ValueError, match=f"perplexity is {perplexity} for 60 images, expected .* below a third"):
        plane.tsne(rows, perplexity)


@pytest.mark.parametrize("k", [1, 5, 10])
def test_trust_averages_to_scikit_learns(rows, k):
    points = rows[:, :2] + 0.5 * rows[:, 2:4]
    ours = plane.trust(rows, points, k)
    assert ours.shape == (60,) and ours.mean() == pytest.approx(manifold.trustworthiness(rows, points, n_neighbors=k))
    assert 0.5 < ours.mean() < 0.99 and ours.std() > 0
    with pytest.raises(ValueError, match="k is 30 for 60 images"):
        plane.trust(rows, points, 30)


def test_the_null_deals_points_to_images(rows):
    """Its range is that of scikit-learn's trustworthiness of shuffled points, and lies far below a good embedding."""
    generator = np.random.default_rng(0)
    spaces = measures.gather({"fc7": rows}, {"fc7": rows[:, :5].astype(float)})
    result = measures.trustworthiness([spaces], "fc7", generator, draws=300)
    dealt = [
        manifold.trustworthiness(rows, generator.permutation(spaces.points["fc7"]), n_neighbors=10) for _ in range(300)
    ]
    np.testing.assert_allclose(result["null"], np.quantile(dealt, [0.025, 0.975]), atol=0.01)
    assert result["value"] == pytest.approx(manifold.trustworthiness(rows, spaces.points["fc7"], n_neighbors=10))
    plain = manifold.trustworthiness(rows, plane.pca(rows), n_neighbors=10)
    assert result["named"]["PCA"][0] == pytest.approx(plain)
    assert result["interval"][0] > result["null"][1] and result["n"] == 60


def test_the_nulls_networks_share_one_order(rows):
    """Two equal networks vary as one does; two orders would narrow the range by a factor of 1.4."""
    one = measures.gather({"fc7": rows}, {"fc7": rows[:, :2].astype(float)})
    alone, twice = (measures.trustworthiness([one] * n, "fc7", np.random.default_rng(0), 200)["null"] for n in (1, 2))
    assert alone == pytest.approx(twice)


def test_agreement_sees_what_a_drawing_distorts():
    generator, labels = np.random.default_rng(0), np.repeat(np.arange(5), 40)
    centres, sizes = generator.normal(size=(5, 2)) * 20, np.array([1, 2, 3, 4, 5.0])
    points = centres[labels] + generator.normal(size=(200, 2)) * sizes[labels, None]
    same = measures.agreement(points, 7 * points, labels)
    assert same == pytest.approx({"distances": 1, "sizes": 1})
    upside = centres[labels] + (points - centres[labels]) / sizes[labels, None] ** 2
    assert measures.agreement(points, upside, labels)["sizes"] == pytest.approx(-1)
    swapped = points + (centres[[1, 0, 2, 3, 4]] - centres)[labels]
    found = measures.agreement(points, swapped, labels)
    assert found["distances"] < 1 and found["sizes"] == pytest.approx(1)
    every = measures.described(points, points, labels)
    assert every["trust"] == 1 and every["purity"] == pytest.approx(codes.purity(points, labels).mean())


def test_thumbnails_take_the_cell_of_their_point_and_never_share_one():
    points = np.random.default_rng(0).normal(size=(300, 2)) * [3, 1]
    shown, cells = thumbnails.snap(points, 20, 12)
    assert len(np.unique(cells, axis=0)) == len(cells) == len(shown) < 300
    assert cells.min(0).tolist()[1] == 0 and cells[:, 0].max() < 12 and cells[:, 1].max() == 19
    scale = np.array([19, 11]) / np.ptp(points, axis=0)
    moved = points[shown] * scale - [1, -1] * cells[:, ::-1]
    assert (np.ptp(moved, axis=0) <= 1 + 1e-9).all()  # at most half a cell to either side
    assert np.corrcoef(points[shown][:, 1], cells[:, 0])[0, 1] < -0.9  # up is up
    every = np.rint((points[:, 0] - points[:, 0].min()) * scale[0])
    assert {*every} == {*cells[:, 1]}  # every column that holds a point shows one


def test_of_several_in_a_cell_the_nearest_its_centre_is_shown():
    points = np.array([[0, 0], [10, 10], [5.3, 5.0], [5.1, 5.0], [4.6, 5.0]])
    shown, cells = thumbnails.snap(points, 11, 11)
    assert shown.tolist() == [0, 1, 3] and cells.tolist() == [[10, 0], [0, 10], [5, 5]]
    with pytest.raises(ValueError, match="the grid is 1 x 5 cells"):
        thumbnails.snap(points, 1, 5)


def test_a_mosaic_shows_pictures_in_their_cells_with_their_frames():
    images = np.stack([np.full((64, 64, 3), 90), np.full((64, 64, 3), 180)]).astype(np.uint8)
    canvas = thumbnails.mosaic(images, np.array([[0, 1], [2, 0]]), (2, 3), drawing.bytes_of(["#ff0000", "#0000ff"]), 20)
    assert canvas.shape == (60, 40, 3)
    assert canvas[10, 30].tolist() == [90] * 3 and canvas[50, 10].tolist() == [180] * 3
    assert canvas[2, 30].tolist() == [255, 0, 0] and canvas[42, 10].tolist() == [0, 0, 255]
    assert (canvas[20:40] == 255).all() and (canvas[0:20, 0:20] == 255).all()


def test_tiles_are_disjoint_and_know_where_they_are_from():
    images = np.arange(2 * 3 * 6 * 6).reshape(2, 3, 6, 6)
    parts, origin = photos.tiles(images, 3)
    assert parts.shape == (18, 3, 2, 2) and origin.tolist() == [0] * 9 + [1] * 9
    np.testing.assert_array_equal(parts[9 + 5], images[1, :, 2:4, 4:6])
    assert len(np.unique(parts)) == images.size
    with pytest.raises(ValueError, match="grid is 4, expected a divisor of 6 and 6"):
        photos.tiles(images, 4)


@pytest.mark.filterwarnings("error")
def test_figures_can_be_drawn_and_saved():
    from lib.record import figures

    figures.style()
    points, values = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 10
    key = {f"class {k}": colour for k, colour in enumerate(drawing.CLASSES)}
    panel = {"points": points, "values": values, "title": "a"}
    tiles = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    mosaic = drawing.panel(tiles, values, points, "tiles", key)
    row = {"name": "LeNet-5", "seed": 0, "layer": "conv1", "value": 0.5, "low": 0.4, "high": 0.6}
    lines = [row | {"depth": k} for k in range(3)]
    for figure in (
        drawing.scatters([[panel] * 2] * 2, [key] * 2),
        drawing.mosaics([mosaic] * 2, key),
        drawing.depths(lines, "share"),
    ):
        assert figures._png(figure)[0] and figures._svg(figure)
    assert len({*drawing.CLASSES}) == len({*drawing.MARKERS}) == len({*drawing.wheel(range(0, 360, 36))}) == 10


def test_photographs_are_read_by_the_layer_that_serves():
    net = catalogue.load("squeezenet1_1")
    found = measures.photographs(net, photos.SHIPPED, 2)
    tiles, read = found.images, found.codes
    assert tiles.shape == (16, 224, 224, 3) and np.bincount(found.values).tolist() == [4] * 4
    assert found.names == list(photos.SHIPPED) and found.shown[0].author == "Stefan van der Walt"
    assert list(read) == ["pixels", "pool5"] and read["pool5"].shape == (16, 512)
    small = tiles.reshape(16, 32, 7, 32, 7, 3).mean((2, 4)).transpose(0, 3, 1, 2).reshape(16, -1) / 255
    np.testing.assert_allclose(read["pixels"], small, atol=0.003)
    assert [row["image"] for row in measures.table({"a": np.zeros((2, 2)), "b": np.ones((1, 2))})] == [0, 1, 0]
