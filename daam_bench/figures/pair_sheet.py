"""A contact sheet of a run's best, median and worst pairs, to see what its scores mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from daam_bench.scoring.results import SplitScores
from daam_bench.types import BoolMask, Example, PairScore
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import decode

T = TypeVar("T")

SIDE = 144
"""Longest side of an image on the sheet, in pixels."""

_GAP, _COLUMN_GAP, _LABEL, _MARGIN, _HEAD = 6, 36, 40, 20, 118
PAPER, INK, PALE, FRAME = (255, 255, 255), (28, 30, 36), (112, 116, 126), (205, 208, 214)
_PREDICTED, _TRUE = (255, 64, 129), (0, 200, 120)
_SECTIONS = ("best", "median", "worst")


@dataclass(frozen=True, slots=True)
class Card:
    """One pair on the sheet.

    Attributes:
        example: The example.
        noun: Index of the noun.
        iou: Its score in [0, 1].
        prediction: Predicted mask at the image's size, or None.
        heat_map: The map behind it, or None for a method that gives hard masks.
    """

    example: Example
    noun: int
    iou: float
    prediction: BoolMask | None
    heat_map: HeatMap | None


def write_sheet(path: Path, results: Sequence[SplitScores], *, tau: str, title: str, rows: int = 5) -> None:
    """Write the contact sheet of a run as a PNG.

    Args:
        path: Where it goes.
        results: The scores of each split, with the masks at this tau and the heat maps of the chosen pairs.
        tau: The tau to show: a key of the scores.
        title: What stands above it.
        rows: Number of pairs of each kind.

    Raises:
        InputError: There are no scores at that tau.
    """
    sections = choose_pairs(results, tau, rows)
    if not any(sections):
        raise InputError(f"no pair was scored at tau {tau}, so there is nothing to show")
    cards = [[_card(scores, pair) for scores, pair in section] for section in sections]
    contact_sheet(cards, title).save(path)


def choose_pairs(
    results: Sequence[SplitScores], tau: str, rows: int = 5
) -> list[list[tuple[SplitScores, PairScore]]]:
    """Return the best, median and worst pairs of a run at a tau, each with the scores of its split."""
    scored = [(scores, row) for scores in results for row in scores.pairs() if row.tau == tau]
    return choose(
        sorted(scored, key=lambda one: (-one[1].iou, one[0].split.name, one[1].id, one[1].noun)), rows
    )


def choose(ranked: Sequence[T], count: int) -> list[list[T]]:
    """Return the first, the middle and the last `count` of a ranking, worst last first."""
    middle = max(0, (len(ranked) - count) // 2)
    return [list(ranked[:count]), list(ranked[middle : middle + count]), list(ranked[::-1][:count])]


def contact_sheet(sections: Sequence[Sequence[Card]], title: str) -> Image.Image:
    """Draw cards in columns: best, median and worst.

    Args:
        sections: The cards of each of the three columns, from the top.
        title: What stands above them.
    """
    captions = [("image", PALE), ("heat map", PALE), ("prediction", _PREDICTED), ("truth", _TRUE)]
    if all(card.heat_map is None for cards in sections for card in cards):
        del captions[1]
    width = len(captions) * (SIDE + _GAP) - _GAP
    height = SIDE + _LABEL + _MARGIN
    rows = max(map(len, sections))
    size = (len(sections) * (width + _COLUMN_GAP) - _COLUMN_GAP + 2 * _MARGIN, _HEAD + rows * height)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, 14), title, INK, font_of(24))
    for column, (name, cards) in enumerate(zip(_SECTIONS, sections, strict=True)):
        left = _MARGIN + column * (width + _COLUMN_GAP)
        pen.text((left, 56), name, INK, font_of(18))
        for index, (text, colour) in enumerate(captions):
            pen.text((left + index * (SIDE + _GAP), 84), text, colour, font_of(13))
        pen.line((left, _HEAD - 8, left + width, _HEAD - 8), FRAME)
        for row, card in enumerate(cards):
            _draw_card(sheet, card, (left, _HEAD + row * height), width)
    return sheet


def outline(image: Image.Image, mask: BoolMask, colour: tuple[int, int, int], side: int) -> Image.Image:
    """Return an image fitted to `side` with a mask's outline on it, all else dimmed.

    Args:
        image: The image.
        mask: Boolean mask of its (height, width).
        colour: RGB colour of the outline.
        side: Longest side of the result, in pixels.
    """
    large = fit(image, side)
    inside = np.asarray(Image.fromarray(mask).resize(large.size, Image.Resampling.NEAREST))
    pixels = np.asarray(large).astype(np.float32)
    pixels = np.where(inside[..., None], pixels, 0.35 * pixels + 0.65 * 235)
    pixels[inside & ~_eroded(inside, 2)] = colour
    return Image.fromarray(pixels.astype(np.uint8))


def outlines(
    image: Image.Image, masks: Sequence[tuple[BoolMask, tuple[int, int, int]]], side: int
) -> Image.Image:
    """Return an image fitted to `side`, paled, with the outlines of several masks, the last one on top.

    Args:
        image: The image.
        masks: Boolean masks of its (height, width), each with the RGB colour of its outline.
        side: Longest side of the result, in pixels.
    """
    large = fit(image, side)
    pixels = (0.6 * np.asarray(large).astype(np.float32) + 0.4 * 255).astype(np.uint8)
    for mask, colour in masks:
        inside = np.asarray(Image.fromarray(mask).resize(large.size, Image.Resampling.NEAREST))
        pixels[inside & ~_eroded(inside, 2)] = colour
    return Image.fromarray(pixels)


def fit(image: Image.Image, side: int) -> Image.Image:
    """Scale an image so that its longer side is `side`; a small one by repeating pixels, unblurred."""
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    return image.convert("RGB").resize(size, how)


def _card(scores: SplitScores, pair: PairScore) -> Card:
    example = next(example for example in scores.split if example.id == pair.id)
    mask = scores.masks.get((pair.id, pair.noun, pair.tau))
    heat_map = scores.heat_maps.get((pair.id, pair.noun))
    return Card(
        example,
        pair.noun,
        pair.iou,
        None if mask is None else decode(mask),
        None if heat_map is None else HeatMap(heat_map),
    )


def _draw_card(sheet: Image.Image, card: Card, place: tuple[int, int], width: int) -> None:
    query = card.example.query
    noun, truth = query.nouns[card.noun], card.example.masks[card.noun]
    pictures = [fit(query.image, SIDE)]
    if card.heat_map is not None:
        pictures.append(card.heat_map.overlay(fit(query.image, SIDE), alpha=0.65))
    empty: BoolMask = np.zeros((query.image.height, query.image.width), dtype=np.bool_)
    predicted = empty if card.prediction is None else card.prediction
    true = empty if truth is None else decode(truth)
    pictures += [
        outline(query.image, predicted, _PREDICTED, SIDE),
        outline(query.image, true, _TRUE, SIDE),
    ]
    (left, top), pen = place, ImageDraw.Draw(sheet)
    for index, picture in enumerate(pictures):
        x, y = left + index * (SIDE + _GAP), top + _LABEL
        sheet.paste(picture, (x, y))
        pen.rectangle((x - 1, y - 1, x + picture.width, y + picture.height), outline=FRAME)
    words = [(f"IoU {card.iou:.2f}", INK), (noun.text, _PREDICTED), (query.id, PALE)]
    write_words(pen, place, words, separator="  ", size=14)
    write_prompt(pen, (left, top + 19), query.prompt, (noun.start, noun.end), width)


def write_prompt(
    pen: ImageDraw.ImageDraw, place: tuple[int, int], prompt: str, span: tuple[int, int], width: int
) -> None:
    """Write a prompt on one line with its noun in colour, cut off around the noun if it is too long."""
    font, (start, end) = font_of(13), span
    first, last = 0, len(prompt)
    widths = [font.getlength(letter) for letter in prompt]
    excess = sum(widths) + 2 * font.getlength("…") - width
    while excess > 0 and (first < start or last > end):
        if last - end >= start - first:
            last -= 1
            excess -= widths[last]
        else:
            excess -= widths[first]
            first += 1
    before = ("…" if first else "") + prompt[first:start]
    after = prompt[end:last] + ("…" if last < len(prompt) else "")
    words = [(before, PALE), (prompt[start:end], _PREDICTED), (after, PALE)]
    write_words(pen, place, words, separator="", size=13)


def write_words(
    pen: ImageDraw.ImageDraw,
    place: tuple[int, int],
    words: Sequence[tuple[str, tuple[int, int, int]]],
    *,
    separator: str,
    size: int,
) -> None:
    """Write words side by side, each in its RGB colour."""
    x, y = float(place[0]), place[1]
    for text, colour in words:
        pen.text((x, y), text, colour, font_of(size))
        x += pen.textlength(text + separator, font_of(size))


@cache
def font_of(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of the sheets at a size in pixels."""
    return ImageFont.load_default(size)


def _eroded(mask: BoolMask, pixels: int) -> BoolMask:
    """Take `pixels` off a mask's edge; beyond the image's border lies nothing of it."""
    padded = np.pad(mask, pixels)
    height, width = mask.shape
    result = mask.copy()
    for shift in range(2 * pixels + 1):
        result &= padded[shift : shift + height, pixels : pixels + width]
        result &= padded[pixels : pixels + height, shift : shift + width]
    return result
