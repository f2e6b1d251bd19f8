"""Values with their intervals, as level bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from daam_bench.errors import InputError
from daam_bench.plots.style import COLUMN, INK, PALE, PALETTE, new_figure, percent_axis, styled

_ROW, _FRAME = 4.6, 16.0  # millimetres


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its 95 % interval.

    Attributes:
        label: What stands left of it.
        value: A fraction in [0, 1].
        interval: (low, high) around it, or None.
        note: What stands right of it, such as the number behind it.
        reference: A value from elsewhere to compare it with, or None.
    """

    label: str
    value: float
    interval: tuple[float, float] | None = None
    note: str = ""
    reference: float | None = None


@styled
def bars(
    rows: Sequence[Bar], *, axis: str, width: float = COLUMN, reference: str = "", note: str = ""
) -> Figure:
    """Draw one level bar a value, from the top, with whiskers for the intervals.

    Args:
        rows: The values, at least one.
        axis: What the values are; the axis shows percentages.
        width: Width of the figure in millimetres.
        reference: What the rows' references are, for the legend; they are hollow diamonds.
        note: What stands above the rows' notes.

    Raises:
        InputError: There is no row.
    """
    if not rows:
        raise InputError("there is no value to draw a bar of")
    has_references = any(row.reference is not None for row in rows)
    figure = new_figure(width, _FRAME + _ROW * len(rows) + (4.0 if has_references else 0.0))
    axes = figure.add_subplot()
    places = range(len(rows))
    axes.barh(places, [row.value for row in rows], height=0.66, color=PALETTE[0], alpha=0.8)
    for place, row in zip(places, rows, strict=True):
        if row.interval is not None:
            axes.plot(row.interval, (place, place), color=INK, linewidth=0.9, solid_capstyle="butt")
        if row.note:
            axes.text(
                1.02, place, row.note, transform=axes.get_yaxis_transform(), va="center", color=PALE, size=7
            )
    if note:
        axes.text(1.02, 1.0, note, transform=axes.transAxes, va="bottom", color=PALE, size=7)
    if has_references:
        known = [
            (row.reference, place)
            for place, row in zip(places, rows, strict=True)
            if row.reference is not None
        ]
        axes.plot(
            *zip(*known, strict=True),
            linestyle="none",
            marker="D",
            markersize=3.8,
            markerfacecolor="white",
            markeredgecolor=PALETTE[1],
            markeredgewidth=1.0,
            label=reference,
        )
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, handletextpad=0.2)
    axes.set_yticks(list(places), [row.label for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(left=0)
    percent_axis(axes, "x", axis)
    return figure
