"""Which words of a split's prompts a method is asked for: its nouns, or words by their part of speech."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from daam_bench.scoring.effects import NOUN
from daam_bench.types import Example, Noun, Split, Token
from daam_bench.types.errors import InputError, did_you_mean

NOUNS, ALL, OTHER_NOUNS = "nouns", "all", "other-nouns"

PARTS = {
    "adjectives": "ADJ",
    "adverbs": "ADV",
    "conjunctions": "CCONJ",
    "determiners": "DET",
    "numerals": "NUM",
    "prepositions": "ADP",
    "pronouns": "PRON",
    "punctuation": "PUNCT",
    "verbs": "VERB",
}
"""What may be asked for -> universal part of speech."""

_INSIDE = "'_\u2019"

CHOICES = (NOUNS, OTHER_NOUNS, ALL, *PARTS)

_NAMES = {tag: name.removesuffix("s") for name, tag in PARTS.items()} | {"NOUN": "other noun"}


@dataclass(frozen=True, slots=True)
class AskedSplit:
    """A split in which the asked words stand in the nouns' place.

    Attributes:
        split: The split. Its fingerprint says so where other words than the dataset's nouns are asked.
        groups: For each example, the group of each of its words.
    """

    split: Split
    groups: tuple[tuple[str, ...], ...]


def ask(split: Split, kinds: Collection[str]) -> AskedSplit:
    """Return a split with the asked words of each prompt.

    Args:
        split: The split, or a slice of it.
        kinds: Some of `CHOICES`. "nouns" are the dataset's own, the countable ones; "other-nouns" the rest
            ("sea", "grass"); "all" is every word but punctuation.

    Raises:
        InputError: An unknown kind.
    """
    for kind in kinds:
        if kind not in CHOICES:
            hint = did_you_mean(kind, CHOICES)
            raise InputError(f"no words {kind!r}; choose from {', '.join(CHOICES)}{hint}")
    if set(kinds) == {NOUNS}:
        return AskedSplit(split, tuple(tuple(_groups(example)) for example in split))
    whole = split.whole
    asked = [_asked(example, kinds) for example in whole.examples]
    digest = hashlib.sha256(f"{split.fingerprint}\0{','.join(sorted(kinds))}".encode()).hexdigest()
    words = replace(whole, examples=tuple(example for example, _ in asked), fingerprint=digest)
    ids = [example.id for example in whole.examples]
    start = ids.index(split.examples[0].id) if split.examples else 0
    part = slice(start, start + len(split))
    return AskedSplit(words[part], tuple(groups for _, groups in asked[part]))


def _asked(example: Example, kinds: Collection[str]) -> tuple[Example, tuple[str, ...]]:
    """Return an example with the asked words in the nouns' place, in prompt order, and their groups."""
    found: list[tuple[Noun, object, str]] = []
    if NOUNS in kinds or ALL in kinds:
        found += zip(example.query.nouns, example.masks, _groups(example), strict=True)
    tags = {PARTS[kind] for kind in kinds if kind in PARTS}
    for token in _other_tokens(example):
        wanted = token.pos in tags or (token.pos == "NOUN" and OTHER_NOUNS in kinds)
        if wanted or (ALL in kinds and token.pos != "PUNCT"):
            word = Noun(token.text, token.text.lower(), token.start, token.end, None)
            found.append((word, None, _NAMES.get(token.pos, token.pos)))
    found.sort(key=lambda entry: entry[0].start)
    words, masks, groups = zip(*found, strict=True) if found else ((), (), ())
    changed = replace(example, query=replace(example.query, nouns=words), masks=masks, annotation=None)
    return changed, groups


def _groups(example: Example) -> Iterator[str]:
    """Yield the group of each of an example's nouns."""
    for mask in example.masks:
        depicted = mask is not None or example.annotation is None
        yield NOUN if depicted else f"{NOUN}, not depicted"


def _other_tokens(example: Example) -> Sequence[Token]:
    """Return the words that are none of the nouns; a part of a word ("n't") has no map of its own."""
    nouns = example.query.nouns
    return [
        token
        for token in example.tokens
        if not any(token.start < noun.end and noun.start < token.end for noun in nouns)
        and not _splits_word(example.prompt, token.start)
        and not _splits_word(example.prompt, token.end)
    ]


def _splits_word(text: str, index: int) -> bool:
    """Whether the boundary before a character runs through a word, an apostrophe being part of one."""
    around = text[max(0, index - 1) : index + 1]
    return 0 < index < len(text) and all(letter.isalnum() or letter in _INSIDE for letter in around)
