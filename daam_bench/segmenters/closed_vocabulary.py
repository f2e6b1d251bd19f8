"""Detectors with a closed vocabulary: from their instances to the masks of a query's nouns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daam_bench.types import BoolMask, Query
from daam_bench.types.errors import InputError
from daam_bench.types.examples import CLASSES

Vocabulary = tuple[str | None, ...]
"""The COCO class of each of a detector's labels, None for a label that is none of them."""

_PASCAL_NAMES = {
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}
"""Pascal VOC's names for COCO classes, which some models trained on COCO carry."""


@dataclass(frozen=True, slots=True)
class Instances:
    """What a detector found in an image.

    Attributes:
        labels: Its own label of each instance, int64 of shape (instances,).
        masks: Their masks, bool of shape (instances, height, width) at the image's size.
    """

    labels: NDArray[np.int64]
    masks: BoolMask


def read_vocabulary(
    names: Sequence[str], renamed: Mapping[str, str | None] | None = None, *, source: str
) -> Vocabulary:
    """Match a detector's class names with COCO's 80 classes.

    Args:
        names: The detector's class names in the order of its labels.
        renamed: Class name -> COCO class, or None for no class. Given at all, names that are neither in it
            nor COCO's are left out; without it they are an error, so that no class is missed unnoticed.
        source: Where the names come from, for messages.

    Raises:
        InputError: A name is none of COCO's, or `renamed` names something unknown.

    >>> read_vocabulary(["cat", "sofa", "tree"], {"tree": None}, source="a config")
    ('cat', 'couch', None)
    """
    if renamed is not None and not isinstance(renamed, Mapping):
        raise InputError(
            f'classes must map names to COCO classes, as in {{"sofa": "couch"}}, not {renamed!r}'
        )
    for name, coco_class in (renamed or {}).items():
        if name not in names:
            raise InputError(f"classes: {source} has no class {name!r}; it has {_listed(names)}")
        if coco_class is not None and coco_class not in CLASSES:
            raise InputError(f"classes: {coco_class!r} is none of COCO's 80 classes ({_listed(CLASSES)})")
    known = {**dict(zip(CLASSES, CLASSES, strict=True)), **_PASCAL_NAMES, **(renamed or {})}
    unknown = [name for name in names if name not in known]
    if unknown and renamed is None:
        raise InputError(
            f"{len(unknown)} of the {len(names)} classes of {source} are none of COCO's 80 "
            f'({_listed(unknown)}); map them, as in --option \'classes={{"{unknown[0]}": "cat"}}\', or leave '
            "them out with --option 'classes={}'"
        )
    return tuple(known.get(name) for name in names)


def noun_masks(query: Query, instances: Instances, vocabulary: Vocabulary) -> list[BoolMask | None]:
    """Return for each noun the union of the instances of its COCO class; None where nothing was found."""
    if len(instances.labels) and instances.labels.max() >= len(vocabulary):
        raise InputError(
            f"the detector found label {instances.labels.max()}, but names {len(vocabulary)} classes; "
            "its config and weights don't belong together"
        )
    classes = np.array([vocabulary[label] for label in instances.labels], dtype=object)
    return [
        instances.masks[classes == noun.coco_class].any(axis=0)
        if noun.coco_class is not None and (classes == noun.coco_class).any()
        else None
        for noun in query.nouns
    ]


def check_score(score: object) -> float:
    """Return the least score of instances that count; InputError unless a number in [0, 1]."""
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1:
        raise InputError(f"score must be a number in [0, 1], not {score!r}")
    return float(score)


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")
