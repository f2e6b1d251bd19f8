"""Untrusted text, written so that it does nothing on a terminal but stand there."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode's categories of control, format, surrogate and private characters, line and paragraph ends."""


def is_hidden(character: str) -> bool:
    """Tell whether a character shows nothing itself: a control character, a line end, a turn of direction."""
    return unicodedata.category(character) in _HIDDEN and character not in _JOINERS


def printable(text: str) -> str:
    r"""Write hidden characters as escapes.

    >>> printable("a\x1b[2J")
    'a\\x1b[2J'
    """
    if not any(map(is_hidden, text)):
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii") if is_hidden(character) else character
        for character in text
    )
