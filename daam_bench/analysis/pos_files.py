"""What the part-of-speech analysis leaves behind: tables, figure and report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daam_bench.analysis.coverage import Coverage
from daam_bench.analysis.groups import PAPER, CoveredImage, Group, group_by_pos, rank_correlation
from daam_bench.analysis.pos import Record
from daam_bench.figures.charts import Bar, bars
from daam_bench.figures.style import save
from daam_bench.files.text_files import write_csv, write_text
from daam_bench.segmenters.daam import DRIFT_TOLERANCE
from daam_bench.types import Environment

FIGURE = "pos"
_LONGEST = 30  # letters of a model's name in the legend
STRETCHED_LEGEND = "the same with maps stretched to [0, 1]"
PAPER_LEGEND = "Stable Diffusion in the paper, stretched too"


def write_analysis(
    folder: Path, records: Sequence[Record], settings: Mapping[str, Any], environment: Environment
) -> list[Group]:
    """Write `pos.csv`, `pos_groups.csv`, `pos.png`, `.svg` and `.pdf`, and `report.json`.

    Args:
        folder: The folder; made if needed.
        records: What was measured.
        settings: How: what `report.json` is to say.
        environment: Versions, device, seeds.

    Returns:
        The groups, in order of their means.
    """
    groups = group_by_pos([CoveredImage(record.prompt, record.covered.tokens) for record in records])
    _write_tokens(folder / "pos.csv", records)
    _write_groups(folder / "pos_groups.csv", groups)
    if groups:
        figure = bars(
            [_bar(group) for group in groups],
            axis=f"share of the image that a word covers at τ = {settings['tau']:g}",
            name=f"{Path(settings['model']).name[-_LONGEST:]}, with 95 % interval",
            note="words",
        )
        for suffix in ("png", "svg", "pdf"):
            save(figure, folder / f"{FIGURE}.{suffix}")
    report = {
        "analysis": "pos",
        **settings,
        **count(records),
        "spearman_with_paper": rank_correlation(groups),
        "groups": [asdict(group) for group in groups],
        "environment": asdict(environment),
    }
    write_text(folder / "report.json", json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return groups


def count(records: Sequence[Record]) -> dict[str, int]:
    """Count images, prompts, words with a map, and those without one."""
    return {
        "images": len(records),
        "prompts": len({record.prompt for record in records}),
        "tokens": sum(len(record.covered.tokens) for record in records),
        "truncated": sum(record.covered.truncated for record in records),
        "torn": sum(record.covered.torn for record in records),
        "drifted": sum((record.difference or 0.0) > DRIFT_TOLERANCE for record in records),
    }


def format_groups(groups: Sequence[Group]) -> str:
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


def _bar(group: Group) -> Bar:
    references = {STRETCHED_LEGEND: group.mean_minmax}
    if group.pos in PAPER:
        references[PAPER_LEGEND] = PAPER[group.pos]
    return Bar(group.pos, group.mean, group.interval, f"{group.tokens:,}", references)


def _write_tokens(path: Path, records: Sequence[Record]) -> None:
    header = ("id", "seed", "text", "pos", "start", "coverage", "coverage_minmax")
    rows = [
        (record.id, record.seed, token.text, token.pos, token.start, *_both(token.coverage))
        for record in records
        for token in record.covered.tokens
    ]
    write_csv(path, header, rows)


def _both(coverage: Coverage) -> tuple[float, float]:
    return coverage.plain, coverage.minmax


def _write_groups(path: Path, groups: Sequence[Group]) -> None:
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
