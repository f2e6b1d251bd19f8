import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pycocotools import mask as coco_mask

from daam_bench.types import RLE, BoolMask
from daam_bench.types.errors import InputError
from daam_bench.types.masks import MAX_PIXELS, Runs, area, decode, decode_runs, encode, join, paint, runs_of

CHARACTERS = "".join(map(chr, range(48, 112)))


def fill(runs: Runs, size: tuple[int, int]) -> BoolMask:
    mask = np.zeros(size[0] * size[1], dtype=np.bool_)
    for start, end in runs.edges.astype(int).reshape(-1, 2):
        mask[start:end] = True
    return mask.reshape(size, order="F")


@given(npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, max_side=60)))
def test_runs_are_the_pixels_of_the_mask(mask):
    runs = decode_runs([encode(mask)])
    assert np.array_equal(fill(runs, mask.shape), mask)
    assert runs.areas.tolist() == [mask.sum()]


@given(
    st.lists(npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, max_side=9)), min_size=1).filter(
        len
    )
)
def test_runs_of_arrays_are_those_of_their_encoding_alone_and_joined(masks):
    alone = [runs_of(mask) for mask in masks]
    for mask, runs in zip(masks, alone, strict=True):
        assert np.array_equal(paint(runs, mask.shape), mask)
        assert runs.areas.tolist() == [mask.sum()]
    joined = join(alone, [mask.size for mask in masks])
    line = (sum(mask.size for mask in masks), 1)
    assert np.array_equal(fill(joined, line), fill(decode_runs([encode(mask) for mask in masks]), line))
    assert len(joined.firsts) == len(joined.areas) == len(masks)
    for first, mask, begin in zip(
        joined.firsts, masks, np.cumsum([0, *(m.size for m in masks)]), strict=False
    ):
        assert begin <= joined.edges[2 * first] <= begin + mask.size


def test_long_runs_of_a_large_mask():
    mask = np.zeros((3000, 2000), dtype=np.bool_)
    mask[:, 700:1900] = True
    runs = decode_runs([encode(mask)])
    assert runs.edges.tolist()[:2] == [700 * 3000, 1900 * 3000]
    assert runs.areas.tolist() == [1200 * 3000]


@given(st.text(CHARACTERS, max_size=12), st.integers(1, 9), st.integers(1, 9))
def test_a_string_is_refused_or_read_as_pycocotools_reads_it(counts, height, width):
    rle = RLE((height, width), counts)
    try:
        runs = decode_runs([rle])
    except InputError:
        return
    assert np.array_equal(fill(runs, rle.size), decode(rle))


@given(st.lists(st.integers(0, 90), min_size=1, max_size=12).filter(any))
def test_runs_of_any_lengths_are_read_as_pycocotools_reads_them(lengths):
    height, width = sum(lengths), 1
    record = coco_mask.frPyObjects({"size": [height, width], "counts": lengths}, height, width)
    rle = RLE((height, width), record["counts"].decode())
    mask = decode(rle)
    assert mask.dtype == np.bool_
    assert np.array_equal(fill(decode_runs([rle]), rle.size), mask)
    assert area(rle) == decode_runs([rle]).areas[0] == sum(lengths[1::2])


@pytest.mark.parametrize(
    "counts",
    [
        "",
        "06",  # adds up to 6, not 4
        "03",
        "P",  # breaks off inside a number
        "04P",
        "0 4",
        "04\n",
        "0é",
        "0\N{FULLWIDTH DIGIT FOUR}",
        "p4",  # one past the last character
        "/4",  # one before the first
        "8L",  # 8 false, then -4 true
        "24N",  # 2 false, 4 true, then -2 false
        "PPPPPPPPPPPPPPPPPPPP0",
        "o" * 5 + "O" + "4",
        "TPPPPP4",  # 4 + 2 ** 32
    ],
)
def test_malformed_counts_are_an_error(counts):
    with pytest.raises(InputError, match=r"(counts|runs) of a mask"):
        decode_runs([RLE((2, 2), counts)])


def test_one_malformed_mask_among_good_ones_is_an_error():
    good = encode(np.eye(3, dtype=np.bool_))
    for counts in ("", "05", "P"):
        masks = [good, RLE((3, 3), counts), good]
        with pytest.raises(InputError):
            decode_runs(masks)
    # What one string lacks, the next one must not supply.
    with pytest.raises(InputError):
        decode_runs([RLE((2, 2), "03"), RLE((2, 2), "05")])


def test_a_character_past_the_last_is_an_error_even_where_its_value_would_fit():
    assert decode_runs([RLE((4, 8), "P1")]).areas.tolist() == [0]
    with pytest.raises(InputError):
        decode_runs([RLE((4, 8), "p0")])


def test_the_largest_mask_is_read():
    side = math.isqrt(MAX_PIXELS)
    record = coco_mask.frPyObjects({"size": [side, side], "counts": [0, MAX_PIXELS]}, side, side)
    assert decode_runs([RLE((side, side), record["counts"].decode())]).areas.tolist() == [MAX_PIXELS]


@pytest.mark.parametrize("size", [(0, 2), (2, -2), (2.0, 2), (True, 4), ("2", 2), (2,), (MAX_PIXELS, 2)])
def test_a_size_that_is_no_image_size_is_an_error(size):
    with pytest.raises(InputError, match="mask"):
        decode_runs([RLE(size, "04")])
