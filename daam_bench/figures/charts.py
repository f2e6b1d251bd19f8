"""Values with their intervals: as level bars, as dots beside images, and tables of shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from daam_bench.figures.style import COLUMN, INK, MARKERS, PALE, PALETTE, new_figure, percent_axis, styled
from daam_bench.types.errors import InputError

_ROW, _FRAME = 4.6, 14.0  # millimetres
_SPREAD = 0.4  # of a row, over which its dots are spread
_FLAT = 0.22  # height of a row of dots over the width of all
_FILL = "#8fbcdb"
_REFERENCES = (("o", PALETTE[0], PALETTE[0]), ("D", "white", PALETTE[1]), ("^", "white", PALETTE[2]))
"""Marker, filling and edge of each reference."""


Value = tuple[float, tuple[float, float]]
"""A mean and its interval (low, high)."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its 95 % interval.

    Attributes:
        label: What stands left of it.
        value: A fraction in [0, 1].
        interval: (low, high) around it, or None.
        note: What stands right of it, such as the number behind it.
        references: Other values to compare it with, by what they are: the legend's text -> a fraction.
    """

    label: str
    value: float
    interval: tuple[float, float] | None = None
    note: str = ""
    references: Mapping[str, float] = field(default_factory=dict)


@styled
def bars(rows: Sequence[Bar], *, axis: str, width: float = COLUMN, name: str = "", note: str = "") -> Figure:
    """Draw one level bar a value, from the top, with whiskers for the 95 % intervals.

    Args:
        rows: The values, at least one; they have at most three kinds of references.
        axis: What the values are; the axis shows percentages.
        width: Width of the figure in millimetres.
        name: What the bars are, for the legend.
        note: What stands above the rows' notes.

    Raises:
        InputError: There is no row.
    """
    if not rows:
        raise InputError("there is no value to draw a bar of")
    kinds = list(dict.fromkeys(kind for row in rows for kind in row.references))
    figure = new_figure(width, _FRAME + _ROW * len(rows) + 4.0 * (len(kinds) + bool(name)))
    axes = figure.add_subplot()
    places = list(range(len(rows)))
    axes.barh(places, [row.value for row in rows], height=0.66, color=_FILL, label=name or None)
    for place, row in zip(places, rows, strict=True):
        if row.interval is not None:
            axes.plot(row.interval, (place, place), color=INK, linewidth=0.9, solid_capstyle="butt")
        _write(axes, place, row.note)
    for kind, (marker, filling, edge) in zip(kinds, _REFERENCES, strict=False):
        known = [(row.references[kind], at) for at, row in enumerate(rows) if kind in row.references]
        xs, ys = zip(*known, strict=True)
        axes.scatter(xs, ys, s=14, marker=marker, facecolor=filling, edgecolor=edge, label=kind, zorder=3)
    _write(axes, -0.95, note)
    if kinds or name:
        handles, texts = axes.get_legend_handles_labels()
        bar_first = sorted(zip(handles, texts, strict=True), key=lambda entry: entry[1] != name)
        axes.legend(
            *zip(*bar_first, strict=True),
            loc="lower left",
            bbox_to_anchor=(0, 1),
            borderaxespad=0.2,
            handlelength=1.4,
        )
    name_rows(axes, [row.label for row in rows])
    axes.set_xlim(left=0)
    percent_axis(axes, "x", axis)
    return figure


def _write(axes: Axes, place: float, text: str) -> None:
    """Write a text right of the axes."""
    transform = axes.get_yaxis_transform()
    axes.text(1.1, place, text, transform=transform, va="center", ha="right", color=PALE, size=7)


def draw_dots(
    axes: Axes,
    rows: Sequence[str],
    series: Mapping[str, Sequence[Value | None]],
    *,
    axis: str,
    level: tuple[float, str] | None = None,
) -> None:
    """Draw one dot with its 95 % interval a row and series, rows from the top.

    Args:
        axes: Where to draw.
        rows: Labels of the rows.
        series: The values of each series, a row each, by the legend's text; at most seven series.
        axis: What the values are, with its unit.
        level: A value to draw a dashed line at, such as chance, and what it is called.
    """
    if level is not None:
        axes.axvline(level[0], color=PALE, linestyle=(0, (3, 2)), linewidth=0.8)
        axes.annotate(
            level[1], (level[0], 0), (2, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            color=PALE, size=6.5,
        )  # fmt: skip
    for index, (name, values) in enumerate(series.items()):
        shift = 0.0 if len(series) == 1 else _SPREAD * (index / (len(series) - 1) - 0.5)
        known = [(value, place + shift) for place, value in enumerate(values) if value is not None]
        colour = PALETTE[index]
        for (_, interval), place in known:
            axes.plot(interval, (place, place), color=colour, linewidth=1.1, solid_capstyle="butt")
        axes.plot(
            [mean for (mean, _), _ in known],
            [place for _, place in known],
            MARKERS[index],
            color=colour,
            label=name,
        )
    axes.set_box_aspect(_FLAT * (len(rows) + 0.5))
    name_rows(axes, rows)
    axes.grid(True, axis="x")
    axes.set_xlabel(axis)
    if len(series) > 1:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, handlelength=1.2)


def draw_shares(
    axes: Axes, shares: NDArray[np.float64], rows: Sequence[str], columns: Sequence[str], *, x: str, y: str
) -> None:
    """Draw a table of shares, darker the larger.

    Args:
        axes: Where to draw.
        shares: Fractions in [0, 1], of shape (rows, columns).
        rows: Labels of the rows.
        columns: Labels of the columns.
        x: What the columns are.
        y: What the rows are.
    """
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.2)
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.7 else INK
        axes.text(column, row, f"{100 * share:.0f} %", ha="center", va="center", color=colour, size=7)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Let the upright axis name rows 0, 1, ... from the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
