"""Writing files that are complete or not there."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from daam_bench.files.replacing import replacing_file
from daam_bench.types.errors import InputError


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file beside its place, then move it there. The folder is made if needed.

    Raises:
        InputError: The place can't be written.
    """
    try:
        with replacing_file(path) as partial:
            partial.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"can't write {path}: {error.strerror}; give another --output") from None


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file; floats have six decimals, None is an empty cell.

    Raises:
        InputError: The place can't be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([f"{value:.6f}" if isinstance(value, float) else value for value in row])
    write_text(path, text.getvalue())
