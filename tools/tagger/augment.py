"""Making web text look more like captions: lower case, no full stop, fragments."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from tools.tagger.conllu import Sentence, TreebankWord

LOWER, BARE_START, NO_STOP, FRAGMENT = 0.3, 0.3, 0.3, 0.2
"""Chances of: all words in lower case, the first one only, no final punctuation, a fragment."""

_PHRASE_STARTS = frozenset({"DET", "NUM", "ADJ"})
_SHORTEST = 3


def augment(sentence: Sentence, random: Random) -> Sentence:
    """Return a sentence as it is or changed at random, always with at least one word."""
    if random.random() < FRAGMENT:
        sentence = _fragment(sentence, random)
    if random.random() < NO_STOP and len(sentence) > 1 and sentence[-1].pos == "PUNCT":
        sentence = sentence[:-1]
    chance = random.random()
    if chance < LOWER:
        return tuple(_lower(word) for word in sentence)
    if chance < LOWER + BARE_START and sentence[0].pos != "PROPN":
        return (_lower(sentence[0]), *sentence[1:])
    return sentence


def _fragment(sentence: Sentence, random: Random) -> Sentence:
    """Cut from a word that may begin a noun phrase to the end, and let it begin with a capital."""
    starts = [
        index for index, word in enumerate(sentence[: -_SHORTEST + 1 or None]) if word.pos in _PHRASE_STARTS
    ]
    if not starts:
        return sentence
    start = random.choice(starts)
    first = sentence[start]
    return (replace(first, form=first.form[:1].upper() + first.form[1:]), *sentence[start + 1 :])


def _lower(word: TreebankWord) -> TreebankWord:
    return replace(word, form=word.form.lower(), lemma=word.lemma.lower())
