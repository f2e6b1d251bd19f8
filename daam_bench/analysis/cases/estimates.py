"""What the rows of a case study come to: means with intervals, in tables and as dots of charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from daam_bench.scoring.bootstrap import ImageTotals, confidence_intervals

CaseRow: TypeAlias = Mapping[str, str | int | float | None]
"""What was measured on one image: column -> value; None where it couldn't be measured."""


class Estimate(NamedTuple):
    """A mean with its 95 % bootstrap interval over images."""

    mean: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table of means: its heading, the column of the rows, decimals, and a factor."""

    heading: str
    name: str
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


def estimate(rows: Sequence[CaseRow], column: str, **only: str | int) -> Estimate | None:
    """Estimate the mean of a column.

    Args:
        rows: The rows; each says in the column `picture` which image it was measured on.
        column: The column; rows where it is None are left out.
        only: Columns and the values that the wanted rows have there.

    Returns:
        The estimate; None without rows.
    """
    sums: dict[object, list[float]] = {}
    for row in rows:
        value = row[column]
        if all(row[name] == wanted for name, wanted in only.items()) and value is not None:
            sums.setdefault(row["picture"], []).append(float(value))
    if not sums:
        return None
    totals = ImageTotals(
        np.array([sum(values) for values in sums.values()]),
        np.array([len(values) for values in sums.values()]),
    )
    interval = confidence_intervals([totals])[0]
    assert interval is not None
    return Estimate(float(totals.sums.sum() / totals.pairs.sum()), interval)


def estimates(rows: Sequence[CaseRow], columns: Sequence[str], **only: str | int) -> list[Estimate | None]:
    """Estimate the means of several columns."""
    return [estimate(rows, column, **only) for column in columns]


def cell(found: Estimate | None, digits: int = 2, scale: float = 1.0) -> str:
    """Return an estimate as the cell of a table, "mean [low, high]"; a dash without one."""
    if found is None:
        return "-"
    low, high = (f"{scale * end:.{digits}f}" for end in found.interval)
    return f"{scale * found.mean:.{digits}f} [{low}, {high}]"


def table_by(
    rows: Sequence[CaseRow], by: str, kinds: Mapping[str, str], columns: Sequence[Column], heading: str
) -> CaseTable:
    """Return a table with a line for each kind: how many images, and the mean of each column.

    Args:
        rows: The rows.
        by: The column that holds the kind.
        kinds: Kind -> how the table names it.
        columns: The columns.
        heading: Heading of the kinds.
    """
    lines = []
    for kind, name in kinds.items():
        chosen = [row for row in rows if row[by] == kind]
        cells = [cell(estimate(chosen, column.name), column.digits, column.scale) for column in columns]
        lines.append((name, str(len(chosen)), *cells))
    return CaseTable((heading, "pictures", *(column.heading for column in columns)), tuple(lines))
