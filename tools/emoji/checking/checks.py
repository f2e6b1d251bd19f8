"""Decisions on masks, made of answers to the sheets, and the masks that follow from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, get_args

import numpy as np
from PIL import Image, ImageDraw
from pydantic import BaseModel, BeforeValidator, ConfigDict

from daam_bench.types import RLE, Annotation, BoolMask, Example
from daam_bench.types.errors import InputError
from daam_bench.types.masks import decode, encode
from tools.emoji.checking.regions import SPACES, Regions, colour_regions, mask_of, space_of

_Kind = Literal["accepted", "fixed", "annotated", "not drawn"]

DECISIONS = get_args(_Kind)
"""What can be decided on a noun: its proposal stands; it got another mask than that; it got one where no
proposal was shown; it isn't in the image."""

FORMAT = '{"id": "coco_gen-000", "nouns": [{"noun": "dog", "regions": [3, 7]}, {"noun": "cat"}]}'
"""An answer: the dog is those regions; the cat's mask stands as proposed; `"regions": []`: not depicted."""

Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y) in pixels of the image; (0, 0) is the upper left corner of the upper left pixel."""

Decision = Annotated[
    _Kind,
    BeforeValidator(lambda text: "fixed" if text == "mended" else text),  # the word in version 0.2's files
]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NounCheck(_Record):
    """The mask of one noun, as somebody put it together.

    Attributes:
        noun: The noun as it stands in the prompt.
        decision: One of `DECISIONS`.
        regions: Numbers of the regions it is made of; with no `add`, none means not depicted.
        add: Polygons painted in after that.
        cut: Polygons taken out at last.
    """

    noun: str
    decision: Decision
    regions: tuple[int, ...]
    add: tuple[Polygon, ...] = ()
    cut: tuple[Polygon, ...] = ()


class Check(_Record):
    """What somebody decided on one image.

    Attributes:
        id: Id of the example.
        image: `digest` of the image looked at.
        space: Colour space of the regions.
        nouns: One check a noun, in the order of the prompt.
        by: Who or what looked.
        date: When, as an ISO date.
        note: Remarks.
    """

    id: str
    image: str
    space: str
    nouns: tuple[NounCheck, ...]
    by: str
    date: str
    note: str = ""


class NounAnswer(_Record):
    """What to make of one noun's mask; without regions its proposal is the start."""

    noun: str
    regions: tuple[int, ...] | None = None
    add: tuple[Polygon, ...] = ()
    cut: tuple[Polygon, ...] = ()


class Answer(BaseModel):
    """An answer to a sheet, as in `FORMAT`."""

    id: str
    nouns: tuple[NounAnswer, ...]
    note: str = ""


def digest(image: Image.Image) -> str:
    """Return the first 16 hex digits of the SHA-256 over an image's RGB pixels."""
    return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()[:16]


def check_of(answer: Answer, example: Example, *, by: str, date: str, blind: bool) -> Check:
    """Make a check of an answer.

    Args:
        answer: The answer.
        example: The image of the answer, with the proposals that were shown.
        by: Who or what looked.
        date: When, as an ISO date.
        blind: Whether the sheet showed no proposals.

    Raises:
        ValueError: The answer doesn't fit the image, or accepts a proposal that was not shown.
    """
    space = space_of(blind=blind)
    regions = colour_regions(example.query.image, space)
    nouns = [
        _noun(noun, proposal, regions, blind=blind)
        for noun, proposal in zip(answer.nouns, example.masks, strict=True)
    ]
    check = Check(
        id=answer.id,
        image=digest(example.query.image),
        space=space,
        nouns=tuple(nouns),
        by=by,
        date=date,
        note=answer.note,
    )
    decided = [
        noun.model_copy(update={"decision": _decision(mask, proposal, blind=blind)})
        for noun, mask, proposal in zip(nouns, masks_of(check, example), example.masks, strict=True)
    ]
    return check.model_copy(update={"nouns": tuple(decided)})


