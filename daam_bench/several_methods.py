"""The main job for several methods at once, which share what they trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from daam_bench.console import say
from daam_bench.datasets.load import load_split
from daam_bench.engine import Local
from daam_bench.files.locks import locked
from daam_bench.job import (
    Settings,
    check_annotated,
    folder_name,
    report_results,
    resuming,
    score_splits,
    track_of,
)
from daam_bench.segmenters.bundle import BundleWorker, segment_together
from daam_bench.segmenters.meant import options_by_method
from daam_bench.segmenters.registry import find_method, options_of
from daam_bench.types.errors import InputError, check_batch_size, check_limit, check_taus

if TYPE_CHECKING:
    from daam_bench.types import Query, Report


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
    if settings.shard is not None:
        raise InputError(
            "shards are of one method; run the methods one by one, or give --workers or --engine ray"
        )
    check_limit(settings.limit)
    check_batch_size(settings.batch_size)
    check_taus(settings.taus)
    accepted = {name: options_of(name, find_method(name)) for name in methods}
    options = options_by_method(accepted, settings.options)
    splits = [load_split(settings.dataset, name)[: settings.limit] for name in settings.splits]
    for split in splits:
        check_annotated(split)
    offers = {"default_model": splits[0].model, "batch_size": settings.batch_size}
    outputs = [settings.output / folder_name(name) for name in methods]
    folders = [[output / split.name for split in splits] for output in outputs]
    resumed = [
        resuming(replace(settings, output=output), inside)
        for output, inside in zip(outputs, folders, strict=True)
    ]
    seconds: Counter[str] = Counter()

    def done(batch: Sequence[Query], took: Mapping[str, float]) -> None:
        seconds.update(took)

    with ExitStack() as locks:
        for output in outputs:
            locks.enter_context(locked(output))
        make = partial(BundleWorker.make, methods, options, offers)
        with (settings.engine or Local()).start(make) as pool:
            for about in pool.about["methods"]:
                track_of(about)
            for number, split in enumerate(splits):
                segment_together(
                    pool,
                    split,
                    [inside[number] for inside in folders],
                    taus=settings.taus,
                    batch_size=settings.batch_size,
                    progress=settings.progress,
                    restart=settings.restart,
                    done=done,
                )
        reports = []
        for index, (name, about) in enumerate(zip(methods, pool.about["methods"], strict=True)):
            own = replace(settings, method=name, options=options[name], output=outputs[index])
            if resumed[index]:
                say(resumed[index])
            # What workers side by side took, added up, is no time by the clock.
            took = seconds[about["method"]] if pool.size == 1 and not resumed[index] else None
            results = score_splits(splits, folders[index], settings.taus[0])
            reports.append(report_results(own, about, results, took))
    return reports
