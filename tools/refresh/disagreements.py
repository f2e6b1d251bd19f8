"""The pairs where a mask's IoU and its faithfulness disagree most, and a figure of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import rankdata

from daam_bench.analysis.table import LABELS
from daam_bench.figures.pair_sheet import Card, contact_sheet
from daam_bench.figures.panels import DOTS
from daam_bench.figures.style import save
from daam_bench.scoring.conventions import usual_tau
from daam_bench.scoring.effects import OWN, WordEffect
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import decode
from tools.method_lists import BASELINE
from tools.refresh.measuring import MeasuredSplit

DISAGREEMENTS = "disagree.png"
"""The figure's name among the images of the docs."""

EACH_WAY = 5
"""How many pairs are shown with a high IoU and a low J, and how many the other way round."""

NAMES = ("high by IoU, low by J", "low by IoU, high by J")


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """A depicted noun with an effect: its split, its image's place there, its index, its mask's IoU and J."""

    split: MeasuredSplit
    image: int
    noun: int
    iou: float
    j: float


def write_disagreements(splits: Sequence[MeasuredSplit], path: Path, method: str = BASELINE) -> bool:
    """Draw the pairs where a method's IoU and J disagree most; False where no two pairs do.

    All pairs of the splits that the method was measured on are ranked by IoU, and by J of the same mask. The
    disagreement is the difference of the two ranks.

    Args:
        splits: What was measured.
        path: The figure's place.
        method: The method.
    """
    pairs = [pair for one in splits for pair in _pairs(one, method)]
    sections = [
        [pairs[place] for place in places]
        for places in most_apart([pair.iou for pair in pairs], [pair.j for pair in pairs], EACH_WAY)
    ]
    if not all(sections):
        return False
    save(_figure(sections, method), path, dpi=DOTS)
    return True


def most_apart(first: Sequence[float], second: Sequence[float], count: int) -> tuple[list[int], list[int]]:
    """Return the places that stand highest by one score beside their rank by another, and those lowest.

    Equal values share the mean of their ranks.

    Args:
        first: A score a place.
        second: Another.
        count: Most places to return each way, the largest difference of ranks first.

    >>> most_apart([0.1, 0.5, 0.9], [0.8, 0.5, 0.2], 1)
    ([2], [0])
    """
    apart = rankdata(first) - rankdata(second)
    order = np.argsort(-apart, kind="stable").tolist()
    above = [place for place in order if apart[place] > 0]
    below = [place for place in reversed(order) if apart[place] < 0]
    return above[:count], below[:count]


def _pairs(split: MeasuredSplit, method: str) -> list[ScoredPair]:
    """Return the pairs of a split whose mask has an IoU and a J."""
    examples = {example.id: place for place, example in enumerate(split.asked.split)}
    pairs = []
    for name in split.found.ids if method in split.found.effects else ():
        image = examples[name]
        starts = [noun.start for noun in split.asked.split[image].query.nouns]
        for word in split.found.effects[method][name].words:
            if (scores := _iou_and_j(word)) is not None:
                pairs.append(ScoredPair(split, image, starts.index(word.start), *scores))
    return pairs


def _iou_and_j(word: WordEffect) -> tuple[float, float] | None:
    if not word.masks:
        return None
    own = word.masks[usual_tau(word.masks)].get(OWN)
    return None if own is None or own.iou is None else (own.iou, own.necessity - own.area)


def _figure(sections: Sequence[Sequence[ScoredPair]], method: str) -> Figure:
    cards = [[_card(pair, method) for pair in section] for section in sections]
    return contact_sheet(cards, f"{LABELS.get(method, method)}: where IoU and J disagree most", NAMES)


def _card(pair: ScoredPair, method: str) -> Card:
    example = pair.split.asked.split[pair.image]
    said = next(maps for maps in pair.split.methods if maps.name == method)
    place = example.id, pair.noun
    mask = said.masks[usual_tau(said.masks)][place]
    heat_map = (said.heat_maps or {}).get(place)
    return Card(
        example,
        pair.noun,
        pair.iou,
        None if mask is None else decode(mask),
        None if heat_map is None else HeatMap(heat_map),
        f"J {pair.j:.2f}",
    )
