"""How far methods are from DAAM on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from daam_bench.scoring.bootstrap import Difference
from daam_bench.scoring.compare import compare
from daam_bench.scoring.conventions import USUAL_TAU
from daam_bench.scoring.results import SplitScores
from daam_bench.scoring.tables import markdown_table, percent, percent_with_interval
from daam_bench.types import Scores


class MethodRow(NamedTuple):
    """A method's scores at tau 0.4, and its mIoU_inf there minus DAAM's (None for DAAM)."""

    method: str
    scores: Scores
    difference: Difference | None


def rows_of(scores: Mapping[str, SplitScores]) -> list[MethodRow]:
    """Compare methods with DAAM, pairing them image by image."""
    daam = scores["daam"]
    return [
        MethodRow(
            method,
            found[USUAL_TAU],
            None if found is daam else compare(found, daam, USUAL_TAU, USUAL_TAU).miou_inf,
        )
        for method, found in scores.items()
    ]


def to_markdown(rows: Sequence[MethodRow]) -> str:
    """Return the table in percent: a difference beyond its interval is bold."""
    columns = ("method", "mIoU_inf at 0.4", "minus DAAM", "AP", "leakage", "mIoU_band", "oracle tau: mIoU")
    body = []
    for row in rows:
        body.append(
            [
                f"`{row.method}`",
                percent_with_interval(row.scores.miou_inf, row.scores.ci95_inf),
                signed(row.difference),
                percent(row.scores.average_precision),
                percent(row.scores.leakage),
                percent(row.scores.miou_band),
                _at_oracle(row.scores),
            ]
        )
    return markdown_table(columns, body)


def _at_oracle(scores: Scores) -> str:
    curve, tau = scores.miou_over_tau, scores.oracle_tau
    return "-" if curve is None or tau is None else f"{tau:g}: {percent(curve[f'{tau:g}'].miou_inf)}"


def signed(difference: Difference | None) -> str:
    """Write a difference in points with its interval, bold where 0 lies outside.

    >>> signed(Difference(0.05, 0.01, 0.09)), signed(Difference(0.001, -0.01, 0.01))
    ('**+5.0 [+1.0, +9.0]**', '+0.1 [-1.0, +1.0]')
    """
    if difference is None:
        return "-"
    mean, low, high = (100 * value for value in (difference.mean, difference.low, difference.high))
    text = f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
    return f"**{text}**" if low > 0 or high < 0 else text
