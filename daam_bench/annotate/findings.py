"""What importers find: masks by example and noun, and problems. How other tools name images and nouns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from daam_bench.types import RLE, Annotation, Example, Noun
from daam_bench.types.errors import InputError

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


@dataclass(frozen=True, slots=True)
class Found:
    """What a file says of one example.

    Attributes:
        place: The example.
        masks: Noun (its index) -> its mask; None for a noun that is not depicted. Of a noun that is missing
            nothing is known.
    """

    place: SplitExample
    masks: Mapping[int, RLE | None]


@dataclass(slots=True)
class Findings:
    """What a file says of a dataset, as it is gathered.

    Attributes:
        found: What can be used, an example once.
        problems: A line a record that can't be used; it names image and noun.
    """

    found: list[Found] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def put_in(
    splits: Mapping[str, Sequence[Example]], found: Iterable[Found], annotation: Annotation
) -> dict[str, list[Example]]:
    """Return the splits with the masks that were found.

    A noun of which nothing is known keeps its mask, unless that was a proposal and the image's other nouns
    are annotated now: it would no longer be told from what a person has seen.

    Args:
        splits: Every split of the dataset.
        found: What was found, an example at most once.
        annotation: What is recorded of every example that something was found of.
    """
    by_example = {item.place.name: item.masks for item in found}
    return {
        split: [_with(example, by_example.get((split, example.query.id)), annotation) for example in examples]
        for split, examples in splits.items()
    }


def _with(example: Example, found: Mapping[int, RLE | None] | None, annotation: Annotation) -> Example:
    if not found:
        return example
    was_proposed = example.annotation is not None and example.annotation.is_proposal
    masks = tuple(
        found.get(index, None if was_proposed else mask) for index, mask in enumerate(example.masks)
    )
    return replace(example, masks=masks, annotation=annotation)


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
