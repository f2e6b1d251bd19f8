"""Files of JSON lines from others: every line is looked at, whatever is wrong with those before it."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from daam_bench.files.json_lines import FORMAT
from daam_bench.leaderboard.limits import MAX_FILE, MAX_LINE, MAX_SPARE_LINES
from daam_bench.leaderboard.problems import Problems
from daam_bench.leaderboard.submission import Claims
from daam_bench.leaderboard.untrusted import parse_json, shown
from daam_bench.types import Split
from daam_bench.types.errors import InputError


class Record(NamedTuple):
    """A line that is a JSON object.

    Attributes:
        number: The line's number, from 1.
        place: The file and the line, for messages.
        values: The object.
    """

    number: int
    place: str
    values: dict[str, Any]


def read_records(path: Path, place: str, expected: int, problems: Problems) -> Iterator[Record]:
    """Yield the lines of a file that are JSON objects, the header first; the others are problems.

    Args:
        path: The file.
        place: What to call it in a problem.
        expected: How many lines it should have.
        problems: What is wrong is added here.
    """
    if not is_plain_file(path):
        problems.add(place, "is a link, a folder or a device; put the file itself there")
        return
    if path.stat().st_size > MAX_FILE:
        problems.add(place, f"has {path.stat().st_size} bytes, more than the {MAX_FILE} that are read")
        return
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            if number > expected + MAX_SPARE_LINES:
                problems.add(place, f"has far more lines than the {expected} of this split; read no further")
                return
            where = f"{place}, line {number}"
            if len(line) > MAX_LINE:
                problems.add(where, f"has more than the {MAX_LINE} bytes that are read; read no further")
                return
            try:
                record = parse_json(line)
                if not isinstance(record, dict):
                    raise InputError("not a JSON object")
            except InputError as error:
                problems.add(where, str(error))
                continue
            yield Record(number, where, record)
    if not number:
        problems.add(place, "is empty; its first line is the header")


def check_header(record: Record, split: Split, claims: Claims, problems: Problems) -> None:
    """Check the header of a file: the format, the split with its content, and the method.

    Args:
        record: The first line.
        split: The split that the file must be of.
        claims: What `submission.json` says of it.
        problems: What is wrong is added here.
    """
    wanted: dict[str, Any] = {
        "daam_bench": FORMAT,
        "split": split.name,
        "fingerprint": split.fingerprint,
    }
    said = {"method": claims.method, "parameters": claims.parameters}
    wanted |= {field: value for field, value in said.items() if value is not None}
    for field, value in wanted.items():
        found = record.values.get(field, ...)
        if found is ...:
            problems.add(record.place, f'the header has no "{field}"')
        elif not _same(found, value):
            problems.add(
                record.place, f'the header\'s "{field}" is {shown(found)}, not {shown(value)}{_mend(field)}'
            )
    found, wanted_name = record.values.get("dataset"), Path(split.dataset).absolute().name
    if not isinstance(found, str) or Path(found).name != wanted_name:
        problems.add(record.place, f'the header\'s "dataset" is {shown(found)}, not {shown(wanted_name)}')


def is_plain_file(path: Path) -> bool:
    """Tell whether a path is a file, and no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _same(found: Any, wanted: Any) -> bool:
    """Compare JSON values; true is not 1."""
    if isinstance(wanted, Mapping):
        return (
            isinstance(found, dict)
            and found.keys() == wanted.keys()
            and all(_same(found[key], wanted[key]) for key in wanted)
        )
    if isinstance(wanted, list | tuple):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_same, found, wanted))
    return (type(found) is bool) == (type(wanted) is bool) and bool(found == wanted)


def _mend(field: str) -> str:
    if field == "fingerprint":
        return ": it was made on other content; run the method on the dataset as it is now"
    if field in ("method", "parameters"):
        return ", as submission.json says; one of the two is wrong"
    return ""
