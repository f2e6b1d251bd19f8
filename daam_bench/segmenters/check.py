"""Checking what a method returns, so that its author learns at once what is wrong, and with which example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from daam_bench.types import BoolMask, Query
from daam_bench.types.errors import InputError
from daam_bench.types.heat_map import HeatMap

Checked = BoolMask | HeatMap | None
"""A hard mask of the image's size, a heat map, or no prediction."""


def check_batch(method: str, queries: Sequence[Query], returned: Any) -> list[list[Checked]]:
    """Check what a method returned for a batch.

    Args:
        method: Name of the method, for messages.
        queries: The batch.
        returned: What `segment` returned: for each query, a `Segmentation` for each noun.

    Raises:
        InputError: The count, shape, type or values are wrong.
    """
    by_query = _as_list(returned, f"method {method!r}", "lists, one a query")
    if len(by_query) != len(queries):
        raise InputError(
            f"method {method!r} returned {len(by_query)} results for {len(queries)} queries "
            f"(the first is example {queries[0].id!r}); return one a query"
        )
    return [_check_query(method, query, item) for query, item in zip(queries, by_query, strict=True)]


def _check_query(method: str, query: Query, returned: Any) -> list[Checked]:
    place = f"method {method!r}, example {query.id!r}"
    by_noun = _as_list(returned, place, "segmentations, one a noun")
    if len(by_noun) != len(query.nouns):
        raise InputError(
            f"{place}: {len(by_noun)} segmentations for {len(query.nouns)} nouns; return one a noun, "
            "None for no prediction"
        )
    return [
        _check_noun(f"{place}, noun {noun.text!r}", query, item)
        for noun, item in zip(query.nouns, by_noun, strict=True)
    ]


def _check_noun(place: str, query: Query, item: Any) -> Checked:
    if item is None or isinstance(item, HeatMap):
        return item
    try:
        array = np.asarray(item)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{place}: no NumPy array can be made of a {type(item).__name__}: {error}"
        ) from error
    if np.issubdtype(array.dtype, np.floating):
        try:
            return HeatMap(array)
        except InputError as error:
            raise InputError(f"{place}: {error}") from error
    if array.dtype != np.bool_:
        raise InputError(
            f"{place}: an array of {array.dtype}; return a boolean mask, a floating-point heat map, or None"
        )
    size = (query.image.height, query.image.width)
    if array.shape != size:
        raise InputError(
            f"{place}: a mask of shape {array.shape}, but the image's (height, width) is {size}; resize it"
        )
    return array


def _as_list(value: Any, place: str, expected: str) -> list[Any]:
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        raise InputError(f"{place}: returned a {type(value).__name__}; return a list of {expected}")
    return list(value)
