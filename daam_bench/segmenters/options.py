"""What the command line asks of a method: its options."""

from __future__ import annotations

import argparse
import json
from typing import Any

_NAMED = ("device", "dtype", "model", "seed", "checkpoint", "config", "score", "source")


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
    parser.add_argument(
        "--seed", type=int, metavar="N", help="seed of a method that throws dice (default: 0)"
    )
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
    named = {name: getattr(arguments, name) for name in _NAMED}
    return {name: value for name, value in named.items() if value is not None} | dict(arguments.option)


def parse_option(text: str) -> tuple[str, Any]:
    """Part "name=value"; the value is JSON, or else text.

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
