"""Masks as vector outlines, so that a page draws them sharp at any size and in its own colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daam_bench.types import BoolMask

_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""East, south, west, north, as (x, y)."""


def outline_path(mask: BoolMask) -> str:
    """Return the outline of a mask as the data of an SVG path, in pixels, one closed loop an outline.

    True pixels lie to the right of the way, so that holes wind the other way than what surrounds them. Pixels
    that touch at a corner are not connected.

    Args:
        mask: Boolean mask of shape (height, width).

    >>> outline_path(np.array([[True, True], [False, False]]))
    'M0 0H2V1H0z'
    """
    ways = _directed_edges(mask)
    loops = []
    while ways:
        loops.append(_take_loop(ways))
    return "".join(loops)


def _directed_edges(mask: BoolMask) -> dict[tuple[int, int], list[int]]:
    """Return the ways (indices into `_STEPS`) that lead out of each corner (x, y) along the mask's edge."""
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    # For each side of a true pixel that has a false neighbour: the way along it, and where it begins.
    sides = (
        (inner & ~padded[:-2, 1:-1], (0, 0)),
        (inner & ~padded[1:-1, 2:], (1, 0)),
        (inner & ~padded[2:, 1:-1], (1, 1)),
        (inner & ~padded[1:-1, :-2], (0, 1)),
    )
    ways: dict[tuple[int, int], list[int]] = {}
    for way, (edges, (right, down)) in enumerate(sides):
        for y, x in _positions(edges):
            ways.setdefault((x + right, y + down), []).append(way)
    return dict(sorted(ways.items(), key=lambda item: (item[0][1], item[0][0])))


def _positions(edges: BoolMask) -> list[list[int]]:
    found: NDArray[np.int64] = np.argwhere(edges)
    positions: list[list[int]] = found.tolist()
    return positions


def _take_loop(ways: dict[tuple[int, int], list[int]]) -> str:
    start = x, y = next(iter(ways))
    way = min(ways[start])
    parts = [f"M{x} {y}"]
    while True:
        open_ways = ways[x, y]
        # At a corner where two pixels touch, turn right: stay with the pixel.
        turned = way if way in open_ways else (way + 1) % 4
        turned = turned if turned in open_ways else (way - 1) % 4
        if turned != way:
            parts.append(f"H{x}" if way % 2 == 0 else f"V{y}")
            way = turned
        open_ways.remove(way)
        if not open_ways:
            del ways[x, y]
        x, y = x + _STEPS[way][0], y + _STEPS[way][1]
        if (x, y) == start:
            return "".join([*parts, f"H{x}" if way % 2 == 0 else "", "z"])
