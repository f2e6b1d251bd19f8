"""Where a method wins and where it fails: its mIoU by object size, number of nouns and background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daam_bench.emoji.world_nouns import BACKGROUNDS, NOUNS
from daam_bench.scoring.bootstrap import RESAMPLES, ImageTotals, confidence_intervals
from daam_bench.scoring.results import SplitScores, mean
from daam_bench.types import Example
from daam_bench.types.masks import area

SIZES = (0.05, 0.15)
"""Shares of the image below which an object is small, and medium."""

KINDS = ("object size", "nouns of the prompt", "background")
"""What pairs are grouped by."""

_SMALL, _MEDIUM, _LARGE = (
    f"small: under {SIZES[0]:.0%} of the image",
    f"medium: {SIZES[0]:.0%} to {SIZES[1]:.0%}",
    f"large: {SIZES[1]:.0%} or more",
)
_ONE, _TWO, _MORE = "one", "two", "three or more"
_USUAL, _UNUSUAL = "usual for the noun", "unusual for it"
GROUPS = {KINDS[0]: (_SMALL, _MEDIUM, _LARGE), KINDS[1]: (_ONE, _TWO, _MORE), KINDS[2]: (_USUAL, _UNUSUAL)}
"""Kind -> its groups, in order."""


@dataclass(frozen=True, slots=True)
class GroupScore:
    """The score of a method over some pairs of a split.

    Attributes:
        kind: One of `KINDS`.
        group: One of its `GROUPS`.
        miou: Mean IoU over the group's pairs, in [0, 1].
        interval: Its 95 % bootstrap interval over images.
        pairs: Number of pairs.
        images: Number of images that they are of.
    """

    kind: str
    group: str
    miou: float
    interval: tuple[float, float]
    pairs: int
    images: int


def breakdown(
    scores: SplitScores, tau: str, *, resamples: int = RESAMPLES, seed: int = 0
) -> list[GroupScore]:
    """Return the mIoU of each group of pairs at a tau; groups without pairs are left out.

    Sizes are shares of the ground truth in the image. Backgrounds are those of the emoji world: a pair counts
    if the prompt names exactly one; a split with a noun from outside that world has no such groups.

    Args:
        scores: Scores of a method on a split.
        tau: "0.4", or "none" for hard masks.
        resamples: Number of bootstrap resamples behind each interval.
        seed: Seed of the bootstrap.
    """
    ious, images = scores.ious.by_tau[tau], scores.ious.images()
    count = len(scores.split)
    found = []
    for kind, groups in pair_groups(scores).items():
        for group, chosen in groups.items():
            if not chosen.any():
                continue
            sums = np.bincount(images[chosen], weights=ious[chosen], minlength=count).astype(np.float64)
            totals = ImageTotals(sums, np.bincount(images[chosen], minlength=count))
            (interval,) = confidence_intervals([totals], resamples=resamples, seed=seed)
            miou = mean(ious[chosen])
            assert interval is not None
            assert miou is not None
            pairs, of = int(chosen.sum()), int(np.count_nonzero(totals.pairs))
            found.append(GroupScore(kind, group, miou, interval, pairs, of))
    return found


def pair_groups(scores: SplitScores) -> Mapping[str, Mapping[str, NDArray[np.bool_]]]:
    """Return kind -> group -> which pairs belong to it, bool of shape (pairs,)."""
    ground_truth, pairs = scores.ious.ground_truth, scores.ious.pairs.tolist()
    sizes: list[str | None] = []
    nouns: list[str | None] = []
    backgrounds: list[str | None] = []
    is_emoji_world = _is_emoji_world(scores)
    for number in pairs:
        example, index = ground_truth.example(number), ground_truth.noun_index(number)
        sizes.append(_size(area(ground_truth.mask(number)) / _pixels(example)))
        nouns.append((_ONE, _TWO, _MORE)[min(len(example.query.nouns), 3) - 1])
        backgrounds.append(_background(example, index) if is_emoji_world else None)
    found = dict(zip(KINDS, (sizes, nouns, backgrounds), strict=True))
    return {
        kind: {group: np.array([one == group for one in found[kind]], dtype=np.bool_) for group in groups}
        for kind, groups in GROUPS.items()
    }


def _pixels(example: Example) -> int:
    width, height = example.query.image.size
    return width * height


def _size(share: float) -> str:
    if share < SIZES[0]:
        return _SMALL
    return _MEDIUM if share < SIZES[1] else _LARGE


def _is_emoji_world(scores: SplitScores) -> bool:
    return all(noun.lemma in NOUNS for example in scores.split for noun in example.query.nouns)


def _background(example: Example, noun: int) -> str | None:
    """Tell whether a noun is usual on the background of its prompt; None where that names none or several."""
    named = {token.text for token in example.tokens} & set(BACKGROUNDS)
    if len(named) != 1:
        return None
    return _USUAL if named <= set(NOUNS[example.query.nouns[noun].lemma].usual) else _UNUSUAL
