"""The scores of methods: mIoU over tau, mIoU_80 against mIoU_inf, and one row a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from daam_bench.figures.charts import Value, draw_dots
from daam_bench.figures.style import PAGE, PALE, new_figure, percent_axis, styled
from daam_bench.scoring.results import HARD
from daam_bench.scoring.tables import percent
from daam_bench.types import Scores

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
    """A method in a chart: its scores by split and tau, and how it looks.

    The chart's parts are known by its key: their gid is "key: what the part stands for".
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


def name_points(axes: Axes, points: Sequence[tuple[float, float, str, str]]) -> list[Annotation]:
    """Write the texts of points (x, y, text, gid) beside them; an empty text only keeps its place free.

    They cover no point and no other text as far as possible. The axes have their final limits.
    """
    at: Any = axes.transData.transform([(x, y) for x, y, *_ in points]) if points else []
    taken = [Bbox.from_bounds(left - 4, low - 4, 8, 8) for left, low in at]
    texts = []
    for x, y, text, gid in points:
        if not text:
            continue
        written = axes.annotate(text, (x, y), (0, 0), textcoords="offset points", gid=gid)
        boxes = [_move(written, spot) for spot in range(len(_SPOTS))]
        covered = [sum(_shared(box, other) for other in taken) for box in boxes]
        taken.append(_move(written, covered.index(min(covered))))
        texts.append(written)
    return texts


def _move(text: Annotation, spot: int) -> Bbox:
    """Move a text beside its point to one of `_SPOTS`, and return its box."""
    (right, up), horizontal, vertical = _SPOTS[spot]
    text.set(position=(5 * right, 3 * up), ha=horizontal, va=vertical)
    return text.get_window_extent()


def _shared(a: Bbox, b: Bbox) -> float:
    """Return the area that two boxes share."""
    both = Bbox.intersection(a, b)
    return 0.0 if both is None else both.width * both.height


@styled
def method_scores(rows: Sequence[MethodRow], splits: Sequence[str]) -> Figure:
    """Draw mIoU_80 and mIoU_inf of methods, one row each, split by split, with their 95 % intervals.

    A line parts groups of methods. The splits are those that the rows' values are of, in order.
    """
    figure = new_figure(PAGE, _FRAME + _ROW * len(rows))
    panels = figure.subplots(1, 2, sharey=True)
    for number, (axes, metric) in enumerate(zip(panels, (r"mIoU$_{80}$", r"mIoU$_\infty$"), strict=True)):
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
    # One of the axes' own would take room from both panels when the splits have long names.
    names = panels[0].get_legend_handles_labels()
    figure.legend(*names, loc="outside upper center", ncols=len(splits), borderaxespad=0.2)
    return figure
