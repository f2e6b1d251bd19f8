"""`daam-bench emoji sheets` and `check`: the masks of the emoji dataset, looked at one by one."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daam_bench.types.errors import InputError

if TYPE_CHECKING:
    from daam_bench.types import Example, Split
    from tools.emoji.checking.checks import Check


def add_check_parsers(commands: Any) -> None:
    """Add `sheets`, `answers` and `check` to the sub-commands of `daam-bench emoji`."""
    sheets = commands.add_parser(
        "sheets", help="draw each image enlarged, with outlines and numbered regions, to check its masks on"
    )
    _add_dataset(sheets)
    sheets.add_argument("--split", metavar="NAME,...", default="coco_gen,unreal_gen", help="splits to draw")
    sheets.add_argument("--ids", metavar="ID,...", help="only these examples")
    sheets.add_argument(
        "--blind",
        action="store_true",
        help="leave the outlines out and cut other regions, for an annotation from nothing",
    )
    sheets.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the pictures")
    sheets.set_defaults(handler=draw_sheets)

    answers = commands.add_parser("answers", help="make a file of checks from answers to the sheets")
    _add_dataset(answers)
    answers.add_argument(
        "answers", type=Path, metavar="ANSWERS", help="JSON lines, one a sheet (docs: the emoji world)"
    )
    answers.add_argument("--by", required=True, metavar="NAME", help="who or what looked")
    answers.add_argument("--blind", action="store_true", help="the sheets were drawn with --blind")
    answers.add_argument("--output", type=Path, required=True, metavar="FILE", help="file of checks")
    answers.set_defaults(handler=record_answers)

    check = commands.add_parser("check", help="give a dataset the masks that its checks decided on")
    _add_dataset(check)
    check.add_argument("checks", type=Path, nargs="+", metavar="CHECKS", help="files of checks")
    check.add_argument("--output", type=Path, required=True, metavar="NEWDIR", help="write the result there")
    check.set_defaults(handler=apply_to_dataset)


def draw_sheets(arguments: argparse.Namespace) -> None:
    """Write a PNG an image."""
    from daam_bench.figures.sheet import DOTS
    from daam_bench.figures.style import save
    from tools.emoji.checking.sheets import check_sheet

    examples = _examples(arguments.dataset, arguments.split.split(","))
    wanted = list(examples) if arguments.ids is None else arguments.ids.split(",")
    for name in wanted:
        if name not in examples:
            raise InputError(f"no example {name!r} in {arguments.split} of {arguments.dataset}")
    with _writing(arguments.output):
        arguments.output.mkdir(parents=True, exist_ok=True)
        for name in wanted:
            sheet = check_sheet(examples[name], blind=arguments.blind)
            save(sheet, arguments.output / f"{name}.png", dpi=DOTS)
    sys.stdout.write(f"{arguments.output}/: {len(wanted)} sheets\n")


def record_answers(arguments: argparse.Namespace) -> None:
    """Add to each answer what was looked at, by whom and when; refuse one that doesn't fit its image."""
    from tools.emoji.checking.answers import FORMAT, check_of
    from tools.emoji.checking.checks import write_checks

    examples = _examples(arguments.dataset, None)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    checks = {}
    for number, line in enumerate(_lines(arguments.answers), start=1):
        try:
            answer = json.loads(line)
            if answer["id"] not in examples:
                raise ValueError(f"the dataset has no example {answer['id']!r}")
            if answer["id"] in checks:
                raise ValueError(f"{answer['id']} has an answer already")
            example = examples[answer["id"]]
            check = check_of(answer, example, by=arguments.by, date=today, blind=arguments.blind)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{arguments.answers}, line {number}: {error}; write as in {FORMAT}") from None
        checks[check.id] = check
    with _writing(arguments.output):
        write_checks(arguments.output, [checks[name] for name in examples if name in checks])
    sys.stdout.write(f"{arguments.output}: {len(checks)} images; nouns {_count(checks.values())}\n")


def apply_to_dataset(arguments: argparse.Namespace) -> None:
    """Write the dataset with the checked masks, and say how often each decision was taken."""
    from daam_bench.datasets.describe import with_annotation
    from daam_bench.datasets.whole import load_whole
    from daam_bench.datasets.write import write_dataset
    from tools.emoji.checking.checks import apply_checks, read_checks

    splits, card = load_whole(arguments.dataset)
    checks = [check for path in arguments.checks for check in read_checks(path)]
    examples = _by_id(splits.values())
    checked = {example.query.id: example for example in apply_checks(list(examples.values()), checks)}
    result = {name: [checked[example.query.id] for example in split] for name, split in splits.items()}
    with _writing(arguments.output):
        write_dataset(arguments.output, result, with_annotation(card, result))
    sys.stdout.write(f"{arguments.output}/: {len(checks)} images checked; nouns {_count(checks)}\n")


def _add_dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", metavar="DATASET", help="a folder, a hub id, or emoji")


def _examples(dataset: str, names: list[str] | None) -> dict[str, Example]:
    from daam_bench.datasets.whole import load_whole

    splits = load_whole(dataset).splits
    for name in names or ():
        if name not in splits:
            raise InputError(f"no split {name!r} in {dataset}; it holds {', '.join(splits)}")
    return _by_id([splits[name] for name in names or splits])


def _by_id(splits: Iterable[Split]) -> dict[str, Example]:
    found: dict[str, Example] = {}
    for example in (example for split in splits for example in split):
        if example.query.id in found:
            raise InputError(f"two splits have an example {example.query.id!r}; give each id once to check")
        found[example.query.id] = example
    return found


@contextmanager
def _writing(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"can't write {output}: {error.strerror or error}; name another --output") from error


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't read {path}: {error}") from None


def _count(checks: Iterable[Check]) -> str:
    from tools.emoji.checking.checks import DECISIONS

    counts = Counter(noun.decision for check in checks for noun in check.nouns)
    return ", ".join(f"{counts[kind]} {kind}" for kind in DECISIONS if counts[kind])
