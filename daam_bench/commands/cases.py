"""`daam-bench cases`: case studies of numerals, adjectives, and repeated and swapped nouns."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from daam_bench.analysis.cases import CASES
from daam_bench.types.errors import InputError

_ALL = "all"


def add_parser(subparsers: Any) -> None:
    """Add `cases`: case studies of numerals, adjectives, and repeated and swapped nouns."""
    parser = subparsers.add_parser(
        "cases",
        help="case studies: numerals, adjectives, repeated and swapped nouns",
        description="Draw the prompts of case studies, traced with DAAM, and measure where numerals, "
        "adjectives and nouns look (sections 3.2 and 3.3 of the paper). In images of the emoji model a "
        "judge counts and outlines the objects; for another model a noun's own map stands for its object, "
        "and objects aren't counted.",
    )
    parser.add_argument(
        "case",
        nargs="?",
        default=_ALL,
        choices=(*CASES, _ALL),
        metavar="CASE",
        help=f"{', '.join(CASES)} or {_ALL} (default: {_ALL})",
    )
    parser.add_argument(
        "--model", default="emoji", metavar="emoji|PATH|HUB_ID", help="the pipeline (default: emoji)"
    )
    parser.add_argument("--revision", help="its revision on the hub")
    parser.add_argument(
        "--annotator",
        type=Path,
        metavar="DIR",
        help="folder of its annotator (default: ours for emoji)",
    )
    parser.add_argument("--seeds", type=int, default=4, metavar="N", help="pictures a prompt (default: 4)")
    parser.add_argument("--steps", type=int, metavar="N", help="inference steps (default: 50)")
    parser.add_argument(
        "--guidance", type=float, metavar="G", help="guidance scale (default: 3 for emoji, else 7.5)"
    )
    parser.add_argument(
        "--tau", type=float, default=0.4, metavar="T", help="threshold in [0, 1] (default: 0.4)"
    )
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="(default: 16)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps ... (default: auto)")
    parser.add_argument(
        "--dtype", help="float32, float16 or bfloat16 (default: float32 on a CPU, else float16)"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.set_defaults(
        handler=run_cases,
        when_interrupted="the case studies that were finished are kept; run the others by their names",
    )


def run_cases(arguments: argparse.Namespace) -> None:
    """Run the case studies and print their tables."""
    from daam_bench.analysis.cases.look import World
    from daam_bench.analysis.cases.study import study
    from daam_bench.analysis.tracing import usual_generation
    from daam_bench.diffusion.pipelines import SHIPPED, load_pipeline, pick_device
    from daam_bench.emoji import ANNOTATOR
    from daam_bench.scoring.environment import describe_environment

    if arguments.steps is not None and arguments.steps < 1:
        raise InputError(f"--steps must be at least 1, not {arguments.steps}")
    device = pick_device(arguments.device)
    dtype = arguments.dtype or ("float32" if device == "cpu" else "float16")
    pipeline = load_pipeline(arguments.model, arguments.revision, device, dtype)
    generation = usual_generation(
        pipeline,
        arguments.model,
        revision=arguments.revision,
        dtype=dtype,
        steps=arguments.steps,
        guidance_scale=arguments.guidance,
    )
    annotator = arguments.annotator or (ANNOTATOR if arguments.model == SHIPPED else None)
    world = World(pipeline, generation, None if annotator is None else _load_judge(annotator))
    for name in CASES if arguments.case == _ALL else (arguments.case,):
        table = study(
            name,
            world,
            arguments.output,
            seeds=arguments.seeds,
            tau=arguments.tau,
            batch_size=arguments.batch_size,
            settings={"model": arguments.model},
            environment=describe_environment(device=device, seeds={"bootstrap": 0}),
        )
        sys.stdout.write(f"{name}\n{table.markdown()}\n\n")
    sys.stdout.write(f"{arguments.output}/: a .csv, .md, .json, .png, .svg and .pdf of each\n")


def _load_judge(folder: Path) -> Any:
    from daam_bench.diffusion.pipelines import quietly
    from daam_bench.emoji.annotator import Annotator

    with quietly(str(folder)):
        return Annotator(folder)
