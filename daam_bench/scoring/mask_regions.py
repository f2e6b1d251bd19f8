"""Parts of an image that scores ask for: a mask without the band along its boundary, and the other nouns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from daam_bench.types import RLE, BoolMask
from daam_bench.types.masks import Runs, decode_runs, paint, runs_of

_IMAGES = 512


class Regions(NamedTuple):
    """What belongs to the ground-truth mask of one noun, each of the image's size and decoded to runs.

    Attributes:
        own: The mask.
        core: The mask eroded by the width of the band.
        reach: The mask dilated by it. The band is what `reach` has and `core` has not.
        others: Pixels of the masks of the image's other nouns, without those of its own.
        has_others: Whether another noun of the image has a mask.
    """

    own: Runs
    core: Runs
    reach: Runs
    others: Runs
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

    Those of the images asked for last are kept: predictions come image by image, often at several taus.

    Raises:
        InputError: A mask is malformed.
    """
    runs = [decode_runs([mask]) for mask in masks]
    painted = [paint(own, mask.size) for own, mask in zip(runs, masks, strict=True)]
    return tuple(_regions(own, painted, noun) for noun, own in enumerate(runs))


def _regions(runs: Runs, masks: Sequence[BoolMask], noun: int) -> Regions:
    own = masks[noun]
    others = [mask for place, mask in enumerate(masks) if place != noun and mask.any()]
    core, reach = np.zeros_like(own), np.zeros_like(own)
    if own.any():
        # Nothing changes farther than the band from where the mask is.
        by = band_width(*own.shape)
        around = tuple(
            slice(max(0, int(places[0]) - 2 * by), int(places[-1]) + 2 * by + 1)
            for places in (np.flatnonzero(own.any(axis=axis)) for axis in (1, 0))
        )
        core[around], reach[around] = erode(own[around], by), dilate(own[around], by)
    return Regions(
        own=runs,
        core=runs_of(core),
        reach=runs_of(reach),
        others=runs_of(np.logical_or.reduce([*others, own]) & ~own),
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
