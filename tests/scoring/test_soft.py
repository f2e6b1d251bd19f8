import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from torchmetrics.classification import BinaryAveragePrecision

from daam_bench.scoring.iou import iou
from daam_bench.scoring.soft import CURVE_TAUS, map_scores
from daam_bench.types import BoolMask, FloatMap
from daam_bench.types.errors import ShapeError
from daam_bench.types.heat_map import HeatMap


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
def test_the_curve_is_the_iou_of_the_thresholded_map(case):
    heat_map, truth = case
    expected = [iou(HeatMap(heat_map).threshold(tau), truth) for tau in CURVE_TAUS]
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
