"""Faithfulness as people read it: a Markdown page and a short table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daam_bench.scoring.bootstrap import FEW_IMAGES, Difference
from daam_bench.scoring.effects import (
    OWN,
    FaithfulnessReport,
    GroupScores,
    MethodScores,
    RowScore,
    SplitFaithfulness,
)
from daam_bench.scoring.faithfulness import LEAST_EFFECT
from daam_bench.scoring.ranks import RankAgreement
from daam_bench.scoring.tables import markdown_table, percent, text_table
from daam_bench.types.errors import printable

MANY_METHODS = 6
"""Of more methods only the first is set against each other one on the page."""

_SOFT = ("map", "F", "2 AUC - 1", "the method's own exceeds it by", "on", "words")
_HARD = ("mask", "J", "N", "area", "mIoU", "the method's own exceeds it by", "on", "words")


def format_scores(report: FaithfulnessReport) -> str:
    """Return each method's own scores as an aligned table of plain text: one row a split, group and map."""
    rows = []
    for split, found in report.splits.items():
        for method, scores in found.methods.items():
            for group, one in scores.groups.items():
                rows += [
                    [split, group, method, measure, score_text(row), str(row.words)]
                    for measure, row in _own_rows(one)
                ]
    return text_table(("split", "words", "method", "measure", "score", "number"), rows)


def _own_rows(group: GroupScores) -> list[tuple[str, RowScore]]:
    own = [("F", group.soft[OWN])] if OWN in group.soft else []
    return own + [
        ("J" if tau == "none" else f"J at {tau}", rows[OWN])
        for tau, rows in group.hard.items()
        if OWN in rows
    ]


