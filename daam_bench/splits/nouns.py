"""The nouns of captions: which words they are, which COCO class they name, which of them can be counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daam_bench.splits.swap import NounCaption
from daam_bench.types import Noun, Token


@dataclass(frozen=True, slots=True)
class FoundNoun:
    """A noun of a caption.

    Attributes:
        noun: Its text, lemma, span and COCO class.
        plural: Whether it is plural here.
        countable: Whether it names a thing that can be counted, and so be segmented.
        reason: Why it is countable or not, in a few words.
    """

    noun: Noun
    plural: bool
    countable: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedCaption:
    """A caption with its words and nouns.

    Attributes:
        text: The caption.
        tokens: Its words with their universal parts of speech.
        nouns: Its nouns in order, countable or not, their spans apart from each other.
    """

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


def extract_nouns(caption: str, pipeline: Any = None) -> tuple[FoundNoun, ...]:
    """Find the nouns of a caption.

    Args:
        caption: The caption.
        pipeline: A spaCy pipeline, or its name or path (default: the one shipped in `daam_bench/nlp`).

    Returns:
        Its nouns in order, countable or not.
    """
    return parse_captions([caption], pipeline)[0].nouns


def parse_captions(captions: Sequence[str], pipeline: Any = None) -> list[ParsedCaption]:
    """Find the words and nouns of captions.

    Args:
        captions: The captions.
        pipeline: A spaCy pipeline, or its name or path (default: the one shipped in `daam_bench/nlp`).

    Returns:
        One parsed caption a caption, in order.
    """
    raise NotImplementedError
