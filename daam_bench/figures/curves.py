"""mIoU over tau, of the reports of methods."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from daam_bench.figures.style import COLUMN, MARKERS, PALETTE, new_figure, percent_axis, styled
from daam_bench.types import Report, Scores
from daam_bench.types.errors import InputError

_HEIGHT = 62.0  # millimetres


@styled
def miou_over_tau(reports: Mapping[str, Report], split: str, *, width: float = COLUMN) -> Figure:
    """Draw the mIoU of methods over the threshold tau: soft methods as curves, hard ones as levels.

    The scores that a report was made for are markers on its curve, with their 95 % intervals.

    Args:
        reports: The reports by the names that the legend shows; at most seven.
        split: The split.
        width: Width of the figure in millimetres.

    Raises:
        InputError: There is no report, or too many, or one without that split.
    """
    if not 0 < len(reports) <= len(PALETTE):
        raise InputError(f"a figure holds 1 to {len(PALETTE)} reports, not {len(reports)}")
    figure = new_figure(width, _HEIGHT)
    axes = figure.add_subplot()
    for index, (name, report) in enumerate(reports.items()):
        if split not in report.splits:
            raise InputError(
                f"the report of {name} has no split {split!r}; it has {', '.join(report.splits)}"
            )
        _draw(axes, name, report.splits[split], PALETTE[index], MARKERS[index])
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("threshold τ (share of the map's maximum)")
    percent_axis(axes, "y", "mIoU$_\\infty$")
    axes.legend(loc="upper right", handlelength=3)
    return figure


def _draw(axes: Axes, name: str, scores: Mapping[str, Scores], colour: str, marker: str) -> None:
    first = next(iter(scores.values()))
    curve = [
        (float(tau), point.miou_inf)
        for tau, point in (first.miou_over_tau or {}).items()
        if point.miou_inf is not None
    ]
    if curve:
        axes.plot(*zip(*curve, strict=True), color=colour)
    for tau, score in scores.items():
        if score.miou_inf is None:
            continue
        at = float(tau) if tau != "none" else 0.5
        if tau == "none":
            axes.axhline(score.miou_inf, color=colour, linestyle="--")
        axes.plot(at, score.miou_inf, color=colour, marker=marker, linestyle="none")
        if score.ci95_inf is not None:
            axes.plot((at, at), score.ci95_inf, color=colour, linewidth=0.9)
    axes.plot([], [], color=colour, marker=marker, linestyle="-" if curve else "--", label=name)
