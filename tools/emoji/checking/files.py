"""Sheets, answers and checks as files: what the commands `sheets`, `answers` and `check` do."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from daam_bench.datasets.card import with_annotation
from daam_bench.datasets.load import load_whole
from daam_bench.datasets.write import write_dataset
from daam_bench.figures.sheet import DOTS
from daam_bench.figures.style import save
from daam_bench.files.replacing import replacing_file
from daam_bench.types import Example, Split
from daam_bench.types.errors import InputError
from tools.emoji.checking.checks import DECISIONS, FORMAT, Answer, Check, apply_checks, check_of
from tools.emoji.checking.sheets import check_sheet
from tools.emoji.configuration import problems

R = TypeVar("R", bound=BaseModel)


def write_sheets(
    *, dataset: str, split: Sequence[str], ids: Sequence[str] | None, blind: bool, output: Path
) -> None:
    """Write the sheet of each image as a PNG.

    Args:
        dataset: A folder, a hub id, or "emoji".
        split: Splits to show.
        ids: Only these examples, in this order; None for all.
        blind: As for `check_sheet`.
        output: Folder for the images.

    Raises:
        InputError: There is no such split or example, or the folder can't be written.
    """
    examples = _examples(dataset, split)
    wanted = list(examples) if ids is None else ids
    for name in wanted:
        if name not in examples:
            raise InputError(f"no example {name!r} in {','.join(split)} of {dataset}")
    with _writing(output):
        output.mkdir(parents=True, exist_ok=True)
        for name in wanted:
            save(check_sheet(examples[name], blind=blind), output / f"{name}.png", dpi=DOTS)
    print(f"{output}/: {len(wanted)} sheets")


def record_answers(*, dataset: str, answers: Path, by: str, blind: bool, output: Path) -> None:
    """Add to each answer what was looked at, by whom and when, and write the checks.

    Raises:
        InputError: An answer doesn't fit its image, or a file can't be read or written.
    """
    examples = _examples(dataset, None)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    checks: dict[str, Check] = {}
    for number, answer in enumerate(_read(answers, Answer, f"write as in {FORMAT}"), start=1):
        try:
            if answer.id not in examples:
                raise ValueError(f"the dataset has no example {answer.id!r}")
            if answer.id in checks:
                raise ValueError(f"{answer.id} has an answer already")
            checks[answer.id] = check_of(answer, examples[answer.id], by=by, date=today, blind=blind)
        except ValueError as error:
            raise InputError(f"{answers}, line {number}: {error}; write as in {FORMAT}") from None
    ordered = [checks[name] for name in examples if name in checks]
    with _writing(output):
        write_checks(output, ordered)
    print(f"{output}: {len(ordered)} images; nouns {_count_decisions(ordered)}")


def apply_to_dataset(*, dataset: str, checks: Sequence[Path], output: Path) -> None:
    """Write the dataset with the masks of its checks, and say how often each decision was taken.

    Raises:
        InputError: A check doesn't fit, or a file can't be read or written.
    """
    splits, card = load_whole(dataset)
    decided = [check for path in checks for check in read_checks(path)]
    examples = _by_id(splits.values())
    checked = {example.query.id: example for example in apply_checks(list(examples.values()), decided)}
    result = {name: [checked[example.query.id] for example in split] for name, split in splits.items()}
    with _writing(output):
        write_dataset(output, result, with_annotation(card, result))
    print(f"{output}/: {len(decided)} images checked; nouns {_count_decisions(decided)}")


def _count_decisions(checks: Iterable[Check]) -> str:
    counts = Counter(noun.decision for check in checks for noun in check.nouns)
    return ", ".join(f"{counts[kind]} {kind}" for kind in DECISIONS if counts[kind])


def write_checks(path: Path, checks: Sequence[Check]) -> None:
    """Write checks as JSON lines, all of them or nothing."""
    with replacing_file(path) as partial:
        records = [check.model_dump(mode="json", exclude_defaults=True) for check in checks]
        lines = [json.dumps(record, ensure_ascii=False) for record in records]
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def read_checks(path: Path) -> list[Check]:
    """Read what `write_checks` wrote.

    Raises:
        InputError: A line is no check; the message names it.
    """
    return list(_read(path, Check, "give what `answers` wrote"))


def _read(path: Path, kind: type[R], hint: str) -> Iterator[R]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't read {path}: {error}") from None
    for number, line in enumerate(lines, start=1):
        try:
            yield kind.model_validate_json(line)
        except ValidationError as error:
            name = kind.__name__.lower()
            raise InputError(f"{path}, line {number} is no {name}: {problems(error)}; {hint}") from None


def _examples(dataset: str, names: Sequence[str] | None) -> dict[str, Example]:
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
