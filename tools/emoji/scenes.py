"""Procedural scenes: one to three kinds of emoji on a background, with exact masks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from daam_bench.emoji.world_nouns import BACKGROUNDS, NOUNS
from daam_bench.types import BoolMask, FloatMap
from daam_bench.types.errors import InputError
from tools.emoji import DEBIAN_FONT

USUAL_SHARE = 0.6
"""Share of training scenes whose nouns are all on a usual background."""

BackgroundPixels = NDArray[np.floating[Any]]
"""RGB in about [0, 1], shape (height, width, 3); or one channel of it."""

_POOL = 250  # images of a background, made once and reused (half of the time mirrored)

_BITMAP_SIZE = 109  # the one size, in pixels, of the font's bitmaps
_SIDES = {1: (0.50, 0.66), 2: (0.41, 0.55), 3: (0.33, 0.44)}  # longer side over image side, by object count
_MAX_OVERLAP = 0.06  # of the smaller of two boxes
_PLACEMENTS = 60  # attempts before an overlap is accepted


class Glyphs:
    """Glyphs of the world's nouns at any size, from NotoColorEmoji.ttf (SIL Open Font License 1.1)."""

    def __init__(self, font: Path = DEBIAN_FONT) -> None:
        if not font.is_file():
            raise InputError(
                f"no emoji font at {font}: install Debian's fonts-noto-color-emoji "
                "or give the path of NotoColorEmoji.ttf with --font"
            )
        self.font = font
        self._bitmaps = cache(self._bitmap)
        self._scaled = lru_cache(maxsize=20_000)(self._scale)

    def get(self, noun: str, size: int, *, flipped: bool = False) -> FloatMap:
        """Return a glyph of `size` pixels on its longer side: premultiplied RGBA in [0, 1], read only."""
        return self._scaled(noun, size, flipped)

    def _bitmap(self, noun: str) -> Image.Image:
        font = ImageFont.truetype(self.font, _BITMAP_SIZE)
        canvas = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
        ImageDraw.Draw(canvas).text((10, 10), NOUNS[noun].glyph, font=font, embedded_color=True)
        box = canvas.getchannel("A").point(lambda alpha: 255 * (alpha > 40)).getbbox()
        if box is None:
            raise InputError(f"the font {self.font} has no glyph for {noun!r} ({NOUNS[noun].glyph})")
        return canvas.crop(box)

    def _scale(self, noun: str, size: int, flipped: bool) -> FloatMap:
        bitmap = self._bitmaps(noun)
        ratio = size / max(bitmap.size)
        shape = (max(1, round(bitmap.width * ratio)), max(1, round(bitmap.height * ratio)))
        pixels = np.asarray(bitmap, dtype=np.float32) / 255
        pixels = np.concatenate([pixels[..., :3] * pixels[..., 3:], pixels[..., 3:]], axis=-1)
        resample = Image.Resampling.BOX if ratio < 0.5 else Image.Resampling.BILINEAR
        channels = [
            np.asarray(Image.fromarray(np.ascontiguousarray(pixels[..., c])).resize(shape, resample))
            for c in range(4)
        ]
        scaled = np.stack(channels, axis=-1)
        return np.ascontiguousarray(scaled[:, ::-1] if flipped else scaled)


