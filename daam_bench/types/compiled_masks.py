"""The hot loops of scoring, compiled by Numba: the same numbers as the NumPy code beside which they stand.

Numba comes with the extra `fast`. Loading it takes a second, so `score` asks for it where there is much to
score. Whatever is wrong with a mask, these loops only say that something is: the NumPy code says
what.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_ZERO, _MORE, _DIGIT_BITS, _SIGN, _MAX_DIGITS = 48, 32, 5, 16, 6

Decoded = tuple[bool, NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]


@numba.njit(cache=True, nogil=True)
def decode_text(text: Any, ends: Any, pixels: Any) -> Decoded:
    """Decode compressed counts to the fields of `masks.Runs`; see `masks.decode_runs`.

    Args:
        text: The characters of all masks, uint8.
        ends: Where the characters of each mask end, int64; none is empty.
        pixels: How many pixels each mask has, int64.

    Returns:
        Whether all masks are well formed; without that the rest means nothing.
    """
    masks = len(ends)
    firsts = np.empty(masks, np.int64)
    areas = np.empty(masks, np.int64)
    most = (len(text) + masks) // 2 + 1
    edges = np.empty(2 * most)
    run, place, base = 0, 0, 0
    for mask in range(masks):
        firsts[mask] = run
        position: Any = 0
        area: Any = 0
        index = 0
        last_false: Any = 0
        last_true: Any = 0
        while place < ends[mask]:
            digit = np.int64(text[place]) - _ZERO
            place += 1
            if digit < 0 or digit >= 2 * _MORE:
                return False, edges, firsts, areas
            value: Any = 0
            shift = 0
            while digit >= _MORE:
                value += (digit - _MORE) << shift
                shift += _DIGIT_BITS
                if place >= ends[mask] or shift == _DIGIT_BITS * _MAX_DIGITS:
                    return False, edges, firsts, areas
                digit = np.int64(text[place]) - _ZERO
                place += 1
                if digit < 0 or digit >= 2 * _MORE:
                    return False, edges, firsts, areas
            value += ((digit ^ _SIGN) - _SIGN) << shift
            if index & 1:
                # From the fourth number on it is the difference to the length two before.
                value += last_true
                last_true = value
                edges[2 * run] = base + position
                edges[2 * run + 1] = base + position + value
                area += value
                run += 1
            else:
                value += last_false
                # The first false run stands for itself: the second is no difference to it.
                last_false = value if index else 0
            if value < 0:
                return False, edges, firsts, areas
            position += value
            index += 1
        if position != pixels[mask]:
            return False, edges, firsts, areas
        base += position
        areas[mask] = area
        if index & 1:
            edges[2 * run] = edges[2 * run + 1] = base
            run += 1
    return True, edges[: 2 * run], firsts, areas


@numba.njit(cache=True, nogil=True)
def overlaps(a_edges: Any, a_firsts: Any, b_edges: Any, b_firsts: Any) -> NDArray[np.int64]:
    """Count the pixels that are true in both of every two masks, as `masks.intersections` does."""
    masks = len(a_firsts)
    counts = np.zeros(masks, np.int64)
    for mask in range(masks):
        a, b = a_firsts[mask], b_firsts[mask]
        a_end = a_firsts[mask + 1] if mask + 1 < masks else len(a_edges) // 2
        b_end = b_firsts[mask + 1] if mask + 1 < masks else len(b_edges) // 2
        both = 0.0
        while a < a_end and b < b_end:
            start = max(a_edges[2 * a], b_edges[2 * b])
            end = min(a_edges[2 * a + 1], b_edges[2 * b + 1])
            if end > start:
                both += end - start
            if a_edges[2 * a + 1] < b_edges[2 * b + 1]:
                a += 1
            else:
                b += 1
        counts[mask] = np.int64(both)
    return counts


@numba.njit(cache=True, nogil=True)
def count_draws(raw: Any, images: int, rows: int) -> NDArray[np.float64]:
    """Count how often each resample holds each image, of raw draws of 32 bits; see `scoring.bootstrap`."""
    counts = np.zeros((rows, images))
    for row in range(rows):
        for draw in range(images):
            counts[row, (np.uint64(raw[row * images + draw]) * np.uint64(images)) >> np.uint64(32)] += 1
    return counts
