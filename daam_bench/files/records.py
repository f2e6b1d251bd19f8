"""JSON objects to the dataclasses they were written from, checked against the annotations."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from daam_bench.types.errors import InputError

T = TypeVar("T")


def from_record(kind: type[T], record: object, name: str = "") -> T:
    """Build a dataclass from what `json.loads` made of its `asdict`; keys it doesn't know are left out.

    Args:
        kind: The dataclass. Its fields may be str, int, float, bool, Any, another dataclass, a tuple of fixed
            length, a mapping from str, or one of these or None.
        record: The JSON value.
        name: What to call the value in an error.

    Raises:
        InputError: A key is missing, or its value is of another type.
    """
    return cast(T, _convert(kind, record, name))


def _convert(kind: Any, value: object, name: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        (wanted,) = (argument for argument in arguments if argument is not type(None))
        return None if value is None else _convert(wanted, value, name)
    if is_dataclass(kind) and isinstance(value, dict):
        return _dataclass(kind, value, name)
    if origin is Mapping and isinstance(value, dict):
        return {key: _convert(arguments[1], entry, f"{name}.{key}") for key, entry in value.items()}
    if origin is tuple and isinstance(value, list) and len(value) == len(arguments):
        return tuple(_convert(wanted, entry, name) for wanted, entry in zip(arguments, value, strict=True))
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is kind:
        return value
    raise InputError(f'"{name}" is {value!r:.60}')


def _dataclass(kind: Any, record: dict[str, Any], name: str) -> Any:
    hints = get_type_hints(kind)
    values = {}
    for field in fields(kind):
        path = f"{name}.{field.name}" if name else field.name
        if field.name in record:
            values[field.name] = _convert(hints[field.name], record[field.name], path)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f'"{path}" is missing')
    return kind(**values)
