"""Heat maps in a notebook: what Jupyter shows of them in place of their `repr`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from PIL import Image

from daam_bench.attribution.tokens import Word
from daam_bench.figures.page_parts import encoded, image_address
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.printable import printable

_LARGE, _SMALL = 256, 128
"""Longest side of a single image and of one among others, in pixels."""

_ALPHA = 0.65


@dataclass(frozen=True, slots=True)
class Overlays:
    """The maps of an image's words, each over the image. Made by `ImageHeatMaps.overlay`.

    Attributes:
        image: The image.
        maps: The map of each word, in the prompt's order.
    """

    image: Image.Image
    maps: Mapping[Word, HeatMap] = field(repr=False)

    def _repr_html_(self) -> str:
        """Show the image and one overlay a word."""
        large = self.image.convert("RGB")
        large.thumbnail((_LARGE, _LARGE))
        large = enlarged(large)
        overlays = [(word.text, found.overlay(large, alpha=_ALPHA)) for word, found in self.maps.items()]
        return words_html([("", large), *overlays])


def heat_map_png(heat_map: HeatMap) -> bytes:
    """Return a heat map as a PNG of a readable size: inferno, a square for every value."""
    return encoded(enlarged(heat_map.paint(), _LARGE), "png")


def words_html(images: Sequence[tuple[str, Image.Image]]) -> str:
    """Return images side by side, each with its word below, as HTML.

    Args:
        images: Words, or "" for the image itself, and what to show of them.
    """
    figures = "".join(_figure(word, image) for word, image in images)
    return f'<div style="display: flex; flex-wrap: wrap; gap: 8px">{figures}</div>'


def enlarged(image: Image.Image, side: int = _SMALL) -> Image.Image:
    """Enlarge an image by a whole factor until its longer side has about `side` pixels, unblurred."""
    factor = max(1, round(side / max(image.size)))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _figure(word: str, image: Image.Image) -> str:
    width = min(image.width, round(_SMALL * image.width / max(image.size)))
    name = escape(printable(word) or "image")
    label = f"map of {name}" if word else name
    return (
        f'<figure style="margin: 0; text-align: center">'
        f'<img src="{image_address(image, "png")}" alt="{label}" width="{width}">'
        f"<figcaption>{name if word else '&nbsp;'}</figcaption></figure>"
    )
