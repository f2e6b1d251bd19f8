"""Several methods on one dataset in the layout of the paper's Table 1: Markdown, CSV and LaTeX.

Markdown and CSV also have the scores that the paper does not report, and what an image cost.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple, TypeAlias

from daam_bench.scoring.results import HARD
from daam_bench.scoring.tables import markdown_table, percent, percent_with_interval
from daam_bench.types import Report, Scores

METRICS = ("mIoU_80", "mIoU_inf")
"""The paper's scores."""

MORE = ("mIoU_band", "AP", "leakage")
"""Further scores, without intervals. Of leakage the lowest is best, so it has no best in bold: an empty mask
leaks nothing."""

COSTS = ("denoiser calls", "s an image")

LABELS = {
    "mask_rcnn": "Mask R-CNN",
    "queryinst": "QueryInst",
    "mask2former": "Mask2Former",
    "mask2former-hf": "Mask2Former (transformers)",
    "clipseg": "CLIPSeg",
    "sam3": "SAM 3",
    "grounded-sam": "Grounding DINO + SAM 2",
    "owlv2-sam": "OWLv2 + SAM 2",
    "sclip": "SCLIP",
    "random": "Random 50 %",
    "whole": "Whole image",
    "daam": "DAAM",
}
"""How the methods of this package are called in print."""

GROUPS = {
    "Supervised": (
        *("mask_rcnn", "queryinst", "mask2former", "mask2former-hf", "mmdet"),
        *("clipseg", "sam3", "grounded-sam", "owlv2-sam"),
    ),
    "Trivial": ("random", "whole"),
}
"""Methods by how they came to be; all others are under `OTHERS`."""

OTHERS = "Unsupervised and others"


Value: TypeAlias = tuple[float | None, tuple[float, float] | None]


class Row(NamedTuple):
    """A method at one threshold.

    Attributes:
        group: "Supervised", "Trivial" or "Unsupervised and others".
        label: Name of the method, with its tau for heat maps ("DAAM-0.4"), and "(partial)" where it is.
        values: mIoU_80 and mIoU_inf in [0, 1] with their intervals, split by split; None where not scored.
        more: The scores of `MORE` in [0, 1], split by split; None where there is none.
        calls: Denoiser calls an image, in words; empty where the method says none.
        seconds: Wall-clock seconds an image; None where the report does not say.
    """

    group: str
    label: str
    values: tuple[Value, ...]
    more: tuple[float | None, ...] = ()
    calls: str = ""
    seconds: float | None = None


def build_table(reports: Sequence[Report], splits: Sequence[str]) -> list[Row]:
    """Put the scores of methods on the splits of one dataset into rows, group by group."""
    return [
        Row(
            group,
            _label(report.method, tau) + (" (partial)" if report.partial else ""),
            tuple(value for split in splits for value in _values(report.splits.get(split, {}).get(tau))),
            tuple(value for split in splits for value in _more(report.splits.get(split, {}).get(tau))),
            report.environment.denoiser_calls or "",
            report.environment.seconds_per_image,
        )
        for group in (*GROUPS, OTHERS)
        for report in reports
        if _group(report.method) == group
        for tau in dict.fromkeys(tau for split in splits for tau in report.splits.get(split, {}))
    ]


def _values(scores: Scores | None) -> tuple[Value, Value]:
    if scores is None:
        return (None, None), (None, None)
    return (scores.miou_80, scores.ci95_80), (scores.miou_inf, scores.ci95_inf)


def _more(scores: Scores | None) -> tuple[float | None, ...]:
    if scores is None:
        return (None,) * len(MORE)
    return scores.miou_band, scores.average_precision, scores.leakage


