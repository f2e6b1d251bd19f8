"""Label Studio's run-length encoding of brush masks."""

import contextlib
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from daam_bench.annotate.brush import decode_brush, encode_brush
from daam_bench.types.errors import InputError

SIDES = st.integers(1, 40)
masks = st.tuples(SIDES, SIDES).flatmap(lambda shape: hnp.arrays(np.bool_, shape))


@given(masks)
def test_a_mask_comes_back(mask):
    assert np.array_equal(decode_brush(encode_brush(mask), *mask.shape), mask)


def test_a_long_run_comes_back():
    mask = np.zeros((300, 400), bool)
    mask[10:290] = True
    assert np.array_equal(decode_brush(encode_brush(mask), 300, 400), mask)


def test_alpha_is_what_counts_from_the_half_on():
    # Four values, not repeated, for each of two pixels: one has colour, the other alpha.
    pixels = ([255, 255, 255, 127], [0, 0, 0, 128])
    bits = f"{8:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}"
    bits += "".join(f"000{3:03b}" + "".join(f"{value:08b}" for value in pixel) for pixel in pixels)
    bits += "0" * (-len(bits) % 8)
    rle = list(int(bits, 2).to_bytes(len(bits) // 8, "big"))
    assert decode_brush(rle, 1, 2).tolist() == [[False, True]]


GOOD = encode_brush(np.eye(8, dtype=bool))


@pytest.mark.parametrize(
    ("rle", "reason"),
    [
        (None, "no list of bytes"),
        ("AAA", "no list of bytes"),
        ([], "breaks off"),
        ([255] * 7, "4294967295 values"),
        ([*GOOD[:-3]], "breaks off"),
        ([1.5, *GOOD[1:]], "no list of bytes"),
        ([256, *GOOD[1:]], "no list of bytes"),
        ([-1, *GOOD[1:]], "no list of bytes"),
        ([[0], *GOOD[1:]], "no list of bytes"),
        ([None] * 20, "no list of bytes"),
        ([0] * 100_000, "longer than any mask"),
        (encode_brush(np.eye(9, dtype=bool)), "324 values where a mask of the image's size has 256"),
        ([*GOOD[:4], 0, *GOOD[5:]], "not of 8-bit"),
    ],
)
def test_what_is_no_mask_of_the_image(rle, reason):
    with pytest.raises(InputError, match=reason):
        decode_brush(rle, 8, 8)


def test_no_byte_makes_it_fail_otherwise():
    chance = random.Random(0)
    for _ in range(3000):
        rle = list(GOOD)
        for _ in range(chance.randint(1, 4)):
            rle[chance.randrange(len(rle))] = chance.randrange(256)
        with contextlib.suppress(InputError):
            assert decode_brush(rle, 8, 8).shape == (8, 8)
