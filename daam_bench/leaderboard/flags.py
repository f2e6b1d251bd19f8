"""What an entry is marked with: masks that are too good to have been predicted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from daam_bench.datasets.load import locate
from daam_bench.files.predictions import read_predictions
from daam_bench.leaderboard.entries import Entry
from daam_bench.scoring.score import score
from daam_bench.types import RLE, Report, Scores, Split
from daam_bench.types.errors import InputError

LIMIT = 0.95
"""Mean IoU above which masks are taken for copies. Two annotations of the same images reach about 0.92."""

PROPOSALS = "proposals"
"""Folder of a dataset with what its annotator proposed, `<split>.jsonl`: a predictions file."""


def find_flags(entry: Entry, splits: Sequence[Split], proposals: Mapping[str, Split]) -> tuple[str, ...]:
    """Say what is to be known of an entry before its scores are believed, a sentence each; mostly nothing.

    Args:
        entry: The entry, whose report has been checked against its masks.
        splits: The splits of the dataset.
        proposals: Those that have them with the annotator's proposals as masks, of `proposed_splits`.
    """
    found = [
        f"Its {what} agree with the ground truth of {name}, which is public, at a mean IoU of {best:.3f}."
        for name, what, best in _agreements(entry.report)
        if best > LIMIT
    ]
    for split in splits:
        if split.name in proposals and split.name in entry.report.splits:
            scores = score(proposals[split.name], entry.predictions(split.name), resamples=1)
            best = max((at_tau.miou_inf or 0.0 for at_tau in scores.values()), default=0.0)
            if best > LIMIT:
                found.append(
                    f"Its masks agree with the proposals of the dataset's annotator for {split.name} at a "
                    f"mean IoU of {best:.3f}."
                )
    return tuple(found)


def _agreements(report: Report) -> Iterator[tuple[str, str, float]]:
    """Yield for every split how well the masks, and the heat maps at their best tau, agree with its masks."""
    for name, by_tau in report.splits.items():
        masks = max((scores.miou_inf or 0.0 for scores in by_tau.values()), default=0.0)
        maps = max((_best_of_maps(scores) for scores in by_tau.values()), default=0.0)
        yield (name, "heat maps", maps) if maps > masks else (name, "masks", masks)


def _best_of_maps(scores: Scores) -> float:
    return max((point.miou_inf or 0.0 for point in (scores.miou_over_tau or {}).values()), default=0.0)


def proposed_splits(dataset: str, splits: Sequence[Split]) -> dict[str, Split]:
    """Return the splits that a dataset has proposals for, with the proposals in place of their masks."""
    found = {}
    for split in splits:
        path = Path(locate(dataset)) / PROPOSALS / f"{split.name}.jsonl"
        if path.exists():
            masks = {(entry.id, entry.noun): entry.mask for entry in read_predictions(path)[1]}
            found[split.name] = _with_masks(split, masks)
    return found


def _with_masks(split: Split, masks: Mapping[tuple[str, int], RLE | None]) -> Split:
    examples = tuple(
        replace(
            example, masks=tuple(masks.get((example.id, noun)) for noun in range(len(example.query.nouns)))
        )
        for example in split.examples
    )
    if not any(mask for example in examples for mask in example.masks):
        raise InputError(f"the proposals of {split.name} are of other images; make them again")
    return replace(split, examples=examples)
