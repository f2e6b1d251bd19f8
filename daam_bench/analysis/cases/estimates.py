"""What the rows of a case study come to: means with intervals, in tables and as dots of charts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from daam_bench.scoring.bootstrap import ImageTotals, confidence_intervals

CaseRow: TypeAlias = Mapping[str, str | int | float | None]
"""What was measured on one image: column -> value; None where it couldn't be measured."""

Value: TypeAlias = str | Callable[[CaseRow], float | None]
"""What a mean is taken of: a column of numbers, or a function of the row."""


class Estimate(NamedTuple):
    """A mean with its 95 % bootstrap interval over images."""

    mean: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class MeanColumn:
    """A column of a table of means: its heading, what is averaged, decimals, and a factor."""

    heading: str
    value: Value
    digits: int = 2
    scale: float = 1


@dataclass(frozen=True, slots=True)
class CaseTable:
    """A short table: a header, and rows of text as long."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Return the table as Markdown, without a line break at the end.

        >>> print(CaseTable(("word", "lift"), (("big", "1.2"),)).markdown())
        | word | lift |
        |---|---|
        | big | 1.2 |
        """
        head, *rows = (f"| {' | '.join(line)} |" for line in (self.header, *self.rows))
        return "\n".join([head, "|" + "---|" * len(self.header), *rows])


def estimate(rows: Sequence[CaseRow], value: Value, **only: str | int) -> Estimate | None:
    """Estimate a mean over rows; None without rows.

    Rows say in the column `image` which image they were measured on. Those where the value is None are left
    out, and those that differ from `only`, columns and their values.
    """
    sums: dict[object, list[float]] = {}
    for row in rows:
        number = row[value] if isinstance(value, str) else value(row)
        if all(row[name] == wanted for name, wanted in only.items()) and number is not None:
            sums.setdefault(row["image"], []).append(float(number))
    if not sums:
        return None
    totals = ImageTotals(np.array([*map(sum, sums.values())]), np.array([*map(len, sums.values())]))
    interval = confidence_intervals([totals])[0]
    assert interval is not None
    return Estimate(float(totals.sums.sum() / totals.pairs.sum()), interval)


def estimates(rows: Sequence[CaseRow], values: Iterable[Value], **only: str | int) -> list[Estimate | None]:
    """Estimate several means over rows."""
    return [estimate(rows, value, **only) for value in values]


def whether(column: str, wanted: str | int) -> Value:
    """Average whether a column has a value, given outright or as the name of another column."""

    def equal(row: CaseRow) -> float | None:
        expected = row[wanted] if isinstance(wanted, str) else wanted
        return None if row[column] is None else float(row[column] == expected)

    return equal


def cell(found: Estimate | None, digits: int = 2, scale: float = 1.0) -> str:
    """Return an estimate as the cell of a table, "mean [low, high]"; a dash without one."""
    if found is None:
        return "-"
    low, high = (f"{scale * end:.{digits}f}" for end in found.interval)
    return f"{scale * found.mean:.{digits}f} [{low}, {high}]"


def table_by(
    rows: Sequence[CaseRow],
    *,
    by: str,
    heading: str,
    kinds: Iterable[str],
    columns: Sequence[MeanColumn],
    names: Mapping[str, str] = {},
) -> CaseTable:
    """Return a table with a line for each kind: how many images, and the mean of each column.

    The rows' column `by` holds the kind. `names` are what the table calls some kinds.
    """
    lines = []
    for kind in kinds:
        chosen = [row for row in rows if row[by] == kind]
        cells = [cell(estimate(chosen, column.value), column.digits, column.scale) for column in columns]
        lines.append((names.get(kind, kind), str(len(chosen)), *cells))
    return CaseTable((heading, "images", *(column.heading for column in columns)), tuple(lines))
