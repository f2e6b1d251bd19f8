"""The measures of the case studies, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from daam_bench.analysis.cases.measures import correlation, count_objects, lift
from daam_bench.types.heat_map import HeatMap

LEFT = np.array([[True, False], [True, False]])


def test_an_even_map_has_a_lift_of_one_wherever():
    assert lift(HeatMap(np.ones((2, 2))), LEFT) == 1
    assert lift(HeatMap(np.ones((2, 2))), ~LEFT) == 1


def test_lift_is_the_share_of_the_map_over_the_share_of_the_image():
    assert lift(HeatMap(np.array([[3.0, 0.0], [0.0, 1.0]])), LEFT) == pytest.approx(0.75 / 0.5)


def test_nothing_to_divide_by():
    assert lift(HeatMap(np.zeros((2, 2))), LEFT) is None
    assert lift(HeatMap(np.ones((2, 2))), np.zeros((2, 2), dtype=bool)) is None
    assert correlation(HeatMap(np.ones((2, 2))), HeatMap(np.eye(2))) is None


@given(arrays.arrays(np.float32, (3, 4), elements=st.floats(0.125, 1, width=32)), st.integers(1, 10))
def test_the_parts_of_an_image_share_its_map(values, columns):
    mask = np.arange(12).reshape(3, 4) < columns
    parts = [lift(HeatMap(values), part) * part.mean() for part in (mask, ~mask)]
    assert sum(parts) == pytest.approx(1)


def test_the_correlation_of_a_map_with_itself_and_its_opposite():
    one, other = HeatMap(np.array([[4.0, 0.0]])), HeatMap(np.array([[0.0, 2.0]]))
    assert correlation(one, one) == pytest.approx(1)
    assert correlation(one, other) == pytest.approx(-1)


def test_specks_are_no_objects():
    mask = np.zeros((64, 64), dtype=bool)
    mask[5:20, 5:20] = mask[40:52, 40:52] = True
    mask[60, 60] = True
    assert count_objects(mask) == 2


@given(arrays.arrays(bool, (9, 11)))
def test_objects_are_the_parts_that_share_an_edge(mask):
    assert count_objects(mask) == ndimage.label(mask)[1]
