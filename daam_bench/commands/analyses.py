"""`daam-bench pos`, `layers` and `cases`: the paper's questions, asked of any model."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.analysis.cases import CASES
from daam_bench.commands.options import USUAL_DTYPE, add_model, add_place, load_model
from daam_bench.console import add_engine, engine_of, names, say, say_shard_done, taking_part
from daam_bench.types.errors import InputError, check_batch_size, check_limit, check_steps

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from daam_bench.analysis.tagged_prompts import PromptSource, TaggedPrompt
    from daam_bench.engine import WholeJob
    from daam_bench.engine.seam import Engine

DEFAULT_COUNT = 500

_ALL = "all"


def add_parser(subparsers: Any) -> None:
    """Add `pos`, `layers` and `cases` to the parser of `daam-bench`."""
    _add_pos(subparsers)
    _add_layers(subparsers)
    _add_cases(subparsers)


def _add_pos(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "pos",
        help="how much of the image words cover, by part of speech",
        description="Generate a dataset's images again, or other prompts, traced with DAAM, and measure what "
        "share of the image each word's map covers at tau, by part of speech (section 3.2 of the paper).",
    )
    _add_splits(parser, None, "coco_gen,unreal_gen")
    prompts = "generate these prompts instead: a text file with one a line, COCO captions, or a column"
    parser.add_argument("--prompts", metavar="FILE|DATASET:COLUMN", help=prompts)
    add_model(parser, None, " for --prompts")
    count = "images to generate; more than there are prompts generate them again from further seeds"
    parser.add_argument(
        "--count", type=int, metavar="N", help=f"{count} (default: one a prompt, at most {DEFAULT_COUNT})"
    )
    _add_shared(parser, f"the recorded one, float32 on a CPU; of --prompts {USUAL_DTYPE}")
    add_engine(parser)
    parser.add_argument(
        "--restart", action="store_true", help="begin again instead of resuming an earlier run"
    )
    parser.set_defaults(
        handler=run_pos, when_interrupted="what was done is kept; the same command resumes where it stopped"
    )


def _add_layers(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "layers",
        help="which layers and steps carry the attribution",
        description="Score DAAM made from each cross-attention layer alone and from some of the denoising "
        "steps alone, and measure how much of the attention there goes to the start token. Images that "
        "no model generated are traced with the dataset's model, at single training time steps.",
    )
    _add_splits(parser, "emoji", "scenes,coco_gen")
    add = parser.add_argument
    add("--limit", type=int, metavar="N", help="only the first N examples of each split")
    add("--bins", type=int, default=5, metavar="N", help="parts that the steps are put into (default: 5)")
    _add_shared(parser, "the recorded one; float32 on a CPU")
    add_engine(parser)
    parser.add_argument(
        "--restart", action="store_true", help="begin again instead of resuming an earlier run"
    )
    parser.set_defaults(
        handler=run_layers,
        when_interrupted="what was done is kept; the same command resumes where it stopped",
    )


def _add_cases(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "cases",
        help="case studies: numerals, adjectives, repeated and swapped nouns",
        description="Generate the prompts of case studies, traced with DAAM, and measure where the maps of "
        "numerals, adjectives and nouns lie (sections 3.2 and 3.3 of the paper). In images of the emoji "
        "model an annotator counts and outlines the objects; for another model a noun's own map stands for "
        "its object, and objects aren't counted.",
    )
    add, cases = parser.add_argument, (*CASES, _ALL)
    which = f"{', '.join(CASES)} or {_ALL} (default: {_ALL})"
    add("case", nargs="?", default=_ALL, choices=cases, metavar="CASE", help=which)
    add_model(parser)
    annotator = "folder of an annotator for the model (default: ours for emoji)"
    add("--annotator", dest="annotator", type=Path, metavar="DIR", help=annotator)
    add("--seeds", type=int, default=4, metavar="N", help="images a prompt (default: 4)")
    _add_shared(parser, USUAL_DTYPE)
    parser.set_defaults(
        handler=run_cases,
        when_interrupted="the case studies that were finished are kept; run the others by their names",
    )


def _add_splits(parser: argparse.ArgumentParser, dataset: str | None, splits: str) -> None:
    """Add the options that name a dataset's splits."""
    add, which = parser.add_argument, f"splits of the dataset, separated by commas (default: {splits})"
    add("--dataset", default=dataset, metavar="emoji|PATH|HUB_ID", help="the dataset (default: emoji)")
    add("--split", type=names, default=names(splits), metavar="NAMES", help=which)


