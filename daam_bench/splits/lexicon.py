"""Finding nouns by a word list: COCO's 80 classes, singular and plural. Needs no language model."""

from __future__ import annotations

import re

from daam_bench.coco import CLASSES
from daam_bench.splits.swap import NounCaption
from daam_bench.types import Noun

_IRREGULAR = {
    "person": "people",
    "mouse": "mice",
    "knife": "knives",
    "sheep": "sheep",
    "skis": "skis",
    "scissors": "scissors",
    "broccoli": "broccoli",
}


def plural_of(noun: str) -> str:
    """Return the plural of one of COCO's class names.

    >>> [plural_of(noun) for noun in ("cat", "wine glass", "bench", "mouse")]
    ['cats', 'wine glasses', 'benches', 'mice']
    """
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    return noun + ("es" if noun.endswith(("s", "sh", "ch", "x")) else "s")


PLURALS: dict[str, str] = {name: plural_of(name) for name in CLASSES}
"""COCO class -> its plural."""

_LEMMAS = {plural: name for name, plural in PLURALS.items()} | {name: name for name in CLASSES}
_NOUN = re.compile(
    rf"\b({'|'.join(sorted(map(re.escape, _LEMMAS), key=len, reverse=True))})\b", re.IGNORECASE
)
_PLURAL_BEFORE = re.compile(
    r"\b(two|three|four|five|six|many|some|several|these|those)\s+(\w+\s+)?$", re.IGNORECASE
)


def find_nouns(caption: str) -> NounCaption:
    """Find COCO's classes in a caption, the longest name where several fit ("hot dog").

    A noun whose plural looks like its singular counts as plural after a numeral or the like.

    >>> [noun.text for noun in find_nouns("Two sheep near a hot dog stand").nouns]
    ['sheep', 'hot dog']
    """
    nouns, plural = [], []
    for match in _NOUN.finditer(caption):
        form = match[0].lower()
        lemma = _LEMMAS[form]
        nouns.append(Noun(match[0], lemma, match.start(), match.end(), lemma))
        counted = _PLURAL_BEFORE.search(caption, 0, match.start()) is not None
        plural.append(form != lemma or (PLURALS[lemma] == lemma and counted))
    return NounCaption(caption, tuple(nouns), tuple(plural))
