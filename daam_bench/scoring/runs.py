"""COCO's compressed run-length encoding, decoded to the edges of its runs: many masks at once, in NumPy.

Scoring reads masks from strangers. pycocotools reads past the end of a string that breaks off, and never
returns from runs that don't fill the image. So every string is checked in full here, and intersections come
from the edges that the check has found anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daam_bench.errors import InputError
from daam_bench.types import RLE

MAX_PIXELS = 1 << 28
"""Largest mask: 16384 x 16384 pixels."""

_MAX_DIGITS = 6
_DIGIT_BITS = 5
_MORE = 32
_CHARACTER_BITS = 6
_SIGN = 16
_ZERO = ord("0")


def _values_of_two() -> NDArray[np.int32]:
    """Tabulate the number that two characters end: of one digit, or of two if the first says so."""
    first, last = np.divmod(np.arange(1 << 2 * _CHARACTER_BITS, dtype=np.int32), 1 << _CHARACTER_BITS)
    value = (last ^ _SIGN) - _SIGN
    return np.where(first >= _MORE, value * _MORE + first - _MORE, value)


_VALUES = _values_of_two()


class Runs(NamedTuple):
    """The true runs of a sequence of masks, laid one after another on one line of pixels.

    Mask k begins where mask k - 1 ends: at the sum of the pixels of the masks before it.

    Attributes:
        edges: Start and end of every true run, in turn; ascending. Shape (2 * runs,).
        counts: Number of true runs of every mask. Shape (masks,).
        areas: Number of true pixels of every mask. Shape (masks,).
    """

    edges: NDArray[np.int64]
    counts: NDArray[np.int64]
    areas: NDArray[np.int64]


def decode_runs(masks: Sequence[RLE]) -> Runs:
    """Decode and check compressed masks.

    Args:
        masks: At least one mask. A string of counts holds numbers of 5-bit digits, the least significant
            first, in the characters "0" to "o"; from the fourth number on it holds the difference to the
            number two before (rleToString in COCO's maskApi.c).

    Raises:
        InputError: A mask is malformed. The text does not say which of several.
    """
    pixels = np.array([_pixels(mask.size) for mask in masks])
    digits, ends_of_strings = _digits([mask.counts for mask in masks])
    last_digits = np.flatnonzero(digits < _MORE)
    differences = _numbers(digits, last_digits)
    stops = np.searchsorted(last_digits, ends_of_strings)
    starts = np.concatenate([[0], stops[:-1]])
    lengths = differences.copy()
    add_up = np.add.accumulate
    for start, stop in pairwise([0, *stops.tolist()]):
        add_up(differences[start + 1 : stop : 2], out=lengths[start + 1 : stop : 2])
        add_up(differences[start + 2 : stop : 2], out=lengths[start + 2 : stop : 2])
    if lengths.min() < 0:
        raise InputError("the counts of a mask hold a run of negative length; encode it with pycocotools")
    edges = np.cumsum(lengths, dtype=np.int64)
    if not np.array_equal(edges[stops - 1], np.cumsum(pixels)):
        raise InputError(
            "the runs of a mask do not add up to its height times width; encode it with pycocotools"
        )
    # A mask that ends with a false run has no last edge: the end of the image isn't one.
    odd = (stops - starts) % 2 == 1
    kept = np.ones(len(edges), dtype=np.bool_)
    kept[stops[odd] - 1] = False
    edges, counts = edges[kept], (stops - starts) // 2
    return Runs(edges, counts, _sum_groups(edges[1::2] - edges[::2], counts))


def intersections(a: Runs, b: Runs) -> NDArray[np.int64]:
    """Count the pixels that are true in both of every two masks. Shape (masks,).

    Args:
        a: The first mask of each two.
        b: The second; the same number of masks, of the same sizes.
    """
    if not len(a.edges) or not len(b.edges):
        return np.zeros_like(a.areas)
    # How many pixels of `b` lie before a position is linear between the edges of `b`: interpolation is exact.
    lengths = b.edges[1::2] - b.edges[::2]
    before = np.empty_like(b.edges)
    np.cumsum(lengths, out=before[1::2])
    np.subtract(before[1::2], lengths, out=before[::2])
    at_edges = np.interp(a.edges, b.edges, before).astype(np.int64)
    return _sum_groups(at_edges[1::2] - at_edges[::2], a.counts)


def _pixels(size: tuple[int, int]) -> int:
    if len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise InputError(
            f"the size of a mask must be [height, width], two positive whole numbers, not {size!r:.60}"
        )
    pixels = size[0] * size[1]
    if pixels > MAX_PIXELS:
        raise InputError(
            f"a mask of {size[0]} x {size[1]} pixels is larger than the {MAX_PIXELS} that are scored"
        )
    return pixels


def _digits(counts: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the characters of all strings as digits 0 to 63, and where each string ends."""
    text = "".join(counts)
    ends = np.cumsum([len(string) for string in counts])
    if not all(counts) or not text.isascii():
        raise InputError("the counts of a mask are not COCO's compressed RLE; encode it with pycocotools")
    digits = np.frombuffer(text.encode("ascii"), np.uint8) - np.uint8(_ZERO)
    if digits.max() >= 2 * _MORE or (digits[ends - 1] >= _MORE).any():
        raise InputError("the counts of a mask are not COCO's compressed RLE; encode it with pycocotools")
    return digits, ends


def _numbers(digits: NDArray[np.uint8], last_digits: NDArray[np.int64]) -> NDArray[np.int32]:
    """Put digits together to signed numbers; `last_digits` says where each number ends."""
    # Nearly all numbers have one or two digits: a table knows them by their last two characters.
    last_two = digits.astype(np.uint16)
    last_two[1:] += digits[:-1].astype(np.uint16) << _CHARACTER_BITS
    numbers = _VALUES[last_two[last_digits]]
    more = digits >= _MORE
    longer = np.searchsorted(last_digits, np.flatnonzero(more[:-2] & more[1:-1] & ~more[2:]) + 2)
    for width in range(2, _MAX_DIGITS):
        digit = digits[last_digits[longer] - width] & (_MORE - 1)
        numbers[longer] = numbers[longer] << _DIGIT_BITS | digit
        longer = longer[more[last_digits[longer] - width - 1]]
        if not len(longer):
            return numbers
    raise InputError("the counts of a mask hold a run too long for any image; encode it with pycocotools")


def _sum_groups(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum consecutive groups of `counts` values; an empty group sums to 0."""
    totals = np.concatenate([[0], np.cumsum(values)])
    return np.diff(totals[np.cumsum(counts)], prepend=0)