def _add_shared(parser: argparse.ArgumentParser, usual_dtype: str) -> None:
    """Add the options of every analysis."""
    add_place(parser, usual_dtype)
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="(default: 16)")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")


def run_pos(arguments: argparse.Namespace) -> None:
    """Trace the prompts, write tables, figure and report, and print the groups."""
    _check_pos(arguments)
    from daam_bench.analysis.pos import measure_prompts
    from daam_bench.analysis.pos_groups import count, format_groups, write_analysis
    from daam_bench.analysis.tagged_prompts import take
    from daam_bench.scoring.report import describe_environment

    # The part first: a rank of `torchrun` takes its GPU before the pipeline is loaded.
    with _part(arguments) as part:
        prompts, source, pipeline = (_of_file if arguments.prompts else _of_dataset)(arguments)
        if not prompts:
            raise InputError(f"there is no prompt in {source.dataset}, so there is nothing to generate")
        count_given = min(len(prompts), DEFAULT_COUNT) if arguments.count is None else arguments.count
        prompts = take(prompts, count_given)
        more = {"source": source, "restart": arguments.restart, "pipeline": pipeline}
        records = measure_prompts(
            prompts, arguments.output, **more, **_measuring(arguments), engine=_engine(arguments), part=part
        )
        if not part.is_whole:
            say_shard_done(arguments.shard, arguments.output)
            return
        part.finish()
    settings = {**asdict(source), "model": prompts[0].generation.model, "tau": arguments.tau}
    environment = describe_environment(device=part.about["device"], seeds={"bootstrap": 0})
    groups = write_analysis(arguments.output, records, settings, environment)
    counts = count(records)
    sys.stdout.write(
        f"{format_groups(groups)}\n\n{counts['tokens']} words of {counts['images']} images; left out: "
        f"{counts['truncated']} past the text encoder's limit, {counts['torn']} that it splits elsewhere\n"
        f"{arguments.output}/: pos.csv, pos_groups.csv, pos.png, pos.svg, pos.pdf, report.json\n"
    )
    _warn_of_drift(counts["drifted"])


def run_layers(arguments: argparse.Namespace) -> None:
    """Measure the parts, write table, figure and report, and print the table."""
    check_limit(arguments.limit)
    from daam_bench.analysis.layers import MOST_SPLITS, format_layers, measure_layers, write_layers
    from daam_bench.datasets.load import load_split
    from daam_bench.scoring.report import describe_environment

    if len(arguments.split) > MOST_SPLITS:
        raise InputError(
            f"the figure has room for {MOST_SPLITS} splits, not {len(arguments.split)}; name fewer"
        )
    splits = [load_split(arguments.dataset, name) for name in arguments.split]
    limited = [split[: arguments.limit] for split in splits]
    with _part(arguments) as part:
        measured = measure_layers(
            limited,
            arguments.output,
            bins=arguments.bins,
            **_measuring(arguments),
            restart=arguments.restart,
            engine=_engine(arguments),
            part=part,
        )
        if measured is None:
            say_shard_done(arguments.shard, arguments.output)
            return
        part.finish()
    settings = {
        "dataset": arguments.dataset,
        "fingerprint": {split.name: split.fingerprint for split in splits},
        "tau": arguments.tau,
        "bins": arguments.bins,
    }
    environment = describe_environment(device=part.about["device"], seeds={"method": 0, "bootstrap": 0})
    environment = replace(environment, limit=arguments.limit, drifted=measured.drifted)
    write_layers(arguments.output, measured, settings, environment)
    sys.stdout.write(
        f"{format_layers(measured.scores)}\n\n"
        f"{arguments.output}/: layers.csv, layers.png, layers.svg, layers.pdf, report.json\n"
    )
    _warn_of_drift(measured.drifted)


