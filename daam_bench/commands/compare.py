"""`daam-bench compare`: the difference of two methods, paired over images."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.commands.predictions import prediction_files, score_file
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.scoring.bootstrap import Difference
    from daam_bench.scoring.results import SplitScores


def add_parser(subparsers: Any) -> None:
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
            for scores in (score_file(path, arguments.dataset) for path in prediction_files(file))
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


def _tau_of(scores: SplitScores, tau: str) -> str:
    """Return the key to compare at: `tau`, but for a method with a single one that, as hard masks have."""
    return next(iter(scores)) if len(scores) == 1 else tau


def _signed(difference: Difference | None) -> str:
    if difference is None:
        return "-"
    mean, low, high = (100 * value for value in (difference.mean, difference.low, difference.high))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
