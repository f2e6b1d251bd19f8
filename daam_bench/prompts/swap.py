"""The noun swap: captions with their nouns exchanged among them (Unreal-Gen of the paper's section 3.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random

from daam_bench.prompts.derange import NounPlace, derange
from daam_bench.prompts.inflection import Forms, forms_of, indefinite_article, spelled
from daam_bench.types import Noun, Swap, Token

_ARTICLE_BEFORE = re.compile(r"(?<![\w'-])(an?)\s+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NounCaption:
    """A caption before or after the noun swap.

    Attributes:
        text: The caption.
        nouns: Its countable nouns in order, their spans apart from each other.
        plural: For each noun, whether it is plural here.
        tokens: Its words with their parts of speech, or none.
        swaps: For each noun, which noun it replaced; empty before the swap.
    """

    text: str
    nouns: tuple[Noun, ...]
    plural: tuple[bool, ...]
    tokens: tuple[Token, ...] = ()
    swaps: tuple[Swap, ...] = ()


@dataclass(frozen=True, slots=True)
class _Standing:
    """A noun where it stands, with its forms. One without a singular makes its place a plural one."""

    owner: int
    noun: Noun
    plural: bool
    forms: Forms
    unwanted: frozenset[str]

    @property
    def place(self) -> NounPlace:
        label = self.forms.singular or self.forms.plural
        return NounPlace(label, self.owner, self.plural, self.forms.singular is None, self.unwanted)

    def form(self, plural: bool) -> str:
        """Return the noun as a plural or singular place has it, in small letters."""
        if plural == self.plural:
            return spelled(self.noun.text)
        return self.forms.plural if plural or self.forms.singular is None else self.forms.singular


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters `start` to `end` of the old text become `text`."""

    start: int
    end: int
    text: str


def swap_nouns(
    captions: Sequence[NounCaption],
    seed: int,
    forms: Callable[[str], Forms] = forms_of,
    unwanted: Callable[[NounCaption], frozenset[str]] = lambda _: frozenset(),
) -> list[NounCaption]:
    """Exchange the nouns of all captions among each other.

    `unwanted` names for a caption further nouns, in the singular, that should not come into it.

    Every lemma occurs as often as before, and no place keeps its noun as long as there is another for it.
    Number agrees: a plural place gets a plural. A noun that has no singular goes to plural places only. An
    "a" or "an" right before a noun is fixed, capital letters stay where they were, and every other word
    stands.
    """
    standing = [
        _Standing(owner, noun, plural or known.singular is None, known, unwanted_here)
        for owner, caption in enumerate(captions)
        for unwanted_here in [unwanted(caption)]
        for noun, plural in zip(caption.nouns, caption.plural, strict=True)
        for known in [forms(noun.lemma)]
    ]
    sources = derange([one.place for one in standing], Random(seed))
    moves: list[list[tuple[_Standing, _Standing]]] = [[] for _ in captions]
    for old, source in zip(standing, sources, strict=True):
        moves[old.owner].append((old, standing[source]))
    return [_rewrite(caption, pairs) for caption, pairs in zip(captions, moves, strict=True)]


def _rewrite(caption: NounCaption, moves: Sequence[tuple[_Standing, _Standing]]) -> NounCaption:
    capitals = caption.text.isupper()
    edits: list[Edit] = []
    swaps, nouns = [], []
    for old, new in moves:
        start, end = old.noun.start, old.noun.end
        form = new.form(old.plural)
        text = form.upper() if capitals else _capitals_of(old.noun.text, form, begins=start == 0)
        article = _ARTICLE_BEFORE.search(caption.text, 0, start)
        if article is not None:
            fixed = indefinite_article(form)
            fixed = fixed.upper() if capitals else _capitals_of(article[1], fixed, begins=True)
            edits.append(Edit(article.start(1), article.end(1), fixed))
        new_start = shifted(start, edits)
        edits.append(Edit(start, end, text))
        swaps.append(Swap(old.noun.text, text))
        nouns.append(Noun(text, new.noun.lemma, new_start, new_start + len(text), new.noun.coco_class))
    return NounCaption(
        text=apply_edits(caption.text, edits),
        nouns=tuple(nouns),
        plural=tuple(old.plural for old, _ in moves),
        tokens=edit_tokens(caption.tokens, edits),
        swaps=tuple(swaps),
    )


def _capitals_of(old: str, new: str, *, begins: bool) -> str:
    """Give `new` the capital initial of `old`, but not for an acronym ("TV") within the sentence.

    >>> _capitals_of("Cat", "dog", begins=True), _capitals_of("TV", "dog", begins=False)
    ('Dog', 'dog')
    """
    acronym = len(old) > 1 and old[:2].isupper()
    return new[:1].upper() + new[1:] if old[:1].isupper() and (begins or not acronym) else new


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """Return a text with its edits made; they must be in order and apart from each other.

    >>> apply_edits("a cat sits", [Edit(0, 1, "an"), Edit(2, 5, "owl")])
    'an owl sits'
    """
    pieces, end = [], 0
    for edit in edits:
        pieces += [text[end : edit.start], edit.text]
        end = edit.end
    return "".join([*pieces, text[end:]])


def shifted(position: int, edits: Sequence[Edit]) -> int:
    """Return where a character of the old text lies after the edits that end before it."""
    return position + sum(len(edit.text) - (edit.end - edit.start) for edit in edits if edit.end <= position)


def edit_tokens(tokens: Sequence[Token], edits: Sequence[Edit]) -> tuple[Token, ...]:
    """Return the words of an edited text.

    The words of one edit ("teddy", "bear") give way to those of its new text, which all get the part of
    speech of the last one.
    """

    def edit_of(token: Token) -> Edit | None:
        return next((edit for edit in edits if edit.start < token.end and token.start < edit.end), None)

    edited: list[Token] = []
    for edit, group in groupby(tokens, edit_of):
        if edit is None:
            edited += [
                Token(token.text, token.pos, shifted(token.start, edits), shifted(token.end, edits))
                for token in group
            ]
            continue
        *_, last = group
        start = shifted(edit.start, edits)
        words = re.finditer(r"\S+", edit.text)
        edited += [Token(word[0], last.pos, start + word.start(), start + word.end()) for word in words]
    return tuple(edited)
