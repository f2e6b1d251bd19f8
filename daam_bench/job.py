"""The main job: one method over the splits of a dataset, to a report."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from daam_bench.console import say, taking_part
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.engine import WholeJob
    from daam_bench.engine.seam import Engine
    from daam_bench.scoring.results import SplitScores
    from daam_bench.types import Environment, Report, Split
    from daam_bench.types.reports import Track

DEFAULT_BATCH_SIZE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run is made of: `options` of the method, `taus` in [0, 1], the first `limit` examples.

    `engine` is None for this process; for `shard` see `daam_bench.console.taking_part`.
    """

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
    engine: Engine | None = None
    shard: str | None = None


def run(settings: Settings) -> Report | None:
    """Run a method over the splits, score it, and write predictions, report and images.

    Returns:
        The report, as written to `report.json`; None for a shard, whose predictions wait for the others'.

    Raises:
        InputError: An argument, the dataset, the method or what it returns is wrong; the dataset has no
            masks; or another process writes to the output.
        MethodFailedError: The method's own code raised something.
    """
    from daam_bench.datasets.load import load_split
    from daam_bench.segmenters.registry import find_method
    from daam_bench.types.errors import check_batch_size, check_limit

    check_batch_size(settings.batch_size)
    find_method(settings.method)
    check_limit(settings.limit)
    splits = [load_split(settings.dataset, name)[: settings.limit] for name in settings.splits]
    for split in splits:
        check_annotated(split)
    with taking_part(settings.shard, settings.output, settings.batch_size, restart=settings.restart) as part:
        return _run(settings, splits, part)


def check_annotated(split: Split) -> None:
    """Refuse a split without any mask: it can't be scored."""
    if split.examples and not any(example.annotation or any(example.masks) for example in split.whole):
        raise InputError(
            f"split {split.name!r} of {split.dataset!r} has no masks yet: daam-bench propose, or import"
        )


def _run(settings: Settings, splits: Sequence[Split], part: WholeJob) -> Report | None:
    from daam_bench.engine import Local
    from daam_bench.segmenters.method_worker import MethodWorker
    from daam_bench.segmenters.segment import segment

    folders = [part.folder(settings.output) / split.name for split in splits]
    resumed = resuming(settings, folders)
    started = time.monotonic()
    offers = {"default_model": splits[0].model, "batch_size": settings.batch_size}
    engine = settings.engine or Local()
    with engine.start(partial(MethodWorker.make, settings.method, settings.options, offers)) as pool:
        track_of(pool.about)
        for split, folder in zip(splits, folders, strict=True):
            segment(
                pool,
                split,
                folder,
                taus=settings.taus,
                batch_size=settings.batch_size,
                progress=settings.progress,
                restart=settings.restart,
                part=part,
            )
    if resumed:
        say(resumed)
    if not part.is_whole:
        return None
    part.finish()
    results = score_splits(splits, folders, settings.taus[0])
    seconds = None if resumed or part.has_shards else time.monotonic() - started
    return report_results(settings, part.about, results, seconds)


def resuming(settings: Settings, folders: Sequence[Path]) -> str:
    """Return what to say of a run that goes on with what is in its splits' folders; "" for a fresh one."""
    from daam_bench.files import PREDICTIONS

    if settings.restart or not any((folder / PREDICTIONS).exists() for folder in folders):
        return ""
    return f"note: what the run in {settings.output} had done was kept; --restart begins it again"


def report_results(
    settings: Settings, about: Mapping[str, Any], results: Sequence[SplitScores], seconds: float | None
) -> Report:
    """Write report and images of a run whose workers say `about` themselves, and return the report."""
    from daam_bench.scoring.report import build_report, write_report

    splits = [scores.split for scores in results]
    folders = [settings.output / split.name for split in splits]
    report = build_report(
        results,
        method=about["method"],
        parameters=about["parameters"],
        dataset=settings.dataset,
        environment=_environment(about, folders, seconds, sum(map(len, splits)), settings.limit),
        track=track_of(about),
        tuned_on=about["tuned_on"],
    )
    write_report(settings.output, report, results)
    _write_images(settings, about["method"], results)
    return report


def score_splits(splits: Sequence[Split], folders: Sequence[Path], tau: float) -> list[SplitScores]:
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
    about: Mapping[str, Any], folders: Sequence[Path], seconds: float | None, images: int, limit: int | None
) -> Environment:
    from daam_bench.scoring.report import describe_environment
    from daam_bench.segmenters.segment import count_drifted

    seeds = {"bootstrap": 0}
    if isinstance(seed := about["parameters"].get("seed"), int):
        seeds["method"] = seed
    environment = describe_environment(device=about["device"], wall_seconds=seconds, seeds=seeds)
    counts = [count for folder in folders if (count := count_drifted(folder, about["tolerance"])) is not None]
    drifted = sum(counts) if counts else None
    if drifted:
        say(
            f"warning: {drifted} images came out unlike the dataset's (other weights, libraries or "
            "dtype?); their heat maps are of other images than the masks"
        )
    return replace(environment, limit=limit, drifted=drifted, images=images, denoiser_calls=about["calls"])


def track_of(about: Mapping[str, Any]) -> Track | None:
    """Return the track that a method says it belongs to."""
    from daam_bench.types.reports import Track

    said = about["track"]
    if said is not None and said not in get_args(Track):
        known = ", ".join(get_args(Track))
        raise InputError(f"method {about['method']!r} says track = {said!r:.40}; a track is one of {known}")
    return cast("Track | None", said)


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


def default_output(dataset: str, method: str, limit: int | None = None) -> Path:
    """Return the folder for the results of a method on a dataset.

    >>> print(default_output("someone/birds@v2", "mine.methods:Mine", limit=10).as_posix())
    results/someone-birds-v2-mine.methods-Mine-first10
    """
    folder = Path(dataset)
    name = folder.resolve().name if folder.is_dir() else dataset
    words = [name, method] + ([] if limit is None else [f"first{limit}"])
    return Path("results") / "-".join(map(folder_name, words))


def folder_name(word: str) -> str:
    """Return what a name is called as a part of a folder's."""
    return re.sub(r"[^\w.]+", "-", word).strip("-")
