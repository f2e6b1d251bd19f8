"""The nouns of captions: which words they are, which COCO class they name, which of them can be counted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daam_bench.prompts.compounds import Head, TaggedWord, find_nouns
from daam_bench.prompts.counting import coco_class, countable
from daam_bench.prompts.noun_tables import NounTables, noun_tables
from daam_bench.prompts.swap import NounCaption
from daam_bench.prompts.tagger import is_plural, load_pipeline
from daam_bench.types import Noun, Token

_BATCH = 128
_TITLE = 2
"""A caption with more long words than this, each with a capital, is written like a title."""


@dataclass(frozen=True, slots=True)
class FoundNoun:
    """A noun of a caption; `reason` says why it can be counted, and so be segmented, or not."""

    noun: Noun
    plural: bool
    countable: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedCaption:
    """A caption with its words, and its nouns in order, countable or not; no two spans overlap."""

    text: str
    tokens: tuple[Token, ...]
    nouns: tuple[FoundNoun, ...]

    def countable(self) -> NounCaption:
        """Return the caption with its countable nouns only, ready for the noun swap."""
        kept = [found for found in self.nouns if found.countable]
        return NounCaption(
            text=self.text,
            nouns=tuple(found.noun for found in kept),
            plural=tuple(found.plural for found in kept),
            tokens=self.tokens,
        )


def parse_captions(
    captions: Sequence[str], pipeline: Any = None, *, progress: bool = False
) -> list[ParsedCaption]:
    """Find the words and nouns of captions.

    Args:
        captions: The captions.
        pipeline: A spaCy pipeline, its name or its path; None for the shipped one.
        progress: Show a bar with the time left, on stderr, where that is a terminal.
    """
    from tqdm import tqdm

    nlp = load_pipeline(pipeline)
    tables = noun_tables()
    docs = nlp.pipe(map(_small_letters, captions), batch_size=_BATCH)
    pairs = zip(captions, docs, strict=True)
    bar = tqdm(
        pairs, "reading", len(captions), leave=False, unit="caption", disable=None if progress else True
    )
    return [_parse(caption, doc, tables) for caption, doc in bar]


def _parse(caption: str, doc: Any, tables: NounTables) -> ParsedCaption:
    words = [
        TaggedWord(
            text=token.lower_,
            pos=_part_of_speech(token),
            lemma=token.lemma_.lower(),
            plural=is_plural(token),
            start=token.idx,
            end=token.idx + len(token),
        )
        for token in doc
        if not token.is_space
    ]
    heads, verbs = find_nouns(words, tables)
    corrected = dict.fromkeys(verbs, "VERB") | {
        index: "NOUN" for head in heads if not head.proper for index in range(head.first, head.last + 1)
    }
    return ParsedCaption(
        text=caption,
        tokens=tuple(
            Token(caption[word.start : word.end], corrected.get(index, word.pos), word.start, word.end)
            for index, word in enumerate(words)
        ),
        nouns=tuple(_found(caption, head, words, tables) for head in heads),
    )


def _part_of_speech(token: Any) -> str:
    """Return a spaCy token's part of speech; a name in small letters is a noun unless a name follows."""
    if token.pos_ == "PROPN" and token.is_lower:
        following = token.nbor() if token.i + 1 < len(token.doc) else None
        if following is None or following.pos_ != "PROPN" or following.is_lower:
            return "NOUN"
    return str(token.pos_)


def _found(caption: str, head: Head, words: Sequence[TaggedWord], tables: NounTables) -> FoundNoun:
    start, end = words[head.first].start, words[head.last].end
    name = coco_class(head, words, tables)
    kept, reason = countable(head, name, words, tables)
    return FoundNoun(Noun(caption[start:end], head.lemma, start, end, name), head.plural, kept, reason)


def _small_letters(caption: str) -> str:
    """Write a caption as within a sentence, character by character.

    The first letter becomes small, but not that of an acronym ("TV"); all of them do where a caption is in
    capitals or has one in every long word.

    >>> _small_letters("A CAT ON A BED"), _small_letters("A Wii remote"), _small_letters("TV on a stand")
    ('a cat on a bed', 'a Wii remote', 'TV on a stand')
    """
    long = re.findall(r"[^\W\d_]{4,}", caption)
    if caption.isupper() or (len(long) > _TITLE and all(word[0].isupper() for word in long)):
        return "".join(map(_small, caption))
    return re.sub(r"^\W*\w(?!\w*[A-Z])", lambda match: "".join(map(_small, match[0])), caption)


def _small(character: str) -> str:
    small = character.lower()
    return small if len(small) == 1 else character
