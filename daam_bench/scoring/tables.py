"""A report as people read it: a Markdown page, and an aligned table for the terminal, both in percent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from daam_bench.scoring.bootstrap import FEW_IMAGES
from daam_bench.types import Environment, MaskShares, Report, Scores
from daam_bench.types.errors import printable

_MARKUP = re.compile(r"[\\`*<>\[\]#&]")
_SOFT_COLUMNS = (
    "split",
    "average precision",
    "pointing game",
    "leakage of the maps",
    "oracle tau",
    "mIoU_inf at the oracle tau",
)


def format_table(report: Report) -> str:
    """Return the scores as an aligned table of plain text: one row a split and tau."""
    return text_table(_columns(report), _rows(report))


def format_markdown(report: Report) -> str:
    """Return the report as a Markdown page: scores, heat maps, classes, and how they came to be."""
    parts = [
        f"# {quoted(report.method)} on {quoted(report.dataset)}",
        "All scores in percent, with 95 % bootstrap intervals over images. mIoU_80: nouns of COCO's 80 "
        "classes; mIoU_inf: all nouns; mIoU_band: all nouns, without the band along the ground truth's "
        "boundary. AP: pixel average precision of the heat maps. Leakage: the share of a prediction on the "
        "image's other nouns, lower is better. Coverage: pairs with a non-empty prediction.",
        *(f"**{note[0].upper()}{note[1:]}.**" for note in report_notes(report)),
        markdown_table(_columns(report), _rows(report)),
    ]
    if soft := _soft_rows(report):
        parts += [
            "## Heat maps",
            "The oracle tau is chosen on the ground truth: methods are never ranked by it.",
            markdown_table(_SOFT_COLUMNS, soft),
        ]
    for split, taus in report.splits.items():
        if classes := _class_rows(taus):
            columns = ("class", "pairs", *(f"mIoU at tau {tau}" for tau in taus))
            parts += [f"## Classes of {split}", markdown_table(columns, classes)]
    parts += ["## How these numbers came to be", markdown_table(("what", "value"), _provenance(report))]
    return "\n\n".join(parts) + "\n"


def report_notes(report: Report) -> list[str]:
    """Say, a sentence each, what a reader of the scores must know: how far they can be trusted."""
    notes = []
    if report.partial:
        notes.append("partial: scored over a part of the nouns; not comparable with a full run")
    unchecked = [
        f"{split} ({found.images} of {found.of} images, by {quoted(found.by)})"
        for split, found in report.proposals.items()
    ]
    if unchecked:
        notes.append(
            "scored against masks that a program proposed and nobody has checked yet: " + ", ".join(unchecked)
        )
    own = [
        f"{split} ({percent(shares.unchanged[report.method])} % of the masks left unchanged)"
        for split, shares in report.annotation.items()
        if report.method in shares.unchanged
    ]
    if own:
        notes.append(
            "scored against masks that began as this method's own proposals, which favours it: "
            + ", ".join(own)
        )
    if few := few_images(report):
        notes.append(f"an interval over fewer than {FEW_IMAGES} images is too narrow: {', '.join(few)}")
    return notes


def few_images(report: Report) -> list[str]:
    """Return the splits over too few images for their intervals, with the numbers of images."""
    found = dict.fromkeys(
        f"{split} ({scores.images_80} images for mIoU_80, {scores.images_inf} for mIoU_inf)"
        for split, taus in report.splits.items()
        for scores in taus.values()
        if any(
            images is not None and 0 < images < FEW_IMAGES for images in (scores.images_80, scores.images_inf)
        )
    )
    return list(found)


def percent(fraction: float | None) -> str:
    """Write a fraction as people read it.

    >>> percent(0.647), percent(None)
    ('64.7', '-')
    """
    return "-" if fraction is None else f"{100 * fraction:.1f}"


def percent_with_interval(fraction: float | None, interval: tuple[float, float] | None) -> str:
    """Write a fraction with its interval.

    >>> percent_with_interval(0.647, (0.621, 0.67))
    '64.7 [62.1, 67.0]'
    """
    if fraction is None or interval is None:
        return percent(fraction)
    return f"{percent(fraction)} [{percent(interval[0])}, {percent(interval[1])}]"


def describe_cost(environment: Environment) -> str:
    """Say what an image cost, as far as it is known.

    >>> run = Environment("0", None, None, "3", {}, "", wall_seconds=9.0, images=4, denoiser_calls="1 a step")
    >>> describe_cost(run)
    'denoiser calls: 1 a step; 2.25 s'
    """
    calls, seconds = environment.denoiser_calls, environment.seconds_per_image
    said = [] if calls is None else [f"denoiser calls: {calls}"]
    return "; ".join(said + ([] if seconds is None else [f"{seconds:.3g} s"]))


def _columns(report: Report) -> list[str]:
    columns = ["split", "tau", "mIoU_80", "mIoU_inf", "mIoU_band"]
    columns += ["AP"] if _is_soft(report) else []
    columns += ["leakage", "coverage", "pairs"]
    return columns + (["partial"] if report.partial else [])


def _rows(report: Report) -> list[list[str]]:
    return [
        [
            split,
            tau,
            percent_with_interval(scores.miou_80, scores.ci95_80),
            percent_with_interval(scores.miou_inf, scores.ci95_inf),
            percent(scores.miou_band),
            *([percent(scores.average_precision)] if _is_soft(report) else []),
            percent(scores.leakage),
            percent(scores.coverage),
            f"{scores.pairs_80} / {scores.pairs_inf}",
            *(["partial"] if report.partial else []),
        ]
        for split, taus in report.splits.items()
        for tau, scores in taus.items()
    ]


def _is_soft(report: Report) -> bool:
    return any(
        scores.average_precision is not None for taus in report.splits.values() for scores in taus.values()
    )


def _soft_rows(report: Report) -> list[list[str]]:
    rows = []
    for split, taus in report.splits.items():
        # The heat maps of a split don't depend on the tau they were cut at.
        scores = next(iter(taus.values()), None)
        if scores is not None and scores.average_precision is not None:
            best = (scores.miou_over_tau or {}).get(format(scores.oracle_tau or 0, "g"))
            rows.append(
                [
                    split,
                    percent(scores.average_precision),
                    percent(scores.pointing_game),
                    percent(scores.map_leakage),
                    "-" if scores.oracle_tau is None else format(scores.oracle_tau, "g"),
                    percent(None if best is None else best.miou_inf),
                ]
            )
    return rows


def _left_out(report: Report) -> str:
    """Say how many pairs of each split count for the band and for leakage."""
    said = []
    for split, taus in report.splits.items():
        scores = next(iter(taus.values()), None)
        if scores is not None and scores.pairs_band is not None:
            leaks = dict.fromkeys(str(found.pairs_leakage) for found in taus.values())
            said.append(
                f"{split}: {scores.pairs_band} of {scores.pairs_inf} have pixels outside the band, leakage "
                f"counts {' / '.join(leaks)}"
            )
    return "; ".join(said) or "-"


def _class_rows(taus: Mapping[str, Scores]) -> list[list[str]]:
    """Return a row a class: its pairs, and its mIoU at each tau."""
    pairs = {name: score.pairs for scores in taus.values() for name, score in scores.per_class.items()}
    return [
        [name, str(count)]
        + [percent(getattr(scores.per_class.get(name), "miou", None)) for scores in taus.values()]
        for name, count in pairs.items()
    ]


def _provenance(report: Report) -> list[list[str]]:
    environment = report.environment
    commit = "-" if environment.commit is None else environment.commit[:12]
    rows = {
        "protocol": report.protocol,
        "track": report.track or "-",
        "tuned on": quoted(report.tuned_on or "-"),
        "pairs": _left_out(report),
        "parameters": quoted(_pairs(report.parameters)),
        "dataset revision": environment.dataset_revision or "-",
        "masks": ", ".join(f"{split}: {_kinds(shares)}" for split, shares in report.annotation.items())
        or "-",
        "fingerprint": ", ".join(f"{split} {digest[:12]}" for split, digest in report.fingerprint.items()),
        "daam-bench": environment.version,
        "commit": f"{commit}, with uncommitted changes" if environment.dirty else commit,
        "python": environment.python,
        "libraries": ", ".join(f"{name} {version}" for name, version in environment.libraries.items()),
        "platform": environment.platform,
        "device": environment.device or "-",
        "limit": "-" if environment.limit is None else f"first {environment.limit} examples of each split",
        "drifted images": "-" if environment.drifted is None else str(environment.drifted),
        "wall time": "-" if environment.wall_seconds is None else f"{environment.wall_seconds:.0f} s",
        "cost of an image": quoted(describe_cost(environment) or "-"),
        "seeds": _pairs(environment.seeds),
    }
    return [[what, value] for what, value in rows.items()]


def _kinds(shares: MaskShares) -> str:
    kinds = {name: getattr(shares, name) for name in ("proposed", "accepted", "edited", "own", "unknown")}
    return " ".join(f"{percent(share)} % {name}" for name, share in kinds.items() if share) or "none"


def _pairs(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in mapping.items()) or "-"


def quoted(text: str) -> str:
    """Write untrusted text so that Markdown takes it for nothing but text."""
    return _MARKUP.sub(r"\\\g<0>", printable(" ".join(text.split())))


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows of text as a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )


def text_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows of text as an aligned table for the terminal."""
    lines = [columns, *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
