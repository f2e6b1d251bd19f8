"""Numba's loops against the NumPy code: the same runs, counts and draws, and the same refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from daam_bench.scoring import bootstrap
from daam_bench.types import RLE, masks
from daam_bench.types.errors import InputError

pytest.importorskip("numba", reason="needs Numba: pip install 'daam-bench[fast]'")

from daam_bench.types import compiled_masks


@pytest.fixture(autouse=True, scope="module")
def _as_before():
    yield
    masks.compiled = None


def both(work):
    """Return what NumPy's and Numba's code give, an error as its text."""
    found = []
    for use in (lambda: setattr(masks, "compiled", None), lambda: setattr(masks, "compiled", compiled_masks)):
        use()
        try:
            found.append(work())
        except InputError as error:
            found.append(str(error))
    assert masks.compiled is not None
    return found


def assert_same(work):
    one, other = both(work)
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return
    for mine, its in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, its)
        assert mine.dtype == its.dtype


@settings(max_examples=150)
@given(st.lists(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))), min_size=1, max_size=5))
def test_masks_have_the_same_runs(arrays):
    encoded = [masks.encode(array) for array in arrays]
    assert_same(lambda: masks.decode_runs(encoded))


@settings(max_examples=150)
@given(st.lists(st.sampled_from([(1, 1), (3, 5), (64, 64)]), min_size=1, max_size=4), st.randoms())
def test_intersections_are_the_same(sizes, dice):
    generator = np.random.default_rng(dice.randrange(1 << 30))
    pairs = [[masks.encode(generator.random(size) < 0.5) for size in sizes] for _ in range(2)]
    a, b = map(masks.decode_runs, pairs)
    assert_same(lambda: [masks.intersections(a, b)])


@settings(max_examples=300)
@given(
    st.lists(
        st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=12), min_size=1, max_size=3
    ),
    st.integers(1, 40),
)
def test_hostile_counts_are_refused_with_the_same_words(counts, height):
    assert_same(lambda: masks.decode_runs([RLE((height, 3), text) for text in counts]))


CHOSEN = ("", "o", "é", "0ooooooo0", "oooooo0", "ooooo0", "0\x7f", "/", "04", "1N", "011", "0110")


@pytest.mark.parametrize("text", CHOSEN)
def test_chosen_counts(text):
    assert_same(lambda: masks.decode_runs([RLE((1, 2), text)]))
    assert_same(lambda: masks.decode_runs([RLE((1, 2), "011"), RLE((1, 2), text)]))


def test_the_resamples_hold_the_same_images():
    for images in (1, 7, 300):
        one, other = both(lambda images=images: np.vstack(list(bootstrap._sample(images, 50, 3))))
        np.testing.assert_array_equal(one, other)