def format_page(report: FaithfulnessReport) -> str:
    """Return the report as a Markdown page."""
    parts = [
        f"# Faithfulness on {printable(report.dataset)}",
        "How much of a word's effect on the denoiser's output goes when the word is hidden inside the part "
        "of the image that a map or mask names. N: that share. F: 2 AUC - 1 of N over the area of the map's "
        "hottest part, minus that of a random order. J: N minus the mask's area. Both are 0 where a map says "
        "nothing. Means over words, with 95 % bootstrap intervals over images.",
    ]
    if report.partial:
        parts.append("**Partial: only the first images of the split.**")
    for split, found in report.splits.items():
        parts += _split_parts(split, found)
    environment = report.environment
    parts += [
        "## How these numbers came to be",
        markdown_table(
            ("what", "value"),
            [
                ["measure", report.measure],
                ["words asked", ", ".join(report.words)],
                ["denoiser called at", ", ".join(f"{100 * share:g} %" for share in report.shares)],
                ["areas", ", ".join(f"{100 * area:g} %" for area in report.areas)],
                ["fingerprint", ", ".join(f"{name} {one[:12]}" for name, one in report.fingerprint.items())],
                ["daam-bench", environment.version],
                ["commit", environment.commit or "-"],
                ["libraries", ", ".join(f"{name} {one}" for name, one in environment.libraries.items())],
                ["device", environment.device or "-"],
                ["wall time", _seconds(environment.wall_seconds)],
            ],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _split_parts(split: str, found: SplitFaithfulness) -> list[str]:
    left_out = f"; {found.left_out} came out unlike the dataset's and are left out" if found.left_out else ""
    parts = [f"## {split}", f"{found.images} images{left_out}."]
    if 0 < found.images < FEW_IMAGES:
        parts.append(f"An interval over fewer than {FEW_IMAGES} images is too narrow.")
    groups = list(dict.fromkeys(group for scores in found.methods.values() for group in scores.groups))
    if len(groups) > 1:
        parts += ["### By kind of word", _by_group(groups, found.methods)]
    for group in groups:
        parts += _group_parts(group, found.methods)
    if found.differences or found.differences_hard:
        first, many = next(iter(found.methods)), len(found.methods) > MANY_METHODS
        rows = [
            [measure, printable(pair), difference_text(difference)]
            for measure, differences in (("F", found.differences), ("J", found.differences_hard))
            for pair, difference in differences.items()
            if not many or first in pair.split(" - ")
        ]
        parts += [
            "### Methods against each other",
            *([f"{printable(first)} against each other one; the report has all pairs."] if many else []),
            markdown_table(("measure", "A - B", "difference, paired over images"), rows),
        ]
    rows = [
        [printable(method), number(scores.tau_soft), number(scores.tau_hard)]
        for method, scores in found.methods.items()
        if scores.tau_soft is not None or scores.tau_hard is not None
    ]
    if rows:
        order = (found.tau_with_miou, found.tau_with_miou_hard)
        if any(one is not None for one in order):
            rows.append(["order of the methods", *map(agreement_text, order)])
        parts += [
            "### With the ground truth",
            "Kendall's tau-b with the IoU of the nouns' masks: near 1, faithfulness says what IoU says.",
            markdown_table(("method", "F and IoU", "J and IoU"), rows),
        ]
    return parts


def _by_group(groups: Sequence[str], methods: Mapping[str, MethodScores]) -> str:
    """Return a table of every method's own scores by group of words, its shorter side lying across."""
    cells: dict[tuple[str, str], str] = {}
    for method, scores in methods.items():
        for group, one in scores.groups.items():
            cells |= {(group, "words"): str(one.words), (group, "R"): number(one.effect)}
            for measure, own in _own_rows(one):
                cells[group, f"{measure} of {printable(method)}"] = score_text(own)
    names = list(dict.fromkeys(name for _, name in cells))
    if len(names) > len(groups):
        return markdown_table(
            ("", *groups), [[name, *(cells.get((group, name), "-") for group in groups)] for name in names]
        )
    return markdown_table(
        ("", *names), [[group, *(cells.get((group, name), "-") for name in names)] for group in groups]
    )


def _group_parts(group: str, methods: Mapping[str, MethodScores]) -> list[str]:
    known = {method: scores.groups[group] for method, scores in methods.items() if group in scores.groups}
    first = next(iter(known.values()))
    undefined = f"; {first.undefined} more have an effect under {LEAST_EFFECT}: undefined"
    parts = [
        f"### {group}",
        f"{first.words} words with an effect{undefined if first.undefined else ''}. "
        f"Mean effect R: {number(first.effect)}."
        + (f" Share of the pooled text: {number(first.pooled)}." if first.pooled is not None else ""),
    ]
    soft = [
        [_label(method, name), score_text(row), number(row.raw), *_behind(row), str(row.words)]
        for method, one in known.items()
        for name, row in one.soft.items()
    ]
    hard = [
        [
            _label(method, name, tau),
            score_text(row),
            number(row.necessity),
            percent(row.area),
            percent(row.miou),
            *_behind(row),
            str(row.words),
        ]
        for method, one in known.items()
        for tau, rows in one.hard.items()
        for name, row in rows.items()
    ]
    parts += [markdown_table(_SOFT, soft)] if soft else []
    parts += [markdown_table(_HARD, hard)] if hard else []
    return parts


def _label(method: str, name: str, tau: str = "none") -> str:
    of = printable(method) if tau == "none" else f"{printable(method)}-{tau}"
    return f"**{of}**" if name == OWN else f"{of}: {name}"


def _behind(row: RowScore) -> Sequence[str]:
    return (
        "" if row.behind is None else difference_text(row.behind),
        "" if row.ahead is None else f"{percent(row.ahead)} %",
    )


def score_text(row: RowScore) -> str:
    """Write a score with its interval.

    >>> score_text(RowScore(0.55, (0.5, 0.6), words=10, images=5))
    '.550 [.500, .600]'
    """
    return f"{number(row.mean)} [{number(row.ci95[0])}, {number(row.ci95[1])}]"


def difference_text(difference: Difference) -> str:
    """Write a paired difference with its interval.

    >>> difference_text(Difference(-0.05, -0.1, 0.02))
    '-.050 [-.100, +.020]'
    """
    mean, low, high = (number(value, "+") for value in (difference.mean, difference.low, difference.high))
    return f"{mean} [{low}, {high}]"


def agreement_text(agreement: RankAgreement | None) -> str:
    """Write Kendall's tau with its interval; "-" where there is none."""
    if agreement is None:
        return "-"
    return f"{agreement.tau:.2f} [{agreement.low:.2f}, {agreement.high:.2f}]"


def number(value: float | None, sign: str = "") -> str:
    """Write a number with three digits after the point and no 0 before it; "-" for None.

    >>> number(0.25), number(-0.0001), number(1.5)
    ('.250', '.000', '1.500')
    """
    if value is None:
        return "-"
    text = f"{round(value, 3) + 0.0:{sign}.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.0f} s"
