"""`daam-bench leaderboard`: what hosts the leaderboard."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from daam_bench.leaderboard import ENTRIES


def add_parser(subparsers: Any) -> None:
    """Add `leaderboard` with its sub-commands."""
    parser = subparsers.add_parser("leaderboard", help="check the leaderboard's entries, build its site")
    commands = parser.add_subparsers(dest="leaderboard_command", required=True, metavar="COMMAND")
    _add_check(commands)
    _add_build(commands)


def _add_check(commands: Any) -> None:
    parser = commands.add_parser("check", help="score every entry again; fail if its report says otherwise")
    add_places(parser)
    parser.set_defaults(handler=_check)


def _add_build(commands: Any) -> None:
    parser = commands.add_parser("build", help="write the leaderboard's pages, which open without a server")
    add_places(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the site's folder; a site there is replaced"
    )
    parser.set_defaults(handler=_build)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where entries and dataset are."""
    parser.add_argument(
        "--entries", type=Path, default=ENTRIES, metavar="DIR", help=f"the entries (default: {ENTRIES})"
    )
    parser.add_argument("--dataset", default="emoji", help="the dataset (default: emoji, the shipped one)")


def _check(arguments: argparse.Namespace) -> None:
    from daam_bench.commands.submit import fail_on
    from daam_bench.leaderboard.entries import entry_folders
    from daam_bench.leaderboard.reading import Problems
    from daam_bench.leaderboard.rescoring import check_entry, load_splits
    from daam_bench.types.printable import printable

    folders = entry_folders(arguments.entries)
    splits = load_splits(arguments.dataset)
    problems = Problems()
    for folder in folders:
        before = len(problems)
        check_entry(folder, splits, problems)
        sys.stdout.write(f"{'ok' if len(problems) == before else 'wrong':<6} {printable(folder.name)}\n")
    fail_on(problems, f"the entries of {arguments.entries}")
    sys.stdout.write(f"the masks of all {len(folders)} score as their reports say\n")


def _build(arguments: argparse.Namespace) -> None:
    from daam_bench.leaderboard.entries import load_entries
    from daam_bench.leaderboard.site.write_site import build_site

    site = build_site(load_entries(arguments.entries), arguments.dataset, arguments.out)
    sys.stdout.write(
        f"{arguments.out}/: {site.methods} methods, {site.files} files, {site.size / 1e6:.1f} MB; "
        f"open {arguments.out / 'index.html'}\n"
    )
