"""The results of the analysis of layers and steps: table, figure and report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from daam_bench.analysis.layers import LayerScores, PartScore
from daam_bench.analysis.report_files import save_all_formats, write_json_report
from daam_bench.figures.charts import Value, draw_dots
from daam_bench.figures.style import PAGE, PALETTE, new_figure, percent_axis, styled
from daam_bench.files.text_files import write_csv
from daam_bench.types import Environment

MOST_SPLITS = len(PALETTE)
"""How many splits the figure has colours for."""

_ROW, _FRAME = 5.0, 14.0  # millimetres

_COLUMNS = ("split", "kind", "part", "resolution", "miou_inf", "low", "high", "start_token_share")


def write_layers(
    folder: Path, measured: LayerScores, settings: Mapping[str, Any], environment: Environment
) -> None:
    """Write `layers.csv`, `layers.png`, `.svg` and `.pdf`, and `report.json`.

    Args:
        folder: The folder; made if needed.
        measured: What was measured.
        settings: How: what `report.json` is to say.
        environment: Versions, device, seeds.
    """
    rows = [_row(score) for score in measured.scores]
    write_csv(folder / "layers.csv", _COLUMNS, rows)
    save_all_formats(draw_layers(measured.scores), folder, "layers")
    report = {
        "analysis": "layers",
        **settings,
        "parts": [dict(zip(_COLUMNS, row, strict=True)) for row in rows],
        "environment": asdict(environment),
    }
    write_json_report(folder / "report.json", report)


def format_layers(scores: Sequence[PartScore]) -> str:
    """Return the parts as a table for the terminal, in percent, split by split."""
    lines = []
    for split in _splits(scores):
        lines.append(f"{split:<20}{'map':>9}{'mIoU_inf':>10}  {'95 % interval':<15}{'start token':>12}")
        for score in scores:
            if score.split == split:
                low, high = (100 * bound for bound in score.ci95_inf)
                lines.append(
                    f"  {score.part.label:<18}{_size(score):>9}{100 * score.miou_inf:>10.1f}  "
                    f"{f'[{low:.1f}, {high:.1f}]':<15}{100 * score.start_token_share:>12.1f}"
                )
        lines.append("")
    return "\n".join(lines[:-1])


@styled
def draw_layers(scores: Sequence[PartScore], *, width: float = PAGE) -> Figure:
    """Draw the mIoU of each part, layers above and steps below, and beside it what the start token takes.

    Args:
        scores: The scores of at most seven splits.
        width: Width of the figure in millimetres.
    """
    layers = _labels(scores, "all", "layer")
    steps = _labels(scores, "all", "steps", "timestep")
    heights = [len(layers) + 0.2, len(steps) + 0.2]
    figure = new_figure(width, 2 * _FRAME + _ROW * sum(heights))
    panels = figure.subplots(2, 2, sharex="col", sharey="row", height_ratios=heights)
    measures: dict[str, Callable[[PartScore], Value]] = {
        "mIoU$_\\infty$": lambda one: (one.miou_inf, one.ci95_inf),
        "attention to the start token": lambda one: (one.start_token_share, (one.start_token_share,) * 2),
    }
    for pair, labels in zip(panels, (layers, steps), strict=True):
        for axes, (name, measure) in zip(pair, measures.items(), strict=True):
            series = {}
            for split in _splits(scores):
                found = {one.part.label: measure(one) for one in scores if one.split == split}
                series[split] = [found.get(label) for label in labels]
            draw_dots(axes, labels, series, axis=name)
            axes.set_box_aspect(None)
            percent_axis(axes, "x", name)
            axes.set_xlim(left=0)
            axes.label_outer()
            if axes is not panels[0, 0] and (legend := axes.get_legend()) is not None:
                legend.remove()
    return figure


def _splits(scores: Sequence[PartScore]) -> list[str]:
    return list(dict.fromkeys(score.split for score in scores))


def _labels(scores: Sequence[PartScore], *kinds: str) -> list[str]:
    return list(dict.fromkeys(score.part.label for score in scores if score.part.kind in kinds))


def _size(score: PartScore) -> str:
    return "x".join(map(str, score.resolution))


def _row(score: PartScore) -> tuple[Any, ...]:
    part, miou = score.part, (score.miou_inf, *score.ci95_inf)
    return score.split, part.kind, part.name, _size(score), *miou, score.start_token_share
