"""Scoring what is in memory: predictions, or arrays and heat maps, example by example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from daam_bench.files.predictions import NounHeatMap
from daam_bench.types import Prediction, Query, Split
from daam_bench.types.errors import InputError, check_taus
from daam_bench.types.heat_map import HeatMap
from daam_bench.types.segmentations import check_query, predictions_of


def as_predictions(
    split: Split, given: Any, tau: float | Sequence[float], heat_maps: list[NounHeatMap]
) -> Iterator[Prediction]:
    """Yield what is given in memory as predictions, and add heat maps to `heat_maps`.

    Args:
        split: The split.
        given: Predictions, or segmentations as `daam_bench.scoring.score.score` takes them.
        tau: Thresholds in [0, 1] for heat maps.
        heat_maps: Filled as the predictions are taken.

    Raises:
        InputError: A threshold, a mask or a heat map is wrong, or there are both.
    """
    taus = (tau,) if isinstance(tau, int | float) else tuple(tau)
    check_taus(taus)
    items = iter(given.items() if isinstance(given, Mapping) else given)
    first = next(items, None)
    items = chain([] if first is None else [first], items)
    if isinstance(first, Prediction):
        yield from items
        return
    if first is not None and not (isinstance(first, tuple) and first and isinstance(first[0], str)):
        by_example = list(items)
        if len(by_example) != len(split):
            raise InputError(
                f"segmentations of {len(by_example)} examples for a split of {len(split)}; give one list for "
                "each example, or a mapping from ids"
            )
        items = zip((example.id for example in split), by_example, strict=True)
    queries = {query.id: query for query in split.queries()}
    is_hard = False
    nothing: list[tuple[Query, int]] = []
    for identifier, segmentations in items:
        if identifier not in queries:
            raise InputError(f"split {split.name!r} of {split.dataset!r} has no example {identifier!r:.80}")
        query = queries[identifier]
        for noun, item in enumerate(check_query("", query, segmentations)):
            if item is None:
                # Whether there are masks or heat maps is known at the end.
                nothing.append((query, noun))
                continue
            if isinstance(item, HeatMap):
                heat_maps.append(NounHeatMap(query.id, noun, item.values))
            is_hard = is_hard or not isinstance(item, HeatMap)
            if is_hard and heat_maps:
                raise InputError(
                    f"both hard masks and heat maps are given (up to example {query.id!r}); give one kind"
                )
            yield from predictions_of(query, noun, item, (None,) if is_hard else taus)
    for query, noun in nothing:
        yield from predictions_of(query, noun, None, taus if heat_maps else (None,))