def run_cases(arguments: argparse.Namespace) -> None:
    """Run the case studies and print their tables."""
    from daam_bench.analysis.cases.study import study
    from daam_bench.diffusion.pipelines import quietly
    from daam_bench.emoji import ANNOTATOR
    from daam_bench.emoji.annotator import Annotator
    from daam_bench.emoji.generators import generator_folder
    from daam_bench.scoring.report import describe_environment

    pipeline, generation, device = load_model(arguments, arguments.model, arguments.dtype)
    annotator = None
    if folder := arguments.annotator or (ANNOTATOR if generator_folder(arguments.model) else None):
        with quietly(str(folder)):
            annotator = Annotator(folder)
    for name in CASES if arguments.case == _ALL else (arguments.case,):
        table = study(
            name,
            pipeline,
            generation,
            arguments.output,
            annotator=annotator,
            seeds=arguments.seeds,
            tau=arguments.tau,
            batch_size=arguments.batch_size,
            environment=describe_environment(device=device, seeds={"bootstrap": 0}),
        )
        sys.stdout.write(f"{name}\n{table.markdown()}\n\n")
    sys.stdout.write(f"{arguments.output}/: a .csv, .md, .json, .png, .svg and .pdf of each\n")


def _measuring(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in ("tau", "batch_size", "device", "dtype", "offload")}


def _engine(arguments: argparse.Namespace) -> Engine | None:
    return engine_of(arguments, arguments.device)


def _part(arguments: argparse.Namespace) -> AbstractContextManager[WholeJob]:
    """Hold the lock of the output folder, and of what shards wrote there."""
    check_batch_size(arguments.batch_size)
    return taking_part(arguments.shard, arguments.output, arguments.batch_size, restart=arguments.restart)


def _check_pos(arguments: argparse.Namespace) -> None:
    if arguments.prompts and arguments.dataset:
        raise InputError("--dataset and --prompts are two sources of prompts; give one of them")
    for name in ("model", "revision", "variant", "steps", "guidance", "height", "width", "argument"):
        if not arguments.prompts and getattr(arguments, name) not in (None, []):
            raise InputError(f"--{name} goes with --prompts; a dataset's images are generated as recorded")
    check_steps(arguments.steps)


def _of_dataset(arguments: argparse.Namespace) -> tuple[list[TaggedPrompt], PromptSource, None]:
    from daam_bench.analysis.tagged_prompts import PromptSource, prompts_of_splits
    from daam_bench.datasets.load import load_split

    dataset = arguments.dataset or "emoji"
    splits = [load_split(dataset, name) for name in arguments.split]
    joined = (",".join(split.name for split in splits), ",".join(split.fingerprint for split in splits))
    return prompts_of_splits(splits), PromptSource(dataset, *joined), None


def _of_file(arguments: argparse.Namespace) -> tuple[list[TaggedPrompt], PromptSource, Any]:
    from daam_bench.analysis.tagged_prompts import PromptSource, prompts_of_captions
    from daam_bench.datasets.caption_sources import read_captions

    texts = [caption.text for caption in read_captions(arguments.prompts)]
    engine = _engine(arguments)
    elsewhere = engine is not None and not engine.is_local
    pipeline, generation, _ = load_model(
        arguments, arguments.model or "emoji", arguments.dtype, only_to_plan=elsewhere
    )
    source = PromptSource(arguments.prompts, "prompts", "")
    return prompts_of_captions(texts, generation), source, None if elsewhere else pipeline


def _warn_of_drift(drifted: int) -> None:
    if drifted:
        say(f"warning: {drifted} images came out unlike the dataset's (other weights?)")
