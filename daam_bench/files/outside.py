"""JSON from outside: read strictly, checked by the schema of its record, shown harmlessly."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from daam_bench.types.errors import InputError, is_hidden, printable

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

MAX_DEPTH = 16
"""Deepest nesting of lists and objects that is read."""

_MAX_INTEGER = 1 << 53
_SHOWN = 200
_adapters: dict[type, TypeAdapter[Any]] = {}


class RecordError(InputError):
    """A record that breaks its schema. `problems` are its places ("authors[0]") and what is wrong there."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f'"{place}": {text}' if place else text for place, text in problems))
        self.problems = problems


def parse_record(kind: type[T], record: object) -> T:
    """Build a frozen dataclass, whose annotations are the schema, from what `parse_json` returned.

    Unknown keys are left out. No value is converted but lists to tuples and whole numbers to floats.

    Raises:
        RecordError: The value breaks the schema. It lists every problem.
    """
    from pydantic import TypeAdapter, ValidationError

    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    try:
        # As JSON, since strict validation of a Python list accepts it for no tuple.
        value: T = _adapters[kind].validate_json(json.dumps(record), strict=True)
        return value
    except ValidationError as error:
        found = error.errors(include_url=False)
    raise RecordError([(_place(entry["loc"]), _text(entry["msg"], entry)) for entry in found])


def _place(keys: tuple[str | int, ...]) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return printable(text.removeprefix("."))


def _text(message: str, entry: Any) -> str:
    if entry["type"] == "missing":
        return "is missing"
    if entry["type"] == "value_error":
        return message.removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return message if ", not" in message else f"{message}, not {shown(entry['input'])}"


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
    for entry, depth in _entries(value):
        if depth > MAX_DEPTH:
            raise InputError(f"not JSON that is read: nested more than {MAX_DEPTH} deep")
        if isinstance(entry, float) and not math.isfinite(entry):
            raise InputError("not JSON that is read: a number too large for a double")
        if type(entry) is int and abs(entry) > _MAX_INTEGER:
            raise InputError("not JSON that is read: a whole number too large for a double")
    return value


def hidden_characters(value: Any, allowed: str = "") -> str | None:
    r"""Say which character in a JSON value's texts no screen shows, but for `allowed`; None if all show.

    Such are control characters, line breaks, those that turn the direction of writing, and halves of pairs.

    >>> hidden_characters({"name": "a\x1b[2J"}), hidden_characters("日本語")
    ('holds the character U+001B, which no screen shows', None)
    """
    for entry, _ in _entries(value):
        for character in entry if isinstance(entry, str) else "":
            if character not in allowed and is_hidden(character):
                return f"holds the character U+{ord(character):04X}, which no screen shows"
    return None


def shown(value: object) -> str:
    """Write any value for a message: printable, as `repr` is, and not long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _entries(value: Any) -> Iterator[tuple[Any, int]]:
    """Yield a JSON value, all that it holds, and the keys, each with its depth; stops below the deepest."""
    stack = [(value, 1)]
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
