"""Procedural scenes: one to three kinds of emoji on a background, with exact masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daam_bench.emoji.nouns import BACKGROUNDS, NOUNS
from daam_bench.types import BoolMask, FloatMap
from tools.emoji.backgrounds import background
from tools.emoji.glyphs import Glyphs

USUAL_SHARE = 0.6
"""Share of training scenes whose nouns are all on a usual background."""

_SIDES = {1: (0.50, 0.66), 2: (0.41, 0.55), 3: (0.33, 0.44)}  # longer side over image side, by object count
_MAX_OVERLAP = 0.06  # of the smaller of two boxes
_PLACEMENTS = 60  # attempts before an overlap is accepted


@dataclass(frozen=True, slots=True)
class ObjectGroup:
    """The instances of one noun in a scene.

    Attributes:
        noun: Name of the noun, a key of `NOUNS`.
        count: 1, 2 or 3 instances.
        size: "big", "small" or "" (neither); only for single instances.
    """

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
    """A composited image.

    Attributes:
        image: uint8 RGB of shape (size, size, 3).
        layout: What it shows.
        instances: Visible part of each object, bool of shape (objects, size, size).
        owners: For each object, the index of its group in the layout.
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
    """Sample what a scene shows.

    Args:
        rng: Source of randomness.
        usual: Whether every noun must be on a usual background; None for the training mixture,
            in which `USUAL_SHARE` of the scenes are usual.
        background: The background; None for any.
    """
    if usual is None:
        usual = rng.random() < USUAL_SHARE
    name = background or BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
    pool = [noun.name for noun in NOUNS.values() if not usual or name in noun.usual]
    kinds = min(int(rng.choice([1, 2, 3], p=[0.45, 0.43, 0.12])), len(pool))
    names = [pool[i] for i in rng.choice(len(pool), kinds, replace=False)]
    return Layout(tuple(_sample_group(noun, kinds, rng) for noun in names), name)


def _sample_group(noun: str, kinds: int, rng: np.random.Generator) -> ObjectGroup:
    if kinds == 1 and rng.random() < 0.2:
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
