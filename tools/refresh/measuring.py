"""Measuring how faithful the plan's runs are, kept by image, with what it took."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from daam_bench.analysis.asked_words import ALL, NOUNS, AskedSplit, ask
from daam_bench.analysis.effects_report import build_faithfulness
from daam_bench.analysis.measure_effects import EffectsWorker, Measured, check_generated
from daam_bench.analysis.method_maps import MethodMaps, MethodSource, read_maps, run_methods
from daam_bench.commands.faithfulness_command import DEFAULT_ROWS, measure_methods
from daam_bench.console import say
from daam_bench.datasets.load import load_split
from daam_bench.engine import Local, Pool
from daam_bench.engine.seam import Engine
from daam_bench.files import PREDICTIONS
from daam_bench.files.json_lines import LinesWriter
from daam_bench.leaderboard.faithfulness_record import make_record, write_faithfulness_record
from daam_bench.scoring.conventions import USUAL_TAU, usual_tau
from daam_bench.scoring.effects import MEASURE, FaithfulnessReport, ImageEffects
from daam_bench.scoring.report import describe_environment
from daam_bench.types import PredictionsHeader
from daam_bench.types.errors import InputError
from tools.method_lists import BASELINE
from tools.refresh.planned_jobs import BATCH_SIZE, SPLITS
from tools.refresh.recording import HOSTS, entry_slug, environment_of, lacking_of
from tools.refresh.running import SECONDS, cost_of, drop_outdated, write_made_with

FAITHFULNESS = "faithfulness"
"""In the work folder: what was measured, dataset by dataset. In the results: name of the report."""

BY_WORD = "faithfulness-words"
"""The same, of one method and every word of the prompts."""

WORDS_SPLIT, WORDS_IMAGES = "coco_gen", 60
"""The split, and how many of its images, on which every word is measured, by the maps of `BASELINE`."""


@dataclass(frozen=True, slots=True)
class MeasuredSplit:
    """What was measured on a split: the words, what the methods say of them, and their effects."""

    asked: AskedSplit
    methods: Sequence[MethodMaps]
    found: Measured


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """What was measured on a dataset.

    Attributes:
        report: The scores.
        splits: The splits.
        unfinished: The runs that are not over and were left out ("daam on coco_gen").
    """

    report: FaithfulnessReport
    splits: Sequence[MeasuredSplit]
    unfinished: Sequence[str]


def measure_runs(
    work: Path,
    dataset: str,
    methods: Mapping[str, Sequence[str]],
    *,
    limit: int | None,
    restart: bool = False,
    engine: Engine | None = None,
) -> Faithfulness | None:
    """Measure the methods that lie in `work` of a dataset's generated splits, masks at the usual tau.

    What was measured before, of the same maps, is kept.

    Args:
        work: The work folder.
        dataset: The dataset's name.
        methods: Split -> methods.
        limit: Only the first so many images of each split.
        restart: Measure all of it again.
        engine: Where it is measured; None for this process.

    Returns:
        None without a run.

    Raises:
        InputError: A split that no model generated, or a damaged run.
    """
    asked, said, unfinished = [], [], []
    for name, chosen in methods.items():
        split = load_split(dataset, name)[:limit]
        runs = {method: work / dataset / method for method in chosen}
        done = {
            method: 0 if (cost := cost_of(run / name)) is None else cost.images
            for method, run in runs.items()
            if (run / name / PREDICTIONS).exists()
        }
        over = [method for method, images in done.items() if images >= len(split)]
        # The first method is the one that the page sets the others against.
        over.sort(key=lambda method: method != BASELINE)
        unfinished += [f"{method} on {name}" for method in done if method not in over]
        if over:
            check_generated(split)
            asked.append(ask(split, (NOUNS,)))
            said.append([_run_maps(method, runs[method], asked[-1]) for method in over])
    for left_out in unfinished:
        say(f"note: without {left_out}: its run is not over")
    if not asked:
        return None
    splits = _measure(
        work / FAITHFULNESS / dataset, asked, said, (NOUNS,), restart=restart, engine=engine or Local()
    )
    report = _report(work / FAITHFULNESS / dataset, dataset, splits, (NOUNS,), limit)
    return Faithfulness(report, splits, unfinished)


def measure_words(
    work: Path, dataset: str, *, limit: int | None, restart: bool = False, engine: Engine | None = None
) -> Faithfulness:
    """Measure one method for every word of a dataset's prompts, by part of speech, on its first images.

    Args:
        work: The work folder.
        dataset: The dataset's name.
        limit: Fewer images than `WORDS_IMAGES`; None for as many.
        restart: Measure all of it again.
        engine: Where it is measured; None for this process.
    """
    split = load_split(dataset, WORDS_SPLIT)[: min(limit or WORDS_IMAGES, WORDS_IMAGES)]
    check_generated(split)
    asked, folder = ask(split, (ALL,)), work / BY_WORD / dataset
    source = MethodSource(folder / "runs" / BASELINE, BASELINE)
    # Its maps are those of this code: a few minutes. Effects of maps that come out the same are kept.
    run_methods(
        [source],
        [asked.split],
        Local(),
        {"default_model": split.model},
        taus=(float(USUAL_TAU),),
        batch_size=BATCH_SIZE,
        restart=True,
    )
    said = [read_maps([source], asked.split)]
    splits = _measure(folder, [asked], said, (ALL,), restart=restart, engine=engine or Local())
    return Faithfulness(_report(folder, dataset, splits, (ALL,), limit), splits, [])


def with_published(report: FaithfulnessReport, published: FaithfulnessReport | None) -> FaithfulnessReport:
    """Return a report with the splits that only the published one has, if they are measured alike.

    That is: by the same definition, of the same words, on the dataset as it is now.
    """
    if published is None or any(
        getattr(published, name) != getattr(report, name)
        for name in ("measure", "dataset", "words", "areas", "shares", "partial")
    ):
        return report
    kept = {
        split: found
        for split, found in published.splits.items()
        if split not in report.splits
        and published.fingerprint[split] == load_split(report.dataset, split).fingerprint
    }
    splits = {name: found for name in SPLITS if (found := {**kept, **report.splits}.get(name)) is not None}
    seconds = [one.environment.wall_seconds for one in (published, report)]
    environment = replace(
        report.environment,
        images=sum(found.images + found.left_out for found in splits.values()),
        drifted=sum(found.left_out for found in splits.values()),
        # Those of a split that was published with another, and measured again since, are not known.
        wall_seconds=None if None in seconds or kept != published.splits else sum(filter(None, seconds)),
    )
    fingerprint = {**published.fingerprint, **report.fingerprint}
    return replace(
        report,
        splits=splits,
        fingerprint={name: fingerprint[name] for name in splits},
        environment=environment if kept else report.environment,
    )


def check_faithfulness(found: Faithfulness) -> None:
    """Refuse scores that don't say all of how they came to be, or come from uncommitted code.

    Raises:
        InputError: A run is not over, the checkout had changes, or the device or wall time is not known.
    """
    wrong = [*(f"{run} is not over" for run in found.unfinished), *lacking_of(found.report.environment)]
    if wrong:
        raise InputError(
            f"can't publish the faithfulness on {found.report.dataset} ({', '.join(wrong)}): finish the "
            "runs, or commit your changes and measure again with --restart; or give --draft to write it "
            "elsewhere"
        )


def write_entry_records(found: Faithfulness, entries: Path, records: Path) -> list[str]:
    """Write the hosts' record of each entry whose heat maps and masks are those that were measured.

    Args:
        found: What was measured of the entries' dataset.
        entries: The folder of the entries.
        records: The folder of the hosts' records.

    Returns:
        The slugs of these entries.
    """
    made = []
    for method in dict.fromkeys(maps.name for one in found.splits for maps in one.methods):
        folder = entries / entry_slug(method)
        if not folder.is_dir():
            continue
        if all(_has_maps(folder, method, one) for one in found.splits):
            write_faithfulness_record(records, make_record(folder, found.report, method, by=HOSTS))
            made.append(folder.name)
        else:
            say(f"note: no faithfulness of the entry {folder.name}: its maps are not those of the runs")
    return made


def _has_maps(entry: Path, method: str, measured: MeasuredSplit) -> bool:
    """Tell whether an entry holds the maps of a method that were measured on a split."""
    split = measured.asked.split
    said = next((maps for maps in measured.methods if maps.name == method), None)
    try:
        (entered,) = read_maps([MethodSource(entry)], split)
    except InputError:
        return False
    if said is None or not said.masks.keys() <= entered.masks.keys():
        return False
    entered = replace(entered, masks={tau: entered.masks[tau] for tau in said.masks})
    return all(entered.digest(example.id) == said.digest(example.id) for example in split)


def _run_maps(method: str, run: Path, asked: AskedSplit) -> MethodMaps:
    """Read what a run says of a split, under the plan's name of the method, masks at the usual tau alone."""
    (maps,) = read_maps([MethodSource(run)], asked.split)
    tau = usual_tau(maps.masks)
    return replace(maps, name=method, masks={tau: maps.masks[tau]})


