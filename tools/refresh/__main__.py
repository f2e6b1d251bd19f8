"""Rebuild all that follows from datasets and methods: `python -m tools.refresh`, `make refresh`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from daam_bench.console import Parser, names, run_command, say
from daam_bench.types.errors import InputError, check_limit

STAGES = ("run", "record", "entries", "orders", "faithfulness", "texts", "figures", "analyses")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return run_command(build_parser, argv)


def build_parser() -> Parser:
    """Return the parser."""
    from tools.refresh.planned_jobs import DATASETS, METHODS, ROOT

    parser = Parser(
        prog="python -m tools.refresh",
        description="Run all methods on all datasets, and write what follows: reports, leaderboard entries, "
        "tables, figures, and the marked parts of README and docs. The same command resumes; what is done "
        "and still holds is kept.",
    )
    add = parser.add_argument
    kept = f"keep to datasets ({', '.join(DATASETS)}) or splits (emoji/scenes)"
    add("--only", type=names, default=(), metavar="NAME,...", help=kept)
    add("--methods", type=names, default=METHODS, metavar="NAME,...", help="keep to these methods")
    add("--limit", type=int, metavar="N", help="only the first N examples of each split; implies --draft")
    add("--stages", type=names, default=STAGES, metavar="NAME,...", help=f"of {', '.join(STAGES)}")
    add("--work", type=Path, default=ROOT / "results" / "refresh", metavar="DIR", help="where runs are kept")
    draft = "write reports, tables, figures and pages into the work folder alone, whatever the state of git"
    add("--draft", action="store_true", help=draft)
    add("--restart", action="store_true", help="make the chosen runs again, and measure them again")
    workers = "processes that measure the faithfulness (default: 1)"
    add("--workers", type=int, metavar="N", help=workers)
    parser.set_defaults(
        handler=refresh, when_interrupted="what was done is kept; the same command resumes where it stopped"
    )
    return parser


def refresh(arguments: argparse.Namespace) -> None:
    """Go through the stages."""
    from daam_bench.engine.choice import choose_engine
    from tools.refresh.stages import Refresh

    check_limit(arguments.limit)
    for name in arguments.stages:
        if name not in STAGES:
            raise InputError(f"no stage {name!r}; give some of {', '.join(STAGES)}")
    job = Refresh(
        work=arguments.work,
        only=arguments.only,
        methods=arguments.methods,
        limit=arguments.limit,
        draft=arguments.draft or arguments.limit is not None,
        restart=arguments.restart,
        engine=None if arguments.workers is None else choose_engine(workers=str(arguments.workers)),
    )
    for stage in STAGES:
        if stage in arguments.stages:
            say(stage)
            getattr(job, stage)()
    sys.stdout.write("".join(f"{line}\n" for line in job.wrote))


if __name__ == "__main__":
    sys.exit(main())
