"""Methods by name: entry points of the group `daam_bench.methods`, or `module:Class`; and their options.

Loads nothing heavy, for the command line's help needs it.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import reduce
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.segmenters.base import Segmenter

GROUP = "daam_bench.methods"
"""Entry point group in which a package names its methods; ours are in pyproject.toml."""

_NAMED_OPTIONS = ("device", "dtype", "model", "seed", "checkpoint", "config", "score", "source")


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
    from daam_bench.segmenters.base import NotAMethodError, as_segmenter

    try:
        return as_segmenter(factory(**{**(offers or {}), **options}))
    except NotAMethodError as error:
        raise InputError(f"{name!r} makes no method: {error}") from None


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


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of methods to a parser: flags for the usual ones, `--option` for any."""
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:1, mps ... (default: auto)")
    parser.add_argument(
        "--dtype", help="float32, float16 or bfloat16 (default: the recorded one; float32 on a CPU)"
    )
    parser.add_argument(
        "--model",
        metavar="PATH|HUB_ID",
        help="pipeline that the method looks into (default: the dataset's generator), or its model",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seed of a random method (default: 0)")
    parser.add_argument("--checkpoint", metavar="PATH|URL", help="weights of a detector")
    parser.add_argument("--config", metavar="PATH|NAME", help="MMDetection config of a detector")
    parser.add_argument(
        "--score",
        type=float,
        metavar="S",
        help="least score in [0, 1] of a detector's instances (default: 0.5)",
    )
    parser.add_argument(
        "--from", dest="source", metavar="DIR", help="masks or heat maps of the method `precomputed`"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        type=parse_option,
        metavar="NAME=VALUE",
        help="any other option of the method; a value is JSON, or else text (may be repeated)",
    )


def given_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options that were given: name -> value."""
    named = {name: getattr(arguments, name) for name in _NAMED_OPTIONS}
    return {name: value for name, value in named.items() if value is not None} | dict(arguments.option)


def parse_option(text: str) -> tuple[str, Any]:
    """Split "name=value"; the value is JSON, or else text.

    Raises:
        argparse.ArgumentTypeError: There is no name, or no "=".

    >>> parse_option("threads=2"), parse_option("template=a {}")
    (('threads', 2), ('template', 'a {}'))
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as threads=2")
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        return name.strip(), value
