"""Scoring a method in memory, without files."""

from __future__ import annotations

from collections.abc import Sequence

from tqdm import tqdm

from daam_bench.scoring.results import SplitScores
from daam_bench.scoring.score import score
from daam_bench.segmenters.base import Segmenter, SegmentFunction, as_segmenter
from daam_bench.segmenters.known_split import begin_split
from daam_bench.segmenters.method_worker import segment_batch
from daam_bench.segmenters.segment import batches_of
from daam_bench.types import Split
from daam_bench.types.errors import check_batch_size


def evaluate(
    method: Segmenter | SegmentFunction,
    split: Split,
    *,
    tau: float | Sequence[float] = 0.4,
    batch_size: int = 16,
    progress: bool = False,
) -> SplitScores:
    """Run a method over a split and score it, in memory. The scores are those of a run.

    Args:
        method: The method, or a function of a query that returns a mask or heat map for each of its nouns. It
            never sees a mask of the split.
        split: The split, or a slice of it.
        tau: Thresholds in [0, 1] for heat maps, relative to each map's maximum.
        batch_size: Examples handed to the method at once.
        progress: Show a bar with the time left, on stderr.

    Returns:
        The scores: `evaluate(...)[0.4]`, or `[None]` for a method that gives masks.

    Raises:
        InputError: An argument is out of range, or what the method returns is wrong.
    """
    check_batch_size(batch_size)
    segmenter = as_segmenter(method)
    begin_split(segmenter, split.name, split.whole.queries())
    batches = tqdm(
        batches_of(split, batch_size), desc=f"{segmenter.name} on {split.name}", disable=not progress
    )
    said = (
        (query.id, items)
        for queries in batches
        for query, items in zip(queries, segment_batch(segmenter, queries), strict=True)
    )
    return score(split, said, tau=tau)
