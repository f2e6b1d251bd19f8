"""The geometry of the plots: numbers to places in a drawing, as the SVG templates need them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 400, 290
"""Size of a plot, in its own units."""

LEFT, RIGHT, TOP, BOTTOM = 34, 10, 26, 34
"""Margins of a plot that its axes stand in."""

COLOURS, SHAPES = 8, 5
"""How many colours and marker shapes tell series apart; the style sheet and `marker` define them."""

Point = tuple[float, float]
_Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis.

    Attributes:
        low: Value at `start`.
        high: Value at `end`, above `low`.
        start: Place of the lowest value in the drawing.
        end: Place of the highest value.
        ticks: Values to mark.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Return where a value lies in the drawing, rounded to a hundredth.

        >>> Axis(0, 50, 0, 100, ()).place(20)
        40.0
        """
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)


def percent_ticks(highest: float) -> tuple[int, ...]:
    """Return round percentages from 0 up to at least `highest`, four to seven of them.

    >>> percent_ticks(63.2), percent_ticks(31)
    ((0, 20, 40, 60, 80), (0, 10, 20, 30, 40))
    """
    step = next((step for step in (5, 10, 20) if highest <= 5 * step), 20)
    count = max(3, math.ceil(highest / step))
    return tuple(step * index for index in range(count + 1))


def vertical(ticks: Sequence[float]) -> Axis:
    """Return the upright axis of a plot that spans some ticks."""
    return Axis(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP, tuple(ticks))


def horizontal(ticks: Sequence[float]) -> Axis:
    """Return the level axis of a plot that spans some ticks."""
    return Axis(ticks[0], ticks[-1], LEFT, WIDTH - RIGHT, tuple(ticks))


@dataclass(frozen=True, slots=True)
class Label:
    """A short text in a plot: its baseline's end at (x, y), on the side that `anchor` names as SVG does."""

    text: str
    x: float
    y: float
    anchor: str


def place_labels(points: Sequence[tuple[Point, str]], obstacles: Sequence[Point]) -> list[Label | None]:
    """Put short texts beside their points, where they cover no point and no other text as far as possible.

    Args:
        points: Each point with its text; an empty text gets no label.
        obstacles: All points of the plot.
    """
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in obstacles]
    labels: list[Label | None] = []
    for (x, y), text in points:
        if not text:
            labels.append(None)
            continue
        width = 6.5 * len(text)
        spots = [(x + 7, y + 15), (x - 7 - width, y - 7), (x + 7, y - 7), (x - 7 - width, y + 15)]
        boxes = [(left, base - 10, left + width, base) for left, base in spots]
        best = min(range(len(spots)), key=lambda spot: sum(_overlap(boxes[spot], box) for box in taken))
        taken.append(boxes[best])
        on_left = best in (1, 3)
        place = spots[best][0] + (width if on_left else 0)
        labels.append(Label(text, round(place, 2), round(spots[best][1], 2), "end" if on_left else "start"))
    return labels


def _overlap(a: _Box, b: _Box) -> float:
    """Return the area that two boxes (left, top, right, bottom) share."""
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def line(points: Sequence[Point]) -> str:
    """Return the data of an SVG path through points.

    >>> line([(0, 1), (2.5, 3)])
    'M0 1L2.5 3'
    """
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def marker(shape: int, x: float, y: float) -> str:
    """Return the data of an SVG path of a marker at a place: disc, square, triangle, diamond or cross."""
    at = f"M{x:g} {y:g}"
    paths = (
        "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
        "m-3.5 -3.5h7v7h-7z",
        "m0 -4.6l4.4 7.8h-8.8z",
        "m0 -5l5 5l-5 5l-5 -5z",
        "m-1.5 -4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
    )
    return at + paths[shape % SHAPES]
