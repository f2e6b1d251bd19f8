# ruff: noqa: RUF001, RUF002 (letters that look like others are the subject)
"""Names of entries: which two a reader would take for the same, and which make no folder."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from daam_bench.types.errors import is_hidden

SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""Name of an entry's folder."""

_RESERVED = frozenset(
    ("con", "prn", "aux", "nul", *(f"{device}{number}" for device in ("com", "lpt") for number in range(10)))
)
"""Names that Windows keeps for devices, with any ending."""

_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0")
"""Letters and marks that show nothing, though Unicode puts them in no category of such."""

_CAPITALS = {
    "A": "ΑА", "B": "ΒВ", "C": "СϹ", "E": "ΕЕ", "G": "Ԍ", "H": "ΗН", "I": "ΙІӀ", "J": "ЈͿ", "K": "ΚК",
    "M": "ΜМϺ", "N": "Ν", "O": "ΟОՕ", "P": "ΡР", "Q": "Ԛ", "S": "ЅՏ", "T": "ΤТ", "U": "Ս", "V": "Ѵ",
    "W": "Ԝ", "X": "ΧХ", "Y": "ΥУҮ", "Z": "Ζ",
}  # fmt: skip
_SMALL = {
    "a": "αаɑ", "b": "βвь", "c": "сϲ", "d": "ԁ", "e": "εеє", "f": "ſ", "g": "ɡց", "h": "нһհ", "i": "ιіı",
    "j": "јϳȷ", "k": "κк", "l": "ӏ", "m": "м", "n": "ηпոռ", "o": "οоσօ", "p": "ρр", "q": "ԛզ", "r": "г",
    "s": "ѕ", "t": "τт", "u": "υμսц", "v": "νѵ", "w": "ωԝш", "x": "χх", "y": "γуү", "z": "ζ",
}  # fmt: skip
"""Latin letters -> Greek, Cyrillic, Armenian and other ones that look like them, by case: eta is H or n."""


def _table(look_alikes: Mapping[str, str]) -> dict[int, str]:
    return {ord(other): latin for latin, others in look_alikes.items() for other in others}


_CAPITAL_TABLE, _SMALL_TABLE = _table(_CAPITALS), _table(_SMALL)


def folded(name: str) -> str:
    r"""Write a name so that two which look the same are the same text.

    Compatible characters (NFKC), cases, letters that look like Latin ones, and spaces are as one; what shows
    nothing is left out.

    >>> folded("ＤАΑM\u200b  v2 "), folded("daam V2")
    ('daam v2', 'daam v2')
    """
    text = unicodedata.normalize("NFKC", name)
    text = "".join(
        " " if character.isspace() else character for character in text if not _is_blank(character)
    )
    text = unicodedata.normalize("NFKC", text.translate(_CAPITAL_TABLE).casefold()).translate(_SMALL_TABLE)
    return " ".join(text.split())


def slug_of(name: str) -> str:
    """Return the name of the folder that an entry of this name is kept in; empty if no letter is left.

    >>> slug_of("Grounded SAM (v2)")
    'grounded-sam-v2'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-")


def is_reserved(slug: str) -> bool:
    """Tell whether Windows makes no folder of a name.

    >>> is_reserved("aux"), is_reserved("auxiliary")
    (True, False)
    """
    return slug in _RESERVED


def is_slug(text: str) -> bool:
    """Tell whether a text names an entry's folder on every system."""
    return SLUG.fullmatch(text) is not None and not is_reserved(text)


def look_alike(name: str, slug: str, other_name: str, other_slug: str) -> bool:
    """Tell whether the name or the slug of an entry may be taken for those of another.

    >>> look_alike("Mask  R-CNN", "mine", "Mask R-CNN", "mask-r-cnn")
    True
    """
    return bool(_faces(name, slug) & _faces(other_name, other_slug))


def _faces(name: str, slug: str) -> set[str]:
    return {folded(name), slug, slug_of(folded(name))} - {""}


def _is_blank(character: str) -> bool:
    if character.isspace():
        return False
    variation = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return is_hidden(character) or character in "\u200c\u200d" or character in _BLANK or variation
