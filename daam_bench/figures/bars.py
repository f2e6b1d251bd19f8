"""Values with their intervals, as level bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from daam_bench.figures.style import COLUMN, INK, PALE, PALETTE, new_figure, percent_axis, styled
from daam_bench.types.errors import InputError

_ROW, _FRAME = 4.6, 14.0  # millimetres
_FILL = "#8fbcdb"
_REFERENCES = (("o", PALETTE[0], PALETTE[0]), ("D", "white", PALETTE[1]), ("^", "white", PALETTE[2]))
"""Marker, filling and edge of each reference."""


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
    axes.set_yticks(places, [row.label for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=0)
    percent_axis(axes, "x", axis)
    return figure


def _write(axes: Axes, place: float, text: str) -> None:
    """Write a text right of the axes."""
    transform = axes.get_yaxis_transform()
    axes.text(1.1, place, text, transform=transform, va="center", ha="right", color=PALE, size=7)