def to_markdown(table: Sequence[Row], splits: Sequence[str]) -> str:
    """Return the table in percent: the paper's scores with intervals, the best in bold; then the others."""
    head = ["", *(f"{split} {metric}" for split in splits for metric in METRICS)]
    head += [*(f"{split} {metric}" for split in splits for metric in MORE), *COSTS]
    best = _best(table)
    rows: list[list[str]] = []
    for group, members in groupby(table, key=lambda row: row.group):
        rows.append([f"*{group}*", *[""] * (len(head) - 1)])
        for row in members:
            cells = [percent_with_interval(*value) for value in row.values]
            tops = [value == top is not None for (value, _), top in zip(row.values, best, strict=True)]
            bold = [f"**{cell}**" if top else cell for cell, top in zip(cells, tops, strict=True)]
            seconds = "-" if row.seconds is None else f"{row.seconds:.2g}"
            rows.append([row.label, *bold, *map(percent, row.more), row.calls or "-", seconds])
    return markdown_table(head, rows) + "\n"


def to_csv(table: Sequence[Row], splits: Sequence[str]) -> str:
    """Return the table as CSV: one row a method, fractions in [0, 1], the ends of intervals apart."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    ends = ("", "_low", "_high")
    names = [f"{split}_{metric.lower()}{end}" for split in splits for metric in METRICS for end in ends]
    names += [f"{split}_{metric.lower()}" for split in splits for metric in MORE]
    writer.writerow(["group", "method", *names, "denoiser_calls", "seconds_per_image"])
    for row in table:
        cells = [cell for value, ci in row.values for cell in (value, *(ci or (None, None)))]
        numbers = ["" if cell is None else repr(cell) for cell in (*cells, *row.more)]
        seconds = "" if row.seconds is None else repr(row.seconds)
        writer.writerow([row.group, row.label, *numbers, row.calls, seconds])
    return file.getvalue()


def to_latex(table: Sequence[Row], splits: Sequence[str]) -> str:
    """Return the table as a LaTeX `tabular` (package booktabs), in percent, the best of a column in bold."""
    columns = len(METRICS) * len(splits)
    spans = " & ".join(rf"\multicolumn{{2}}{{c}}{{{_latex(split)}}}" for split in splits)
    rules = "".join(rf"\cmidrule(lr){{{first}-{first + 1}}}" for first in range(2, columns + 2, 2))
    metrics = " & ".join([r"mIoU$_{80}$ & mIoU$_\infty$"] * len(splits))
    lines = [
        rf"\begin{{tabular}}{{l{'r' * columns}}}",
        r"\toprule",
        rf" & {spans} \\",
        rules,
        rf"Method & {metrics} \\",
    ]
    best = _best(table)
    for group, members in groupby(table, key=lambda row: row.group):
        lines += [r"\midrule", rf"\multicolumn{{{columns + 1}}}{{l}}{{\emph{{{group}}}}} \\"]
        for row in members:
            cells = []
            for (value, ci), top in zip(row.values, best, strict=True):
                cell = "--" if value is None else f"{100 * value:.1f}"
                cell = rf"\textbf{{{cell}}}" if value == top is not None else cell
                interval = "" if ci is None else rf" {{\scriptsize [{100 * ci[0]:.1f}, {100 * ci[1]:.1f}]}}"
                cells.append(cell + interval)
            lines.append(rf"{_latex(row.label)} & {' & '.join(cells)} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _best(table: Sequence[Row]) -> list[float | None]:
    """Return the highest value of each column; None for a column without any."""
    columns = zip(*(row.values for row in table), strict=True)
    return [max((value for value, _ in column if value is not None), default=None) for column in columns]


def _group(method: str) -> str:
    return next((group for group, methods in GROUPS.items() if method in methods), OTHERS)


def _label(method: str, tau: str) -> str:
    name = LABELS.get(method, method)
    return name if tau == HARD else f"{name}-{tau}"


def _latex(text: str) -> str:
    r"""Escape what LaTeX would take for a command.

    >>> print(_latex("coco_gen, 50 %"))
    coco\_gen, 50 \%
    """
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(char, f"\\{char}" if char in "&%$#_{}" else char) for char in text)
