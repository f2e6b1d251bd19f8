"""`daam-bench export`: a dataset for annotation tools."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add `export`: a dataset for annotation tools."""
    parser = subparsers.add_parser("export", help="write a dataset for annotation tools")
    parser.add_argument("dataset", metavar="DATASET", help="emoji, a folder, or a hub id")
    parser.add_argument(
        "--format",
        required=True,
        choices=("coco", "label-studio"),
        help="coco: COCO JSON and the images, for CVAT, FiftyOne and others; "
        "label-studio: tasks with the images in them, and the labeling interface",
    )
    parser.add_argument(
        "--split",
        default="coco_gen,unreal_gen",
        metavar="NAMES",
        help="splits, separated by commas (default: coco_gen,unreal_gen)",
    )
    parser.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="the folder to write; it must be new"
    )
    parser.set_defaults(handler=export_dataset)


def export_dataset(arguments: argparse.Namespace) -> None:
    """Write a dataset for annotation tools, and say what was written."""
    from daam_bench.annotate.export import export_coco, export_label_studio
    from daam_bench.datasets.load import load_split

    names = dict.fromkeys(arguments.split.split(","))
    splits = [load_split(arguments.dataset, name) for name in names]
    write = export_coco if arguments.format == "coco" else export_label_studio
    write(splits, arguments.output)
    for split in splits:
        annotated = sum(example.annotation is not None for example in split.examples)
        sys.stdout.write(f"{split.name}: {len(split)} images, {annotated} of them annotated\n")
    sys.stdout.write(f"written to {arguments.output}\n")
