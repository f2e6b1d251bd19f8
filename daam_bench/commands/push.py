"""`daam-bench push`: a dataset folder to the Hugging Face hub."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add `push`: a dataset folder to the Hugging Face hub."""
    parser = subparsers.add_parser("push", help="upload a dataset to the Hugging Face hub")
    parser.add_argument("folder", type=Path, metavar="DIR", help="a dataset folder")
    parser.add_argument("repo", metavar="REPO", help="the dataset's id on the hub: owner/name")
    parser.add_argument("--private", action="store_true", help="make the repository private, if it is new")
    parser.add_argument("--revision", metavar="BRANCH", help="upload to this branch (default: main)")
    parser.add_argument(
        "--dry-run", action="store_true", help="check the dataset and list what would go, without network"
    )
    parser.set_defaults(
        handler=push_dataset, when_interrupted="nothing is on the hub before all of it is; push again"
    )


def push_dataset(arguments: argparse.Namespace) -> None:
    """Upload a dataset folder, or list what would go."""
    from daam_bench.splits.push import check_repo, files_of, push

    check_repo(arguments.repo)
    if arguments.dry_run:
        files = files_of(arguments.folder)
        for path in files:
            sys.stdout.write(f"{path.stat().st_size:>12,}  {path.name}\n")
        total = sum(path.stat().st_size for path in files)
        sys.stdout.write(f"{total:>12,}  bytes would go to the dataset {arguments.repo}\n")
        return
    pushed = push(arguments.folder, arguments.repo, private=arguments.private, revision=arguments.revision)
    sys.stdout.write(
        f'{pushed.url}\nload it as it is now with load_split("{pushed.repo}@{pushed.commit}", ...)\n'
    )
