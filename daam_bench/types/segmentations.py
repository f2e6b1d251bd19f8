"""What a method says of nouns: masks or heat maps, checked, and made to predictions.

Its author learns at once what is wrong, and with which example.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np

from daam_bench.types.errors import InputError
from daam_bench.types.examples import Prediction, Query
from daam_bench.types.heat_map import HeatMap, check_map_size
from daam_bench.types.masks import BoolMask, FloatMap, as_array, encode

Segmentation = BoolMask | FloatMap | HeatMap | None
"""What a method says of one noun.

A boolean array (height, width) of the image's size is a hard mask. A floating-point array or a `HeatMap`, of
any resolution, is a heat map: the harness resizes it to the image and thresholds it at every tau. A torch
tensor will do for an array. None is no prediction and scores 0. One method gives hard masks or heat maps, not
both.
"""

Checked = BoolMask | HeatMap | None
"""A hard mask of the image's size, a heat map, or no prediction."""


def check_batch(method: str, queries: Sequence[Query], returned: Any) -> list[list[Checked]]:
    """Check what the `segment` of a method returned for a batch: for each query, a `Segmentation` a noun.

    Raises:
        InputError: The count, shape, type or values are wrong.
    """
    place = f"method {method!r}"
    by_query = _as_list(returned, place, "lists, one a query")
    if len(by_query) != len(queries):
        raise InputError(
            f"{place} returned {len(by_query)} results for {len(queries)} queries "
            f"(the first is example {queries[0].id!r}); return one a query"
        )
    return [check_query(f"{place}, ", query, item) for query, item in zip(queries, by_query, strict=True)]


def check_query(source: str, query: Query, returned: Any) -> list[Checked]:
    """Check what is said of one query, a `Segmentation` a noun. Messages begin with `source`.

    Raises:
        InputError: The count, shape, type or values are wrong.
    """
    place = f"{source}example {query.id!r}"
    by_noun = _as_list(returned, place, "segmentations, one a noun")
    if len(by_noun) != len(query.nouns):
        raise InputError(
            f"{place}: {len(by_noun)} segmentations for {len(query.nouns)} nouns; return one a noun, "
            "None for no prediction"
        )
    checked = []
    for noun, item in zip(query.nouns, by_noun, strict=True):
        try:
            checked.append(_check(item, (query.image.height, query.image.width)))
        except InputError as error:
            raise InputError(f"{place}, noun {noun.text!r}: {error}") from error
    return checked


def predictions_of(
    query: Query, noun: int, item: Checked, taus: Sequence[float | None]
) -> Iterator[Prediction]:
    """Yield the mask of a noun at each tau, (None,) for a hard mask; None where the method gave nothing."""
    if isinstance(item, HeatMap):
        resized = item.resize(query.image)
        for tau in taus:
            assert tau is not None
            yield Prediction(query.id, noun, tau, encode(resized.threshold(tau)))
        return
    mask = None if item is None else encode(item)
    yield from (Prediction(query.id, noun, tau, mask) for tau in taus)


def _check(item: Any, size: tuple[int, int]) -> Checked:
    if isinstance(item, HeatMap):
        check_map_size(item.shape, size)
    if item is None or isinstance(item, HeatMap):
        return item
    array = as_array(item)
    if np.issubdtype(array.dtype, np.floating):
        check_map_size(array.shape, size)
        return HeatMap(array)
    if array.dtype != np.bool_:
        raise InputError(
            f"an array of {array.dtype}; return a boolean mask, a floating-point heat map, or None"
        )
    if array.shape != size:
        raise InputError(
            f"a mask of shape {array.shape}, but the image's (height, width) is {size}; resize it"
        )
    return array


def _as_list(value: Any, place: str, expected: str) -> list[Any]:
    # A set has no order, and NumPy's and torch's numbers can't be iterated though they seem to.
    in_order = hasattr(value, "__iter__") and not isinstance(value, (str, bytes, Mapping, Set))
    if not in_order or getattr(value, "ndim", 1) == 0:
        raise InputError(f"{place}: returned a {type(value).__name__}; return a list of {expected}")
    return list(value)
