"""The order of methods: who leads for sure, how far two orders agree, and which pairs they turn round."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daam_bench.scoring.bootstrap import RESAMPLES, ImageTotals, resampled_means

RANK_RESAMPLES = 1_000
"""Resamples behind the interval of a rank agreement."""

Lead = Literal["best", "tied"]
"""How a score stands in its column: better than all others for sure, or not told apart from the highest."""


@dataclass(frozen=True, slots=True)
class RankAgreement:
    """Kendall's tau-b between two orders of the same methods, in [-1, 1], with its 95 % interval over images.

    Attributes:
        tau: 1 for the same order, -1 for the order turned round.
        low: Lower end of the interval: of the percentile bootstrap over images, methods stay the same.
        high: Its upper end.
        methods: Number of methods that were ordered.
    """

    tau: float
    low: float
    high: float
    methods: int


class Reversal(NamedTuple):
    """A pair of methods whose order turns round: `ahead` leads in the first order, `behind` in the second.

    `sure` if both differences have paired 95 % intervals that leave out 0.
    """

    ahead: int
    behind: int
    sure: bool


def kendall(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Kendall's tau-b (Kendall, "The treatment of ties in ranking problems", 1945) of two scores.

    Args:
        a: A score a method.
        b: Another score of each of the same methods.

    Returns:
        A value in [-1, 1]; None for fewer than two methods, or where all are tied in one of the two.

    >>> kendall([0.1, 0.2, 0.3], [0.5, 0.7, 0.6])
    0.3333333333333333
    """
    if len(a) < 2:
        return None
    (tau,) = _kendalls(np.array([a], dtype=np.float64), np.array([b], dtype=np.float64))
    return None if math.isnan(tau) else float(tau)


