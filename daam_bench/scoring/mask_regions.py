"""Parts of an image that scores ask for: a mask without the band along its boundary, and the other nouns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from daam_bench.types import RLE, BoolMask
from daam_bench.types.masks import decode, decode_runs, encode

_IMAGES = 1024


class Regions(NamedTuple):
    """What belongs to the ground-truth mask of one noun, each of the image's size.

    Attributes:
        core: The mask eroded by the width of the band.
        reach: The mask dilated by it. The band is what `reach` has and `core` has not.
        others: Pixels of the masks of the image's other nouns, without those of its own.
        has_others: Whether another noun of the image has a mask.
    """

    core: RLE
    reach: RLE
    others: RLE
    has_others: bool


def band_width(height: int, width: int) -> int:
    """Return how many pixels the band of an image's masks has on each side of a boundary.

    >>> band_width(64, 64), band_width(512, 768)
    (1, 8)
    """
    return max(1, round(min(height, width) / 64))


def dilate(mask: BoolMask, by: int) -> BoolMask:
    """Return which pixels have a true one within `by` rows and `by` columns: dilation by a square.

    >>> dilate(np.array([[True, False, False]]), 1)
    array([[ True,  True, False]])
    """
    for _ in range(2):
        mask = _dilate_rows(mask, by).T
    return mask


def erode(mask: BoolMask, by: int) -> BoolMask:
    """Return which pixels have no false one within `by` rows and `by` columns: erosion by a square.

    What lies outside the image counts for neither: its edge is no boundary of a mask.

    >>> erode(np.array([[True, True, False]]), 1)
    array([[ True, False, False]])
    """
    return ~dilate(~mask, by)


@lru_cache(maxsize=_IMAGES)
def image_regions(masks: tuple[RLE, ...]) -> tuple[Regions, ...]:
    """Return the regions of every noun of an image, from all of their masks, which are empty for some.

    Raises:
        InputError: A mask is malformed.
    """
    decode_runs(masks)
    decoded = [decode(mask) for mask in masks]
    return tuple(_regions(decoded, noun) for noun in range(len(decoded)))


def _regions(masks: Sequence[BoolMask], noun: int) -> Regions:
    own = masks[noun]
    by = band_width(*own.shape)
    others = [mask for place, mask in enumerate(masks) if place != noun and mask.any()]
    return Regions(
        core=encode(erode(own, by)),
        reach=encode(dilate(own, by)),
        others=encode(np.logical_or.reduce([*others, own]) & ~own),
        has_others=bool(others),
    )


def _dilate_rows(mask: BoolMask, by: int) -> BoolMask:
    window, covered = 2 * by + 1, 1
    mask = np.pad(mask, ((by, by), (0, 0)))
    # Every step doubles the rows that a pixel has been or-ed over.
    while covered < window:
        step = min(covered, window - covered)
        mask = mask[:-step] | mask[step:]
        covered += step
    return mask
