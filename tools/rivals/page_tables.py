"""Tables in the docs that a tool writes, between two comments that name them."""

from __future__ import annotations

from pathlib import Path

from daam_bench.files.replacing import write_text
from daam_bench.types.errors import InputError


def put_into_page(page: Path, name: str, table: str) -> None:
    """Replace what stands between `<!-- begin: NAME -->` and `<!-- end: NAME -->` on a page.

    Raises:
        InputError: The page lacks the comments, or can't be read.
    """
    begin, end = (f"<!-- {word}: {name} -->" for word in ("begin", "end"))
    try:
        before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    except OSError as error:
        raise InputError(
            f"can't read {page}: {error.strerror}; give the page to put the table into"
        ) from None
    _, found, after = rest.partition(end)
    if not found:
        raise InputError(f"{page} has no place for the table: write {begin} and {end} where it should stand")
    write_text(page, f"{before}{begin}\n\n{table.strip()}\n\n{end}{after}")
