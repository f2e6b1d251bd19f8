"""Metrics of a heat map against a ground truth mask, with no threshold chosen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daam_bench.types import BoolMask, FloatMap
from daam_bench.types.errors import ShapeError

CURVE_TAUS = tuple(step / 20 for step in range(1, 20))
"""The taus of the mIoU-over-tau curve: 0.05 to 0.95."""


class MapScores(NamedTuple):
    """The scores of one heat map.

    Attributes:
        average_precision: Pixel average precision in [0, 1].
        hit: Whether the map peaks inside the ground truth.
        ious: IoU of the map thresholded at each of `CURVE_TAUS`. Shape (19,).
    """

    average_precision: float
    hit: bool
    ious: NDArray[np.float64]


def map_scores(heat_map: FloatMap, truth: BoolMask) -> MapScores:
    """Score a heat map.

    Average precision is the mean, over the pixels of the ground truth, of the precision at that pixel's own
    heat: the area under the precision-recall curve as a step function, tied pixels taken together
    (scikit-learn's `average_precision_score`). The pointing game looks at the first maximum in row-major
    order (Zhang et al., "Top-down neural attention by excitation backprop", 2018); a map that is 0
    everywhere misses.

    Args:
        heat_map: Map of shape (height, width), values >= 0.
        truth: Mask of the same shape, with at least one true pixel.

    Raises:
        ShapeError: The shapes differ.
    """
    if heat_map.shape != truth.shape:
        raise ShapeError(f"heat map {heat_map.shape} and ground truth {truth.shape} differ in shape")
    heats = np.sort(heat_map, axis=None)
    true_heats = np.sort(heat_map[truth])
    # Descending order counted from the back of the ascending one: how many pixels are at least as hot.
    selected = len(heats) - np.searchsorted(heats, true_heats)
    hits = len(true_heats) - np.searchsorted(true_heats, true_heats)
    peak = heats[-1]
    if peak == 0:
        return MapScores(float(np.mean(hits / selected)), False, np.zeros(len(CURVE_TAUS)))
    levels = np.array(CURVE_TAUS, dtype=np.float32) * peak
    predicted = len(heats) - np.searchsorted(heats, levels)
    both = len(true_heats) - np.searchsorted(true_heats, levels)
    return MapScores(
        average_precision=float(np.mean(hits / selected)),
        hit=bool(truth.flat[np.argmax(heat_map)]),
        ious=both / (predicted + len(true_heats) - both),
    )
