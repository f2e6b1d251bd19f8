"""Decisions on masks, made of answers to the sheets, and the masks that follow from them; as files too."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

import numpy as np
from PIL import Image, ImageDraw
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from daam_bench.datasets.card import with_annotation
from daam_bench.datasets.load import load_whole
from daam_bench.datasets.write import write_dataset
from daam_bench.files.replacing import replacing_file
from daam_bench.types import Annotation, BoolMask, Example, Split
from daam_bench.types.errors import InputError
from daam_bench.types.examples import ACCEPTED, EDITED, OWN
from daam_bench.types.masks import decode, encode
from tools.emoji.checking.regions import BY, SPACES, colour_regions, mask_of, space_of
from tools.emoji.configuration import problems

R = TypeVar("R", bound=BaseModel)

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
    """The mask of one noun: the regions of these numbers, the polygons to add, then those to cut out.

    Without a region and a polygon to add the noun is not depicted.
    """

    noun: str
    decision: Decision
    regions: tuple[int, ...]
    add: tuple[Polygon, ...] = ()
    cut: tuple[Polygon, ...] = ()


class Check(_Record):
    """What somebody decided on one image, noun by noun in the order of the prompt.

    `image` is the `digest` of the image, `space` the colour space of its regions, `date` an ISO date.
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
    """Make a check of an answer to a sheet, which showed no proposals if `blind`.

    Raises:
        ValueError: The answer doesn't fit the image, or accepts a proposal that was not shown.
    """
    space = space_of(blind=blind)
    regions = colour_regions(example.query.image, space)
    nouns = []
    for given, proposal in zip(answer.nouns, example.masks, strict=True):
        chosen = given.regions
        if chosen is None and blind:
            raise ValueError(f"no regions for {given.noun!r}; there is no proposal that could stand")
        if chosen is None:
            chosen = () if proposal is None else tuple(np.unique(regions[decode(proposal)]).tolist())
        nouns.append(NounCheck(**given.model_dump(exclude={"regions"}), regions=chosen, decision="annotated"))
    check = Check(
        id=answer.id,
        image=digest(example.query.image),
        space=space,
        nouns=tuple(nouns),
        by=by,
        date=date,
        note=answer.note,
    )
    decided = []
    for noun, mask, proposal in zip(nouns, masks_of(check, example), example.masks, strict=True):
        stands = proposal is not None and np.array_equal(mask, decode(proposal))
        shown = "annotated" if blind else "accepted" if stands else "fixed"
        decided.append(noun.model_copy(update={"decision": shown if mask.any() else "not drawn"}))
    return check.model_copy(update={"nouns": tuple(decided)})


def masks_of(check: Check, example: Example) -> list[BoolMask]:
    """Put the masks of a check together, one a noun of shape (height, width); empty for one not depicted.

    Raises:
        InputError: It is of another image or other nouns, or a region isn't there or is in two nouns.
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
        blind = check.space == space_of(blind=True)
        how = f"every noun looked at in the enlarged image: {kinds}"
        proposal = None if blind else BY
        annotation = Annotation(check.by, how, check.date, mask_kinds(check), proposal)
        yield replace(example, masks=masks, annotation=annotation)


def mask_kinds(check: Check) -> tuple[str, ...]:
    """Return how the mask of each noun came to be: on a blind sheet its own, else as proposed or edited."""
    blind = check.space == space_of(blind=True)
    return tuple(
        OWN if blind else ACCEPTED if noun.decision == "accepted" else EDITED for noun in check.nouns
    )


def _inside(polygon: Polygon, image: Image.Image) -> BoolMask:
    """Return the pixels whose centres lie in a polygon."""
    scale = 8  # PIL's polygons go from pixel to pixel: draw large, then look at the centres
    canvas = Image.new("1", (image.width * scale, image.height * scale))
    ImageDraw.Draw(canvas).polygon([(scale * x, scale * y) for x, y in polygon], fill=1)
    inside: BoolMask = np.asarray(canvas)[scale // 2 :: scale, scale // 2 :: scale]
    return inside


def record_answers(*, dataset: str, answers: Path, by: str, blind: bool, output: Path) -> None:
    """Add to each answer what was looked at, by whom and when, and write the checks."""
    examples = examples_by_id(load_whole(dataset).splits.values())
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    checks: dict[str, Check] = {}
    for number, answer in enumerate(_read(answers, Answer, f"write as in {FORMAT}"), start=1):
        try:
            if answer.id not in examples:
                raise ValueError(f"the dataset has no example {answer.id!r}")
            if answer.id in checks:
                raise ValueError(f"{answer.id} has an answer already")
            checks[answer.id] = check_of(answer, examples[answer.id], by=by, date=today, blind=blind)
        except ValueError as error:
            raise InputError(f"{answers}, line {number}: {error}; write as in {FORMAT}") from None
    ordered = [checks[name] for name in examples if name in checks]
    with writing(output):
        write_checks(output, ordered)
    print(f"{output}: {len(ordered)} images; nouns {_count_decisions(ordered)}")


def apply_to_dataset(*, dataset: str, checks: Sequence[Path], output: Path) -> None:
    """Write the dataset with the masks of its checks, and say how often each decision was taken."""
    splits, card = load_whole(dataset)
    decided = [check for path in checks for check in read_checks(path)]
    examples = examples_by_id(splits.values())
    checked = {example.query.id: example for example in apply_checks(list(examples.values()), decided)}
    result = {name: [checked[example.query.id] for example in split] for name, split in splits.items()}
    with writing(output):
        write_dataset(output, result, with_annotation(card, result))
    print(f"{output}/: {len(decided)} images checked; nouns {_count_decisions(decided)}")


def _count_decisions(checks: Iterable[Check]) -> str:
    counts = Counter(noun.decision for check in checks for noun in check.nouns)
    return ", ".join(f"{counts[kind]} {kind}" for kind in DECISIONS if counts[kind])


def write_checks(path: Path, checks: Sequence[Check]) -> None:
    """Write checks as JSON lines, all of them or nothing."""
    with replacing_file(path) as partial:
        records = [check.model_dump(mode="json", exclude_defaults=True) for check in checks]
        lines = [json.dumps(record, ensure_ascii=False) for record in records]
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_checks(path: Path) -> list[Check]:
    """Read what `write_checks` wrote; an `InputError` names a line that is no check."""
    return list(_read(path, Check, "give what `answers` wrote"))


def _read(path: Path, kind: type[R], hint: str) -> Iterator[R]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't read {path}: {error}") from None
    for number, line in enumerate(lines, start=1):
        try:
            yield kind.model_validate_json(line)
        except ValidationError as error:
            name = kind.__name__.lower()
            raise InputError(f"{path}, line {number} is no {name}: {problems(error)}; {hint}") from None


def examples_by_id(splits: Iterable[Split]) -> dict[str, Example]:
    """Return the examples of all splits by their ids; an `InputError` names an id that is there twice."""
    found: dict[str, Example] = {}
    for example in (example for split in splits for example in split):
        if example.query.id in found:
            raise InputError(f"two splits have an example {example.query.id!r}; give each id once to check")
        found[example.query.id] = example
    return found


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Turn an error of the disk into an `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"can't write {output}: {error.strerror or error}; name another --output") from error
