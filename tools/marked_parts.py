"""Parts of README and docs that tools write: Markdown between two comments that name them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from daam_bench.files.replacing import write_text
from daam_bench.types.errors import InputError

MARKS = re.compile(r"^<!-- part: (?P<name>[\w-]+) -->\n(?P<text>.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
"""A part with its marks, and its name."""


def fill_parts(
    page: Path,
    parts: Mapping[str, Callable[[], str]],
    *,
    keep: Collection[str] = (),
    to: Path | None = None,
) -> list[str]:
    """Write the marked parts of a page again, and return their names.

    A part stands between `<!-- part: NAME -->` and `<!-- end -->`, each on a line of its own.

    Args:
        page: The page.
        parts: Name -> what makes its text.
        keep: Names of parts that stay as they are.
        to: Where to write the page; None for its own place. A page without parts is not written.

    Raises:
        InputError: The page can't be read, or a mark has a name that nothing writes.
    """
    names = []

    def part(found: re.Match[str]) -> str:
        name = found["name"]
        if name in keep:
            return found[0]
        if name not in parts:
            raise InputError(f"{page}: nothing writes the part {name!r}; there are {', '.join(parts)}")
        names.append(name)
        return f"<!-- part: {name} -->\n{parts[name]().strip()}\n<!-- end -->"

    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"can't read {page}: {error.strerror}; give a page with marked parts") from None
    text = MARKS.sub(part, text)
    if names:
        write_text(to or page, text)
    return names
