"""Finding methods by name: entry points of the group `daam_bench.methods`, or `module:Class`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import reduce
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from daam_bench.segmenters.base import Segmenter
from daam_bench.types.errors import InputError

GROUP = "daam_bench.methods"
"""Entry point group in which a package names its methods; ours are in pyproject.toml."""


def get_segmenter(name: str, **options: Any) -> Segmenter:
    """Make the method of a name.

    Args:
        name: A name from `method_names()`, or "module:Class" for a class (or function) that makes a method;
            the module may lie in the current folder.
        options: What the method is made with.

    Raises:
        InputError: There is no such method, it can't be loaded, or it has no such option.
    """
    return make_segmenter(name, options)


def make_segmenter(
    name: str, options: Mapping[str, Any], offers: Mapping[str, Any] | None = None
) -> Segmenter:
    """Make the method of a name.

    Args:
        name: See `get_segmenter`.
        options: What the user asked for: an option that the method lacks is an error.
        offers: What the method may have if it has such an option, and else does without.

    Raises:
        InputError: See `get_segmenter`.
    """
    factory = find_method(name)
    accepted = _options_of(factory)
    if accepted is not None:
        for option in options:
            if option not in accepted:
                raise InputError(
                    f"method {name!r} has no option {option!r}; its options: {', '.join(accepted) or 'none'}"
                )
        offers = {option: value for option, value in (offers or {}).items() if option in accepted}
    segmenter = factory(**{**(offers or {}), **options})
    if not isinstance(segmenter, Segmenter):
        lacking = [part for part in ("name", "parameters", "segment") if not hasattr(segmenter, part)]
        raise InputError(
            f"{name!r} makes a {type(segmenter).__name__}, which is no method: it lacks "
            f"{', '.join(lacking)}; see daam_bench.segmenters.base.Segmenter"
        )
    return segmenter


def method_names() -> dict[str, str]:
    """Return the installed methods: name -> "module:Class", in ABC order."""
    return {name: _entries()[name].value for name in sorted(_entries())}


def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def find_method(name: str) -> Callable[..., Any]:
    """Return the class or function that makes a method.

    Raises:
        InputError: There is no such method, or it can't be loaded.
    """
    entries = _entries()
    if name in entries:
        return _load(name, entries[name].value)
    if ":" in name:
        if str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))
        return _load(name, name)
    near = get_close_matches(name, entries, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    known = ", ".join(sorted(entries)) or "none: is daam-bench installed?"
    raise InputError(f"no method {name!r}{hint} Methods: {known}, or module:Class for one of yours")


def _load(name: str, target: str) -> Callable[..., Any]:
    module_name, _, attribute = target.partition(":")
    try:
        factory = reduce(getattr, attribute.split("."), import_module(module_name))
    except ModuleNotFoundError as error:
        raise InputError(
            f"method {name!r} needs the module {error.name!r}, which is not installed; install it, or run "
            "where it can be imported"
        ) from error
    except (AttributeError, ImportError, ValueError) as error:
        raise InputError(f"method {name!r} can't be loaded from {target!r}: {error}") from error
    if not callable(factory):
        raise InputError(
            f"method {name!r}: {target!r} is no class or function, but a {type(factory).__name__}"
        )
    made: Callable[..., Any] = factory
    return made


def _options_of(factory: Callable[..., Any]) -> list[str] | None:
    """Return the names of a factory's options; None if it takes any."""
    parameters = inspect.signature(factory).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [parameter.name for parameter in parameters if parameter.kind in named]