def _kendalls(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Kendall's tau-b of each row of scores, of shape (rows, methods); NaN where it has none.

    SciPy's `kendalltau` takes one row a call, too long for thousands of resamples.
    """
    one, other = np.triu_indices(a.shape[1], 1)
    signs = [np.sign(scores[:, one] - scores[:, other]) for scores in (a, b)]
    untied = np.sqrt(np.prod([np.count_nonzero(sign, axis=1) for sign in signs], axis=0, dtype=np.float64))
    agreed = np.sum(signs[0] * signs[1], axis=1)
    taus: NDArray[np.float64] = np.divide(agreed, untied, out=np.full(len(a), np.nan), where=untied > 0)
    return taus


def rank_agreement(
    a: Sequence[ImageTotals],
    b: Sequence[ImageTotals],
    *,
    same_images: bool = False,
    resamples: int = RANK_RESAMPLES,
    seed: int = 0,
) -> RankAgreement | None:
    """Say how far two splits, or two scores on one, order methods alike.

    Methods are ordered by their mean over all pairs. The interval resamples images, and so says how far the
    agreement hangs on the images that a split happens to have; not on the choice of methods. Methods that are
    nearly as good as each other swap from resample to resample, so the interval lies low rather than high.

    Args:
        a: What each method scored on the first split, image by image.
        b: What the same methods scored on the second.
        same_images: Both are of the same images, in the same order, which are then resampled together.
        resamples: Number of resamples.
        seed: Seed of the bootstrap.

    Returns:
        None for fewer than two methods, without pairs, or where all methods are tied in one of the two.

    Raises:
        ValueError: `a` and `b` differ in the number of methods, or `same_images` in that of images.
    """
    if len(a) != len(b):
        raise ValueError("an agreement is between two orders of the same methods")
    if len(a) < 2 or not all(score.pairs.any() for score in (*a, *b)):
        return None
    tau = kendall([_mean(score) for score in a], [_mean(score) for score in b])
    if tau is None:
        return None
    if same_images:
        both = _resampled([*a, *b], resamples, seed)
        first, second = both[:, : len(a)], both[:, len(a) :]
    else:
        first, second = _resampled(a, resamples, seed), _resampled(b, resamples, seed + 1)
    whole = ~(np.isnan(first).any(axis=1) | np.isnan(second).any(axis=1))
    taus = _kendalls(first[whole], second[whole])
    taus = taus[~np.isnan(taus)]
    low, high = np.percentile(taus, (2.5, 97.5)) if len(taus) else (tau, tau)
    return RankAgreement(tau, float(low), float(high), len(a))


def leads(
    totals: Sequence[ImageTotals],
    methods: Sequence[Hashable] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Lead | None]:
    """Tell which of several scores over the same pairs is the best, and which can't be told apart from it.

    The highest is "best" if the paired 95 % interval of its lead over that of each other method lies above 0.
    Otherwise it and those whose interval includes 0 are "tied": none of them is the best for sure.

    Args:
        totals: The scores, image by image.
        methods: The method of each; those of one, at several taus, are no rivals. None: each has its own.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.
    """
    own = range(len(totals)) if methods is None else methods
    known = [place for place, score in enumerate(totals) if score.pairs.any()]
    found: list[Lead | None] = [None] * len(totals)
    if not known:
        return found
    top = max(known, key=lambda place: _mean(totals[place]))
    others = [place for place in known if place != top]
    found[top] = "best"
    if others:
        means = _resampled([totals[place] for place in (top, *others)], resamples, seed)
        lows = _lows(means[:, :1] - means[:, 1:])
        tied = [place for place, low in zip(others, lows, strict=True) if low <= 0]
        if any(own[place] != own[top] for place in tied):
            for place in (top, *tied):
                found[place] = "tied"
    return found


def count_better(
    totals: Sequence[ImageTotals],
    methods: Sequence[Hashable] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[int]:
    """Return for each of several scores over the same pairs how many other methods are better for sure.

    One is better if the 95 % interval of its mean minus the other's, resampled together, lies above 0.

    Args:
        totals: The scores, image by image.
        methods: The method of each, of which one may have several, at several taus. None: each has its own.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.
    """
    if not totals or not totals[0].pairs.any():
        return [0] * len(totals)
    own = range(len(totals)) if methods is None else methods
    means = _resampled(totals, resamples, seed)
    found = []
    for place in range(len(totals)):
        ahead = np.flatnonzero(_lows(means - means[:, [place]]) > 0).tolist()
        found.append(len({own[other] for other in ahead} - {own[place]}))
    return found


def reversals(
    first: Sequence[ImageTotals],
    second: Sequence[ImageTotals],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Reversal]:
    """Return the pairs of methods that two scores of the same images order otherwise, the sure ones first.

    Args:
        first: What each method scored by one convention, image by image.
        second: What the same methods scored by another. Its pairs may be others than those of `first`.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.
    """
    if len(first) < 2 or not all(score.pairs.any() for score in (*first, *second)):
        return []
    before, after = ([_mean(score) for score in scores] for scores in (first, second))
    turned = [
        (one, other) if before[one] > before[other] else (other, one)
        for one, other in combinations(range(len(first)), 2)
        if (before[one] - before[other]) * (after[one] - after[other]) < 0
    ]
    if not turned:
        return []
    ahead, behind = np.array(turned).T
    earlier, later = (_resampled(scores, resamples, seed) for scores in (first, second))
    sure = (_lows(earlier[:, ahead] - earlier[:, behind]) > 0) & (
        _lows(later[:, behind] - later[:, ahead]) > 0
    )
    found = [Reversal(*pair, bool(one)) for pair, one in zip(turned, sure, strict=True)]
    return sorted(found, key=lambda pair: not pair.sure)


def _lows(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lower ends of the 95 % intervals of resampled differences, one a column."""
    known = differences[~np.isnan(differences).any(axis=1)]
    lows: NDArray[np.float64] = np.percentile(known, 2.5, axis=0)
    return lows


def _mean(score: ImageTotals) -> float:
    """Return the mean over all pairs; NaN without any, which leads nothing."""
    pairs = int(score.pairs.sum())
    return float(score.sums.sum() / pairs) if pairs else math.nan


def _resampled(scores: Sequence[ImageTotals], resamples: int, seed: int) -> NDArray[np.float64]:
    sums = np.column_stack([score.sums for score in scores])
    pairs = np.column_stack([score.pairs for score in scores]).astype(np.float64)
    return resampled_means(sums, pairs, resamples, seed)
