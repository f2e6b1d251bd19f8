"""Files of JSON lines under a header, appended batch by batch: what predictions and heat maps are kept in."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from daam_bench.types import PredictionsHeader
from daam_bench.types.errors import InputError

FORMAT = 1
"""Version of the file format, in the header's "daam_bench"."""

MAX_LINE = 1 << 26
"""Longest line that is read, in bytes."""

_TEXT_FIELDS = ("method", "dataset", "split", "fingerprint")

logger = logging.getLogger(__name__)


class Line(NamedTuple):
    """A line after the header: its number in the file, counted from 1, and its JSON object."""

    number: int
    record: dict[str, Any]


def read_lines(path: Path) -> tuple[PredictionsHeader, Iterator[Line]]:
    """Read a file of lines, one line at a time.

    A last line that a killed run left torn is dropped with a warning.

    Raises:
        InputError: At once for a file that can't be read or a malformed header; while iterating for a
            malformed line.
    """
    try:
        with path.open("rb") as file:
            header = _parse_header(file.readline(MAX_LINE), path)
    except OSError as error:
        raise InputError(
            f"can't read {path}: {error.strerror}; give the path of a predictions file"
        ) from None
    return header, _iterate(path)


class LinesWriter:
    """A file of lines that a killed run can go on with.

    Args:
        path: The file; its folder is made if needed.
        header: Its header. An existing file must have an equal one; a torn last line of it is dropped.
        restart: Overwrite an existing file.

    Raises:
        InputError: The existing file has another header, or isn't a file of this kind.
    """

    def __init__(self, path: Path | str, header: PredictionsHeader, *, restart: bool = False) -> None:
        self.path = Path(path)
        self.header = header
        first_line = _header_line(header)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            size = 0 if restart or not self.path.exists() else _complete_size(self.path, first_line)
            if size:
                _check_same(self.path, header)
            self._file: BinaryIO = self.path.open("r+b" if self.path.exists() else "w+b")
            self._file.truncate(size)
            self._file.seek(size)
        except OSError as error:
            raise InputError(f"can't write {path}: {error.strerror}; give another --output") from None
        if not size:
            self._file.write(first_line)
            self._file.flush()

    def write(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Append records and flush them to the operating system."""
        self._file.write(b"".join(_dump(record) for record in records))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> LinesWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _dump(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, allow_nan=False, separators=(",", ":")) + "\n").encode("ascii")


def _header_line(header: PredictionsHeader) -> bytes:
    record = {"daam_bench": FORMAT} | asdict(header)
    record["parameters"] = dict(sorted(header.parameters.items()))
    return _dump(record)


def _iterate(path: Path) -> Iterator[Line]:
    number = 1
    with path.open("rb") as file:
        file.readline(MAX_LINE)
        while line := file.readline(MAX_LINE):
            number += 1
            try:
                record = _parse(line)
            except InputError as error:
                if not line.endswith(b"\n") and len(line) < MAX_LINE:
                    logger.warning("%s, line %d: dropped a torn last line", path, number)
                    return
                raise InputError(f"{path}, line {number}: {error}") from None
            yield Line(number, record)


def _parse(line: bytes) -> dict[str, Any]:
    if len(line) >= MAX_LINE:
        raise InputError(f"longer than {MAX_LINE} bytes; is this a predictions file?")
    try:
        record = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON ({str(error)[:80]!r}); fix or delete the line") from None
    if not isinstance(record, dict):
        raise InputError("not a JSON object; fix or delete the line")
    return record


def _parse_header(line: bytes, path: Path) -> PredictionsHeader:
    mend = "the first line of a predictions file is its header, see the documentation of the format"
    try:
        record = _parse(line)
    except InputError as error:
        raise InputError(f"{path}, line 1: {str(error).split(';')[0]}; {mend}") from None
    if type(record.get("daam_bench")) is not int:
        raise InputError(f'{path}, line 1: no "daam_bench": {FORMAT}; {mend}')
    if record["daam_bench"] != FORMAT:
        found = record["daam_bench"]
        raise InputError(f"{path}, line 1: format {found}, not the {FORMAT} that is read; upgrade daam-bench")
    for field in _TEXT_FIELDS:
        if not isinstance(record.get(field), str):
            raise InputError(f'{path}, line 1: "{field}" must be a string; {mend}')
    if not isinstance(record.get("parameters"), dict):
        raise InputError(f'{path}, line 1: "parameters" must be an object; {mend}')
    return PredictionsHeader(**{field: record[field] for field in (*_TEXT_FIELDS, "parameters")})


def _complete_size(path: Path, first_line: bytes) -> int:
    """Return the bytes of a file up to its last line break; 0 if not even its header is complete."""
    with path.open("rb") as file:
        start = file.read(len(first_line))
        if b"\n" not in start and first_line.startswith(start):
            return 0
        end = file.seek(0, 2)
        while end > 0:
            begin = max(0, end - (1 << 16))
            file.seek(begin)
            line_break = file.read(end - begin).rfind(b"\n")
            if line_break >= 0:
                return begin + line_break + 1
            end = begin
    raise InputError(f"{path} is not a predictions file; use --restart to overwrite it or another --output")


def _check_same(path: Path, header: PredictionsHeader) -> None:
    with path.open("rb") as file:
        found = _parse_header(file.readline(MAX_LINE), path)
    wanted = _parse_header(_header_line(header), path)
    for field in (*_TEXT_FIELDS, "parameters"):
        ours, theirs = getattr(wanted, field), getattr(found, field)
        if ours != theirs:
            raise InputError(
                f"{path} was made with {field} {_short(theirs)}, not {_short(ours)}; "
                "use --restart to overwrite it or another --output"
            )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."
