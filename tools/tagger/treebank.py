"""Treebanks: sentences read from CoNLL-U, and changed at random so that they look more like captions."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import IO

from daam_bench.types.errors import InputError

_OPEN, _CLOSED = "ADJ ADV INTJ NOUN PROPN VERB", "ADP AUX CCONJ DET NUM PART PRON SCONJ"
UPOS = frozenset(f"{_OPEN} {_CLOSED} PUNCT SYM X".split())
"""The universal parts of speech."""

_COLUMNS = 6

LOWER, BARE_START, NO_STOP, FRAGMENT = 0.3, 0.3, 0.3, 0.2
"""Chances of: all words in lower case, the first one only, no final punctuation, a fragment."""

_PHRASE_STARTS = frozenset({"DET", "NUM", "ADJ"})
_SHORTEST = 3


@dataclass(frozen=True, slots=True)
class TreebankWord:
    """A syntactic word: its form, lemma, universal part of speech, and FEATS Number ("Plur", ...) or ""."""

    form: str
    lemma: str
    pos: str
    number: str


Sentence = tuple[TreebankWord, ...]


def read_conllu(path: Path) -> list[Sentence]:
    """Read the sentences of a CoNLL-U file, plain or gzipped: at least one, each of a word or more.

    Comments, the ranges of multiword tokens ("3-4") and empty nodes ("5.1") are passed over: what is left
    are the syntactic words. Columns after FEATS are not looked at.

    Raises:
        InputError: The file can't be read, a line is no CoNLL-U, or there is no sentence.
    """
    try:
        opener: Callable[..., IO[str]] = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as lines:
            sentences = list(_sentences(lines, path))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8; give a CoNLL-U file, plain or .gz") from None
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"can't read {path}: {reason}; give a CoNLL-U file, plain or .gz") from None
    if not sentences:
        raise InputError(f"{path} holds no sentence; give a CoNLL-U file, plain or .gz")
    return sentences


def _sentences(lines: IO[str], path: Path) -> Iterator[Sentence]:
    words: list[TreebankWord] = []
    for number, line in enumerate(lines, start=1):
        line = line.rstrip("\n")
        if not line.strip():
            if words:
                yield tuple(words)
            words = []
        elif not line.startswith("#"):
            columns = line.split("\t")
            if len(columns) < _COLUMNS or columns[3] not in UPOS | {"_"}:
                raise InputError(
                    f"{path}, line {number}: expected ID, FORM, LEMMA, UPOS, XPOS, FEATS between tabs"
                )
            if columns[0].isdecimal():
                words.append(_word(columns))
    if words:
        yield tuple(words)


def _word(columns: list[str]) -> TreebankWord:
    form, lemma, pos, feats = columns[1], columns[2], columns[3], columns[5]
    features = dict(feature.split("=", 1) for feature in feats.split("|") if "=" in feature)
    return TreebankWord(
        form, form if lemma == "_" and form != "_" else lemma, pos, features.get("Number", "")
    )


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
