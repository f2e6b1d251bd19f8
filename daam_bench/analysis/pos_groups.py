"""Coverage by part of speech, the paper's Figure 5: grouped, and written as tables, figure and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from daam_bench.analysis.report_files import save_all_formats, write_json_report
from daam_bench.analysis.word_coverage import CoverageRecord
from daam_bench.diffusion.reproduce import DRIFT_TOLERANCE
from daam_bench.figures.charts import Bar, bars
from daam_bench.files.text_files import write_csv
from daam_bench.scoring.bootstrap import ImageTotals, confidence_intervals
from daam_bench.types import Environment

PARTS_OF_SPEECH = ("NUM", "DET", "CCONJ", "PUNCT", "NOUN", "ADV", "VERB", "ADP", "ADJ", "PRON")
"""The universal parts of speech that the paper reports."""

PAPER: Mapping[str, float] = {
    "NUM": 0.1585,
    "DET": 0.1942,
    "PRON": 0.2788,
    "NOUN": 0.2879,
    "ADJ": 0.2886,
    "ADV": 0.2925,
    "VERB": 0.2969,
    "ADP": 0.3188,
    "CCONJ": 0.3687,
    "PUNCT": 0.4465,
}
"""Stable Diffusion's values behind the paper's Figure 5, from the authors' script that plots it
(castorini/daam, daam/run/plot_pos.py at commit 01d35db). They are of maps stretched to [0, 1]."""

STRETCHED_LEGEND = "the same with maps stretched to [0, 1]"
PAPER_LEGEND = "Stable Diffusion in the paper, stretched too"
_LONGEST = 30  # letters of a model's name in the legend


@dataclass(frozen=True, slots=True)
class WordGroup:
    """The words of one part of speech.

    Attributes:
        pos: Universal tag.
        tokens: Number of words.
        images: Number of images whose prompts have one.
        mean: Mean share of the image that their maps cover, in [0, 1].
        interval: Its 95 % bootstrap interval, over prompts; None if there are too few.
        mean_minmax: The mean for maps that are stretched to [0, 1] first.
        interval_minmax: Its interval.
    """

    pos: str
    tokens: int
    images: int
    mean: float
    interval: tuple[float, float] | None
    mean_minmax: float
    interval_minmax: tuple[float, float] | None


def group_by_pos(
    records: Sequence[CoverageRecord], parts: Sequence[str] = PARTS_OF_SPEECH, seed: int = 0
) -> list[WordGroup]:
    """Return the groups in order of their means, those without a word left out.

    The bootstrap resamples prompts, with all images of each: images of one prompt aren't independent.

    Args:
        records: What was measured on each image.
        parts: The parts of speech to keep.
        seed: Seed of the bootstrap.
    """
    places = {text: place for place, text in enumerate(dict.fromkeys(record.prompt for record in records))}
    counts = np.zeros((len(parts), len(places)), dtype=np.int64)
    sums = np.zeros((len(parts), 2, len(places)))
    images = dict.fromkeys(parts, 0)
    for record in records:
        for token in record.covered.tokens:
            if token.pos in images:
                part, place = parts.index(token.pos), places[record.prompt]
                counts[part, place] += 1
                sums[part, :, place] += (token.coverage.plain, token.coverage.minmax)
        for pos in {token.pos for token in record.covered.tokens} & images.keys():
            images[pos] += 1
    totals = [ImageTotals(one, count) for both, count in zip(sums, counts, strict=True) for one in both]
    intervals = confidence_intervals(totals, seed=seed)
    groups = []
    for part, pos in enumerate(parts):
        if tokens := int(counts[part].sum()):
            plain, minmax = (float(one.sum() / tokens) for one in sums[part])
            interval, interval_minmax = intervals[2 * part : 2 * part + 2]
            groups.append(WordGroup(pos, tokens, images[pos], plain, interval, minmax, interval_minmax))
    return sorted(groups, key=lambda group: group.mean)


def rank_correlation(groups: Sequence[WordGroup]) -> float | None:
    """Return Spearman's correlation of the groups' means (of stretched maps) with the paper's.

    Returns:
        A value in [-1, 1]; None for fewer than three groups that the paper has.
    """
    shared = [group for group in groups if group.pos in PAPER]
    if len(shared) < 3:
        return None
    ours, paper = [group.mean_minmax for group in shared], [PAPER[group.pos] for group in shared]
    return float(spearmanr(ours, paper).statistic)


def write_analysis(
    folder: Path, records: Sequence[CoverageRecord], settings: Mapping[str, Any], environment: Environment
) -> list[WordGroup]:
    """Write `pos.csv`, `pos_groups.csv`, `pos.png`, `.svg` and `.pdf`, and `report.json`.

    Args:
        folder: The folder; made if needed.
        records: What was measured.
        settings: How: what `report.json` is to say.
        environment: Versions, device, seeds.

    Returns:
        The groups, in order of their means.
    """
    groups = group_by_pos(records)
    _write_tokens(folder / "pos.csv", records)
    _write_groups(folder / "pos_groups.csv", groups)
    if groups:
        figure = bars(
            [_bar(group) for group in groups],
            axis=f"share of the image that a word covers at τ = {settings['tau']:g}",
            name=f"{Path(settings['model']).name[-_LONGEST:]}, with 95 % interval",
            note="words",
        )
        save_all_formats(figure, folder, "pos")
    report = {
        "analysis": "pos",
        **settings,
        **count(records),
        "spearman_with_paper": rank_correlation(groups),
        "groups": [asdict(group) for group in groups],
        "environment": asdict(environment),
    }
    write_json_report(folder / "report.json", report)
    return groups


def count(records: Sequence[CoverageRecord]) -> dict[str, int]:
    """Count images, prompts, words with a map, and those without one."""
    return {
        "images": len(records),
        "prompts": len({record.prompt for record in records}),
        "tokens": sum(len(record.covered.tokens) for record in records),
        "truncated": sum(record.covered.truncated for record in records),
        "torn": sum(record.covered.torn for record in records),
        "drifted": sum((record.difference or 0.0) > DRIFT_TOLERANCE for record in records),
    }


def format_groups(groups: Sequence[WordGroup]) -> str:
    """Return the groups as a table for the terminal, in percent."""
    lines = [f"{'':<8}{'share':>7}  {'95 % interval':<15}{'min-max':>8}{'paper':>8}{'words':>8}"]
    for group in groups:
        low, high = group.interval or (float("nan"), float("nan"))
        paper = f"{100 * PAPER[group.pos]:.1f}" if group.pos in PAPER else ""
        lines.append(
            f"{group.pos:<8}{100 * group.mean:>7.1f}  {f'[{100 * low:.1f}, {100 * high:.1f}]':<15}"
            f"{100 * group.mean_minmax:>8.1f}{paper:>8}{group.tokens:>8}"
        )
    return "\n".join(lines)


def _bar(group: WordGroup) -> Bar:
    references = {STRETCHED_LEGEND: group.mean_minmax}
    if group.pos in PAPER:
        references[PAPER_LEGEND] = PAPER[group.pos]
    return Bar(group.pos, group.mean, group.interval, f"{group.tokens:,}", references)


def _write_tokens(path: Path, records: Sequence[CoverageRecord]) -> None:
    header = ("id", "seed", "text", "pos", "start", "coverage", "coverage_minmax")
    rows = [
        (
            record.id,
            record.seed,
            token.text,
            token.pos,
            token.start,
            token.coverage.plain,
            token.coverage.minmax,
        )
        for record in records
        for token in record.covered.tokens
    ]
    write_csv(path, header, rows)


def _write_groups(path: Path, groups: Sequence[WordGroup]) -> None:
    header = ("pos", "tokens", "images", "mean", "low", "high", "mean_minmax", "low_minmax", "high_minmax")
    rows = [
        (
            group.pos,
            group.tokens,
            group.images,
            group.mean,
            *(group.interval or (None, None)),
            group.mean_minmax,
            *(group.interval_minmax or (None, None)),
            PAPER.get(group.pos),
        )
        for group in groups
    ]
    write_csv(path, (*header, "paper"), rows)
