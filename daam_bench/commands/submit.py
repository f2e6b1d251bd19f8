"""`daam-bench submit`: from a run to a submission, and from a submission to the leaderboard."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.leaderboard import ENTRIES
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.leaderboard.reading import Problems


def add_parser(subparsers: Any) -> None:
    """Add `submit` with its sub-commands."""
    parser = subparsers.add_parser("submit", help="submit a method to the leaderboard")
    commands = parser.add_subparsers(dest="submit_command", required=True, metavar="COMMAND")
    _add_pack(commands)
    _add_check(commands)
    _add_accept(commands)


def _add_pack(commands: Any) -> None:
    parser = commands.add_parser("pack", help="make a submission from a run's output folder")
    parser.add_argument("run", type=Path, metavar="RUN", help="output folder of `daam-bench run`")
    parser.add_argument("--name", required=True, help="the method's name on the leaderboard")
    parser.add_argument(
        "--author", required=True, action="append", dest="authors", help="who made it; once for each"
    )
    parser.add_argument("--link", metavar="URL", help="its page, code or paper")
    parser.add_argument("--licence", required=True, help="licence of the submitted files, such as CC-BY-4.0")
    parser.add_argument("--description", required=True, metavar="TEXT", help="what the method does")
    parser.add_argument(
        "--truth",
        required=True,
        choices=("none", "thresholds", "training"),
        help="what it used of the benchmark's masks: nothing, to choose thresholds, or to train",
    )
    parser.add_argument(
        "--supervised",
        required=True,
        action=argparse.BooleanOptionalAction,
        help="whether it was trained on masks or boxes of any kind",
    )
    parser.add_argument(
        "--open-vocabulary",
        required=True,
        action=argparse.BooleanOptionalAction,
        help="whether it takes any noun, rather than those of a fixed list",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="the zip file (default: <name>.zip)")
    _add_dataset(parser)
    parser.set_defaults(handler=_pack)


def _add_check(commands: Any) -> None:
    parser = commands.add_parser("check", help="check a submission in full, and score it")
    _add_source(parser)
    parser.set_defaults(handler=_check)


def _add_accept(commands: Any) -> None:
    parser = commands.add_parser("accept", help="check a submission, score it, and make it an entry")
    _add_source(parser)
    parser.add_argument(
        "--entries", type=Path, default=ENTRIES, metavar="DIR", help=f"the entries (default: {ENTRIES})"
    )
    parser.add_argument("--slug", help="name of the entry's folder (default: made from the name)")
    parser.add_argument("--replace", action="store_true", help="replace an entry of the same slug")
    parser.set_defaults(handler=_accept)


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("submission", type=Path, metavar="FILE", help="a submission: zip file or folder")
    _add_dataset(parser)


def _add_dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", default="emoji", help="the dataset (default: emoji, the shipped one)")


def _pack(arguments: argparse.Namespace) -> None:
    from daam_bench.leaderboard.packing import describe_run, pack
    from daam_bench.leaderboard.reading import Problems
    from daam_bench.leaderboard.rescoring import load_splits
    from daam_bench.leaderboard.submission import slug_of

    submission = describe_run(
        arguments.run,
        name=arguments.name,
        authors=tuple(arguments.authors),
        link=arguments.link,
        licence=arguments.licence,
        description=arguments.description,
        truth=arguments.truth,
        supervised=arguments.supervised,
        open_vocabulary=arguments.open_vocabulary,
    )
    output = arguments.output or Path(f"{slug_of(arguments.name) or 'submission'}.zip")
    problems = Problems()
    pack(arguments.run, submission, load_splits(arguments.dataset), output, problems)
    fail_on(problems, str(arguments.run))
    sys.stdout.write(f"{output}: nothing is wrong with it; `daam-bench submit accept {output}` enters it\n")


def _check(arguments: argparse.Namespace) -> None:
    import tempfile

    from daam_bench.leaderboard.packing import write_checked
    from daam_bench.leaderboard.reading import opened
    from daam_bench.leaderboard.rescoring import score_folder
    from daam_bench.scoring.tables import format_table

    with opened(arguments.submission) as folder, tempfile.TemporaryDirectory(prefix="daam-bench-") as scratch:
        checked = _validated(folder, arguments)
        write_checked(Path(scratch), checked)
        report = score_folder(Path(scratch), checked)
    sys.stdout.write(f"{format_table(report)}\n\n{arguments.submission}: nothing is wrong with it\n")


def _accept(arguments: argparse.Namespace) -> None:
    from daam_bench.leaderboard.reading import opened
    from daam_bench.leaderboard.rescoring import accept
    from daam_bench.scoring.tables import format_table

    with opened(arguments.submission) as folder:
        checked = _validated(folder, arguments)
        entry = accept(checked, arguments.entries, arguments.slug, overwrite=arguments.replace)
    sys.stdout.write(f"{format_table(entry.report)}\n\n{entry.folder}/: commit it and open a pull request\n")


def _validated(folder: Path, arguments: argparse.Namespace) -> Any:
    from daam_bench.leaderboard.checking import validate
    from daam_bench.leaderboard.reading import Problems
    from daam_bench.leaderboard.rescoring import load_splits

    problems = Problems()
    checked = validate(folder, load_splits(arguments.dataset), problems)
    fail_on(problems, str(arguments.submission))
    return checked


def fail_on(problems: Problems, name: str) -> None:
    """Print the problems and fail, if there are any.

    Raises:
        InputError: There are.
    """
    if not len(problems):
        return
    sys.stdout.write("".join(f"{line}\n" for line in problems.lines()))
    things = "1 thing is" if len(problems) == 1 else f"{len(problems)} things are"
    raise InputError(f"{things} wrong with {name}, listed above; fix them and try again")
