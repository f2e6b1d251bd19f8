"""A contact sheet of a run's best, median and worst pairs, to see what its scores mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from matplotlib.figure import Figure

from daam_bench.figures.panels import DOTS, PREDICTED, TRUE, Panel, Sheet
from daam_bench.figures.style import INK, PALE, save, styled
from daam_bench.scoring.results import SplitScores
from daam_bench.types import BoolMask, Example, PairScore
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import decode

T = TypeVar("T")

SIDE = 144
"""Longest side of an image on the sheet, in pixels."""

SECTIONS = ("best", "median", "worst")

_GAP, _COLUMN_GAP, _LABEL, _MARGIN, _HEAD = 6, 36, 40, 20, 118


@dataclass(frozen=True, slots=True)
class Card:
    """One pair on the sheet: the index of a noun, its IoU, and what a method gave for it, if anything.

    `more` is another score of it, in words ("J .31").
    """

    example: Example
    noun: int
    iou: float
    prediction: BoolMask | None
    heat_map: HeatMap | None
    more: str = ""


def write_sheet(path: Path, results: Sequence[SplitScores], *, tau: str, title: str, rows: int = 5) -> None:
    """Write the contact sheet of a run as a PNG: `rows` pairs of each kind.

    The scores hold the masks at this tau, a key of theirs, and the heat maps of the chosen pairs.

    Raises:
        InputError: There are no scores at that tau.
    """
    sections = choose_pairs(results, tau, rows)
    if not any(sections):
        raise InputError(f"no pair was scored at tau {tau}, so there is nothing to show")
    cards = [[_card(scores, pair) for scores, pair in section] for section in sections]
    save(contact_sheet(cards, title), path, dpi=DOTS)


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


@styled
def contact_sheet(sections: Sequence[Sequence[Card]], title: str, names: Sequence[str] = SECTIONS) -> Figure:
    """Draw cards in columns of these names: image, heat map, prediction and ground truth."""
    is_soft = any(card.heat_map is not None for cards in sections for card in cards)
    width = (4 if is_soft else 3) * (SIDE + _GAP) - _GAP
    height = SIDE + _LABEL + _MARGIN
    rows = max(map(len, sections))
    sheet = Sheet(len(sections) * (width + _COLUMN_GAP) - _COLUMN_GAP + 2 * _MARGIN, _HEAD + rows * height)
    sheet.words(_MARGIN, 14, [(title, INK)], 22)
    for column, (name, cards) in enumerate(zip(names, sections, strict=True)):
        left = _MARGIN + column * (width + _COLUMN_GAP)
        sheet.words(left, 54, [(name, INK)], 17)
        sheet.line([left, left + width], [_HEAD - 8, _HEAD - 8])
        for row, card in enumerate(cards):
            top = _HEAD + row * height
            query = card.example.query
            score = f"IoU {card.iou:.2f}" + (f"  {card.more}" if card.more else "")
            sheet.caption(left, top, score, query, query.nouns[card.noun], width)
            for index, panel in enumerate(card_panels(card, with_map=is_soft)):
                at = left + index * (SIDE + _GAP)
                sheet.image(at, top + _LABEL, panel, SIDE)
                if row == 0:
                    sheet.words(at, 84, [(panel.title, next(iter(panel.outline or {}), PALE))], 13)
    return sheet.figure


def card_panels(card: Card, *, with_map: bool) -> list[Panel]:
    """Return the panels of a card, left to right; the heat map's one is the image alone if there is none."""
    image, ground_truth = card.example.query.image, card.example.masks[card.noun]
    panels = [Panel("image", image)]
    if with_map:
        panels.append(Panel("heat map", image, card.heat_map))
    masks = {
        "prediction": (card.prediction, PREDICTED),
        "ground truth": (None if ground_truth is None else decode(ground_truth), TRUE),
    }
    for title, (given, colour) in masks.items():
        mask = np.zeros((image.height, image.width), dtype=np.bool_) if given is None else given
        panels.append(Panel(title, image, outline={colour: mask}, paled=~mask))
    return panels


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
