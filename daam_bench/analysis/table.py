"""Several methods on one dataset in the layout of the paper's Table 1: Markdown, CSV and LaTeX.

Markdown and CSV also have the scores that the paper does not report, and what an image cost.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeAlias

from daam_bench.analysis.report_files import save_all_formats
from daam_bench.files.replacing import write_text
from daam_bench.scoring.caps import CAP
from daam_bench.scoring.ranks import Lead, leads
from daam_bench.scoring.results import HARD, SplitScores
from daam_bench.scoring.tables import markdown_table, percent, percent_with_interval, quoted
from daam_bench.segmenters.other_weights import NOT_RUN
from daam_bench.types import Report, Scores

METRICS = ("mIoU_80", "mIoU_inf")
"""The paper's scores."""

MORE = ("mIoU_band", "AP", "leakage")
"""Further scores, without intervals and without a best: an empty mask leaks nothing."""

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
    CAP: "Perfect detector of COCO's classes",
}
"""How the methods of this package are called in print."""

GROUPS = {
    "Supervised": (
        *("mask_rcnn", "queryinst", "mask2former", "mask2former-hf", "mmdet"),
        *("clipseg", "sam3", "grounded-sam", "owlv2-sam"),
    ),
    "Trivial": ("random", "whole"),
}
"""Methods by how they came to be; all others are under `OTHERS`, or `TUNED` where their report says so."""

OTHERS = "Unsupervised and others"

TUNED = "Tuned on masks"

LIMITS = "Limits"
"""What no method is: it takes no part in who is best."""


Value: TypeAlias = tuple[float | None, tuple[float, float] | None]


PROPOSED_MASKS = "proposed masks"
"""What is said in brackets of a split whose masks a program proposed and nobody has checked."""


class Row(NamedTuple):
    """A method at one threshold.

    Attributes:
        group: One of `GROUPS`, `OTHERS`, `TUNED` or `LIMITS`.
        label: Name of the method, with its tau for heat maps ("DAAM-0.4"), and "(partial)" where it is.
        values: mIoU_80 and mIoU_inf in [0, 1] with their intervals, split by split; None where not scored.
        more: The scores of `MORE` in [0, 1], split by split; None where there is none.
        calls: Denoiser calls an image, in words; empty where the method says none.
        seconds: Wall-clock seconds an image; None where the report does not say.
        leads: For each of `values` how it stands among the methods, see `daam_bench.scoring.ranks.leads`.
        was_run: Whether there are predictions; False for a method whose weights are not at hand.
    """

    group: str
    label: str
    values: tuple[Value, ...]
    more: tuple[float | None, ...] = ()
    calls: str = ""
    seconds: float | None = None
    leads: tuple[Lead | None, ...] = ()
    was_run: bool = True


Results: TypeAlias = Mapping[str, SplitScores]
"""Split -> scores of a method, pair by pair."""


def build_table(
    reports: Sequence[Report],
    splits: Sequence[str],
    results: Sequence[Results] | None = None,
    *,
    not_run: Sequence[str] = (),
    taus: Collection[str] | None = None,
) -> list[Row]:
    """Put the scores of methods on the splits of one dataset into rows, group by group.

    Args:
        reports: A report a method; that of `daam_bench.scoring.caps.cap_report` stands apart.
        splits: The splits, in order.
        results: For each report its scores pair by pair, of which follows who leads and who is tied.
            Without them nobody is told to lead.
        not_run: Names of methods to list as not run.
        taus: Only rows of these taus ("0.4", or "none" for hard masks); None for all.
    """
    found = [
        (report, tau, by_split)
        for report, by_split in zip(reports, results or [{}] * len(reports), strict=True)
        for tau in dict.fromkeys(tau for split in splits for tau in report.splits.get(split, {}))
        if taus is None or tau in taus
    ]
    columns = [_leads(found, split, only_80=only_80) for split in splits for only_80 in (True, False)]
    rows = [
        Row(
            TUNED if report.tuned_on else _group(report.method),
            _label(report.method, tau) + (" (partial)" if report.partial else ""),
            tuple(value for split in splits for value in _values(report.splits.get(split, {}).get(tau))),
            tuple(value for split in splits for value in _more(report.splits.get(split, {}).get(tau))),
            report.environment.denoiser_calls or "",
            report.environment.seconds_per_image,
            tuple(column[place] for column in columns),
        )
        for place, (report, tau, _) in enumerate(found)
    ]
    empty: tuple[Value, ...] = ((None, None),) * len(METRICS) * len(splits)
    nothing = (None,) * len(MORE) * len(splits)
    rows += [
        Row(_group(name), LABELS.get(name, name), empty, nothing, leads=(None,) * len(empty), was_run=False)
        for name in not_run
    ]
    order = (*GROUPS, OTHERS, TUNED, LIMITS)
    return sorted(rows, key=lambda row: order.index(row.group))


