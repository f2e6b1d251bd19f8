"""The console command `daam-bench`. Its sub-commands import what is heavy only when they run."""

from __future__ import annotations

import sys

try:
    from collections.abc import Sequence

    from daam_bench import __version__, run
    from daam_bench.commands import (
        analyses,
        annotation,
        demo,
        exchange,
        faithfulness_command,
        from_captions,
        leaderboard,
        methods,
        scores,
        show,
        view,
    )
    from daam_bench.console import Parser, run_command
except KeyboardInterrupt:
    sys.stderr.write("interrupted\n")
    sys.exit(130)

COMMANDS = (
    run,
    show,
    demo,
    methods,
    view,
    scores,
    leaderboard,
    from_captions,
    exchange,
    annotation,
    analyses,
    faithfulness_command,
)
"""In the order of `daam-bench --help`."""


def build_parser() -> Parser:
    """Return the parser of `daam-bench` with all its sub-commands."""
    parser = Parser(
        prog="daam-bench", description="A benchmark for word-to-pixel attribution in text-to-image models."
    )
    parser.add_argument("--version", action="version", version=f"daam-bench {__version__}")
    parser.set_defaults(handler=lambda arguments: parser.print_help())
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_command(build_parser, argv)
