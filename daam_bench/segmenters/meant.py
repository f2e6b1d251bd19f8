"""Guessing which method a name means, and dealing options out to several methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from daam_bench.types.errors import InputError


def meant(name: str, known: Mapping[str, str]) -> str | None:
    """Guess which method a name means: another spelling of a known one, or module:Class written otherwise.

    >>> meant("DAAM", {"daam": ""}), meant("my_module.Centre", {}), meant("src/centre.py:Centre", {})
    ('daam', 'my_module:Centre', 'src.centre:Centre')
    """
    module, colon, attribute = name.partition(":")
    if colon:
        parts = [part for part in module.removesuffix(".py").split("/") if part not in ("", ".")]
        return f"{'.'.join(parts)}:{attribute}" if parts and attribute else None
    spelled = {one.casefold().replace("_", "-"): one for one in known}
    if near := get_close_matches(name.casefold().replace("_", "-"), spelled, n=1):
        return spelled[near[0]]
    module, _, attribute = name.removesuffix(".py").rpartition(".")
    return f"{module}:{attribute}" if module and attribute.isidentifier() else None


def options_by_method(
    accepted: Mapping[str, Sequence[str] | None], options: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Deal options out to those of several methods that have them.

    Args:
        accepted: Name of a method -> names of its options; None if it takes any.
        options: The options.

    Raises:
        InputError: None of the methods has an option.
    """
    for option in options:
        if not any(has is None or option in has for has in accepted.values()):
            raise InputError(f"none of the methods {', '.join(accepted)} has an option {option!r}")
    return {
        name: {option: value for option, value in options.items() if has is None or option in has}
        for name, has in accepted.items()
    }
