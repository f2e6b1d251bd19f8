"""The scores of methods: mIoU over tau, mIoU_80 against mIoU_inf, and one row a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from daam_bench.figures.charts import Value, draw_dots
from daam_bench.figures.style import PAGE, PALE, new_figure, percent_axis, styled
from daam_bench.scoring.results import HARD
from daam_bench.scoring.tables import percent
from daam_bench.types import Scores

MIOU_80, MIOU_INF = r"mIoU$_{80}$", r"mIoU$_\infty$"

_ROW, _FRAME = 6.0, 18.0  # millimetres, of `method_scores`
_SPOTS = (
    ((1, -1), "left", "top"),
    ((-1, 1), "right", "bottom"),
    ((1, 1), "left", "bottom"),
    ((-1, -1), "right", "top"),
)
"""Where the text beside a point may stand: below right, above left, above right, below left."""

Interval = tuple[float, float]
MethodRow = tuple[str, str, Sequence[tuple[float | None, Interval | None]]]
"""A group of methods, the name of one, and its mIoU_80 and mIoU_inf with their intervals, split by split."""


@dataclass(frozen=True, slots=True)
class MethodLook:
    """A method in a chart.

    Attributes:
        name: What the chart calls it.
        scores: Its scores: split -> tau -> scores.
        colour: Colour of all that belongs to it.
        marker: Its points.
        key: What the chart's parts are known by: their gid is "key: what the part stands for".
    """

    name: str
    scores: Mapping[str, Mapping[str, Scores]]
    colour: str
    marker: str
    key: str

    def gid(self, tau: str, score: str) -> str:
        """Return the gid of a part of the chart."""
        return f"{self.key}: {self.name}{'' if tau == HARD else f', τ {tau}'}: {score}"


def draw_curves(axes: Axes, methods: Sequence[MethodLook], split: str) -> None:
    """Draw mIoU_inf over tau: soft methods as curves with their taus marked, hard ones as levels."""
    for index, method in enumerate(methods):
        scores = method.scores[split]
        if points := curve_points(scores):
            axes.plot(*zip(*points, strict=True), color=method.colour, gid=method.gid(HARD, "mIoU over τ"))
        for tau, score in scores.items():
            if score.miou_inf is None:
                continue
            gid = method.gid(tau, f"{percent(score.miou_inf)} %")
            if tau == HARD:
                axes.axhline(score.miou_inf, color=method.colour, linestyle="--", gid=gid)
            # The markers of levels stand apart, so that those of near levels don't cover each other.
            at = 0.95 - 0.04 * (index % 20) if tau == HARD else float(tau)
            _draw_point(axes, method, (at, score.miou_inf), (None, score.ci95_inf), gid)
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)


def _draw_point(
    axes: Axes,
    method: MethodLook,
    at: tuple[float, float],
    intervals: tuple[Interval | None, Interval | None],
    gid: str,
) -> None:
    """Draw a marker at (x, y) with the intervals of x and of y."""
    (x, y), (level, upright) = at, intervals
    if level is not None:
        axes.plot(level, (y, y), color=method.colour, linewidth=0.9, gid=gid)
    if upright is not None:
        axes.plot((x, x), upright, color=method.colour, linewidth=0.9, gid=gid)
    axes.plot(x, y, color=method.colour, marker=method.marker, linestyle="none", gid=gid)


def curve_points(scores: Mapping[str, Scores]) -> list[tuple[float, float]]:
    """Return (tau, mIoU_inf) of a soft method's heat maps; nothing for a method without them."""
    points = next(iter(scores.values())).miou_over_tau or {}
    return [(float(tau), point.miou_inf) for tau, point in points.items() if point.miou_inf is not None]


