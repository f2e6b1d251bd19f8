"""The measures of the case studies, on maps and masks of one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from skimage.measure import label

from daam_bench.emoji.annotator import SMALLEST
from daam_bench.scoring.bootstrap import ImageTotals, confidence_intervals
from daam_bench.types import BoolMask
from daam_bench.types.heat_map import HeatMap

CaseRow: TypeAlias = Mapping[str, str | int | float | None]
"""What was measured on one image: column -> value; None where it couldn't be measured."""


def lift(heat_map: HeatMap, mask: BoolMask) -> float | None:
    """Return how many times more of a map lies in a mask than of an even map would: 1 is chance.

    Args:
        heat_map: The map.
        mask: The mask; of the map's shape.

    Returns:
        The share of the map in the mask over the share of the image, >= 0; None for an empty mask or map.

    >>> lift(HeatMap(np.array([[3.0, 1.0]])), np.array([[True, False]]))
    1.5
    """
    total = float(heat_map.values.sum(dtype=np.float64))
    if not mask.any() or total == 0:
        return None
    return float(heat_map.values[mask].sum(dtype=np.float64)) / total / float(mask.mean())


def overlap(one: HeatMap, other: HeatMap, tau: float) -> float:
    """Return the IoU of two maps that are thresholded at tau, in [0, 1]; 0 where both are empty.

    >>> overlap(HeatMap(np.array([[1.0, 1.0]])), HeatMap(np.array([[1.0, 0.0]])), 0.4)
    0.5
    """
    return intersection_over_union(one.threshold(tau), other.threshold(tau))


def intersection_over_union(one: BoolMask, other: BoolMask) -> float:
    """Return the IoU of two masks in [0, 1]; 0 where both are empty."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0


def correlation(one: HeatMap, other: HeatMap) -> float | None:
    """Return Pearson's correlation of two maps, pixel by pixel, in [-1, 1]; None for a constant map.

    >>> round(correlation(HeatMap(np.array([[0.0, 1.0, 2.0]])), HeatMap(np.array([[4.0, 2.0, 0.0]]))), 6)
    -1.0
    """
    a, b = (heat_map.values.astype(np.float64).ravel() for heat_map in (one, other))
    if a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def count_objects(mask: BoolMask) -> int:
    """Count the connected parts of a mask that are large enough to be an object, edges in common."""
    areas = np.bincount(label(mask, connectivity=1).ravel())[1:]
    return int((areas >= SMALLEST * mask.size).sum())


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % bootstrap interval over images, and the number of images behind it."""

    mean: float
    interval: tuple[float, float]
    images: int

    def text(self, digits: int = 2, scale: float = 1.0) -> str:
        """Return "mean [low, high]"."""
        low, high = (f"{scale * end:.{digits}f}" for end in self.interval)
        return f"{scale * self.mean:.{digits}f} [{low}, {high}]"


def estimate(rows: Sequence[CaseRow], column: str, **only: str | int | bool) -> Estimate | None:
    """Estimate the mean of a column.

    Args:
        rows: The rows; each says in the column `picture` which image it was measured on.
        column: The column; rows where it is None are left out.
        only: Columns and the values that the wanted rows have there.

    Returns:
        The estimate; None without rows.
    """
    sums: dict[object, list[float]] = {}
    for row in rows:
        value = row[column]
        if all(row[name] == wanted for name, wanted in only.items()) and value is not None:
            sums.setdefault(row["picture"], []).append(float(value))
    if not sums:
        return None
    totals = ImageTotals(
        np.array([sum(values) for values in sums.values()]),
        np.array([len(values) for values in sums.values()]),
    )
    interval = confidence_intervals([totals])[0]
    assert interval is not None
    return Estimate(float(totals.sums.sum() / totals.pairs.sum()), interval, len(sums))
