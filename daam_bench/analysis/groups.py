"""Coverage by part of speech: the paper's Figure 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from daam_bench.analysis.coverage import CoveredToken
from daam_bench.scoring.bootstrap import ImageTotals, confidence_intervals

PARTS_OF_SPEECH = ("NUM", "DET", "CCONJ", "PUNCT", "NOUN", "ADV", "VERB", "ADP", "ADJ", "PRON")
"""The universal parts of speech that the paper looks at."""

PAPER: Mapping[str, float] = {
    "NUM": 0.1585,
    "DET": 0.1942,
    "PRON": 0.2788,
    "NOUN": 0.2879,
    "ADJ": 0.2886,
    "ADV": 0.2925,
    "VERB": 0.2969,
    "ADP": 0.3188,
    "CCONJ": 0.3687,
    "PUNCT": 0.4465,
}
"""Stable Diffusion's values behind the paper's Figure 5, from the authors' script that plots it
(castorini/daam, daam/run/plot_pos.py at commit 01d35db). They are of maps stretched to [0, 1]."""


@dataclass(frozen=True, slots=True)
class Group:
    """The words of one part of speech.

    Attributes:
        pos: Universal tag.
        tokens: Number of words.
        images: Number of images whose prompts have one.
        mean: Mean share of the image that their maps cover, in [0, 1].
        interval: Its 95 % bootstrap interval, over prompts; None if there are too few.
        mean_minmax: The mean for maps that are stretched to [0, 1] first.
        interval_minmax: Its interval.
    """

    pos: str
    tokens: int
    images: int
    mean: float
    interval: tuple[float, float] | None
    mean_minmax: float
    interval_minmax: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class CoveredImage:
    """What the words of an image cover, and the prompt it was drawn from."""

    prompt: str
    tokens: tuple[CoveredToken, ...]


def group_by_pos(
    images: Sequence[CoveredImage], parts: Sequence[str] = PARTS_OF_SPEECH, seed: int = 0
) -> list[Group]:
    """Return the groups in order of their means, those without a word left out.

    Images of one prompt are drawn together by the bootstrap: they aren't independent.

    Args:
        images: The images.
        parts: The parts of speech to keep.
        seed: Seed of the bootstrap.
    """
    places = {text: place for place, text in enumerate(dict.fromkeys(one.prompt for one in images))}
    totals = []
    for pos in parts:
        counts = np.zeros(len(places), dtype=np.int64)
        sums = np.zeros((2, len(places)))
        for image in images:
            place = places[image.prompt]
            for token in image.tokens:
                if token.pos == pos:
                    counts[place] += 1
                    sums[:, place] += (token.coverage.plain, token.coverage.minmax)
        totals += [ImageTotals(sums[0], counts), ImageTotals(sums[1], counts)]
    intervals = confidence_intervals(totals, seed=seed)
    groups = []
    for index, pos in enumerate(parts):
        (plain, counts), (minmax, _) = totals[2 * index : 2 * index + 2]
        if not (number := int(counts.sum())):
            continue
        holders = sum(any(token.pos == pos for token in image.tokens) for image in images)
        groups.append(
            Group(
                pos,
                number,
                holders,
                float(plain.sum() / number),
                intervals[2 * index],
                float(minmax.sum() / number),
                intervals[2 * index + 1],
            )
        )
    return sorted(groups, key=lambda group: group.mean)


def rank_correlation(groups: Sequence[Group]) -> float | None:
    """Return Spearman's correlation of the groups' means (of stretched maps) with the paper's.

    Returns:
        A value in [-1, 1]; None for fewer than three groups that the paper has.
    """
    shared = [group for group in groups if group.pos in PAPER]
    if len(shared) < 3:
        return None
    ours, paper = [group.mean_minmax for group in shared], [PAPER[group.pos] for group in shared]
    return float(spearmanr(ours, paper).statistic)