def draw_scatter(axes: Axes, methods: Sequence[MethodLook], split: str) -> None:
    """Draw mIoU_inf against mIoU_80 with their 95 % intervals, a point a tau, named by it.

    The limits of the axes are to be set before, since the names keep clear of the points.
    """
    axes.axline((0, 0), slope=1, color=PALE, linewidth=0.8, linestyle=(0, (2, 3)))
    names: list[tuple[float, float, str, str]] = []
    for method in methods:
        taus = sorted(method.scores[split].items())
        found = [(scores.miou_80, scores.miou_inf, tau, scores) for tau, scores in taus]
        known = [(x, y, tau, scores) for x, y, tau, scores in found if x is not None and y is not None]
        if len(known) > 1:
            line = [(x, y) for x, y, *_ in known]
            axes.plot(*zip(*line, strict=True), color=method.colour, gid=method.gid(HARD, "its taus"))
        for x, y, tau, scores in known:
            gid = method.gid(tau, f"mIoU 80 {percent(x)} %, mIoU ∞ {percent(y)} %")
            _draw_point(axes, method, (x, y), (scores.ci95_80, scores.ci95_inf), gid)
            names.append((x, y, "" if tau == HARD else tau, gid))
    name_points(axes, names)


def name_points(axes: Axes, points: Sequence[tuple[float, float, str, str]]) -> list[Text]:
    """Write short texts beside points, where they cover no point and no other text as far as possible.

    Args:
        axes: The axes, with their final limits.
        points: (x, y, text, gid) of all points; one with an empty text gets none.
    """
    at: Any = axes.transData.transform([(x, y) for x, y, *_ in points]) if points else []
    taken = [Bbox.from_bounds(left - 4, low - 4, 8, 8) for left, low in at]
    texts: list[Text] = []
    for x, y, text, gid in points:
        if not text:
            continue
        tried: list[tuple[float, int, Text, Bbox]] = []
        for (right, up), horizontal, vertical in _SPOTS:
            written = axes.annotate(
                text,
                (x, y),
                (5 * right, 3 * up),
                textcoords="offset points",
                ha=horizontal,
                va=vertical,
                gid=gid,
            )
            box = written.get_window_extent()
            tried.append((sum(_shared(box, other) for other in taken), len(tried), written, box))
        _, chosen, kept, box = min(tried, key=lambda spot: spot[:2])
        for _, number, other, _ in tried:
            if number != chosen:
                other.remove()
        taken.append(box)
        texts.append(kept)
    return texts


def _shared(a: Bbox, b: Bbox) -> float:
    """Return the area that two boxes share."""
    both = Bbox.intersection(a, b)
    return 0.0 if both is None else both.width * both.height


@styled
def method_scores(rows: Sequence[MethodRow], splits: Sequence[str], *, width: float = PAGE) -> Figure:
    """Draw mIoU_80 and mIoU_inf of methods, one row each, split by split, with their 95 % intervals.

    Args:
        rows: The methods, from the top; a line parts groups.
        splits: Names of the splits that the rows' values are of.
        width: Width of the figure in millimetres.
    """
    figure = new_figure(width, _FRAME + _ROW * len(rows))
    panels = figure.subplots(1, 2, sharey=True)
    for number, (axes, metric) in enumerate(zip(panels, (MIOU_80, MIOU_INF), strict=True)):
        series: dict[str, list[Value | None]] = {}
        for index, split in enumerate(splits):
            found = [values[2 * index + number] for _, _, values in rows]
            series[split] = [
                None if miou is None else (miou, interval or (miou, miou)) for miou, interval in found
            ]
        draw_dots(axes, [name for _, name, _ in rows], series, axis=metric)
        axes.set_box_aspect(None)
        for place in range(1, len(rows)):
            if rows[place][0] != rows[place - 1][0]:
                axes.axhline(place - 0.5, color=PALE, linewidth=0.5)
        axes.set_xlim(0, 1)
        percent_axis(axes, "x", metric)
        if (legend := axes.get_legend()) is not None:
            legend.remove()
    panels[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(splits), borderaxespad=0.2)
    return figure
