"""Panels in rows: with titles and a colour bar, beside a chart, or one overlay a word beside its image."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from math import ceil

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from PIL import Image

from daam_bench.figures.panels import Panel, draw_image
from daam_bench.figures.style import INK, MILLIMETRES, OVERLAY, PAGE, PALE, new_figure, styled
from daam_bench.types.errors import InputError, printable
from daam_bench.types.heat_map import HeatMap

_TIGHT = {"w_pad": 0.02, "h_pad": 0.01, "wspace": 0.01, "hspace": 0.01}
_COLUMNS = 5

# Of `show_figure`, in millimetres: an image, what stands beside the images, a line of the prompt and of the
# note, a letter of the prompt.
_SIDE, _MARGIN, _LINE, _NOTE_LINE, _LETTER = 40.0, 16.0, 4.0, 3.2, 1.6


def in_rows(panels: Sequence[Panel], columns: int) -> list[Sequence[Panel]]:
    """Part panels into rows of equal length, the last one shorter if need be."""
    return [panels[start : start + columns] for start in range(0, len(panels), columns)]


@styled
def panel_grid(rows: Sequence[Sequence[Panel]], *, width: float = PAGE) -> Figure:
    """Draw images in rows, `width` millimetres wide, with a colour bar where there is a heat map.

    Raises:
        InputError: There is no image.
    """
    columns = max(map(len, rows), default=0)
    if not columns:
        raise InputError("there is no image to draw")
    tallest = max(panel.image.height / panel.image.width for row in rows for panel in row)
    figure = new_figure(width, len(rows) * ((width - 14) / columns * tallest + 3.5) + 1)
    figure.set_layout_engine("constrained", **_TIGHT)
    _fill_grid(figure, rows)
    return figure


@styled
def chart_with_panels(
    draw_chart: Callable[[Axes], None], rows: Sequence[Sequence[Panel]], *, chart: float = 0.4
) -> Figure:
    """Draw a chart over the share `chart` of the width, and right of it images, best square, in rows."""
    side = (PAGE * (1 - chart) - 16) / max(map(len, rows))
    figure = new_figure(PAGE, len(rows) * (side + 5) + 4)
    figure.set_layout_engine("constrained", **_TIGHT)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(chart, 1 - chart), wspace=0.02)[0]
    draw_chart(left.add_subplot())
    _fill_grid(right, rows)
    return figure


def _fill_grid(figure: Figure | SubFigure, rows: Sequence[Sequence[Panel]]) -> None:
    """Fill a figure, or a part of one, with images and the colour bar of their heat maps."""
    grid = figure.subplots(len(rows), max(map(len, rows)), squeeze=False)
    for axes_row, row in zip(grid, rows, strict=True):
        for axes in axes_row[len(row) :]:
            axes.set_axis_off()
        for axes, panel in zip(axes_row, row, strict=False):
            _draw_panel(axes, panel)
    if any(panel.heat_map is not None for row in rows for panel in row):
        colours = ScalarMappable(Normalize(0, 1), OVERLAY)
        axes = list(grid.flat)
        bar = figure.colorbar(colours, ax=axes, fraction=0.02, pad=0.01, aspect=30, ticks=[0, 0.5, 1])
        letters = int(0.6 * figure.figure.get_figheight() * MILLIMETRES)  # that fit beside the bar
        label = textwrap.wrap("share of the map's maximum", max(9, letters))
        bar.set_label("\n".join(label), size=7, labelpad=2)
        bar.outline.set_visible(False)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    """Draw a panel with its title and a frame into axes of its own, its longer side filling them."""
    draw_image(axes, panel, (0, 0, panel.image.width, panel.image.height))
    axes.set_aspect("equal")
    axes.set_title(panel.title, parse_math=False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=PALE, linewidth=0.4)


@styled
def show_figure(
    image: Image.Image,
    prompt: str,
    words: Sequence[tuple[str, HeatMap]],
    *,
    tau: float = 0.4,
    note: str = "",
) -> Figure:
    """Draw an image and beside it one overlay a word, at least one, with the outline of its mask at tau.

    The prompt stands above, and the note below, before the explanation of the outline.
    """
    panels = [Panel("the image", image)]
    for label, heat_map in words:
        mask = heat_map.resize(image.size).threshold(tau)
        title = f"{textwrap.shorten(printable(label), 24)} ({100 * mask.mean():.0f} %)"
        panels.append(Panel(title, image, heat_map, mask))
    columns = ceil(len(panels) / ceil(len(panels) / _COLUMNS))
    width = min(PAGE, _MARGIN + _SIDE * columns)
    above = textwrap.wrap(printable(prompt), max(20, int(width / _LETTER))) or [""]
    outlined = f"Outlined, with its share of the image: a word's map at τ = {tau:g} of its maximum and above."
    letters = int(1.25 * width / _LETTER)
    below = [line for text in (note, outlined) for line in textwrap.wrap(printable(text), letters)]
    figure = panel_grid(in_rows(panels, columns), width=width)
    height = figure.get_figheight() * MILLIMETRES + _LINE * len(above) + _NOTE_LINE * len(below) + 3
    figure.set_figheight(height / MILLIMETRES)
    figure.suptitle("\n".join(above), size=9, color=INK, parse_math=False)
    figure.supxlabel("\n".join(below), size=6.5, color=PALE, parse_math=False)
    bar = figure.axes[-1]
    bar.set_yticks([0, tau, 1], ["0", "τ" if 0.05 < tau < 0.95 else "", "1"])
    bar.yaxis.labelpad = 6
    bar.axhline(tau, color="white", linewidth=1.2)
    figure.get_layout_engine().set(h_pad=0.04)  # type: ignore[union-attr,call-arg]
    return figure
