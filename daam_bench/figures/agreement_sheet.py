"""A sheet of the nouns that two annotations agree on least, with both outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from daam_bench.figures.panels import OTHER, PREDICTED, Panel, Sheet
from daam_bench.figures.style import INK, styled
from daam_bench.types import RLE, Example
from daam_bench.types.masks import decode

SIDE = 288
"""Longest side of an image on the sheet, in pixels."""

_COLUMNS, _GAP, _LABEL, _MARGIN, _HEAD = 4, 20, 44, 20, 92


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A noun that two annotations may see differently.

    Attributes:
        example: Its example.
        noun: Its index.
        iou: The IoU in [0, 1] of the two masks; None unless both annotations have one.
        a: The mask of the first annotation, if any.
        b: The mask of the second annotation, if any.
    """

    example: Example
    noun: int
    iou: float | None
    a: RLE | None
    b: RLE | None


def choose_worst(nouns: Sequence[Disagreement], count: int) -> list[Disagreement]:
    """Return up to `count` nouns agreed on least: the lowest IoU first, then those that only one marks.

    Those with two equal masks are left out.
    """
    compared = sorted(
        (noun for noun in nouns if noun.iou is not None and noun.iou < 1),
        key=lambda noun: (noun.iou or 0.0, noun.example.query.id),
    )
    one_sided = [noun for noun in nouns if (noun.a is None) != (noun.b is None)]
    kept = compared[: max(count // 2, count - len(one_sided))]
    return kept + one_sided[: count - len(kept)]


@styled
def agreement_sheet(worst: Sequence[Disagreement], *, title: str, names: tuple[str, str]) -> Figure:
    """Draw the outlines of two annotations, called `names`, over the paled images of at least one noun."""
    columns = min(_COLUMNS, len(worst))
    rows = -(-len(worst) // columns)
    cell = (SIDE + _GAP, SIDE + _LABEL + _GAP)
    width = max(columns * cell[0] - _GAP, 2 * SIDE)
    sheet = Sheet(width + 2 * _MARGIN, _HEAD + rows * cell[1])
    sheet.words(_MARGIN, 14, [(title, INK)], 22)
    sheet.words(_MARGIN, 54, [(names[0], PREDICTED), (names[1], OTHER)], 16, separator="    ")
    for index, found in enumerate(worst):
        row, column = divmod(index, columns)
        left, top = _MARGIN + column * cell[0], _HEAD + row * cell[1]
        query = found.example.query
        score = (
            f"only in {names[0 if found.b is None else 1]}" if found.iou is None else f"IoU {found.iou:.2f}"
        )
        sheet.caption(left, top, score, query, query.nouns[found.noun], SIDE)
        sheet.image(left, top + _LABEL, disagreement_panel(found), SIDE)
    return sheet.figure


def disagreement_panel(found: Disagreement) -> Panel:
    """Return the paled image of a noun with the outlines of its masks."""
    image = found.example.query.image
    masks = {
        colour: decode(mask) for mask, colour in ((found.a, PREDICTED), (found.b, OTHER)) if mask is not None
    }
    return Panel("", image, outline=masks, paled=np.ones((image.height, image.width), dtype=np.bool_))
