"""Confidence intervals by the percentile bootstrap over images.

The pairs of one image aren't independent, so images are resampled, with all their pairs (Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daam_bench.types import masks

RESAMPLES = 10_000
"""Number of resamples of protocol "2"."""

FEW_IMAGES = 30
"""Over fewer images the interval is too narrow: over 10 it holds the mean in 88 % of cases, not in 95 %."""

_TAILS = (2.5, 97.5)
_CHUNK = 1 << 15


class ImageTotals(NamedTuple):
    """The sum of the IoUs of each image's pairs, and their number. Shape (images,)."""

    sums: NDArray[np.float64]
    pairs: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Difference:
    """How much one method's mIoU exceeds another's, with the 95 % interval of the difference."""

    mean: float
    low: float
    high: float


def confidence_intervals(
    totals: Sequence[ImageTotals], *, resamples: int = RESAMPLES, seed: int = 0
) -> list[tuple[float, float] | None]:
    """Return the 95 % interval (low, high) of the mean IoU of each of several scores over the same images.

    Images without any pair have no influence; a score without any has None for an interval.
    """
    if not totals:
        return []
    sums = np.column_stack([score.sums for score in totals])
    pairs = np.column_stack([score.pairs for score in totals]).astype(np.float64)
    means = resampled_means(sums, pairs, resamples, seed)
    return [_interval(column) for column in means.T]


def paired_difference(
    a: ImageTotals, b: ImageTotals, *, resamples: int = RESAMPLES, seed: int = 0
) -> Difference | None:
    """Return the mean IoU of `a` minus that of `b`, in [-1, 1], over the same images, resampled together.

    Returns:
        The difference with its interval; None if there is no pair.

    Raises:
        ValueError: The pairs of an image differ in number.
    """
    if not np.array_equal(a.pairs, b.pairs):
        raise ValueError("two methods can only be compared over the same pairs")
    total = int(a.pairs.sum())
    if not total:
        return None
    differences = ImageTotals(a.sums - b.sums, a.pairs)
    interval = confidence_intervals([differences], resamples=resamples, seed=seed)[0]
    assert interval is not None
    return Difference(float(differences.sums.sum() / total), *interval)


def resampled_means(
    sums: NDArray[np.float64], pairs: NDArray[np.float64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Return the means of every resample. Shape (resamples, scores); NaN where a resample has no pair."""
    held = pairs.any(axis=1)
    sums, pairs = sums[held], pairs[held]
    scores = sums.shape[1]
    means = np.full((resamples, scores), np.nan)
    totals = np.hstack([sums, pairs])
    row = 0
    for weights in _sample(len(totals), resamples, seed):
        sampled = weights @ totals
        rows = means[row : row + len(weights)]
        np.divide(sampled[:, :scores], sampled[:, scores:], out=rows, where=sampled[:, scores:] > 0)
        row += len(weights)
    return means


def _sample(images: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield how often each resample holds each image, in chunks of bounded size. Shape (chunk, images)."""
    if not images:
        return
    # The raw bits of a generator are the same in every version of NumPy. 32 of them times the number of
    # images, shifted by 32, pick an image: each as often as the others, up to a share of images / 2 ** 32.
    bits = np.random.PCG64(seed)
    chunk = max(1, _CHUNK // images)
    offsets = np.repeat(np.arange(chunk) * images, images)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        size = rows * images
        raw = bits.random_raw((size + 1) // 2).view(np.uint32)[:size]
        if masks.compiled is not None:
            yield masks.compiled.count_draws(raw, images, rows)
            continue
        sampled = raw.astype(np.int64)
        sampled *= images
        sampled >>= 32
        sampled += offsets[:size]
        yield np.bincount(sampled, minlength=size).reshape(rows, images).astype(np.float64)


def _interval(means: NDArray[np.float64]) -> tuple[float, float] | None:
    means = means[~np.isnan(means)]
    if not len(means):
        return None
    low, high = np.percentile(means, _TAILS)
    return float(low), float(high)
