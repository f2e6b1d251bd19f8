"""Errors in the words that users read, the checks of settings that raise them, and harmless text."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from difflib import get_close_matches

_JOINERS = "\u200c\u200d"
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode's categories of control, format, surrogate and private characters, line and paragraph ends."""


_DTYPES = {
    **{name: name for name in ("float32", "float16", "bfloat16")},
    "fp32": "float32",
    "float": "float32",
    "fp16": "float16",
    "half": "float16",
    "bf16": "bfloat16",
}


class InputError(ValueError):
    """Bad arguments or bad input, in one line: what is wrong and how to fix it.

    The command line prints that line to stderr and exits with status 2, without a traceback.
    """


class MethodFailedError(RuntimeError):
    """The code of a method raised something; that is the cause. The command line exits with status 1.

    Attributes:
        kept: What was written before, in words; empty if nothing was.
    """

    kept = ""


class ShapeError(InputError):
    """Two masks, or a mask and its image, differ in size."""


class UnknownWordError(InputError, KeyError):
    """A prompt has no such word, or its text encoder did not see it. The line says which words there are."""

    __str__ = Exception.__str__


def check_tau(tau: float) -> None:
    """Refuse a threshold outside [0, 1], and NaN."""
    if not 0 <= tau <= 1:
        raise InputError(f"tau is a share of the heat map's maximum in [0, 1], not {tau}")


def check_taus(taus: Collection[float]) -> None:
    """Refuse no threshold at all, and one outside [0, 1]."""
    if not taus:
        raise InputError("no tau is given; give at least one, such as 0.4")
    for tau in taus:
        check_tau(tau)


def check_batch_size(batch_size: int) -> None:
    """Refuse a number of images at once below 1."""
    if batch_size < 1:
        raise InputError(f"the batch size must be at least 1, not {batch_size}")


def check_limit(limit: int | None) -> None:
    """Refuse a number of examples of each split below 1; None is all of them."""
    if limit is not None and limit < 1:
        raise InputError(f"--limit must be at least 1 example, not {limit}")


def check_steps(steps: int | None) -> None:
    """Refuse a number of inference steps below 1; None is the model's usual one."""
    if steps is not None and steps < 1:
        raise InputError(f"--steps must be at least 1, not {steps}")


def full_dtype(name: str) -> str:
    """Return the full name of a dtype; a name that is not known stays as it is.

    >>> full_dtype("bf16"), full_dtype("half"), full_dtype("float32")
    ('bfloat16', 'float16', 'float32')
    """
    return _DTYPES.get(name.lower().removeprefix("torch."), name)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the known word that is most like one that is not known, as a hint; "" if none is near.

    >>> did_you_mean("Coco-Gen", ["coco_gen", "unreal_gen"])
    "; did you mean 'coco_gen'?"
    """
    lowered = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), lowered, n=1)
    return f"; did you mean {lowered[near[0]]!r}?" if near else ""


def is_hidden(character: str) -> bool:
    """Tell whether a character shows nothing itself: a control character, a line end, a turn of direction.

    So do Unicode's 66 noncharacters, two of which no XML may hold.
    """
    code = ord(character)
    if code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
        return True
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
