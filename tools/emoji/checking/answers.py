"""Answers to the sheets: what to make of each noun's mask, turned into checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from daam_bench.types import RLE, BoolMask, Example
from daam_bench.types.masks import decode
from tools.emoji.checking.checks import Check, NounCheck, digest, masks_of, parse_noun
from tools.emoji.checking.regions import Regions, colour_regions, space_of

FORMAT = '{"id": "coco_gen-000", "nouns": [{"noun": "dog", "regions": [3, 7]}, {"noun": "cat"}]}'
"""An answer: the dog is those regions; the cat's mask stands as proposed; `"regions": []` means not drawn."""


def check_of(answer: Mapping[str, Any], example: Example, *, by: str, date: str, blind: bool) -> Check:
    """Make a check of an answer.

    Args:
        answer: As in `FORMAT`, and maybe a "note", and polygons to "add" and "cut" at a noun.
        example: The image of the answer, with the proposals that were shown.
        by: Who or what looked.
        date: When, as an ISO date.
        blind: Whether the sheet showed no proposals.

    Raises:
        KeyError: A key is missing.
        ValueError: The answer doesn't fit the image, or accepts a proposal that was not shown.
    """
    space = space_of(blind=blind)
    regions = colour_regions(example.query.image, space)
    nouns = [
        _noun(record, proposal, regions, blind=blind)
        for record, proposal in zip(answer["nouns"], example.masks, strict=True)
    ]
    check = Check(
        str(answer["id"]), digest(example.query.image), space, tuple(nouns), by, date, answer.get("note", "")
    )
    decided = [
        replace(noun, decision=_decision(mask, proposal, blind=blind))
        for noun, mask, proposal in zip(nouns, masks_of(check, example), example.masks, strict=True)
    ]
    return replace(check, nouns=tuple(decided))


def _noun(record: Mapping[str, Any], proposal: RLE | None, regions: Regions, *, blind: bool) -> NounCheck:
    if "regions" in record:
        return parse_noun({**record, "decision": "annotated"})
    if blind:
        raise ValueError(f"no regions for {record['noun']!r}; there is no proposal that could stand")
    chosen = [] if proposal is None else np.unique(regions[decode(proposal)]).tolist()
    return parse_noun({**record, "decision": "annotated", "regions": chosen})


def _decision(mask: BoolMask, proposal: RLE | None, *, blind: bool) -> str:
    if not mask.any():
        return "not drawn"
    if blind:
        return "annotated"
    return "accepted" if proposal is not None and np.array_equal(mask, decode(proposal)) else "fixed"
