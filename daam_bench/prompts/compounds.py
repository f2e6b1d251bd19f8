"""Finding the nouns among tagged words: phrases of the tables, compounds by their head, lemma and number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from daam_bench.prompts.inflection import forms_of
from daam_bench.prompts.noun_tables import Form, NounTables

_BEFORE_NOUNS = frozenset({"DET", "NUM"})
_BEFORE_PLURALS = frozenset({"DET", "NUM", "ADJ", "ADP", "VERB"})
_AFTER_ADJECTIVES = frozenset({"NOUN", "PROPN", "ADJ", "NUM", "PUNCT", "CCONJ"})
_MANY = frozenset(
    {
        "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "both", "many", "several",
        "few", "various", "these", "those", "all", "some", "multiple",
    }
)  # fmt: skip
_ONE = frozenset({"a", "an", "one", "this", "that", "another", "each", "every"})
_SINGULAR = _ONE - {"that"}
_NEAR = 4
_DOERS = ("er", "ers")
"""Endings that verbs don't have: "skier"."""
_SINGULAR_ENDINGS = ("ss", "us", "is", "as", "ens", "ws", "ics")
_ANIMATE = frozenset(
    {"person", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"}
)
ING_NOUNS = frozenset(
    {
        "awning", "bedding", "building", "ceiling", "clothing", "crossing", "drawing", "dressing", "earring",
        "evening", "flooring", "frosting", "icing", "king", "landing", "lettering", "lightning", "lining",
        "morning", "netting", "painting", "pudding", "railing", "ring", "seasoning", "siding", "sling",
        "spring", "string", "stuffing", "swing", "thing", "topping", "wedding", "wing",
    }
)  # fmt: skip
"""Nouns in "ing" that don't name what somebody does."""


@dataclass(frozen=True, slots=True)
class TaggedWord:
    """A word as the pipeline tagged it: small letters, universal part of speech, lemma, number, span."""

    text: str
    pos: str
    lemma: str
    plural: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a noun phrase.

    Attributes:
        lemma: Its lemma, several words for a phrase of the tables.
        plural: Whether it is plural.
        first: Index of its first word.
        last: Index of its last word.
        run: Index of the first word of its compound: modifiers stand from there to `first`.
        proper: Whether it is a name.
    """

    lemma: str
    plural: bool
    first: int
    last: int
    run: int
    proper: bool


@dataclass(frozen=True, slots=True)
class NounHeads:
    """The heads of a caption's noun phrases, and the words that were tagged nouns but are verbs."""

    heads: tuple[Head, ...]
    verbs: frozenset[int]


def find_nouns(words: Sequence[TaggedWord], tables: NounTables) -> NounHeads:
    """Find the heads of the noun phrases of a caption, in order.

    Neighbouring nouns are one compound, named by its last noun, unless the first of two is plural ("men
    women") or only the second is a name ("statue Buddha"). Hyphens join. A word that was tagged a noun where
    only a verb can stand ("a bus pulls over", "giraffes graze") is left out, and parts what is around it.
    """
    runs: list[list[Head]] = []
    verbs = set()
    last: Head | None = None
    for unit in _units(words, tables):
        if last is None or not _joined(last, unit, words):
            runs.append([unit])
        elif last.first not in verbs and _is_verb(last, unit, words, tables):
            verbs.add(unit.first)
        elif last.first in verbs or last.plural or (unit.proper and not last.proper):
            runs.append([unit])
        else:
            runs[-1].append(unit)
        last = unit
    heads = tuple(replace(run[-1], run=run[0].first) for run in runs)
    return NounHeads(heads, frozenset(verbs))


def _joined(before: Head, unit: Head, words: Sequence[TaggedWord]) -> bool:
    """Say whether nothing but hyphens stands between two nouns."""
    return all(word.text == "-" for word in words[before.last + 1 : unit.first])


def _is_verb(before: Head, unit: Head, words: Sequence[TaggedWord], tables: NounTables) -> bool:
    """Say whether a word right behind a noun must be a verb that was tagged a noun.

    No word of a COCO class is. A word in "ing" is, unless it is a mass noun before no noun or article. So is
    any word outside the tables behind a plural, unless its phrase ends there, and a word in "s" behind a
    singular where an article of the singular stands before both, a person or animal goes before, or an
    article follows.
    """
    text = words[unit.last].text
    if unit.first != unit.last or tables.may_name_class(unit.lemma) or unit.proper or before.proper:
        return False
    after = words[unit.last + 1].pos if unit.last + 1 < len(words) else ""
    if text.endswith("ing") and text not in ING_NOUNS:
        mass = any(reason.when == "mass" for reason in tables.uncountable.get(unit.lemma, ()))
        return not mass or after in {"DET", "NOUN"}
    known = unit.lemma in tables.uncountable
    if before.plural:
        return not known and after in {"ADP", "ADV", "DET", "NOUN", "SCONJ"}
    if not unit.plural or not text.endswith("s"):
        return False
    animate = tables.classes.get(before.lemma) in _ANIMATE
    return _article(words, before.first) in _SINGULAR or after == "DET" or (animate and not known)


def _article(words: Sequence[TaggedWord], first: int) -> str | None:
    """Return the article or numeral before a noun and its modifiers, or None."""
    for word in reversed(words[max(0, first - _NEAR) : first]):
        if word.pos in _BEFORE_NOUNS:
            return word.text
        if word.pos not in {"ADJ", "NOUN", "PROPN", "VERB"}:
            break
    return None


def _units(words: Sequence[TaggedWord], tables: NounTables) -> Iterator[Head]:
    """Yield the nouns and the phrases of the tables, the longest first at each place."""
    index = 0
    while index < len(words):
        if words[index].text in tables.mistagged:
            index += 1
            continue
        last, form = _longest(words, index, tables)
        if last > index:
            assert form is not None
            yield _head(words, index, last, form, proper=False)
        elif form is not None and _is_noun(words, index, form, tables):
            yield _head(words, index, index, form, proper=False)
        elif words[index].pos in {"NOUN", "PROPN"} and words[index].text.isalpha():
            proper = words[index].pos == "PROPN"
            yield _head(words, index, index, _form_of(words[index]), proper=proper)
        index = last + 1


def _longest(words: Sequence[TaggedWord], first: int, tables: NounTables) -> tuple[int, Form | None]:
    """Return the last word of the longest form of the tables that starts at a word, and the form."""
    last, found = first, None
    texts: tuple[str, ...] = ()
    index = first
    while index < len(words) and len(texts) < tables.longest:
        if words[index].text == "-" and texts:
            index += 1
            continue
        texts = (*texts, words[index].text)
        if texts in tables.forms:
            last, found = index, tables.forms[texts]
        index += 1
    return last, found


def _is_noun(words: Sequence[TaggedWord], index: int, form: Form, tables: NounTables) -> bool:
    """Say whether a single word of the tables is a noun here.

    A word of a COCO class is a noun against the tagger where it takes it for a name, where it ends like a
    doer ("skier"), behind an article or numeral and before no noun, behind a noun and "and", and as a plural
    where no singular subject stands before it ("near umbrellas").
    """
    pos = words[index].pos
    if pos == "NOUN":
        return True
    if not tables.may_name_class(form.lemma):
        return False
    if pos in {"PROPN", "X", "INTJ"} or words[index].text.endswith(_DOERS):
        return True
    before = words[index - 1].pos if index else ""
    after = words[index + 1].pos if index + 1 < len(words) else ""
    if pos == "VERB" and before == "CCONJ":
        return index > 1 and words[index - 2].pos == "NOUN"
    if form.plural and words[index].text.endswith("s") and before in _BEFORE_PLURALS:
        return True
    ends = after == "CCONJ" and index + 2 < len(words) and words[index + 2].pos == "DET"
    ends |= after == "PUNCT" and words[index + 1].text == "."
    return before in _BEFORE_NOUNS and (ends or after not in _AFTER_ADJECTIVES)


def _head(words: Sequence[TaggedWord], first: int, last: int, form: Form, *, proper: bool) -> Head:
    plural = _number(words, first, last) if form.plural is None else form.plural
    return Head(form.lemma, plural, first, last, first, proper)


def _number(words: Sequence[TaggedWord], first: int, last: int) -> bool:
    """Say whether a noun whose plural looks like its singular is plural, by the words before it."""
    for word in reversed(words[max(0, first - 3) : first]):
        if word.text in _ONE:
            return False
        if word.text in _MANY:
            return True
        if word.pos not in {"ADJ", "NOUN", "NUM"}:
            break
    before = [word.text for word in words[max(0, first - 2) : first]]
    if len(before) == 2 and before[1] == "of" and before[0] in {"herd", "flock", "group", "couple", "bunch"}:
        return True
    return words[last].plural


def _form_of(word: TaggedWord) -> Form:
    """Return lemma and number of a noun outside the tables: the tagger's, made to agree with the form.

    A plural's lemma must have that plural. If the tagger's has not, the usual endings are tried.
    """
    if word.pos == "PROPN":
        return Form(word.text, plural=False)
    if forms_of(word.text).singular is None:
        return Form(word.text, plural=True)
    candidates = [word.lemma, *_candidates(word.text)]
    plural_of = [
        candidate for candidate in candidates if forms_of(candidate).plural == word.text != candidate
    ]
    if word.plural:
        return Form(plural_of[0] if plural_of else word.lemma, plural=True)
    looks_plural = word.text.endswith("s") and not word.text.endswith(_SINGULAR_ENDINGS)
    if plural_of and (looks_plural or plural_of[0] == word.lemma):
        return Form(plural_of[0], plural=True)
    return Form(word.text, plural=False)


def _candidates(plural: str) -> Iterator[str]:
    if plural.endswith("ies"):
        yield plural[:-3] + "y"
    if plural.endswith("ves"):
        yield plural[:-3] + "f"
        yield plural[:-3] + "fe"
    if plural.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        yield plural[:-2]
    if plural.endswith("s"):
        yield plural[:-1]
    if plural.endswith("men"):
        yield plural[:-2] + "an"
