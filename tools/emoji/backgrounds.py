"""Procedural backgrounds of the emoji world."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from daam_bench.emoji.nouns import BACKGROUNDS

BackgroundPixels = NDArray[np.floating[Any]]
"""RGB in about [0, 1], shape (height, width, 3); or one channel of it."""

_POOL = 250  # images of a background, made once and reused (half of the time mirrored)


def background(name: str, size: int, rng: np.random.Generator) -> BackgroundPixels:
    """Make a background.

    Args:
        name: One of `BACKGROUNDS`.
        size: Side of the square image in pixels.
        rng: Source of randomness.

    Returns:
        RGB in [0, 1] of shape (size, size, 3), the caller's own copy.
    """
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
