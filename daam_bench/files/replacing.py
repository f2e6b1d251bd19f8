"""Writing a file or a folder all at once or not at all."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daam_bench.types.errors import InputError


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; what is written there takes its place at the end.

    If anything goes wrong, `path` stays as it was; only a killed process leaves something beside it.
    The folder of `path` is made if needed.
    """
    partial = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path, keep: Callable[[str], bool] = lambda name: False) -> Iterator[Path]:
    """Give an empty folder beside `folder` to write into, which takes its place at the end.

    If anything goes wrong, `folder` stays as it was. `keep` says by their names which files and folders
    of the old one come along.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        fresh, old = Path(scratch) / "new", Path(scratch) / "old"
        fresh.mkdir()
        yield fresh
        if not folder.exists():
            fresh.rename(folder)
            return
        for path in folder.iterdir():
            if keep(path.name):
                _copy(path, fresh / path.name)
        folder.rename(old)
        try:
            fresh.rename(folder)
        except BaseException:
            old.rename(folder)
            raise


def _copy(path: Path, target: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.copytree(path, target, symlinks=True)
    else:
        shutil.copy2(path, target, follow_symlinks=False)


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
