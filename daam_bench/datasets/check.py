"""What must hold of every example, checked when a dataset is written and again when it is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from daam_bench.types import Example
from daam_bench.types.errors import InputError, ShapeError


def check_example(example: Example) -> None:
    """Check that spans, masks and image of one example belong together.

    Raises:
        InputError: A span does not hold its text, or there is not one mask (or None) a noun.
        ShapeError: A mask is not of the image's size.
    """
    query = example.query
    if len(example.masks) != len(query.nouns):
        raise InputError(
            f"example {query.id!r}: {len(query.nouns)} nouns but {len(example.masks)} masks; "
            "give one a noun, or None for a noun that was not drawn"
        )
    for kind, words in (("noun", query.nouns), ("token", example.tokens)):
        for word in words:
            found = query.prompt[max(word.start, 0) : max(word.end, 0)]
            if found != word.text:
                raise InputError(
                    f"example {query.id!r}: {kind} {word.text!r} is said to stand at "
                    f"{word.start}:{word.end} of the prompt, where {found!r} stands"
                )
    size = (query.image.height, query.image.width)
    for noun, mask in zip(query.nouns, example.masks, strict=True):
        if mask is not None and mask.size != size:
            raise ShapeError(
                f"example {query.id!r}, noun {noun.text!r}: the mask is {_by(mask.size)} but the image "
                f"{_by(size)} (height x width); annotate at the image's size"
            )


def check_ids(examples: Sequence[Example]) -> None:
    """Check that no two examples share an id.

    Raises:
        InputError: An id occurs more than once.
    """
    for name, count in Counter(example.query.id for example in examples).items():
        if count > 1:
            raise InputError(f"the id {name!r} names {count} examples; ids must be unique in a split")


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
