"""The IoU of two masks, as arrays or encoded; scoring does the same with many at once."""

from __future__ import annotations

import numpy as np

from daam_bench.scoring.metrics import run_ious
from daam_bench.types import RLE, BoolMask
from daam_bench.types.errors import ShapeError
from daam_bench.types.masks import decode_runs


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
    """Return the `iou` of two encoded masks, without decoding them to pixels.

    Raises:
        ShapeError: The sizes differ.
        InputError: A mask is malformed.

    >>> rle_iou(RLE((1, 2), "02"), RLE((1, 2), "011"))
    0.5
    """
    if tuple(prediction.size) != tuple(ground_truth.size):
        raise ShapeError(
            f"prediction {prediction.size} and ground truth {ground_truth.size} differ in size: resize it"
        )
    return float(run_ious(decode_runs([prediction]), decode_runs([ground_truth]))[0])
