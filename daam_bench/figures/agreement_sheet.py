"""A sheet of the nouns that two annotations disagree on most, with both outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from daam_bench.figures.pair_sheet import (
    FRAME,
    INK,
    PALE,
    PAPER,
    font_of,
    outlines,
    write_prompt,
    write_words,
)
from daam_bench.types import RLE, Example
from daam_bench.types.masks import decode

SIDE = 288
"""Longest side of an image on the sheet, in pixels."""

_COLUMNS, _GAP, _LABEL, _MARGIN, _HEAD = 4, 20, 44, 20, 92
_A, _B = (255, 64, 129), (0, 110, 230)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A noun that two annotations may see differently.

    Attributes:
        example: Its example.
        noun: Its index.
        iou: The IoU in [0, 1] of the two masks; None unless both annotations have one.
        a: The mask of the first annotation, or None.
        b: The mask of the second annotation, or None.
    """

    example: Example
    noun: int
    iou: float | None
    a: RLE | None
    b: RLE | None


def choose_worst(nouns: Sequence[Disagreement], count: int) -> list[Disagreement]:
    """Return the `count` nouns agreed on least: the lowest IoU first, then those that only one marks."""
    compared = sorted(
        (noun for noun in nouns if noun.iou is not None),
        key=lambda noun: (noun.iou or 0.0, noun.example.query.id),
    )
    one_sided = [noun for noun in nouns if (noun.a is None) != (noun.b is None)]
    kept = compared[: max(count // 2, count - len(one_sided))]
    return kept + one_sided[: count - len(kept)]


def write_agreement_sheet(
    path: Path, worst: Sequence[Disagreement], *, title: str, names: tuple[str, str]
) -> None:
    """Write the sheet as a PNG.

    Args:
        path: Where it goes.
        worst: The nouns to draw, in order; at least one.
        title: What stands above them.
        names: What to call the two annotations.
    """
    columns = min(_COLUMNS, len(worst))
    rows = -(-len(worst) // columns)
    cell = (SIDE + _GAP, SIDE + _LABEL + _GAP)
    width = max(columns * cell[0] - _GAP, 2 * SIDE)
    sheet = Image.new("RGB", (width + 2 * _MARGIN, _HEAD + rows * cell[1]), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, 14), title, INK, font_of(24))
    write_words(pen, (_MARGIN, 54), [(names[0], _A), (names[1], _B)], separator="    ", size=16)
    for index, disagreement in enumerate(worst):
        row, column = divmod(index, columns)
        _draw(sheet, disagreement, (_MARGIN + column * cell[0], _HEAD + row * cell[1]), names)
    sheet.save(path)


def _draw(
    sheet: Image.Image, disagreement: Disagreement, place: tuple[int, int], names: tuple[str, str]
) -> None:
    query = disagreement.example.query
    word = query.nouns[disagreement.noun]
    masks = ((disagreement.a, _A), (disagreement.b, _B))
    picture = outlines(
        query.image, [(decode(mask), colour) for mask, colour in masks if mask is not None], SIDE
    )
    (left, top), pen = place, ImageDraw.Draw(sheet)
    sheet.paste(picture, (left, top + _LABEL))
    edge = (left - 1, top + _LABEL - 1, left + picture.width, top + _LABEL + picture.height)
    pen.rectangle(edge, outline=FRAME)
    iou = disagreement.iou
    score = f"only in {names[disagreement.a is None]}" if iou is None else f"IoU {iou:.2f}"
    write_words(pen, place, [(score, INK), (word.text, _A), (query.id, PALE)], separator="  ", size=14)
    write_prompt(pen, (left, top + 20), query.prompt, (word.start, word.end), SIDE)
