"""A method's masks as proposals: a first annotation, for a person to check."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from daam_bench.files.predictions import read_predictions
from daam_bench.segmenters.base import Segmenter
from daam_bench.segmenters.segment import segment
from daam_bench.types import Annotation, Example, Prediction, PredictionsHeader, Split
from daam_bench.types.masks import area


@dataclass(frozen=True, slots=True)
class Proposed:
    """A split with proposals.

    Attributes:
        examples: All examples of the split in their order, with the new masks.
        new: Number of examples with new masks.
    """

    examples: tuple[Example, ...]
    new: int


def propose(
    segmenter: Segmenter,
    split: Split,
    work: Path,
    *,
    tau: float = 0.4,
    every: bool = False,
    batch_size: int = 16,
    progress: bool = True,
    restart: bool = False,
) -> Proposed:
    """Segment the nouns of a split's unannotated examples, and take the masks as their annotation.

    An empty mask or no prediction proposes that the noun is not depicted. The new `annotation.how` begins
    with "proposal" and names all that the masks depend on.

    Args:
        segmenter: The method. It sees queries, never a mask.
        split: The split.
        work: Folder for the predictions, from which a killed run resumes.
        tau: Threshold in [0, 1] for heat maps.
        every: Replace the masks of annotated examples too.
        batch_size: Examples handed to the method at once.
        progress: Show a bar with the time left, on stderr.
        restart: Overwrite what is in `work` instead of resuming it.

    Raises:
        InputError: See `daam_bench.segmenters.segment.segment`.
    """
    chosen = to_propose(split, every=every)
    if not chosen:
        return Proposed(split.examples, 0)
    part = replace(split, examples=chosen)
    path = segment(
        segmenter, part, work, taus=(tau,), batch_size=batch_size, progress=progress, restart=restart
    )
    header, predictions = read_predictions(path)
    by_pair = {(prediction.id, prediction.noun): prediction for prediction in predictions}
    annotation = _annotation(header, by_pair)
    new = {example.query.id for example in chosen}
    examples = tuple(
        _with_masks(example, by_pair, annotation) if example.query.id in new else example
        for example in split.examples
    )
    return Proposed(examples, len(new))


def to_propose(split: Split, *, every: bool) -> tuple[Example, ...]:
    """Return the examples to propose masks for: all with nouns, or (not `every`) those without annotation."""
    return tuple(
        example for example in split.examples if example.query.nouns and (every or example.annotation is None)
    )


def count_checked(examples: Sequence[Example]) -> int:
    """Count the examples whose masks are no mere proposals."""
    return sum(example.annotation is not None and not example.annotation.is_proposal for example in examples)


def _annotation(header: PredictionsHeader, predictions: Mapping[tuple[str, int], Prediction]) -> Annotation:
    tau = next(iter(predictions.values())).tau
    parameters = json.dumps(header.parameters, ensure_ascii=False, sort_keys=True)
    how = "hard masks" if tau is None else f"heat maps at tau {tau:g}"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return Annotation(header.method, f"proposal: {how}, parameters {parameters}", today)


def _with_masks(
    example: Example, predictions: Mapping[tuple[str, int], Prediction], annotation: Annotation
) -> Example:
    found = [predictions[example.query.id, noun].mask for noun in range(len(example.query.nouns))]
    masks = tuple(mask if area(mask) else None for mask in found)
    return replace(example, masks=masks, annotation=annotation)
