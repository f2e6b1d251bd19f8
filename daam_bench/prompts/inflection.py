"""Singular, plural and article of nouns: the `inflect` library, and tables of what it gets wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from daam_bench.types.errors import InputError


@dataclass(frozen=True, slots=True)
class Forms:
    """The forms of a noun; `singular` is None for a noun that has none ("scissors")."""

    singular: str | None
    plural: str


# fmt: off
_PLURALS = {
    "bison": "bison", "broccoli": "broccoli", "caribou": "caribou", "chairperson": "chairpersons",
    "christmas": "christmases", "craft": "crafts", "data": "data", "elk": "elk", "genius": "geniuses",
    "gentleman": "gentlemen", "german": "germans", "grandchild": "grandchildren", "media": "media",
    "mine": "mines", "monarch": "monarchs", "octopus": "octopuses", "offspring": "offspring",
    "passer-by": "passers-by", "passerby": "passersby", "persona": "personas", "reindeer": "reindeer",
    "roman": "romans", "shrimp": "shrimp", "stepchild": "stepchildren", "swine": "swine",
    "thief": "thieves", "walrus": "walruses", "waltz": "waltzes",
}
"""Plurals that inflect forms wrongly or with a rarer word, beside those of `_OES`."""

_OES = {
    "buffalo", "domino", "echo", "hero", "mosquito", "potato", "superhero", "tomato", "tornado", "torpedo",
    "volcano",
}
"""Nouns in "o" whose plural has an "e". Inflect gives one to every noun it doesn't know ("burritoes")."""

_SINGULARS = {"people": "person", "persons": "person", "skis": "ski", "skiis": "ski", "fries": "fry"}
"""Plurals that a lemmatizer, or COCO's list of classes, takes for dictionary forms."""

_PLURAL_ONLY = {
    "belongings", "binoculars", "boxers", "cattle", "clothes", "eyeglasses", "furnishings", "glasses",
    "goggles", "goods", "groceries", "jeans", "khakis", "leggings", "overalls", "pajamas", "pants", "pliers",
    "police", "pyjamas", "scissors", "shears", "shorts", "slacks", "spectacles", "sunglasses", "suspenders",
    "sweatpants", "tights", "tongs", "trousers", "tweezers", "underpants",
}
_NO_SINGULARS = {
    "binocular": "binoculars", "eyeglass": "eyeglasses", "goggle": "goggles", "jean": "jeans",
    "pajama": "pajamas", "pant": "pants", "plier": "pliers", "pyjama": "pyjamas", "scissor": "scissors",
    "sunglass": "sunglasses", "sweatpant": "sweatpants", "tong": "tongs", "trouser": "trousers",
    "tweezer": "tweezers", "underpant": "underpants",
}
"""Singulars that a lemmatizer makes up for nouns that have none."""

_ACRONYMS = {
    name.lower(): name
    for name in (
        "ATM", "ATV", "BBQ", "CCTV", "CD", "DVD", "GPS", "LCD", "LED", "PC", "PDA", "RV", "SLR", "SUV", "TV",
        "UFO", "USB", "VCR",
    )
}
# fmt: on

_AN = re.compile(r"[aeio]|u(?!ni|s[aeiu]|ku|t[ei]|r[aeiu])|heir|hono|hour|[fhlmnrsx]-", re.IGNORECASE)
_NOT_AN = re.compile(r"eu|ewe\b|one\b|once\b", re.IGNORECASE)
_AN_LETTERS = frozenset("AEFHILMNORSX")
"""Letters whose names begin with a vowel: "an SUV"."""


@cache
def forms_of(lemma: str) -> Forms:
    """Return the forms of a noun; of several words the last is inflected.

    Args:
        lemma: Its dictionary form, or a plural that passes for one ("people").

    Raises:
        InputError: The `inflect` library is not installed.

    >>> forms_of("hot dog"), forms_of("people").singular
    (Forms(singular='hot dog', plural='hot dogs'), 'person')
    >>> forms_of("scissors")
    Forms(singular=None, plural='scissors')
    """
    before, _, word = spelled(lemma).rpartition(" ")
    before += " " if before else ""
    word = _NO_SINGULARS.get(word, word)
    if word in _PLURAL_ONLY:
        return Forms(None, before + word)
    singular = _SINGULARS.get(word, word)
    return Forms(before + singular, before + _plural(singular))


def spelled(word: str) -> str:
    """Write a noun as within a sentence: in small letters, but an acronym in capitals.

    >>> [spelled(word) for word in ("DOG", "Tvs", "Hot Dog", "led")]
    ['dog', 'TVs', 'hot dog', 'LED']
    """
    return " ".join(map(_spelled, word.lower().split()))


def indefinite_article(word: str) -> str:
    """Return "a" or "an", whichever goes before a word. Two capitals at its beginning mean an acronym.

    >>> [indefinite_article(word) for word in ("owl", "unicorn", "hourglass", "house", "SUV", "TV")]
    ['an', 'a', 'an', 'a', 'an', 'a']
    """
    if len(word) > 1 and word[:2].isupper():
        return "an" if word[0] in _AN_LETTERS else "a"
    return "an" if _AN.match(word) and not _NOT_AN.match(word) else "a"


def _spelled(word: str) -> str:
    if word.endswith("s") and word[:-1] in _ACRONYMS:
        return _ACRONYMS[word[:-1]] + "s"
    return _ACRONYMS.get(word, word)


def _plural(word: str) -> str:
    if word in _PLURALS:
        return _PLURALS[word]
    if word.isupper():
        return word + "s"
    if word.endswith("o"):
        return word + ("es" if word in _OES else "s")
    plural = str(_inflect().plural_noun(word))
    return word if plural == f"{word}s" and word.endswith("s") else plural


@cache
def _inflect() -> Any:
    try:
        import inflect
    except ImportError as error:
        raise InputError(
            "plurals need the inflect library; install it with `pip install 'daam-bench[nlp]'`"
        ) from error
    return inflect.engine()
