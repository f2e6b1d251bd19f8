"""`daam-bench score`, `compare`, `table` and `methods`: predictions to scores, methods side by side."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.console import say
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.scoring.bootstrap import Difference
    from daam_bench.scoring.results import SplitScores
    from daam_bench.types import Report

METHODS = ("mask_rcnn", "queryinst", "mask2former", "random", "whole", "daam")
TAUS = (0.3, 0.4, 0.5)
"""The paper's."""


def add_parser(subparsers: Any) -> None:
    """Add `score`, `compare`, `table` and `methods` to the parser of `daam-bench`."""
    a_file = "a predictions file, or a folder that holds one a split"
    score = subparsers.add_parser("score", help="score predictions files")
    score.add_argument("files", nargs="+", type=Path, metavar="FILE", help=a_file)
    score.add_argument(
        "--output", type=Path, metavar="DIR", help="write report.json, report.md and pairs.csv there"
    )
    score.set_defaults(handler=score_files)

    compare = subparsers.add_parser("compare", help="compare two methods on the same images")
    compare.add_argument("a", type=Path, metavar="A", help=a_file)
    compare.add_argument("b", type=Path, metavar="B", help=a_file)
    compare.add_argument("--tau", metavar="T", help="compare at this tau (default: every tau of A)")
    compare.set_defaults(handler=compare_files)
    for parser in (score, compare):
        parser.add_argument(
            "--dataset", help="where the dataset lies here (default: as the files' headers name it)"
        )

    table = subparsers.add_parser("table", help="score several methods on a dataset, as a table and a plot")
    table.add_argument("--dataset", default="emoji", metavar="emoji|PATH|HUB_ID", help="the dataset")
    table.add_argument(
        "--methods",
        type=_words,
        default=METHODS,
        metavar="NAME,NAME,...",
        help=f"methods, each with its default options (default: {','.join(METHODS)})",
    )
    table.add_argument(
        "--split",
        type=_words,
        default=("coco_gen", "unreal_gen"),
        help="splits (default: coco_gen,unreal_gen)",
    )
    table.add_argument("--limit", type=int, metavar="N", help="only the first N examples of each split")
    table.add_argument(
        "--output",
        type=Path,
        default=Path("baselines/results"),
        metavar="DIR",
        help="folder for the table and each method's run (default: baselines/results)",
    )
    table.set_defaults(
        handler=make_table,
        when_interrupted="what was done is kept; the same command resumes where it stopped",
    )
    subparsers.add_parser("methods", help="list the installed methods").set_defaults(handler=list_methods)


def score_files(arguments: argparse.Namespace) -> None:
    """Score predictions files, all of one method on one dataset, and print the table."""
    from daam_bench.scoring.environment import describe_environment
    from daam_bench.scoring.report import build_report, write_report
    from daam_bench.scoring.tables import format_table, proposals_warning

    results = [scores for file in arguments.files for scores in _score(file, arguments.dataset)]
    first, *others = [result.header for result in results if result.header is not None]
    for header in others:
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


def compare_files(arguments: argparse.Namespace) -> None:
    """Print the difference of two methods' scores on each split that both have."""
    from daam_bench.scoring.compare import compare

    a, b = (
        {scores.split.name: scores for scores in _score(file, arguments.dataset)}
        for file in (arguments.a, arguments.b)
    )
    shared = [name for name in a if name in b]
    if not shared:
        raise InputError(f"no split in common: A has {', '.join(a)}; B has {', '.join(b)}")
    sys.stdout.write("A minus B in percent, with 95 % intervals paired over images\n")
    for name in shared:
        for tau in [arguments.tau] if arguments.tau else a[name]:
            # A method with a single tau, as hard masks have, is compared at that.
            tau_a, tau_b = (next(iter(one)) if len(one) == 1 else tau for one in (a[name], b[name]))
            difference = compare(a[name], b[name], tau_a, tau_b)
            sys.stdout.write(
                f"{name}  tau {tau_a} and {tau_b}  mIoU_80 {_signed(difference.miou_80)}  "
                f"mIoU_inf {_signed(difference.miou_inf)}\n"
            )


def make_table(arguments: argparse.Namespace) -> None:
    """Run the methods one after the other and write the table. One that can't run is told and left out."""
    from daam_bench.analysis.report_files import save_all_formats
    from daam_bench.analysis.table import build_table, to_csv, to_latex, to_markdown
    from daam_bench.figures.score_charts import method_scores
    from daam_bench.files.text_files import write_text
    from daam_bench.run import DEFAULT_BATCH_SIZE, Settings, run
    from daam_bench.scoring.tables import proposals_warning

    reports: list[Report] = []
    for method in arguments.methods:
        say(method)
        settings = Settings(
            method=method,
            options={},
            dataset=arguments.dataset,
            splits=arguments.split,
            taus=TAUS,
            batch_size=DEFAULT_BATCH_SIZE,
            limit=arguments.limit,
            output=arguments.output / method.replace(":", "-"),
        )
        try:
            reports.append(run(settings))
        except InputError as error:
            say(f"warning: the table is without {method}: {error}")
    if not reports:
        raise InputError("none of the methods could run; the lines above say why")
    table = build_table(reports, arguments.split)
    for suffix, text in (("md", to_markdown(table)), ("csv", to_csv(table)), ("tex", to_latex(table))):
        write_text(arguments.output / f"table.{suffix}", text)
    figure = method_scores([(row.group, row.label, row.values()) for row in table.rows], table.splits)
    save_all_formats(figure, arguments.output, "table")
    if warning := proposals_warning(reports[0]):
        say(f"note: {warning}")
    sys.stdout.write(f"{to_markdown(table)}\n{arguments.output}/: table.md, .csv, .tex, .png, .svg, .pdf\n")


def list_methods(arguments: argparse.Namespace) -> None:
    """Print the name and the class of every installed method."""
    from daam_bench.segmenters.registry import method_names

    names = method_names()
    width = max(map(len, names), default=0)
    for name, target in names.items():
        sys.stdout.write(f"{name:<{width}}  {target}\n")


def _score(path: Path, dataset: str | None) -> list[SplitScores]:
    """Score a predictions file, or those of a run's output folder, on the splits that their headers name.

    Heat maps beside `predictions.jsonl` are scored too. A dataset that lies elsewhere than the header says is
    the same if its fingerprint is.
    """
    from daam_bench.datasets.load import load_split
    from daam_bench.files.predictions import read_predictions
    from daam_bench.files.run_folder import PREDICTIONS
    from daam_bench.scoring.score import score

    files = [path]
    if path.is_dir():
        files = (
            [path / PREDICTIONS] if (path / PREDICTIONS).exists() else sorted(path.glob(f"*/{PREDICTIONS}"))
        )
    if not files:
        raise InputError(
            f"no {PREDICTIONS} in {path} or its folders; give a predictions file, or run a method"
        )
    results = []
    for file in files:
        header, _ = read_predictions(file)
        split = replace(load_split(dataset or header.dataset, header.split), dataset=header.dataset)
        results.append(score(split, file.parent if file.name == PREDICTIONS else file))
    return results


def _signed(difference: Difference | None) -> str:
    if difference is None:
        return "-"
    mean, low, high = (100 * value for value in (difference.mean, difference.low, difference.high))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
