"""Replacing a folder all at once or not at all, and putting right what a killed process left."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from daam_bench.files.replacing import to_disk

if sys.platform != "win32":
    import fcntl

_SUFFIX = ".replacing"
_SCRATCH = re.compile(rf"\.(?P<name>.+)\.\w{{8}}{re.escape(_SUFFIX)}", re.DOTALL)

_EXCHANGE = 2
_WORKING_DIRECTORY = -100


@contextmanager
def replacing_folder(folder: Path, keep: Callable[[str], bool] = lambda name: False) -> Iterator[Path]:
    """Give an empty folder beside `folder` to write into, which takes its place at the end.

    If anything goes wrong, `folder` stays as it was; what a killed process leaves is put right by the next
    one, see `put_right`. What has taken its place survives a crash of the machine. `keep` says by their names
    which files and folders of the old one come along.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        put_right(folder)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=_SUFFIX))
        stack.callback(_clean_up, scratch, folder)
        stack.enter_context(_locked(scratch))
        fresh = scratch / "new"
        fresh.mkdir()
        yield fresh
        if folder.exists():
            for path in folder.iterdir():
                if keep(path.name):
                    _copy(path, fresh / path.name)
        for path in (*fresh.rglob("*"), fresh):
            if not path.is_symlink():
                to_disk(path)
        if not folder.exists():
            fresh.rename(folder)
        elif not _exchange(fresh, folder):
            folder.rename(scratch / "old")  # `_clean_up` puts it back if the next line is not reached
            fresh.rename(folder)
        to_disk(folder.parent)


def put_right(folder: Path) -> None:
    """Put right what a process that was killed while it replaced a folder left beside it.

    Where two folders can't be exchanged in one step, the old one may be away: it comes back.
    """
    folder = folder.resolve()
    for scratch, target in _scratches(folder.parent):
        if target == folder:
            _settle(scratch, target)


def put_all_right(parent: Path) -> None:
    """Put right, as `put_right` does, every folder that is replaced in `parent`."""
    for scratch, target in _scratches(parent.resolve()):
        _settle(scratch, target)


def _scratches(parent: Path) -> list[tuple[Path, Path]]:
    """Return the scratch folders in a folder, each with the folder that it was made to replace."""
    try:
        paths = list(parent.iterdir())
    except OSError:
        return []
    found = [(path, _SCRATCH.fullmatch(path.name)) for path in paths]
    return [(path, parent / match["name"]) for path, match in found if match]


def _settle(scratch: Path, folder: Path) -> None:
    # Another process may do the same at the same time.
    with suppress(FileNotFoundError), _locked(scratch) as is_left:
        if is_left or (not folder.exists() and (scratch / "old").exists()):
            _clean_up(scratch, folder)


def _clean_up(scratch: Path, folder: Path) -> None:
    """Remove a scratch folder; put the old folder back first if it is in there and its place is empty."""
    old = scratch / "old"
    if old.exists() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(scratch, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False where the system or the file system can't."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    names = (os.fsencode(one), os.fsencode(other))
    if renameat2(_WORKING_DIRECTORY, names[0], _WORKING_DIRECTORY, names[1], _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(other))


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder, which ends with the process, and give whether that worked.

    It does not where there are no locks, nor while another process has it.
    """
    if sys.platform == "win32":
        yield False
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _copy(path: Path, target: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.copytree(path, target, symlinks=True)
    else:
        shutil.copy2(path, target, follow_symlinks=False)
