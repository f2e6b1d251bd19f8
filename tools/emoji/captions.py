"""Captions of scenes from a small grammar that knows every word's part of speech."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from daam_bench.emoji.nouns import NOUNS
from daam_bench.prompts.inflection import indefinite_article
from daam_bench.types import Noun, Token
from tools.emoji.scenes import Layout, ObjectGroup

_VERBS = {"sits": "sit", "stands": "stand", "waits": "wait", "rests": "rest"}  # singular: plural
_ADVERBS = {False: ("quietly", "here", "happily", "alone"), True: ("quietly", "here", "happily", "together")}
_NUMERALS = {2: "two", 3: "three"}
_INSIDE = ("sky", "room")


@dataclass(frozen=True, slots=True)
class SceneCaption:
    """A caption with its parse.

    Attributes:
        text: The caption.
        tokens: Every word and punctuation mark with its universal part-of-speech tag.
        nouns: Its countable nouns in order. Backgrounds and the "photo" of "a photo of" are none.
    """

    text: str
    tokens: tuple[Token, ...]
    nouns: tuple[Noun, ...]


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    pos: str
    noun: str | None = None


def _words(tagged: str) -> list[_Word]:
    """Read "the/DET sky/NOUN"."""
    return [_Word(*part.split("/")) for part in tagged.split()]


def caption(layout: Layout, rng: np.random.Generator) -> SceneCaption:
    """Describe a layout in a random one of the grammar's forms."""
    groups = [layout.groups[i] for i in rng.permutation(len(layout.groups))]
    phrases = [_noun_phrase(group, first=index == 0, rng=rng) for index, group in enumerate(groups)]
    plural = len(groups) > 1 or groups[0].count > 1
    subject = _join(phrases, rng)
    place = _place(layout.background) if rng.random() < 0.85 else []
    form = rng.random()
    if form < 0.12:
        verb = "are" if groups[0].count > 1 else "is"
        words = [*_words(f"there/PRON {verb}/VERB"), *subject, *place]
    elif form < 0.22:
        words = _words("a/DET photo/NOUN of/ADP") + subject + place
    elif form < 0.40:
        adverb = [_Word(_pick(_ADVERBS[plural], rng), "ADV")] if rng.random() < 0.5 else []
        words = [*subject, _verb(plural, rng), *adverb, *place]
    elif form < 0.46:
        pronoun = "they" if plural else "it"
        words = [*subject, _Word(",", "PUNCT"), _Word(pronoun, "PRON"), _verb(plural, rng), *place]
    else:
        words = subject + place
    if rng.random() < 0.3:
        words = [*words, _Word(".", "PUNCT")]
    return _spell(words)


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[rng.integers(len(options))]


def _verb(plural: bool, rng: np.random.Generator) -> _Word:
    singular = _pick(tuple(_VERBS), rng)
    return _Word(_VERBS[singular] if plural else singular, "VERB")


def _place(background: str) -> list[_Word]:
    preposition = "in" if background in _INSIDE else "on"
    return _words(f"{preposition}/ADP the/DET {background}/NOUN")


def _noun_phrase(group: ObjectGroup, *, first: bool, rng: np.random.Generator) -> list[_Word]:
    if group.count > 1:
        numeral = _Word(_NUMERALS[group.count], "NUM")
        return [numeral, _Word(NOUNS[group.noun].plural, "NOUN", noun=group.noun)]
    words = [_Word(group.noun, "NOUN", noun=group.noun)]
    if group.size and rng.random() < 0.9:
        words.insert(0, _Word(group.size, "ADJ"))
    article = "the" if not first and rng.random() < 0.1 else indefinite_article(words[0].text)
    return [_Word(article, "DET"), *words]


def _join(phrases: list[list[_Word]], rng: np.random.Generator) -> list[_Word]:
    conjunction = _words("and/CCONJ")
    if len(phrases) == 1:
        return phrases[0]
    if len(phrases) == 2:
        links = ("and/CCONJ", "next/ADV to/ADP", "with/ADP", "near/ADP")
        link = _words(links[rng.choice(4, p=[0.55, 0.15, 0.15, 0.15])])
        return phrases[0] + link + phrases[1]
    if rng.random() < 0.5:
        return [*phrases[0], _Word(",", "PUNCT"), *phrases[1], *conjunction, *phrases[2]]
    return [*phrases[0], *conjunction, *phrases[1], *_words("with/ADP"), *phrases[2]]


def _spell(words: list[_Word]) -> SceneCaption:
    text = ""
    tokens, nouns = [], []
    for word, start in _spaced(words):
        text += " " * (start - len(text)) + word.text
        tokens.append(Token(word.text, word.pos, start, len(text)))
        if word.noun is not None:
            nouns.append(Noun(word.text, word.noun, start, len(text), NOUNS[word.noun].coco_class))
    return SceneCaption(text, tuple(tokens), tuple(nouns))


def _spaced(words: list[_Word]) -> Iterator[tuple[_Word, int]]:
    """Yield each word with the character it starts at."""
    end = 0
    for word in words:
        start = end + (end > 0 and word.pos != "PUNCT")
        yield word, start
        end = start + len(word.text)
