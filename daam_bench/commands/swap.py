"""`daam-bench swap`: captions to prompts with their nouns exchanged."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from daam_bench.errors import InputError


def add_parser(subparsers: Any) -> None:
    """Add `swap`: captions to prompts with their nouns exchanged."""
    parser = subparsers.add_parser("swap", help="exchange the nouns of captions among them")
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="a text file, one caption a line; its nouns are COCO's 80 classes",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the exchange (default: 0)")
    parser.set_defaults(handler=swap_captions)


def swap_captions(arguments: argparse.Namespace) -> None:
    """Print the captions of a file with their nouns exchanged, one a line."""
    from daam_bench.splits.lexicon import find_nouns
    from daam_bench.splits.swap import swap_nouns

    try:
        captions = arguments.file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise InputError(
            f"can't read {arguments.file}: {reason}; give a text file, one caption a line"
        ) from None
    found = [find_nouns(caption) for caption in captions]
    if not any(caption.nouns for caption in found):
        raise InputError(f"{arguments.file} names none of COCO's 80 classes, so there is no noun to exchange")
    for swapped in swap_nouns(found, arguments.seed):
        sys.stdout.write(f"{swapped.text}\n")
