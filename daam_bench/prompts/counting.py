"""Deciding about a noun: its COCO class by the words around it, and whether it can be counted."""

from __future__ import annotations

from collections.abc import Sequence

from daam_bench.prompts.compounds import ING_NOUNS, Head, TaggedWord
from daam_bench.prompts.noun_tables import NounTables, Rule, Uncountable

_ARTICLES = frozenset({"a", "an", "another", "one", "each", "every", "single"})
_MASS_DETERMINERS = frozenset(
    {"some", "any", "all", "more", "most", "much", "less", "enough", "little", "no"}
)
_ADJECTIVES = frozenset(
    {"legged", "haired", "eyed", "handed", "sized", "colored", "coloured", "shaped", "themed"}
)
_HANGS = frozenset({"wall", "walls", "frame", "frames", "framed", "hanging", "hangs", "hung", "fridge"})
"""Words that tell an image on a wall from the image that the caption is about."""
_FARTHEST = 8


def coco_class(head: Head, words: Sequence[TaggedWord], tables: NounTables) -> str | None:
    """Return the COCO class of a noun in its caption, or None."""
    if head.proper:
        return None
    if head.lemma in tables.classes:
        return tables.classes[head.lemma]
    holding = (rule for rule in tables.rules.get(head.lemma, ()) if _holds(rule, head, words))
    return next((rule.coco_class for rule in holding), None)


def countable(
    head: Head, name: str | None, words: Sequence[TaggedWord], tables: NounTables
) -> tuple[bool, str]:
    """Say whether a noun, of the COCO class `name` or none, can be counted, and why."""
    if head.proper:
        return False, "a name"
    if _in_adjective(head, words):
        return False, "part of an adjective"
    number = _number_before(head, words)
    reasons = tables.uncountable.get(head.lemma, ())
    for reason in reasons:
        if reason.when == "of" and _next(head, words) == "of":
            return False, reason.why
    if name is not None:
        return True, f"COCO class {name}"
    for reason in reasons:
        if _applies(reason, head, number, words):
            return False, reason.why
    if head.plural:
        return True, "plural"
    if number in _ARTICLES:
        return True, f"singular with {number!r}"
    if number in _MASS_DETERMINERS:
        return False, f"singular with {number!r}"
    if number is None and _measured(head, words, tables):
        return False, "singular without article behind 'of'"
    if number is None and head.lemma.endswith("ing") and head.lemma not in ING_NOUNS:
        return False, "names what is done"
    return True, "in no table of uncountable nouns"


def _applies(reason: Uncountable, head: Head, number: str | None, words: Sequence[TaggedWord]) -> bool:
    if reason.when == "mass":
        return not (head.plural or number in _ARTICLES)
    if reason.when == "depicts":
        hangs = any(word.text in _HANGS for word in words)
        return not hangs or head.run <= 2 or (not head.plural and _next(head, words) == "of")
    return reason.when == "always"


def _holds(rule: Rule, head: Head, words: Sequence[TaggedWord]) -> bool:
    around = {
        text
        for index, word in enumerate(words)
        if not head.first <= index <= head.last
        for text in (word.text, word.lemma)
    }
    if (rule.near and around.isdisjoint(rule.near)) or not around.isdisjoint(rule.unless_near):
        return False
    if rule.counted and not head.plural and _number_before(head, words) is None:
        return False
    behind = " ".join(word.text for word in words[head.last + 1 :]) + " "
    follows = [text for text in (*rule.before, *rule.not_before) if behind.startswith(f"{text} ")]
    return (not rule.before or bool(follows)) and not set(follows) & set(rule.not_before)


def _number_before(head: Head, words: Sequence[TaggedWord]) -> str | None:
    """Return the article, determiner, possessive or numeral of a noun, or None."""
    numeral = None
    for index in range(head.run - 1, max(-1, head.run - 1 - _FARTHEST), -1):
        word = words[index]
        if (word.pos in {"DET", "PRON"} and word.text not in {"it", "there", "that"}) or word.text == "'s":
            return word.text
        if word.text in _MASS_DETERMINERS - {"little"}:
            return word.text
        if word.pos == "NUM":
            numeral = word.text
        joins = word.text in {"-", ","} or word.pos == "CCONJ"
        if not (joins and index and words[index - 1].pos == "ADJ") and not _may_modify(word):
            break
    return numeral


def _may_modify(word: TaggedWord) -> bool:
    if word.pos == "VERB":
        return word.text.endswith(("ed", "en", "ing"))
    return word.pos in {"ADJ", "NUM", "ADV"} or word.text == "-"


def _in_adjective(head: Head, words: Sequence[TaggedWord]) -> bool:
    """Say whether a noun makes an adjective with the word behind it ("snow covered", "cross legged")."""
    behind = [word for word in words[head.last + 1 :] if word.text != "-"][:2]
    if head.plural or not behind:
        return False
    if behind[0].text in _ADJECTIVES and (len(behind) == 1 or behind[1].text != "like"):
        return True
    ends = behind[0].text.endswith("ed") and behind[0].pos in {"VERB", "ADJ"}
    return ends and len(behind) > 1 and behind[1].pos in {"NOUN", "ADJ", "PROPN"}


def _measured(head: Head, words: Sequence[TaggedWord], tables: NounTables) -> bool:
    """Say whether a noun stands behind "of" and a noun that is no position ("cup of", not "front of")."""
    first = head.run
    while first and words[first - 1].pos == "ADJ":
        first -= 1
    if first < 2 or words[first - 1].text != "of" or words[first - 2].pos != "NOUN":
        return False
    return all(reason.when != "always" for reason in tables.uncountable.get(words[first - 2].lemma, ()))


def _next(head: Head, words: Sequence[TaggedWord]) -> str:
    return words[head.last + 1].text if head.last + 1 < len(words) else ""