@dataclass(frozen=True, slots=True)
class ObjectGroup:
    """1, 2 or 3 instances of a noun in a scene; a single one may be "big" or "small"."""

    noun: str
    count: int = 1
    size: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a scene shows: groups of objects on a named background."""

    groups: tuple[ObjectGroup, ...]
    background: str


@dataclass(frozen=True, slots=True)
class Scene:
    """A composited image: uint8 RGB of shape (size, size, 3).

    `instances` are the visible parts of its objects, bool of shape (objects, size, size); `owners` are their
    groups in the layout.
    """

    image: NDArray[np.uint8]
    layout: Layout
    instances: BoolMask
    owners: tuple[int, ...]

    @property
    def masks(self) -> BoolMask:
        """Visible part of each group, bool of shape (groups, size, size)."""
        owners = np.array(self.owners)
        return np.stack(
            [self.instances[owners == group].any(axis=0) for group in range(len(self.layout.groups))]
        )


def sample_layout(
    rng: np.random.Generator, *, usual: bool | None = None, background: str | None = None
) -> Layout:
    """Sample what a scene shows, on any background unless one is named.

    Whether its nouns are on a usual background may be told; otherwise `USUAL_SHARE` of the scenes are so.
    """
    if usual is None:
        usual = rng.random() < USUAL_SHARE
    name = background or BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
    pool = [noun.name for noun in NOUNS.values() if not usual or name in noun.usual]
    kinds = min(int(rng.choice([1, 2, 3], p=[0.45, 0.43, 0.12])), len(pool))
    names = [pool[i] for i in rng.choice(len(pool), kinds, replace=False)]
    return Layout(tuple(sample_group(noun, kinds, rng) for noun in names), name)


def sample_group(noun: str, kinds: int, rng: np.random.Generator, *, several: float = 0.2) -> ObjectGroup:
    """Sample how often and how large a noun is shown; `several` is the chance of a lone kind to be many."""
    if kinds == 1 and rng.random() < several:
        return ObjectGroup(noun, int(rng.choice([2, 3], p=[0.7, 0.3])))
    return ObjectGroup(noun, 1, ("", "", "", "big", "small")[rng.integers(5)])


def compose(layout: Layout, glyphs: Glyphs, size: int, rng: np.random.Generator) -> Scene:
    """Compose a layout as an image of `size` x `size` pixels."""
    objects = [(index, group) for index, group in enumerate(layout.groups) for _ in range(group.count)]
    for _ in range(_PLACEMENTS):
        placed = []
        for _, group in objects:
            side = int(rng.uniform(*_side_range(len(objects), group.size)) * size)
            glyph = glyphs.get(group.noun, side, flipped=bool(rng.random() < 0.5))
            height, width = glyph.shape[:2]
            top, left = (int(rng.integers(1, max(2, size - length))) for length in (height, width))
            placed.append((top, left, glyph[: size - top, : size - left]))
        if not _crowded(placed):
            break
    image = background(layout.background, size, rng)
    instances = np.zeros((len(objects), size, size), dtype=np.bool_)
    for index, (top, left, glyph) in enumerate(placed):
        height, width = glyph.shape[:2]
        window = np.s_[top : top + height, left : left + width]
        alpha = glyph[..., 3:]
        brightness = rng.uniform(0.95, 1.04)
        image[window] = image[window] * (1 - alpha) + np.clip(glyph[..., :3] * brightness, 0, 1)
        solid = alpha[..., 0] > 0.5
        instances[(slice(None), *window)] &= ~solid
        instances[(index, *window)] = solid
    pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    return Scene(pixels, layout, instances, tuple(group for group, _ in objects))


def _side_range(objects: int, size: str) -> tuple[float, float]:
    shortest, longest = _SIDES[min(objects, len(_SIDES))]
    ranges = {
        "": (shortest, longest),
        "big": (longest, 1.25 * longest),
        "small": (0.6 * shortest, 0.75 * shortest),
    }
    return ranges[size]


def _crowded(placed: list[tuple[int, int, FloatMap]]) -> bool:
    boxes = [(top, left, *glyph.shape[:2]) for top, left, glyph in placed]
    for index, a in enumerate(boxes):
        for b in boxes[:index]:
            overlap = [min(a[i] + a[i + 2], b[i] + b[i + 2]) - max(a[i], b[i]) for i in (0, 1)]
            if min(overlap) > 0 and overlap[0] * overlap[1] > _MAX_OVERLAP * min(a[2] * a[3], b[2] * b[3]):
                return True
    return False


def background(name: str, size: int, rng: np.random.Generator) -> BackgroundPixels:
    """Make one of `BACKGROUNDS`: RGB in [0, 1] of shape (size, size, 3), the caller's own copy."""
    image = _pool(name, size)[rng.integers(_POOL)]
    return np.ascontiguousarray(image[:, ::-1] if rng.random() < 0.5 else image).copy()


@cache
def _pool(name: str, size: int) -> BackgroundPixels:
    rng = np.random.default_rng([7, BACKGROUNDS.index(name), size])
    return np.stack([_make(name, size, rng) for _ in range(_POOL)])


def _noise(rng: np.random.Generator, cells: int, size: int) -> BackgroundPixels:
    """Smooth noise of unit variance and shape (size, size, 1), with about `cells` bumps a side."""
    coarse = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))[..., None]


def _rgb(*channels: int) -> BackgroundPixels:
    return np.array(channels, dtype=np.float32) / 255


def _make(name: str, size: int, rng: np.random.Generator) -> BackgroundPixels:
    image: BackgroundPixels
    y = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
    x = np.linspace(0, 1, size, dtype=np.float32)[None, :, None]
    full = np.ones((size, size, 1), dtype=np.float32)
    grain = rng.standard_normal((size, size, 1))
    if name == "grass":
        image = _rgb(110, 180, 70) * (1 - 0.35 * y) * full
        image = image + 0.05 * _noise(rng, size // 4, size) * _rgb(160, 255, 120) + 0.025 * grain
    elif name == "sea":
        phase = rng.uniform(0, 6)
        image = (_rgb(60, 140, 200) * (1 - y) + _rgb(20, 80, 160) * y) * full
        image = image + 0.05 * np.sin(40 * y + 3 * np.sin(6 * x + phase) + phase)
    elif name == "snow":
        image = _rgb(235, 242, 250) - 0.05 * np.abs(_noise(rng, 4, size)) * _rgb(255, 220, 160)
    elif name == "sand":
        image = (_rgb(225, 195, 140) - 0.08 * y) * full
        image = image + 0.03 * _noise(rng, size * 3 // 8, size) + 0.02 * grain
    elif name == "road":
        image = _rgb(105, 105, 110) * full + 0.015 * grain
        pixel = size / 64
        top = int(rng.integers(20, 44) * pixel)
        dashes = (np.arange(size) / pixel + rng.integers(12)) % 14 < 8
        image[top : top + round(3 * pixel), dashes] = _rgb(235, 215, 110)
    elif name == "sky":
        clouds = np.clip(_noise(rng, 6, size) - 0.5, 0, 1)
        image = (_rgb(110, 180, 245) * (1 - y) + _rgb(190, 225, 250) * y) * (1 - clouds) + clouds
    elif name == "room":
        walls = (_rgb(225, 205, 185), _rgb(200, 215, 225), _rgb(220, 200, 215))
        pixel = size / 64
        floor = int(rng.integers(36, 48) * pixel)
        image = walls[rng.integers(3)] * full
        image[floor:] = _rgb(150, 105, 70) + 0.03 * _noise(rng, 8, size)[floor:]
        image[floor : floor + round(2 * pixel)] = _rgb(245, 245, 240)
        image = image - 0.04 * x
    else:
        raise KeyError(name)
    image = image * rng.uniform(0.92, 1.06) + rng.normal(0, 0.012, 3)
    return np.clip(image, 0, 1).astype(np.float32)
