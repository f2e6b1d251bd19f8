"""`daam-bench methods` and `queries`: which methods there are, and what methods are asked."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.console import names, say
from daam_bench.types.errors import InputError, check_limit

if TYPE_CHECKING:
    from daam_bench.segmenters.cards import MethodCard

QUERIES = "queries.jsonl"

_SPLITS = ("coco_gen", "unreal_gen")


def add_parser(subparsers: Any) -> None:
    """Add `methods` and `queries`."""
    parser = subparsers.add_parser("methods", help="list the methods: tracks, needs, options, cost, papers")
    parser.add_argument("name", nargs="?", metavar="NAME", help="tell all about this one")
    parser.set_defaults(handler=list_methods)

    parser = subparsers.add_parser("queries", help="write what methods are asked: prompts, images, nouns")
    add = parser.add_argument
    add("--dataset", default="emoji", metavar="emoji|PATH|HUB_ID", help="the dataset (default: emoji)")
    add("--split", type=names, default=_SPLITS, help=f"splits (default: {','.join(_SPLITS)})")
    add("--limit", type=int, metavar="N", help="only the first N examples of each split")
    add("--output", required=True, type=Path, metavar="DIR", help="the folder to write; it must be new")
    parser.set_defaults(handler=write_queries)


def list_methods(arguments: argparse.Namespace) -> None:
    """Print what every installed method says of itself, by track; or all about one."""
    from daam_bench.segmenters.cards import TRACKS
    from daam_bench.segmenters.registry import method_names

    if arguments.name is not None:
        sys.stdout.write(_details(arguments.name))
        return
    cards: dict[str, MethodCard] = {}
    for name in method_names():
        try:
            cards[name] = _card(name)
        except InputError as error:
            say(f"warning: {error}")
    for track, meaning in (*TRACKS.items(), (None, "methods that don't say what they use")):
        members = {name: card for name, card in cards.items() if card.track == track}
        if members:
            sys.stdout.write(_track(track or "no track", meaning, members))
    sys.stdout.write("daam-bench methods NAME: all about one\n")


def _card(name: str) -> MethodCard:
    from daam_bench.segmenters.cards import card_of
    from daam_bench.segmenters.registry import find_method

    return card_of(find_method(name))


def _track(track: str, meaning: str, members: dict[str, MethodCard]) -> str:
    from daam_bench.segmenters.registry import OURS, method_names

    counts = Counter(option for card in members.values() for option in map(_option, card.options))
    usual = [option for option, count in counts.items() if count > 1 and 2 * count > len(members)]
    lines = [f"Track {track!r}: {meaning}"]
    if usual:
        lines.append(f"  options of those with a *: {', '.join(usual)}")
    for name, card in members.items():
        options = [_option(option) for option in card.options]
        has_usual = bool(usual) and set(usual) <= set(options)
        lines += ["", f"  {name}{'*' if has_usual else ''}: {card.summary}"]
        own = [option for option in options if not has_usual or option not in usual]
        lines += [
            f"    {label}: {text}"
            for label, text in (
                ("made by", None if name in OURS else method_names()[name]),
                ("tuned on", card.tuned_on),
                ("needs", card.needs),
                ("denoiser calls an image", card.calls),
                ("paper", card.paper),
                ("options", ", ".join(own)),
            )
            if text
        ]
    return "\n".join(lines) + "\n\n"


def _details(name: str) -> str:
    from daam_bench.segmenters.cards import TRACKS
    from daam_bench.segmenters.registry import find_method, method_names

    card, factory = _card(name), find_method(name)
    tracks = {str(track): text for track, text in TRACKS.items()}
    says = [
        ("made by", method_names().get(name, name)),
        ("track", card.track and f"{card.track} ({tracks.get(card.track, 'no track of the leaderboard')})"),
        ("tuned on", card.tuned_on),
        ("needs", card.needs),
        ("denoiser calls an image", card.calls),
        ("paper", card.paper),
        ("options", ", ".join(map(_option, card.options)) or "none"),
    ]
    lines = [f"{label}: {text}" for label, text in says if text]
    documented = inspect.getdoc(factory) or ""
    # A subclass tells its own options; those that it inherits are told by its bases.
    bases = [base.__doc__ for base in getattr(factory, "__mro__", ())[1:-1] if base.__doc__]
    inherited = [_arguments(text) for text in bases if "Args:" in text]
    more = ["", "Options that it has in common with others:", *inherited] if inherited else []
    return "\n".join([name, *lines, "", documented, *more]) + "\n"


def _arguments(documented: str) -> str:
    """Return the lines below "Args:" of a docstring."""
    return inspect.cleandoc(documented).partition("Args:\n")[2].partition("\n\n")[0].rstrip()


def _option(option: tuple[str, Any]) -> str:
    name, default = option
    if default is inspect.Parameter.empty:
        return f"{name} (required)"
    try:
        return f"{name}={json.dumps(default)}"
    except TypeError:
        return f"{name}={default!r}"


def write_queries(arguments: argparse.Namespace) -> None:
    """Write prompts, images, nouns and settings of generation, for a method that can't be imported here.

    `<split>/queries.jsonl` has a line for each example, and `<split>/images/` the images as PNG.
    """
    from daam_bench.annotate.findings import file_name
    from daam_bench.datasets.load import load_split
    from daam_bench.datasets.row_writing import png
    from daam_bench.datasets.write import require_new
    from daam_bench.files.folders import replacing_folder
    from daam_bench.files.replacing import write_text

    check_limit(arguments.limit)
    output: Path = arguments.output
    require_new(output, "give another --output")
    splits = [load_split(arguments.dataset, name)[: arguments.limit] for name in arguments.split]
    try:
        with replacing_folder(output) as folder:
            for split in splits:
                images = folder / split.name / "images"
                images.mkdir(parents=True)
                lines = []
                for query in split.queries():
                    image = f"images/{file_name(query.id)}"
                    (folder / split.name / image).write_bytes(png(query.image))
                    record = {
                        "id": query.id,
                        "prompt": query.prompt,
                        "image": image,
                        "nouns": [asdict(noun) for noun in query.nouns],
                        "seed": query.seed,
                        "generation": None if query.generation is None else asdict(query.generation),
                    }
                    lines.append(json.dumps(record, ensure_ascii=False) + "\n")
                write_text(folder / split.name / QUERIES, "".join(lines))
    except OSError as error:
        raise InputError(f"can't write {output}: {error.strerror}; give another --output") from None
    counts = ", ".join(f"{len(split)} of {split.name}" for split in splits)
    asked = "" if arguments.split == _SPLITS else f" --split {','.join(arguments.split)}"
    asked += "" if arguments.limit is None else f" --limit {arguments.limit}"
    sys.stdout.write(
        f"{output}/: queries of {counts}. Save one file a noun, <split>/<id>/<its index>.npy or .png, then: "
        f"daam-bench run --method precomputed --from DIR --dataset {arguments.dataset}{asked}\n"
    )
