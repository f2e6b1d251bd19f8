"""The noun swap: captions with their nouns exchanged among them (Unreal-Gen of the paper's section 3.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from daam_bench.prompts.derange import NounPlace, derange
from daam_bench.prompts.inflection import Forms, forms_of, indefinite_article, spelled
from daam_bench.types import Noun, Swap, Token

_ARTICLE_BEFORE = re.compile(r"(?<![\w'-])(an?)\s+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NounCaption:
    """A caption whose nouns can be swapped.

    Attributes:
        text: The caption.
        nouns: Its countable nouns in order, their spans apart from each other.
        plural: For each noun, whether it is plural here.
        tokens: Its words with their parts of speech, or none.
    """

    text: str
    nouns: tuple[Noun, ...]
    plural: tuple[bool, ...]
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class SwappedCaption:
    """A caption after the swap: its spans lie in the new text; `swaps` has one entry a noun, in order."""

    text: str
    nouns: tuple[Noun, ...]
    plural: tuple[bool, ...]
    tokens: tuple[Token, ...]
    swaps: tuple[Swap, ...]


@dataclass(frozen=True, slots=True)
class _Standing:
    """A noun where it stands, with its forms. One without a singular makes its place a plural one."""

    owner: int
    noun: Noun
    plural: bool
    forms: Forms

    @property
    def place(self) -> NounPlace:
        label = self.forms.singular or self.forms.plural
        return NounPlace(label, self.owner, self.plural, plural_only=self.forms.singular is None)

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
    captions: Sequence[NounCaption], seed: int, forms: Callable[[str], Forms] = forms_of
) -> list[SwappedCaption]:
    """Exchange the nouns of all captions among each other.

    Every lemma occurs as often as before, and no place keeps its noun as long as there is another for it.
    Number agrees: a plural place gets a plural. A noun that has no singular goes to plural places only. An
    "a" or "an" right before a noun is fixed, capital letters stay where they were, and every other word
    stands.

    Args:
        captions: The captions.
        seed: Seed of the permutation.
        forms: Singular and plural of a lemma.

    Returns:
        One swapped caption a caption, in order.
    """
    standing = [
        _stand(owner, noun, plural, forms)
        for owner, caption in enumerate(captions)
        for noun, plural in zip(caption.nouns, caption.plural, strict=True)
    ]
    sources = derange([one.place for one in standing], Random(seed))
    moves: list[list[tuple[_Standing, _Standing]]] = [[] for _ in captions]
    for old, source in zip(standing, sources, strict=True):
        moves[old.owner].append((old, standing[source]))
    return [_rewrite(caption, pairs) for caption, pairs in zip(captions, moves, strict=True)]


def _stand(owner: int, noun: Noun, plural: bool, forms: Callable[[str], Forms]) -> _Standing:
    known = forms(noun.lemma)
    return _Standing(owner, noun, plural or known.singular is None, known)


def _rewrite(caption: NounCaption, moves: Sequence[tuple[_Standing, _Standing]]) -> SwappedCaption:
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
    return SwappedCaption(
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
    groups: dict[tuple[int, int], list[Token]] = {}
    for token in tokens:
        edit = _edit_of(token, edits)
        key = (token.start, token.end) if edit is None else (edit.start, edit.end)
        groups.setdefault(key, []).append(token)
    return tuple(token for group in groups.values() for token in _edited(group, edits))


def _edited(group: Sequence[Token], edits: Sequence[Edit]) -> list[Token]:
    edit = _edit_of(group[0], edits)
    start = shifted(group[0].start if edit is None else edit.start, edits)
    if edit is None:
        return [Token(group[0].text, group[0].pos, start, start + len(group[0].text))]
    words = re.finditer(r"\S+", edit.text)
    return [Token(word[0], group[-1].pos, start + word.start(), start + word.end()) for word in words]


def _edit_of(token: Token, edits: Sequence[Edit]) -> Edit | None:
    return next((edit for edit in edits if edit.start < token.end and token.start < edit.end), None)
