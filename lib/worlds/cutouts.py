"""The cutouts world: 64x64 pictures of one object whose shape, texture and hue each point to the label, most of the
time.

Every picture comes with what no photograph has: its object mask, its three cue values and its pose. Rendering is a pure
function of (world, split, index): no state, no order, the same pixels whenever an index is asked for. The four
splits draw from different random streams, and their backgrounds come from regions of photographs (or procedural
panels) that share no pixel; `new_background` uses two photographs that no other split has seen.
"""

import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage
from scipy import ndimage
from skimage.draw import polygon2mask

from lib.base import cache

SIZE, CLASSES = 64, 10
SHAPES = ("disc", "square", "triangle", "star", "cross", "crescent", "heart", "arrow", "ring", "hourglass")
TEXTURES = ("plain", "stripes", "bars", "checks", "dots", "rings", "grid", "zigzag", "bricks", "speckle")
HUES = tuple(3 + 36 * k for k in range(CLASSES))  # degrees; BGR maps h to 240 - h, here 18 degrees from the nearest hue
HUE_NAMES = ("red", "orange", "lime", "green", "mint", "cyan", "azure", "blue", "violet", "pink")
HUE_SD = 5.0  # degrees: a mirrored hue stays 3.6 sd from every hue
CUES = ("shape", "texture", "hue")
SPLITS = ("train", "validation", "test", "new_background")
PHOTOGRAPHS = (
    "astronaut.png",
    "coffee.png",
    "rocket.jpg",
    "hubble_deep_field.jpg",
    "ihc.png",
    "grass.png",
    "gravel.png",
    "brick.png",
)
NEW_PHOTOGRAPHS = ("chelsea.png", "motorcycle_left.png")
REGIONS = {
    "train": (0.0, 0.58),
    "validation": (0.60, 0.78),
    "test": (0.80, 1.0),
}  # shares of a photograph's longer side
MODIFICATIONS = ("none", "bgr", "mosaic", "blur")
CHUNK = 500  # images a cache file


class World(NamedTuple):
    """Parameters of the world. Reliabilities are probabilities that a cue equals the label; else it is one of the
    other nine."""

    shape: float = 0.8
    texture: float = 0.7
    hue: float = 0.6
    radius: tuple = (11.0, 17.0)  # pixels, radius of the disc of equal area
    rotation: float = 30.0  # degrees, the largest turn to either side
    clutter: int = 3  # small coloured discs behind the object
    photographs: float = 0.7  # share of photographic backgrounds; the rest are procedural 1/f colour textures
    modification: str = "none"  # none, bgr, mosaic, blur: applied to the finished picture
    seed: int = 0


class Batch(NamedTuple):
    """`n` rendered pictures and their ground truth."""

    images: np.ndarray  # (n, 64, 64, 3) uint8, RGB
    labels: np.ndarray  # (n,) int64
    masks: np.ndarray  # (n, 64, 64) bool: where the object covers at least half of a pixel
    cues: np.ndarray  # (n, 3) int64: shape, texture, hue
    pose: np.ndarray  # (n, 4) float32: centre x, centre y, radius (pixels), rotation (degrees, clockwise on screen)


def titled(label: int) -> str:
    """What a class is called where its cues agree: "red disc, plain", over two lines."""
    return f"{HUE_NAMES[label]} {SHAPES[label]},\n{TEXTURES[label]}"


def check(world: World) -> World:
    """The world itself, or ValueError that names the first parameter out of its range."""
    for name in (*CUES, "photographs"):
        low = 0.1 if name in CUES else 0.0
        if not low <= getattr(world, name) <= 1:
            raise ValueError(f"world parameter {name} is {getattr(world, name)}, expected a number from {low} to 1")
    low, high = world.radius
    if not 4 <= low <= high <= 17.5:
        raise ValueError(f"world parameter radius is {world.radius}, expected 4 <= low <= high <= 17.5 pixels")
    if not 0 <= world.rotation <= 180:
        raise ValueError(f"world parameter rotation is {world.rotation}, expected 0 to 180 degrees")
    if not 0 <= world.clutter <= 8:
        raise ValueError(f"world parameter clutter is {world.clutter}, expected 0 to 8 discs")
    if world.modification not in MODIFICATIONS:
        raise ValueError(
            f"world parameter modification is {world.modification!r}, expected one of {', '.join(MODIFICATIONS)}"
        )
    return world


# -------------------------------------------------------------------------------------------- outlines


