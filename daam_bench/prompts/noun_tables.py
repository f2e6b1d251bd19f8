"""The tables of nouns: COCO's classes (`coco_words.toml`), what has no outline (`uncountable.toml`)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from daam_bench.prompts.inflection import forms_of

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Rule:
    """When a word that is only sometimes of a COCO class is.

    Attributes:
        coco_class: The class.
        near: Words of which one must be in the caption; none: no such condition.
        unless_near: Words of which none may be in the caption.
        counted: Whether the noun must be plural or have a determiner or numeral.
        before: Texts of which one must follow right behind; none: no such condition.
        not_before: Texts of which none may follow right behind.
    """

    coco_class: str
    near: frozenset[str] = frozenset()
    unless_near: frozenset[str] = frozenset()
    counted: bool = False
    before: tuple[str, ...] = ()
    not_before: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Uncountable:
    """Why a noun has no outline, and when: "always", "of", "depicts" or "mass"."""

    why: str
    when: str


@dataclass(frozen=True, slots=True)
class Form:
    """A lemma and its number: True for plural, None for a form that is both ("sheep")."""

    lemma: str
    plural: bool | None


@dataclass(frozen=True, slots=True)
class NounTables:
    """What the tables say.

    Attributes:
        classes: Lemma -> the COCO class it always has, or None for one that only looks like a class.
        rules: Lemma -> when it has a COCO class; the first that holds decides.
        uncountable: Lemma -> why it is not countable; the first that holds decides.
        forms: Words in small letters -> the lemma that they are a form of.
        mistagged: Words that taggers take for nouns and that never are.
        longest: Most words of a lemma.
    """

    classes: Mapping[str, str | None]
    rules: Mapping[str, tuple[Rule, ...]]
    uncountable: Mapping[str, tuple[Uncountable, ...]]
    forms: Mapping[tuple[str, ...], Form]
    mistagged: frozenset[str]
    longest: int

    def may_name_class(self, lemma: str) -> bool:
        """Say whether a noun has a COCO class, in some captions at least."""
        return self.classes.get(lemma) is not None or lemma in self.rules


@cache
def noun_tables() -> NounTables:
    """Return the tables of nouns."""
    coco, uncountable = _read("coco_words.toml"), _read("uncountable.toml")
    classes: dict[str, str | None] = {
        word: name for name, words in coco["classes"].items() for word in words
    } | dict.fromkeys(coco["none"]["words"])
    rules: dict[str, tuple[Rule, ...]] = {}
    for entry in coco["sometimes"]:
        for word in [entry["word"]] if isinstance(entry["word"], str) else entry["word"]:
            rules[word] = (*rules.get(word, ()), _rule(entry))
    mistagged = frozenset(uncountable.pop("mistagged")["words"])
    reasons: dict[str, tuple[Uncountable, ...]] = {}
    for section in uncountable.values():
        reason = Uncountable(section["why"], section.get("when", "always"))
        for word in section["words"]:
            reasons[word] = (*reasons.get(word, ()), reason)
    forms = _forms([*reasons, *rules, *classes])
    forms |= {words_of(form): Form(lemma, plural=True) for form, lemma in coco["forms"].items()}
    return NounTables(classes, rules, reasons, forms, mistagged, max(map(len, forms)))


def words_of(phrase: str) -> tuple[str, ...]:
    """Return the words of a phrase, parted by blanks or hyphens.

    >>> words_of("close-up view")
    ('close', 'up', 'view')
    """
    return tuple(re.split(r"[\s-]+", phrase))


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / name).read_text(encoding="utf-8"))


def _rule(entry: Mapping[str, Any]) -> Rule:
    return Rule(
        coco_class=entry["class"],
        near=frozenset(entry.get("near", ())),
        unless_near=frozenset(entry.get("unless_near", ())),
        counted=entry.get("counted", False),
        before=tuple(entry.get("before", ())),
        not_before=tuple(entry.get("not_before", ())),
    )


def _forms(lemmas: list[str]) -> dict[tuple[str, ...], Form]:
    """Return the forms of lemmas; a form that is a lemma of the tables itself stands for that lemma."""
    singular = {}
    plural = {}
    for lemma in lemmas:
        words = forms_of(lemma)
        if words.singular is None:
            plural[words_of(lemma)] = Form(lemma, plural=True)
        else:
            same = words.plural.lower() == lemma
            singular[words_of(lemma)] = Form(lemma, plural=None if same else False)
        plural.setdefault(words_of(words.plural.lower()), Form(lemma, plural=True))
    return plural | singular
