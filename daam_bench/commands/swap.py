"""`daam-bench swap`: prompts with their nouns exchanged."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from daam_bench.types.errors import InputError


def add_parser(subparsers: Any) -> None:
    """Add `swap`: prompts with their nouns exchanged."""
    parser = subparsers.add_parser("swap", help="exchange the nouns of prompts among them")
    parser.add_argument(
        "file",
        metavar="FILE|DATASET:COLUMN",
        help="a text file with one prompt a line, COCO captions (.json, .json.gz), or a column of a dataset",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the exchange (default: 0)")
    parser.add_argument(
        "--pipeline", metavar="NAME", help="spaCy pipeline that finds nouns, by name or path (default: ours)"
    )
    parser.set_defaults(handler=swap_prompts)


def swap_prompts(arguments: argparse.Namespace) -> None:
    """Print prompts with their countable nouns exchanged, one a line; blank ones are left out."""
    from daam_bench.prompts.captions import read_captions
    from daam_bench.prompts.nouns import parse_captions
    from daam_bench.prompts.swap import swap_nouns

    texts = [caption.text for caption in read_captions(arguments.file)]
    parsed = [caption.countable() for caption in parse_captions(texts, arguments.pipeline)]
    if not any(caption.nouns for caption in parsed):
        raise InputError(f"{arguments.file} has no countable noun, so there is none to exchange")
    for swapped in swap_nouns(parsed, arguments.seed):
        sys.stdout.write(f"{swapped.text}\n")
