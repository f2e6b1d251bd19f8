"""The charts of the front page: mIoU over tau, and mIoU_80 against mIoU_inf, in the page's colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.patches import PathPatch
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D

from daam_bench.figures.inline_svg import inline_svg
from daam_bench.figures.score_charts import MethodLook, curve_points, draw_curves, draw_scatter
from daam_bench.figures.style import GRID, INK, MARKERS, PALE, percent_axis, styled
from daam_bench.leaderboard.site.standings import Standing

WIDTH, HEIGHT = 400, 290
"""Size of a chart in its own units."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 10, 26, 36
_SERIES = ("#c24c00", "#1667b8", "#007a55", "#a34a86", "#8a6a00", "#5a5f66", "#0f7f94", "#7a3fb8")
_COLOURS = {
    INK: "var(--ink)",
    PALE: "var(--soft)",
    GRID: "var(--rule)",
    "#ffffff": "var(--paper)",
    **{colour: f"var(--series-{index})" for index, colour in enumerate(_SERIES)},
}
"""What the style sheet calls the colours, in both themes."""

_TYPE = 10.5
_RC: Any = {
    "font.size": _TYPE,
    "axes.labelsize": _TYPE,
    "xtick.labelsize": _TYPE,
    "ytick.labelsize": _TYPE,
    "axes.labelcolor": PALE,
    "axes.spines.left": False,
    "ytick.major.size": 0,
    "lines.linewidth": 2,
    "lines.markersize": 9,
    "lines.markeredgecolor": "white",
    "lines.markeredgewidth": 0.7,
}


class Chart(NamedTuple):
    """What is shown, a split or how a method looks, as an SVG element."""

    of: str | MethodLook
    svg: str


class CurveTable(NamedTuple):
    """The curves of a split in numbers: a row a tau with the mIoU_inf of each of the named soft methods."""

    split: str
    names: list[str]
    rows: list[tuple[float, list[float | None]]]


def method_looks(rows: Sequence[Standing]) -> list[MethodLook]:
    """Return how each method looks in the charts, in the order of their best rows."""
    looks = []
    for index, (slug, scored) in enumerate({row.entry.slug: row.scored for row in rows}.items()):
        report, taus = scored.entry.report, scored.taus()
        scores = {split: {tau: report.splits[split][tau] for tau in taus} for split in scored.results}
        colour, marker = _SERIES[index % len(_SERIES)], MARKERS[index % len(MARKERS)]
        looks.append(MethodLook(scored.entry.submission.name, scores, colour, marker, slug))
    return looks


def curve_charts(looks: Sequence[MethodLook], splits: Sequence[str]) -> list[Chart]:
    """Return a chart of mIoU_inf over tau for each split, all with the same axes."""
    scores = [found for look in looks for split in splits for found in look.scores[split].values()]
    values = [value for found in scores for value in (found.miou_inf, *(found.ci95_inf or ())) if value]
    values += [miou for look in looks for split in splits for _, miou in curve_points(look.scores[split])]
    ticks = percent_ticks(max(values, default=1.0))

    def draw(axes: Axes, split: str) -> None:
        draw_curves(axes, looks, split)
        axes.set_yticks(ticks)
        axes.set_ylim(0, ticks[-1])
        axes.set_xlabel("τ")

    label = "mIoU ∞ over tau on {}; the table below holds the numbers"
    return [_chart(draw, "curves", split, label) for split in splits]


def scatter_charts(looks: Sequence[MethodLook], splits: Sequence[str]) -> list[Chart]:
    """Return a chart of mIoU_inf against mIoU_80 for each split, all with the same axes."""
    scores = [found for look in looks for split in splits for found in look.scores[split].values()]
    ends = [ends[1] for found in scores for ends in (found.ci95_80, found.ci95_inf) if ends]
    ticks = percent_ticks(max(ends, default=1.0))

    def draw(axes: Axes, split: str) -> None:
        axes.set(xticks=ticks, yticks=ticks, xlim=(0, ticks[-1]), ylim=(0, ticks[-1]))
        draw_scatter(axes, looks, split)
        percent_axis(axes, "x", "mIoU_80")
        axes.grid(False, axis="x")

    label = "mIoU ∞ against mIoU 80 on {}, with intervals; the table above holds the numbers"
    return [_chart(draw, "scatter", split, label) for split in splits]


def curve_tables(looks: Sequence[MethodLook], splits: Sequence[str]) -> list[CurveTable]:
    """Return the curves of each split in numbers."""
    soft = [look for look in looks if curve_points(look.scores[splits[0]])]
    tables = []
    for split in splits:
        curves = [dict(curve_points(look.scores[split])) for look in soft]
        taus = sorted({tau for curve in curves for tau in curve})
        names = [look.name for look in soft]
        tables.append(CurveTable(split, names, [(tau, [curve.get(tau) for curve in curves]) for tau in taus]))
    return tables


def percent_ticks(highest: float) -> list[float]:
    """Return the fractions to mark on an axis from 0 up to at least `highest`, at round percentages.

    >>> [round(100 * tick) for tick in percent_ticks(0.632)]
    [0, 20, 40, 60, 80]
    """
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(0, max(highest, 0.15))
    return [float(tick) for tick in ticks]


@styled
def _chart(draw: Callable[[Axes, str], None], kind: str, split: str, label: str) -> Chart:
    with rc_context(_RC):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72)
        width, height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        axes = figure.add_axes((_LEFT / WIDTH, _BOTTOM / HEIGHT, width / WIDTH, height / HEIGHT))
        draw(axes, split)
        percent_axis(axes, "y", "mIoU_∞")
        axes.yaxis.label.set(rotation=0, ha="left", va="top")
        axes.yaxis.set_label_coords(0, 1, figure.transFigure)
        axes.xaxis.label.set(ha="right", va="bottom")
        axes.xaxis.set_label_coords(1 - _RIGHT / WIDTH, 0, figure.transFigure)
        svg = inline_svg(figure, f"{kind}-{split}", label=label.format(split), colours=_COLOURS)
    return Chart(split, svg)


@styled
def legend(looks: Sequence[MethodLook]) -> list[Chart]:
    """Return each method's line and marker."""
    swatches = []
    for look in looks:
        figure = Figure(figsize=(24 / 72, 16 / 72), dpi=72)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 24), ylim=(0, 16))
        axes.set_axis_off()
        axes.plot((0, 24), (8, 8), color=look.colour, linewidth=2, clip_on=False)
        marker = MarkerStyle(look.marker)
        shape = marker.get_path().transformed(marker.get_transform() + Affine2D().scale(8).translate(12, 8))
        axes.add_patch(PathPatch(shape, facecolor=look.colour, edgecolor="white", clip_on=False, zorder=3))
        swatches.append(Chart(look, inline_svg(figure, f"key-{look.key}", label="", colours=_COLOURS)))
    return swatches
