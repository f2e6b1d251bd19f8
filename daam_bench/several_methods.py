"""The main job for several methods at once, which share what they trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from daam_bench.datasets.load import load_split
from daam_bench.engine import Local
from daam_bench.job import Settings, check_annotated, folder_name, run
from daam_bench.segmenters.bundle import BundleWorker, segment_together
from daam_bench.segmenters.meant import options_by_method
from daam_bench.segmenters.registry import find_method, options_of
from daam_bench.types.errors import InputError, check_batch_size, check_limit, check_taus

if TYPE_CHECKING:
    from daam_bench.types import Report


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
    with (settings.engine or Local()).start(partial(BundleWorker.make, methods, options, offers)) as pool:
        for split in splits:
            segment_together(
                pool,
                split,
                [output / split.name for output in outputs],
                taus=settings.taus,
                batch_size=settings.batch_size,
                progress=settings.progress,
                restart=settings.restart,
            )
    # What is left of each run is to score it: its predictions are complete.
    done = replace(settings, restart=False, progress=False, engine=None)
    reports = [
        run(replace(done, method=name, options=options[name], output=output))
        for name, output in zip(methods, outputs, strict=True)
    ]
    return [report for report in reports if report is not None]