def _measure(
    folder: Path,
    asked: Sequence[AskedSplit],
    said: Sequence[Sequence[MethodMaps]],
    words: Sequence[str],
    *,
    restart: bool,
    engine: Engine,
) -> list[MeasuredSplit]:
    splits = []
    with engine.start(partial(EffectsWorker, "auto", None, DEFAULT_ROWS)) as pool:
        for one, methods in zip(asked, said, strict=True):
            place = folder / one.split.name
            if restart:
                shutil.rmtree(place, ignore_errors=True)
            drop_outdated(place, one.split, sees_masks=True)
            write_made_with(place, one.split)
            with _timed(place, one, pool) as measured:
                found = measure_methods(pool, one, methods, place, words, measured=measured)
            splits.append(MeasuredSplit(one, methods, found))
    return splits


@contextmanager
def _timed(
    folder: Path, asked: AskedSplit, pool: Pool
) -> Iterator[Callable[[Mapping[str, ImageEffects]], None]]:
    """Give what notes how long an image took, of which methods, and with which code: "daam coco_gen-1"."""
    split, environment = asked.split, describe_environment()
    header = PredictionsHeader(
        FAITHFULNESS, {"measure": MEASURE}, split.dataset, split.name, split.fingerprint
    )
    run_on = {
        "device": pool.about["device"],
        "commit": environment.commit,
        "dirty": environment.dirty,
    }
    last = time.monotonic()
    with LinesWriter(folder / SECONDS, header) as lines:

        def note(found: Mapping[str, ImageEffects]) -> None:
            nonlocal last
            now = time.monotonic()
            ids = [f"{name} {effects.id}" for name, effects in found.items()]
            lines.write([{"ids": ids, "seconds": now - last, **run_on}])
            last = now

        yield note


def _report(
    folder: Path, dataset: str, splits: Sequence[MeasuredSplit], words: Sequence[str], limit: int | None
) -> FaithfulnessReport:
    costs = [cost_of(folder / one.asked.split.name) for one in splits]
    # What all methods share is measured once an image, like a method.
    least = sum(len(one.asked.split) * (1 + len(one.methods)) for one in splits)
    environment = replace(
        environment_of(costs, least, {"bootstrap": 0}),
        images=sum(len(one.asked.split) for one in splits),
        limit=limit,
        drifted=sum(one.found.left_out for one in splits),
    )
    return build_faithfulness(
        dataset, [(one.asked, one.methods, one.found) for one in splits], words, environment
    )
