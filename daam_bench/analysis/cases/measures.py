"""The measures of the case studies, on maps and masks of one size."""

from __future__ import annotations

import numpy as np
from skimage.measure import label

from daam_bench.emoji.annotator import SMALLEST
from daam_bench.types import BoolMask
from daam_bench.types.heat_map import HeatMap


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
    """Count the parts of a mask, connected by edges, that are large enough to be an object.

    >>> count_objects(np.array([[True, False], [False, True]]))
    2
    """
    areas = np.bincount(label(mask, connectivity=1).ravel())[1:]
    return int((areas >= SMALLEST * mask.size).sum())
