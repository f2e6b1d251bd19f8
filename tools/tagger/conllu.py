"""Reading CoNLL-U: words with their lemmas, universal parts of speech and number."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from daam_bench.types.errors import InputError

_OPEN, _CLOSED = "ADJ ADV INTJ NOUN PROPN VERB", "ADP AUX CCONJ DET NUM PART PRON SCONJ"
UPOS = frozenset(f"{_OPEN} {_CLOSED} PUNCT SYM X".split())
"""The universal parts of speech."""

_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class TreebankWord:
    """A syntactic word: its form, lemma, universal part of speech, and FEATS Number ("Plur", ...) or ""."""

    form: str
    lemma: str
    pos: str
    number: str


Sentence = tuple[TreebankWord, ...]


def read_conllu(path: Path) -> list[Sentence]:
    """Read the sentences of a CoNLL-U file, plain or gzipped.

    Comments, the ranges of multiword tokens ("3-4") and empty nodes ("5.1") are passed over: what is left
    are the syntactic words. Columns after FEATS are not looked at.

    Args:
        path: A file with the columns ID, FORM, LEMMA, UPOS, XPOS, FEATS.

    Returns:
        At least one sentence, each of at least one word.

    Raises:
        InputError: The file can't be read, a line is no CoNLL-U, or there is no sentence.
    """
    try:
        with _open(path) as lines:
            sentences = list(_sentences(lines, path))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8; give a CoNLL-U file, plain or .gz") from None
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"can't read {path}: {reason}; give a CoNLL-U file, plain or .gz") from None
    if not sentences:
        raise InputError(f"{path} holds no sentence; give a CoNLL-U file, plain or .gz")
    return sentences


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


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
