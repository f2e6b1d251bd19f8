"""`daam-bench submit` and `leaderboard`: from a run to a submission, to an entry, to the hosted pages."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.commands.verify_command import add_verify
from daam_bench.leaderboard import ENTRIES
from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.leaderboard.checking import CheckedSubmission
    from daam_bench.leaderboard.reading import Problems

_SAID = ("name", "link", "licence", "description", "truth", "supervised", "open_vocabulary")
"""The options of `submit pack` that go into `submission.json` as they are."""


def add_parser(subparsers: Any) -> None:
    """Add `submit` and `leaderboard` with their sub-commands."""
    submit = subparsers.add_parser("submit", help="submit a method to the leaderboard")
    commands = submit.add_subparsers(dest="submit_command", required=True, metavar="COMMAND")
    _add_pack(commands)
    check = _add(commands, "check", _check, "check a submission in full, and score it")
    accept = _add(commands, "accept", _accept, "check a submission, score it, and make it an entry")
    for parser in (check, accept):
        parser.add_argument("submission", type=Path, metavar="FILE", help="a submission: zip file or folder")
    _add_entries(accept)
    accept.add_argument("--slug", help="name of the entry's folder (default: made from the name)")
    accept.add_argument("--replace", action="store_true", help="replace an entry of the same slug")

    host = subparsers.add_parser("leaderboard", help="check the leaderboard's entries, build its site")
    commands = host.add_subparsers(dest="leaderboard_command", required=True, metavar="COMMAND")
    help_text = "score every entry again; fail if its report says otherwise"
    check = _add(commands, "check", _check_entries, help_text)
    build = _add(commands, "build", _build, "write the leaderboard's pages, which open without a server")
    for parser in (check, build, add_verify(commands)):
        _add_entries(parser)
        parser.add_argument(
            "--verified",
            type=Path,
            metavar="DIR",
            help="the hosts' records (default: verified, beside the entries)",
        )
    build.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the site's folder; a site there is replaced"
    )


def _add_pack(commands: Any) -> None:
    parser = _add(commands, "pack", _pack, "make a submission from a run's output folder")
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
    for option, help_text in (
        ("--supervised", "whether it was trained on masks or boxes of any kind"),
        ("--open-vocabulary", "whether it takes any noun, rather than those of a fixed list"),
    ):
        parser.add_argument(option, required=True, action=argparse.BooleanOptionalAction, help=help_text)
    parser.add_argument("--output", type=Path, metavar="FILE", help="the zip file (default: <name>.zip)")


def _add(commands: Any, name: str, handler: Any, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_text)
    parser.add_argument("--dataset", default="emoji", help="the dataset (default: emoji, the shipped one)")
    parser.set_defaults(handler=handler)
    return parser


def _add_entries(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--entries", type=Path, default=ENTRIES, metavar="DIR", help=f"the entries (default: {ENTRIES})"
    )


def _pack(arguments: argparse.Namespace) -> None:
    from daam_bench.leaderboard.entries import load_splits
    from daam_bench.leaderboard.names import slug_of
    from daam_bench.leaderboard.packing import describe_run, pack
    from daam_bench.leaderboard.reading import Problems

    said = {name: getattr(arguments, name) for name in _SAID}
    submission = describe_run(arguments.run, authors=tuple(arguments.authors), **said)
    output = arguments.output or Path(f"{slug_of(arguments.name) or 'submission'}.zip")
    problems = Problems()
    pack(arguments.run, submission, load_splits(arguments.dataset), output, problems)
    _fail_on(problems, str(arguments.run))
    sys.stdout.write(f"{output}: nothing is wrong with it; `daam-bench submit accept {output}` enters it\n")


def _check(arguments: argparse.Namespace) -> None:
    from daam_bench.leaderboard.entries import score_submission
    from daam_bench.leaderboard.reading import opened
    from daam_bench.scoring.tables import format_table

    with opened(arguments.submission) as folder:
        report = score_submission(_validated(folder, arguments))
    sys.stdout.write(f"{format_table(report)}\n\n{arguments.submission}: nothing is wrong with it\n")


def _accept(arguments: argparse.Namespace) -> None:
    from daam_bench.leaderboard.entries import accept
    from daam_bench.leaderboard.reading import opened
    from daam_bench.scoring.tables import format_table

    with opened(arguments.submission) as folder:
        checked = _validated(folder, arguments)
        entry = accept(checked, arguments.entries, arguments.slug, overwrite=arguments.replace)
    sys.stdout.write(f"{format_table(entry.report)}\n\n{entry.folder}/: commit it and open a pull request\n")


def _validated(folder: Path, arguments: argparse.Namespace) -> CheckedSubmission:
    from daam_bench.leaderboard.checking import validate
    from daam_bench.leaderboard.entries import load_splits
    from daam_bench.leaderboard.reading import Problems

    problems = Problems()
    checked = validate(folder, load_splits(arguments.dataset), problems)
    _fail_on(problems, str(arguments.submission))
    assert checked is not None
    return checked


def _check_entries(arguments: argparse.Namespace) -> None:
    from daam_bench.leaderboard.entries import (
        check_entry,
        check_names,
        entry_folders,
        load_entry,
        load_splits,
        outdated_records,
    )
    from daam_bench.leaderboard.flags import find_flags, proposed_splits
    from daam_bench.leaderboard.reading import Problems
    from daam_bench.types.errors import printable

    folders = entry_folders(arguments.entries)
    splits = load_splits(arguments.dataset)
    problems = Problems()
    proposals = proposed_splits(arguments.dataset, splits)
    for folder in folders:
        before = len(problems)
        check_entry(folder, splits, problems, arguments.verified)
        is_right = len(problems) == before
        sys.stdout.write(f"{'ok' if is_right else 'wrong':<6} {printable(folder.name)}\n")
        if is_right:
            entry = load_entry(folder, arguments.verified)
            for text in find_flags(entry, splits, proposals):
                sys.stdout.write(f"{'flag':<6} {entry.slug}: {text}\n")
            for text in outdated_records(entry, arguments.verified):
                sys.stdout.write(f"{'note':<6} {entry.slug}: {text}\n")
    check_names(arguments.entries, problems)
    _fail_on(problems, f"the entries of {arguments.entries}")
    sys.stdout.write(f"the masks of all {len(folders)} score as their reports say\n")


def _build(arguments: argparse.Namespace) -> None:
    from daam_bench.leaderboard.entries import load_entries
    from daam_bench.leaderboard.site.write_site import build_site

    entries = load_entries(arguments.entries, arguments.verified)
    site = build_site(entries, arguments.dataset, arguments.out)
    sys.stdout.write(
        f"{arguments.out}/: {site.methods} methods, {site.files} files, {site.size / 1e6:.1f} MB; "
        f"open {arguments.out / 'index.html'}\n"
    )


def _fail_on(problems: Problems, name: str) -> None:
    """Print the problems and fail, if there are any."""
    if not len(problems):
        return
    sys.stdout.write("".join(f"{line}\n" for line in problems.lines()))
    things = "1 thing is" if len(problems) == 1 else f"{len(problems)} things are"
    raise InputError(f"{things} wrong with {name}, listed above; fix them and try again")
