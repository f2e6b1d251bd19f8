"""`daam-bench faithfulness`: do methods' maps show where a word acts in the model?"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.console import add_engine, engine_of, names, say
from daam_bench.types.errors import check_batch_size, check_limit, check_taus, full_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daam_bench.analysis.asked_words import AskedSplit
    from daam_bench.analysis.effects_files import Cost
    from daam_bench.analysis.measure_effects import Measured
    from daam_bench.analysis.method_maps import MethodMaps
    from daam_bench.engine import Pool
    from daam_bench.scoring.effects import ImageEffects

SPLITS = ("coco_gen", "unreal_gen")
DEFAULT_ROWS = 32


def add_parser(subparsers: Any) -> None:
    """Add `faithfulness` to the parser of `daam-bench`."""
    parser = subparsers.add_parser(
        "faithfulness",
        help="does a method's map show where a word acts in the model? Needs no masks",
        description="Generate a split's images again, take words away in the parts of the image that methods "
        "name, and measure how much of what the words do goes. Controls stand beside every method.",
    )
    add = parser.add_argument
    methods = "methods, each with its default options, or folders of their runs (default: daam)"
    add("--method", nargs="+", default=["daam"], metavar="NAME|DIR", help=methods)
    words = "nouns, other-nouns, adjectives, verbs, ..., all; separated by commas (default: nouns)"
    add("--words", type=names, default=("nouns",), metavar="KINDS", help=words)
    add("--dataset", default="emoji", metavar="emoji|PATH|HUB_ID", help="the dataset (default: emoji)")
    splits = f"generated splits of the dataset (default: {','.join(SPLITS)})"
    add("--split", type=names, default=SPLITS, metavar="NAMES", help=splits)
    add("--limit", type=int, metavar="N", help="only the first N examples of each split")
    tau = "threshold in [0, 1] of the masks of methods that are run (default: 0.4)"
    add("--tau", type=float, default=0.4, metavar="T", help=tau)
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps ... (default: auto)")
    dtype = "float32, float16 or bfloat16 (default: the recorded one; float32 on a CPU)"
    add("--dtype", type=full_dtype, help=dtype)
    rows = f"most rows that the denoiser is called with at once (default: {DEFAULT_ROWS})"
    add("--batch-size", type=int, default=DEFAULT_ROWS, metavar="N", help=rows)
    add_engine(parser, shards=False)
    add("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    add("--restart", action="store_true", help="begin again instead of resuming an earlier run")
    parser.set_defaults(
        handler=run_faithfulness,
        when_interrupted="what was done is kept; the same command resumes where it stopped",
    )


def run_faithfulness(arguments: argparse.Namespace) -> None:
    """Measure the methods on each split, write report, table and figure, and print the scores."""
    check_limit(arguments.limit)
    check_batch_size(arguments.batch_size)
    check_taus((arguments.tau,))
    from daam_bench.analysis.asked_words import ask
    from daam_bench.analysis.effects_files import SUFFIX
    from daam_bench.analysis.effects_report import FILES, build_faithfulness, write_faithfulness
    from daam_bench.analysis.measure_effects import EffectsWorker, check_generated
    from daam_bench.analysis.method_maps import find_sources, read_maps, run_methods
    from daam_bench.datasets.load import load_split
    from daam_bench.engine import Local
    from daam_bench.files import PREDICTIONS
    from daam_bench.files.locks import locked
    from daam_bench.scoring.faithfulness_tables import format_scores
    from daam_bench.scoring.report import describe_environment

    started = time.monotonic()
    splits = [load_split(arguments.dataset, name)[: arguments.limit] for name in arguments.split]
    asked = [ask(split, arguments.words) for split in splits]
    for one in asked:
        check_generated(one.split)
    device, dtype = arguments.device, arguments.dtype
    sources = find_sources(arguments.method, arguments.output)
    offers = {"default_model": splits[0].model, "device": device, "dtype": dtype}
    engine = engine_of(arguments, device, ",".join(arguments.method)) or Local()
    measured = []
    with locked(arguments.output):
        done_before = [
            *(path for one in splits for path in (arguments.output / one.name).glob(f"*{SUFFIX}")),
            *(path for one in sources if one.method for path in one.folder.glob(f"*/{PREDICTIONS}")),
        ]
        run_methods(
            sources,
            [one.split for one in asked],
            engine,
            offers,
            taus=(arguments.tau,),
            batch_size=16,
            restart=arguments.restart,
        )
        with engine.start(partial(EffectsWorker, device, dtype, arguments.batch_size)) as pool:
            for one in asked:
                methods, folder = read_maps(sources, one.split), arguments.output / one.split.name
                restart, words = arguments.restart, arguments.words
                found = measure_methods(pool, one, methods, folder, words, restart=restart)
                measured.append((one, methods, found))
        resumed = done_before and not arguments.restart
        seconds = None if resumed else time.monotonic() - started
        environment = describe_environment(
            device=pool.about["device"], wall_seconds=seconds, seeds={"bootstrap": 0}
        )
        left_out = sum(found.left_out for _, _, found in measured)
        environment = replace(environment, limit=arguments.limit, drifted=left_out)
        report = build_faithfulness(arguments.dataset, measured, arguments.words, environment)
        by_split = {one.split.name: found for one, _, found in measured}
        write_faithfulness(arguments.output, report, by_split)
    if left_out:
        say(f"warning: {left_out} images came out unlike the dataset's (other weights?) and are left out")
    sys.stdout.write(f"{format_scores(report)}\n\n{arguments.output}/: {', '.join(FILES)}\n")


def measure_methods(
    pool: Pool,
    asked: AskedSplit,
    methods: Sequence[MethodMaps],
    folder: Path,
    words: Sequence[str],
    *,
    restart: bool = False,
    measured: Callable[[Mapping[str, ImageEffects]], None] = lambda found: None,
) -> Measured:
    """Measure what methods say of a split, and say first what it will cost.

    Args:
        pool: Workers that are a `daam_bench.analysis.measure_effects.EffectsWorker`.
        asked: The split, with the asked words in the nouns' place.
        methods: What the methods say of them.
        folder: Where effects are kept by image; those of the same maps in there are not measured again.
        words: What was asked for.
        restart: Overwrite what is there.
        measured: Takes the effects of each image, by method, before they are written.

    Raises:
        InputError: See `daam_bench.analysis.measure_effects.measure_split`, or `folder` holds the effects of
            other words.
    """
    from daam_bench.analysis.effects_files import EffectsFiles, cost_of
    from daam_bench.analysis.measure_effects import measure_split

    dtype = pool.about["dtype"]
    with EffectsFiles(folder, asked, methods, words, dtype=dtype, restart=restart) as files:
        _say_cost(asked.split.name, cost_of(asked, methods, files))
        return measure_split(pool, asked, methods, files, measured=measured)


def _say_cost(split: str, cost: Cost) -> None:
    if cost.images:
        say(
            f"{split}: {cost.images} images to generate again, then up to {cost.rows} rows of the denoiser "
            f"for {cost.words} words, about as much as {cost.generations:.0f} more images"
        )
