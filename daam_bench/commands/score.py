"""`daam-bench score`: predictions files to scores. Needs no model and no GPU."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from daam_bench.commands.predictions import prediction_files, score_file
from daam_bench.console import say
from daam_bench.types.errors import InputError


def add_parser(subparsers: Any) -> None:
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
    from daam_bench.scoring.tables import format_table, proposals_warning

    results = [
        score_file(path, arguments.dataset) for file in arguments.files for path in prediction_files(file)
    ]
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
    if warning := proposals_warning(report):
        say(f"note: {warning}")
    sys.stdout.write(format_table(report) + "\n")
    if arguments.output is not None:
        write_report(arguments.output, report, results)
        sys.stdout.write(f"\n{arguments.output}/: report.md, report.json, pairs.csv\n")
