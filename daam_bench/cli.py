"""The console command `daam-bench`: one small function a sub-command, everything heavy imported inside it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench import __version__, run
from daam_bench.console import Parser, run_command
from daam_bench.emoji import cli as emoji
from daam_bench.errors import InputError

if TYPE_CHECKING:
    from daam_bench.scoring.bootstrap import Difference
    from daam_bench.scoring.results import SplitScores


def build_parser() -> Parser:
    """Return the parser of `daam-bench` with all its sub-commands."""
    parser = Parser(
        prog="daam-bench", description="A benchmark for word-to-pixel attribution in text-to-image models."
    )
    parser.add_argument("--version", action="version", version=f"daam-bench {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run.add_parser(subparsers)
    add_score(subparsers)
    add_compare(subparsers)
    add_methods(subparsers)
    add_swap(subparsers)
    emoji.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = build_parser().parse_args(argv)
    return run_command(arguments.handler, arguments)


def add_score(subparsers: Any) -> None:
    """Add `score`: predictions files to scores. Needs no model and no GPU."""
    parser = subparsers.add_parser("score", help="score predictions files")
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="a predictions file, or a folder that holds one a split",
    )
    parser.add_argument(
        "--dataset", help="where the dataset lies here (default: as the files' headers name it)"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="write report.json, report.md and pairs.csv there"
    )
    parser.set_defaults(handler=score_files)


def score_files(arguments: argparse.Namespace) -> None:
    """Score predictions files, all of one method on one dataset, and print the table."""
    from daam_bench.scoring.environment import describe_environment
    from daam_bench.scoring.report import build_report, write_report
    from daam_bench.scoring.tables import format_table

    results = [_scores(path, arguments.dataset) for file in arguments.files for path in _predictions(file)]
    headers = [result.header for result in results if result.header is not None]
    first = headers[0]
    for header in headers[1:]:
        if replace(header, split=first.split, fingerprint=first.fingerprint) != first:
            raise InputError(
                f"the files differ in method, parameters or dataset ({first.method} on {first.dataset}, "
                f"{header.method} on {header.dataset}); score them one by one"
            )
    report = build_report(
        results,
        method=first.method,
        parameters=first.parameters,
        dataset=first.dataset,
        environment=describe_environment(seeds={"bootstrap": 0}),
    )
    sys.stdout.write(format_table(report) + "\n")
    if arguments.output is not None:
        write_report(arguments.output, report, results)
        sys.stdout.write(f"\n{arguments.output}/: report.md, report.json, pairs.csv\n")


def add_compare(subparsers: Any) -> None:
    """Add `compare`: the difference of two methods, paired over images."""
    parser = subparsers.add_parser("compare", help="compare two methods on the same images")
    for name in ("a", "b"):
        parser.add_argument(
            name,
            type=Path,
            metavar=name.upper(),
            help="a predictions file, or a folder that holds one a split",
        )
    parser.add_argument("--tau", metavar="T", help="compare at this tau (default: every tau of A)")
    parser.add_argument(
        "--dataset", help="where the dataset lies here (default: as the files' headers name it)"
    )
    parser.set_defaults(handler=compare_files)


def compare_files(arguments: argparse.Namespace) -> None:
    """Print the difference of two methods' scores on each split that both have."""
    from daam_bench.scoring.compare import compare

    a, b = (
        {
            scores.split.name: scores
            for scores in (_scores(path, arguments.dataset) for path in _predictions(file))
        }
        for file in (arguments.a, arguments.b)
    )
    shared = [name for name in a if name in b]
    if not shared:
        raise InputError(f"no split in common: A has {', '.join(a)}; B has {', '.join(b)}")
    sys.stdout.write("A minus B in percent, with 95 % intervals paired over images\n")
    for name in shared:
        for tau in [arguments.tau] if arguments.tau else a[name]:
            tau_a, tau_b = _tau_of(a[name], tau), _tau_of(b[name], tau)
            difference = compare(a[name], b[name], tau_a, tau_b)
            sys.stdout.write(
                f"{name}  tau {tau_a} and {tau_b}  mIoU_80 {_signed(difference.miou_80)}  "
                f"mIoU_inf {_signed(difference.miou_inf)}\n"
            )


def add_methods(subparsers: Any) -> None:
    """Add `methods`: what `--method` may name."""
    parser = subparsers.add_parser("methods", help="list the installed methods")
    parser.set_defaults(handler=list_methods)


def list_methods(arguments: argparse.Namespace) -> None:
    """Print the name and the class of every installed method."""
    from daam_bench.segmenters.registry import method_names

    names = method_names()
    width = max(map(len, names), default=0)
    for name, target in names.items():
        sys.stdout.write(f"{name:<{width}}  {target}\n")


def add_swap(subparsers: Any) -> None:
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
    from daam_bench.splits.lexicon import PLURALS, find_nouns
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
    for swapped in swap_nouns(found, arguments.seed, PLURALS):
        sys.stdout.write(f"{swapped.text}\n")


def _predictions(path: Path) -> list[Path]:
    """Return the predictions files that a path names: itself, or those of a run's output folder."""
    if not path.is_dir():
        return [path]
    found = [path / "predictions.jsonl"] if (path / "predictions.jsonl").exists() else []
    found = found or sorted(path.glob("*/predictions.jsonl"))
    if not found:
        raise InputError(
            f"no predictions.jsonl in {path} or its folders; give a predictions file, or run a method"
        )
    return found


def _scores(path: Path, dataset: str | None) -> SplitScores:
    """Score a predictions file on the split that its header names, with the heat maps beside it.

    A dataset that lies elsewhere than the header says is the same if its fingerprint is.
    """
    from daam_bench.scoring.predictions import read_predictions
    from daam_bench.scoring.score import score
    from daam_bench.splits.load import load_split

    header, _ = read_predictions(path)
    split = replace(load_split(dataset or header.dataset, header.split), dataset=header.dataset)
    heat_maps = path.with_name("heat_maps.jsonl")
    return score(split, path, heat_maps if path.name == "predictions.jsonl" and heat_maps.exists() else None)


def _tau_of(scores: SplitScores, tau: str) -> str:
    """Return the key to compare at: `tau`, but for a method with a single one that, as hard masks have."""
    return next(iter(scores)) if len(scores) == 1 else tau


def _signed(difference: Difference | None) -> str:
    if difference is None:
        return "-"
    mean, low, high = (100 * value for value in (difference.mean, difference.low, difference.high))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
