"""Masks: boolean arrays, COCO's compressed run-length encoding, and what is counted on the encoding itself.

Masks come from others, in predictions files and from annotation tools. pycocotools reads past the end of a
string that breaks off, and never returns from runs that don't fill the image. So every string is checked in
full here, many masks at once, and intersections come from the edges that the check has found anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from daam_bench.types.errors import InputError

BoolMask = NDArray[np.bool_]
"""A boolean mask of shape (height, width)."""

FloatMap = NDArray[np.float32]
"""A float32 map of shape (height, width), values >= 0."""


MAX_PIXELS = 1 << 28
"""Largest mask: 16384 x 16384 pixels."""

_MAX_DIGITS = 6
_DIGIT_BITS = 5
_MORE = 32
_CHARACTER_BITS = 6
_SIGN = 16
_ZERO = ord("0")


@dataclass(frozen=True, slots=True)
class RLE:
    """A mask in COCO's compressed run-length encoding.

    Attributes:
        size: (height, width) in pixels.
        counts: COCO's compressed counts, column-major, as ASCII text.
    """

    size: tuple[int, int]
    counts: str


def as_array(value: Any) -> NDArray[Any]:
    """Return an array-like as a NumPy array; a torch tensor of any dtype, on any device, with gradients, too.

    Raises:
        InputError: No array can be made of it, or it is a masked one.

    >>> as_array([[True, False]])
    array([[ True, False]])
    """
    if isinstance(value, np.ma.MaskedArray):
        raise InputError("a masked array: what its masked pixels are is not said; return array.filled(...)")
    try:
        if hasattr(value, "detach") and hasattr(value, "cpu"):
            value = value.detach().cpu()
            # NumPy knows no bfloat16 and no 8-bit floats.
            value = value.float() if value.is_floating_point() else value
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"no NumPy array can be made of a {type(value).__name__}: {error}") from error


def encode(mask: BoolMask) -> RLE:
    """Encode a boolean mask of shape (height, width).

    >>> encode(np.array([[True, False]]))
    RLE(size=(1, 2), counts='011')
    """
    if mask.ndim != 2 or mask.dtype != np.bool_:
        raise InputError(f"a mask must be a boolean array (height, width), not {mask.dtype} {mask.shape}")
    record = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    height, width = mask.shape
    return RLE((height, width), record["counts"].decode("ascii"))


def decode(rle: RLE) -> BoolMask:
    """Decode to a boolean mask of shape `rle.size`.

    >>> decode(RLE((1, 2), "011"))
    array([[ True, False]])
    """
    mask: BoolMask = coco_mask.decode(as_record(rle)).astype(np.bool_)
    return mask


def area(rle: RLE) -> int:
    """Count the true pixels of an encoded mask."""
    return int(coco_mask.area(as_record(rle)))


def as_record(rle: RLE) -> dict[str, object]:
    """Return the dict that pycocotools and COCO JSON use for a mask."""
    return {"size": list(rle.size), "counts": rle.counts}


def _values_of_two() -> NDArray[np.int32]:
    """Tabulate the number that two characters end: of one digit, or of two if the first says so."""
    first, last = np.divmod(np.arange(1 << 2 * _CHARACTER_BITS, dtype=np.int32), 1 << _CHARACTER_BITS)
    value = (last ^ _SIGN) - _SIGN
    return np.where(first >= _MORE, value * _MORE + first - _MORE, value)


_VALUES = _values_of_two()


class Runs(NamedTuple):
    """The true runs of a sequence of masks, laid one after another on one line of pixels.

    Mask k begins where mask k - 1 ends: at the sum of the pixels of the masks before it. Every mask has at
    least one run; its last may be empty.

    Attributes:
        edges: Start and end of every run, in turn; whole numbers, ascending. Shape (2 * runs,).
        firsts: Index of every mask's first run. Shape (masks,).
        areas: Number of true pixels of every mask. Shape (masks,).
    """

    edges: NDArray[np.float64]
    firsts: NDArray[np.int64]
    areas: NDArray[np.int64]


compiled: Any = None
"""The module `compiled_masks`, where Numba is used: the numbers are the same."""


def decode_runs(masks: Sequence[RLE]) -> Runs:
    """Decode and check compressed masks.

    Args:
        masks: At least one mask. A string of counts holds numbers of 5-bit digits, the least significant
            first, in the characters "0" to "o": the lengths of false and true runs in turn, from the fourth
            on as the difference to the length two before (rleToString in COCO's maskApi.c).

    Raises:
        InputError: A mask is malformed. The text does not say which of several.
    """
    pixels = np.array([_pixels(mask.size) for mask in masks])
    if compiled is not None:
        text = "".join([mask.counts for mask in masks])
        ends = np.cumsum([len(mask.counts) for mask in masks])
        if text.isascii() and all(mask.counts for mask in masks):
            content = np.frombuffer(text.encode("ascii"), np.uint8)
            is_well_formed, *decoded = compiled.decode_text(content, ends, pixels)
            if is_well_formed:
                return Runs(*decoded)
    digits, ends_of_strings = _digits([mask.counts for mask in masks])
    last_digits = np.flatnonzero(digits < _MORE)
    numbers = _numbers(digits, last_digits)
    stops = np.searchsorted(last_digits, ends_of_strings)
    counts = np.diff(stops, prepend=0)
    # A mask that ends with a false run gets an empty true one, so that every mask has as many of both.
    is_odd = counts % 2 == 1
    numbers = np.insert(numbers, stops[is_odd], 0)
    counts = (counts + 1) // 2
    firsts = np.cumsum(counts) - counts
    lasts = firsts + counts - 1
    true_lengths = _add_up(numbers[1::2], firsts, counts)
    true_lengths[lasts[is_odd]] = 0
    # The first false run stands for itself: the second is no difference to it.
    first_lengths = numbers[2 * firsts]
    numbers[2 * firsts] = 0
    false_lengths = _add_up(numbers[::2], firsts, counts)
    false_lengths[firsts] = first_lengths
    if min(true_lengths.min(), false_lengths.min()) < 0:
        raise InputError("the counts of a mask hold a run of negative length; encode it with pycocotools")
    ends = np.cumsum(false_lengths + true_lengths)
    if not np.array_equal(ends[lasts], np.cumsum(pixels)):
        raise InputError(
            "the runs of a mask do not add up to its height times width; encode it with pycocotools"
        )
    areas = np.add.reduceat(true_lengths, firsts)
    return Runs(_in_turn(ends - true_lengths, ends), firsts, areas)


def runs_of(mask: BoolMask) -> Runs:
    """Return the runs of a boolean mask of shape (height, width)."""
    line = np.concatenate([[False], mask.T.reshape(-1), [False]])
    edges = np.flatnonzero(line[1:] != line[:-1]).astype(np.float64)
    area = int((edges[1::2] - edges[::2]).sum())
    return Runs(edges if area else np.full(2, mask.size, np.float64), np.zeros(1, np.int64), np.array([area]))


def paint(runs: Runs, size: tuple[int, int]) -> BoolMask:
    """Return the boolean mask of shape `size`, (height, width), whose runs these are.

    >>> paint(decode_runs([RLE((1, 2), "011")]), (1, 2))
    array([[ True, False]])
    """
    lengths = np.diff(runs.edges, prepend=0, append=size[0] * size[1]).astype(np.int64)
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(size[::-1]).T


def join(masks: Sequence[Runs], pixels: Sequence[int]) -> Runs:
    """Lay masks, each decoded by itself and of so many pixels, one after another."""
    counts = np.array([len(mask.edges) for mask in masks])
    edges = np.concatenate([mask.edges for mask in masks])
    edges += np.repeat(np.cumsum(pixels) - pixels, counts)
    return Runs(edges, (np.cumsum(counts) - counts) // 2, np.concatenate([mask.areas for mask in masks]))


def intersections(a: Runs, b: Runs) -> NDArray[np.int64]:
    """Count the pixels that are true in both of every two masks of the same sizes. Shape (masks,)."""
    if compiled is not None:
        counts: NDArray[np.int64] = compiled.overlaps(a.edges, a.firsts, b.edges, b.firsts)
        return counts
    # How many pixels of `b` lie before a position is linear between the edges of `b`: interpolation is exact.
    lengths = b.edges[1::2] - b.edges[::2]
    until_end = np.cumsum(lengths)
    before = np.interp(a.edges, b.edges, _in_turn(until_end - lengths, until_end))
    return np.add.reduceat(before[1::2] - before[::2], a.firsts).astype(np.int64)


def _pixels(size: tuple[int, int]) -> int:
    if len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise InputError(
            f"the size of a mask must be [height, width], two positive whole numbers, not {size!r:.60}"
        )
    pixels = size[0] * size[1]
    if pixels > MAX_PIXELS:
        raise InputError(
            f"a mask of {size[0]} x {size[1]} pixels is larger than the {MAX_PIXELS} that are read"
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


def _add_up(
    differences: NDArray[np.int32], firsts: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the running sums of consecutive groups, each beginning again at its first difference."""
    sums = np.cumsum(differences, dtype=np.int64)
    return sums - np.repeat(sums[firsts] - differences[firsts], counts)


def _in_turn(starts: NDArray[Any], ends: NDArray[Any]) -> NDArray[np.float64]:
    edges = np.empty(2 * len(starts))
    edges[::2], edges[1::2] = starts, ends
    return edges
