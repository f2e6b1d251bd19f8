"""The scores of several methods, one row each."""

from __future__ import annotations

from matplotlib.figure import Figure

from daam_bench.analysis.table import METRICS, Table
from daam_bench.figures.style import MARKERS, PAGE, PALE, PALETTE, new_figure, percent_axis, styled

_ROW, _FRAME = 6.0, 18.0  # millimetres
_APART = 0.13


@styled
def method_scores(table: Table, *, width: float = PAGE) -> Figure:
    """Draw mIoU_80 and mIoU_inf of the rows of a table, split by split, with their 95 % intervals.

    Args:
        table: The table.
        width: Width of the figure in millimetres.
    """
    figure = new_figure(width, _FRAME + _ROW * len(table.rows))
    panels = figure.subplots(1, len(METRICS), sharey=True)
    places = list(range(len(table.rows)))
    for number, (axes, metric) in enumerate(zip(panels, (r"mIoU$_{80}$", r"mIoU$_\infty$"), strict=True)):
        for index, split in enumerate(table.splits):
            offset = _APART * (2 * index - len(table.splits) + 1)
            for place, row in zip(places, table.rows, strict=True):
                value, interval = row.values()[len(METRICS) * index + number]
                if value is None:
                    continue
                at, colour = place + offset, PALETTE[index]
                if interval is not None:
                    axes.plot(interval, (at, at), color=colour, linewidth=1.2)
                axes.plot(value, at, color=colour, marker=MARKERS[index], linestyle="none", markersize=4)
            axes.plot([], [], color=PALETTE[index], marker=MARKERS[index], linestyle="-", label=split)
        for place in places[1:]:
            if table.rows[place].group != table.rows[place - 1].group:
                axes.axhline(place - 0.5, color=PALE, linewidth=0.5)
        axes.set_yticks(places, [row.label for row in table.rows])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(table.rows) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        percent_axis(axes, "x", metric)
    panels[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(table.splits), borderaxespad=0.2)
    return figure
