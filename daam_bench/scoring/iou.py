"""Intersection over union of two masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daam_bench.types import RLE, BoolMask
from daam_bench.types.errors import ShapeError
from daam_bench.types.masks import Runs, decode_runs, intersections


def iou(prediction: BoolMask, ground_truth: BoolMask) -> float:
    """Intersection over union of two boolean masks.

    Args:
        prediction: Mask of shape (height, width).
        ground_truth: Mask of the same shape, with at least one true pixel.

    Returns:
        A value in [0, 1]; 0 for an empty prediction.

    Raises:
        ShapeError: The shapes differ.

    >>> iou(np.array([[True, True]]), np.array([[True, False]]))
    0.5
    """
    if prediction.shape != ground_truth.shape:
        raise ShapeError(
            f"prediction {prediction.shape} and ground truth {ground_truth.shape} differ in shape: resize it"
        )
    union = int(np.count_nonzero(prediction | ground_truth))
    return int(np.count_nonzero(prediction & ground_truth)) / union if union else 0.0


def rle_iou(prediction: RLE, ground_truth: RLE) -> float:
    """Intersection over union of two encoded masks, without decoding them to pixels.

    Args:
        prediction: A mask.
        ground_truth: A mask of the same size, with at least one true pixel.

    Returns:
        A value in [0, 1], the same as `iou` of the decoded masks; 0 for an empty prediction.

    Raises:
        ShapeError: The sizes differ.
        InputError: A mask is malformed.

    >>> rle_iou(RLE((1, 2), "02"), RLE((1, 2), "011"))
    0.5
    """
    return float(rle_ious([prediction], [ground_truth])[0])


def rle_ious(predictions: Sequence[RLE], ground_truths: Sequence[RLE]) -> NDArray[np.float64]:
    """Return `rle_iou` of every prediction and its ground truth. Shape (masks,)."""
    for prediction, ground_truth in zip(predictions, ground_truths, strict=True):
        if tuple(prediction.size) != tuple(ground_truth.size):
            raise ShapeError(
                f"prediction {prediction.size} and ground truth {ground_truth.size} differ in size: resize it"
            )
    return run_ious(decode_runs(predictions), decode_runs(ground_truths))


def run_ious(predictions: Runs, ground_truths: Runs) -> NDArray[np.float64]:
    """Return the intersection over union of masks of equal sizes, decoded to runs. Shape (masks,)."""
    both = intersections(predictions, ground_truths)
    union = predictions.areas + ground_truths.areas - both
    ious: NDArray[np.float64] = np.divide(both, union, out=np.zeros(len(both)), where=union > 0)
    return ious