def _arc(start: float, stop: float, radius=1.0, centre=(0.0, 0.0), n=48) -> np.ndarray:
    t = np.radians(np.linspace(start, stop, n))
    return np.stack([centre[0] + radius * np.cos(t), centre[1] + radius * np.sin(t)], 1)


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return np.stack([x, y + 2], 1) / 16


@functools.cache
def outlines() -> tuple:
    """Per shape: its outline as (points, 2) in units of the equal-area radius (x right, y down), a hole's outline or
    None, and its landmarks (tip, left, right) as (3, 2), or None for the two round shapes."""
    star = np.stack([np.array([1, 0.42] * 5) * f(np.radians(-90 + 36 * np.arange(10))) for f in (np.cos, np.sin)], 1)
    cross = [[-0.35, -1], [0.35, -1], [0.35, -0.35], [1, -0.35], [1, 0.35], [0.35, 0.35], [0.35, 1], [-0.35, 1]]
    cross += [[-0.35, 0.35], [-1, 0.35], [-1, -0.35], [-0.35, -0.35]]
    arrow = [[0, -1], [0.85, 0], [0.36, 0], [0.36, 1], [-0.36, 1], [-0.36, 0], [-0.85, 0]]
    horn = np.degrees(np.arccos(0.2))  # the two edges of the crescent meet at x = 0.2
    outer = _arc(horn, 360 - horn)
    inner = _arc(-90, 90) * [-0.62, outer[0, 1]] + [0.2, 0]
    crescent = np.concatenate([outer, inner])
    heart = _heart()
    raw = {
        "disc": (_arc(0, 352.5), None, None),
        "square": ([[-1, -1], [1, -1], [1, 1], [-1, 1]], None, [[1, 1], [-1, -1], [1, -1]]),
        "triangle": ([[0, -1], [1, 0.8], [-1, 0.8]], None, [[0, -1], [-1, 0.8], [1, 0.8]]),
        "star": (star, None, star[[0, 8, 2]]),
        "cross": (cross, None, [[0, -1], [-1, 0], [1, 0]]),
        "crescent": (crescent, None, [[-1, 0], outer[-1], outer[0]]),
        "heart": (heart, None, [heart[48], heart[np.argmin(heart[:, 0])], heart[np.argmax(heart[:, 0])]]),
        "arrow": (arrow, None, [[0, -1], [-0.85, 0], [0.85, 0]]),
        "ring": (_arc(0, 352.5), _arc(0, 352.5, 0.55), None),
        "hourglass": (
            [[-0.8, -1], [0.8, -1], [0.12, 0], [0.8, 1], [-0.8, 1], [-0.12, 0]],
            None,
            [[0.8, 1], [-0.8, -1], [0.8, -1]],
        ),
    }
    shapes = []
    for name in SHAPES:
        outline, hole, marks = (None if part is None else np.asarray(part, float) for part in raw[name])
        area = _area(outline) - (0 if hole is None else _area(hole))
        scale = np.sqrt(np.pi / area)
        shapes.append(tuple(None if part is None else part * scale for part in (outline, hole, marks)))
    return tuple(shapes)


