"""`daam-bench nouns`: the nouns of captions, which are kept, and why the others are not."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.prompts.nouns import FoundNoun, ParsedCaption


def add_parser(subparsers: Any) -> None:
    """Add `nouns`: the nouns of captions, which are kept, and why the others are not."""
    parser = subparsers.add_parser("nouns", help="list the nouns of captions, kept and dropped, with reasons")
    parser.add_argument(
        "captions",
        nargs="?",
        metavar="CAPTIONS",
        help="COCO captions (.json, .json.gz), a text file with one a line, or DATASET:COLUMN",
    )
    parser.add_argument("--caption", metavar="TEXT", help="one caption, instead of CAPTIONS")
    parser.add_argument(
        "--pipeline", metavar="NAME", help="name or path of a spaCy pipeline (default: the shipped one)"
    )
    parser.add_argument("--summary", action="store_true", help="count lemmas instead of listing captions")
    parser.set_defaults(handler=list_nouns)


def list_nouns(arguments: argparse.Namespace) -> None:
    """Print the nouns of captions."""
    from daam_bench.prompts.captions import read_captions
    from daam_bench.prompts.nouns import parse_captions

    if (arguments.captions is None) == (arguments.caption is None):
        raise InputError("give either CAPTIONS or --caption TEXT")
    if arguments.captions is None:
        texts = [arguments.caption]
    else:
        texts = [caption.text for caption in read_captions(arguments.captions)]
    parsed = parse_captions(texts, arguments.pipeline)
    lines = (
        _summary(parsed) if arguments.summary else [line for caption in parsed for line in _listing(caption)]
    )
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _listing(caption: ParsedCaption) -> list[str]:
    return [caption.text, *(f"  {_described(found)}" for found in caption.nouns)]


def _described(found: FoundNoun) -> str:
    mark = "+" if found.countable else "-"
    number = "plural" if found.plural else "singular"
    return f"{mark} {found.noun.text} ({found.noun.lemma}, {number}): {found.reason}"


def _summary(parsed: Sequence[ParsedCaption]) -> list[str]:
    """Return one line a lemma, verdict and reason, by count."""
    counts = Counter(
        (found.noun.lemma, found.countable, _kind(found)) for caption in parsed for found in caption.nouns
    )
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [f"{count:7,} {'+' if kept else '-'} {lemma}: {reason}" for (lemma, kept, reason), count in ranked]


def _kind(found: FoundNoun) -> str:
    """Return the reason without the caption's own words, so that reasons add up."""
    return found.reason.split(" with ")[0]
