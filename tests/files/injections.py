"""Faults at the calls of the file system: one that fails, an interrupt, a kill."""

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet
import pytest

from daam_bench.files import folders

EVERY_CALL = (
    "rename",
    "replace",
    "mkdir",
    "open",
    "close",
    "fsync",
    "unlink",
    "rmdir",
    "scandir",
    "listdir",
    "stat",
)
"""What the standard library and ours do to files."""

CHANGES = ("rename", "replace", "mkdir", "fsync", "unlink", "rmdir", "ftruncate")
"""Those that change something."""

PLACES = ("rename", "replace", "_exchange")
"""Those that put something in another's place."""


class Injection:
    """Notes calls of the file system by name, and does something before or after one of them.

    Args:
        act: What to do; it may raise, or end the process.
        at: At which call, counted from 1; 0 for none.
        after: Whether to do it when the call is over.
    """

    def __init__(self, act: Callable[[], None], at: int, *, after: bool) -> None:
        self.act, self.at, self.after = act, at, after
        self.names: list[str] = []

    @property
    def count(self) -> int:
        return len(self.names)

    def wrap(self, call: Callable, name: str = "") -> Callable:
        name = name or call.__name__
        # A file is closed, whatever `close` says; no interrupt comes between a write and its bookkeeping.
        after = (self.after or name == "close") and name != "write"

        def wrapped(*arguments, **options):
            self.names.append(name)
            now = self.count == self.at
            if now and not after:
                self.act()
            try:
                return call(*arguments, **options)
            finally:
                if now and after:
                    self.act()

        return wrapped


def fail() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def interrupt() -> None:
    raise KeyboardInterrupt


def no_exchange(one: Path, other: Path) -> bool:
    return False


def inject(
    monkeypatch: pytest.MonkeyPatch,
    injection: Injection,
    work: Callable[[], None],
    calls: Iterable[str] = EVERY_CALL,
) -> None:
    """Do the work with calls of the file system noted."""
    with monkeypatch.context() as patch:
        for name in calls:
            patch.setattr(os, name, injection.wrap(getattr(os, name)))
        patch.setattr(folders, "_exchange", injection.wrap(folders._exchange, "_exchange"))
        work()


@contextmanager
def written_files(monkeypatch: pytest.MonkeyPatch, injection: Injection):
    """Note also every file that is opened to be written, and every write to it."""
    opens = io.open

    class NotedFile(io.FileIO):
        write = injection.wrap(io.FileIO.write)
        close = injection.wrap(io.FileIO.close)
        truncate = injection.wrap(io.FileIO.truncate)

    def noted_open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, **more):
        if isinstance(file, int) or not set("wxa+") & set(mode):
            return opens(file, mode, buffering, encoding, errors, newline, **more)
        raw = injection.wrap(NotedFile, "open")(file, mode.replace("b", "").replace("t", ""))
        if not buffering:
            return raw
        buffer = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)
        return buffer if "b" in mode else io.TextIOWrapper(buffer, encoding, errors, newline)

    with monkeypatch.context() as patch:
        patch.setattr(io, "open", noted_open)
        patch.setattr(builtins, "open", noted_open)
        patch.setattr(pyarrow.parquet, "write_table", injection.wrap(pyarrow.parquet.write_table))
        yield
