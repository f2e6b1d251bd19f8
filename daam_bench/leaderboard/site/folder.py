"""The folder of a site: written beside its place and renamed into it, so that it is never half-written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daam_bench.files.replacing import replacing_folder
from daam_bench.types.errors import InputError

MARKER = "daam-bench-site.json"
"""The file that tells a site from any other folder."""

PARTS = (MARKER, "index.html", "viewer.html", "methods", "assets", "data", "images")
"""What a site consists of; all else in its folder is someone else's and is kept."""


@contextmanager
def replacing_site(folder: Path) -> Iterator[Path]:
    """Give an empty folder to write a site into, which takes the place of `folder` at the end.

    A site already there is replaced; files in it that are no part of a site (`.git`, `CNAME`) are kept. If
    anything goes wrong, `folder` stays as it was.

    Raises:
        InputError: `folder` holds something that is no site, or can't be written.
    """
    if folder.is_symlink() or (folder.exists() and not _may_replace(folder)):
        raise InputError(f"{folder} is there and is no site; name another folder, or remove it first")
    try:
        with replacing_folder(folder, keep=lambda name: name not in PARTS) as fresh:
            yield fresh
    except OSError as error:
        raise InputError(f"can't write {folder}: {error.strerror or error}; name another folder") from error


def _may_replace(folder: Path) -> bool:
    return folder.is_dir() and ((folder / MARKER).is_file() or not any(folder.iterdir()))
