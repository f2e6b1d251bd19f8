"""The outline of a mask, along the edges of its pixels: the one that figures, sheets and pages show."""

from __future__ import annotations

import numpy as np
from matplotlib.path import Path

from daam_bench.types import BoolMask

Corner = tuple[int, int]
"""A corner of a pixel, as (x, y)."""

_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""East, south, west, north, as (x, y)."""


def outline_path(mask: BoolMask) -> str:
    """Return the outline of a mask as the data of an SVG path, in pixels.

    Args:
        mask: Boolean mask of shape (height, width).

    >>> outline_path(np.array([[True, True], [False, False]]))
    'M0 0H2V1H0z'
    """
    parts = []
    for first, *corners in outline_loops(mask):
        parts.append(f"M{first[0]} {first[1]}")
        y = first[1]
        for corner in [*corners, first]:
            is_level, y = corner[1] == y, corner[1]
            if is_level or corner != first:
                parts.append(f"H{corner[0]}" if is_level else f"V{corner[1]}")
        parts.append("z")
    return "".join(parts)


def outline_shape(mask: BoolMask) -> Path:
    """Return the outline of a mask as a matplotlib path, in pixels from the upper left corner."""
    loops = [np.array([*loop, loop[0]], dtype=np.float64) for loop in outline_loops(mask)]
    if not loops:
        return Path(np.empty((0, 2)))
    return Path.make_compound_path(*(Path(loop, closed=True) for loop in loops))


def outline_loops(mask: BoolMask) -> list[list[Corner]]:
    """Return the closed loops around the true pixels of a mask, each as the corners where it turns.

    True pixels lie to the right of the way, so that holes wind the other way than what surrounds them. Pixels
    that touch at a corner are not connected.

    Args:
        mask: Boolean mask of shape (height, width).
    """
    ways = _directed_edges(mask)
    loops = []
    while ways:
        loops.append(_take_loop(ways))
    return loops


def _directed_edges(mask: BoolMask) -> dict[Corner, list[int]]:
    """Return the ways (indices into `_STEPS`) that lead out of each corner along the mask's edge."""
    padded = np.pad(mask, 1)
    # For each side of a true pixel that has a false neighbour: the way along it, and where it begins.
    sides = (
        (mask & ~padded[:-2, 1:-1], (0, 0)),
        (mask & ~padded[1:-1, 2:], (1, 0)),
        (mask & ~padded[2:, 1:-1], (1, 1)),
        (mask & ~padded[1:-1, :-2], (0, 1)),
    )
    ways: dict[Corner, list[int]] = {}
    for way, (edges, (right, down)) in enumerate(sides):
        for y, x in np.argwhere(edges).tolist():
            ways.setdefault((x + right, y + down), []).append(way)
    return dict(sorted(ways.items(), key=lambda item: (item[0][1], item[0][0])))


def _take_loop(ways: dict[Corner, list[int]]) -> list[Corner]:
    start = x, y = next(iter(ways))
    way = min(ways[start])
    corners = [start]
    while True:
        open_ways = ways[x, y]
        # At a corner where two pixels touch, turn right: stay with the pixel.
        turned = next(turn for turn in (way, (way + 1) % 4, (way - 1) % 4) if turn in open_ways)
        if turned != way:
            corners.append((x, y))
            way = turned
        open_ways.remove(way)
        if not open_ways:
            del ways[x, y]
        x, y = x + _STEPS[way][0], y + _STEPS[way][1]
        if (x, y) == start:
            return corners
