"""Sheets to check masks on: an image enlarged, its outlines, and its numbered regions."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from daam_bench.figures.pair_sheet import INK, PALE, PAPER, font_of, outlines, write_words
from daam_bench.types import Example
from daam_bench.types.errors import InputError
from daam_bench.types.masks import decode
from tools.emoji.checking.regions import Regions, colour_regions, space_of

_SIDE, _GAP, _HEAD, _EDGE = 512, 34, 64, 28
_COLOURS = ((255, 0, 140), (0, 90, 255), (255, 150, 0))
_TICK = 8  # pixels of the image


def check_sheet(example: Example, *, blind: bool = False) -> Image.Image:
    """Draw the sheet of one image: as it is, with the outlines of its masks, with its regions' numbers.

    Args:
        example: The image and its proposals.
        blind: Leave the outlines out and cut other regions, for an annotation from nothing.

    Raises:
        InputError: The image is not square, or has more nouns than there are colours.
    """
    query = example.query
    if query.image.width != query.image.height:
        raise InputError(f"{query.id}: sheets are of square images, not {query.image.size}")
    if len(query.nouns) > len(_COLOURS):
        raise InputError(f"{query.id}: a sheet has colours for {len(_COLOURS)} nouns, not {len(query.nouns)}")
    colours = _COLOURS[: len(query.nouns)]
    regions = colour_regions(query.image, space_of(blind=blind))
    large = query.image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    panels = [large, _numbered(large, regions)]
    if not blind:
        masks = [(decode(mask), colour) for mask, colour in zip(example.masks, colours, strict=True) if mask]
        panels.insert(1, outlines(query.image, masks, _SIDE))
    width = len(panels) * (_SIDE + _GAP)
    sheet = Image.new("RGB", (width, _HEAD + _SIDE + 8), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_EDGE, 6), f"{query.id}   {query.prompt}", INK, font_of(20))
    words = [
        (noun.text if blind or mask is not None else f"{noun.text} (no mask)", colour)
        for noun, mask, colour in zip(query.nouns, example.masks, colours, strict=True)
    ]
    write_words(pen, (_EDGE, 32), words, separator="     ", size=18)
    for index, panel in enumerate(panels):
        left = _EDGE + index * (_SIDE + _GAP)
        sheet.paste(panel, (left, _HEAD))
        _ticks(pen, (left, _HEAD), query.image.width)
    return sheet


def _numbered(large: Image.Image, regions: Regions) -> Image.Image:
    labels = np.asarray(
        Image.fromarray(regions.astype(np.uint8)).resize(large.size, Image.Resampling.NEAREST)
    )
    edge = np.zeros(labels.shape, dtype=np.bool_)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    pixels = (0.75 * np.asarray(large) + 0.25 * 255).astype(np.uint8)
    pixels[edge] = 0
    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    for number in range(int(regions.max()) + 1):
        depth = ndimage.distance_transform_edt(np.pad(labels == number, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        size = 17 if depth.max() >= 12 else 12
        pen.text(
            (int(x), int(y)),
            str(number),
            (255, 255, 255),
            font_of(size),
            anchor="mm",
            stroke_width=2,
            stroke_fill=(0, 0, 0),
        )
    return picture


def _ticks(pen: ImageDraw.ImageDraw, place: tuple[int, int], pixels: int) -> None:
    """Mark the picture's own pixels along two sides."""
    left, top = place
    for at in range(0, pixels, _TICK):
        step = round(at * _SIDE / pixels)
        pen.text((left - 4, top + step), str(at), PALE, font_of(11), anchor="rm")
        pen.text((left + step, top - 3), str(at), PALE, font_of(11), anchor="mb")
        pen.line((left - 3, top + step, left, top + step), PALE)
        pen.line((left + step, top - 3, left + step, top), PALE)
