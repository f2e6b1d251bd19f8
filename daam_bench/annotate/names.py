"""What an example's image and its nouns are called in annotation tools."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from daam_bench.types import Noun
from daam_bench.types.errors import InputError

_LONGEST_FILE_NAME = 200


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
