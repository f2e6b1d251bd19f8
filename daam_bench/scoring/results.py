"""The scores of a method on one split, with the IoU of every pair behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from daam_bench.scoring.bootstrap import ImageTotals
from daam_bench.scoring.ground_truth import GroundTruth
from daam_bench.types import RLE, FloatMap, PairScore, PredictionsHeader, Scores, Split

HARD = "none"
"""Stands for tau where a method gives hard masks."""


def tau_key(tau: float | None) -> str:
    """Write tau as a report's keys do.

    >>> tau_key(0.4), tau_key(None)
    ('0.4', 'none')
    """
    return HARD if tau is None else format(tau + 0.0, "g")


def mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float | None:
    """Return the mean, or None if there are no values."""
    return float(values.mean()) if len(values) else None


@dataclass(frozen=True)
class PairIous:
    """The IoU of every pair of a split at every tau.

    Attributes:
        ground_truth: The nouns of the split.
        pairs: Numbers of the nouns with a non-empty mask, ascending. Shape (pairs,).
        by_tau: Tau ("0.4", or "none") -> IoUs in [0, 1]. Shape (pairs,).
    """

    ground_truth: GroundTruth
    pairs: NDArray[np.int64]
    by_tau: Mapping[str, NDArray[np.float64]]

    def rows(self) -> Iterator[PairScore]:
        """Yield the score of every pair at every tau."""
        for position, number in enumerate(self.pairs.tolist()):
            identifier, index = (
                self.ground_truth.example(number).query.id,
                self.ground_truth.noun_index(number),
            )
            noun = self.ground_truth.noun(number)
            for tau, ious in self.by_tau.items():
                yield PairScore(identifier, index, noun.text, noun.coco_class, tau, float(ious[position]))

    def classes(self) -> NDArray[np.int16]:
        """Return the COCO category id of every pair, 0 outside the 80 classes. Shape (pairs,)."""
        return self.ground_truth.categories()[self.pairs]

    def image_totals(self, tau: str, *, only_80: bool) -> ImageTotals:
        """Sum up the IoUs at a tau image by image.

        Args:
            tau: A key of `by_tau`.
            only_80: Count the pairs of COCO's 80 classes alone.
        """
        ious, images = self.by_tau[tau], self.ground_truth.images[self.pairs]
        if only_80:
            chosen = self.classes() > 0
            ious, images = ious[chosen], images[chosen]
        count = len(self.ground_truth.split.examples)
        sums = np.bincount(images, weights=ious, minlength=count).astype(np.float64)
        return ImageTotals(sums, np.bincount(images, minlength=count))


@dataclass(frozen=True, eq=False)
class SplitScores(Mapping[str, Scores]):
    """The scores of one method on one split: a mapping from tau ("0.4", or "none") to `Scores`.

    A number will do for the text of a tau, and None for "none".

    Attributes:
        by_tau: The scores.
        ious: The IoU of every pair behind them.
        header: Header of the predictions file; None for predictions that came without one.
        masks: The predicted masks that were kept in scoring, by id, noun and tau.
        heat_maps: The heat maps that were kept in scoring, by id and noun, each at its own resolution.
    """

    by_tau: Mapping[str, Scores]
    ious: PairIous = field(repr=False)
    header: PredictionsHeader | None = None
    masks: Mapping[tuple[str, int, str], RLE] = field(default_factory=dict, repr=False)
    heat_maps: Mapping[tuple[str, int], FloatMap] = field(default_factory=dict, repr=False)

    @property
    def split(self) -> Split:
        """The split."""
        return self.ious.ground_truth.split

    def pairs(self) -> Iterator[PairScore]:
        """Yield the score of every pair at every tau: the rows of `pairs.csv`."""
        return self.ious.rows()

    def __getitem__(self, tau: str | float | None) -> Scores:
        return self.by_tau[tau if isinstance(tau, str) else tau_key(tau)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_tau)

    def __len__(self) -> int:
        return len(self.by_tau)
