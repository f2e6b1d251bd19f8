"""The two plots of the front page: mIoU over tau, and mIoU_80 against mIoU_inf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from daam_bench.leaderboard.site.chart import (
    COLOURS,
    Axis,
    Label,
    Point,
    horizontal,
    line,
    marker,
    percent_ticks,
    place_labels,
    vertical,
)
from daam_bench.leaderboard.site.standings import Column, Row
from daam_bench.scoring.results import HARD
from daam_bench.scoring.tables import percent

TAU_TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)

_MARKER_STEP = 14


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of a plot.

    Attributes:
        path: SVG path of its marker.
        at: Its place.
        text: What it stands for, in full.
        label: What stands beside it, if anything.
        whiskers: SVG paths of its intervals.
    """

    path: str
    at: Point
    text: str
    label: Label | None = None
    whiskers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """One method in a plot.

    Attributes:
        slug: The entry's.
        number: Which colour it has, counted from 0.
        path: SVG path of its line; empty without one.
        level: Whether the line is a level that doesn't depend on tau.
        marks: Its points.
    """

    slug: str
    number: int
    path: str
    level: bool
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of one split.

    Attributes:
        split: Its name.
        x: The level axis.
        y: The upright axis.
        series: The methods.
    """

    split: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """How a method looks in the plots."""

    slug: str
    name: str
    number: int
    shape: int
    marker: str


def keys(rows: Sequence[Row]) -> list[Key]:
    """Return how each method looks, in the order of their best rows."""
    entries = list({row.entry.slug: row.entry for row in rows}.values())
    return [
        Key(entry.slug, entry.submission.name, index % COLOURS, index, marker(index, 0, 0))
        for index, entry in enumerate(entries)
    ]


def curve_plot(rows: Sequence[Row], split: str, highest: float) -> Plot:
    """Return mIoU_inf over tau on a split: soft methods as curves, hard ones as levels.

    Args:
        rows: The rows of the table.
        split: Name of the split.
        highest: Highest mIoU in [0, 1] that the upright axis has to hold.
    """
    x, y = horizontal(TAU_TICKS), vertical(percent_ticks(100 * highest))
    series = []
    for key in keys(rows):
        own = [row for row in rows if row.entry.slug == key.slug]
        is_hard = own[0].tau == HARD
        series.append(_level(own[0], split, key, x, y) if is_hard else _curve(own, split, key, x, y))
    return Plot(split, x, y, tuple(series))


def scatter_plot(rows: Sequence[Row], split: str, highest: float) -> Plot:
    """Return mIoU_80 against mIoU_inf on a split, with intervals.

    Args:
        rows: The rows of the table.
        split: Name of the split.
        highest: Highest end of an interval in [0, 1] that the axes have to hold.
    """
    ticks = percent_ticks(100 * highest)
    x, y = horizontal(ticks), vertical(ticks)
    found = []
    for key in keys(rows):
        own = sorted((row for row in rows if row.entry.slug == key.slug), key=lambda row: row.tau)
        marks = [(row, mark) for row in own if (mark := _scatter_mark(row, split, key, x, y)) is not None]
        found.append((key, marks))
    everywhere = [mark.at for _, marks in found for _, mark in marks]
    wanted = [(mark.at, "" if row.tau == HARD else row.tau) for _, marks in found for row, mark in marks]
    labels = iter(place_labels(wanted, everywhere))
    series = []
    for key, marks in found:
        labelled = tuple(replace(mark, label=next(labels)) for _, mark in marks)
        path = line([mark.at for mark in labelled]) if len(labelled) > 1 else ""
        series.append(Series(key.slug, key.number, path, False, labelled))
    return Plot(split, x, y, tuple(series))


def curve(row: Row, split: str) -> list[tuple[float, float]]:
    """Return (tau, mIoU_inf) of a soft method's heat maps; empty for a method without them."""
    points = row.entry.report.splits[split][row.tau].miou_over_tau or {}
    return [(float(tau), point.miou_inf) for tau, point in points.items() if point.miou_inf is not None]


def highest_curve(rows: Sequence[Row], splits: Sequence[str]) -> float:
    """Return the highest mIoU_inf of all curves and rows, in [0, 1]."""
    values = [_miou(row, split) for row in rows for split in splits]
    values += [miou for row in rows for split in splits for _, miou in curve(row, split)]
    return max(values, default=1.0)


def highest_interval(rows: Sequence[Row]) -> float:
    """Return the highest end of all intervals, in [0, 1]."""
    return max((cell.interval[1] for row in rows for cell in row.cells.values() if cell.interval), default=1)


def _miou(row: Row, split: str) -> float:
    return row.cells[Column(split, "inf")].miou or 0.0


def _level(row: Row, split: str, key: Key, x: Axis, y: Axis) -> Series:
    height = y.place(100 * _miou(row, split))
    # Each marker a little further left, so that those of near levels don't cover each other.
    at = (x.end - _MARKER_STEP * key.number, height)
    mark = Mark(marker(key.shape, *at), at, _text(row, split))
    return Series(key.slug, key.number, line([(x.start, height), (x.end, height)]), True, (mark,))


def _curve(rows: Sequence[Row], split: str, key: Key, x: Axis, y: Axis) -> Series:
    points = [(x.place(tau), y.place(100 * miou)) for tau, miou in curve(rows[0], split)]
    marks = []
    for row in rows:
        at = (x.place(float(row.tau)), y.place(100 * _miou(row, split)))
        marks.append(Mark(marker(key.shape, *at), at, _text(row, split)))
    return Series(key.slug, key.number, line(points) if points else "", False, tuple(marks))


def _text(row: Row, split: str) -> str:
    return f"{row.label}: {percent(_miou(row, split))} %"


def _scatter_mark(row: Row, split: str, key: Key, x: Axis, y: Axis) -> Mark | None:
    cell_80, cell_inf = row.cells[Column(split, "80")], row.cells[Column(split, "inf")]
    if cell_80.miou is None or cell_inf.miou is None:
        return None
    at = (x.place(100 * cell_80.miou), y.place(100 * cell_inf.miou))
    whiskers = []
    if cell_80.interval and cell_inf.interval:
        low, high = (x.place(100 * end) for end in cell_80.interval)
        whiskers.append(line([(low, at[1]), (high, at[1])]))
        low, high = (y.place(100 * end) for end in cell_inf.interval)
        whiskers.append(line([(at[0], low), (at[0], high)]))
    text = f"{row.label}: mIoU 80 {percent(cell_80.miou)} %, mIoU ∞ {percent(cell_inf.miou)} %"
    return Mark(marker(key.shape, *at), at, text, whiskers=tuple(whiskers))
