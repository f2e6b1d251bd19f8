"""The command of the main job: `python -m daam_bench.run`, `daam-bench run`."""

from __future__ import annotations

import sys

try:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from daam_bench.console import Parser, add_engine, engine_of, names, run_command, say, say_shard_done
    from daam_bench.job import DEFAULT_BATCH_SIZE, Settings, default_output, run
    from daam_bench.segmenters.registry import add_options, given_options
    from daam_bench.types.errors import InputError
except KeyboardInterrupt:
    if __name__ != "__main__":
        raise
    sys.stderr.write("interrupted\n")
    sys.exit(130)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a run to a parser."""
    parser.add_argument(
        "--method",
        default=("daam",),
        type=names,
        metavar="NAME|module:Class,...",
        help="`daam-bench methods` lists them; several share what they trace (default: daam)",
    )
    parser.add_argument(
        "--tau",
        default=(0.4,),
        type=_taus,
        metavar="T,T,...",
        help="thresholds in [0, 1] for heat maps, relative to each map's maximum (default: 0.4)",
    )
    parser.add_argument(
        "--dataset",
        default="emoji",
        metavar="emoji|PATH|HUB_ID",
        help="the dataset (default: emoji, the shipped one)",
    )
    parser.add_argument(
        "--split",
        default=("coco_gen", "unreal_gen"),
        type=names,
        help="splits (default: coco_gen,unreal_gen)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N examples of each split")
    parser.add_argument(
        "--batch-size",
        type=int,
        default=DEFAULT_BATCH_SIZE,
        metavar="N",
        help=f"examples handed to the method at once (default: {DEFAULT_BATCH_SIZE})",
    )
    add_options(parser)
    add_engine(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the results (default: results/<dataset>-<method>)",
    )
    parser.add_argument(
        "--restart", action="store_true", help="begin again instead of resuming an earlier run"
    )
    parser.set_defaults(
        handler=handle, when_interrupted="what was done is kept; the same command resumes where it stopped"
    )


def add_parser(subparsers: Any) -> None:
    """Add `run` to the parser of `daam-bench`."""
    add_arguments(subparsers.add_parser("run", help="run a method on a dataset, score it, write a report"))


def handle(arguments: argparse.Namespace) -> None:
    """Run what the command line asks for, and print the scores."""
    from daam_bench.scoring.tables import format_table, report_notes

    options, method = given_options(arguments), ",".join(arguments.method)
    settings = Settings(
        method=method,
        options=options,
        dataset=arguments.dataset,
        splits=arguments.split,
        taus=arguments.tau,
        batch_size=arguments.batch_size,
        limit=arguments.limit,
        output=arguments.output or default_output(arguments.dataset, method, arguments.limit),
        restart=arguments.restart,
        engine=engine_of(arguments, options.get("device"), method),
        shard=arguments.shard,
    )
    if len(arguments.method) == 1:
        report = run(settings)
        if report is None:
            say_shard_done(arguments.shard, settings.output)
            return
        reports = [report]
    else:
        from daam_bench.several_methods import run_together

        reports = run_together(settings, arguments.method)
    for note in dict.fromkeys(note for report in reports for note in report_notes(report)):
        say(f"note: {note}")
    for report in reports:
        title = f"{report.method}\n" if len(reports) > 1 else ""
        sys.stdout.write(f"{title}{format_table(report)}\n\n")
    folder = settings.output if len(reports) == 1 else settings.output / "<method>"
    sys.stdout.write(f"{folder}/: report.md, report.json, pairs.csv, pairs.png\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `python -m daam_bench.run` and return its exit code."""
    return run_command(_parser, argv)


def _parser() -> Parser:
    parser = Parser(prog="daam_bench.run", description=__doc__)
    add_arguments(parser)
    return parser


def _taus(text: str) -> tuple[float, ...]:
    from daam_bench.types.errors import check_taus

    try:
        taus = tuple(dict.fromkeys(float(word) for word in text.split(",")))
        check_taus(taus)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give numbers such as 0.3,0.4") from None
    return taus


if __name__ == "__main__":
    sys.exit(main())
