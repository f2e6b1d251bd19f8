"""`daam-bench pos`: how much of the image words cover, by part of speech."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.console import say
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.analysis.pos import Source
    from daam_bench.analysis.prompts import Prompt

DEFAULT_COUNT = 500


def add_parser(subparsers: Any) -> None:
    """Add `pos`: how much of the image words cover, by part of speech."""
    parser = subparsers.add_parser(
        "pos",
        help="how much of the image words cover, by part of speech",
        description="Draw prompts, traced with DAAM, and measure what share of the image each word's map "
        "covers at tau, by part of speech (section 3.2 of the paper).",
    )
    parser.add_argument(
        "--dataset", metavar="emoji|PATH|HUB_ID", help="draw this dataset's images again (default: emoji)"
    )
    parser.add_argument(
        "--split",
        default="coco_gen,unreal_gen",
        metavar="NAMES",
        help="splits of the dataset, separated by commas (default: coco_gen,unreal_gen)",
    )
    parser.add_argument(
        "--prompts",
        metavar="FILE|DATASET:COLUMN",
        help="draw these prompts instead: a text file with one a line, COCO captions, or a column",
    )
    parser.add_argument(
        "--model", metavar="emoji|PATH|HUB_ID", help="pipeline that draws --prompts (default: emoji)"
    )
    parser.add_argument("--revision", help="revision of --model on the hub")
    parser.add_argument("--steps", type=int, metavar="N", help="inference steps for --prompts (default: 50)")
    parser.add_argument(
        "--guidance",
        type=float,
        metavar="G",
        help="guidance scale for --prompts (default: 3 for emoji, else 7.5)",
    )
    parser.add_argument(
        "--count",
        type=int,
        metavar="N",
        help="pictures to draw; more than there are prompts draw them again from further seeds "
        f"(default: one a prompt, at most {DEFAULT_COUNT})",
    )
    parser.add_argument(
        "--tau", type=float, default=0.4, metavar="T", help="threshold in [0, 1] (default: 0.4)"
    )
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="(default: 16)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps ... (default: auto)")
    parser.add_argument(
        "--dtype", help="float32, float16 or bfloat16 (default: the recorded one; float32 on a CPU)"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--restart", action="store_true", help="begin again instead of going on with an earlier run"
    )
    parser.set_defaults(
        handler=analyse, when_interrupted="what was done is kept; the same command resumes where it stopped"
    )


def analyse(arguments: argparse.Namespace) -> None:
    """Trace the prompts, write tables, figure and report, and print the groups."""
    _check(arguments)
    from daam_bench.analysis.pos import measure_prompts
    from daam_bench.analysis.pos_files import count, format_groups, write_analysis
    from daam_bench.analysis.prompts import take
    from daam_bench.diffusion.pipelines import pick_device
    from daam_bench.scoring.environment import describe_environment

    prompts, source, pipeline = (_of_file if arguments.prompts else _of_dataset)(arguments)
    if not prompts:
        raise InputError(f"there is no prompt in {source.dataset}, so there is nothing to draw")
    prompts = take(prompts, min(len(prompts), DEFAULT_COUNT) if arguments.count is None else arguments.count)
    records = measure_prompts(
        prompts,
        arguments.output,
        source=source,
        tau=arguments.tau,
        device=arguments.device,
        dtype=arguments.dtype,
        batch_size=arguments.batch_size,
        restart=arguments.restart,
        pipeline=pipeline,
    )
    settings = {
        "dataset": source.dataset,
        "splits": source.splits,
        "fingerprint": source.fingerprint,
        "model": prompts[0].generation.model,
        "tau": arguments.tau,
    }
    environment = describe_environment(device=pick_device(arguments.device), seeds={"bootstrap": 0})
    groups = write_analysis(arguments.output, records, settings, environment)
    counts = count(records)
    sys.stdout.write(
        f"{format_groups(groups)}\n\n{counts['tokens']} words of {counts['images']} images; left out: "
        f"{counts['truncated']} past the text encoder's limit, {counts['torn']} that it parts otherwise\n"
        f"{arguments.output}/: pos.csv, pos_groups.csv, pos.png, pos.svg, pos.pdf, report.json\n"
    )
    if counts["drifted"]:
        say(f"warning: {counts['drifted']} images came out unlike the dataset's (other weights?)")


def _check(arguments: argparse.Namespace) -> None:
    if arguments.prompts and arguments.dataset:
        raise InputError("--dataset and --prompts are two sources of prompts; give one of them")
    for name in ("model", "revision", "steps", "guidance"):
        if not arguments.prompts and getattr(arguments, name) is not None:
            raise InputError(f"--{name} goes with --prompts; a dataset's images are drawn as recorded")
    if arguments.steps is not None and arguments.steps < 1:
        raise InputError(f"--steps must be at least 1, not {arguments.steps}")


def _of_dataset(arguments: argparse.Namespace) -> tuple[list[Prompt], Source, None]:
    from daam_bench.analysis.pos import Source
    from daam_bench.analysis.prompts import prompts_of_splits
    from daam_bench.datasets.load import load_split

    dataset = arguments.dataset or "emoji"
    splits = [load_split(dataset, name.strip()) for name in arguments.split.split(",")]
    names = ",".join(split.name for split in splits)
    fingerprints = ",".join(split.fingerprint for split in splits)
    return prompts_of_splits(splits), Source(dataset, names, fingerprints), None


def _of_file(arguments: argparse.Namespace) -> tuple[list[Prompt], Source, Any]:
    from daam_bench.analysis.pos import Source
    from daam_bench.analysis.prompts import prompts_of_captions
    from daam_bench.analysis.tracing import usual_generation
    from daam_bench.datasets.caption_sources import read_captions
    from daam_bench.diffusion.pipelines import load_pipeline, pick_device

    texts = [caption.text for caption in read_captions(arguments.prompts)]
    model, device = arguments.model or "emoji", pick_device(arguments.device)
    dtype = arguments.dtype or ("float32" if device == "cpu" else "float16")
    pipeline = load_pipeline(model, arguments.revision, device, dtype)
    generation = usual_generation(
        pipeline,
        model,
        revision=arguments.revision,
        dtype=dtype,
        steps=arguments.steps,
        guidance_scale=arguments.guidance,
    )
    return prompts_of_captions(texts, generation), Source(arguments.prompts, "prompts", ""), pipeline
