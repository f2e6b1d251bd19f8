"""What shards wrote of a split, as results of its batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from daam_bench.engine import WholeJob
from daam_bench.files import DRIFT, HEAT_MAPS, PREDICTIONS
from daam_bench.files.predictions import parse_prediction
from daam_bench.segmenters.method_worker import Rendered
from daam_bench.types import PredictionsHeader, Query


def shard_results(
    part: WholeJob, header: PredictionsHeader, taus: Sequence[float]
) -> Callable[[Sequence[Query]], Callable[[], Rendered] | None]:
    """Return what finds a batch in the files that other parts wrote."""
    predictions, maps, drift = (
        part.records(header, header.split, name) for name in (PREDICTIONS, HEAT_MAPS, DRIFT)
    )

    def has(query: Query) -> bool:
        if query.id not in predictions:
            return False
        keys = predictions[query.id].keys
        nouns = range(len(query.nouns))
        if all((noun, None) in keys for noun in nouns):
            return True
        mapped = maps[query.id].keys if query.id in maps else {}
        return all(
            (noun, tau) in keys and (not keys[noun, tau] or (noun, None) in mapped)
            for noun in nouns
            for tau in taus
        )

    def read(batch: Sequence[Query]) -> Rendered:
        def records(index: Any) -> Iterator[dict[str, Any]]:
            return (record for query in batch if query.id in index for record in index[query.id].read())

        found = [parse_prediction(record) for record in records(predictions)]
        differences = {record["id"]: record["difference"] for record in records(drift)}
        if all(one.tau is None and one.mask is None for one in found):
            # A shard that found nothing at all could not know the kind of the others.
            return Rendered(None, drift=differences)
        return Rendered(found[0].tau is not None, found, list(records(maps)), differences)

    def find(batch: Sequence[Query]) -> Callable[[], Rendered] | None:
        return (lambda: read(batch)) if all(map(has, batch)) else None

    return find
