"""Two annotations of a dataset merged into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from daam_bench.annotate.agreement import NounAgreement
from daam_bench.types import Annotation, BoolMask, Example, Split
from daam_bench.types.errors import InputError
from daam_bench.types.examples import ACCEPTED, OWN
from daam_bench.types.masks import decode, encode

LEAST_IOU = 0.5
"""Two masks with a lower IoU are of different things, and not merged."""

Preferred = Literal["a", "b"]

_SHOWN = 5


def merge_annotations(
    a: Split, b: Split, nouns: Sequence[NounAgreement], prefer: Preferred | None = None
) -> list[Example]:
    """Return the examples of the first annotation, with the merged masks of those that both annotate.

    A noun that both call not depicted has no mask. Examples that only the second annotates come from it.

    Args:
        a: The first annotation of a split.
        b: The second one.
        nouns: What `compare_nouns` says of the two.
        prefer: Whose word counts where only one of them says that a noun is depicted, or their masks have an
            IoU below `LEAST_IOU`; None refuses such nouns.

    Raises:
        InputError: There are such nouns.
    """
    undecided = [noun for noun in nouns if _differs(noun)]
    if undecided and prefer is None:
        named = ", ".join(f"{noun.text} of {noun.id}" for noun in undecided[:_SHOWN])
        more = ", ..." if len(undecided) > _SHOWN else ""
        raise InputError(
            f"split {a.name!r}: {len(undecided)} nouns are too different to merge ({named}{more}): "
            f"depicted in one annotation only, or with an IoU below {LEAST_IOU:g}; settle them in one of the "
            "two (--output lists them), or let one decide with --prefer a or --prefer b"
        )
    others = {example.id: example for example in b.examples if example.annotation is not None}
    by_id: dict[str, list[NounAgreement]] = {}
    for noun in nouns:
        by_id.setdefault(noun.id, []).append(noun)
    return [
        _merge(example, others[example.id], by_id[example.id], prefer)
        if example.id in by_id
        else (others.get(example.id, example) if example.annotation is None else example)
        for example in a.examples
    ]


def mean_shape(a: BoolMask, b: BoolMask) -> BoolMask:
    """Return the shape halfway between two masks, neither of them empty.

    The mean of their signed distances to the outline, negative inside, is below 0 there (Rohlfing and Maurer,
    "Shape-based averaging", IEEE Transactions on Image Processing 16(1), 2007).

    >>> mean_shape(np.array([[1, 1, 1, 1, 0]], bool), np.array([[1, 1, 0, 0, 0]], bool)).astype(int)
    array([[1, 1, 1, 0, 0]])
    """
    return np.asarray(_signed_distance(a) + _signed_distance(b) < 0)


def _differs(noun: NounAgreement) -> bool:
    return noun.depicted_a != noun.depicted_b or (noun.iou is not None and noun.iou < LEAST_IOU)


def _signed_distance(mask: BoolMask) -> NDArray[np.float64]:
    """Return the distance in pixels to the outline, which runs between pixels: negative inside.

    The image's edge is no outline: an object may go on beyond it.
    """
    if mask.all():
        return np.full(mask.shape, -float(max(mask.shape)))
    inside, outside = distance_transform_edt(mask), distance_transform_edt(~mask)
    return np.asarray(np.where(mask, 0.5 - inside, outside - 0.5))


def _merge(one: Example, other: Example, nouns: Sequence[NounAgreement], prefer: Preferred | None) -> Example:
    masks, kinds = [], []
    annotations = (one.annotation, other.annotation)
    for index, noun in enumerate(nouns):
        pair = (one.masks[index], other.masks[index])
        kind_pair = tuple(found.masks[index] if found and found.masks else None for found in annotations)
        if _differs(noun):
            chosen = 0 if prefer == "a" else 1
            masks.append(pair[chosen])
            kinds.append(kind_pair[chosen])
        elif noun.iou is None or noun.iou == 1:
            masks.append(pair[0])
            kinds.append(kind_pair[0])
        else:
            a, b = (decode(mask) for mask in pair if mask is not None)
            merged = mean_shape(a, b)
            masks.append(encode(merged if merged.any() else a & b))
            kinds.append(kind_pair[0] if kind_pair[0] == kind_pair[1] != ACCEPTED else OWN)
    return replace(one, masks=tuple(masks), annotation=_annotation(one, other, kinds))


def _annotation(one: Example, other: Example, kinds: Sequence[str | None]) -> Annotation:
    a, b = one.annotation, other.annotation
    assert a is not None
    assert b is not None
    by = a.by if a.by == b.by else f"{a.by} and {b.by}"
    how = "two annotations merged: the shape halfway between"
    known = tuple(kind for kind in kinds if kind is not None)
    masks = known if len(known) == len(kinds) else None
    return Annotation(by, how, max(a.date, b.date), masks, a.proposal or b.proposal)
