import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pycocotools import mask as coco_mask
from torchmetrics.classification import BinaryJaccardIndex

from daam_bench.scoring.iou import iou, rle_iou, rle_ious
from daam_bench.types import RLE, BoolMask
from daam_bench.types.errors import ShapeError
from daam_bench.types.masks import as_record, decode, encode

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
    assert rle_ious(predictions, truths).tolist() == one_by_one


def test_an_empty_prediction_scores_0():
    truth = np.array([[True, False]])
    assert iou(np.zeros_like(truth), truth) == 0
    assert rle_iou(encode(np.zeros_like(truth)), encode(truth)) == 0


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
