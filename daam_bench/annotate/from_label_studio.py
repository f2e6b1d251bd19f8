"""Masks from Label Studio's export as JSON: what annotators painted on our tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from daam_bench.annotate.brush import decode_brush
from daam_bench.annotate.findings import Findings, Found, SplitExample, numbered, shown
from daam_bench.types import RLE, BoolMask, Example
from daam_bench.types.errors import InputError
from daam_bench.types.masks import encode

MAX_TASKS, MAX_RESULTS = 200_000, 500
"""Most tasks that a file may have, and most results that an annotation may have."""

Record = dict[str, Any]


def is_label_studio(content: object) -> bool:
    """Say whether the content of a JSON file looks like Label Studio's tasks."""
    return isinstance(content, list) and any(
        isinstance(task, dict) and isinstance(task.get("data"), dict) for task in content
    )


def find_in_label_studio(content: Sequence[Any], splits: Mapping[str, Sequence[Example]]) -> Findings:
    """Find the masks of a dataset's nouns in Label Studio's tasks.

    Of a task's annotations the latest counts that was not skipped; predictions and drafts don't. Brush
    strokes of one noun are united. A noun that is ticked is not depicted; one that is neither ticked nor
    painted is a problem, and nothing is known of it.

    Args:
        content: The content of the file: a list of tasks with their annotations.
        splits: The splits in which examples are looked for, by name.

    Raises:
        InputError: There are more tasks than can be an annotator's.
    """
    if len(content) > MAX_TASKS:
        raise InputError(f"it holds more than {MAX_TASKS} tasks; import it in parts")
    places = {
        (split, example.query.id): SplitExample(split, example)
        for split, examples in splits.items()
        for example in examples
    }
    findings = Findings()
    for number, task in enumerate(content, start=1):
        try:
            annotation = _latest(task)
            if annotation is None:
                continue
            place = _place(task, places)
        except InputError as error:
            findings.problems.append(f"task {number}: {error}")
            continue
        masks = _masks(place, annotation, findings.problems)
        if masks:
            findings.found.append(Found(place, masks))
            del places[place.name]
    return findings


def _latest(task: object) -> Record | None:
    """Return the latest annotation of a task that was not skipped, or None."""
    if not isinstance(task, dict):
        raise InputError("it is no object; export as JSON")
    annotations = task.get("annotations")
    kept = [
        annotation
        for annotation in (annotations if isinstance(annotations, list) else [])
        if isinstance(annotation, dict) and not annotation.get("was_cancelled")
    ]
    return max(kept, key=_when, default=None)


def _when(annotation: Record) -> tuple[str, float]:
    time = annotation.get("updated_at") or annotation.get("created_at")
    number = annotation.get("id")
    return (time if isinstance(time, str) else "", number if type(number) is int else -1)


def _place(task: Record, places: Mapping[tuple[str, str], SplitExample]) -> SplitExample:
    data = task.get("data")
    split, identifier, prompt = (
        data.get(key) if isinstance(data, dict) else None for key in ("split", "id", "prompt")
    )
    if not (isinstance(split, str) and isinstance(identifier, str)):
        raise InputError('it has no "split" and "id" in its "data"; import the tasks that were exported')
    place = places.get((split, identifier))
    if place is None:
        raise InputError(
            f"{split[:60]}, image {shown(identifier)}: not in the dataset, or twice in the file; "
            "name the dataset it was exported from"
        )
    if prompt != place.example.query.prompt:
        raise InputError(f"{place}: its prompt is {shown(prompt)}; name the dataset it was exported from")
    return place


def _masks(place: SplitExample, annotation: Record, problems: list[str]) -> dict[int, RLE | None]:
    result = annotation.get("result")
    if not isinstance(result, list) or len(result) > MAX_RESULTS:
        problems.append(f'{place}: its "result" is no list of at most {MAX_RESULTS}; export as JSON')
        return {}
    index_of = {label: index for index, label in enumerate(numbered(place.example.query.nouns))}
    strokes: dict[int, list[Record]] = {}
    not_depicted: set[int] = set()
    for record in result:
        kind = record.get("type") if isinstance(record, dict) else None
        if kind not in ("brushlabels", "choices"):
            problems.append(f"{place}: a result of type {shown(kind)}; paint with a noun's label")
            continue
        for label in _labels(record, kind):
            if label not in index_of:
                problems.append(f"{place}, {shown(label)}: no noun of its prompt")
            elif kind == "choices":
                not_depicted.add(index_of[label])
            else:
                strokes.setdefault(index_of[label], []).append(record)
    masks: dict[int, RLE | None] = {}
    for index in index_of.values():
        try:
            if index in strokes and index in not_depicted:
                raise InputError("it is painted, and ticked as not depicted; undo one of them")
            if index in strokes:
                masks[index] = _united(strokes[index], place)
            elif index in not_depicted:
                masks[index] = None
            else:
                raise InputError("neither painted nor ticked as not depicted; do one of them")
        except InputError as error:
            problems.append(f"{place.noun(index)}: {error}")
    return masks


def _labels(record: Record, kind: str) -> list[str]:
    value = record.get("value")
    found = value.get(kind) if isinstance(value, dict) else None
    labels = found if isinstance(found, list) and found else [None]
    return sorted({label if isinstance(label, str) else "" for label in labels})


def _united(strokes: Sequence[Record], place: SplitExample) -> RLE:
    mask = reduce(np.logical_or, (_painted(stroke, place) for stroke in strokes))
    if not mask.any():
        raise InputError("its mask is empty; paint it, or delete it and tick the noun as not depicted")
    return encode(mask)


def _painted(record: Record, place: SplitExample) -> BoolMask:
    size = [record.get("original_height"), record.get("original_width")]
    if size != list(place.size):
        raise InputError(
            f"it was painted on an image of {shown(size)}, but [height, width] is {list(place.size)}; "
            "import the tasks that were exported"
        )
    if record.get("image_rotation"):
        raise InputError("it was painted on a rotated image; paint it upright")
    return decode_brush(record["value"].get("rle"), *place.size)
