"""`daam-bench score`, `compare` and `table`: predictions to scores, methods side by side."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.console import names, say
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daam_bench.scoring.bootstrap import Difference
    from daam_bench.scoring.results import SplitScores
    from daam_bench.types import Report

METHODS = ("mask_rcnn", "queryinst", "mask2former", "random", "whole", "daam")
TAUS = (0.3, 0.4, 0.5)
"""The paper's."""

_OF_SPLIT = ("dataset", "split", "fingerprint")
"""In the headers of one run's files: what may differ; the dataset in its spelling alone."""

_OF_RUN = ("device", "wall_seconds", "seeds", "limit", "drifted", "images", "denoiser_calls")
"""What scoring can't know of the run whose masks it scores."""

TABLE_SPLITS = ("scenes", "coco_gen", "unreal_gen")
"""Columns of a table, exact masks first."""


def add_parser(subparsers: Any) -> None:
    """Add `score`, `compare` and `table` to the parser of `daam-bench`."""
    a_file = "a predictions file, or a folder that holds one a split"
    score = subparsers.add_parser("score", help="score predictions files")
    score.add_argument("files", nargs="+", type=Path, metavar="FILE", help=a_file)
    output = "write report.json, report.md and pairs.csv there"
    score.add_argument("--output", type=Path, metavar="DIR", help=output)
    score.set_defaults(handler=score_files)

    compare = subparsers.add_parser("compare", help="compare two methods on the same images")
    compare.add_argument("a", type=Path, metavar="A", help=a_file)
    compare.add_argument("b", type=Path, metavar="B", help=a_file)
    compare.add_argument("--tau", metavar="T", help="compare at this tau (default: every tau of A)")
    compare.set_defaults(handler=compare_files)
    dataset = "where the dataset lies here (default: as the files' headers name it)"
    for parser in (score, compare):
        parser.add_argument("--dataset", help=dataset)
        parser.add_argument("--partial", action="store_true", help="score incomplete files, and mark it")

    table = subparsers.add_parser("table", help="score several methods on a dataset, as a table and a plot")
    add = table.add_argument
    add("--dataset", default="emoji", metavar="emoji|PATH|HUB_ID", help="the dataset")
    methods = f"methods, each with its default options (default: {','.join(METHODS)})"
    add("--methods", type=names, default=METHODS, metavar="NAME,NAME,...", help=methods)
    add("--split", type=names, help=f"splits (default: of {','.join(TABLE_SPLITS)} those that there are)")
    add("--limit", type=int, metavar="N", help="only the first N examples of each split")
    add(
        "--partial",
        action="store_true",
        help="run nothing; score what runs in --output have done, and mark it",
    )
    output = "folder for the table and each method's run (default: baselines/results)"
    add("--output", type=Path, default=Path("baselines/results"), metavar="DIR", help=output)
    table.set_defaults(
        handler=make_table,
        when_interrupted="what was done is kept; the same command resumes where it stopped",
    )


def score_files(arguments: argparse.Namespace) -> None:
    """Score predictions files, all of one method on one dataset, and print the table."""
    from daam_bench.scoring.report import write_report
    from daam_bench.scoring.tables import format_table, report_notes

    results = [
        scores
        for file in arguments.files
        for scores in _score(file, arguments.dataset, partial=arguments.partial)
    ]
    report = _report(results, arguments.files[0], arguments.output)
    for note in report_notes(report):
        say(f"note: {note}")
    sys.stdout.write(format_table(report) + "\n")
    if arguments.output is not None:
        write_report(arguments.output, report, results)
        sys.stdout.write(f"\n{arguments.output}/: report.md, report.json, pairs.csv\n")


def _report(results: Sequence[SplitScores], path: Path, output: Path | None = None) -> Report:
    """Build the report of scores.

    What only the run knows is in its report, at `path` or at `output`, which the new one may replace.
    """
    from daam_bench.scoring.report import build_report, describe_environment
    from daam_bench.scoring.saved_report import report_of_run

    first, *others = [result.header for result in results if result.header is not None]
    for header in others:
        same = Path(header.dataset).absolute().name == Path(first.dataset).absolute().name
        if not same or replace(first, **{name: getattr(header, name) for name in _OF_SPLIT}) != header:
            raise InputError(
                f"the files differ in method, parameters or dataset ({first.method} on {first.dataset}, "
                f"{header.method} on {header.dataset}); score them one by one"
            )
    of_run = report_of_run(path, first)
    replaced = None if output is None else report_of_run(output, first)
    splits = [result.split.name for result in results]
    if replaced is not None and not set(replaced.splits) <= set(splits):
        raise InputError(
            f"{output} holds the report of a run over {', '.join(replaced.splits)}, these files are of "
            f"{', '.join(splits)}; score all of them, or give another --output"
        )
    of_run = of_run or replaced
    environment = describe_environment(seeds={"bootstrap": 0})
    if of_run is not None and set(of_run.splits) == set(splits):
        known = {name: getattr(of_run.environment, name) for name in _OF_RUN}
        environment = replace(environment, **known)
    return build_report(
        results,
        method=first.method,
        parameters=first.parameters,
        dataset=first.dataset,
        environment=environment,
        track=None if of_run is None else of_run.track,
        tuned_on=None if of_run is None else of_run.tuned_on,
    )


