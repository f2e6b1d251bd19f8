"""What a perfect detector with a closed vocabulary scores: a bound that no better masks can move."""

from __future__ import annotations

from collections.abc import Sequence

from daam_bench.scoring.bootstrap import RESAMPLES
from daam_bench.scoring.report import build_report, describe_environment
from daam_bench.scoring.results import SplitScores
from daam_bench.scoring.score import score
from daam_bench.types import Prediction, Report, Split

CAP = "closed-vocabulary-cap"
"""What stands for a method in the report of the bound."""


def closed_vocabulary_cap(split: Split, *, resamples: int = RESAMPLES, seed: int = 0) -> SplitScores:
    """Score the ground truth of each noun with a COCO-80 class, and nothing for every other noun.

    mIoU_80 is 1 by construction, and mIoU_inf the share of the pairs whose noun has a class: what a detector
    of COCO's classes reaches at most, however good its masks are.

    Args:
        split: The split.
        resamples: Number of bootstrap resamples behind each interval.
        seed: Seed of the bootstrap.
    """
    perfect = (
        Prediction(example.id, noun, None, None if asked.coco_class is None else mask)
        for example in split
        for noun, (asked, mask) in enumerate(zip(example.query.nouns, example.masks, strict=True))
    )
    return score(split, perfect, resamples=resamples, seed=seed)


def cap_report(splits: Sequence[Split]) -> Report:
    """Return the bound on some splits of one dataset as the report of a method called `CAP`."""
    return build_report(
        [closed_vocabulary_cap(split) for split in splits],
        method=CAP,
        parameters={},
        dataset=splits[0].dataset,
        environment=describe_environment(seeds={"bootstrap": 0}),
        track="closed vocabulary",
    )
