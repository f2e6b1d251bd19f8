"""What the pages and the viewer show of a dataset: images as files, prompts cut at their nouns."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from daam_bench.types import Query, Split

PIXELATED = 256
"""Pictures up to this many pixels a side are kept lossless and shown pixel by pixel, without smoothing."""

_QUALITY = 90


class Piece(NamedTuple):
    """A piece of a prompt: a noun's index, or None for what stands between nouns."""

    text: str
    noun: int | None


def prompt_pieces(query: Query) -> list[Piece]:
    """Cut a prompt at its nouns. A noun that overlaps an earlier one gets no piece of its own.

    >>> from PIL import Image
    >>> from daam_bench.types import Noun
    >>> image = Image.new("RGB", (8, 8))
    >>> query = Query("0", "a cat!", image, (Noun("cat", "cat", 2, 5, "cat"),), None, None)
    >>> [piece.text for piece in prompt_pieces(query)]
    ['a ', 'cat', '!']
    """
    pieces, place = [], 0
    for index, noun in sorted(enumerate(query.nouns), key=lambda item: item[1].start):
        if noun.start < place:
            continue
        pieces += [
            Piece(query.prompt[place : noun.start], None),
            Piece(query.prompt[noun.start : noun.end], index),
        ]
        place = noun.end
    return [piece for piece in [*pieces, Piece(query.prompt[place:], None)] if piece.text]


def image_name(query: Query, index: int) -> str:
    """Return the file name of an example's image, by its place in the split."""
    return f"{index:04d}.{'png' if is_pixelated(query.image) else 'webp'}"


def is_pixelated(image: Image.Image) -> bool:
    """Whether an image is so small that its pixels are to be seen."""
    return max(image.size) <= PIXELATED


def write_images(folder: Path, split: Split) -> None:
    """Write the images of a split into a folder, one file each."""
    folder.mkdir(parents=True)
    for index, query in enumerate(split.queries()):
        (folder / image_name(query, index)).write_bytes(_encoded(query.image))


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    if is_pixelated(image):
        image.convert("RGB").save(buffer, "PNG", optimize=True)
    else:
        image.convert("RGB").save(buffer, "WEBP", quality=_QUALITY)
    return buffer.getvalue()
