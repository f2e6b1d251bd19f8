import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path

from daam_bench.figures.outlines import outline_path, outline_shape

masks = arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def filled(path: str, shape: tuple[int, int]) -> np.ndarray:
    """Fill a path by the even-odd rule: a pixel is inside if an odd number of edges lies to its left."""
    crossings = np.zeros(shape, dtype=np.int64)
    x = y = 0
    for command, numbers in re.findall(r"([MHVz])([\d ]*)", path):
        if command == "M":
            x, y = start = tuple(map(int, numbers.split()))
            continue
        ends = {"H": (numbers, y), "V": (x, numbers), "z": start}
        goal = tuple(map(int, ends[command]))
        assert goal[0] == x or goal[1] == y
        for row in range(min(y, goal[1]), max(y, goal[1])):
            crossings[row, x:] += 1
        x, y = goal
    return crossings % 2 == 1


@given(masks)
def test_the_outline_encloses_the_mask_and_nothing_else(mask):
    assert np.array_equal(filled(outline_path(mask), mask.shape), mask)


def test_an_empty_mask_has_no_outline():
    assert outline_path(np.zeros((3, 4), dtype=bool)) == ""


def test_a_hole_is_a_loop_of_its_own():
    mask = np.ones((3, 3), dtype=bool)
    mask[1, 1] = False

    assert outline_path(mask) == "M0 0H3V3H0zM1 1V2H2V1H1z"


def test_pixels_that_touch_at_a_corner_are_apart():
    assert outline_path(np.eye(2, dtype=bool)).count("M") == 2


@given(masks)
def test_the_shape_of_figures_is_the_path_of_pages(mask):
    shape = outline_shape(mask)
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    centres = np.column_stack([columns.ravel() + 0.5, rows.ravel() + 0.5])
    inside = np.zeros(mask.size, dtype=int)
    for loop in shape.to_polygons(closed_only=True):
        inside += Path(loop).contains_points(centres)
    assert np.array_equal((inside % 2 == 1).reshape(mask.shape), mask)
