"""What importers find: masks by example and noun, and problems. How other tools name images and nouns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import numpy as np

from daam_bench.types import RLE, Annotation, Example, Noun
from daam_bench.types.errors import InputError
from daam_bench.types.examples import ACCEPTED, EDITED, OWN, PROPOSED
from daam_bench.types.masks import area, decode

_LONGEST_FILE_NAME = 200


@dataclass(frozen=True, slots=True)
class SplitExample:
    """An example of a dataset, and the split that it is in."""

    split: str
    example: Example

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        image = self.example.query.image
        return image.height, image.width

    @property
    def name(self) -> tuple[str, str]:
        """Split and id: what tells it from all others of the dataset."""
        return self.split, self.example.query.id

    def __str__(self) -> str:
        return f"{self.split}, image {shown(self.example.query.id)}"

    def noun(self, index: int) -> str:
        """Name one of its nouns."""
        return f"{self}, noun {index} {shown(self.example.query.nouns[index].text)}"


@dataclass(slots=True)
class Findings:
    """What a file says of a dataset, as it is gathered.

    Attributes:
        found: By split and id of an example: noun (its index) -> its mask; None for a noun that is not
            depicted. Of a noun that is missing nothing is known.
        problems: A line a record that can't be used; it names image and noun.
    """

    found: dict[tuple[str, str], Mapping[int, RLE | None]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def put_in(
    splits: Mapping[str, Sequence[Example]],
    found: Mapping[tuple[str, str], Mapping[int, RLE | None]],
    annotation: Annotation,
) -> dict[str, list[Example]]:
    """Return the splits with the masks of `Findings.found`.

    A noun of which nothing is known keeps its mask, and what is known of how that came to be: a proposal is
    still one. The others' masks are compared with those before: `Annotation.masks` says how each came to be.
    """

    def annotated(split: str, example: Example) -> Example:
        known = found.get((split, example.query.id))
        if not known:
            return example
        masks = tuple(known.get(index, mask) for index, mask in enumerate(example.masks))
        kinds, proposal = _history(example)
        if kinds is not None:
            kinds = tuple(
                _kind(kind, before, mask) if index in known else kind
                for index, (kind, before, mask) in enumerate(zip(kinds, example.masks, masks, strict=True))
            )
        return replace(example, masks=masks, annotation=replace(annotation, masks=kinds, proposal=proposal))

    return {split: [annotated(split, example) for example in examples] for split, examples in splits.items()}


def _history(example: Example) -> tuple[tuple[str, ...] | None, str | None]:
    """Return how each mask of an example came to be, None where nobody knows, and the proposing method."""
    before = example.annotation
    if before is None:
        return (OWN,) * len(example.masks), None
    if before.masks is None and before.is_proposal:
        return (PROPOSED,) * len(example.masks), before.by
    return before.masks, before.proposal


def _kind(kind: str, before: RLE | None, mask: RLE | None) -> str:
    """Return the kind of an annotator's mask, which was of another kind before."""
    if _same(before, mask):
        return ACCEPTED if kind == PROPOSED else kind
    return OWN if kind == OWN or not _depicts(before) else EDITED


def _same(one: RLE | None, other: RLE | None) -> bool:
    if one is None or other is None or one == other:
        return one == other or not (_depicts(one) or _depicts(other))
    return np.array_equal(decode(one), decode(other))


def _depicts(mask: RLE | None) -> bool:
    return mask is not None and area(mask) > 0


def file_name(identifier: str) -> str:
    """Return the name of an example's image: its id, with what a file name can't hold as %XX.

    >>> file_name("coco_gen-000"), file_name("../a b")
    ('coco_gen-000.png', '..%2Fa%20b.png')

    Raises:
        InputError: The id is too long for a file name.
    """
    name = f"{quote(identifier, safe='')}.png"
    if len(name) > _LONGEST_FILE_NAME:
        raise InputError(f"the id {identifier!r:.60} is too long for a file name; give the example another")
    return name


def labels(nouns: Sequence[Noun]) -> tuple[str, ...]:
    """Return a label a noun of one prompt: its lemma, numbered from the second of its kind on.

    So a label names one noun of its prompt and stays the same over prompts, and two nouns of one COCO class
    ("a man and a woman") have two.

    >>> prompt = [Noun("man", "man", 2, 5, "person"), Noun("dog", "dog", 10, 13, "dog")]
    >>> labels([*prompt, Noun("dogs", "dog", 18, 22, "dog")])
    ('man', 'dog', 'dog (2)')
    """
    taken: list[str] = []
    for noun in nouns:
        lemma = " ".join(noun.lemma.split()) or "noun"
        label, number = lemma, 1
        while label in taken:
            number += 1
            label = f"{lemma} ({number})"
        taken.append(label)
    return tuple(taken)


def numbered(nouns: Sequence[Noun]) -> tuple[str, ...]:
    """Return "index: text" for every noun of one prompt.

    >>> numbered([Noun("dogs", "dog", 4, 8, "dog")])
    ('0: dogs',)
    """
    return tuple(f"{index}: {' '.join(noun.text.split())}" for index, noun in enumerate(nouns))


def shown(value: object) -> str:
    """Return a value for a message, however large or deeply nested it is.

    >>> shown([5, 7]), shown([[5], 7]), shown({"a": 1})
    ('[5, 7]', 'a list', 'an object')
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        is_short = len(value) <= 4 and all(type(item) in (int, float) for item in value)
        return f"[{', '.join(map(shown, value))}]" if is_short else "a list"
    return repr(value[:60] if isinstance(value, str) else value)[:60]
