"""Files of JSON lines under a header, appended batch by batch: what predictions and heat maps are kept in."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import orjson

from daam_bench.files.outside import parse_json
from daam_bench.types import PredictionsHeader
from daam_bench.types.errors import InputError

FORMAT = 2
"""Version of the file format, in the header's "daam_bench"."""

MAX_LINE = 1 << 26
"""Longest line that is read, in bytes."""

_HEADER_HELP = "the first line of a predictions file is its header, see the documentation of the format"

logger = logging.getLogger(__name__)


_OnProblem = Callable[[int, str, bool], None]
"""Takes a line's number, what is wrong with it, and whether it lacks its line break."""


class Line(NamedTuple):
    """A line that is a JSON object: its number (the header's is 1), its bytes with the line break."""

    number: int
    record: dict[str, Any]
    size: int


def read_lines(path: Path) -> tuple[PredictionsHeader, Iterator[Line]]:
    """Return the header of a file of lines, and the lines after it, up to the first problem.

    The file is opened once. A last line that a killed run left torn is dropped with a warning.

    Raises:
        InputError: At once for a file that can't be read or a malformed header; while iterating for a
            malformed line.
    """
    lines = _open(path, partial(_stop, path))
    try:
        header = next(lines, None)
    except OSError as error:
        raise InputError(
            f"can't read {path}: {error.strerror}; give the path of a predictions file"
        ) from None
    return _parse_header(header, path), lines


def check_lines(
    path: Path, on_problem: Callable[[int, str], None], *, most: int, longest: int
) -> Iterator[Line]:
    """Yield the lines of an untrusted file, the header first, read strictly, whatever is wrong with others.

    Args:
        path: The file.
        on_problem: Takes the number of a line that is no JSON object as every reader understands it, and
            what is wrong with it.
        most: Most lines that are read.
        longest: Longest line that is read, in bytes; the first one that is longer is the last.
    """
    return _open(
        path, lambda number, text, _: on_problem(number, text), parse=parse_json, most=most, longest=longest
    )


