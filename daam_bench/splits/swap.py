"""The noun swap: captions with their nouns exchanged among them (Unreal-Gen of the paper's section 3.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from daam_bench.splits.derange import derange
from daam_bench.types import Noun, Swap, Token

_WORD_BEFORE = re.compile(r"(?<!\w)(an?)\s+$", re.IGNORECASE)
_AN = re.compile(r"(?:[aeio]|u(?!ni|s[aeiu]|ku|fo\b|t[ei]|r[aeiu])|heir|hono|hour)", re.IGNORECASE)
_NOT_AN = re.compile(r"(?:eu|ewe\b|one\b|once\b)", re.IGNORECASE)


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
class _Edit:
    """Characters `start` to `end` of the old text become `text`."""

    start: int
    end: int
    text: str


def swap_nouns(
    captions: Sequence[NounCaption], seed: int, plurals: Mapping[str, str] | None = None
) -> list[SwappedCaption]:
    """Exchange the nouns of all captions among each other.

    Every lemma occurs as often as before, and no place keeps its lemma as long as there is another for it.
    Number agrees: a plural place gets a plural. An "a" or "an" right before a noun is mended, capital letters
    stay where they were, and every other word stands.

    Args:
        captions: The captions.
        seed: Seed of the permutation.
        plurals: Plural of each lemma. Nouns with a plural here go to any place, inflected; others keep their
            form and change places only with others of their number.

    Returns:
        One swapped caption a caption, in order.
    """
    places = [(owner, index) for owner, caption in enumerate(captions) for index in range(len(caption.nouns))]
    incoming: dict[tuple[int, int], Noun] = {}
    random = Random(seed)
    for members in _classes(captions, places, plurals or {}):
        nouns = [captions[owner].nouns[index] for owner, index in members]
        order = derange([noun.lemma for noun in nouns], [owner for owner, _ in members], random)
        incoming.update({place: nouns[source] for place, source in zip(members, order, strict=True)})
    return [
        _rewrite(caption, [incoming[owner, index] for index in range(len(caption.nouns))], plurals or {})
        for owner, caption in enumerate(captions)
    ]


def indefinite_article(word: str) -> str:
    """Return "a" or "an", whichever goes before a word.

    >>> [indefinite_article(word) for word in ("owl", "unicorn", "hourglass", "house", "umbrella")]
    ['an', 'a', 'an', 'a', 'an']
    """
    return "an" if _AN.match(word) and not _NOT_AN.match(word) else "a"


def _classes(
    captions: Sequence[NounCaption], places: Sequence[tuple[int, int]], plurals: Mapping[str, str]
) -> list[list[tuple[int, int]]]:
    """Part the places into those whose nouns may change places: inflectable, singular, plural."""
    classes: dict[str, list[tuple[int, int]]] = {"inflectable": [], "singular": [], "plural": []}
    for owner, index in places:
        caption = captions[owner]
        if caption.nouns[index].lemma in plurals:
            classes["inflectable"].append((owner, index))
        else:
            classes["plural" if caption.plural[index] else "singular"].append((owner, index))
    return list(classes.values())


def _rewrite(caption: NounCaption, incoming: Sequence[Noun], plurals: Mapping[str, str]) -> SwappedCaption:
    edits, swaps, nouns = [], [], []
    for old, new, plural in zip(caption.nouns, incoming, caption.plural, strict=True):
        text = _capitals_of(old.text, _form(new, plural, plurals), begins=old.start == 0)
        article = _WORD_BEFORE.search(caption.text, 0, old.start)
        if article is not None:
            mended = indefinite_article(text)
            mended = mended.capitalize() if article[1][0].isupper() else mended
            edits.append(_Edit(article.start(1), article.end(1), mended))
        edits.append(_Edit(old.start, old.end, text))
        swaps.append(Swap(old.text, text))
        start = _shifted(old.start, edits[:-1])
        nouns.append(Noun(text, new.lemma, start, start + len(text), new.coco_class))
    return SwappedCaption(
        text=_apply(caption.text, edits),
        nouns=tuple(nouns),
        plural=caption.plural,
        tokens=tuple(token for old in _grouped(caption.tokens, edits) for token in _retoken(old, edits)),
        swaps=tuple(swaps),
    )


def _form(noun: Noun, plural: bool, plurals: Mapping[str, str]) -> str:
    if noun.lemma not in plurals:
        return noun.text
    return plurals[noun.lemma] if plural else noun.lemma


def _capitals_of(old: str, new: str, *, begins: bool) -> str:
    """Give `new` the capital or small initial of `old`; an acronym ("TV") keeps its capitals.

    >>> _capitals_of("Cat", "dog", begins=True), _capitals_of("cat", "Dog", begins=False)
    ('Dog', 'dog')
    """
    if new[:2].isupper():
        return new
    acronym = old[:2].isupper() and len(old) > 1
    upper = old[:1].isupper() and (begins or not acronym)
    return (new[:1].upper() if upper else new[:1].lower()) + new[1:]


def _apply(text: str, edits: Sequence[_Edit]) -> str:
    pieces, end = [], 0
    for edit in edits:
        pieces += [text[end : edit.start], edit.text]
        end = edit.end
    return "".join([*pieces, text[end:]])


def _shifted(position: int, edits: Sequence[_Edit]) -> int:
    """Return where a character of the old text lies after the edits before it."""
    return position + sum(len(edit.text) - (edit.end - edit.start) for edit in edits if edit.end <= position)


def _grouped(tokens: Sequence[Token], edits: Sequence[_Edit]) -> list[tuple[Token, ...]]:
    """Put the tokens of one edit ("teddy", "bear") together; every other token stands alone."""
    groups: dict[tuple[int, int], list[Token]] = {}
    for token in tokens:
        edit = _edit_of(token, edits)
        key = (token.start, token.end) if edit is None else (edit.start, edit.end)
        groups.setdefault(key, []).append(token)
    return [tuple(group) for group in groups.values()]


def _retoken(old: tuple[Token, ...], edits: Sequence[_Edit]) -> list[Token]:
    """Return the tokens that stand for a group of old ones, with their spans in the new text."""
    edit = _edit_of(old[0], edits)
    start = _shifted(old[0].start if edit is None else edit.start, edits)
    if edit is None:
        return [Token(old[0].text, old[0].pos, start, start + len(old[0].text))]
    words = list(re.finditer(r"\S+", edit.text))
    return [Token(word[0], old[-1].pos, start + word.start(), start + word.end()) for word in words]


def _edit_of(token: Token, edits: Sequence[_Edit]) -> _Edit | None:
    return next((edit for edit in edits if edit.start < token.end and token.start < edit.end), None)
