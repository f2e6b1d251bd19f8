"""Scores of masks and heat maps agree with torchmetrics and pycocotools."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pycocotools import mask as coco_mask
from torchmetrics.classification import BinaryAveragePrecision, BinaryJaccardIndex

from daam_bench.scoring.iou import iou, rle_iou
from daam_bench.scoring.metrics import CURVE_TAUS, map_scores, run_ious
from daam_bench.types import RLE, BoolMask, FloatMap
from daam_bench.types.errors import ShapeError
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.masks import as_record, decode, decode_runs, encode

sizes = npst.array_shapes(min_dims=2, max_dims=2, max_side=40)


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[BoolMask, BoolMask]:
    """A prediction and a non-empty ground truth of one size; scattered pixels or rectangles with holes."""
    size = draw(sizes)
    prediction, truth = (draw(npst.arrays(np.bool_, size) | rectangles(size)) for _ in range(2))
    truth[draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))] = True
    return prediction, truth


@st.composite
def rectangles(draw: st.DrawFn, size: tuple[int, int]) -> BoolMask:
    mask = np.zeros(size, dtype=np.bool_)
    for value in (True, False):
        top, bottom = sorted(draw(st.integers(0, size[0])) for _ in range(2))
        first, last = sorted(draw(st.integers(0, size[1])) for _ in range(2))
        mask[top:bottom, first:last] = value
    return mask


@given(mask_pairs())
def test_agrees_with_torchmetrics(masks):
    prediction, truth = masks
    metric = BinaryJaccardIndex()
    theirs = metric(torch.from_numpy(prediction).int(), torch.from_numpy(truth).int())
    assert iou(prediction, truth) == pytest.approx(theirs.item(), abs=1e-6)


@given(mask_pairs())
def test_agrees_with_pycocotools(masks):
    prediction, truth = (encode(mask) for mask in masks)
    theirs = coco_mask.iou([as_record(prediction)], [as_record(truth)], [0])
    assert rle_iou(prediction, truth) == theirs[0, 0]


@given(mask_pairs())
def test_encoded_and_decoded_masks_give_the_same_number(masks):
    prediction, truth = masks
    assert rle_iou(encode(prediction), encode(truth)) == iou(prediction, truth)


@given(st.lists(mask_pairs(), min_size=1, max_size=8))
def test_many_at_once_give_the_same_numbers_as_one_by_one(pairs):
    predictions, truths = zip(*[(encode(a), encode(b)) for a, b in pairs], strict=True)
    one_by_one = [rle_iou(a, b) for a, b in zip(predictions, truths, strict=True)]
    assert run_ious(decode_runs(predictions), decode_runs(truths)).tolist() == one_by_one


def test_an_empty_prediction_scores_0():
    truth = np.array([[True, False]])
    assert iou(np.zeros_like(truth), truth) == 0
    assert rle_iou(encode(np.zeros_like(truth)), encode(truth)) == 0


def test_nothing_where_there_is_nothing_scores_0_too():
    nothing = np.zeros((2, 3), dtype=np.bool_)
    assert iou(nothing, nothing) == 0
    assert rle_iou(encode(nothing), encode(nothing)) == 0


def test_runs_of_length_zero_change_nothing():
    # 1 false, 2 true, 0 false, 1 true, 2 false; what pycocotools itself would write as 1, 3, 2.
    split_up = RLE((2, 3), "120O2")
    truth = np.array([[False, True, False], [True, True, False]])
    assert decode(split_up).tolist() == truth.tolist()
    assert rle_iou(split_up, encode(truth)) == 1


@pytest.mark.parametrize("sizes", [((2, 3), (3, 2)), ((2, 3), (2, 4))])
def test_masks_of_different_sizes_are_an_error(sizes):
    a, b = (np.ones(size, dtype=np.bool_) for size in sizes)
    with pytest.raises(ShapeError):
        iou(a, b)
    with pytest.raises(ShapeError):
        rle_iou(encode(a), encode(b))


@st.composite
def maps_and_truths(draw: st.DrawFn) -> tuple[FloatMap, BoolMask]:
    """A map, often with ties, and a non-empty ground truth."""
    size = draw(npst.array_shapes(min_dims=2, max_dims=2, max_side=12))
    levels = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1, width=32)
    heat_map = draw(npst.arrays(np.float32, size, elements=levels))
    truth = draw(npst.arrays(np.bool_, size))
    truth.flat[draw(st.integers(0, truth.size - 1))] = True
    return heat_map, truth


@given(maps_and_truths())
def test_average_precision_agrees_with_torchmetrics(case):
    heat_map, truth = case
    theirs = BinaryAveragePrecision()(torch.from_numpy(heat_map).double(), torch.from_numpy(truth).int())
    assert map_scores(heat_map, truth).average_precision == pytest.approx(theirs.item(), abs=1e-5)


@given(maps_and_truths())
def test_average_precision_agrees_with_scikit_learn(case):
    heat_map, truth = case
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    theirs = metrics.average_precision_score(truth.ravel(), heat_map.ravel())
    assert map_scores(heat_map, truth).average_precision == pytest.approx(theirs, abs=1e-9)


@given(maps_and_truths())
def test_the_curve_is_the_iou_of_the_thresholded_map(case):
    heat_map, truth = case
    expected = [iou(HeatMap(heat_map).threshold(tau), truth) for tau in CURVE_TAUS]
    assert map_scores(heat_map, truth).ious.tolist() == expected


def test_a_pixel_at_a_threshold_of_the_curve_is_in_its_mask():
    heat_map = np.array([[*CURVE_TAUS, 1]], dtype=np.float32)
    truth = np.ones_like(heat_map, dtype=np.bool_)
    expected = [iou(HeatMap(heat_map).threshold(tau), truth) for tau in CURVE_TAUS]
    assert expected == [(20 - step) / 20 for step in range(19)]
    assert map_scores(heat_map, truth).ious.tolist() == expected


def test_a_map_that_ranks_every_true_pixel_first_is_perfect():
    truth = np.array([[True, False], [True, False]])
    scores = map_scores(np.array([[0.9, 0.2], [0.4, 0.1]], dtype=np.float32), truth)
    assert scores.average_precision == 1
    assert scores.hit


def test_the_pointing_game_looks_at_the_peak():
    truth = np.array([[True, False, True]])
    assert not map_scores(np.array([[0.5, 0.6, 0.5]], dtype=np.float32), truth).hit
    assert map_scores(np.array([[0.5, 0.6, 0.7]], dtype=np.float32), truth).hit


def test_a_map_of_zeros_says_nothing():
    truth = np.array([[True, False, False, False]])
    scores = map_scores(np.zeros((1, 4), dtype=np.float32), truth)
    assert scores.average_precision == 0.25
    assert not scores.hit
    assert not scores.ious.any()


def test_sizes_that_differ_are_an_error():
    with pytest.raises(ShapeError):
        map_scores(np.zeros((2, 3), dtype=np.float32), np.ones((3, 2), dtype=np.bool_))