def _area(outline: np.ndarray) -> float:
    x, y = outline.T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def landmarks(shape: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Where each picture's tip, left and right landmark lies: (n, 3, 2) pixels, x then y; NaN for the disc and the
    ring."""
    points = np.stack([np.full((3, 2), np.nan) if marks is None else marks for _, _, marks in outlines()])[shape]
    turn = np.radians(pose[:, 3])
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    x, y = points[..., 0] * pose[:, 2:3], points[..., 1] * pose[:, 2:3]
    return np.stack([pose[:, 0:1] + cos * x - sin * y, pose[:, 1:2] + sin * x + cos * y], -1)


# ---------------------------------------------------------------------------------- atlases, made once

GRID, REACH = 512, 2.0  # the distance atlas covers [-REACH, REACH] radii with GRID cells a side
TILE = 128  # cells a side of a texture tile


@functools.cache
def _distances() -> np.ndarray:
    """Signed distance to each outline (inside negative), in radii: (10, GRID * GRID) float32."""
    atlas = []
    for outline, hole, _ in outlines():
        inside = polygon2mask((GRID, GRID), (outline[:, ::-1] / REACH + 1) * (GRID / 2) - 0.5)
        if hole is not None:
            inside &= ~polygon2mask((GRID, GRID), (hole[:, ::-1] / REACH + 1) * (GRID / 2) - 0.5)
        outward, inward = ndimage.distance_transform_edt(~inside), ndimage.distance_transform_edt(inside)
        distance = np.where(inside, 0.5 - inward, outward - 0.5) * (2 * REACH / GRID)
        atlas.append(distance.astype(np.float32).ravel())
    return np.stack(atlas)


@functools.cache
def _tiles() -> np.ndarray:
    """One period of each texture as a luminance factor of mean 0.75: (10, TILE * TILE) float32."""
    v, u = np.meshgrid(*[(np.arange(TILE) + 0.5) / TILE] * 2, indexing="ij")
    centre = np.hypot(u - 0.5, v - 0.5)
    noise = np.random.Generator(np.random.Philox(key=10)).random((TILE, TILE))
    blotches = ndimage.gaussian_filter(noise, TILE / 18, mode="wrap")
    half = (v * 2 % 1) * (v < 0.5) + ((v * 2 - 1) % 1) * (v >= 0.5)
    brick = (half < 0.16) | (np.abs((u + 0.5 * (v >= 0.5)) % 1 - 0.5) < 0.08)
    patterns = {
        "plain": np.full_like(u, 0.5),
        "stripes": v < 0.5,
        "bars": u < 0.5,
        "checks": (u < 0.5) ^ (v < 0.5),
        "dots": centre < 0.3,
        "rings": (centre * 5 + 0.5) % 2 < 1,
        "grid": (np.abs(u - 0.5) > 0.12) & (np.abs(v - 0.5) > 0.12),
        "zigzag": (v * 2 + np.abs(2 * u - 1)) % 1 < 0.5,
        "bricks": ~brick,
        "speckle": blotches > np.median(blotches),
    }
    tiles = [ndimage.gaussian_filter(np.asarray(patterns[name], float), TILE / 24, mode="wrap") for name in TEXTURES]
    return np.stack([0.75 + 0.5 * (tile - tile.mean()) for tile in tiles]).astype(np.float32).reshape(CLASSES, -1)


def _stream(*name) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, name)).encode()).digest()[:16], "little")


def region(shape: tuple, split: str) -> tuple[slice, slice]:
    """The rows and columns of a photograph of this shape (height, width) that a split may use."""
    height, width = shape[:2]
    low, high = REGIONS[split]
    along = slice(int(low * max(height, width)), int(high * max(height, width)))
    return (slice(0, height), along) if width >= height else (along, slice(0, width))


@functools.cache
def panels(split: str, seed: int) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """The background sources of a split: (photographs, procedural panels), each (height, width, 3) float32 in [0,
    1]. The new backgrounds are photographs only."""
    folder = Path(skimage.__file__).parent / "data"
    photographs = []
    for name in NEW_PHOTOGRAPHS if split == "new_background" else PHOTOGRAPHS:
        photo = skimage.io.imread(folder / name)
        photo = np.repeat(photo[..., None], 3, 2) if photo.ndim == 2 else photo[..., :3]
        part = photo if split == "new_background" else photo[region(photo.shape, split)]
        photographs.append(part.astype(np.float32) / 255)
    rng = np.random.Generator(np.random.Philox(key=_stream("panels", seed, split)))
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    frequency[0, 0] = np.inf
    procedural = []
    for _ in range(0 if split == "new_background" else 8):
        spectrum = np.fft.rfft2(rng.standard_normal((3, 256, 256))) / frequency
        field = np.fft.irfft2(spectrum, s=(256, 256))
        field = field / field.std((1, 2), keepdims=True)
        mixed = np.einsum("ij,jyx->yxi", 0.55 + 0.45 * np.eye(3), field)
        procedural.append(np.clip(rng.uniform(0.3, 0.7, 3) + 0.2 * mixed, 0, 1).astype(np.float32))
    return tuple(photographs), tuple(procedural)


# ------------------------------------------------------------------------------------------- rendering


def render(world: World, split: str, indices, cues: np.ndarray | None = None) -> Batch:
    """Render the pictures `indices` (n non-negative integers) of a split.

    `cues` (n, 3) overrides the drawn cue values (for cue-conflict pictures); labels, pose and background stay those
    of the index. Raises ValueError for a parameter out of range or an unknown split.
    """
    check(world)
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
    key = _stream("images", world.seed, split)
    draws = [np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, int(i)])).random(96) for i in indices]
    u = np.array(draws).reshape(-1, 96)
    n = len(u)
    labels = (u[:, 0] * CLASSES).astype(np.int64)
    reliability = np.array([world.shape, world.texture, world.hue])
    other = (labels[:, None] + 1 + (u[:, 4:7] * (CLASSES - 1)).astype(np.int64)) % CLASSES
    drawn = np.where(u[:, 1:4] < reliability, labels[:, None], other)
    cues = drawn if cues is None else np.asarray(cues, np.int64)
    low, high = world.radius
    radius = low + (high - low) * u[:, 7]
    rotation = world.rotation * (2 * u[:, 8] - 1)
    extent = np.minimum(radius * np.array([np.hypot(*o.T).max() for o, _, _ in outlines()])[cues[:, 0]] + 1, SIZE / 2)
    centre = extent[:, None] + (SIZE - 2 * extent[:, None]) * u[:, 9:11]
    pose = np.column_stack([centre - 0.5, radius, rotation]).astype(np.float32)
    images = np.empty((n, SIZE, SIZE, 3), np.uint8)
    masks = np.empty((n, SIZE, SIZE), bool)
    sources = panels(split, world.seed)
    for i in range(n):
        images[i], masks[i] = picture(world, u[i], cues[i], pose[i], sources)
    return Batch(images, labels, masks, cues, pose)


def picture(world: World, u: np.ndarray, cues: np.ndarray, pose: np.ndarray, sources) -> tuple[np.ndarray, np.ndarray]:
    """One picture (64, 64, 3) uint8 and its mask, from 96 uniform draws."""
    canvas = _background(world, u[11:18], sources)
    y, x = np.meshgrid(*[np.arange(SIZE, dtype=np.float32)] * 2, indexing="ij", sparse=True)
    for d in u[40 : 40 + 7 * world.clutter].reshape(-1, 7):
        alpha = np.clip(2.5 + 3 * d[2] - np.sqrt((x - SIZE * d[0]) ** 2 + (y - SIZE * d[1]) ** 2), 0, 1)[..., None]
        canvas += alpha * (_rgb(360 * d[3], 0.3 + 0.6 * d[4], 0.4 + 0.6 * d[5]) - canvas)
    cx, cy, radius, rotation = pose
    cos, sin = np.float32(np.cos(np.radians(rotation))), np.float32(np.sin(np.radians(rotation)))
    across, down = cos * (x - cx) + sin * (y - cy), cos * (y - cy) - sin * (x - cx)  # pixels in the object's own frame
    scale = np.float32(GRID / (2 * REACH) / radius)
    column = np.clip(across * scale + GRID / 2, 0, GRID - 1).astype(np.int32)
    row = np.clip(down * scale + GRID / 2, 0, GRID - 1).astype(np.int32)
    distance = _distances()[cues[0]][row * GRID + column] * radius
    alpha = np.clip(0.5 - distance, 0, 1)
    period = np.float32(TILE / (7 + 3 * u[18]))  # a tile is 7 to 10 pixels wide
    column = (across * period + np.float32(TILE * (4096 + u[19]))).astype(np.int32) % TILE
    row = (down * period + np.float32(TILE * (4096 + u[20]))).astype(np.int32) % TILE
    light = _tiles()[cues[1]][row * TILE + column]
    slope, side = 0.3 * u[21] / radius, 2 * np.pi * u[22]
    light = light * (1 + np.float32(slope * np.cos(side)) * (x - cx) + np.float32(slope * np.sin(side)) * (y - cy))
    hue = HUES[cues[2]] + HUE_SD * np.sqrt(-2 * np.log(1 - u[23])) * np.cos(2 * np.pi * u[24])
    colour = _rgb(hue, 0.6 + 0.35 * u[25], 0.85 + 0.3 * u[26])
    canvas += alpha[..., None] * (light[..., None] * colour - canvas)
    picture = (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8)
    return modify(picture, world.modification, u[27:40]), alpha >= 0.5


def _rgb(hue: float, saturation: float, value: float) -> np.ndarray:
    """HSV (degrees, [0, 1], any) to RGB, (3,) float32."""
    k = (np.array([5, 3, 1]) + hue / 60) % 6
    return (value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)).astype(np.float32)


def _background(world: World, u: np.ndarray, sources) -> np.ndarray:
    """A fresh (64, 64, 3) float32 crop of one of the split's sources, turned or mirrored, a little darker or
    lighter."""
    group = sources[0] if u[0] < world.photographs or not sources[1] else sources[1]
    source = group[int(u[1] * len(group))]
    top, left = (int(share * (side - SIZE + 1)) for share, side in zip(u[2:4], source.shape, strict=False))
    crop = np.rot90(source[top : top + SIZE, left : left + SIZE], int(4 * u[4]))
    crop = crop[:, ::-1] if u[5] < 0.5 else crop
    return crop * np.float32(0.7 + 0.4 * u[6])


def modify(picture: np.ndarray, modification: str, u: np.ndarray) -> np.ndarray:
    """The control worlds of paper 3: swapped colour channels, copied-over areas, or a Gaussian blur (sd 1.5 pixels).

    `mosaic` copies six 16-pixel tiles of the picture over six others; `u` (13,) chooses them. Masks are not changed.
    """
    if modification == "bgr":
        return picture[..., ::-1]
    if modification == "mosaic":
        tiles = picture.reshape(4, 16, 4, 16, 3).transpose(0, 2, 1, 3, 4).reshape(16, 16, 16, 3).copy()
        order = np.argsort(np.concatenate([u, u[:3] * np.float64(7) % 1]))
        tiles[order[:6]] = tiles[order[6:12]]
        return tiles.reshape(4, 4, 16, 16, 3).transpose(0, 2, 1, 3, 4).reshape(SIZE, SIZE, 3)
    if modification == "blur":
        return ndimage.gaussian_filter(picture, (1.5, 1.5, 0))
    return picture


def conflict(world: World, n: int, split: str = "test") -> Batch:
    """Cue-conflict pictures: the three cues of each name three different classes, none of them favoured."""
    rng = np.random.Generator(np.random.Philox(key=_stream("conflict", world.seed, split)))
    cues = rng.permuted(np.tile(np.arange(CLASSES), (n, 1)), axis=1)[:, :3]
    return render(world, split, range(10_000_000, 10_000_000 + n), cues)


def backgrounds(world: World, split: str, indices) -> np.ndarray:
    """The number of the source, photograph or panel, behind each picture of a split: (n,)."""
    key, (photographs, drawn) = _stream("images", world.seed, split), panels(split, world.seed)
    draws = [np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, int(i)])).random(96) for i in indices]
    which, place = np.array(draws).reshape(-1, 96)[:, 11:13].T
    photograph = (which < world.photographs) | (len(drawn) == 0)
    panel = len(photographs) + (place * len(drawn)).astype(int)
    return np.where(photograph, (place * len(photographs)).astype(int), panel)


def batch(world: World, split: str, n: int, first: int = 0) -> Batch:
    """The pictures `first` to `first + n` of a split, through the disk cache (in files of 500 pictures, so a killed run
    resumes)."""
    parts, before = [], first % CHUNK
    for start in range(first - before, first + n, CHUNK):
        about = {"world": check(world), "split": split, "start": start}
        parts.append(cache.cached("cutouts", about, lambda s=start: _packed(render(world, split, range(s, s + CHUNK)))))
    joined = {name: np.concatenate([part[name] for part in parts])[before : before + n] for name in Batch._fields}
    return Batch(**joined | {"masks": np.unpackbits(joined["masks"], axis=-1).astype(bool)})


def _packed(rendered: Batch) -> dict[str, np.ndarray]:
    return rendered._asdict() | {"masks": np.packbits(rendered.masks, axis=-1)}


# -------------------------------------------------------------------------------------------- ceilings


def likelihood(reliability: float) -> np.ndarray:
    """P(cue value | label) for one cue: (10 labels, 10 values)."""
    return np.full((CLASSES, CLASSES), (1 - reliability) / (CLASSES - 1)) + np.eye(CLASSES) * (
        reliability - (1 - reliability) / (CLASSES - 1)
    )


def bayes_accuracy(world: World) -> float:
    """Accuracy of the best possible reader of the three true cue values: an exact sum over all 1,000 combinations."""
    tables = [likelihood(getattr(world, cue)) for cue in CUES]
    return float(np.einsum("ys,yt,yh->ysth", *tables).max(0).sum() / CLASSES)


def combine(world: World, posteriors: list[np.ndarray]) -> np.ndarray:
    """P(label | picture) from three single-cue readers' P(cue value | picture), each (n, 10): (n, 10), rows sum to one.

    Exact when the readers are calibrated and read nothing else: each cue is uniform over its values, and given the
    label the three are independent, so the product of sum_v P(v | picture) P(v | label) is the likelihood up to a
    constant.
    """
    product = np.ones((len(posteriors[0]), CLASSES))
    for cue, posterior in zip(CUES, posteriors, strict=True):
        product *= posterior @ likelihood(getattr(world, cue)).T
    return product / product.sum(1, keepdims=True)