def compare_files(arguments: argparse.Namespace) -> None:
    """Print the difference of two methods' scores on each split that both have."""
    from daam_bench.scoring.bootstrap import FEW_IMAGES
    from daam_bench.scoring.compare import compare
    from daam_bench.scoring.results import HARD

    a, b = (
        {scores.split.name: scores for scores in _score(file, arguments.dataset, partial=arguments.partial)}
        for file in (arguments.a, arguments.b)
    )
    shared = [name for name in a if name in b]
    if not shared:
        raise InputError(f"no split in common: A has {', '.join(a)}; B has {', '.join(b)}")
    for name in shared:
        if not arguments.tau and set(a[name]) != set(b[name]):
            taus = " and ".join(", ".join(map(_named_tau, scores[name])) for scores in (a, b))
            choose = "; choose one with --tau" if max(len(a[name]), len(b[name])) > 1 else ""
            say(f"note: {name}: A and B are not at the same taus ({taus}){choose}")
    sys.stdout.write("A minus B in percent, with 95 % intervals paired over images\n")
    for name in shared:
        mark = "  partial" if a[name].partial or b[name].partial else ""
        for tau in [arguments.tau] if arguments.tau else a[name]:
            # Hard masks are compared at every tau, and so is a method with a single one if none is asked for.
            tau_a, tau_b = (
                next(iter(one)) if len(one) == 1 and (HARD in one or not arguments.tau) else tau
                for one in (a[name], b[name])
            )
            difference = compare(a[name], b[name], tau_a, tau_b)
            sys.stdout.write(
                f"{name}  tau {tau_a} and {tau_b}  mIoU_80 {_signed(difference.miou_80)}  "
                f"mIoU_inf {_signed(difference.miou_inf)}{mark}\n"
            )
        scores = next(iter(a[name].values()))
        images = (scores.images_80 or 0, scores.images_inf or 0)
        if any(0 < count < FEW_IMAGES for count in images):
            place = f"{name} ({images[0]} images for mIoU_80, {images[1]} for mIoU_inf)"
            say(f"note: an interval over fewer than {FEW_IMAGES} images is too narrow: {place}")


def make_table(arguments: argparse.Namespace) -> None:
    """Run the methods one after the other and write the table. One that can't run is told and left out."""
    from daam_bench.analysis.table import build_table, write_table
    from daam_bench.datasets.load import load_split, locate, split_names
    from daam_bench.job import DEFAULT_BATCH_SIZE, Settings, run
    from daam_bench.scoring.caps import cap_report
    from daam_bench.scoring.tables import report_notes

    there = split_names(locate(arguments.dataset))
    names = arguments.split or tuple(name for name in TABLE_SPLITS if name in there)
    reports: list[Report] = []
    results: list[dict[str, SplitScores]] = []
    for method in arguments.methods:
        say(method)
        settings = Settings(
            method=method,
            options={},
            dataset=arguments.dataset,
            splits=names,
            taus=TAUS,
            batch_size=DEFAULT_BATCH_SIZE,
            limit=arguments.limit,
            output=arguments.output / method.replace(":", "-"),
        )
        try:
            if arguments.partial:
                scored = _score(settings.output, arguments.dataset, partial=True)
                reports.append(_report(scored, settings.output))
            else:
                reports += filter(None, [run(settings)])
                # Who leads for sure follows from the pairs' IoUs, which a report does not hold.
                scored = _score(
                    settings.output, arguments.dataset, partial=False, limit=arguments.limit, resamples=1
                )
            results.append({one.split.name: one for one in scored})
        except InputError as error:
            say(f"warning: the table is without {method}: {error}")
    if not reports:
        raise InputError("none of the methods could run; the lines above say why")
    cap = cap_report([load_split(arguments.dataset, name)[: arguments.limit] for name in names])
    table = build_table([*reports, cap], names, [*results, {}])
    for note in dict.fromkeys(note for report in reports for note in report_notes(report)):
        say(f"note: {note}")
    proposed = {split for report in reports for split in report.proposals}
    sys.stdout.write(f"{write_table(table, names, arguments.output, proposed=proposed)}\n")
    sys.stdout.write(f"{arguments.output}/: table.md, .csv, .tex, .png, .svg, .pdf\n")


def _score(
    path: Path,
    dataset: str | None,
    *,
    partial: bool,
    limit: int | None = None,
    resamples: int | None = None,
) -> list[SplitScores]:
    """Score a predictions file, or those of a run's output folder, on the splits that their headers name.

    Heat maps beside `predictions.jsonl` are scored too, but where `resamples` says how many resamples of the
    masks alone are wanted. A dataset that lies elsewhere than the header says is the same if its fingerprint
    is.
    """
    from daam_bench.datasets.load import load_split
    from daam_bench.files import PREDICTIONS
    from daam_bench.files.predictions import read_predictions
    from daam_bench.scoring.bootstrap import RESAMPLES
    from daam_bench.scoring.score import score

    files = [path]
    if path.is_dir():
        files = list(path.glob(PREDICTIONS)) or sorted(path.glob(f"*/{PREDICTIONS}"))
    if not files:
        raise InputError(
            f"no {PREDICTIONS} in {path} or its folders; give a predictions file, or run a method"
        )
    results = []
    for file in files:
        header, _ = read_predictions(file)
        split = replace(load_split(dataset or header.dataset, header.split), dataset=header.dataset)[:limit]
        with_maps = file.name == PREDICTIONS and resamples is None
        predictions = file.parent if with_maps else file
        results.append(score(split, predictions, partial=partial, resamples=resamples or RESAMPLES))
    return results


def _named_tau(tau: str) -> str:
    from daam_bench.scoring.results import HARD

    return "hard masks" if tau == HARD else tau


def _signed(difference: Difference | None) -> str:
    if difference is None:
        return "-"
    mean, low, high = (100 * value for value in (difference.mean, difference.low, difference.high))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