def _noun(answer: NounAnswer, proposal: RLE | None, regions: Regions, *, blind: bool) -> NounCheck:
    chosen = answer.regions
    if chosen is None and blind:
        raise ValueError(f"no regions for {answer.noun!r}; there is no proposal that could stand")
    if chosen is None:
        chosen = () if proposal is None else tuple(np.unique(regions[decode(proposal)]).tolist())
    given: dict[str, Any] = answer.model_dump() | {"decision": "annotated", "regions": chosen}
    return NounCheck(**given)


def _decision(mask: BoolMask, proposal: RLE | None, *, blind: bool) -> str:
    if not mask.any():
        return "not drawn"
    if blind:
        return "annotated"
    return "accepted" if proposal is not None and np.array_equal(mask, decode(proposal)) else "fixed"


def masks_of(check: Check, example: Example) -> list[BoolMask]:
    """Put the masks of a check together, one a noun of shape (height, width); empty for one not depicted.

    Raises:
        InputError: The check is of another image or other nouns, a region isn't there, or it is in two
            nouns.
    """
    query = example.query
    if check.image != digest(query.image):
        raise InputError(f"{check.id}: the check is of another image than the dataset's; look at it again")
    names = [noun.text for noun in query.nouns]
    if [noun.noun for noun in check.nouns] != names:
        raise InputError(f"{check.id}: the check must name the nouns {', '.join(names)}, in this order")
    if check.space not in SPACES:
        raise InputError(f"{check.id}: no colour space {check.space!r}: choose one of {', '.join(SPACES)}")
    regions = colour_regions(query.image, check.space)
    chosen = [number for noun in check.nouns for number in noun.regions]
    for number in chosen:
        if not 0 <= number <= regions.max():
            raise InputError(f"{check.id}: no region {number}; they go from 0 to {regions.max()}")
        if chosen.count(number) > 1:
            raise InputError(f"{check.id}: region {number} is given twice")
    masks = []
    for noun in check.nouns:
        mask = mask_of(regions, noun.regions)
        for polygon in noun.add:
            mask |= _inside(polygon, query.image)
        for polygon in noun.cut:
            mask &= ~_inside(polygon, query.image)
        masks.append(mask)
    return masks


def apply_checks(examples: Sequence[Example], checks: Sequence[Check]) -> Iterator[Example]:
    """Yield examples with the masks and the annotation of their checks; those without one as they are.

    Raises:
        InputError: A check fits no example, two are of one, or one is refused by `masks_of`.
    """
    by_id = {check.id: check for check in checks}
    if len(by_id) < len(checks):
        twice = next(check.id for check in checks if by_id[check.id] is not check)
        raise InputError(f"two checks are of {twice}; leave one out")
    unknown = set(by_id) - {example.query.id for example in examples}
    if unknown:
        raise InputError(f"the dataset has no example {min(unknown)!r}")
    for example in examples:
        check = by_id.get(example.query.id)
        if check is None:
            yield example
            continue
        masks = tuple(encode(mask) if mask.any() else None for mask in masks_of(check, example))
        found = {noun.decision for noun in check.nouns}
        kinds = ", ".join(kind for kind in DECISIONS if kind in found)
        how = f"every noun looked at in the enlarged image: {kinds}"
        yield replace(example, masks=masks, annotation=Annotation(check.by, how, check.date))


def _inside(polygon: Polygon, image: Image.Image) -> BoolMask:
    """Return the pixels whose centres lie in a polygon."""
    scale = 8  # PIL's polygons go from pixel to pixel: draw large, then look at the centres
    canvas = Image.new("1", (image.width * scale, image.height * scale))
    ImageDraw.Draw(canvas).polygon([(scale * x, scale * y) for x, y in polygon], fill=1)
    inside: BoolMask = np.asarray(canvas)[scale // 2 :: scale, scale // 2 :: scale]
    return inside
