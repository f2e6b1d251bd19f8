"""Decisions on masks, one line an image, and what they make of a dataset."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from daam_bench.files.replacing import replacing_file
from daam_bench.types import Annotation, BoolMask, Example
from daam_bench.types.errors import InputError
from daam_bench.types.masks import encode
from tools.emoji.checking.regions import SPACES, colour_regions, mask_of

DECISIONS = ("accepted", "fixed", "annotated", "not drawn")
"""What can be decided on a noun: its proposal stands; it got another mask than that; it got one where no
proposal was shown; it isn't in the image."""

Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y) in pixels of the image; (0, 0) is the upper left corner of the upper left pixel."""


@dataclass(frozen=True, slots=True)
class NounCheck:
    """The mask of one noun, as somebody put it together.

    Attributes:
        noun: The noun as it stands in the prompt.
        decision: One of `DECISIONS`.
        regions: Numbers of the regions it is made of; with no `add`, none means not drawn.
        add: Polygons painted in after that.
        cut: Polygons taken out at last.
    """

    noun: str
    decision: str
    regions: tuple[int, ...]
    add: tuple[Polygon, ...] = ()
    cut: tuple[Polygon, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
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


def digest(image: Image.Image) -> str:
    """Return the first 16 hex digits of the SHA-256 over an image's RGB pixels."""
    return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()[:16]


def write_checks(path: Path, checks: Sequence[Check]) -> None:
    """Write checks as JSON lines, all of them or nothing."""
    with replacing_file(path) as fresh:
        lines = [json.dumps(_record(check), ensure_ascii=False) for check in checks]
        fresh.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_checks(path: Path) -> list[Check]:
    """Read what `write_checks` wrote.

    Raises:
        InputError: A line is no check; the message names it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't read {path}: {error}") from None
    checks = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            nouns = tuple(parse_noun(noun) for noun in record.pop("nouns"))
            checks.append(Check(**record, nouns=nouns))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}, line {number} is no check: {error}") from None
    return checks


def parse_noun(record: Mapping[str, Any]) -> NounCheck:
    """Read the check of a noun from its JSON object, in which `add` and `cut` may be missing."""
    unknown = set(record) - {field.name for field in fields(NounCheck)}
    if unknown:
        raise ValueError(f"unknown key {min(unknown)!r}")
    if record["decision"] not in DECISIONS:
        raise ValueError(f"no decision {record['decision']!r}: choose one of {', '.join(DECISIONS)}")
    polygons = {
        name: tuple(tuple((float(x), float(y)) for x, y in polygon) for polygon in record.get(name, ()))
        for name in ("add", "cut")
    }
    regions = tuple(int(number) for number in record["regions"])
    return NounCheck(str(record["noun"]), str(record["decision"]), regions, **polygons)


def masks_of(check: Check, example: Example) -> list[BoolMask]:
    """Put the masks of a check together, one a noun of shape (height, width); empty for one not drawn.

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


def _record(check: Check) -> dict[str, Any]:
    record = asdict(check)
    record["nouns"] = [
        {name: value for name, value in noun.items() if value or name not in ("add", "cut")}
        for noun in record["nouns"]
    ]
    if not check.note:
        del record["note"]
    return record
