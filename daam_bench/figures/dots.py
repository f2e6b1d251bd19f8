"""Charts that stand beside images: dots with intervals, and tables of shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from daam_bench.figures.style import INK, MARKERS, PALE, PALETTE

_SPREAD = 0.4  # of a row, over which its dots are spread
_FLAT = 0.22  # height of a row over the width of all

Value = tuple[float, tuple[float, float]]
"""A mean and its interval (low, high)."""


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
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
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
