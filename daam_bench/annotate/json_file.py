"""Reading JSON that nobody vouches for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from daam_bench.types.errors import InputError

MAX_BYTES = 1 << 28
"""Largest file that is read."""


def read_json(path: Path) -> Any:
    """Read a JSON file of at most `MAX_BYTES`, without NaN and infinities.

    Raises:
        InputError: It can't be read, or is no such JSON.
    """
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no file; give the JSON file that the annotation tool exported")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES >> 20} MiB; export and import it in parts")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}; give an annotation tool's export") from None
    try:
        return json.loads(data, parse_constant=_refuse)
    except (ValueError, RecursionError, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is no JSON ({reason:.100}); export it again") from None


def shown(value: object) -> str:
    """Return a value for a message, however large or deeply nested it is.

    >>> shown([5, 7]), shown([[5], 7]), shown({"a": 1})
    ('[5, 7]', 'a list', 'an object')
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        is_short = len(value) <= 4 and all(type(item) in (int, float) for item in value)
        return f"[{', '.join(map(shown, value))}]" if is_short else "a list"
    return repr(value[:60] if isinstance(value, str) else value)[:60]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
