"""`daam-bench layers`: which cross-attention layers and which steps carry the attribution."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from daam_bench.console import say
from daam_bench.types.errors import InputError


def add_parser(subparsers: Any) -> None:
    """Add `layers`: which cross-attention layers and which steps carry the attribution."""
    parser = subparsers.add_parser(
        "layers",
        help="which layers and steps carry the attribution",
        description="Score DAAM made from each cross-attention layer alone and from some of the denoising "
        "steps alone, and measure how much of the attention there goes to the start token. Images that "
        "no model generated are looked at with the dataset's model, at single training time steps.",
    )
    parser.add_argument(
        "--dataset", default="emoji", metavar="emoji|PATH|HUB_ID", help="the dataset (default: emoji)"
    )
    parser.add_argument(
        "--split",
        default="scenes,coco_gen",
        metavar="NAMES",
        help="splits of the dataset, separated by commas (default: scenes,coco_gen)",
    )
    parser.add_argument(
        "--tau", type=float, default=0.4, metavar="T", help="threshold in [0, 1] (default: 0.4)"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N examples of each split")
    parser.add_argument(
        "--bins", type=int, default=5, metavar="N", help="parts that the steps are put into (default: 5)"
    )
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="(default: 16)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps ... (default: auto)")
    parser.add_argument(
        "--dtype", help="float32, float16 or bfloat16 (default: the recorded one; float32 on a CPU)"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.set_defaults(handler=analyse, when_interrupted="nothing was written; run the command again")


def analyse(arguments: argparse.Namespace) -> None:
    """Measure the parts, write table, figure and report, and print the table."""
    if arguments.limit is not None and arguments.limit < 1:
        raise InputError(f"--limit must be at least 1 example, not {arguments.limit}")
    from daam_bench.analysis.layers import measure_layers
    from daam_bench.analysis.layers_files import MOST_SPLITS, format_layers, write_layers
    from daam_bench.datasets.load import load_split
    from daam_bench.diffusion.pipelines import pick_device
    from daam_bench.scoring.environment import describe_environment

    names = list(dict.fromkeys(name.strip() for name in arguments.split.split(",")))
    if len(names) > MOST_SPLITS:
        raise InputError(f"the figure has room for {MOST_SPLITS} splits, not {len(names)}; name fewer")
    splits = [load_split(arguments.dataset, name) for name in names]
    limited = [replace(split, examples=split.examples[: arguments.limit]) for split in splits]
    measured = measure_layers(
        limited,
        tau=arguments.tau,
        bins=arguments.bins,
        batch_size=arguments.batch_size,
        device=arguments.device,
        dtype=arguments.dtype,
    )
    settings = {
        "dataset": arguments.dataset,
        "fingerprint": {split.name: split.fingerprint for split in splits},
        "tau": arguments.tau,
        "bins": arguments.bins,
    }
    environment = describe_environment(
        device=pick_device(arguments.device), seeds={"method": 0, "bootstrap": 0}
    )
    environment = replace(environment, limit=arguments.limit, drifted=measured.drifted)
    write_layers(arguments.output, measured, settings, environment)
    sys.stdout.write(
        f"{format_layers(measured.scores)}\n\n"
        f"{arguments.output}/: layers.csv, layers.png, layers.svg, layers.pdf, report.json\n"
    )
    if measured.drifted:
        say(f"warning: {measured.drifted} images came out unlike the dataset's (other weights?)")
