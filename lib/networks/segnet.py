"""SegNet, the autoencoder of "What do deep networks like to see?": two halves of VGG with batch normalisation.

Badrinarayanan et al. 2017 as Palacio et al. 2018 use it (Section 3.1): stages of 3x3 convolutions, batch normalisation
and ReLU, each followed by 2x2 max pooling; the second half mirrors the first, and the place of every maximum tells the
decoder where to put a value. A 1x1 convolution gives the picture, with no non-linearity after it. What goes in and
comes out is normalised; pictures here are RGB in [0, 1] and are normalised inside.

The places of the maxima are a wide side channel: the code of a 64x64 picture has few numbers, but its places say for
every 2x2 window which pixel was the largest.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.base.identity import state_digest
from lib.networks import interface, zoo


class Shape(NamedTuple):
    """Width (maps) and depth (convolutions) of every stage, outermost first."""

    widths: tuple[int, ...] = (16, 32, 48)
    depths: tuple[int, ...] = (1, 1, 2)


SMALL = Shape()  # for pictures of 64 pixels: trains in minutes on one core
ORIGINAL = Shape((64, 128, 256, 512, 512), (2, 2, 3, 3, 3))  # the paper's: VGG16-BN, pictures of 256 pixels


class Autoencoder(NamedTuple):
    name: str
    encoder: nn.Module  # normalised pictures (N, 3, H, W) -> code, places of the maxima of each stage
    decoder: nn.Module  # code, places -> normalised pictures
    preprocess: Callable  # RGB in [0, 1] -> normalised
    restore: Callable  # normalised -> RGB
    digest: str  # SHA-256 of the weights of both halves


def check(shape: Shape) -> Shape:
    """The shape itself, or ValueError that names what is wrong with it."""
    widths, depths = shape
    if not widths or len(widths) != len(depths):
        raise ValueError(f"segnet: {len(widths)} widths and {len(depths)} depths; expected one of each for every stage")
    for name, values in (("widths", widths), ("depths", depths)):
        if min(values) < 1:
            raise ValueError(f"segnet: {name} are {values}, expected whole numbers of at least 1")
    return Shape(tuple(widths), tuple(depths))


def _stage(widths: list[int]) -> nn.Sequential:
    parts = []
    for inside, outside in zip(widths, widths[1:], strict=False):
        parts += [nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU()]
    return nn.Sequential(*parts)


class Encoder(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        inside = (3, *shape.widths)
        self.stages = nn.ModuleList(
            _stage([inside[k]] + [width] * depth) for k, (width, depth) in enumerate(zip(*shape, strict=True))
        )

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        places = []
        for stage in self.stages:
            x, place = F.max_pool2d(stage(x), 2, return_indices=True)
            places.append(place)
        return x, places


class Decoder(nn.Module):
    """places: whether a value goes where its maximum was; if not, it is repeated over its 2x2 window."""

    def __init__(self, shape: Shape, places: bool = True):
        super().__init__()
        self.places = places
        outside = (shape.widths[0], *shape.widths)
        stages = [_stage([width] * depth + [outside[k]]) for k, (width, depth) in enumerate(zip(*shape, strict=True))]
        self.stages = nn.ModuleList(reversed(stages))
        self.final = nn.Conv2d(shape.widths[0], 3, 1)

    def forward(self, x: Tensor, places: list[Tensor]) -> Tensor:
        for stage, place in zip(self.stages, reversed(places), strict=True):
            x = stage(unpool(x, place) if self.places else F.interpolate(x, scale_factor=2))
        return self.final(x)


def unpool(x: Tensor, places: Tensor) -> Tensor:
    """Every value of (N, C, h, w) at the place of its maximum in (N, C, 2h, 2w), zeros elsewhere.

    torch calls its max_unpool2d non-deterministic since places might repeat; those of 2x2 windows that do not overlap
    cannot, so that the check is lifted for this one call.
    """
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        return F.max_unpool2d(x, places, 2)
    finally:
        torch.set_deterministic_debug_mode(before)


def build(shape: Shape = SMALL, seed: int = 0, name: str = "untrained", places: bool = True) -> Autoencoder:
    """An untrained autoencoder; the same shape and seed give the same weights to the bit. places: as for Decoder."""
    check(shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder, decoder = Encoder(shape), Decoder(shape, places)
        for module in (*encoder.modules(), *decoder.modules()):
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
    return assemble(name, encoder, decoder)


def assemble(name: str, encoder: nn.Module, decoder: nn.Module) -> Autoencoder:
    """An Autoencoder around two halves, normalised as the zoo's pictures are; both in evaluation mode."""
    both = nn.ModuleDict({"encoder": encoder, "decoder": decoder}).eval()
    both.to(memory_format=torch.channels_last)
    return Autoencoder(name, encoder, decoder, zoo.preprocess, restore, state_digest(both))


