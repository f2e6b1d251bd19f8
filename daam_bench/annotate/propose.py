"""A method's masks as proposals: a first annotation, for a person to check."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from daam_bench.engine import Pool, WholeJob
from daam_bench.files.predictions import read_predictions
from daam_bench.segmenters.base import Segmenter
from daam_bench.segmenters.segment import segment
from daam_bench.types import Annotation, Example, Prediction, PredictionsHeader, Split
from daam_bench.types.examples import PROPOSED
from daam_bench.types.masks import area


def propose(
    segmenter: Segmenter | Pool,
    split: Split,
    work: Path,
    *,
    tau: float = 0.4,
    every: bool = False,
    batch_size: int = 16,
    progress: bool = True,
    restart: bool = False,
    part: WholeJob | None = None,
) -> tuple[Example, ...]:
    """Segment the nouns of a split's unannotated examples, and return all with the masks as annotation.

    A `part` that is not the whole leaves the annotation to the whole.

    An empty mask or no prediction proposes that the noun is not depicted. The new `annotation.how` begins
    with "proposal" and names all that the masks depend on; `annotation.masks` are all "proposed".

    The method sees queries, never a mask. `work` is the folder for its predictions, from which a killed run
    resumes; `tau` in [0, 1] the threshold for heat maps; `every` replaces the masks of annotated examples
    too. For the others, and for errors, see `daam_bench.segmenters.segment.segment`.
    """
    chosen = to_propose(split, every=every)
    if not chosen:
        return split.examples
    chosen_split = replace(split, examples=chosen)
    path = segment(
        segmenter,
        chosen_split,
        work,
        taus=(tau,),
        batch_size=batch_size,
        progress=progress,
        restart=restart,
        part=part,
    )
    if part is not None and not part.is_whole:
        return split.examples
    header, predictions = read_predictions(path)
    by_pair = {(prediction.id, prediction.noun): prediction for prediction in predictions}
    annotation = _annotation(header, by_pair)
    new = {example.query.id for example in chosen}
    return tuple(
        _with_masks(example, by_pair, annotation) if example.query.id in new else example
        for example in split.examples
    )


def to_propose(split: Split, *, every: bool) -> tuple[Example, ...]:
    """Return the examples to propose masks for: all with nouns, or (not `every`) those without annotation."""
    return tuple(
        example for example in split.examples if example.query.nouns and (every or example.annotation is None)
    )


def _annotation(header: PredictionsHeader, predictions: Mapping[tuple[str, int], Prediction]) -> Annotation:
    tau = next(iter(predictions.values())).tau
    parameters = json.dumps(header.parameters, ensure_ascii=False, sort_keys=True)
    how = "hard masks" if tau is None else f"heat maps at tau {tau:g}"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    said = f"proposal: {how}, parameters {parameters}"
    return Annotation(header.method, said, today, proposal=header.method)


def _with_masks(
    example: Example, predictions: Mapping[tuple[str, int], Prediction], annotation: Annotation
) -> Example:
    found = [predictions[example.query.id, noun].mask for noun in range(len(example.query.nouns))]
    masks = tuple(mask if mask is not None and area(mask) else None for mask in found)
    return replace(example, masks=masks, annotation=replace(annotation, masks=(PROPOSED,) * len(masks)))