def _leads(rows: Sequence[tuple[Report, str, Results]], split: str, *, only_80: bool) -> list[Lead | None]:
    """Return who leads a column.

    A row over fewer pairs than others, of a method tuned on masks or of no method takes no part.
    """
    totals = {
        place: results[split].ious.image_totals(tau, only_80=only_80)
        for place, (report, tau, results) in enumerate(rows)
        if report.method != CAP and not report.tuned_on and split in results and tau in results[split]
    }
    most = max((int(one.pairs.sum()) for one in totals.values()), default=0)
    taking_part = [place for place, one in totals.items() if int(one.pairs.sum()) == most]
    methods = [id(rows[place][0]) for place in taking_part]
    found = dict(zip(taking_part, leads([totals[place] for place in taking_part], methods), strict=True))
    return [found.get(place) for place in range(len(rows))]


def _values(scores: Scores | None) -> tuple[Value, Value]:
    if scores is None:
        return (None, None), (None, None)
    return (scores.miou_80, scores.ci95_80), (scores.miou_inf, scores.ci95_inf)


def _more(scores: Scores | None) -> tuple[float | None, ...]:
    if scores is None:
        return (None,) * len(MORE)
    return scores.miou_band, scores.average_precision, scores.leakage


def write_table(
    table: Sequence[Row], splits: Sequence[str], folder: Path, *, proposed: Collection[str] = ()
) -> str:
    """Write a table as Markdown, CSV, LaTeX and figures, `table.*` in a folder; return the Markdown.

    All but the CSV say of splits that are `proposed` that nobody has checked all of their masks.
    """
    from daam_bench.figures.score_charts import method_scores

    names = [f"{split} ({PROPOSED_MASKS})" if split in proposed else split for split in splits]
    markdown = to_markdown(table, names)
    write_text(folder / "table.md", markdown)
    write_text(folder / "table.csv", to_csv(table, splits))
    write_text(folder / "table.tex", to_latex(table, names))
    save_all_formats(method_scores([row[:3] for row in table if row.was_run], names), folder, "table")
    return markdown


def to_markdown(table: Sequence[Row], splits: Sequence[str], *, more: bool = True) -> str:
    """Return the table in percent: the paper's scores with intervals; with `more`, then the others and costs.

    Bold is what is the best of a column for sure; what is tied at its top has a "≈".
    """
    head = ["", *(f"{split} {metric}" for split in splits for metric in METRICS)]
    if more:
        head += [*(f"{split} {metric}" for split in splits for metric in MORE), *COSTS]
    rows: list[list[str]] = []
    for group, members in groupby(table, key=lambda row: row.group):
        rows.append([f"*{group}*", *[""] * (len(head) - 1)])
        rows += [[quoted(row.label), *_markdown_cells(row, more=more)] for row in members]
    return markdown_table(head, rows) + "\n"


def _markdown_cells(row: Row, *, more: bool) -> Iterable[str]:
    if not row.was_run:
        yield NOT_RUN
        yield from [""] * (len(row.values) - 1 + more * (len(row.more) + len(COSTS)))
        return
    for value, lead in zip(row.values, row.leads, strict=True):
        text = percent_with_interval(*value)
        yield {"best": f"**{text}**", "tied": f"≈ {text}"}.get(lead or "", text)
    if more:
        yield from map(percent, row.more)
        yield quoted(row.calls) or "-"
        yield "-" if row.seconds is None else f"{row.seconds:.2g}"


def to_csv(table: Sequence[Row], splits: Sequence[str]) -> str:
    """Return the table as CSV: one row a method, fractions in [0, 1], the ends of intervals apart.

    A method that was not run has a row without numbers.
    """
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
    """Return the table as a LaTeX `tabular` (package booktabs), in percent; marked as in Markdown."""
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
    for group, members in groupby(table, key=lambda row: row.group):
        lines += [r"\midrule", rf"\multicolumn{{{columns + 1}}}{{l}}{{\emph{{{group}}}}} \\"]
        for row in members:
            cells = [_latex_cell(*value, lead) for value, lead in zip(row.values, row.leads, strict=True)]
            text = " & ".join(cells) if row.was_run else rf"\multicolumn{{{columns}}}{{l}}{{{NOT_RUN}}}"
            lines.append(rf"{_latex(row.label)} & {text} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _latex_cell(value: float | None, interval: tuple[float, float] | None, lead: Lead | None) -> str:
    cell = "--" if value is None else f"{100 * value:.1f}"
    cell = {"best": rf"\textbf{{{cell}}}", "tied": rf"$\approx$ {cell}"}.get(lead or "", cell)
    ends = "" if interval is None else rf" {{\scriptsize [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]}}"
    return cell + ends


def _group(method: str) -> str:
    if method == CAP:
        return LIMITS
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
