"""`daam-bench table`: all methods on one dataset, in the layout of the paper's Table 1."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.console import say
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.types import Report

METHODS = ("mask_rcnn", "queryinst", "mask2former", "random", "whole", "daam")
TAUS = (0.3, 0.4, 0.5)
"""The paper's."""


def add_parser(subparsers: Any) -> None:
    """Add `table` to the parser of `daam-bench`."""
    parser = subparsers.add_parser("table", help="score several methods on a dataset, as a table and a plot")
    parser.add_argument("--dataset", default="emoji", metavar="emoji|PATH|HUB_ID", help="the dataset")
    parser.add_argument(
        "--methods",
        type=_words,
        default=METHODS,
        metavar="NAME,NAME,...",
        help=f"methods, each with its default options (default: {','.join(METHODS)})",
    )
    parser.add_argument(
        "--split",
        type=_words,
        default=("coco_gen", "unreal_gen"),
        help="splits (default: coco_gen,unreal_gen)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N examples of each split")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("baselines/results"),
        metavar="DIR",
        help="folder for the table and each method's run (default: baselines/results)",
    )
    parser.set_defaults(
        handler=make_table,
        when_interrupted="what was done is kept; the same command resumes where it stopped",
    )


def make_table(arguments: argparse.Namespace) -> None:
    """Run the methods one after the other and write the table. One that can't run is told and left out."""
    from daam_bench.analysis.table import build_table, to_csv, to_latex, to_markdown
    from daam_bench.figures.score_charts import method_scores
    from daam_bench.figures.style import save
    from daam_bench.files.text_files import write_text
    from daam_bench.scoring.tables import proposals_warning

    reports: list[Report] = []
    for method in arguments.methods:
        say(method)
        try:
            reports.append(_report(method, arguments))
        except InputError as error:
            say(f"warning: the table is without {method}: {error}")
    if not reports:
        raise InputError("none of the methods could run; the lines above say why")
    table = build_table(reports, arguments.split)
    for suffix, text in (("md", to_markdown(table)), ("csv", to_csv(table)), ("tex", to_latex(table))):
        write_text(arguments.output / f"table.{suffix}", text)
    figure = method_scores([(row.group, row.label, row.values()) for row in table.rows], table.splits)
    for suffix in ("png", "svg", "pdf"):
        save(figure, arguments.output / f"table.{suffix}")
    if warning := proposals_warning(reports[0]):
        say(f"note: {warning}")
    sys.stdout.write(f"{to_markdown(table)}\n{arguments.output}/: table.md, .csv, .tex, .png, .svg, .pdf\n")


def _report(method: str, arguments: argparse.Namespace) -> Report:
    from daam_bench.run import DEFAULT_BATCH_SIZE, Settings, run

    return run(
        Settings(
            method=method,
            options={},
            dataset=arguments.dataset,
            splits=arguments.split,
            taus=TAUS,
            batch_size=DEFAULT_BATCH_SIZE,
            limit=arguments.limit,
            output=arguments.output / method.replace(":", "-"),
        )
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
