"""What importers find: masks by example and noun, and a line a record that can't be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed

from daam_bench.annotate.json_file import shown
from daam_bench.types import RLE, Annotation, Example


@dataclass(frozen=True, slots=True)
class Place:
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
        masks: Noun (its index) -> its mask; None for a noun that was not drawn. Of a noun that is missing
            nothing is known.
    """

    place: Place
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

    A noun of which nothing is known keeps its mask, unless that was a proposal and the picture's other nouns
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
    return changed(example, masks=masks, annotation=annotation)
