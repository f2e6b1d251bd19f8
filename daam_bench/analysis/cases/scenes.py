"""The nouns of the case studies, and the prompts' backgrounds."""

from __future__ import annotations

from daam_bench.emoji.nouns import NOUNS
from daam_bench.prompts.inflection import indefinite_article

SINGLES = ("dog", "laptop", "apple", "car", "balloon", "elephant")
"""Nouns that are counted or repeated."""

PAIRS = (
    ("dog", "chair", "grass"),
    ("apple", "cake", "room"),
    ("car", "tree", "road"),
    ("elephant", "cactus", "sand"),
    ("cat", "mushroom", "grass"),
    ("laptop", "clock", "room"),
)
"""Two nouns that share an image, and its background. All are words of the emoji world and plain English."""

_INSIDE = ("sky", "room")


def place(background: str) -> str:
    """Return where a prompt's nouns are.

    >>> place("grass"), place("sky")
    ('on the grass', 'in the sky')
    """
    return f"{'in' if background in _INSIDE else 'on'} the {background}"


def usual_place(noun: str) -> str:
    """Return where a noun of the emoji world usually is."""
    return place(NOUNS[noun].usual[0])


def plural_of(noun: str) -> str:
    """Return the plural of a noun of the emoji world."""
    return NOUNS[noun].plural


def one(*words: str) -> str:
    """Return words with the indefinite article before them.

    >>> one("apple"), one("big", "apple")
    ('an apple', 'a big apple')
    """
    return f"{indefinite_article(words[0])} {' '.join(words)}"