class LinesWriter:
    """A file of lines that a killed run can resume. A fresh file is never opened for reading.

    Args:
        path: The file; its folder is made if needed.
        header: Its header. An existing file with more than a header must have an equal one, but for how the
            dataset of this fingerprint is spelled; a torn last line of it is dropped.
        restart: Overwrite an existing file.
        existing: Takes the lines that an existing file holds after its header. The file is opened once.

    Raises:
        InputError: The existing file has another header or a malformed line, or isn't a file of this kind.
    """

    def __init__(
        self,
        path: Path | str,
        header: PredictionsHeader,
        *,
        restart: bool = False,
        existing: Callable[[Iterator[Line]], None] = lambda lines: None,
    ) -> None:
        self.path = Path(path)
        self.header = header
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = restart or not self.path.exists()
            self._file: BinaryIO = self.path.open("wb" if fresh else "r+b")
        except OSError as error:
            raise InputError(f"can't write {path}: {error.strerror}; give another --output") from None
        try:
            with self._refusals():
                if fresh or not self._resume(existing):
                    self._file.write(_header_line(header))
                self._file.flush()
        except BaseException:
            with suppress(OSError):
                self._file.close()
            raise

    def write(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Append records and flush them to the operating system; InputError if it refuses them."""
        with self._refusals():
            self._file.write(b"".join(_dump(record) for record in records))
            self._file.flush()

    def close(self) -> None:
        """Close the file, when what it holds is on the disk; InputError if that fails."""
        if self._file.closed:
            return
        with self._refusals():
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
            finally:
                self._file.close()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"can't write {self.path}: {error.strerror}; what was written before is kept"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _resume(self, existing: Callable[[Iterator[Line]], None]) -> bool:
        """Read what the file holds, and stand at its end; False if not even its header is whole."""
        file, first_line, size = self._file, _header_line(self.header), 0

        def counted() -> Iterator[Line]:
            nonlocal size
            for line in lines:
                size += line.size
                yield line

        start = file.read(len(first_line))
        file.seek(0)
        if b"\n" not in start and first_line.startswith(start):
            file.truncate(0)
            return False
        lines = _iterate(file, partial(_stop, self.path), need_line_break=True)
        rest = counted()
        first = next(rest, None)
        if first is None:
            raise InputError(
                f"{self.path} is not a predictions file; use --restart to overwrite it or another --output"
            )
        _parse_header(first, self.path)
        same = first.record["fingerprint"] == self.header.fingerprint != ""
        for name, ours in json.loads(first_line).items():
            if name == "dataset" and same:
                continue  # spelled otherwise, at most
            if (theirs := first.record[name]) != ours:
                if next(rest, None) is None:
                    # Of a run that came to nothing.
                    file.seek(0)
                    file.truncate()
                    return False
                how = f"with {name} {theirs!r:.200}, not {ours!r:.200}"
                if name == "fingerprint":
                    how = f"of other prompts, words or masks than split {self.header.split!r} has now"
                raise InputError(
                    f"{self.path} was made {how}; use --restart to overwrite it or another --output"
                )
        self.header = replace(self.header, dataset=first.record["dataset"])
        existing(rest)
        deque(rest, maxlen=0)
        file.seek(size)
        file.truncate()
        return True


def _parse(content: bytes) -> Any:
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(content)
    # What the fast parser doesn't take, such as halves of pairs, the standard library's may; or says why not.
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON ({str(error)[:80]!r})") from None


def _dump(record: Mapping[str, Any]) -> bytes:
    line = (json.dumps(record, allow_nan=False, separators=(",", ":")) + "\n").encode("ascii")
    if len(line) > MAX_LINE:
        raise InputError(
            f"a line of {len(line)} bytes, more than the {MAX_LINE} that are read; use smaller images"
        )
    return line


def _header_line(header: PredictionsHeader) -> bytes:
    record = {"daam_bench": FORMAT} | asdict(header)
    record["parameters"] = dict(sorted(header.parameters.items()))
    return _dump(record)


def _open(path: Path, on_problem: _OnProblem, **limits: Any) -> Iterator[Line]:
    with path.open("rb") as file:
        yield from _iterate(file, on_problem, **limits)


def _iterate(
    file: BinaryIO,
    on_problem: _OnProblem,
    *,
    parse: Callable[[bytes], Any] = _parse,
    most: int = sys.maxsize,
    longest: int = MAX_LINE,
    need_line_break: bool = False,
) -> Iterator[Line]:
    """Yield the lines that are JSON objects; `on_problem` takes the others, and may raise to stop there."""
    for number, content in enumerate(iter(lambda: file.readline(longest + 1), b""), start=1):
        if number > most or len(content) > longest:
            bound = f"{most} lines" if number > most else f"{longest} bytes"
            on_problem(number, f"has more than the {bound} that are read; read no further", False)
            return
        try:
            if need_line_break and not content.endswith(b"\n"):
                raise InputError("no line break at its end")
            record = parse(content)
            if not isinstance(record, dict):
                raise InputError("not a JSON object")
        except InputError as error:
            on_problem(number, str(error), not content.endswith(b"\n"))
        else:
            yield Line(number, record, len(content))


def _stop(path: Path, number: int, text: str, torn: bool) -> None:
    """Raise at a wrong line, but for a last one that a killed run left torn."""
    if not torn:
        raise InputError(f"{path}, line {number}: {text}; fix or delete the line")
    logger.warning("%s, line %d: dropped a torn last line", path, number)


def _parse_header(line: Line | None, path: Path) -> PredictionsHeader:
    version = None if line is None else line.record.get("daam_bench")
    if line is None or type(version) is not int:
        raise InputError(f'{path}, line 1: no header with "daam_bench": {FORMAT}; {_HEADER_HELP}')
    if version != FORMAT:
        help_text = "make it again (--restart)" if version < FORMAT else "upgrade daam-bench"
        raise InputError(f"{path}, line 1: format {version}, not the {FORMAT} that is read; {help_text}")
    values: dict[str, Any] = {field.name: line.record.get(field.name) for field in fields(PredictionsHeader)}
    for name, value in values.items():
        kind, article = (dict, "an object") if name == "parameters" else (str, "a string")
        if not isinstance(value, kind):
            raise InputError(f'{path}, line 1: "{name}" must be {article}; {_HEADER_HELP}')
    return PredictionsHeader(**values)
