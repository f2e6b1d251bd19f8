"""The scores of methods: mIoU over tau, mIoU_80 against mIoU_inf, and one row a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from daam_bench.figures.charts import name_rows
from daam_bench.figures.style import COLUMN, MARKERS, PAGE, PALE, PALETTE, new_figure, percent_axis, styled
from daam_bench.scoring.results import HARD
from daam_bench.scoring.tables import percent
from daam_bench.types import Report, Scores
from daam_bench.types.errors import InputError

MIOU_80, MIOU_INF = r"mIoU$_{80}$", r"mIoU$_\infty$"

_HEIGHT = 62.0  # millimetres
_ROW, _FRAME = 6.0, 18.0  # millimetres, of `method_scores`
_APART = 0.13
_SPOTS = (
    ((1, -1), "left", "top"),
    ((-1, 1), "right", "bottom"),
    ((1, 1), "left", "bottom"),
    ((-1, -1), "right", "top"),
)
"""Where the text beside a point may stand: below right, above left, above right, below left."""

Interval = tuple[float, float]


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


class ScoredRow(Protocol):
    """A method at one threshold, as `daam_bench.analysis.table` has it."""

    @property
    def group(self) -> str:
        """What kind of method it is."""

    @property
    def label(self) -> str:
        """Its name."""

    def values(self) -> Sequence[tuple[float | None, Interval | None]]:
        """Return mIoU_80 and mIoU_inf with their intervals, split by split."""


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
    for name, report in reports.items():
        if split not in report.splits:
            raise InputError(
                f"the report of {name} has no split {split!r}; it has {', '.join(report.splits)}"
            )
    figure = new_figure(width, _HEIGHT)
    axes = figure.add_subplot()
    methods = [
        MethodLook(name, report.splits, PALETTE[index], MARKERS[index], name)
        for index, (name, report) in enumerate(reports.items())
    ]
    draw_curves(axes, methods, split)
    axes.set_xlabel("threshold τ (share of the map's maximum)")
    percent_axis(axes, "y", MIOU_INF)
    axes.legend(loc="upper right", handlelength=3)
    return figure


def draw_curves(axes: Axes, methods: Sequence[MethodLook], split: str) -> None:
    """Draw mIoU_inf over tau: soft methods as curves with their taus marked, hard ones as levels."""
    for index, method in enumerate(methods):
        scores = method.scores[split]
        points = curve_points(scores)
        gid = method.gid(HARD, "mIoU over τ")
        if points:
            axes.plot(*zip(*points, strict=True), color=method.colour, gid=gid)
        for tau, score in scores.items():
            if score.miou_inf is None:
                continue
            # The markers of levels stand apart, so that those of near levels don't cover each other.
            at = 0.95 - 0.04 * (index % 20) if tau == HARD else float(tau)
            gid = method.gid(tau, f"{percent(score.miou_inf)} %")
            if tau == HARD:
                axes.axhline(score.miou_inf, color=method.colour, linestyle="--", gid=gid)
            if score.ci95_inf is not None:
                axes.plot((at, at), score.ci95_inf, color=method.colour, linewidth=0.9, gid=gid)
            axes.plot(
                at, score.miou_inf, color=method.colour, marker=method.marker, linestyle="none", gid=gid
            )
        line = "-" if points else "--"
        axes.plot([], [], color=method.colour, marker=method.marker, linestyle=line, label=method.name)
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)


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
            if scores.ci95_80 and scores.ci95_inf:
                axes.plot(scores.ci95_80, (y, y), color=method.colour, linewidth=0.9, gid=gid)
                axes.plot((x, x), scores.ci95_inf, color=method.colour, linewidth=0.9, gid=gid)
            axes.plot(x, y, color=method.colour, marker=method.marker, linestyle="none", gid=gid)
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
def method_scores(rows: Sequence[ScoredRow], splits: Sequence[str], *, width: float = PAGE) -> Figure:
    """Draw mIoU_80 and mIoU_inf of methods, one row each, split by split, with their 95 % intervals.

    Args:
        rows: The methods, from the top; a line parts groups.
        splits: Names of the splits that the rows' values are of.
        width: Width of the figure in millimetres.
    """
    figure = new_figure(width, _FRAME + _ROW * len(rows))
    panels = figure.subplots(1, 2, sharey=True)
    for number, (axes, metric) in enumerate(zip(panels, (MIOU_80, MIOU_INF), strict=True)):
        for index, split in enumerate(splits):
            offset = _APART * (2 * index - len(splits) + 1)
            colour, marker = PALETTE[index], MARKERS[index]
            for place, row in enumerate(rows):
                value, interval = row.values()[2 * index + number]
                if value is None:
                    continue
                at = place + offset
                if interval is not None:
                    axes.plot(interval, (at, at), color=colour, linewidth=1.2)
                axes.plot(value, at, color=colour, marker=marker, linestyle="none", markersize=4)
            axes.plot([], [], color=colour, marker=marker, linestyle="-", label=split)
        for place in range(1, len(rows)):
            if rows[place].group != rows[place - 1].group:
                axes.axhline(place - 0.5, color=PALE, linewidth=0.5)
        name_rows(axes, [row.label for row in rows])
        axes.spines["left"].set_visible(True)
        axes.set_xlim(0, 1)
        percent_axis(axes, "x", metric)
    panels[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(splits), borderaxespad=0.2)
    return figure
