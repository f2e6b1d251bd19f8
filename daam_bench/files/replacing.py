"""Writing a file all at once or not at all."""

from __future__ import annotations

import csv
import errno
import io
import os
import socket
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

from daam_bench.types.errors import InputError


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; what is written there takes its place at the end.

    If anything goes wrong, `path` stays as it was; only a killed process leaves something beside it, which
    the next one on its machine takes away. What has taken its place survives a crash of the machine. The
    folder of `path` is made if needed. Processes that write the same file are in nobody's way: the last wins.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    here = f"{zlib.crc32(socket.gethostname().encode()):08x}.part"
    for left in path.parent.glob(f".{escape(path.name)}.*-{here}"):
        if _is_gone(left.name.removeprefix(f".{path.name}.").partition("-")[0]):
            left.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{here}")
    try:
        yield partial
        to_disk(partial)
        partial.replace(path)
        to_disk(path.parent)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _is_gone(process: str) -> bool:
    """Tell whether there is no process of a number on this machine; False where that can't be asked."""
    try:
        if sys.platform != "win32":
            os.kill(int(process), 0)
    except (OSError, ValueError, OverflowError) as error:
        return isinstance(error, ProcessLookupError)
    return False


def to_disk(path: Path) -> None:
    """Wait until the disk has a file's content, or a folder's list of names; where a folder can't, go on."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file whole or not at all, its folder too; InputError if the place can't be written."""
    try:
        with replacing_file(path) as partial:
            partial.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}; give another --output") from None


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file as `write_text` does; floats have six decimals, None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([f"{value:.6f}" if isinstance(value, float) else value for value in row])
    write_text(path, text.getvalue())
