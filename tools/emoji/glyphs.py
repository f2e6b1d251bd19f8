"""Emoji glyphs as premultiplied RGBA arrays, from the Noto Color Emoji font."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from daam_bench.emoji.nouns import NOUNS
from daam_bench.types import FloatMap
from daam_bench.types.errors import InputError
from tools.emoji import DEBIAN_FONT

_BITMAP_SIZE = 109  # the one size, in pixels, of the font's bitmaps


class Glyphs:
    """Glyphs of the world's nouns at any size.

    Args:
        font: Path of NotoColorEmoji.ttf (SIL Open Font License 1.1).

    Raises:
        InputError: The font is not there.
    """

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
        """Return a noun's glyph, `size` pixels on its longer side.

        Returns:
            Premultiplied RGBA in [0, 1] of shape (height, width, 4); not to be written to.
        """
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
