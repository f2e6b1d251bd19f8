"""Every method on the generator alone on some generated images, and how far it is from DAAM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from daam_bench.datasets.load import load_split
from daam_bench.job import Settings, run
from daam_bench.scoring.bootstrap import Difference
from daam_bench.scoring.compare import compare
from daam_bench.scoring.conventions import USUAL_TAU
from daam_bench.scoring.results import SplitScores
from daam_bench.scoring.score import score
from daam_bench.scoring.tables import markdown_table, percent, percent_with_interval
from daam_bench.several_methods import run_together
from daam_bench.types import Scores
from tools.method_lists import PAPER_TAUS, sharing_first


class MethodRow(NamedTuple):
    """A method's scores at tau 0.4, and its mIoU_inf there minus DAAM's (None for DAAM)."""

    method: str
    scores: Scores
    difference: Difference | None


def measure(
    methods: Sequence[str], output: Path, *, dataset: str, split: str, limit: int | None, device: str
) -> list[MethodRow]:
    """Run methods, those on attention on one trace of each image, and compare them with DAAM.

    Args:
        methods: Their names; DAAM is run in any case.
        output: Folder with one for each method; what is there is resumed.
        dataset: The dataset.
        split: A split of it.
        limit: Only its first so many images.
        device: A torch device.

    Raises:
        InputError: See `daam_bench.job.run`.
    """
    methods = tuple(dict.fromkeys(("daam", *methods)))
    settings = Settings(
        method=",".join(methods),
        options={"device": device},
        dataset=dataset,
        splits=(split,),
        taus=PAPER_TAUS,
        batch_size=16,
        limit=limit,
        output=output,
    )
    together, apart = sharing_first(methods)
    run_together(settings, together)
    for method in apart:
        run(replace(settings, method=method, output=output / method))
    images = load_split(dataset, split)[:limit]
    return rows_of({method: score(images, output / method / split) for method in methods})


def rows_of(scores: dict[str, SplitScores]) -> list[MethodRow]:
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
