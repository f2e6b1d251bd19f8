"""The folder of a site: written beside its place and renamed into it, so that it is never half-written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daam_bench.errors import InputError

MARKER = "daam-bench-site.json"
"""The file that tells a site from any other folder."""

PARTS = (MARKER, "index.html", "viewer.html", "methods", "assets", "data", "images")
"""What a site consists of; all else in its folder is someone else's and is kept."""


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write a site into, which takes the place of `folder` at the end.

    A site already there is replaced; files in it that are no part of a site (`.git`, `CNAME`) are kept. If
    anything goes wrong, `folder` stays as it was.

    Raises:
        InputError: `folder` holds something that is no site, or can't be written.
    """
    folder = folder.absolute()
    if folder.is_symlink() or (folder.exists() and not _may_replace(folder)):
        raise InputError(f"{folder} is there and is no site; name another folder, or remove it first")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-")
    except OSError as error:
        raise InputError(f"can't write beside {folder}: {error.strerror}; name another folder") from None
    with scratch as name:
        fresh = Path(name) / "new"
        fresh.mkdir()
        yield fresh
        if folder.exists():
            _keep_foreign(folder, fresh)
            _exchange(folder, fresh, Path(name) / "old")
        else:
            fresh.rename(folder)


def _may_replace(folder: Path) -> bool:
    return folder.is_dir() and ((folder / MARKER).is_file() or not any(folder.iterdir()))


def _keep_foreign(folder: Path, fresh: Path) -> None:
    for path in folder.iterdir():
        if path.name in PARTS:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, fresh / path.name, symlinks=True)
        else:
            shutil.copy2(path, fresh / path.name, follow_symlinks=False)


def _exchange(folder: Path, fresh: Path, old: Path) -> None:
    folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        old.rename(folder)
        raise
