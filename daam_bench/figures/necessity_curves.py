"""Curves of necessity over area: how much of a word's effect lies in the hottest part of each map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from daam_bench.figures.style import COLUMN, MARKERS, PALE, PALETTE, new_figure, percent_axis, styled

_PANEL, _LEGEND = 62.0, 14.0  # millimetres
_DASHES = ("--", ":", "-.")

Curve = Sequence[float]


@styled
def necessity_curves(
    areas: Sequence[float],
    panels: Mapping[str, tuple[Mapping[str, Curve], Mapping[str, Curve]]],
) -> Figure:
    """Draw the mean necessity N over the area of maps' hottest parts, one panel a title.

    Every curve begins at (0, 0) and ends at (1, 1). The diagonal is what a map that says nothing would have
    if hiding a share of the image hid that share of the effect.

    Args:
        areas: The areas, as shares of the image.
        panels: Title -> methods' curves by their names, and those of controls, which stand back in grey.
    """
    columns, rows = min(2, len(panels)), -(-len(panels) // 2)
    figure = new_figure(COLUMN * columns, _PANEL * rows + _LEGEND)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (title, (methods, controls)) in zip(grid.flat, panels.items(), strict=False):
        axes.plot((0, 1), (0, 1), color=PALE, linewidth=0.6)
        for index, (name, curve) in enumerate(methods.items()):
            colour, marker = PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)]
            style: Any = {"color": colour, "marker": marker, "zorder": 3, "label": name}
            axes.plot((0, *areas, 1), (0, *curve, 1), markevery=slice(1, -1), **style)
        for index, (name, curve) in enumerate(controls.items()):
            dashes = _DASHES[index % len(_DASHES)]
            shade = 0.35 + 0.45 * index / max(1, len(controls))
            axes.plot((0, *areas, 1), (0, *curve, 1), dashes, color=str(shade), linewidth=0.9, label=name)
        axes.set_title(title)
        axes.set_xlim(0, 1)
        axes.set_ylim(top=1)
        percent_axis(axes, "x", "Area of the hottest part")
        percent_axis(axes, "y", "N: effect that lies there")
        axes.grid(True, axis="both")
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    handles, names = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure
