"""JSON and text from others: read strictly, shown harmlessly."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

from daam_bench.types.errors import InputError
from daam_bench.types.printable import is_hidden, printable

MAX_DEPTH = 16
"""Deepest nesting of lists and objects that is read."""

_MAX_INTEGER = 1 << 53
_SHOWN = 200


def parse_json(content: bytes) -> Any:
    """Parse JSON as every reader understands it: no key twice, no number that a double can't hold.

    Raises:
        InputError: It is not such JSON, not UTF-8, or nested more than `MAX_DEPTH` deep.
    """
    try:
        value = json.loads(
            content.decode("utf-8"), object_pairs_hook=_without_doubles, parse_constant=_no_constant
        )
    except RecursionError:
        raise InputError(f"not JSON that is read: nested more than {MAX_DEPTH} deep") from None
    except InputError as error:
        raise InputError(f"not JSON that is read: {error}") from None
    except ValueError as error:
        raise InputError(f"not JSON ({printable(str(error))[:80]})") from None
    for entry, depth in _entries(value, 1):
        if depth > MAX_DEPTH:
            raise InputError(f"not JSON that is read: nested more than {MAX_DEPTH} deep")
        if isinstance(entry, float) and not math.isfinite(entry):
            raise InputError("not JSON that is read: a number too large for a double")
        if type(entry) is int and abs(entry) > _MAX_INTEGER:
            raise InputError("not JSON that is read: a whole number too large for a double")
    return value


def hidden_characters(value: Any, allowed: str = "") -> str | None:
    r"""Return the name of the first character in a JSON value's texts that no screen shows; None if all do.

    Such are control characters, line breaks, those that turn the direction of writing, and halves of pairs.

    Args:
        value: A JSON value.
        allowed: Characters to let pass.

    >>> hidden_characters({"name": "a\x1b[2J"}), hidden_characters("日本語")
    ('U+001B', None)
    """
    for entry, _ in _entries(value, 1):
        for character in entry if isinstance(entry, str) else "":
            if character not in allowed and is_hidden(character):
                return f"U+{ord(character):04X}"
    return None


def shown(value: object) -> str:
    """Write any value for a message: printable, and not long."""
    text = printable(f"{value!r:.{_SHOWN}}")
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _entries(value: Any, depth: int) -> Iterator[tuple[Any, int]]:
    """Yield a JSON value, all that it holds, and the keys, each with its depth; stops below the deepest."""
    stack = [(value, depth)]
    while stack:
        entry, depth = stack.pop()
        yield entry, depth
        if depth > MAX_DEPTH:
            continue
        if isinstance(entry, dict):
            stack += [(key, depth) for key in entry]
            stack += [(held, depth + 1) for held in entry.values()]
        elif isinstance(entry, list):
            stack += [(held, depth + 1) for held in entry]


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise InputError("an object has a key twice")
    return record


def _no_constant(constant: str) -> NoReturn:
    raise InputError(f"{constant} is not JSON")
