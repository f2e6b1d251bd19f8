"""One process at a time in an output folder."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from daam_bench.types.errors import InputError, printable

LOCK = ".lock"
"""In an output folder while a process writes there: which process."""

_SHOWN = 200
_HELD_BYTE = 1 << 30
"""On Windows a locked byte can't be read: one behind the text is locked."""

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, _HELD_BYTE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        os.lseek(file, 0, os.SEEK_SET)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of an output folder, which is made if needed.

    The operating system lets go of the lock of a process that dies, so that none is ever in the way.

    Raises:
        InputError: Another process holds it, which the line names; or the folder can't be written.
    """
    path = folder / LOCK
    made: list[Path] = []
    try:
        made += [parent for parent in (folder, *folder.parents) if not parent.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        file = _take(path)
    except OSError as error:
        _remove_empty(made)
        raise InputError(f"can't write {folder}: {error.strerror}; give another --output") from None
    if file is None:
        raise InputError(f"{folder} is in use by {_holder(path)}; wait for it, or give another --output")
    try:
        yield
    finally:
        if sys.platform == "win32":
            # A file that is open can't be deleted there.
            os.close(file)
            with suppress(OSError):
                path.unlink()
        else:
            with suppress(OSError):
                path.unlink()
            os.close(file)
        _remove_empty(made)


def _remove_empty(folders: Sequence[Path]) -> None:
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _take(path: Path) -> int | None:
    """Return the open lock file; None if another process holds it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        is_ours = False
        try:
            _lock(file)
            # Whoever held it may have deleted the file since it was opened here.
            if path.exists() and os.path.samestat(os.fstat(file), path.stat()):
                is_ours = True
                os.ftruncate(file, 0)
                os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return file
        except OSError as error:
            os.close(file)
            if is_ours:
                # No room for its text.
                path.unlink(missing_ok=True)
                raise
            if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
                return None
            raise
        os.close(file)


def _holder(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:_SHOWN]
    except OSError:
        text = ""
    return printable(text) or "another process"
