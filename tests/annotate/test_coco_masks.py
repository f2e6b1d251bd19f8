"""Masks as COCO JSON may hold them."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from daam_bench.annotate.from_coco import unite
from daam_bench.types.errors import InputError
from daam_bench.types.masks import as_record, decode, encode

SIDES = st.integers(1, 30)
masks = st.tuples(SIDES, SIDES).flatmap(lambda shape: hnp.arrays(np.bool_, shape))


def uncompressed(mask: np.ndarray) -> dict:
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


@given(masks)
def test_runs_come_back_compressed_or_not(mask):
    assume(mask.any())
    assert np.array_equal(decode(unite([as_record(encode(mask))], *mask.shape)), mask)
    assert unite([uncompressed(mask)], *mask.shape) == encode(mask)


@given(hnp.arrays(np.bool_, (12, 7)), hnp.arrays(np.bool_, (12, 7)))
def test_several_annotations_of_a_noun_are_united(one, other):
    assume((one | other).any())
    assert unite([uncompressed(one), as_record(encode(other))], 12, 7) == encode(one | other)


@given(*(st.integers(-20, 40) for _ in range(4)))
def test_a_polygon_is_filled_as_far_as_it_is_in_the_image(left, right, top, bottom):
    left, right, top, bottom = *sorted((left, right)), *sorted((top, bottom))
    mask = np.zeros((20, 30), bool)
    mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    assume(mask.any())
    assert decode(unite([[[left, top, right, top, right, bottom, left, bottom]]], 20, 30)).tolist() == (
        mask.tolist()
    )


def test_polygons_of_one_annotation_are_united():
    found = unite([[[0, 0, 4, 0, 4, 4, 0, 4], [6.0, 6.0, 9.5, 6.0, 9.5, 9.5, 6.0, 9.5]]], 10, 10)
    assert 16 < decode(found).sum() < 40


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "has no mask"),
        ([], "has no mask"),
        ("run", "has no mask"),
        ([1, 2, 3, 4], "no list of x, y"),
        ([[1, 2, 3, 4]], "no list of x, y"),
        ([[1, 2, 3, 4, 5, 6, 7]], "no list of x, y"),
        ([[1, 2, 3, 4, 5, float("nan")]], "far off"),
        ([[1, 2, 3, 4, 5, 1e308]], "far off"),
        ([[1, 2, 3, 4, 5, 10**400]], "far off"),
        ([[1, 2, 3, 4, 5, True]], "far off"),
        ([[0, 0, 10, 8] * 1000], "its outline is longer"),
        ([[1, 1, 2, 2, 3, 3]] * 10_001, "more than 10000 polygons"),
        ([[0, 0] * 3], "empty"),
        ({}, "size of its mask is None"),
        ({"size": [8, 10], "counts": [80]}, r"its mask is \[8, 10\], but .* is \[10, 8\]"),
        ({"size": [10**400, 8], "counts": [80]}, "size of its mask is"),
        ({"size": [[[]]], "counts": [80]}, "size of its mask is a list"),
        ({"size": [10, 8]}, "no runs"),
        ({"size": [10, 8], "counts": [[80]]}, "no runs"),
        ({"size": [10, 8], "counts": [81, -1]}, "no runs"),
        ({"size": [10, 8], "counts": [True, 79]}, "no runs"),
        ({"size": [10, 8], "counts": [79]}, "do not add up"),
        ({"size": [10, 8], "counts": [2**63, 80]}, "do not add up"),
        ({"size": [10, 8], "counts": [80]}, "empty"),
        ({"size": [10, 8], "counts": "o"}, "RLE"),
        ({"size": [10, 8], "counts": "\x00é"}, "RLE"),
        ({"size": [10, 8], "counts": "1"}, "add up"),
        ({"size": [10, 8], "counts": ""}, "RLE"),
    ],
)
def test_what_is_no_mask_of_the_image(value, reason):
    with pytest.raises(InputError, match=reason):
        unite([value], 10, 8)


def test_more_annotations_than_anyone_draws():
    with pytest.raises(InputError, match="more than 1000 annotations"):
        unite([[[1, 1, 5, 1, 5, 5]]] * 1001, 10, 8)