def restore(images: Tensor) -> Tensor:
    """What the autoencoder gives, as RGB; values may leave [0, 1] (they are clipped for display only)."""
    return images * 0.25 + 0.5


def transplant_vgg16(encoder: Encoder, features: nn.Module) -> None:
    """Copy the convolutions and normalisations of torchvision's vgg16_bn().features into an ORIGINAL encoder."""
    ours = [part for part in encoder.modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d)]
    theirs = [part for part in features.modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d)]
    shapes = [[tuple(part.weight.shape) for part in parts] for parts in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"transplant_vgg16: the encoder has {len(ours)} layers from {shapes[0][0]} to {shapes[0][-1]}, VGG16-BN "
            f"has {len(theirs)} from {shapes[1][0]} to {shapes[1][-1]}; expected an encoder of segnet.ORIGINAL"
        )
    for mine, other in zip(ours, theirs, strict=True):
        mine.load_state_dict(other.state_dict())


def reconstruct(autoencoder: Autoencoder, images: Tensor, batch: int = 32) -> Tensor:
    """Reconstructions of float RGB pictures (N, 3, H, W) in [0, 1]: RGB of the same shape, not clipped; no gradients.

    H and W must be multiples of 2 to the number of stages.
    """
    stages = len(autoencoder.encoder.stages)
    if images.ndim != 4 or images.shape[1] != 3 or any(side % 2**stages for side in images.shape[2:]):
        raise ValueError(
            f"images for {autoencoder.name}: found shape {tuple(images.shape)}, expected (N, 3, H, W) with H and W "
            f"multiples of {2**stages}, since it pools {stages} times"
        )
    device = autoencoder.decoder.final.weight.device
    with torch.inference_mode():
        encoder, made = state_digest(autoencoder.encoder), torch.empty_like(images)
        first = 0
        for part in interface.split(images, batch):
            place = made[first : (first := first + len(part))]
            place.copy_(autoencoder.restore(autoencoder.decoder(*_encoded(autoencoder, encoder, part.to(device)))))
    return made


KEPT_BYTES = 3 << 27  # of what encoders gave lately: 800 photographs of 224 pixels
_kept: OrderedDict[str, tuple[Tensor, list[Tensor]]] = OrderedDict()


def _encoded(autoencoder: Autoencoder, encoder: str, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Code and places of one batch of pictures. Those of the last batches are kept by content, since decoders that were
    tuned from one autoencoder share its encoder, which has two fifths of the work; `encoder`: its digest."""
    if images.device.type != "cpu":
        return autoencoder.encoder(autoencoder.preprocess(images))
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    about = f"{encoder} {tuple(images.shape)} {images.stride()} {images.dtype} {autoencoder.preprocess}"
    key = about + hashlib.sha256(pixels).hexdigest()
    if key not in _kept:
        code, places = autoencoder.encoder(autoencoder.preprocess(images))
        _kept[key] = code, [in_window(place) for place in places]
        while sum(map(_bytes, _kept.values())) > KEPT_BYTES:
            _kept.popitem(last=False)
        return code, places
    _kept.move_to_end(key)
    code, places = _kept[key]
    return code, [in_map(place) for place in places]


def in_window(places: Tensor) -> Tensor:
    """Places in a map of (2h, 2w), as pooling gives them, (N, C, h, w) int64 -> places in the 2x2 windows they come
    from, 0 to 3, uint8: an eighth of the memory."""
    width = 2 * places.shape[-1]
    return (2 * (places // width % 2) + places % 2).to(torch.uint8)


def in_map(places: Tensor) -> Tensor:
    """Places in windows, (N, C, h, w) uint8 -> places in the map of (2h, 2w), int64: the inverse of `in_window`."""
    high, wide = places.shape[-2:]
    corner = 4 * wide * torch.arange(high)[:, None] + 2 * torch.arange(wide)  # a window's first place
    inside = torch.tensor([0, 1, 2 * wide, 2 * wide + 1])
    return inside[places.int()] + corner


def _bytes(kept: tuple[Tensor, list[Tensor]]) -> int:
    return sum(part.nbytes for part in (kept[0], *kept[1]))
