"""The main job: one method on one dataset, to a report. `python -m daam_bench.run`, `daam-bench run`."""

from __future__ import annotations

import sys

try:
    import argparse
    import re
    import time
    from collections.abc import Sequence
    from dataclasses import dataclass, replace
    from pathlib import Path
    from typing import TYPE_CHECKING, Any, cast, get_args

    from daam_bench.console import Parser, run_command, say
    from daam_bench.segmenters.registry import add_options, given_options
    from daam_bench.types.errors import InputError
except KeyboardInterrupt:
    if __name__ != "__main__":
        raise
    sys.stderr.write("interrupted\n")
    sys.exit(130)

if TYPE_CHECKING:
    from daam_bench.scoring.results import SplitScores
    from daam_bench.segmenters.base import Segmenter, SegmentFunction
    from daam_bench.types import Environment, Report, Split
    from daam_bench.types.reports import Track

DEFAULT_BATCH_SIZE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run is made of: `options` of the method, `taus` in [0, 1], the first `limit` examples."""

    method: str
    options: dict[str, Any]
    dataset: str
    splits: tuple[str, ...]
    taus: tuple[float, ...]
    batch_size: int
    limit: int | None
    output: Path
    restart: bool = False
    progress: bool = True


def run(settings: Settings) -> Report:
    """Run a method over the splits, score it, and write predictions, report and images.

    Returns:
        The report, as written to `report.json`.

    Raises:
        InputError: An argument, the dataset, the method or what it returns is wrong; the dataset has no
            masks; or another process writes to the output.
        MethodFailedError: The method's own code raised something.
    """
    from daam_bench.datasets.load import load_split
    from daam_bench.files.locks import locked
    from daam_bench.segmenters.registry import find_method
    from daam_bench.types.errors import check_limit

    find_method(settings.method)
    check_limit(settings.limit)
    splits = [load_split(settings.dataset, name)[: settings.limit] for name in settings.splits]
    for split in splits:
        _check_annotated(split)
    with locked(settings.output):
        return _run(settings, splits)


def run_together(settings: Settings, methods: Sequence[str]) -> list[Report]:
    """Run several methods, each into its own folder below the output, sharing what they trace.

    Args:
        settings: As for `run`, but for the method. Each option goes to those methods that have it.
        methods: Their names.

    Returns:
        The reports.

    Raises:
        InputError: See `run`; or none of the methods has an option.
    """
    from daam_bench.datasets.load import load_split
    from daam_bench.segmenters.bundle import Bundle, segment_together
    from daam_bench.segmenters.meant import options_by_method
    from daam_bench.segmenters.registry import find_method, make_segmenter, options_of
    from daam_bench.types.errors import check_batch_size, check_limit, check_taus

    check_limit(settings.limit)
    check_batch_size(settings.batch_size)
    check_taus(settings.taus)
    accepted = {name: options_of(name, find_method(name)) for name in methods}
    options = options_by_method(accepted, settings.options)
    splits = [load_split(settings.dataset, name)[: settings.limit] for name in settings.splits]
    for split in splits:
        _check_annotated(split)
    offers = {"default_model": splits[0].model, "batch_size": settings.batch_size}
    bundle = Bundle([make_segmenter(name, options[name], offers) for name in methods])
    outputs = [settings.output / _folder_name(name) for name in methods]
    for split in splits:
        segment_together(
            bundle,
            split,
            [output / split.name for output in outputs],
            taus=settings.taus,
            batch_size=settings.batch_size,
            progress=settings.progress,
            restart=settings.restart,
        )
    # What is left of each run is to score it: its predictions are complete.
    done = replace(settings, restart=False, progress=False)
    return [
        run(replace(done, method=name, options=options[name], output=output))
        for name, output in zip(methods, outputs, strict=True)
    ]


def _check_annotated(split: Split) -> None:
    if split.examples and not any(example.annotation or any(example.masks) for example in split.whole):
        raise InputError(
            f"split {split.name!r} of {split.dataset!r} has no masks yet: daam-bench propose, or import"
        )


def _run(settings: Settings, splits: Sequence[Split]) -> Report:
    from daam_bench.files import PREDICTIONS
    from daam_bench.scoring.report import build_report, write_report
    from daam_bench.segmenters.registry import make_segmenter
    from daam_bench.segmenters.segment import segment

    folders = [settings.output / split.name for split in splits]
    resumed = not settings.restart and any((folder / PREDICTIONS).exists() for folder in folders)
    if resumed:
        say(f"note: resuming the run in {settings.output}; --restart begins it again")
    started = time.monotonic()
    offers = {"default_model": splits[0].model, "batch_size": settings.batch_size}
    segmenter = make_segmenter(settings.method, settings.options, offers)
    track = _track(segmenter)
    for split, folder in zip(splits, folders, strict=True):
        segment(
            segmenter,
            split,
            folder,
            taus=settings.taus,
            batch_size=settings.batch_size,
            progress=settings.progress,
            restart=settings.restart,
        )
    results = _score(splits, folders, settings.taus[0])
    seconds = None if resumed else time.monotonic() - started
    report = build_report(
        results,
        method=segmenter.name,
        parameters=segmenter.parameters,
        dataset=settings.dataset,
        environment=_environment(segmenter, folders, seconds, sum(map(len, splits)), settings.limit),
        track=track,
        tuned_on=_text(segmenter, "tuned_on"),
    )
    write_report(settings.output, report, results)
    _write_images(settings, segmenter.name, results)
    return report


def evaluate(
    method: Segmenter | SegmentFunction,
    split: Split,
    *,
    tau: float | Sequence[float] = 0.4,
    batch_size: int = DEFAULT_BATCH_SIZE,
    progress: bool = False,
) -> SplitScores:
    """Run a method over a split and score it, in memory. The scores are those of a run.

    Args:
        method: The method, or a function of a query that returns a mask or heat map for each of its nouns. It
            never sees a mask of the split.
        split: The split, or a slice of it.
        tau: Thresholds in [0, 1] for heat maps, relative to each map's maximum.
        batch_size: Examples handed to the method at once.
        progress: Show a bar with the time left, on stderr.

    Returns:
        The scores: `evaluate(...)[0.4]`, or `[None]` for a method that gives masks.

    Raises:
        InputError: An argument is out of range, or what the method returns is wrong.
    """
    from daam_bench.scoring.score import score
    from daam_bench.segmenters.base import as_segmenter
    from daam_bench.segmenters.segment import begin_split, segment_batches
    from daam_bench.types.errors import check_batch_size

    check_batch_size(batch_size)
    segmenter = as_segmenter(method)
    begin_split(segmenter, split)
    batches = segment_batches(segmenter, split, batch_size=batch_size, progress=progress)
    said = (
        (query.id, items)
        for queries, segmentations in batches
        for query, items in zip(queries, segmentations, strict=True)
    )
    return score(split, said, tau=tau)


def _score(splits: Sequence[Split], folders: Sequence[Path], tau: float) -> list[SplitScores]:
    """Score each split, reading each of its files once, and keep what the sheet of pairs shows at `tau`."""
    from daam_bench.figures.pair_sheet import choose_pairs
    from daam_bench.files import HEAT_MAPS, PREDICTIONS
    from daam_bench.scoring.metrics import add_heat_maps
    from daam_bench.scoring.results import HARD, tau_key
    from daam_bench.scoring.score import score

    results = [
        score(split, folder / PREDICTIONS, keep=(tau_key(tau), HARD))
        for split, folder in zip(splits, folders, strict=True)
    ]
    shown = [pair for column in choose_pairs(results, tau_key(tau)) for pair in column]
    return [
        add_heat_maps(
            scores,
            folder / HEAT_MAPS,
            keep={(pair.id, pair.noun) for scores_of_pair, pair in shown if scores_of_pair is scores},
        )
        if (folder / HEAT_MAPS).exists()
        else scores
        for scores, folder in zip(results, folders, strict=True)
    ]


def _environment(
    segmenter: Segmenter, folders: Sequence[Path], seconds: float | None, images: int, limit: int | None
) -> Environment:
    from daam_bench.scoring.report import describe_environment
    from daam_bench.segmenters.segment import count_drifted

    seeds = {"bootstrap": 0}
    if isinstance(seed := segmenter.parameters.get("seed"), int):
        seeds["method"] = seed
    environment = describe_environment(device=_device(segmenter), wall_seconds=seconds, seeds=seeds)
    counts = [count for folder in folders if (count := count_drifted(segmenter, folder)) is not None]
    drifted = sum(counts) if counts else None
    if drifted:
        say(
            f"warning: {drifted} images came out unlike the dataset's (other weights, libraries or "
            "dtype?); their heat maps are of other images than the masks"
        )
    calls = _text(segmenter, "calls")
    return replace(environment, limit=limit, drifted=drifted, images=images, denoiser_calls=calls)


def _track(segmenter: Segmenter) -> Track | None:
    """Return the track that a method says it belongs to."""
    from daam_bench.types.reports import Track

    said = _text(segmenter, "track")
    if said is not None and said not in get_args(Track):
        known = ", ".join(get_args(Track))
        raise InputError(f"method {segmenter.name!r} says track = {said!r:.40}; a track is one of {known}")
    return cast("Track | None", said)


def _text(segmenter: Segmenter, name: str) -> str | None:
    """Return a text that a method says of itself in an attribute; None if it says none."""
    said = getattr(segmenter, name, None)
    return said if isinstance(said, str) else None


def _device(segmenter: Segmenter) -> str | None:
    """Return what a method says it runs on, a CUDA device by its name."""
    device = getattr(segmenter, "device", None)
    if not str(device).startswith("cuda"):
        return None if device is None else str(device)
    import torch

    return torch.cuda.get_device_name(device)


def _write_images(settings: Settings, method: str, results: Sequence[SplitScores]) -> None:
    from daam_bench.figures.pair_sheet import write_sheet
    from daam_bench.files import PAIR_SHEET
    from daam_bench.scoring.results import HARD, tau_key

    if not any(len(scores.ious.pairs) for scores in results):
        return
    wanted = tau_key(settings.taus[0])
    tau = wanted if all(wanted in scores for scores in results) else HARD
    title = f"{method} on {settings.dataset}" + ("" if tau == HARD else f", tau {tau}")
    write_sheet(settings.output / PAIR_SHEET, results, tau=tau, title=title)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a run to a parser."""
    parser.add_argument(
        "--method",
        default="daam",
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
        type=_names,
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

    settings = Settings(
        method=arguments.method,
        options=given_options(arguments),
        dataset=arguments.dataset,
        splits=arguments.split,
        taus=arguments.tau,
        batch_size=arguments.batch_size,
        limit=arguments.limit,
        output=arguments.output or default_output(arguments.dataset, arguments.method, arguments.limit),
        restart=arguments.restart,
    )
    methods = _names(arguments.method)
    reports = [run(settings)] if len(methods) == 1 else run_together(settings, methods)
    for note in dict.fromkeys(note for report in reports for note in report_notes(report)):
        say(f"note: {note}")
    for report in reports:
        title = f"{report.method}\n" if len(reports) > 1 else ""
        sys.stdout.write(f"{title}{format_table(report)}\n\n")
    folder = settings.output if len(methods) == 1 else settings.output / "<method>"
    sys.stdout.write(f"{folder}/: report.md, report.json, pairs.csv, pairs.png\n")


def default_output(dataset: str, method: str, limit: int | None = None) -> Path:
    """Return the folder for the results of a method on a dataset.

    >>> print(default_output("someone/birds@v2", "mine.methods:Mine", limit=10).as_posix())
    results/someone-birds-v2-mine.methods-Mine-first10
    """
    folder = Path(dataset)
    name = folder.resolve().name if folder.is_dir() else dataset
    words = [name, method] + ([] if limit is None else [f"first{limit}"])
    return Path("results") / "-".join(map(_folder_name, words))


def _folder_name(word: str) -> str:
    return re.sub(r"[^\w.]+", "-", word).strip("-")


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


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",")))


if __name__ == "__main__":
    sys.exit(main())
